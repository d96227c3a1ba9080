package authn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

func claimsOf(p *idp) map[string]any { return with(map[string]any{"iss": p.URL, "aud": "door"}) }

func TestRotatedKeyIsTakenWithoutRestart(t *testing.T) {
	k1, k2, sameKid := newSigner(t, "ES256", "k1"), newSigner(t, "RS256", "k2"), newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))

	p.publish(k1, k2)
	mustAccept(t, a, k2.sign(t, claimsOf(p), nil))
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))

	c.advance(refreshEvery)
	p.publish(k2, sameKid) // a new key under the old id: seen as a bad signature
	mustAccept(t, a, sameKid.sign(t, claimsOf(p), nil))
	mustRefuse(t, a, k1.sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
}

func TestRemovedKeyIsRefusedAfterTheNextRefresh(t *testing.T) {
	k1, k2 := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k2")
	p, c := newIDP(t, k1, k2), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))
	p.publish(k2)
	load(a.issuers[0].live)
	mustRefuse(t, a, k1.sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
	mustAccept(t, a, k2.sign(t, claimsOf(p), nil))
	p.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) })
	load(a.issuers[0].live)
	mustRefuse(t, a, k2.sign(t, claimsOf(p), nil), stagedoor.Unavailable)
}

func TestUnknownKeyIDsCannotStormTheIssuer(t *testing.T) {
	k1, evil := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	before := p.asked.Load()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			header := map[string]any{"kid": strings.Repeat("x", i+1)}
			if i%2 == 0 {
				header = nil // a bad signature under a known id
			}
			mustRefuse(t, a, evil.sign(t, claimsOf(p), header), stagedoor.InvalidToken)
		})
	}
	all.Wait()
	if n := p.asked.Load() - before; n != 1 {
		t.Errorf("the issuer was asked %d times in one window, want 1", n)
	}
	c.advance(refreshEvery - time.Second)
	mustRefuse(t, a, evil.sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
	if n := p.asked.Load() - before; n != 1 {
		t.Errorf("asked again within the window: %d", n)
	}
	c.advance(time.Second)
	mustRefuse(t, a, evil.sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
	if n := p.asked.Load() - before; n != 2 {
		t.Errorf("asked %d times after the window, want 2", n)
	}
}

func TestSlowIssuerHoldsNobodyLongerThan1500ms(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p := newIDP(t, k1)
	a := newAuth(t, newClock(), remoteIssuer(p))
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	p.answer(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	begin := time.Now()
	mustRefuse(t, a, k1.sign(t, claimsOf(p), map[string]any{"kid": "new"}), stagedoor.InvalidToken)
	if took := time.Since(begin); took < refreshWait || took > refreshWait+700*time.Millisecond {
		t.Errorf("held for %v", took)
	}
	begin = time.Now()
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))
	if took := time.Since(begin); took > 200*time.Millisecond {
		t.Errorf("a known key waited %v for the slow issuer", took)
	}
}

func TestStaleKeysCountFor24Hours(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	p.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	long := with(map[string]any{"iss": p.URL, "aud": "door", "exp": start.Add(48 * time.Hour).Unix()})
	load(a.issuers[0].live)
	c.advance(maxStale)
	mustAccept(t, a, k1.sign(t, long, nil))
	c.advance(time.Second)
	mustRefuse(t, a, k1.sign(t, long, nil), stagedoor.Unavailable)
	if a.Ready() == nil {
		t.Error("ready with keys of yesterday")
	}
	p.answer(nil)
	load(a.issuers[0].live)
	mustAccept(t, a, k1.sign(t, long, nil))
	if err := a.Ready(); err != nil {
		t.Error(err)
	}
}

func TestBeforeTheFirstLoadItIsUnavailable(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p := newIDP(t, k1)
	p.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	a := newAuth(t, newClock(), remoteIssuer(p), secretIssuer())
	_, err := a.Authenticate(t.Context(), stagedoor.NewCredential(k1.sign(t, claimsOf(p), nil)))
	var e *stagedoor.Error
	if !errors.As(err, &e) || e.Kind != stagedoor.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("%+v", err)
	}
	if a.Ready() == nil {
		t.Error("ready without keys")
	}
	mustAccept(t, a, shared("HS256").sign(t, with(nil), nil))
}

func TestBackgroundLoopLoadsAndEnds(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p := newIDP(t, k1)
	a, err := New(Options{Issuers: []Issuer{remoteIssuer(p)}, Now: time.Now, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		a.Run(ctx)
		close(ended)
	}()
	for deadline := time.Now().Add(5 * time.Second); a.Ready() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("keys were never loaded")
		}
	}
	cancel()
	<-ended
}

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
			load(a.issuers[0].live)
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
	f := newFetcher("https://issuer.example", "", roundTrip(func(*http.Request) string {
		return `{"issuer":"https://issuer.example","jwks_uri":"http://issuer.example/keys"}`
	}))
	if _, err := f.fetch(t.Context(), true); err == nil {
		t.Error("an https issuer's keys were fetched over http")
	}
}

func TestDiscoveryOfAnIssuerWithPathAndSlash(t *testing.T) {
	var asked []string
	f := newFetcher("https://tenant.example/path/", "", roundTrip(func(r *http.Request) string {
		asked = append(asked, r.URL.String())
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			return `{"issuer":"https://tenant.example/path/","jwks_uri":"https://keys.example/jwks"}`
		}
		return `{"keys":[]}`
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

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) string

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	_, _ = rec.WriteString(f(r))
	return rec.Result(), nil
}
