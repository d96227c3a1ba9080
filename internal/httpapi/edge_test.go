package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"stagedoor"
)

func serve(h *harness, r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	h.api.ServeHTTP(rec, r)
	return rec.Result()
}

// checkRefusal is what every parser's error must be.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	if err != nil && stagedoor.KindOf(err) == stagedoor.Internal {
		t.Fatalf("an error nobody classified: %v", err)
	}
}

func TestHTTPSIsRequired(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	h := newHarness(func(o *Options) { o.RequireHTTPS, o.TrustedProxies = true, proxies })
	plain := map[string]request{
		"plain":                                 {remote: "203.0.113.9:1"},
		"TestForwardedProtoOfStrangersIsFalse":  {remote: "203.0.113.9:1", header: map[string]string{"X-Forwarded-Proto": "https"}},
		"a proxy that says http":                {remote: "10.1.2.3:1", header: map[string]string{"X-Forwarded-Proto": "http"}},
		"a proxy that says nothing":             {remote: "10.1.2.3:1"},
		"a list begun by the client":            {remote: "10.1.2.3:1", header: map[string]string{"X-Forwarded-Proto": "https, http"}},
		"another header":                        {remote: "10.1.2.3:1", header: map[string]string{"Forwarded": "proto=https", "X-Forwarded-Ssl": "on", "X-Forwarded-Scheme": "https"}},
		"an underscore":                         {remote: "10.1.2.3:1", header: map[string]string{"X_Forwarded_Proto": "https"}},
		"a GET without a host to be sent on to": {remote: "10.1.2.3:1", method: "GET", path: "/livekit-join.js"},
	}
	for name, r := range plain {
		t.Run(name, func(t *testing.T) {
			body := mustRefuse(t, h.do(t, r), http.StatusForbidden, "https_required")
			if !strings.Contains(body["error"].(string), "TRUSTED_PROXIES") {
				t.Errorf("no remedy in %v", body)
			}
		})
	}
	two := httptest.NewRequest("POST", "/api/join", nil)
	two.RemoteAddr = "10.1.2.3:1"
	two.Header["X-Forwarded-Proto"] = []string{"https", "http"}
	mustRefuse(t, serve(h, two), http.StatusForbidden, "https_required")

	for _, remote := range []string{"10.1.2.3:1", "[fd12::1]:1", "[::ffff:10.1.2.3]:1"} {
		resp := h.do(t, request{remote: remote, header: map[string]string{"X-Forwarded-Proto": "https"}})
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: %d, HSTS %q", remote, resp.StatusCode, resp.Header.Get("Strict-Transport-Security"))
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if resp := h.do(t, request{method: "GET", path: path, remote: "203.0.113.9:1"}); resp.StatusCode != http.StatusOK || resp.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s over plain HTTP: %d", path, resp.StatusCode)
		}
	}
}

func TestPlainGETIsRedirectedToTheConfiguredHostOnly(t *testing.T) {
	h := newHarness(func(o *Options) { o.RequireHTTPS, o.PublicHost = true, "door.example" })
	req := httptest.NewRequest("GET", "http://evil.example/livekit-join.js?v=1", nil)
	req.Host = "evil.example"
	resp := serve(h, req)
	if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != "https://door.example/livekit-join.js?v=1" {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
	mustRefuse(t, h.do(t, request{}), http.StatusForbidden, "https_required")
}

func TestClientAddressIsTheLastUntrustedHop(t *testing.T) {
	a := &api{Options: Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	for name, c := range map[string]struct {
		remote string
		via    []string
		want   string
	}{
		"direct":                    {"203.0.113.9:1", nil, "203.0.113.9"},
		"a stranger's header":       {"203.0.113.9:1", []string{"1.2.3.4"}, "203.0.113.9"},
		"one proxy":                 {"10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		"TestSpoofedHopIsNotTaken":  {"10.0.0.1:1", []string{"6.6.6.6, 198.51.100.7"}, "198.51.100.7"},
		"two proxies":               {"10.0.0.1:1", []string{"6.6.6.6, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		"several headers":           {"10.0.0.1:1", []string{"6.6.6.6", "198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		"a port":                    {"10.0.0.1:1", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		"IPv6 with a port":          {"10.0.0.1:1", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		"IPv4 in IPv6":              {"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"garbage stops the walk":    {"10.0.0.1:1", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		"only proxies":              {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"an address nobody can use": {"pipe", nil, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = c.remote, c.via
			if got := a.origin(r).client; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestClientAddressFromANamedHeader(t *testing.T) {
	a := &api{Options: Options{ClientIPHeader: "x-real-ip", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	for name, c := range map[string]struct {
		remote string
		told   []string
		want   string
	}{
		"the proxy's word":          {"10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		"a stranger's":              {"203.0.113.9:1", []string{"198.51.100.7"}, "203.0.113.9"},
		"TestTwoAddressesAreNobody": {"10.0.0.1:1", []string{"6.6.6.6", "198.51.100.7"}, "unknown"},
		"a list":                    {"10.0.0.1:1", []string{"6.6.6.6, 198.51.100.7"}, "unknown"},
		"none":                      {"10.0.0.1:1", nil, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header["X-Real-Ip"] = c.remote, c.told
			r.Header.Set("X-Forwarded-For", "7.7.7.7")
			if got := a.origin(r).client; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestCrossOrigin(t *testing.T) {
	h := newHarness(func(o *Options) { o.AllowedOrigins = []string{"https://app.example"} })
	allowed := map[string]string{"Origin": "https://app.example"}
	preflight := map[string]string{"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
	resp := h.do(t, request{method: "OPTIONS", header: preflight})
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Origin") != "https://app.example" ||
		resp.Header.Get("Access-Control-Allow-Headers") == "" || !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Origin") {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}
	for name, header := range map[string]map[string]string{
		"200": allowed,
		"401": {"Origin": "https://app.example", "Authorization": ""},
		"405": {"Origin": "https://app.example", "method": "PUT"},
		"415": {"Origin": "https://app.example", "Content-Type": "text/plain"},
	} {
		resp := h.do(t, request{method: header["method"], header: header})
		if resp.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "Retry-After") {
			t.Errorf("%s: %v", name, resp.Header)
		}
	}
	h.err = stagedoor.Refuse(stagedoor.Unavailable, "x")
	if resp := h.do(t, request{header: allowed}); resp.StatusCode != 503 || resp.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("503: %v", resp.Header)
	}
	for _, origin := range []string{"https://evil.example", "null", "https://app.example.evil.example", "https://evil-app.example", "http://app.example", "https://app.example:8443", "https://APP.example.", ""} {
		for _, from := range []*harness{h, newHarness(nil)} {
			resp := from.do(t, request{header: map[string]string{"Origin": origin}})
			pre := from.do(t, request{method: "OPTIONS", header: map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST"}})
			if resp.Header.Get("Access-Control-Allow-Origin")+pre.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("TestForeignOriginIsRefused: %q is allowed", origin)
			}
		}
	}
}

func TestForeignOriginIsSaidInTheLog(t *testing.T) {
	for origin, said := range map[string]bool{"http://localhost:8099": true, "https://app.example": false, "http://door.example": false, "": false} {
		h := newHarness(func(o *Options) { o.AllowedOrigins = []string{"https://app.example"} })
		h.do(t, request{method: "OPTIONS", header: map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST"}})
		if strings.Contains(h.log.String(), "ALLOWED_ORIGINS") != said {
			t.Errorf("%q: %s", origin, h.log)
		}
	}
}

func TestPublicFiles(t *testing.T) {
	h := newHarness(nil)
	for path, contentType := range map[string]string{"/livekit-join.js": "text/javascript; charset=utf-8", "/openapi.yaml": "application/yaml; charset=utf-8"} {
		resp := h.do(t, request{method: "GET", path: path, header: map[string]string{"Origin": "https://any.example"}})
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != contentType || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
	}
}

func TestReadiness(t *testing.T) {
	var missing error
	h := newHarness(func(o *Options) { o.Ready = func(context.Context) error { return missing } })
	get := request{method: "GET", path: "/readyz"}
	if body := bodyOf(t, h.do(t, get)); body["status"] != "ready" {
		t.Error(body)
	}
	missing = errors.New("no keys of https://idp.internal.example")
	resp := h.do(t, get)
	body := mustRefuse(t, resp, http.StatusServiceUnavailable, "unavailable")
	if resp.Header.Get("Retry-After") == "" || strings.Contains(body["error"].(string), "idp.internal") {
		t.Errorf("%v %v", resp.Header, body)
	}
	missing = nil
	h.api.Drain()
	mustRefuse(t, h.do(t, get), http.StatusServiceUnavailable, "unavailable")
	for _, r := range []request{{}, {method: "GET", path: "/healthz"}} {
		if resp := h.do(t, r); resp.StatusCode != http.StatusOK || resp.Header.Get("Connection") != "close" {
			t.Errorf("while draining: %d, Connection %q", resp.StatusCode, resp.Header.Get("Connection"))
		}
	}
}

func TestReadiness_NamesTheIssuersThatFail(t *testing.T) {
	var failing []string
	h := newHarness(func(o *Options) { o.Degraded = func() []string { return failing } })
	get := request{method: "GET", path: "/readyz"}
	if body := bodyOf(t, h.do(t, get)); len(body) != 1 || body["status"] != "ready" {
		t.Error(body)
	}
	failing = []string{"https://idp.example"}
	resp := h.do(t, get)
	if body := bodyOf(t, resp); resp.StatusCode != http.StatusOK || !reflect.DeepEqual(body["degraded"], []any{"https://idp.example"}) {
		t.Error(body)
	}
}

func TestPanicIsAnInternalErrorAndNothingMore(t *testing.T) {
	h := newHarness(nil)
	h.panics = true
	body := mustRefuse(t, h.do(t, request{}), http.StatusInternalServerError, "internal")
	if body["error"] != "internal error" || !strings.Contains(h.log.String(), `"msg":"panic"`) {
		t.Errorf("%v\n%s", body, h.log)
	}
}

// Whoever hangs up while the door works on the answer makes no fault of it.
func TestCallerWhoLeftIsNoFault(t *testing.T) {
	h := newHarness(nil)
	h.err = fmt.Errorf("a query: %w", context.Canceled)
	gone, leave := context.WithCancel(t.Context())
	leave()
	for ctx, want := range map[context.Context]int{gone: http.StatusBadRequest, t.Context(): http.StatusInternalServerError} {
		h.log.Reset()
		r := httptest.NewRequest("POST", "/api/join", strings.NewReader(`{"room":"r"}`)).WithContext(ctx)
		if resp := serve(h, r); resp.StatusCode != want || strings.Contains(h.log.String(), `"level":"ERROR"`) != (want == http.StatusInternalServerError) {
			t.Errorf("%d, want %d\n%s", resp.StatusCode, want, h.log)
		}
	}
}

// The mux would answer for "*" itself, in words that no client of ours reads.
func TestAsteriskIsNotFound(t *testing.T) {
	h := newHarness(nil)
	for _, method := range []string{"OPTIONS", "POST", "PRI"} {
		r := httptest.NewRequest(method, "/", nil)
		r.RequestURI, r.URL.Path = "*", "*"
		mustRefuse(t, serve(h, r), http.StatusNotFound, "not_found")
	}
}

func TestOneLinePerRequestWithoutCredentials(t *testing.T) {
	h := newHarness(nil)
	h.do(t, request{header: map[string]string{"Authorization": "Bearer canary-credential"}, path: "/api/join?canary-query=1"})
	h.do(t, request{body: `{"room":"r\u0000\ncanary-room"}`})
	h.do(t, request{body: `{"room":"fine"}`})
	log := h.log.String()
	if n := strings.Count(log, `"msg":"request"`); n != 3 || strings.Count(log, "\n") != 3 {
		t.Errorf("%d lines:\n%s", n, log)
	}
	for _, canary := range []string{"canary", "minted-for", "Bearer"} {
		if strings.Contains(log, canary) {
			t.Errorf("the log has %q:\n%s", canary, log)
		}
	}
	for _, want := range []string{`"code":"invalid_token"`, `"code":"invalid_room"`, `"subject":"ann"`, `"room":"fine"`, `"identity":"ann"`, `"mayPublish":true`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
}

// A trailer that does not parse is quoted in net/http's error.
func TestMalformedTrailerIsNotQuoted(t *testing.T) {
	h := newHarness(nil)
	listener := httptest.NewServer(h.api)
	defer listener.Close()
	conn := dial(t, listener.Listener.Addr().String(), "POST /api/join HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer ann\r\nContent-Type: application/json\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nAuthorization Bearer canary-credential\r\n\r\n")
	resp := answerOf(t, conn, 3*time.Second)
	listener.Close()
	if resp.StatusCode != http.StatusBadRequest || strings.Contains(h.log.String(), "canary") || !strings.Contains(h.log.String(), "malformed") {
		t.Errorf("%d\n%s", resp.StatusCode, h.log)
	}
}

func TestLogCannotSteerATerminal(t *testing.T) {
	h := newHarness(nil)
	h.do(t, request{path: "/\u009b31m\u202e\x1b[2J\n", method: "GET"})
	for _, bad := range []string{"\u009b", "\u202e", "\x1b", "\\n\""} {
		if strings.Contains(h.log.String(), bad) {
			t.Errorf("the log has %q: %s", bad, h.log)
		}
	}
}

func TestRequestIDIsTakenFromTrustedProxiesOnly(t *testing.T) {
	h := newHarness(func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	for name, c := range map[string]struct {
		remote, id string
		taken      bool
	}{
		"proxy":    {"10.0.0.1:1", "abcdef-123456", true},
		"stranger": {"203.0.113.9:1", "abcdef-123456", false},
		"unsafe":   {"10.0.0.1:1", "abc def\u2028x", false},
		"short":    {"10.0.0.1:1", "abc", false},
	} {
		resp := h.do(t, request{remote: c.remote, header: map[string]string{"X-Request-Id": c.id}})
		if got := resp.Header.Get("X-Request-Id"); (got == c.id) != c.taken || got == "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestDemoAnswersOnLoopbackNamesOnly(t *testing.T) {
	page := fstest.MapFS{"index.html": {Data: []byte("<title>x</title>")}, "assets/a.js": {Data: []byte("1")}}
	h := newHarness(func(o *Options) {
		o.Demo = &Demo{Page: page, LiveKitURL: "ws://127.0.0.1:7880", Room: "demo", Callers: []DemoCaller{{ID: "alice", Token: "alice-token"}}}
	})
	get := func(host, path string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = host
		return serve(h, r)
	}
	for _, host := range []string{"localhost:3000", "127.0.0.1:3000", "[::1]:3000", "door.localhost"} {
		if resp := get(host, "/"); resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "connect-src 'self' ws://127.0.0.1:7880 http://127.0.0.1:7880;") {
			t.Errorf("%s: %d %v", host, resp.StatusCode, resp.Header)
		}
	}
	for _, host := range []string{"evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "10.0.0.1"} {
		mustRefuse(t, get(host, "/demo/config.json"), http.StatusForbidden, "origin_not_allowed")
	}
	if resp := get("healthcheck.platform.example", "/healthz"); resp.StatusCode != 200 {
		t.Errorf("a probe: %d", resp.StatusCode)
	}
	if resp := get("localhost", "/assets/a.js"); resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("asset: %d %v", resp.StatusCode, resp.Header)
	}
	mustRefuse(t, get("localhost", "/assets/"), http.StatusNotFound, "not_found")
	mustRefuse(t, get("localhost", "/assets/b.js"), http.StatusNotFound, "not_found")
	if body := bodyOf(t, get("localhost", "/demo/config.json")); body["room"] != "demo" || len(body["callers"].([]any)) != 1 {
		t.Errorf("%v", body)
	}
}
