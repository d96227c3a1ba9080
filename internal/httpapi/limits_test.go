package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// budget is a limiter for tests: so many for each key, and never again.
type budget struct {
	name string
	mu   sync.Mutex
	most int
	used map[string]int
}

func (b *budget) take(key string) Quota {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used == nil {
		b.used = map[string]int{}
	}
	b.used[key]++
	return Quota{Name: b.name, Allowed: b.used[key] <= b.most, Limit: b.most, Remaining: b.most - b.used[key], Window: time.Minute, Reset: 1500 * time.Millisecond, RetryAfter: 200 * time.Millisecond}
}

func (b *budget) of(addr netip.Addr) Quota { return b.take(addr.String()) }

// limited is a harness with limits of so many.
func limitedHarness(address, failures, user int) (*harness, map[string]*budget) {
	all := map[string]*budget{"address": {name: "address", most: address}, "failures": {name: "failures", most: failures}, "user": {name: "user", most: user}}
	h := newHarness(func(o *Options) {
		o.StripeEvent = nil
		o.Limits = Limits{Address: all["address"].of, Failure: all["failures"].of, Caller: func(issuer, subject string, guest netip.Addr) Quota {
			return all["user"].take(issuer + subject + guest.String())
		}}
		o.Door.Limiter = &o.Limits
	})
	return h, all
}

func TestCallerIsLimitedAfterAuthentication(t *testing.T) {
	h, _ := limitedHarness(100, 100, 2)
	for i := range 2 {
		resp := h.do(t, request{})
		if resp.StatusCode != 200 || resp.Header.Get("RateLimit") != fmt.Sprintf(`"user";r=%d;t=2`, 1-i) || resp.Header.Get("RateLimit-Policy") != `"user";q=2;w=60` || resp.Header.Get("Retry-After") != "" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	}
	resp := h.do(t, request{body: "not looked at"})
	if mustRefuse(t, resp, 429, "rate_limited"); resp.Header.Get("Retry-After") != "1" || resp.Header.Get("RateLimit") != `"user";r=0;t=2` {
		t.Errorf("%v", resp.Header)
	}
	// Every other way to ask counts too, and nobody else is kept waiting.
	for _, r := range []request{{path: "/api/token", body: `{"room_name":"r"}`}, {path: "/api/moderate"}, {path: "/api/invites"}, {method: "GET", path: "/api/invites"}, {method: "DELETE", path: "/api/invites/x"}} {
		mustRefuse(t, h.do(t, r), 429, "rate_limited")
	}
	if resp := h.do(t, request{header: map[string]string{"Authorization": "Bearer bob"}}); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

// A bad client in an office must not lock the office out.
func TestSpentFailuresStopFailingRequestsAlone(t *testing.T) {
	h, _ := limitedHarness(100, 2, 100)
	bad := request{header: map[string]string{"Authorization": "Bearer mallory"}}
	for range 2 {
		resp := h.do(t, bad)
		if mustRefuse(t, resp, 401, "invalid_token"); resp.Header.Get("RateLimit-Policy") != `"failures";q=2;w=60` {
			t.Errorf("%v", resp.Header)
		}
	}
	for range 3 {
		resp := h.do(t, bad)
		if mustRefuse(t, resp, 429, "rate_limited"); resp.Header.Get("Retry-After") == "" || resp.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v", resp.Header)
		}
		if resp := h.do(t, request{}); resp.StatusCode != 200 {
			t.Errorf("a valid caller behind the same address: %s", resp.Status)
		}
	}
	bad.remote = "198.51.100.7:1"
	mustRefuse(t, h.do(t, bad), 401, "invalid_token")
}

func TestAddressIsLimitedBeforeAnythingElse(t *testing.T) {
	h, all := limitedHarness(2, 100, 100)
	h.do(t, request{})
	h.do(t, request{method: "GET", path: "/nowhere"})
	for _, r := range []request{{}, {method: "BREW"}, {path: "/nowhere"}, {header: map[string]string{"Authorization": "Bearer mallory"}}} {
		mustRefuse(t, h.do(t, r), 429, "rate_limited")
	}
	if len(all["failures"].used) != 0 || all["user"].used["testanninvalid IP"] != 1 {
		t.Errorf("asked: %v %v", all["failures"].used, all["user"].used)
	}
	for _, probe := range []string{"/healthz", "/readyz"} {
		if resp := h.do(t, request{method: "GET", path: probe}); resp.StatusCode != 200 {
			t.Errorf("%s: %s", probe, resp.Status)
		}
	}
	if resp := h.do(t, request{remote: "198.51.100.7:1"}); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

// A preflight carries no credential, and a page that is refused must be able
// to read why.
func TestPreflightsAreNotLimitedAndRefusalsCanBeRead(t *testing.T) {
	const origin = "https://app.example"
	spent := &budget{name: "address"}
	h := newHarness(func(o *Options) {
		o.AllowedOrigins = []string{origin}
		o.Limits = Limits{Address: spent.of}
	})
	resp := h.do(t, request{method: http.MethodOptions, header: map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}})
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Origin") != origin || len(spent.used) != 0 {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	resp = h.do(t, request{header: map[string]string{"Origin": origin}})
	mustRefuse(t, resp, 429, "rate_limited")
	if resp.Header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "Ratelimit") && !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "RateLimit") {
		t.Errorf("%v", resp.Header)
	}
}

func TestWebhooksAreNotStarvedByAddresses(t *testing.T) {
	spent := &budget{name: "address"}
	h := newHarness(func(o *Options) {
		o.Limits = Limits{Address: spent.of}
		o.StripeEvent = takesEvents
	})
	if resp := h.do(t, request{path: "/webhooks/stripe", header: map[string]string{"Stripe-Signature": "x"}}); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

// Guests of one link share a credential: each address has a budget of its own.
func TestGuestsAreLimitedByTheirAddress(t *testing.T) {
	all := &budget{name: "user", most: 1}
	limits := &Limits{Caller: func(issuer, subject string, guest netip.Addr) Quota {
		return all.take(issuer + " " + subject + " " + guest.String())
	}}
	from := func(address string, p stagedoor.Principal) error {
		ctx := contextWith(&record{client: address})
		return limits.Allow(ctx, p)
	}
	guest := stagedoor.Principal{Issuer: stagedoor.GuestIssuer, Subject: "inv_1", Invitation: "inv_1"}
	ann := stagedoor.Principal{Issuer: "i", Subject: "ann"}
	for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
		if err := from(address, guest); err != nil {
			t.Error(err)
		}
		if err := from(address, guest); stagedoor.KindOf(err) != stagedoor.RateLimited {
			t.Error(err)
		}
	}
	if first, second := from("192.0.2.1", ann), from("192.0.2.2", ann); first != nil || stagedoor.KindOf(second) != stagedoor.RateLimited {
		t.Errorf("a caller's budget follows them: %v %v", first, second)
	}
}

func takesEvents(context.Context, []byte, string) error { return nil }

func contextWith(rec *record) context.Context {
	return context.WithValue(context.Background(), recordKey{}, rec)
}

func TestOneLogLinePerBurst(t *testing.T) {
	spent := &budget{name: "address"}
	bursts := map[string]int{}
	h := newHarness(func(o *Options) {
		o.Limits = Limits{Address: spent.of, Burst: func(limit, who string) Burst {
			bursts[limit+" "+who]++
			return Burst{Log: bursts[limit+" "+who] == 1, Unlogged: 7, Shared: true}
		}}
	})
	for range 5 {
		mustRefuse(t, h.do(t, request{}), 429, "rate_limited")
	}
	if lines := strings.Count(h.log.String(), `"msg":"request"`); lines != 1 || !strings.Contains(h.log.String(), `"limit":"address"`) || !strings.Contains(h.log.String(), `"unlogged":7,"manyOthersToo":true`) {
		t.Errorf("%d lines:\n%s", lines, h.log)
	}
	if bursts["address 192.0.2.1"] != 5 {
		t.Errorf("%v", bursts)
	}
}

// Events that nothing proves count as what they are: some stranger's requests.
func TestUnprovedEventsAreLimitedByTheirAddress(t *testing.T) {
	left := &budget{name: "address", most: 2}
	h := newHarness(func(o *Options) {
		o.Limits = Limits{Address: left.of}
		o.StripeEvent = func(_ context.Context, _ []byte, proof string) error {
			if proof == "genuine" {
				return nil
			}
			return stagedoor.Refuse(stagedoor.InvalidSignature, "no")
		}
	})
	send := func(proof string) *http.Response {
		return h.do(t, request{path: "/webhooks/stripe", header: map[string]string{"Stripe-Signature": proof}})
	}
	for range 2 {
		mustRefuse(t, send("forged"), 400, "invalid_signature")
	}
	mustRefuse(t, send("forged"), 429, "rate_limited")
	for range 3 {
		if resp := send("genuine"); resp.StatusCode != 200 {
			t.Errorf("a genuine one from that address: %s", resp.Status)
		}
	}
	mustRefuse(t, h.do(t, request{path: "/webhooks/none"}), 429, "rate_limited")
}

// A genuine token without an identity is nobody's, and no limit but this counts it.
func TestTokensWithoutAnIdentityCountAsFailures(t *testing.T) {
	h, all := limitedHarness(100, 1, 100)
	h.err = stagedoor.Refuse(stagedoor.IdentityNotAllowed, "no identity")
	mustRefuse(t, h.do(t, request{}), 403, "identity_not_allowed")
	mustRefuse(t, h.do(t, request{}), 429, "rate_limited")
	if len(all["user"].used) != 0 {
		t.Error(all["user"].used)
	}
}
