package authn

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

const secretText = "k3J9-test-secret-of-more-than-32-bytes-x7"

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: start} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// signer is a private key with its id.
type signer struct {
	kid     string
	method  jwt.SigningMethod
	private crypto.PrivateKey
}

func newSigner(t testing.TB, alg, kid string) signer {
	t.Helper()
	s := signer{kid: kid, method: jwt.GetSigningMethod(alg)}
	var err error
	switch alg {
	case "RS256", "PS256", "RS384":
		s.private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		s.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		s.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "EdDSA":
		_, s.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no key for %s", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// jwk is the public key as an issuer publishes it.
func (s signer) jwk() map[string]any {
	j := map[string]any{"kid": s.kid, "use": "sig", "alg": s.method.Alg()}
	switch k := s.private.(type) {
	case *rsa.PrivateKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PrivateKey:
		size := (k.Params().BitSize + 7) / 8
		j["kty"], j["crv"] = "EC", k.Params().Name
		j["x"], j["y"] = b64(k.X.FillBytes(make([]byte, size))), b64(k.Y.FillBytes(make([]byte, size)))
	case ed25519.PrivateKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(k.Public().(ed25519.PublicKey))
	}
	return j
}

// sign makes a token with the given claims and changes to the header.
func (s signer) sign(t testing.TB, claims map[string]any, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(s.method, jwt.MapClaims(claims))
	if s.kid != "" {
		token.Header["kid"] = s.kid
	}
	for name, value := range header {
		if token.Header[name] = value; value == nil {
			delete(token.Header, name)
		}
	}
	signed, err := token.SignedString(s.private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// shared signs with the shared secret.
func shared(alg string) signer {
	return signer{method: jwt.GetSigningMethod(alg), private: []byte(secretText)}
}

// with returns the claims of a good token with changes; nil deletes.
func with(changes map[string]any) map[string]any {
	claims := map[string]any{"sub": "ann", "exp": start.Add(time.Hour).Unix(), "iat": start.Unix()}
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func jwksOf(signers ...signer) []byte {
	keys := make([]map[string]any, 0, len(signers))
	for _, s := range signers {
		keys = append(keys, s.jwk())
	}
	data, _ := json.Marshal(map[string]any{"keys": keys})
	return data
}

// idp is an identity provider whose keys and behaviour tests change.
type idp struct {
	*httptest.Server
	mu        sync.Mutex
	jwks      []byte
	discovery map[string]any
	handler   http.HandlerFunc // replaces the answer for the keys
	asked     atomic.Int32     // questions for the keys
}

func newIDP(t testing.TB, signers ...signer) *idp {
	t.Helper()
	p := &idp{jwks: jwksOf(signers...)}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = json.NewEncoder(w).Encode(p.discovery)
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		handler, jwks := p.handler, p.jwks
		p.mu.Unlock()
		if handler != nil {
			handler(w, r)
			return
		}
		_, _ = w.Write(jwks)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	p.discovery = map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}
	return p
}

func (p *idp) publish(signers ...signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jwks = jwksOf(signers...)
}

func (p *idp) answer(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = h
}

func onLoopback(host string) bool { return host == "127.0.0.1" }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newAuth builds an authenticator over the issuers; keys of remote ones are
// loaded once, without the background loop.
func newAuth(t testing.TB, c *clock, issuers ...Issuer) *Authenticator {
	t.Helper()
	a, err := New(Options{Issuers: issuers, MintingKeys: []string{"APIminting"}, Now: c.now, Log: quiet(), PlainHTTP: onLoopback})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range a.issuers {
		if i.live != nil {
			_ = load(i.live)
		}
	}
	return a
}

// load asks the issuer as the background loop does.
func load(s *keySource) error {
	s.mu.Lock()
	f := s.startLocked(true)
	s.mu.Unlock()
	<-f.done
	return f.err
}

func secretIssuer() Issuer {
	return Issuer{Secrets: []stagedoor.Secret{stagedoor.NewSecret(secretText)}, NameClaim: "name"}
}

func remoteIssuer(p *idp) Issuer {
	return Issuer{ID: p.URL, Remote: true, Audiences: []string{"door"}}
}

// kindOf authenticates and returns the Kind; ok when it succeeded.
func kindOf(t testing.TB, a *Authenticator, token string) (kind stagedoor.Kind, ok bool) {
	t.Helper()
	_, err := a.Authenticate(t.Context(), stagedoor.NewCredential(token))
	return stagedoor.KindOf(err), err == nil
}

func mustRefuse(t testing.TB, a *Authenticator, token string, want stagedoor.Kind) {
	t.Helper()
	if kind, ok := kindOf(t, a, token); ok || kind != want {
		t.Errorf("got ok=%v kind=%v, want %v", ok, kind, want)
	}
}

func mustAccept(t testing.TB, a *Authenticator, token string) stagedoor.Principal {
	t.Helper()
	p, err := a.Authenticate(t.Context(), stagedoor.NewCredential(token))
	if err != nil {
		t.Errorf("refused: %v", err)
	}
	return p
}

// public is the public half of the signer's key.
func (s signer) public() crypto.PublicKey {
	return s.private.(interface{ Public() crypto.PublicKey }).Public()
}

// hs256 signs with any key, such as one that an attacker knows.
func hs256(key, signed string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// packTwice compresses what is compressed already.
func packTwice(packed []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(packed)
	_ = z.Close()
	return out.Bytes()
}
