package metrics

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func full() State {
	yes := true
	now := time.Unix(1_800_000_000, 0)
	return State{Now: now, Ready: &yes, Issuers: []IssuerKeys{{Issuer: "https://a.example", Keys: 2, ConfirmedAt: now.Add(-time.Minute)}, {Issuer: "https://b.example", Failures: 7}},
		Stripe: &Stripe{Succeeded: 5, Failed: 2, LastSuccess: now, BreakerOpen: true, EventsReadAt: now, ComparedAt: now},
		Counts: &Counts{Pending: 3, Customers: 9, OldestHint: now.Add(-10 * time.Second), Participants: 4, Rooms: 2, DatabaseBytes: 100, DiskFreeBytes: 1000},
		Bans:   1, PolicyLoaded: now, PolicyRefused: 1, CertificateExpiry: now, ClockSkew: map[string]time.Duration{"livekit": -40 * time.Second, "stripe": time.Second, "stranger": time.Hour}, Spans: &Spans{1, 2, 3}}
}

func series(t *testing.T, m *Metrics) int {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, f := range families {
		count += len(f.GetMetric())
	}
	return count
}

// Whatever strangers send, each label has the values that were foreseen.
func TestFloodOfStrangersMakesNoSeries(t *testing.T) {
	m := New(Options{Version: "v", Commit: "c", Routes: []string{"/api/join", "other"}, State: full})
	flood := func(i int) {
		odd := fmt.Sprintf("stranger-%d", i)
		m.Begun()()
		m.Request("/"+odd, i, odd)
		m.Request("/api/join", 200, "")
		m.Join(odd, odd, time.Millisecond)
		m.Join(Refused, odd, time.Millisecond)
		m.Join(WatchOnly, odd, time.Millisecond)
		m.Stage(odd, time.Millisecond)
		m.Event(odd, stagedoor.Refuse(stagedoor.Kind(i%256), odd))
		m.EventLag(odd, -time.Second)
		m.Enforced(odd, odd, time.Second)
		m.Enforced("update", odd, time.Second)
		m.Written(i%2 == 0, time.Second, i%3 == 0)
		m.Audited(nil)
	}
	for i := range 1000 { // every status that there is
		flood(i)
	}
	before := series(t, m)
	for i := range 10_000 {
		flood(i)
	}
	if after := series(t, m); after != before || after > 400 {
		t.Errorf("%d series, then %d", before, after)
	}
}

// What is counted is told under the right labels.
func TestEventsAreCountedByLabel(t *testing.T) {
	m := New(Options{Routes: []string{"/api/join"}})
	m.Request("/api/join", 429, "user")
	m.Request("/api/join", 503, "in flight")
	m.Join(Published, "", time.Second)
	m.Join(WatchOnly, "no_subscription", time.Second)
	m.Join(Refused, "expired_token", time.Second)
	m.Audited(io.ErrClosedPipe)
	m.Event("stripe", nil)
	m.Event("stripe", stagedoor.Refuse(stagedoor.InvalidSignature, ""))
	m.Event("livekit", io.ErrClosedPipe)
	m.Enforced("update", "a known end", time.Second)
	m.Enforced("failed", "ban", 0)
	m.Written(true, time.Second, true)
	text := scrape(m)
	for _, line := range []string{
		`stagedoor_enforcement_duration_seconds_count{cause="known_end"} 1`, `stagedoor_enforcement_duration_seconds_count{cause="ban"} 0`,
		`stagedoor_requests_total{code="429",route="/api/join"} 1`, `stagedoor_rate_limited_total{limit="user"} 1`, `stagedoor_in_flight_refused_total 1`,
		`stagedoor_joins_total{kind="",outcome="published"} 1`, `stagedoor_joins_total{kind="no_subscription",outcome="watch_only"} 1`,
		`stagedoor_joins_total{kind="expired_token",outcome="refused"} 1`, `stagedoor_audit_records_total{result="failed"} 1`,
		`stagedoor_webhook_events_total{outcome="accepted",source="stripe"} 1`, `stagedoor_webhook_events_total{outcome="refused",source="stripe"} 1`,
		`stagedoor_webhook_events_total{outcome="failed",source="livekit"} 1`, `stagedoor_enforcement_corrections_total{kind="update"} 1`,
		`stagedoor_enforcement_corrections_total{kind="failed"} 1`, `stagedoor_store_write_failures_total{durability="acknowledged"} 1`,
		`stagedoor_join_duration_seconds_count{stage="total"} 3`, `stagedoor_store_write_duration_seconds_sum{durability="acknowledged"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("not there: %s", line)
		}
	}
}

func scrape(m *Metrics) string {
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	return answer.Body.String()
}

// What is known is told, and what is not known is absent, not 0.
func TestStateIsToldAsFarAsItIsKnown(t *testing.T) {
	text := scrape(New(Options{State: full}))
	for _, line := range []string{
		"stagedoor_ready 1", `stagedoor_jwks_age_seconds{issuer="https://a.example"} 60`, `stagedoor_jwks_keys{issuer="https://b.example"} 0`, `stagedoor_jwks_failures_total{issuer="https://b.example"} 7`,
		`stagedoor_stripe_requests_total{outcome="failed"} 2`, "stagedoor_stripe_breaker_open 1", "stagedoor_stripe_customers_pending 3",
		"stagedoor_stripe_oldest_hint_age_seconds 10", "stagedoor_participants 4", "stagedoor_rooms 2", "stagedoor_bans 1",
		"stagedoor_database_disk_free_bytes 1000", "stagedoor_policy_reload_failures_total 1", "stagedoor_tls_certificate_expiry_timestamp_seconds 1.8e+09",
		`stagedoor_trace_spans_total{outcome="dropped"} 2`, `stagedoor_clock_skew_seconds{peer="livekit"} -40`, `stagedoor_clock_skew_seconds{peer="stripe"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("not there: %s", line)
		}
	}
	if strings.Contains(text, `jwks_age_seconds{issuer="https://b.example"`) {
		t.Error("keys that never came have an age")
	}
	nothing := scrape(New(Options{State: func() State { return State{} }}))
	for _, name := range []string{"ready", "stripe_breaker_open", "stripe_customers", "participants", "database_size_bytes", "tls_certificate", "policy_loaded", "trace_spans"} {
		if strings.Contains(nothing, "\nstagedoor_"+name) {
			t.Errorf("%s is told, and nothing is known", name)
		}
	}
	if !strings.Contains(nothing, "stagedoor_bans 0\n") {
		t.Error("no bans")
	}
}

func BenchmarkScrape(b *testing.B) {
	m := New(Options{State: full})
	for b.Loop() {
		scrape(m)
	}
}

func BenchmarkRequest(b *testing.B) {
	m := New(Options{Routes: []string{"/api/join"}})
	for b.Loop() {
		ended := m.Begun()
		m.Request("/api/join", 200, "")
		m.Join(Published, "", time.Millisecond)
		for _, stage := range stages[:7] {
			m.Stage(stage, time.Millisecond)
		}
		ended()
	}
}
