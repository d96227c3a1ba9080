package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"stagedoor"
	"stagedoor/internal/billing"
	"stagedoor/internal/demostripe"
	"stagedoor/internal/store"
)

// account is the demo's Stripe behind a switch, with billing and a real
// database on this side of it. The clock is the test's.
type account struct {
	*billing.Billing
	stripe *demostripe.Server
	store  *store.Store

	mu    sync.Mutex
	now   time.Time
	calls int
	fault func(http.ResponseWriter, *http.Request) // nil: Stripe answers
	told  []stagedoor.PrincipalKey
	all   int // how often everybody's rights may have changed
}

func (a *account) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *account) pass(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = a.now.Add(d)
}

// breaks makes Stripe answer like this; nil mends it.
func (a *account) breaks(fault func(http.ResponseWriter, *http.Request)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// asked returns how many requests Stripe got since the last time.
func (a *account) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.calls
	a.calls = 0
	return n
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	key := stagedoor.NewSecret("sk_test_follow")
	a.stripe = demostripe.New(demostripe.Options{Key: key, WebhookSecret: stagedoor.NewSecret("whsec_follow"), WebhookURL: func() string { return "" },
		Feature: "publish", Now: a.clock, Log: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.calls++
		fault := a.fault
		a.mu.Unlock()
		switch {
		case fault != nil:
			fault(w, r)
		case strings.HasSuffix(r.URL.Path, "/active_entitlements"):
			// These tests are about metadata; an account without Entitlements has none.
			says(200, `{"object":"list","data":[],"has_more":false,"url":"/v1/entitlements/active_entitlements"}`)(w, r)
		default:
			a.stripe.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	var err error
	a.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "door.db"), store.Index{CustomerClaim: "stripe_customer_id", SubscriptionClaim: "subscriptionId", Prefixes: []string{"app"}})
	if err != nil {
		t.Fatal(err)
	}
	a.store.Now = a.clock
	t.Cleanup(func() { _ = a.store.Close() })
	a.Billing, err = billing.New(t.Context(), billing.Options{Key: key, WebhookSecrets: []stagedoor.Secret{stagedoor.NewSecret("whsec_follow")}, APIURL: server.URL, Store: a.store,
		Rules: billing.Rules{Statuses: []string{"active", "trialing"}}, CustomerClaim: "stripe_customer_id", SubscriptionClaim: "subscriptionId", IdentityPrefixes: []string{"app"},
		Changed: func(keys []stagedoor.PrincipalKey) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.told = append(a.told, keys...)
			if len(keys) == 0 {
				a.all++
			}
		}, Now: a.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ids returns a demo customer's id and that of their subscription, as a token would name them.
func (a *account) ids(t *testing.T, user string) (customer, subscription string) {
	t.Helper()
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/v1/subscriptions?status=all&limit=100&expand[]=data.customer", nil)
	req.Header.Set("Authorization", "Bearer sk_test_follow")
	a.stripe.ServeHTTP(rec, req)
	var list struct {
		Data []struct {
			ID       string
			Customer struct {
				ID       string
				Metadata map[string]string
			}
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for _, s := range list.Data {
		if s.Customer.Metadata["user_id"] == user {
			return s.Customer.ID, s.ID
		}
	}
	t.Fatalf("%s has no subscription", user)
	return "", ""
}

// caller is remembered, as every join does before anything is decided.
func (a *account) caller(t *testing.T, subject string, claims stagedoor.Claims) stagedoor.Principal {
	t.Helper()
	p, err := a.store.Remember(t.Context(), stagedoor.Principal{Issuer: "i", Subject: subject, Handle: subject, Claims: claims})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// must looks a caller up, joining or mid-call, and says what has to come out.
func (a *account) must(t *testing.T, lookup stagedoor.Entitlements, p stagedoor.Principal, want stagedoor.Denial) {
	t.Helper()
	e, err := lookup.Entitlement(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	got := e.Withheld
	if e.Has("publish") {
		got = ""
	}
	if got != want {
		t.Errorf("%s: %q, want %q (%+v)", p.Subject, got, want, e)
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestCallerNeverSeenIsAskedAboutOnce(t *testing.T) {
	a := newAccount(t)
	if err := a.stripe.Subscribe("someone", "Someone"); err != nil {
		t.Fatal(err)
	}
	customer, subscription := a.ids(t, "someone")
	byCustomer := a.caller(t, "ann", stagedoor.Claims{"stripe_customer_id": customer})
	a.must(t, a, byCustomer, "")
	if a.asked() == 0 {
		t.Error("Stripe was not asked")
	}
	// A team: another principal, the same customer, by the setup guide's claim.
	a.must(t, a, a.caller(t, "bea", stagedoor.Claims{"subscriptionId": subscription}), "")
	a.must(t, a, byCustomer, "")
	a.must(t, a.Known(), byCustomer, "")
	if n := a.asked(); n != 0 {
		t.Errorf("TestJoinOfKnownCallerAsksStripeNothing: %d requests", n)
	}
	// What Stripe does not know is remembered, and reads as no subscription.
	ghost := a.caller(t, "eve", stagedoor.Claims{"subscriptionId": "sub_ghost", "stripe_customer_id": "cus_ghost"})
	a.must(t, a, ghost, stagedoor.NoSubscription)
	a.asked()
	a.must(t, a, ghost, stagedoor.NoSubscription)
	if n := a.asked(); n != 0 {
		t.Errorf("asked %d times about what is not there", n)
	}
	a.pass(31 * time.Second)
	a.must(t, a, ghost, stagedoor.NoSubscription)
	if a.asked() == 0 {
		t.Error("never asked again")
	}
	for name, claims := range map[string]stagedoor.Claims{
		"no claim": nil, "a number": {"stripe_customer_id": 7.0}, "another's form": {"stripe_customer_id": "sub_1"},
		"TestPathInAClaimIsNoRequest": {"stripe_customer_id": "cus_1/../../v1/balance"}, "a list": {"subscriptionId": []any{subscription}},
		"an e-mail address": {"email": "someone@acme.example"},
	} {
		a.must(t, a, a.caller(t, name, claims), stagedoor.NoSubscription)
	}
	if n := a.asked(); n != 0 {
		t.Errorf("%d requests for claims that name nothing", n)
	}
}

func TestCallerWaitsTwoSecondsForStripeAtMost(t *testing.T) {
	a := newAccount(t)
	a.breaks(hang)
	p := a.caller(t, "ann", stagedoor.Claims{"stripe_customer_id": "cus_1"})
	for i, limit := range []time.Duration{2500 * time.Millisecond, 200 * time.Millisecond} {
		began := time.Now()
		a.must(t, a, p, stagedoor.BillingUnavailable)
		if took := time.Since(began); took > limit {
			t.Errorf("join %d took %v", i, took)
		}
	}
	began := time.Now()
	a.must(t, a.Known(), p, stagedoor.BillingUnavailable)
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("mid-call nobody waits, took %v", took)
	}
}

// Whatever Stripe answers instead of facts, nobody gains and nobody who paid
// loses before the hard limit.
func TestOutageChangesNothingUntilTheHardLimit(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request){
		"401": says(401, `{"error":{"type":"invalid_request_error"}}`), "403": says(403, `{"error":{"type":"invalid_request_error"}}`),
		"429": says(429, `{"error":{"type":"rate_limit"}}`), "500": says(500, `{"error":{"type":"api_error"}}`),
		"HTML": says(503, "<html>"), "an empty object": says(200, "{}"), "an empty answer": says(200, ""),
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			if err := a.stripe.Subscribe("ann", "Ann"); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Sync(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { a.Work(ctx); close(done) }()
			defer func() { cancel(); <-done }()
			ann, bob := a.caller(t, "ann", nil), a.caller(t, "bob", nil)
			customer, _ := a.ids(t, "ann")
			a.breaks(fault)
			if err := a.store.MarkDirty(t.Context(), a.clock(), customer); err != nil {
				t.Fatal(err)
			}
			a.pass(24*time.Hour - time.Second)
			for _, lookup := range []stagedoor.Entitlements{a, a.Known()} {
				a.must(t, lookup, ann, "")
				a.must(t, lookup, bob, stagedoor.NoSubscription)
			}
			a.pass(2 * time.Second)
			for _, lookup := range []stagedoor.Entitlements{a, a.Known()} {
				a.must(t, lookup, ann, stagedoor.BillingUnavailable)
				a.must(t, lookup, bob, stagedoor.NoSubscription)
			}
			steps, err := a.Explain(t.Context(), ann)
			if err != nil || !strings.Contains(textOf(steps), "24 hours") {
				t.Errorf("explained as %s, %v", textOf(steps), err)
			}
			// Stripe is back: the next join learns it as soon as one request was answered.
			a.breaks(nil)
			a.pass(time.Minute)
			for a.Standing().Stripe.OpenUntil != (time.Time{}) {
				time.Sleep(5 * time.Millisecond)
			}
			a.must(t, a, ann, "")
		})
	}
}

func textOf(steps []stagedoor.Step) string {
	var text strings.Builder
	for _, s := range steps {
		text.WriteString(string(s.Mark) + " " + s.Name + ": " + s.Text + "\n")
	}
	return text.String()
}

// A payer chooses client_reference_id: that gives away, and never takes.
func TestLinks(t *testing.T) {
	a := newAccount(t)
	for _, user := range []string{"ann", "auth0|123", "app_cy"} {
		if err := a.stripe.Subscribe(user, user); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	a.must(t, a, a.caller(t, "ann", nil), "")
	a.must(t, a, a.caller(t, "auth0|123", nil), "")
	cy := stagedoor.Principal{Issuer: "app", Subject: "cy", Handle: "cy", IdentityPrefix: "app"}
	if _, err := a.store.Remember(t.Context(), cy); err != nil {
		t.Fatal(err)
	}
	a.must(t, a, cy, "")
	a.must(t, a, a.caller(t, "app_cy", nil), stagedoor.NoSubscription) // another issuer's prefix: only in b64_
	a.must(t, a, a.caller(t, "cy", nil), stagedoor.NoSubscription)
	// A stranger pays with Ann's reference, and cancels.
	if err := a.stripe.Subscribe("mallory", "Mallory"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	theirs, _ := a.ids(t, "mallory")
	if added, err := a.store.AddLink(t.Context(), stagedoor.Link{Reference: "ann", Customer: theirs, Source: "checkout"}); err != nil || !added {
		t.Fatal(added, err)
	}
	a.must(t, a, a.caller(t, "ann", nil), "")
	quiet(t, a)
	if err := a.stripe.Cancel("mallory"); err != nil {
		t.Fatal(err)
	}
	a.pass(time.Minute)
	if _, err := a.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	settle(t, a)
	a.must(t, a, a.caller(t, "mallory", nil), stagedoor.SubscriptionInactive)
	a.must(t, a, a.caller(t, "ann", nil), "")
}

// settle has the worker ask for what is due, and waits until it has.
func settle(t *testing.T, a *account) {
	t.Helper()
	work(t, a, func() bool {
		status, err := a.Status(t.Context())
		return err == nil && status.Pending == 0
	})
}

func TestChangeIsToldToWhomItConcerns(t *testing.T) {
	a := newAccount(t)
	if err := a.stripe.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	customer, subscription := a.ids(t, "ann")
	a.caller(t, "ann", nil)
	a.caller(t, "teammate", stagedoor.Claims{"subscriptionId": subscription})
	a.caller(t, "stranger", nil)
	if err := a.stripe.FailPayment("ann"); err != nil {
		t.Fatal(err)
	}
	a.pass(time.Second)
	a.told = nil
	if err := a.store.MarkDirty(t.Context(), a.clock(), customer); err != nil {
		t.Fatal(err)
	}
	settle(t, a)
	names := map[string]bool{}
	a.mu.Lock()
	for _, key := range a.told {
		names[key.Subject] = true
	}
	a.mu.Unlock()
	if !names["ann"] || !names["teammate"] || len(names) != 2 {
		t.Errorf("told %v", names)
	}
	a.must(t, a.Known(), a.caller(t, "ann", nil), stagedoor.SubscriptionInactive)
}

// What is not kept of a token cannot be decided on later, so a join does not
// decide on it either.
func TestOnlyClaimsThatDecisionsNameAreKept(t *testing.T) {
	a := newAccount(t)
	m := memory{Store: a.store, claims: []string{"stripe_customer_id", "app.plan"}, rules: noPolicy(t), log: slog.New(slog.DiscardHandler), logged: rate.NewLimiter(1, 1)}
	given := stagedoor.Principal{Issuer: "i", Subject: "ann", Handle: "ann",
		Claims: stagedoor.Claims{"stripe_customer_id": "cus_1", "email": "ann@acme.example", "app": map[string]any{"plan": "gold", "address": "x"}}}
	got, err := m.Remember(t.Context(), given)
	kept, _, second := a.store.Principal(t.Context(), given.Key())
	for _, p := range []stagedoor.Principal{got, kept} {
		if plan, _ := p.Claims.At("app.plan"); err != nil || second != nil || len(p.Claims) != 2 || p.Claims["stripe_customer_id"] != "cus_1" || plan != "gold" {
			t.Errorf("%+v %v %v", p.Claims, err, second)
		}
	}
}
