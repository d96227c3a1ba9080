package authn

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzParseJWS: what is taken apart has one spelling, which is the token
// itself, and an algorithm out of the list.
func FuzzParseJWS(f *testing.F) {
	f.Add(shared("HS256").sign(f, with(nil), nil))
	f.Add(newSigner(f, "ES256", "k1").sign(f, with(nil), nil))
	for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"none"}`, `{"alg":"HS256","alg":"none"}`, `{"alg":"HS256","kid":7}`, `{"alg":"HS256","crit":[]}`, `{"alg":"HS256","zip":null}`, `{"ALG":"HS256"}`, `[]`, `null`, ``, `{"alg":"HS256","kid":"\u0000"}`} {
		f.Add(raw(header, `{"sub":"ann"}`))
	}
	f.Add("e30.e30.e30")
	f.Add("..")
	f.Add("eyJhbGciOiJIUzI1NiJ9\n.e30.AA")
	f.Add("eyJhbGciOiJIUzI1NiJ9.e30.AB")
	f.Fuzz(func(t *testing.T, token string) {
		j, err := ParseJWS(token)
		if err != nil {
			if j.Alg != "" || j.Payload != nil {
				t.Fatalf("%q: %+v with %v", token, j, err)
			}
			return
		}
		header, _, _ := strings.Cut(token, ".")
		decoded, err := base64.RawURLEncoding.DecodeString(header)
		again := b64(decoded) + "." + b64(j.Payload) + "." + b64(j.signature)
		if err != nil || again != token || j.signed+"."+b64(j.signature) != token || len(token) > MaxTokenBytes || len(j.signature) == 0 {
			t.Fatalf("%q was read as %q", token, again)
		}
		if _, known := algorithms[j.Alg]; !known || !bytes.Contains(decoded, []byte(`"`)) {
			t.Fatalf("%q has the algorithm %q", token, j.Alg)
		}
	})
}

// answers is a transport that answers everything with one body.
type answers []byte

// RoundTrip answers.
func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(bytes.NewReader(a))}, nil
}

// FuzzDiscovery: whatever an issuer's document says, keys are fetched over
// TLS, under no user's name, and only when the document is the issuer's own.
func FuzzDiscovery(f *testing.F) {
	const issuer = "https://issuer.example"
	for _, seed := range []string{
		`{"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/keys"}`, `{"issuer":"https://issuer.example","jwks_uri":"https://keys.example/?a=1#b"}`,
		`{"issuer":"https://issuer.example/","jwks_uri":"https://issuer.example/keys"}`, `{"issuer":"https://issuer.example","jwks_uri":"http://127.0.0.1/keys"}`,
		`{"issuer":"https://issuer.example","jwks_uri":"https://u:p@issuer.example/keys"}`, `{"issuer":"https://issuer.example","jwks_uri":"file:///etc/passwd"}`,
		`{"issuer":"https://issuer.example","jwks_uri":"//issuer.example"}`, `{"issuer":"https://issuer.example","jwks_uri":"https:///x"}`, `{"issuer":"https://issuer.example","issuer":"https://evil.example","jwks_uri":"https://x"}`,
		`{"Issuer":"https://issuer.example","jwks_uri":"https://x"}`, `{"issuer":"https://issuer.example"}`, `{"issuer":7}`, `[]`, ``, "{\"issuer\":\"\xff\"}",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, document []byte, anyHost bool) {
		source := newFetcher(issuer, "", func(string) bool { return anyHost }, answers(document))
		found, err := source.discover(t.Context())
		if err != nil {
			// The name of another issuer is shown, quoted and bounded.
			if found != "" || len(err.Error()) > 1200 || strings.ContainsAny(err.Error(), "\n\x1b\x00") {
				t.Fatalf("%q: %q %q", document, found, err)
			}
			return
		}
		u, err := url.Parse(found)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || !bytes.Contains(document, []byte("issuer")) {
			t.Fatalf("%q leads to %q", document, found)
		}
	})
}
