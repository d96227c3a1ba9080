package authn

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

const (
	// alikeTries is how many refusals one measurement times, of all kinds
	// together; the race detector makes each several times as slow.
	alikeTries, alikeTriesUnderRace = 20_000, 1_000
	// alikeWithin is how far the medians of the kinds may lie apart. Under the
	// race detector, whose few tries are as noisy as the machine, it is only seen
	// whether the work is the same; without it, make test measures.
	alikeWithin, alikeWithinUnderRace = 0.05, 0.6
	// alikeTokens is how many tokens there are of each kind: what one signature
	// costs depends a little on its bytes, which its sender knows anyway.
	alikeTokens = 64
)

// forgeries are the tokens of each kind that must be told apart by nobody.
type forgeries map[string][]string

// forge makes tokens of every kind for an issuer with the key of genuine,
// published as "k1". Header and payload are as long in each kind.
func forge(t *testing.T, genuine, stranger signer, claims map[string]any) forgeries {
	t.Helper()
	made := forgeries{}
	for i := range alikeTokens {
		claims["jti"] = fmt.Sprintf("%08d", i)
		known, unknown := map[string]any{"kid": "k1"}, map[string]any{"kid": "k2"}
		made["wrong signature"] = append(made["wrong signature"], tamper(genuine.sign(t, claims, known)))
		made["wrong key"] = append(made["wrong key"], stranger.sign(t, claims, known))
		made["unknown key id"] = append(made["unknown key id"], stranger.sign(t, claims, unknown))
	}
	return made
}

// tamper changes one bit in the signature's first half, the last of an RSA
// signature: it stays a number below the modulus and a scalar below the order.
func tamper(token string) string {
	at := strings.LastIndexByte(token, '.') + 1
	signature, _ := base64.RawURLEncoding.DecodeString(token[at:])
	switch len(signature) {
	case 256:
		signature[255] ^= 1
	default:
		signature[len(signature)/2-1] ^= 1
	}
	return token[:at] + b64(signature)
}

// medians times refusals of all kinds in a random order and returns each
// kind's median.
func (made forgeries) medians(t *testing.T, a *Authenticator, tries int) map[string]time.Duration {
	t.Helper()
	var kinds []string
	for kind := range made {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	took := make(map[string][]time.Duration, len(kinds))
	order := make([]string, 0, tries+len(kinds))
	for len(order) < tries {
		order = append(order, kinds...)
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	ctx := context.Background()
	for i, kind := range order {
		credential := stagedoor.NewCredential(made[kind][i%alikeTokens])
		began := time.Now()
		_, err := a.Authenticate(ctx, credential)
		took[kind] = append(took[kind], time.Since(began))
		if err == nil {
			t.Fatalf("%s was let in", kind)
		}
	}
	medians := map[string]time.Duration{}
	for kind, all := range took {
		slices.Sort(all)
		medians[kind] = all[len(all)/2]
	}
	return medians
}

// spread is how far the slowest kind's median lies above the quickest one's.
func spread(medians map[string]time.Duration) float64 {
	least, most := time.Duration(0), time.Duration(0)
	for _, median := range medians {
		if least == 0 || median < least {
			least = median
		}
		most = max(most, median)
	}
	return float64(most)/float64(least) - 1
}

// TestRefusalsAreAlike: for one issuer and one algorithm nobody learns from an
// answer, or from how long it took, whether a key is known or a signature
// almost held.
func TestRefusalsAreAlike(t *testing.T) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA", "HS256"} {
		t.Run(alg, func(t *testing.T) {
			tries, within := alikeTries, alikeWithin
			if underRace {
				tries, within = alikeTriesUnderRace, alikeWithinUnderRace
			}
			if alg == "ES384" {
				tries /= 10 // one costs ten of the others
			}
			a, made, asked := alikeAuth(t, alg)
			sayTheSame(t, a, made)
			before := asked()
			for try := 1; ; try++ {
				medians := made.medians(t, a, tries)
				apart := spread(medians)
				t.Logf("%.1f %% apart: %v", 100*apart, medians)
				if apart <= within {
					break
				}
				// Another process may have had the machine: only a difference
				// that is there five times is one.
				if try == 5 {
					t.Errorf("the refusals can be told apart by their time: %.1f %%", 100*apart)
					break
				}
			}
			if after := asked(); after != before {
				t.Errorf("the issuer was asked %d times meanwhile", after-before)
			}
		})
	}
}

// alikeAuth is an authenticator for one algorithm, with forgeries and a count
// of how often the issuer was asked for its keys. It was asked just now.
func alikeAuth(t *testing.T, alg string) (*Authenticator, forgeries, func() int32) {
	t.Helper()
	if strings.HasPrefix(alg, "HS") {
		stranger := signer{method: jwt.GetSigningMethod(alg), private: []byte("another-secret-of-more-than-32-bytes-x7-")}
		return newAuth(t, newClock(), secretIssuer()), forge(t, shared(alg), stranger, with(nil)), func() int32 { return 0 }
	}
	genuine, stranger := newSigner(t, alg, "k1"), newSigner(t, alg, "k1")
	if one, ok := genuine.private.(*rsa.PrivateKey); ok && one.N.Cmp(stranger.private.(*rsa.PrivateKey).N) < 0 {
		// A number that is not below the modulus is refused at once (RFC 8017
		// §8.2.2): that tells of the public key alone.
		genuine, stranger = stranger, genuine
	}
	p := newIDP(t, genuine)
	a := newAuth(t, newClock(), remoteIssuer(p))
	made := forge(t, genuine, stranger, claimsOf(p))
	mustRefuse(t, a, made["unknown key id"][0], stagedoor.InvalidToken) // no question is due for ten seconds
	return a, made, p.asked.Load
}

// sayTheSame holds every forgery to one Kind and one text, which are all that
// an answer is made of.
func sayTheSame(t *testing.T, a *Authenticator, made forgeries) {
	t.Helper()
	for kind, tokens := range made {
		for _, token := range tokens {
			_, err := a.Authenticate(t.Context(), stagedoor.NewCredential(token))
			var e *stagedoor.Error
			if !errors.As(err, &e) || e.Kind != stagedoor.InvalidToken || e.Detail != generic || e.RetryAfter != 0 {
				t.Fatalf("%s: %+v", kind, err)
			}
		}
	}
}

// TestExpiryIsToldOnlyOfGenuineTokens: what is wrong with a token's claims,
// its expiry above all, is said to nobody but the holder of a genuine one.
func TestExpiryIsToldOnlyOfGenuineTokens(t *testing.T) {
	for _, alg := range []string{"HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"} {
		genuine, stranger := shared(alg), signer{}
		var issuer Issuer
		claims := with(nil)
		if genuine.method != nil && strings.HasPrefix(alg, "HS") {
			issuer = secretIssuer()
			stranger = signer{method: genuine.method, private: []byte("another-secret-of-more-than-32-bytes-x7-")}
		} else {
			genuine, stranger = newSigner(t, alg, "k1"), newSigner(t, alg, "k1")
			p := newIDP(t, genuine)
			issuer, claims = remoteIssuer(p), claimsOf(p)
		}
		a := newAuth(t, newClock(), issuer)
		mustAccept(t, a, genuine.sign(t, claims, nil))
		told := map[string]bool{}
		for name, changes := range map[string]map[string]any{
			"expired": {"exp": start.Add(-time.Hour).Unix()}, "without an end": {"exp": nil}, "of tomorrow": {"nbf": start.Add(time.Hour).Unix()},
			"for another": {"aud": "else"}, "nobody's": {"sub": nil}, "a LiveKit token": {"video": map[string]any{}}, "pending": {"sts": "pending"},
		} {
			bad := map[string]any{}
			for claim, value := range claims {
				bad[claim] = value
			}
			for claim, value := range changes {
				if bad[claim] = value; value == nil {
					delete(bad, claim)
				}
			}
			_, err := a.Authenticate(t.Context(), stagedoor.NewCredential(genuine.sign(t, bad, nil)))
			var e *stagedoor.Error
			if !errors.As(err, &e) || (e.Kind == stagedoor.ExpiredToken) != (name == "expired") || e.Detail == generic {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
			told[e.Detail] = true
			sayTheSame(t, a, forgeries{
				alg + " " + name + ", wrong signature": {tamper(genuine.sign(t, bad, nil))},
				alg + " " + name + ", wrong key":       {stranger.sign(t, bad, nil)},
			})
		}
		if len(told) != 7 {
			t.Errorf("%s: a genuine token's faults are told as %v", alg, told)
		}
	}
}
