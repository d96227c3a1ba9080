package httpapi

import (
	"maps"
	"net/netip"
	"strings"
	"testing"
)

func TestSecretInThePathIsNotLogged(t *testing.T) {
	h := newHarness(nil)
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
	mustRefuse(t, h.do(t, request{path: "/api/join/" + token}), 404, "not_found")
	// A secret in base64 has slashes of its own.
	const slashed = "aGVsbG8gd29ybGQ/dGhpcyBpcyBhIHNl/Y3JldCBvZiBzb21l/Ym9keSB0aGF0IHdh/cyBwYXN0ZWQgaGVyZQ"
	mustRefuse(t, h.do(t, request{path: "/" + slashed}), 404, "not_found")
	if strings.Contains(h.log.String(), "Y3JldCBvZiBzb21l/Ym9keSB0") {
		t.Error(h.log)
	}
	mustRefuse(t, h.do(t, request{method: "SECRETVALUE"}), 405, "method_not_allowed")
	if strings.Contains(h.log.String(), "SECRETVALUE") || !strings.Contains(h.log.String(), `"method":"another"`) {
		t.Error(h.log)
	}
	if h.log.Len() == 0 || strings.Contains(h.log.String(), token) || !strings.Contains(h.log.String(), `"path":"/api/join/…"`) {
		t.Error(h.log)
	}
}

func TestOnlyABrowsersOriginIsLogged(t *testing.T) {
	for origin, want := range map[string]string{
		"https://my-app-git-branch-of-somebody.vercel.app": "https://my-app-git-branch-of-somebody.vercel.app",
		"http://[::1]:5173": "http://[::1]:5173", "null": "null", "capacitor://localhost": "capacitor://localhost",
		"https://Zu5qkW3vB1xM9rT7yL0pN8sD6fG4hJ2c.example": "not a browser's", "Zu5qkW3v": "not a browser's", "https://a@b": "not a browser's", "https://a/b": "not a browser's",
	} {
		if got := plainOrigin(origin); got != want {
			t.Errorf("%s: %s", origin, got)
		}
	}
}

// Strangers must not fill the disk: whoever is not known is logged by the
// budget of their address, and preflights not at all.
func TestStrangersCannotFillTheLog(t *testing.T) {
	asked := 0
	h := newHarness(func(o *Options) {
		o.AllowedOrigins = []string{"https://app.example"}
		o.RequireHTTPS = true
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		o.Limits.Stranger = func(addr netip.Addr) Burst {
			asked++
			return Burst{Log: asked == 1}
		}
	})
	https := map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.9"}
	for _, r := range []request{
		{header: map[string]string{"Authorization": "Bearer mallory"}}, {method: "GET", path: "/nothing"}, {method: "POST", path: "/healthz"}, {path: "/webhooks/none"}, {},
	} {
		header := maps.Clone(https)
		if r.path == "" && r.header == nil {
			header = nil // plain HTTP
		}
		if r.header != nil {
			maps.Copy(header, r.header)
		}
		r.header, r.remote = header, "10.0.0.7:1"
		if resp := h.do(t, r); resp.StatusCode < 400 || resp.StatusCode > 499 {
			t.Errorf("%+v: %s", r, resp.Status)
		}
	}
	if lines := strings.Count(h.log.String(), `"msg":"request"`); lines != 1 || asked != 5 {
		t.Errorf("%d lines of %d refusals:\n%s", lines, asked, h.log)
	}
	h.log.Reset()
	header := maps.Clone(https)
	header["Origin"], header["Access-Control-Request-Method"] = "https://evil.example", "POST"
	h.do(t, request{method: "OPTIONS", header: header, remote: "10.0.0.7:1"})
	if strings.Contains(h.log.String(), `"level":"INFO"`) {
		t.Errorf("a preflight is logged: %s", h.log)
	}
}
