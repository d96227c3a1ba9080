package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

const (
	maxKeys       = 64
	minRSABits    = 2048
	maxRSABits    = 8192
	minSecretSize = 32
)

var (
	errUnknownKey   = errors.New("no key fits the token's key id and algorithm")
	errBadSignature = errors.New("the signature does not fit")
	errNoUsableKey  = errors.New("the issuer publishes no usable key")
)

// algorithm ties a JWS algorithm to the one family of keys that may serve it,
// so that a public key can never be used as an HMAC secret.
type algorithm struct {
	kind   string // oct, RSA, P-256, P-384, Ed25519
	method jwt.SigningMethod
}

// algorithms are all that this package speaks.
//
// SPEC: RFC 7518 §3.1, RFC 8037 §3.1.
var algorithms = map[string]algorithm{
	"HS256": {"oct", jwt.SigningMethodHS256},
	"HS384": {"oct", jwt.SigningMethodHS384},
	"HS512": {"oct", jwt.SigningMethodHS512},
	"RS256": {"RSA", jwt.SigningMethodRS256},
	"PS256": {"RSA", strictPS256},
	"ES256": {"P-256", jwt.SigningMethodES256},
	"ES384": {"P-384", jwt.SigningMethodES384},
	"EdDSA": {"Ed25519", jwt.SigningMethodEdDSA},
}

// strictPS256 demands a salt as long as the hash; the library's own method
// takes any length.
//
// SPEC: RFC 7518 §3.5.
var strictPS256 = &jwt.SigningMethodRSAPSS{
	SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA,
	Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256},
}

type key struct {
	id     string
	kind   string
	alg    string // the only algorithm the key is for; empty: any of its kind
	public any    // []byte for oct
	source jwk    // what it was read from; zero for oct
}

// KeySet is an immutable set of verification keys. The zero value verifies
// nothing. Safe for concurrent use.
type KeySet struct{ keys []key }

// Len returns how many usable keys there are.
func (s KeySet) Len() int { return len(s.keys) }

// SecretKeys returns the set of shared secrets, each good for HS256, HS384
// and HS512. It fails on a secret under 32 bytes.
//
// SPEC: RFC 7518 §3.2 wants a key as long as the hash. 256 bits are taken for
// all three: what an operator may configure does not depend on what callers'
// tokens say, and a guesser faces the same 256 bits as with HS256.
func SecretKeys(secrets ...stagedoor.Secret) (KeySet, error) {
	var set KeySet
	for _, secret := range secrets {
		if secret.Len() < minSecretSize {
			return KeySet{}, fmt.Errorf("a shared secret has %d bytes, %d are needed", secret.Len(), minSecretSize)
		}
		set.keys = append(set.keys, key{kind: "oct", public: []byte(secret.Reveal())})
	}
	return set, nil
}

// jwk is what is read of a JSON Web Key; D and K only to see that they are absent.
type jwk struct {
	Kty    string         `json:"kty"`
	Use    *string        `json:"use,omitzero"`
	KeyOps []string       `json:"key_ops,omitzero"`
	Alg    string         `json:"alg,omitzero"`
	Kid    string         `json:"kid,omitzero"`
	Crv    string         `json:"crv,omitzero"`
	X      string         `json:"x,omitzero"`
	Y      string         `json:"y,omitzero"`
	N      string         `json:"n,omitzero"`
	E      string         `json:"e,omitzero"`
	D      jsontext.Value `json:"d,omitzero"`
	K      jsontext.Value `json:"k,omitzero"`
}

// usableKeys is ParseJWKS for a set that must hold at least one usable key.
func usableKeys(data []byte) (KeySet, error) {
	keys, err := ParseJWKS(data)
	if err == nil && keys.Len() == 0 {
		err = errNoUsableKey
	}
	return keys, err
}

// encode writes the usable keys as a key set that ParseJWKS reads back equal.
// A key with private parts is not usable, so that none is written.
func (s KeySet) encode() ([]byte, error) {
	document := struct {
		Keys []jwk `json:"keys"`
	}{Keys: make([]jwk, len(s.keys))}
	for i, k := range s.keys {
		document.Keys[i] = k.source
	}
	return json.Marshal(document)
}

// ParseJWKS reads an issuer's key set. A key that is not for signatures, not
// of a kind we speak, too small, private or symmetric, or that shares its id
// and kind with another is left out by itself; the rest still counts. It fails
// on bytes that are not a key set and on one of more than 64 keys.
//
// SPEC: RFC 7517 §4.2, §4.3, §4.5, §5.
func ParseJWKS(data []byte) (KeySet, error) {
	var document struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return KeySet{}, errors.New("not a strict JSON key set")
	}
	if document.Keys == nil {
		return KeySet{}, errors.New("a key set without keys")
	}
	if len(document.Keys) > maxKeys {
		return KeySet{}, fmt.Errorf("a key set of %d keys, at most %d are taken", len(document.Keys), maxKeys)
	}
	var set KeySet
	count := make(map[[2]string]int)
	for _, raw := range document.Keys {
		if k, err := parseKey(raw); err == nil {
			set.keys = append(set.keys, k)
			count[[2]string{k.id, k.kind}]++
		}
	}
	set.keys = slices.DeleteFunc(set.keys, func(k key) bool {
		return k.id != "" && count[[2]string{k.id, k.kind}] > 1
	})
	return set, nil
}

// parseKey reads one public signature key, or says why it is not one.
func parseKey(raw []byte) (key, error) {
	var j jwk
	if err := json.Unmarshal(raw, &j); err != nil {
		return key{}, errors.New("not a strict JSON key")
	}
	switch {
	case j.D != nil || j.K != nil:
		return key{}, errors.New("private or symmetric key material")
	case j.Use != nil && *j.Use != "sig":
		return key{}, errors.New("not for signatures")
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return key{}, errors.New("not for verifying")
	}
	// Only the key's own numbers reach the library: no certificate, no address.
	parsed, err := jwkset.NewJWKFromMarshal(
		jwkset.JWKMarshal{KTY: jwkset.KTY(j.Kty), CRV: jwkset.CRV(j.Crv), X: j.X, Y: j.Y, N: j.N, E: j.E},
		jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return key{}, err
	}
	k := key{id: j.Kid, alg: j.Alg, public: parsed.Key(), source: j}
	switch public := parsed.Key().(type) {
	case *rsa.PublicKey:
		k.kind = "RSA"
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits || isROCA(public.N) || public.E < 3 || public.E%2 == 0 {
			return key{}, errors.New("an RSA key of a weak or absurd modulus or exponent")
		}
	case *ecdsa.PublicKey:
		k.kind = public.Params().Name
	case ed25519.PublicKey:
		k.kind = "Ed25519"
	default:
		return key{}, errors.New("a kind of key we do not speak")
	}
	if k.alg != "" && algorithms[k.alg].kind != k.kind {
		return key{}, errors.New("an algorithm that the key cannot serve")
	}
	return k, nil
}

// Verify checks the signature with the one key the token can mean: the key of
// its id or, when it names none, the only one that fits its algorithm. Shared
// secrets have no id and are tried in turn. A token whose key is not there
// costs a verification too, so that time does not tell one refusal from another.
//
// SPEC: RFC 7515 §4.1.4, OpenID Connect Core §10.1 (kid with several keys).
func (s KeySet) Verify(j JWS) error {
	spec, known := algorithms[j.Alg]
	if !known {
		return errUnknownKey
	}
	var fit, decoy []key
	for _, k := range s.keys {
		if k.kind != spec.kind || (k.alg != "" && k.alg != j.Alg) {
			continue
		}
		decoy = append(decoy, k)
		if k.kind == "oct" || j.Kid == "" || k.id == j.Kid {
			fit = append(fit, k)
		}
	}
	if len(fit) == 0 || (spec.kind != "oct" && len(fit) > 1) {
		if len(decoy) > 0 {
			_ = spec.method.Verify(j.signed, j.signature, decoy[0].public)
		}
		return errUnknownKey
	}
	for _, k := range fit {
		if spec.method.Verify(j.signed, j.signature, k.public) == nil {
			return nil
		}
	}
	return errBadSignature
}
