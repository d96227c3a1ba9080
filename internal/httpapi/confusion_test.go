package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// trustAll has every peer speak for others.
var trustAll = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// anybody authenticates everybody, as an issuer would that names them strangely.
type anybody string

// Authenticate takes every credential; one that begins with "refuse" fails
// with an error that quotes it.
func (a anybody) Authenticate(_ context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	if strings.HasPrefix(c.Reveal(), "refuse") {
		return stagedoor.Principal{}, &stagedoor.Error{Kind: stagedoor.InvalidToken, Detail: "no", Err: errors.New("said " + string(a))}
	}
	return stagedoor.Principal{Issuer: string(a), Subject: string(a), Handle: "ann"}, nil
}

// probers are what platforms call themselves when they ask for a probe.
var probers = []string{"", "kube-probe/1.31", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Consul Health Check", "Envoy/HC", "RailwayHealthCheck", "Amazon-Route53-Health-Check-Service", "Mozilla/5.0"}

// confused are targets that one reader takes for a probe, or for another
// address than the next reader does.
var confused = []string{
	"/healthz/../api/join", "//healthz", "/healthz/", "/healthz//", "/healthz/x", "/healthz%2f..%2fapi%2fjoin", "/healthz%2f..", "/healthz/..%2fapi/join", "/healthz/%2e%2e/api/join",
	"/healthz;/api/join", "/healthz;x=1", "/healthz%3f/api/join", "/healthz%23/api/join", "/healthz#/../api/join", "/healthz%00", "/healthz%20", "/healthz.json", "/healthz\\..\\api\\join",
	"/HEALTHZ", "/Healthz", "/%68ealthz", "/healthz%0a", "/./healthz", "/x/../healthz", "/api/../healthz", "/readyz/../admin/api/bans", "/READYZ", "/readyz/", "/%72eadyz",
	"/api/join/healthz", "/api/join/../../healthz", "/api/join;/healthz", "/api/join%2f..%2f..%2fhealthz", "/api/join/..;/healthz",
	"/api/%6aoin", "/%61pi/join", "/api%2fjoin", "/api%252fjoin", "/API/join", "/api/Join", "/api/join/", "/api/join//", "//api/join", "/api//join", "/api/./join", "/x/../api/join", "/api/x/../join",
	"/api/join%00", "/api/join%20", "/api/join;x=1", "/api/join#x", "/api/join.json", "/api/join%3fx", "/\\api\\join", "/api\\join", "/api/jo\u0131n",
	"/admin/../api/join", "/admin//api/bans", "/admin/api/../../api/join", "/%61dmin/api/bans", "/admin%2fapi%2fbans", "/admin/%61pi/bans", "/admin/api/%62ans", "/admin/api/bans/", "/Admin/api/bans", "/admin;/api/bans", "/admin/api;/bans",
	"/webhooks/../api/join", "/webhooks/%2e%2e/api/join", "/livekit-join.js/../api/join", "/openapi.yaml/../admin/api/bans", "/openapi.yaml%2f..%2fapi%2fjoin",
}

// No address has a second spelling, not even for who holds a token: so what a
// proxy in front forbids by its path stays forbidden, and what needs no caller
// is exactly what it says it is.
func TestPathConfusionOpensNothing(t *testing.T) {
	h := newHarness(func(o *Options) {
		o.Admin = (&desk{}).admin()
		o.Admin.Token = stagedoor.NewSecret(adminSecret)
	})
	listener := httptest.NewServer(h.api)
	defer listener.Close()
	address := listener.Listener.Addr().String()
	for _, target := range confused {
		for _, method := range []string{"GET", "POST"} {
			for _, token := range []string{"", "ann", adminSecret} {
				if status := h.statusOf(t, address, method, target, "Authorization: Bearer "+token+"\r\n"); !shut(status, target, token) {
					t.Errorf("%s %s as %q: %d", method, target, token, status)
				}
			}
		}
	}
	for target, want := range map[string]int{"/api/join": 200, "/api/join?healthz": 200, "/api/join?": 200, "/api/join?x#y": 200} {
		if status := h.statusOf(t, address, "POST", target, "Authorization: Bearer ann\r\n"); status != want {
			t.Errorf("%s: %d", target, status)
		}
	}
}

// shut reports whether a status opens nothing. Under the operators' prefix a
// stranger does not even learn which addresses there are.
func shut(status int, target, token string) bool {
	guarded := strings.HasPrefix(target, "/admin/api/") && token != adminSecret
	return status == 404 || status == 400 || guarded && (status == 401 || status == 429)
}

// Who asks, and what stands behind the path, makes no probe of an address.
func TestProbeIsKnownByItsPathAlone(t *testing.T) {
	h := newHarness(func(o *Options) { o.RequireHTTPS = true })
	listener := httptest.NewServer(h.api)
	defer listener.Close()
	address := listener.Listener.Addr().String()
	for _, agent := range probers {
		header := "User-Agent: " + agent + "\r\nX-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz\r\nX-Forwarded-Uri: /healthz\r\nX-Forwarded-Prefix: /healthz\r\n"
		for _, target := range []string{"/api/join", "/api/join?/healthz", "/api/join?path=/readyz", "/api/token", "/api/invites", "/"} {
			for _, method := range []string{"GET", "POST"} {
				if status := h.statusOf(t, address, method, target, header); status != http.StatusForbidden {
					t.Errorf("%s %s by %q over plain HTTP: %d", method, target, agent, status)
				}
			}
		}
		for _, target := range []string{"/healthz", "/healthz?/api/join", "/readyz"} {
			if status := h.statusOf(t, address, "GET", target, header); status != 200 {
				t.Errorf("%s by %q: %d", target, agent, status)
			}
		}
	}
	plain := newHarness(nil)
	for _, agent := range probers {
		mustRefuse(t, plain.do(t, request{header: map[string]string{"Authorization": "", "User-Agent": agent}}), 401, "missing_token")
	}
}

// Whoever names themselves a probe, a proxy, an insider or another address is
// counted like everybody.
func TestNoHeaderSkipsALimit(t *testing.T) {
	h, all := limitedHarness(1, 1, 1)
	h.do(t, request{remote: "203.0.113.9:1"})
	for i, header := range []map[string]string{
		{"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-For": "198.51.100.1, 127.0.0.1"}, {"X-Real-Ip": "127.0.0.1"}, {"X_Forwarded_For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"},
		{"Cf-Connecting-Ip": "127.0.0.1"}, {"True-Client-Ip": "127.0.0.1"}, {"X-Client-Ip": "127.0.0.1"}, {"X-Api-Key": "anything"}, {"X-Internal": "true"}, {"X-Request-Id": "12345678-health"},
		{"X-Original-Url": "/healthz"}, {"X-Rewrite-Url": "/healthz"}, {"X-Http-Method-Override": "GET"}, {"User-Agent": "kube-probe/1.31"}, {"User-Agent": "GoogleHC/1.0"}, {"Host": "localhost"}, {"Host": "127.0.0.1"},
		{"Connection": "X-Forwarded-For"}, {"Purpose": "prefetch"}, {"Authorization": "Bearer bob"}, {"Authorization": ""}, {"Origin": "http://localhost"}, {"Cookie": "internal=1"},
	} {
		for _, path := range []string{"/api/join", "/api/join?healthz", "/api/token", "/healthz/x"} {
			mustRefuse(t, h.do(t, request{path: path, remote: "203.0.113.9:1", header: header}), 429, "rate_limited")
		}
		if used := all["address"].used["203.0.113.9"]; used != 5+4*i || len(all["address"].used) != 1 {
			t.Fatalf("%v: counted %v", header, all["address"].used)
		}
	}
	t.Setenv("NODE_ENV", "test")
	t.Setenv("CI", "true")
	mustRefuse(t, h.do(t, request{remote: "203.0.113.9:1"}), 429, "rate_limited")
}

// statusOf sends a target exactly as it is written, on a connection of its own.
func (h *harness) statusOf(t *testing.T, address, method, target, header string) int {
	t.Helper()
	body := ""
	if method == "POST" {
		body = `{"room":"r"}`
		header += "Content-Type: application/json\r\nContent-Length: 12\r\n"
	}
	conn := dial(t, address, method+" "+target+" HTTP/1.1\r\nHost: door\r\nConnection: close\r\n"+header+"\r\n"+body)
	return answerOf(t, conn, 5*time.Second).StatusCode
}
