package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// provider is an issuer that calls itself its own address with what tail adds.
// An issuer in the path answers whoever asks for it with or without the slash,
// as those do that are misconfigured for years.
func provider(t *testing.T, tail, keys string) *httptest.Server {
	t.Helper()
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL+tail, server.URL+"/keys")
		case "/keys":
			_, _ = io.WriteString(w, keys)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// issuerNamed is a configured issuer that counts kids as usable keys.
func issuerNamed(id string) Issuer {
	return Issuer{ID: id, Variable: "OIDC_ISSUER", Audience: "OIDC_AUDIENCE", Audiences: []string{"door"},
		Usable: func(set []byte) (int, error) {
			if !bytes.HasPrefix(set, []byte("{")) {
				return 0, errors.New("not a strict JSON key set")
			}
			return bytes.Count(set, []byte(`"kid"`)), nil
		}}
}

func TestIssuerSlashIsNamed(t *testing.T) {
	with, without := provider(t, "/", `{"keys":[{"kid":"a"}]}`), provider(t, "", `{"keys":[{"kid":"a"}]}`)
	run := func(id string) Report {
		return Run(t.Context(), Target{Now: time.Now, Issuers: []Issuer{issuerNamed(id)}})
	}
	want(t, run(with.URL), "callers.issuer", Fail, "lacks the slash at the end", "set OIDC_ISSUER to exactly "+with.URL+"/")
	want(t, run(without.URL+"/"), "callers.issuer", Fail, "has a slash at the end that the other has not", "set OIDC_ISSUER to exactly "+without.URL)
	for _, id := range []string{with.URL + "/", without.URL} {
		r := run(id)
		want(t, r, "callers.issuer", Pass, id)
		want(t, r, "callers.keys", Pass, "1 usable key")
		want(t, r, "callers.audience", Pass, `"door"`)
		want(t, r, "callers.clock", Pass)
	}
}

func TestIssuerWithoutKeysIsNamed(t *testing.T) {
	run := func(i Issuer) Report { return Run(t.Context(), Target{Now: time.Now, Issuers: []Issuer{i}}) }
	want(t, run(issuerNamed(provider(t, "", `{"keys":[]}`).URL)), "callers.keys", Fail, "no key that the door can use")
	want(t, run(issuerNamed(provider(t, "", `<html>`).URL)), "callers.keys", Fail, "OIDC_JWKS_URL")
	gone := provider(t, "", "")
	gone.Close()
	want(t, run(issuerNamed(gone.URL)), "callers.issuer", Fail, "nothing listens", "OIDC_ISSUER")
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	want(t, run(issuerNamed(none.URL)), "callers.issuer", Fail, "HTTP 404", "OIDC_ISSUER")
	direct := issuerNamed(none.URL)
	direct.JWKSURL = provider(t, "", `{"keys":[{"kid":"a"}]}`).URL + "/keys"
	r := run(direct)
	want(t, r, "callers.issuer", Warn, "no discovery document")
	want(t, r, "callers.keys", Pass)
	open := issuerNamed(none.URL)
	open.Audiences = nil
	want(t, run(open), "callers.audience", Fail, "OIDC_AUDIENCE")
}

// An issuer may redirect within its host, as the door follows it, and nowhere else.
func TestIssuersRedirectsAreFollowedAsTheDoorDoes(t *testing.T) {
	other := provider(t, "", `{"keys":[{"kid":"a"}]}`)
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
		case "/moved":
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/keys")
		case "/keys":
			http.Redirect(w, r, other.URL+"/keys", http.StatusFound)
		}
	}))
	defer server.Close()
	r := Run(t.Context(), Target{Now: time.Now, Issuers: []Issuer{issuerNamed(server.URL)}})
	want(t, r, "callers.issuer", Pass)
	want(t, r, "callers.keys", Fail, "HTTP 302")
}

func TestNobodyToAuthenticateIsNamed(t *testing.T) {
	want(t, Run(t.Context(), Target{Now: time.Now}), "callers.auth", Fail, "JWT_SECRET")
	want(t, Run(t.Context(), Target{Now: time.Now, Shared: Shared{Configured: true}}), "callers.audience", Warn, "JWT_AUDIENCE")
}

func TestDifferenceSaysWhatAReaderOverlooks(t *testing.T) {
	for _, c := range []struct{ a, b, says string }{
		{"https://x/", "https://x", "slash at the end that the other has not"},
		{"https://x", "https://x/", "lacks the slash"},
		{"https://X", "https://x", "upper and lower case"},
		{"door", "door ", "white space"},
		{"http://x", "https://x", "one is http"},
		{"https://x/realms/a", "https://x/realms/b", `character 18, where the configured one has "a" and the other "b"`},
		{"a", "abc", `nothing and the other "bc"`},
	} {
		if got := difference(c.a, c.b); !strings.Contains(got, c.says) {
			t.Errorf("%q and %q: %s", c.a, c.b, got)
		}
	}
}

func TestAudienceLeadsToARealToken(t *testing.T) {
	for _, target := range []Target{
		{Now: time.Now, Shared: Shared{Configured: true, Audiences: []string{"door"}}},
		{Now: time.Now, Shared: Shared{Configured: true, Issuer: "app"}},
	} {
		want(t, Run(t.Context(), target), "callers.audience", Pass, "; try a real token: check --token")
	}
}
