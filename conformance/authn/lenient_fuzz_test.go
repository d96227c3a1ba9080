package authn

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
	"stagedoor/internal/authn"
)

// The caller's issuer as both verifiers know it.
const (
	fuzzIssuer   = "https://issuer.example"
	fuzzAudience = "door"
	fuzzMinting  = "APIminting"
	fuzzSecret   = "a-shared-secret-of-41-bytes-for-fuzzing-x"
	fuzzLeeway   = 30 * time.Second
)

// fuzzNow is when every token arrives.
var fuzzNow = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// errShort is the oracle's refusal that a deviation excuses.
var errShort = errors.New("a shared secret shorter than the hash")

// excused are the oracle's refusals in spite of which ours may accept, and
// why. There is no other: everything else must be as strict or stricter.
var excused = map[error]reason{errShort: oneSecretSize}

// fuzzKey is one key of the issuer's, both halves, and what signs with it.
type fuzzKey struct {
	kid     string
	algs    []string
	private any
	public  any
}

// fuzzKeys are the issuer's: one of each kind, and a second of one kind so
// that a token without a key id is ambiguous there. They are new in each run.
func fuzzKeys(f testing.TB) []fuzzKey {
	f.Helper()
	must := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	public, edKey, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	return []fuzzKey{
		{"", []string{"HS256", "HS384", "HS512"}, []byte(fuzzSecret), []byte(fuzzSecret)},
		{"rsa", []string{"RS256", "PS256"}, rsaKey, &rsaKey.PublicKey},
		{"p256", []string{"ES256"}, p256, &p256.PublicKey},
		{"other", []string{"ES256"}, other, &other.PublicKey},
		{"p384", []string{"ES384"}, p384, &p384.PublicKey},
		{"ed", []string{"EdDSA"}, edKey, public},
	}
}

// documentOf is the issuer's document.
func documentOf(f testing.TB, keys []fuzzKey) []byte {
	f.Helper()
	var list []map[string]any
	for _, k := range keys {
		switch public := k.public.(type) {
		case *rsa.PublicKey:
			list = append(list, map[string]any{"kty": "RSA", "kid": k.kid, "n": b64(public.N.Bytes()), "e": b64(big.NewInt(int64(public.E)).Bytes())})
		case *ecdsa.PublicKey:
			point, err := public.Bytes()
			if err != nil {
				f.Fatal(err)
			}
			half := len(point) / 2
			list = append(list, map[string]any{"kty": "EC", "kid": k.kid, "crv": public.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])})
		case ed25519.PublicKey:
			list = append(list, map[string]any{"kty": "OKP", "kid": k.kid, "crv": "Ed25519", "x": b64(public)})
		}
	}
	document, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		f.Fatal(err)
	}
	return document
}

// serving answers every question with one document.
type serving []byte

// RoundTrip answers.
func (s serving) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(bytes.NewReader(s))}, nil
}

// fuzzDoor is our verifier over the keys, loaded.
func fuzzDoor(f testing.TB, keys []fuzzKey) *authn.Authenticator {
	f.Helper()
	a, err := authn.New(authn.Options{MintingKeys: []string{fuzzMinting}, Now: func() time.Time { return fuzzNow },
		Log: slog.New(slog.DiscardHandler), Transport: serving(documentOf(f, keys)),
		Issuers: []authn.Issuer{
			{ID: fuzzIssuer, Remote: true, JWKSURL: fuzzIssuer + "/keys", Audiences: []string{fuzzAudience}},
			{Secrets: []stagedoor.Secret{stagedoor.NewSecret(fuzzSecret)}, Audiences: []string{fuzzAudience}},
		}})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { a.Run(ctx); close(done) }()
	f.Cleanup(func() { cancel(); <-done })
	for deadline := time.Now().Add(10 * time.Second); len(a.Degraded()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatal(a.Degraded())
		}
	}
	return a
}

// judge is golang-jwt with every rule of the door's that it has a word for.
func judge(token string, keys []fuzzKey) (subject string, err error) {
	options := []jwt.ParserOption{jwt.WithValidMethods(spoken), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(fuzzLeeway), jwt.WithAudience(fuzzAudience), jwt.WithTimeFunc(func() time.Time { return fuzzNow })}
	claims := jwt.MapClaims{}
	_, err = jwt.NewParser(options...).ParseWithClaims(token, claims, func(parsed *jwt.Token) (any, error) { return keyOf(parsed, keys) })
	if err != nil {
		return "", err
	}
	subject, err = claims.GetSubject()
	if err == nil && subject == "" {
		err = errors.New("no subject")
	}
	// RFC 7518 §3.2, which golang-jwt leaves to its callers.
	if alg := algorithmOf(token); err == nil && strings.HasPrefix(alg, "HS") && len(fuzzSecret) < hashes[alg].Size() {
		return subject, errShort
	}
	return subject, err
}

// keyOf picks the one key that may prove a token of its issuer, algorithm and id.
func keyOf(parsed *jwt.Token, keys []fuzzKey) (any, error) {
	alg := parsed.Method.Alg()
	issuer, err := parsed.Claims.GetIssuer()
	if err != nil || issuer == fuzzMinting || (issuer == fuzzIssuer) == strings.HasPrefix(alg, "HS") {
		return nil, errors.New("no issuer of this algorithm")
	}
	kid, named := parsed.Header["kid"].(string)
	var found []any
	for _, k := range keys {
		if slices.Contains(k.algs, alg) && (k.kid == "" || !named || kid == "" || kid == k.kid) {
			found = append(found, k.public)
		}
	}
	if len(found) != 1 {
		return nil, errors.New("no single key")
	}
	return found[0], nil
}

// What happens to a token between its signing and its arrival.
const (
	honest        = iota
	flipped       // one bit of the signature
	cut           // its last byte
	stranger      // signed with another key of the same kind
	publicSecret  // an HMAC under the bytes of a public key
	anotherMethod // signed by another algorithm than the header names
	padded        // with =
	broken        // with a line break in it
	unusedBits    // spelt otherwise
	rawParts      // header and payload as they are, not encoded
	swapped       // the payload of another token
	unsigned
	tampers
)

// forge signs header and payload with the key that which names, and tampers.
func forge(header, payload string, which, tamper, at uint8, keys []fuzzKey) string {
	k := keys[int(which)%len(keys)]
	alg := k.algs[int(which)/len(keys)%len(k.algs)]
	private := k.private
	switch tamper % tampers {
	case stranger:
		private = strangers(k.private)
	case publicSecret:
		alg, private = "HS256", []byte(fmt.Sprint(k.public))
		if point, ok := k.public.(ed25519.PublicKey); ok {
			private = []byte(point)
		}
	case anotherMethod:
		k = keys[(int(which)+1)%len(keys)]
		alg, private = k.algs[0], k.private
	}
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	if tamper%tampers == rawParts {
		input = header + "." + payload
	}
	signature, err := jwt.GetSigningMethod(alg).Sign(input, private)
	if err != nil || len(signature) == 0 {
		return input + "."
	}
	i := int(at) % len(signature)
	switch tamper % tampers {
	case flipped:
		signature[i] ^= 1 << (at % 8)
	case cut:
		signature = signature[:len(signature)-1]
	case padded:
		return input + "." + b64(signature) + "="
	case broken:
		spelt := b64(signature)
		return input + "." + spelt[:i] + "\n" + spelt[i:]
	case unusedBits:
		spelt := b64(signature)
		last := strings.IndexByte(alphabet, spelt[len(spelt)-1])
		return input + "." + spelt[:len(spelt)-1] + string(alphabet[last|1])
	case swapped:
		input = b64([]byte(header)) + "." + b64([]byte(strings.Replace(payload, "ann", "bob", 1)))
	case unsigned:
		return input + "."
	}
	return input + "." + b64(signature)
}

// strangerRSA is made once: it takes long.
var strangerRSA, _ = rsa.GenerateKey(rand.Reader, 2048)

// strangers is another private key of the same kind.
func strangers(private any) any {
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		other, _ := ecdsa.GenerateKey(k.Curve, rand.Reader)
		return other
	case ed25519.PrivateKey:
		_, other, _ := ed25519.GenerateKey(rand.Reader)
		return other
	case []byte:
		return append([]byte{'x'}, k...)
	}
	return strangerRSA
}

// seedPayloads are payloads that some verifier somewhere reads otherwise.
func seedPayloads() []string {
	const exp, now = 1795525200, 1795521600 // an hour from fuzzNow, and fuzzNow
	base := fmt.Sprintf(`"sub":"ann","aud":"door","exp":%d`, exp)
	var list []string
	for _, extra := range []string{
		``, `,"iat":1795521600,"nbf":1795521600`, `,"iat":1795521631`, `,"nbf":1795521630.5`, `,"nbf":-1e300`, `,"iat":"1795521600"`, `,"nbf":null`,
		`,"exp":99999999999`, `,"Exp":0`, `,"aud":["x"]`, `,"video":{}`, `,"sts":"pending"`, `,"sub":"bob"`, `,"jti":"\ud800"`, `,"email":"a@b.example"`,
	} {
		list = append(list, `{`+base+extra+`}`)
	}
	for _, whole := range []string{
		`{"sub":"ann","aud":["x","door"],"exp":1795521571}`, `{"sub":"ann","aud":"door","exp":1795521570}`, `{"sub":"ann","aud":"door","exp":1795521570.5}`,
		`{"sub":"ann","aud":"door"}`, `{"sub":"","aud":"door","exp":1795525200}`, `{"sub":7,"aud":"door","exp":1795525200}`, `{"sub":"ann","aud":["door",7],"exp":1795525200}`,
		`{"sub":"ann","aud":"door","exp":1e999}`, `{"sub":"ann","aud":"door","exp":"1795525200"}`, `{"sub":"ann","aud":null,"exp":1795525200}`, `[]`, `null`, ``,
	} {
		list = append(list, whole)
	}
	return list
}

// FuzzOursIsNeverMoreLenient makes tokens of any header and payload, signs
// them with a key that is good or not, tampers, and gives them to our verifier
// and to golang-jwt under the same rules. What ours accepts the other accepts
// too, with the same subject; what ours refuses is its own affair.
func FuzzOursIsNeverMoreLenient(f *testing.F) {
	jwt.TimePrecision = time.Microsecond // or the oracle cuts an expiry to whole seconds
	keys := fuzzKeys(f)
	door := fuzzDoor(f, keys)
	for which := range uint8(2 * len(keys)) {
		k := keys[int(which)%len(keys)]
		alg := k.algs[int(which)/len(keys)%len(k.algs)]
		header := fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":%q}`, alg, k.kid)
		for i, payload := range seedPayloads() {
			if k.kid != "" {
				payload = strings.Replace(payload, `{"sub"`, `{"iss":"`+fuzzIssuer+`","sub"`, 1)
			}
			f.Add(header, payload, which, uint8(honest), uint8(i))
			if i == 0 {
				addTampers(f, header, payload, alg, which)
			}
		}
	}
	f.Fuzz(func(t *testing.T, header, payload string, which, tamper, at uint8) {
		token := forge(header, payload, which, tamper, at, keys)
		principal, err := door.Authenticate(t.Context(), stagedoor.NewCredential(token))
		if err != nil {
			if kind := stagedoor.KindOf(err); kind != stagedoor.InvalidToken && kind != stagedoor.ExpiredToken && kind != stagedoor.IdentityNotAllowed {
				t.Fatalf("refused as %v: %v", kind, err)
			}
			return
		}
		subject, refused := judge(token, keys)
		if _, ok := excused[refused]; refused != nil && !ok {
			t.Fatalf("we accept what golang-jwt refuses (%v): %s . %s . %s", refused, header, payload, token)
		}
		if principal.Subject != subject || len(token) > authn.MaxTokenBytes {
			t.Fatalf("we read %q, golang-jwt %q: %s", principal.Subject, subject, token)
		}
		// Nothing but an honest token, or one that tampering left as it was.
		if tamper%tampers == unsigned || tamper%tampers == flipped || tamper%tampers == cut {
			t.Fatalf("a tampered token was accepted: %s", token)
		}
	})
}

// addTampers seeds every way of tampering and every suspicious header.
func addTampers(f *testing.F, header, payload, alg string, which uint8) {
	f.Helper()
	for tamper := range uint8(tampers) {
		f.Add(header, payload, which, tamper, uint8(7))
	}
	for _, suspicious := range []string{
		`{"alg":%q}`, `{"alg":"none"}`, `{"alg":%q,"kid":"nobody"}`, `{"alg":%q,"kid":""}`, `{"alg":%q,"kid":7}`, `{"alg":%q,"crit":["exp"],"exp":1}`, `{"alg":%q,"b64":false}`,
		`{"alg":"none","alg":%q}`, `{"Alg":%q}`, `{"alg":%q,"typ":"logout+jwt"}`, `{"alg":%q,"jwk":{"kty":"oct","k":"AAAA"}}`, `{"alg":%q,"jku":"https://evil.example"}`,
	} {
		if strings.Contains(suspicious, "%q") {
			suspicious = fmt.Sprintf(suspicious, alg)
		}
		f.Add(suspicious, payload, which, uint8(honest), uint8(0))
	}
}

// TestFuzzedTokensAreAccepted: the harness of FuzzOursIsNeverMoreLenient
// reaches acceptance with every key and algorithm, or it would compare
// refusals alone; and the one excuse is needed.
func TestFuzzedTokensAreAccepted(t *testing.T) {
	keys := fuzzKeys(t)
	door := fuzzDoor(t, keys)
	needed := map[error]bool{}
	for which := range uint8(3 * len(keys)) {
		k := keys[int(which)%len(keys)]
		alg := k.algs[int(which)/len(keys)%len(k.algs)]
		payload := `{"sub":"ann","aud":"door","exp":1795525200}`
		if k.kid != "" {
			payload = strings.Replace(payload, `{`, `{"iss":"`+fuzzIssuer+`",`, 1)
		}
		token := forge(fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, k.kid), payload, which, honest, 0, keys)
		principal, err := door.Authenticate(t.Context(), stagedoor.NewCredential(token))
		if err != nil || principal.Subject != "ann" {
			t.Errorf("%s: %v", alg, err)
		}
		_, err = judge(token, keys)
		if _, ok := excused[err]; err != nil && !ok {
			t.Errorf("%s: golang-jwt refuses: %v", alg, err)
		}
		needed[err] = true
	}
	for refusal, why := range excused {
		if !needed[refusal] {
			t.Errorf("no token needs to be excused for %s", why)
		}
	}
}
