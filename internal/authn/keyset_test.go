package authn

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

// change returns a copy of a JWK with members replaced; nil deletes.
func change(jwk map[string]any, changes map[string]any) map[string]any {
	out := make(map[string]any)
	for name, value := range jwk {
		out[name] = value
	}
	for name, value := range changes {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

func setOf(t *testing.T, jwks ...map[string]any) KeySet {
	t.Helper()
	data, err := json.Marshal(map[string]any{"keys": jwks})
	if err != nil {
		t.Fatal(err)
	}
	set, err := ParseJWKS(data)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestUnfitKeysAreLeftOutOneByOne(t *testing.T) {
	good, rs, ed := newSigner(t, "ES256", "good"), newSigner(t, "RS256", "bad"), newSigner(t, "EdDSA", "bad")
	bad := newSigner(t, "ES256", "bad").jwk()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, unfit := range map[string]map[string]any{
		"for encryption":             change(bad, map[string]any{"use": "enc"}),
		"an empty use":               change(bad, map[string]any{"use": ""}),
		"key_ops without verify":     change(bad, map[string]any{"key_ops": []string{"sign"}}),
		"TestSymmetricRemoteKeyOut":  {"kty": "oct", "kid": "bad", "k": b64([]byte(secretText)), "alg": "HS256"},
		"a private key":              change(bad, map[string]any{"d": b64([]byte("private"))}),
		"RSA of a flawed library":    change(rs.jwk(), map[string]any{"n": b64(flawedModulus().Bytes())}),
		"RSA of 1024 bits":           change(rs.jwk(), map[string]any{"n": b64(small.N.Bytes())}),
		"RSA of 16384 bits":          change(rs.jwk(), map[string]any{"n": b64(new(big.Int).SetBit(new(big.Int), 16383, 1).Bytes())}),
		"RSA with an even exponent":  change(rs.jwk(), map[string]any{"e": b64([]byte{2})}),
		"RSA that claims ES256":      change(rs.jwk(), map[string]any{"alg": "ES256"}),
		"an unknown alg":             change(bad, map[string]any{"alg": "ES256K"}),
		"P-256 that claims ES384":    change(bad, map[string]any{"alg": "ES384"}),
		"a point off the curve":      change(bad, map[string]any{"x": b64(make([]byte, 32))}),
		"P-521":                      change(bad, map[string]any{"crv": "P-521"}),
		"Ed25519 of the wrong size":  change(ed.jwk(), map[string]any{"x": b64(make([]byte, 31))}),
		"X25519":                     change(ed.jwk(), map[string]any{"crv": "X25519", "alg": nil}),
		"a kty nobody knows":         change(bad, map[string]any{"kty": "LMS"}),
		"members of the wrong type":  change(bad, map[string]any{"x": 7}),
		"nothing at all":             {},
		"a kid that is not a string": change(bad, map[string]any{"kid": 7}),
	} {
		t.Run(name, func(t *testing.T) {
			set := setOf(t, unfit, good.jwk())
			if set.Len() != 1 || set.keys[0].id != "good" {
				t.Errorf("kept %d keys", set.Len())
			}
		})
	}
}

func TestKeysWithoutHintsAreAccepted(t *testing.T) {
	s := newSigner(t, "RS256", "k1")
	bare := change(s.jwk(), map[string]any{"use": nil, "alg": nil, "x5c": []string{"ignored"}, "x5u": "https://evil.example"})
	set := setOf(t, bare)
	for _, alg := range []string{"RS256", "PS256"} {
		s.method = jwt.GetSigningMethod(alg)
		j, err := ParseJWS(s.sign(t, with(nil), nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Verify(j); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestKeysThatShareAnIDAreRefused(t *testing.T) {
	a, b, other := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1"), newSigner(t, "RS256", "k1")
	set := setOf(t, a.jwk(), b.jwk(), other.jwk())
	if set.Len() != 1 || set.keys[0].kind != "RSA" {
		t.Errorf("kept %+v", set.keys)
	}
}

func TestTokenWithoutKeyIDNeedsASingleKey(t *testing.T) {
	a, b, rs := newSigner(t, "ES256", "a"), newSigner(t, "ES256", "b"), newSigner(t, "RS256", "c")
	j, err := ParseJWS(a.sign(t, with(nil), map[string]any{"kid": nil}))
	if err != nil {
		t.Fatal(err)
	}
	if err := setOf(t, a.jwk(), rs.jwk()).Verify(j); err != nil {
		t.Errorf("the only key of its kind: %v", err)
	}
	if err := setOf(t, a.jwk(), b.jwk()).Verify(j); err == nil {
		t.Error("one of two keys was guessed")
	}
}

func TestZeroKeySetVerifiesNothing(t *testing.T) {
	j, err := ParseJWS(shared("HS256").sign(t, with(nil), nil))
	if err != nil {
		t.Fatal(err)
	}
	if (KeySet{}).Verify(j) == nil {
		t.Error("verified without keys")
	}
	if err := (KeySet{}).Verify(JWS{}); err == nil {
		t.Error("verified nothing with nothing")
	}
}

// flawedModulus has the fingerprint and more than 2048 bits: it is built from
// residues that are powers of 65537, as the flawed library's are.
func flawedModulus() *big.Int {
	order := big.NewInt(1)
	for prime := range rocaMarks {
		order.Mul(order, big.NewInt(prime))
	}
	flawed := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123457), order)
	return flawed.Add(flawed, new(big.Int).Lsh(order, 2000))
}

func TestROCAFingerprintIsRefused(t *testing.T) {
	if !isROCA(flawedModulus()) {
		t.Error("a flawed modulus passed")
	}
	for range 20 {
		if isROCA(newSigner(t, "RS256", "").private.(*rsa.PrivateKey).N) {
			t.Error("a sound modulus was refused")
		}
	}
}

func FuzzParseJWKS(f *testing.F) {
	f.Add(jwksOf(newSigner(f, "ES256", "a"), newSigner(f, "EdDSA", "b")))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""},null,7]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseJWKS(data)
		if err != nil && set.Len() != 0 {
			t.Fatal("keys beside an error")
		}
		for _, k := range set.keys {
			if k.kind == "oct" || k.public == nil {
				t.Fatalf("kept %+v", k)
			}
		}
	})
}

func FuzzAuthenticate(f *testing.F) {
	a := newAuth(f, newClock(), secretIssuer())
	f.Add(shared("HS256").sign(f, with(nil), nil))
	f.Add("a.b.c")
	f.Add(raw(`{"alg":"HS256","crit":[]}`, `{"sub":1}`))
	f.Fuzz(func(t *testing.T, token string) {
		p, err := a.Authenticate(t.Context(), stagedoor.NewCredential(token))
		if err == nil {
			// Whatever is accepted must verify for an independent reader too.
			_, again := jwt.NewParser(jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}), jwt.WithoutClaimsValidation()).
				Parse(token, func(*jwt.Token) (any, error) { return []byte(secretText), nil })
			if again != nil || p.Subject == "" {
				t.Fatalf("accepted %q: %v", token, again)
			}
			return
		}
		if kind := stagedoor.KindOf(err); kind == stagedoor.Internal {
			t.Fatalf("an error nobody classified: %v", err)
		}
	})
}
