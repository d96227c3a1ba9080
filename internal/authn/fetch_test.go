package authn

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever a broken or hostile issuer answers, the last good keys stay.
func TestHostileIssuerAnswersAreRefused(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jwksOf(k1)) }))
	defer elsewhere.Close()
	many, _ := json.Marshal(map[string]any{"keys": make([]map[string]any, maxKeys+1)})
	write := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
	}
	for name, answer := range map[string]http.HandlerFunc{
		"HTML":                       write([]byte("<html>maintenance</html>")),
		"not a key set":              write([]byte(`{}`)),
		"null":                       write([]byte(`null`)),
		"keys null":                  write([]byte(`{"keys":null}`)),
		"duplicate members":          write([]byte(`{"keys":[],"keys":[]}`)),
		"trailing bytes":             write([]byte(`{"keys":[]} x`)),
		"no keys":                    emptySet,
		"no usable key":              write([]byte(`{"keys":[{"kty":"oct","kid":"k1","k":"AAAA"},{"kty":"EC","use":"enc","kid":"k1"},{},1]}`)),
		"65 keys":                    write(many),
		"TestOversizedKeySetIsOut":   write(append([]byte(`{"keys":[],"x":"`), append(bytes.Repeat([]byte("a"), maxFetchBytes), `"}`...)...)),
		"status 500":                 func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"status 204":                 func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"TestRedirectElsewhereIsOut": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, 302) },
		"a redirect loop":            func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", 302) },
		"the connection breaks":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"the body breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = w.Write([]byte("{"))
		},
		"a redirect to another scheme": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://"+r.Host+"/keys", 302) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t, k1)
			a := newAuth(t, newClock(), remoteIssuer(p))
			p.answer(answer)
			_ = load(a.issuers[0].live)
			mustAccept(t, a, k1.sign(t, claimsOf(p), nil))
			fresh := newAuth(t, newClock(), remoteIssuer(p))
			if fresh.Ready() == nil {
				t.Error("this answer was taken for a key set")
			}
		})
	}
}

func TestDiscoveryMustBeTheIssuersOwn(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	for name, change := range map[string]map[string]any{
		"another issuer":    {"issuer": "https://evil.example"},
		"a trailing slash":  {"issuer": "SELF/"},
		"no issuer":         {"issuer": nil},
		"no jwks_uri":       {"jwks_uri": nil},
		"a file":            {"jwks_uri": "file:///etc/passwd"},
		"a relative path":   {"jwks_uri": "/keys"},
		"credentials in it": {"jwks_uri": "http://user:pass@127.0.0.1/keys"},
	} {
		p := newIDP(t, k1)
		for member, value := range change {
			if value == "SELF/" {
				value = p.URL + "/"
			}
			p.discovery[member] = value
		}
		a := newAuth(t, newClock(), remoteIssuer(p))
		if a.Ready() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for issuer, keys := range map[string]string{
		"https://issuer.example": "http://127.0.0.1/keys", // https to http
		"http://127.0.0.1":       "http://public.example/keys",
	} {
		f := newFetcher(issuer, "", onLoopback, roundTrip(func(r *http.Request) string {
			if r.URL.Path == "/keys" {
				return string(jwksOf(k1))
			}
			return `{"issuer":"` + issuer + `","jwks_uri":"` + keys + `"}`
		}))
		if _, err := f.fetch(t.Context(), true); err == nil {
			t.Errorf("keys of %s were fetched from %s", issuer, keys)
		}
	}
}

func TestFetchErrorsNameNoQuery(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	address := down.URL
	f := newFetcher("https://issuer.example", address+"/keys?apikey=canary", nil, nil)
	_, gone := f.fetch(t.Context(), true)
	down.Close()
	_, refused := f.fetch(t.Context(), true)
	for _, err := range []error{gone, refused} {
		if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "/keys") {
			t.Errorf("%v", err)
		}
	}
}

func TestHostileHeadersOfAnIssuerAreBounded(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Big", strings.Repeat("x", 100<<10))
		_, _ = w.Write([]byte(`{"keys":[]}`))
	}))
	defer endless.Close()
	if _, err := newFetcher("https://issuer.example", endless.URL, nil, nil).fetch(t.Context(), true); err == nil {
		t.Error("100 KiB of headers were taken")
	}
}

func TestDiscoveryOfAnIssuerWithPathAndSlash(t *testing.T) {
	var asked []string
	key := newSigner(t, "ES256", "k1")
	f := newFetcher("https://tenant.example/path/", "", nil, roundTrip(func(r *http.Request) string {
		asked = append(asked, r.URL.String())
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			return `{"issuer":"https://tenant.example/path/","jwks_uri":"https://keys.example/jwks"}`
		}
		return string(jwksOf(key))
	}))
	if _, err := f.fetch(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := f.fetch(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	want := "https://tenant.example/path/.well-known/openid-configuration https://keys.example/jwks https://keys.example/jwks"
	if got := strings.Join(asked, " "); got != want {
		t.Errorf("asked %s", got)
	}
}

func TestRedirectsStayWithHostAndScheme(t *testing.T) {
	for target, ok := range map[string]bool{
		"https://idp.example/b": true, "http://idp.example/b": false, "https://idp.example:8443/b": false, "https://evil.example/b": false,
	} {
		from, _ := http.NewRequest(http.MethodGet, "https://idp.example/a", nil)
		to, _ := http.NewRequest(http.MethodGet, target, nil)
		if err := sameHost(to, []*http.Request{from}); (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) string

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	_, _ = rec.WriteString(f(r))
	return rec.Result(), nil
}
