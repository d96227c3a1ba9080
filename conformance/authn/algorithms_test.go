package authn

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"stagedoor"
	"stagedoor/internal/authn"
)

// TestEveryKeyWithEveryAlgorithm lets each party sign under every algorithm's
// name and gives the token to each party's keys: it verifies only with the
// signer's own, and only under an algorithm that is spoken and that the key is for.
func TestEveryKeyWithEveryAlgorithm(t *testing.T) {
	all := parties(t)
	took := map[string]int{}
	for _, signer := range all {
		for alg := range hashes {
			for _, kid := range []string{"", "key-1", "key-2"} {
				header := map[string]any{"alg": alg}
				if kid != "" {
					header["kid"] = kid
				}
				token := signer.token(t, header)
				for _, holder := range all {
					want := holder.name == signer.name && slices.Contains(signer.fits, alg) &&
						(kid != "key-2" || holder.jwk == nil) // a shared secret has no id
					ok, err := accepted(holder.keys(t, map[string]any{"kid": "key-1"}), token)
					if ok != want {
						t.Errorf("%s signed by %s, kid %q, verified by %s: %t (%v)", alg, signer.name, kid, holder.name, ok, err)
					}
					if ok {
						took[alg]++
					}
				}
			}
		}
	}
	for _, alg := range spoken {
		want := 2
		if strings.HasPrefix(alg, "HS") {
			want = 3
		}
		if took[alg] != want {
			t.Errorf("%s verified %d times, want %d", alg, took[alg], want)
		}
	}
	if len(took) != len(spoken) {
		t.Errorf("algorithms that verified: %v", took)
	}
}

// TestKeyForOneAlgorithm: a key whose alg is named serves that one alone,
// though its numbers would do for another (RFC 8725 §3.1).
func TestKeyForOneAlgorithm(t *testing.T) {
	p := rsaParty(t)
	for _, named := range []string{"RS256", "PS256", "RS512", "ES256", "HS256", "RSA-OAEP"} {
		for _, alg := range p.fits {
			ok, err := accepted(p.keys(t, map[string]any{"alg": named}), p.token(t, map[string]any{"alg": alg}))
			if ok != (named == alg) {
				t.Errorf("a key for %s under %s: %t (%v)", named, alg, ok, err)
			}
		}
	}
}

// TestAmbiguousKeys: a token that could mean two keys means none, whether it
// names no key or two have the name.
func TestAmbiguousKeys(t *testing.T) {
	first, second := rsaParty(t), rsaParty(t)
	set := func(ids ...string) authn.KeySet {
		first.jwk["kid"], second.jwk["kid"] = ids[0], ids[1]
		document, err := json.Marshal(map[string]any{"keys": []any{first.jwk, second.jwk}})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := authn.ParseJWKS(document)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	named := map[string]any{"alg": "RS256", "kid": "a"}
	nameless := map[string]any{"alg": "RS256"}
	cases := []struct {
		name   string
		keys   authn.KeySet
		header map[string]any
		want   bool
	}{
		{"named apart", set("a", "b"), named, true},
		{"not named by the token", set("a", "b"), nameless, false},
		{"of one name", set("a", "a"), named, false},
		{"without names", set("", ""), named, false},
		{"without names on either side", set("", ""), nameless, false},
	}
	for _, c := range cases {
		if ok, err := accepted(c.keys, first.token(t, c.header)); ok != c.want {
			t.Errorf("two keys %s: %t (%v)", c.name, ok, err)
		}
	}
}

// TestShortSecrets: 32 bytes are the least for each of the three hashes, and
// enough for each, though RFC 7518 §3.2 wants a secret as long as the hash: the
// SPEC comment at authn.SecretKeys says why.
func TestShortSecrets(t *testing.T) {
	for _, size := range []int{0, 1, 16, 31} {
		if _, err := authn.SecretKeys(stagedoor.NewSecret(strings.Repeat("s", size))); err == nil {
			t.Errorf("a secret of %d bytes is taken", size)
		}
		if _, err := authn.SecretKeys(stagedoor.NewSecret(strings.Repeat("s", 64)), stagedoor.NewSecret(strings.Repeat("s", size))); err == nil {
			t.Errorf("a second secret of %d bytes is taken", size)
		}
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		for _, size := range []int{32, 47, 48, 63, 64, 200} {
			secret := []byte(strings.Repeat("s", size))
			p := party{secret: secret, sign: func(t *testing.T, alg string, input []byte) []byte { return mac(alg, secret, input) }}
			token := p.token(t, map[string]any{"alg": alg})
			if ok, err := accepted(p.keys(t, nil), token); !ok {
				t.Errorf("%s with %d bytes: %v", alg, size, err)
			}
			// One byte less or another is another secret.
			for _, other := range []string{string(secret[1:]) + "t", string(secret) + "s"} {
				p.secret = []byte(other)
				if ok, _ := accepted(p.keys(t, nil), token); ok {
					t.Errorf("%s with %d bytes verifies with another secret", alg, size)
				}
			}
		}
	}
}

// TestPublicKeyIsNoSecret signs with HMAC under each spelling of a public key
// that an attacker has, and with none (CVE-2015-9235 and its kin).
func TestPublicKeyIsNoSecret(t *testing.T) {
	for _, p := range parties(t) {
		if p.jwk == nil {
			continue
		}
		document, err := json.Marshal(p.jwk)
		if err != nil {
			t.Fatal(err)
		}
		guesses := [][]byte{nil, document}
		for _, member := range []string{"n", "e", "x", "y"} {
			if text, ok := p.jwk[member].(string); ok {
				data, _ := base64.RawURLEncoding.DecodeString(text)
				guesses = append(guesses, data, []byte(text))
			}
		}
		keys := p.keys(t, nil)
		for _, guess := range guesses {
			for _, hash := range []string{"HS256", "HS384", "HS512"} {
				forger := party{sign: func(t *testing.T, _ string, input []byte) []byte { return mac(hash, guess, input) }}
				for alg := range hashes {
					if ok, _ := accepted(keys, forger.token(t, map[string]any{"alg": alg})); ok {
						t.Errorf("%s: an HMAC passes as %s", p.name, alg)
					}
				}
			}
		}
	}
}

// TestEdDSAKnownAnswer is the example of RFC 8037, appendix A.4.
func TestEdDSAKnownAnswer(t *testing.T) {
	set, err := authn.ParseJWKS([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	const input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
	const signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	if ok, err := accepted(set, input+"."+signature); !ok {
		t.Fatal(err)
	}
	// S plus the order of the group is the same scalar: RFC 8032 §5.1.7 refuses it.
	data, _ := base64.RawURLEncoding.DecodeString(signature)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	scalar := slices.Clone(data[32:])
	slices.Reverse(scalar)
	sum := new(big.Int).Add(new(big.Int).SetBytes(scalar), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	if ok, _ := accepted(set, input+"."+b64(append(data[:32:32], sum...))); ok {
		t.Error("a second signature of the same message verifies")
	}
}

// TestSignatureInDER: JWS has r and s of fixed size; the other encoding is refused.
func TestSignatureInDER(t *testing.T) {
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384()} {
		p := ecParty(t, curve.Params().Name, curve, alg)
		raw := p.sign
		p.sign = func(t *testing.T, alg string, input []byte) []byte {
			signature := raw(t, alg, input)
			return der(signature[:len(signature)/2], signature[len(signature)/2:])
		}
		if ok, _ := accepted(p.keys(t, nil), p.token(t, map[string]any{"alg": alg})); ok {
			t.Errorf("%s: a DER signature verifies", alg)
		}
	}
}

// der encodes two positive integers as an ASN.1 sequence shorter than 128 bytes.
func der(r, s []byte) []byte {
	integer := func(value []byte) []byte {
		value = new(big.Int).SetBytes(value).Bytes()
		if value[0] >= 0x80 {
			value = append([]byte{0}, value...)
		}
		return append([]byte{2, byte(len(value))}, value...)
	}
	body := append(integer(r), integer(s)...)
	return append([]byte{0x30, byte(len(body))}, body...)
}
