package authn

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"stagedoor/internal/authn"
)

// spoken are the algorithms that the door takes; every other is refused.
var spoken = []string{"HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"}

// outcome is what was counted over one corpus.
type outcome struct {
	vectors, accepted, refused, deviations int
	doors                                  map[door]int
}

// wantOutcomes pins what a run comes to, so that vectors which stop being run,
// or a verifier that refuses everything, cannot pass.
var wantOutcomes = map[string]outcome{
	signatureFile: {401, 26, 375, 24, map[door]int{published: 361, configured: 40}},
	cryptoFile:    {49, 4, 45, 0, map[door]int{published: 30, configured: 19}},
	keyFile:       {26, 7, 19, 2, map[door]int{published: 15, configured: 11}},
}

// TestWycheproof runs every JWS vector. Each must end as the corpus says or
// stand in the table of deviations.
func TestWycheproof(t *testing.T) {
	for file, want := range wantOutcomes {
		t.Run(file, func(t *testing.T) {
			got := outcome{doors: map[door]int{}}
			for _, g := range corpus(t, file) {
				if g.Tests[0].JWS == nil {
					continue
				}
				set, way := keysOf(t, g)
				for _, v := range g.Tests {
					got.vectors++
					got.doors[way]++
					runVector(t, file, set, g, v, &got)
				}
			}
			if got.vectors != want.vectors || got.accepted != want.accepted || got.refused != want.refused ||
				got.deviations != want.deviations || got.doors[published] != want.doors[published] ||
				got.doors[configured] != want.doors[configured] {
				t.Errorf("ran %+v, want %+v", got, want)
			}
			t.Logf("%+v", got)
		})
	}
}

// runVector judges one vector and counts it.
func runVector(t *testing.T, file string, set authn.KeySet, g group, v vector, count *outcome) {
	t.Helper()
	token := text(v.JWS)
	ok, err := accepted(set, token)
	ours := "invalid"
	if ok {
		ours = "valid"
		count.accepted++
	} else {
		count.refused++
	}
	listed, deviates := find(file, v.ID)
	switch {
	case ours == v.Result && deviates:
		t.Errorf("tc %d %s: the listed deviation deviates no more: remove it", v.ID, v.Comment)
	case ours == v.Result:
	case !deviates && ok:
		t.Errorf("tc %d %s: LENIENT: accepted although invalid", v.ID, v.Comment)
	case !deviates:
		t.Errorf("tc %d %s: refused although valid, and not listed: %v", v.ID, v.Comment, err)
	case listed.expected != v.Result || listed.ours != ours:
		t.Errorf("tc %d %s: listed as %s instead of %s", v.ID, v.Comment, listed.ours, listed.expected)
	case !listed.reason.explains(t, g, token):
		t.Errorf("tc %d %s: %q is not why: %v", v.ID, v.Comment, listed.reason, err)
	default:
		count.deviations++
	}
}

// TestJWEIsNeverParsed gives every JWE of the corpora, valid or not, to the
// parser: five parts are refused before anything in them is read.
func TestJWEIsNeverParsed(t *testing.T) {
	count := 0
	for _, file := range []string{cryptoFile, encryptionFile} {
		for _, g := range corpus(t, file) {
			for _, v := range g.Tests {
				if v.JWE == nil {
					continue
				}
				count++
				if _, err := authn.ParseJWS(text(v.JWE)); err == nil {
					t.Errorf("%s tc %d %s: a JWE was parsed", file, v.ID, v.Comment)
				}
			}
		}
	}
	if count != 173 {
		t.Errorf("%d vectors", count)
	}
}

// algorithmOf reads alg as leniently as can be; empty when there is none.
func algorithmOf(token string) string {
	segment, _, _ := strings.Cut(token, ".")
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(segment, "="))
	if err != nil {
		return ""
	}
	var header struct {
		Alg string `json:"alg"`
	}
	if json.Unmarshal(data, &header) != nil {
		return ""
	}
	return header.Alg
}
