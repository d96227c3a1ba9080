package authn

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"stagedoor"
)

// reason says why a vector ends otherwise than its corpus wants.
type reason string

const (
	// notSpoken: DESIGN.md takes HS256, HS384, HS512, RS256, PS256, ES256,
	// ES384 and EdDSA; fewer algorithms are fewer ways in, and no issuer the
	// door is made for signs with another.
	notSpoken reason = "an algorithm the door does not speak"
	// lenientBase64: the corpus lets a decoder skip characters outside the
	// alphabet; RFC 7515 §2 allows none, and a token must have one spelling.
	lenientBase64 reason = "characters outside the base64url alphabet"
	// contradiction: the corpus calls the same bytes valid under the same key
	// in another vector, so nobody can satisfy both. TestOneSpelling tests
	// what these two were meant to.
	contradiction reason = "byte for byte a vector of the same group that is valid"
	// oneSecretSize: RFC 7518 §3.2 wants a key as long as the hash. The door
	// takes 32 bytes and more for all three, as the SPEC comment at
	// authn.SecretKeys says. It is the only reason that excuses leniency.
	oneSecretSize reason = "a shared secret of at least 32 bytes, shorter than the hash of HS384 or HS512"
)

// deviation is one vector that ends otherwise than its corpus wants.
type deviation struct {
	file           string
	tcID           int
	expected, ours string
	reason         reason
}

// deviations is the whole list. An entry that no longer deviates fails the
// run, and so does one that is lenient: only a contradiction in the corpus and
// the one size of shared secrets may end as valid where invalid is wanted.
var deviations = []deviation{
	// RS384 and RS512.
	{signatureFile, 264, "valid", "invalid", notSpoken},
	{signatureFile, 265, "valid", "invalid", notSpoken},
	{signatureFile, 266, "valid", "invalid", notSpoken},
	{signatureFile, 267, "valid", "invalid", notSpoken},
	{signatureFile, 268, "valid", "invalid", notSpoken},
	{signatureFile, 269, "valid", "invalid", notSpoken},
	{signatureFile, 270, "valid", "invalid", notSpoken},
	{signatureFile, 271, "valid", "invalid", notSpoken},
	// PS384 and PS512.
	{signatureFile, 320, "valid", "invalid", notSpoken},
	{signatureFile, 321, "valid", "invalid", notSpoken},
	{signatureFile, 322, "valid", "invalid", notSpoken},
	{signatureFile, 323, "valid", "invalid", notSpoken},
	{signatureFile, 325, "valid", "invalid", notSpoken},
	{signatureFile, 326, "valid", "invalid", notSpoken},
	{signatureFile, 327, "valid", "invalid", notSpoken},
	{signatureFile, 328, "valid", "invalid", notSpoken},
	// RFC 7520 figures: PS384 under a key whose alg is PS256, and ES512.
	{signatureFile, 346, "valid", "invalid", notSpoken},
	{signatureFile, 347, "valid", "invalid", notSpoken},
	{signatureFile, 350, "valid", "invalid", notSpoken},
	{signatureFile, 351, "valid", "invalid", notSpoken},
	// A question mark in the header and in the payload.
	{signatureFile, 372, "valid", "invalid", lenientBase64},
	{signatureFile, 373, "valid", "invalid", lenientBase64},
	// Named for padding that is not in their bytes, which are those of tc 357.
	{signatureFile, 367, "invalid", "valid", contradiction},
	{signatureFile, 370, "invalid", "valid", contradiction},
	// HS384 with 47 bytes and HS512 with 63.
	{keyFile, 11, "invalid", "valid", oneSecretSize},
	{keyFile, 12, "invalid", "valid", oneSecretSize},
}

func find(file string, tcID int) (deviation, bool) {
	i := slices.IndexFunc(deviations, func(d deviation) bool { return d.file == file && d.tcID == tcID })
	if i < 0 {
		return deviation{}, false
	}
	return deviations[i], true
}

// lenient reports whether the reason may excuse accepting what the corpus
// wants refused.
func (r reason) lenient() bool { return r == contradiction || r == oneSecretSize }

// explains reports whether the reason is true of the token, so that a vector
// which ends otherwise for some other cause is not excused by it.
func (r reason) explains(t *testing.T, g group, token string) bool {
	t.Helper()
	switch r {
	case notSpoken:
		alg := algorithmOf(token)
		return alg != "" && !slices.Contains(spoken, alg)
	case lenientBase64:
		return strings.ContainsFunc(token, func(c rune) bool { return !strings.ContainsRune(alphabet+".", c) })
	case oneSecretSize:
		return betweenFloorAndHash(t, g, token)
	case contradiction:
		return slices.ContainsFunc(g.Tests, func(v vector) bool { return v.Result == "valid" && text(v.JWS) == token })
	}
	return false
}

// betweenFloorAndHash reports whether the group's secrets, which are as many
// as its keys, all have the 32 bytes that the door wants of any secret and
// fewer than the hash of the token's algorithm, HS384 or HS512.
func betweenFloorAndHash(t *testing.T, g group, token string) bool {
	t.Helper()
	alg := algorithmOf(token)
	if g.Public != nil || (alg != "HS384" && alg != "HS512") {
		return false
	}
	_, keys := asSet(t, g.Private)
	secrets, ok := secretsOf(t, keys)
	outside := func(s stagedoor.Secret) bool { return s.Len() < 32 || s.Len() >= hashes[alg].Size() }
	return ok && len(secrets) > 0 && !slices.ContainsFunc(secrets, outside)
}

// TestDeviationsAreStricter keeps every lenient deviation out of the table but
// for the two reasons that may be, and every entry single. That such a reason
// is true of its token is for TestWycheproof.
func TestDeviationsAreStricter(t *testing.T) {
	for i, d := range deviations {
		if d.ours == d.expected || (d.ours == "valid") != d.reason.lenient() {
			t.Errorf("%s tc %d: %s instead of %s: %s", d.file, d.tcID, d.ours, d.expected, d.reason)
		}
		if slices.ContainsFunc(deviations[:i], func(e deviation) bool { return e.file == d.file && e.tcID == d.tcID }) {
			t.Errorf("%s tc %d is listed twice", d.file, d.tcID)
		}
	}
}

// TestOneSecretSizeExcusesNothingElse gives the one reason for leniency groups
// that it must not cover: it would let in whatever it were true of.
func TestOneSecretSizeExcusesNothingElse(t *testing.T) {
	for _, c := range []struct {
		alg  string
		size int
		want bool
	}{
		{"HS384", 31, false}, {"HS384", 32, true}, {"HS384", 47, true}, {"HS384", 48, false},
		{"HS512", 31, false}, {"HS512", 32, true}, {"HS512", 63, true}, {"HS512", 64, false},
		{"HS256", 31, false}, {"HS256", 32, false}, {"HS256", 47, false}, {"RS256", 47, false}, {"none", 47, false},
	} {
		secret := []byte(strings.Repeat("s", c.size))
		jwk, err := json.Marshal(map[string]any{"kty": "oct", "use": "sig", "alg": "HS256", "k": b64(secret)})
		if err != nil {
			t.Fatal(err)
		}
		signer := party{sign: func(_ *testing.T, alg string, input []byte) []byte { return mac(alg, secret, input) }}
		token := signer.token(t, map[string]any{"alg": c.alg})
		if got := oneSecretSize.explains(t, group{Private: jwk}, token); got != c.want {
			t.Errorf("%s with %d bytes: %t", c.alg, c.size, got)
		}
		if oneSecretSize.explains(t, group{Public: jwk, Private: jwk}, token) {
			t.Errorf("%s: excused with a public key", c.alg)
		}
	}
}
