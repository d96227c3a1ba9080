package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"stagedoor/internal/inflight"

	"stagedoor"
)

// lookAlikes are origins that are none of https://app.example.com.
var lookAlikes = map[string]string{
	"TestNullOriginIsRefused":         "null",
	"TestSuffixOfAnAllowedHost":       "https://evil-app.example.com",
	"TestAllowedHostAsAPrefix":        "https://app.example.com.evil.com",
	"TestAllowedOriginAsUserinfo":     "https://app.example.com@evil.com",
	"userinfo before it":              "https://evil@app.example.com",
	"a subdomain":                     "https://x.app.example.com",
	"the parent":                      "https://example.com",
	"another port":                    "https://app.example.com:8443",
	"the default port, written":       "https://app.example.com:443",
	"plain HTTP":                      "http://app.example.com",
	"upper case":                      "https://APP.example.com",
	"an upper-case scheme":            "HTTPS://app.example.com",
	"TestTrailingDotIsAnotherHost":    "https://app.example.com.",
	"a trailing slash":                "https://app.example.com/",
	"a path":                          "https://app.example.com/x",
	"a query":                         "https://app.example.com?x",
	"a fragment":                      "https://app.example.com#",
	"a space after":                   "https://app.example.com https://evil.com",
	"two of them":                     "https://app.example.com, https://app.example.com",
	"a star":                          "*",
	"no scheme":                       "app.example.com",
	"another scheme":                  "chrome-extension://app.example.com",
	"a dot that is any character":     "https://appxexample.com",
	"a backslash":                     `https://evil.com\.app.example.com`,
	"TestInternationalDotIsNoDot":     "https://app\u3002example.com",
	"TestTabInsideIsAnotherOrigin":    "https://app.example\t.com",
	"TestHostOfTheDoorIsNotAnOrigin":  "https://door.example",
	"the door, over plain HTTP":       "http://door.example",
	"TestFileIsNobodysOrigin":         "file://",
	"TestEmptyOriginIsNobodys":        "https://",
	"TestAllowedOriginTwiceIsAnother": "https://app.example.comhttps://app.example.com",
}

func TestLookAlikeOriginsAreRefused(t *testing.T) {
	h := newHarness(func(o *Options) { o.AllowedOrigins = []string{"https://app.example.com"} })
	for name, origin := range lookAlikes {
		for _, r := range []request{
			{}, {header: map[string]string{"Authorization": ""}}, {method: "GET", path: "/nothing"},
			{method: "OPTIONS", header: map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}},
		} {
			header := map[string]string{"Origin": origin}
			for name, value := range r.header {
				header[name] = value
			}
			r.header = header
			resp := h.do(t, r)
			for sent := range resp.Header {
				if strings.HasPrefix(sent, "Access-Control-") {
					t.Errorf("%s, %s: %s %q", name, r.method, sent, resp.Header.Get(sent))
				}
			}
		}
	}
}

// A cache between the door and two pages must not give one the other's answer.
func TestEveryAnswerVariesByOrigin(t *testing.T) {
	spent := &budget{name: "address"}
	limited := newHarness(func(o *Options) { o.Limits.Address = spent.of })
	plain := newHarness(func(o *Options) { o.RequireHTTPS, o.PublicHost = true, "door.example" })
	broken := newHarness(nil)
	broken.panics = true
	open := newHarness(func(o *Options) { o.AllowedOrigins = []string{"https://app.example.com"} })
	down := newHarness(nil)
	down.err = stagedoor.Refuse(stagedoor.Unavailable, "x")
	for want, c := range map[int]struct {
		h *harness
		r request
	}{
		200: {open, request{}}, 400: {open, request{body: "{}"}}, 401: {open, request{header: map[string]string{"Authorization": ""}}},
		404: {open, request{path: "/nothing"}}, 405: {open, request{method: "PUT"}}, 415: {open, request{header: map[string]string{"Content-Type": "text/plain"}}},
		429: {limited, request{}}, 500: {broken, request{}}, 503: {down, request{}}, 308: {plain, request{method: "GET"}}, 403: {plain, request{}},
		204: {open, request{method: "OPTIONS", header: map[string]string{"Access-Control-Request-Method": "POST"}}},
	} {
		for _, origin := range []string{"", "https://app.example.com", "https://evil.example"} {
			header := map[string]string{"Origin": origin}
			for name, value := range c.r.header {
				header[name] = value
			}
			r := c.r
			r.header = header
			if origin == "" && want == 204 {
				continue // not a preflight
			}
			resp := c.h.do(t, r)
			if resp.StatusCode != want || !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Origin") {
				t.Errorf("%d from %q: %s, Vary %q", want, origin, resp.Status, resp.Header.Values("Vary"))
			}
		}
	}
	for _, path := range []string{"/livekit-join.js", "/openapi.yaml", "/healthz"} {
		if resp := open.do(t, request{method: "GET", path: path}); !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Origin") {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

// A preflight's list of headers costs no more than its reading: a comma bomb
// once made a slice of every comma (CVE-2025-47908).
func TestCommaBombInAPreflightIsCheap(t *testing.T) {
	h := newHarness(func(o *Options) { o.AllowedOrigins = []string{"https://app.example.com"} })
	preflight := func(names string) *http.Request {
		r := httptest.NewRequest("OPTIONS", "http://door.example/api/join", nil)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", names)
		return r
	}
	cost := func(names string) float64 {
		r := preflight(names)
		return testing.AllocsPerRun(20, func() { h.api.ServeHTTP(httptest.NewRecorder(), r) })
	}
	usual, bomb := cost("authorization,content-type"), cost(strings.Repeat(",", 30000))
	if bomb > usual+5 {
		t.Errorf("%v allocations, usually %v", bomb, usual)
	}
	for _, names := range []string{strings.Repeat(",", 30000), strings.Repeat("authorization,", 2000), "authorization,x-evil", "authorization\t,\tcontent-type,*", "*"} {
		resp := serve(h, preflight(names))
		if resp.Header.Get("Access-Control-Allow-Origin") != "" || resp.Header.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("%.40q is allowed: %v", names, resp.Header)
		}
	}
}

// A preflight has no credential; nothing that a caller can be refused for
// comes before it, and nothing is done for it.
func TestPreflightComesBeforeEverythingElse(t *testing.T) {
	spent := &budget{name: "address"}
	h := newHarness(func(o *Options) {
		o.AllowedOrigins, o.RequireHTTPS, o.AuthCookie = []string{"https://app.example.com"}, true, cookieName
		o.Limits = Limits{Address: spent.of, Failure: spent.of, InFlight: inflight.Options{Running: 1, Waiting: 1, QueueTimeout: time.Millisecond}}
	})
	h.panics = true // whoever authenticates is found out
	for _, path := range []string{"/api/join", "/api/token", "/api/invites", "/nothing"} {
		for _, method := range []string{"POST", "DELETE", "PUT"} {
			resp := h.do(t, request{method: "OPTIONS", path: path, header: map[string]string{"Origin": "https://app.example.com", "Authorization": "",
				"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}})
			if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Methods") != method || resp.Header.Get("Access-Control-Max-Age") != "600" {
				t.Errorf("%s %s: %s %v", method, path, resp.Status, resp.Header)
			}
		}
	}
	if len(spent.used) != 0 {
		t.Errorf("preflights were counted: %v", spent.used)
	}
	for _, method := range []string{"TRACE", "CONNECT", "post", "TRACK", "*", ""} {
		resp := h.do(t, request{method: "OPTIONS", header: map[string]string{"Origin": "https://app.example.com", "Access-Control-Request-Method": method}})
		if resp.Header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%q is allowed: %v", method, resp.Header)
		}
	}
}

func TestPagesCannotBeFramedAndLoadNothingElse(t *testing.T) {
	demo := newHarness(func(o *Options) {
		o.Demo = &Demo{Page: fstest.MapFS{"index.html": {Data: []byte("<title>x</title>")}}, LiveKitURL: "ws://127.0.0.1:7880"}
	})
	unbuilt := newHarness(func(o *Options) { o.Demo = &Demo{Page: fstest.MapFS{}, LiveKitURL: "wss://acme.livekit.cloud"} })
	desk, _ := newDesk(nil)
	for name, c := range map[string]struct {
		h           *harness
		path        string
		permissions string
	}{
		"the demo room":            {demo, "/", "camera=(self), microphone=(self), display-capture=(self)"},
		"the demo room, not built": {unbuilt, "/", "camera=(self), microphone=(self), display-capture=(self)"},
		"the operators'":           {desk, "/", "camera=(), microphone=(), display-capture=()"},
	} {
		resp := c.h.do(t, request{method: "GET", path: c.path, header: map[string]string{"Host": "localhost:3000", "Authorization": ""}})
		got := resp.Header
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", c.path, name, got.Get(name), want)
			}
		}
		policy := got.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: no %s in %q", name, want, policy)
			}
		}
		for _, bad := range []string{"'unsafe-eval'", "script-src 'self' 'unsafe-inline'", "*;", " * ", "http:;", "https:;", "data:; script"} {
			if strings.Contains(policy, bad) {
				t.Errorf("%s: %s in %q", name, bad, policy)
			}
		}
		if !strings.HasPrefix(got.Get("Permissions-Policy"), c.permissions+", geolocation=()") {
			t.Errorf("%s: %q", name, got.Get("Permissions-Policy"))
		}
		if resp.StatusCode != http.StatusOK || got.Get("Content-Type") == "" || got.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %s %v", name, resp.Status, got)
		}
	}
}
