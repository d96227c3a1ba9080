package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// routeSeed is a request that its route grants, and the route's pattern.
type routeSeed struct {
	pattern string
	wire
	status int
}

const (
	jsonHeaders  = "Host: localhost\nContent-Type: application/json\nAuthorization: Bearer " + validCredential
	guestHeaders = "Host: localhost\nContent-Type: application/json\nAuthorization: Bearer " + guestCredential
	adminHeaders = "Host: localhost\nContent-Type: application/json\nAuthorization: Bearer " + adminSecret
	plainHeaders = "Host: localhost\nContent-Type: application/json"
)

// routeSeeds has one granted request of every route at least; of those that
// end in nothing, the refusal. A route that is missing here fails
// TestEveryRouteIsFuzzed.
func routeSeeds() []routeSeed {
	const get, post, remove = http.MethodGet, http.MethodPost, http.MethodDelete
	seed := func(pattern string, door uint8, method, target, headers, body string, status int) routeSeed {
		return routeSeed{pattern, wire{door, method, target, headers, "X-Canary", []byte(body)}, status}
	}
	seeds := []routeSeed{
		seed("/api/join", publicDoor, post, "/api/join", jsonHeaders, `{"room":"r","username":"Ann","device":"tablet"}`, 200),
		seed("/api/join", publicDoor, post, "/api/join", guestHeaders, `{"guest":"tab_1234567890-ABC"}`, 200),
		seed("/api/join", proxiedDoor, post, "/api/join", jsonHeaders+"\nX-Forwarded-Proto: https\nX-Forwarded-For: 192.0.2.1, 10.0.0.2\nOrigin: https://app.example", `{"room":"r"}`, 200),
		seed("/api/token", publicDoor, post, "/api/token", jsonHeaders, `{"room_name":"r","participantName":"Ann","participant_attributes":{"role":"x","device":"d"},"room_config":{}}`, 201),
		seed("/api/token", publicDoor, post, "/api/token", jsonHeaders, `{}`, 201),
		seed("/api/moderate", publicDoor, post, "/api/moderate", jsonHeaders, `{"room":"r","identity":"bob","action":"remove"}`, 200),
		seed("/api/invites", publicDoor, post, "/api/invites", jsonHeaders, `{"room":"r","expires":3600,"name":"Gus","publish":true,"uses":3}`, 201),
		seed("/api/invites", publicDoor, get, "/api/invites", jsonHeaders, ``, 200),
		seed("/api/invites/{id}", publicDoor, remove, "/api/invites/inv_1", jsonHeaders, ``, 200),
		seed("/webhooks/stripe", publicDoor, post, "/webhooks/stripe", "Host: h\nStripe-Signature: "+webhookProof, `{"id":"evt_1"}`, 200),
		seed("/webhooks/livekit", publicDoor, post, "/webhooks/livekit", "Host: h\nAuthorization: "+webhookProof, `{"event":"room_started"}`, 200),
		seed("/admin/api/", publicDoor, get, "/admin/api/live", adminHeaders, ``, 200),
		seed("/admin/api", publicDoor, get, "/admin/api", adminHeaders, ``, 404),
		seed("/healthz", proxiedDoor, get, "/healthz", "Host: 10.0.0.1", ``, 200),
		seed("/readyz", publicDoor, http.MethodHead, "/readyz", "Host: h", ``, 200),
		seed("/livekit-join.js", publicDoor, get, "/livekit-join.js", "Host: h\nOrigin: https://evil.example", ``, 200),
		seed("/openapi.yaml", publicDoor, get, "/openapi.yaml", "Host: h", ``, 200),
		seed("/demo/config.json", demoDoor, get, "/demo/config.json", plainHeaders, ``, 200),
		seed("/demo/plans", demoDoor, post, "/demo/plans", plainHeaders, `{"user":"alice","action":"cancel"}`, 200),
		seed("/assets/", demoDoor, get, "/assets/app.js", plainHeaders+"\nAccept-Encoding: gzip", ``, 200),
		seed("/assets/", demoDoor, get, "/assets/app.js", plainHeaders+"\nRange: bytes=90-", ``, 200),
		seed("/{$}", demoDoor, get, "/", plainHeaders, ``, 200),
		seed("/{$}", bareDemoDoor, get, "/", plainHeaders, ``, 200),
		seed("/assets/", bareDemoDoor, get, "/assets/app.js", plainHeaders, ``, 404),
		seed("/", publicDoor, get, "/nothing", plainHeaders, ``, 404),
		seed("/", publicDoor, get, "*", plainHeaders, ``, 404),
		seed("/", proxiedDoor, get, "/a//b?next=//evil.example", plainHeaders, ``, 308),
		seed("admin /{$}", operatorDoor, get, "/", plainHeaders, ``, 200),
		seed("admin /metrics", operatorDoor, get, "/metrics", plainHeaders, ``, 200),
		seed("admin /debug/pprof/", operatorDoor, get, "/debug/pprof/heap", plainHeaders, ``, 200),
		seed("admin /", operatorDoor, get, "/api/nothing", plainHeaders, ``, 404),
		seed("admin /", guardedDoor, get, "/api/bans", adminHeaders, ``, 200),
	}
	for _, operators := range []routeSeed{
		seed("admin /api/bans", operatorDoor, get, "/api/bans?user=ann&issuer=x", "", ``, 200),
		seed("admin /api/bans", operatorDoor, post, "/api/bans", "", `{"user":"ann","room":"red","for":"24h","reason":"spam"}`, 201),
		seed("admin /api/bans", operatorDoor, post, "/api/bans", "", `{"user":"ann","until":"2026-12-31T18:00:00+01:00"}`, 201),
		seed("admin /api/bans", operatorDoor, remove, "/api/bans?user=ann&room=red", "", ``, 200),
		seed("admin /api/bans/{id}", operatorDoor, remove, "/api/bans/ban_1", "", ``, 200),
		seed("admin /api/forget", operatorDoor, post, "/api/forget", "", `{"user":"ann","dryRun":true}`, 200),
		seed("admin /api/explain", operatorDoor, get, "/api/explain?user=ann&room=red", "", ``, 200),
		seed("admin /api/live", operatorDoor, get, "/api/live", "", ``, 200),
		seed("admin /api/billing", operatorDoor, get, "/api/billing", "", ``, 200),
		seed("admin /api/sync", operatorDoor, post, "/api/sync", "", ``, 200),
	} {
		operators.headers = plainHeaders
		seeds = append(seeds, operators)
		operators.door, operators.headers, operators.target = publicDoor, adminHeaders, "/admin"+operators.target
		seeds = append(seeds, operators)
	}
	return seeds
}

// patternsOf lists every pattern that a source file gives to a mux; the
// operators' begin with "admin ".
func patternsOf(t *testing.T, name string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			return true
		}
		called, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || called.Sel.Name != "Handle" && called.Sel.Name != "HandleFunc" {
			return true
		}
		literal, ok := call.Args[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s: a pattern that is not written out", name)
		}
		pattern, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "admin") {
			pattern = "admin " + pattern
		}
		patterns = append(patterns, pattern)
		return true
	})
	return patterns
}

// TestEveryRouteIsFuzzed compares the seeds with the routes in the source, and
// holds each seed to reaching its route and being answered as it says: a seed
// that is refused at the door fuzzes nothing behind it.
func TestEveryRouteIsFuzzed(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var routes []string
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			routes = append(routes, patternsOf(t, name)...)
		}
	}
	if len(routes) < 25 {
		t.Fatalf("only %d routes were found", len(routes))
	}
	seeds := routeSeeds()
	for _, route := range routes {
		if !slices.ContainsFunc(seeds, func(s routeSeed) bool { return s.pattern == route }) {
			t.Errorf("no seed of FuzzRoutes reaches %s: add one to routeSeeds", route)
		}
	}
	for _, s := range seeds {
		if !slices.Contains(routes, s.pattern) {
			t.Errorf("there is no route %s", s.pattern)
			continue
		}
		// The route's own pattern, alone on a mux, takes the seed's path.
		mux := http.NewServeMux()
		mux.HandleFunc(strings.TrimPrefix(s.pattern, "admin "), notFound)
		r := s.request()
		if r == nil {
			t.Fatalf("%s %s is no request", s.method, s.target)
		}
		probe := r.Clone(t.Context())
		if strings.HasPrefix(s.pattern, "admin ") {
			probe.URL.Path = strings.TrimPrefix(probe.URL.Path, "/admin")
		}
		if _, matched := mux.Handler(probe); matched == "" {
			t.Errorf("%s does not lead to %s", s.target, s.pattern)
		}
		rec := httptest.NewRecorder()
		newFuzzHouse(s.door).api.ServeHTTP(rec, r)
		if rec.Code != s.status {
			t.Errorf("%s %s at door %d: %d %s, want %d", s.method, s.target, s.door, rec.Code, rec.Body, s.status)
		}
	}
}
