package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"encoding/base64"
	"encoding/json"
	"testing"

	"stagedoor"
	"stagedoor/internal/authn"
)

// The corpora hold no vector for ES384 and EdDSA. These parties sign with the
// standard library alone, so that what the verifier uses is not its own judge.

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// hashes are what each algorithm hashes with; none for EdDSA.
var hashes = map[string]crypto.Hash{
	"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512,
	"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512,
	"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512,
	"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512, "ES256K": crypto.SHA256,
	"EdDSA": 0, "Ed25519": 0,
}

// party is somebody with one key of one kind.
type party struct {
	name   string
	jwk    map[string]any // public; nil for a shared secret
	secret []byte
	fits   []string // the algorithms the key serves
	sign   func(t *testing.T, alg string, input []byte) []byte
}

func digest(alg string, input []byte) []byte {
	h := hashes[alg].New()
	h.Write(input)
	return h.Sum(nil)
}

// parties returns one party for each kind of key, and P-521 besides.
func parties(t *testing.T) []party {
	t.Helper()
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 64)
	_, _ = rand.Read(secret)
	return []party{
		ecParty(t, "P-256", elliptic.P256(), "ES256"),
		ecParty(t, "P-384", elliptic.P384(), "ES384"),
		ecParty(t, "P-521", elliptic.P521()),
		rsaParty(t),
		{name: "Ed25519", fits: []string{"EdDSA"},
			jwk: map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(edKey.Public().(ed25519.PublicKey))},
			sign: func(t *testing.T, alg string, input []byte) []byte {
				return ed25519.Sign(edKey, input)
			}},
		{name: "secret", fits: []string{"HS256", "HS384", "HS512"}, secret: secret,
			sign: func(t *testing.T, alg string, input []byte) []byte { return mac(alg, secret, input) }},
	}
}

// mac signs with HMAC; under an algorithm that has no hash, with SHA-256.
func mac(alg string, key, input []byte) []byte {
	hash := hashes[alg]
	if hash == 0 {
		hash = crypto.SHA256
	}
	m := hmac.New(hash.New, key)
	m.Write(input)
	return m.Sum(nil)
}

func ecParty(t *testing.T, name string, curve elliptic.Curve, fits ...string) party {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	size := len(point) / 2
	return party{name: name, fits: fits,
		jwk: map[string]any{"kty": "EC", "crv": name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])},
		sign: func(t *testing.T, alg string, input []byte) []byte {
			if hashes[alg] == 0 {
				alg = "ES256"
			}
			r, s, err := ecdsa.Sign(rand.Reader, key, digest(alg, input))
			if err != nil {
				t.Fatal(err)
			}
			return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}}
}

func rsaParty(t *testing.T) party {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return party{name: "RSA", fits: []string{"RS256", "PS256"},
		jwk: map[string]any{"kty": "RSA", "n": b64(key.N.Bytes()), "e": "AQAB"},
		sign: func(t *testing.T, alg string, input []byte) []byte {
			hash := hashes[alg]
			if hash == 0 {
				alg, hash = "RS256", crypto.SHA256
			}
			if alg[0] == 'P' {
				signature, err := rsa.SignPSS(rand.Reader, key, hash, digest(alg, input),
					&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
				if err != nil {
					t.Fatal(err)
				}
				return signature
			}
			signature, err := rsa.SignPKCS1v15(rand.Reader, key, hash, digest(alg, input))
			if err != nil {
				t.Fatal(err)
			}
			return signature
		}}
}

// keys returns the party's key as the verifier gets it; alg, use and kid as given.
func (p party) keys(t *testing.T, members map[string]any) authn.KeySet {
	t.Helper()
	if p.jwk == nil {
		set, err := authn.SecretKeys(stagedoor.NewSecret(string(p.secret)))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	jwk := map[string]any{}
	for _, part := range []map[string]any{p.jwk, members} {
		for name, value := range part {
			jwk[name] = value
		}
	}
	document, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := authn.ParseJWKS(document)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// token signs a payload with the header given.
func (p party) token(t *testing.T, header map[string]any) string {
	t.Helper()
	encoded, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	input := b64(encoded) + "." + b64([]byte(`{"sub":"ann"}`))
	return input + "." + b64(p.sign(t, header["alg"].(string), []byte(input)))
}
