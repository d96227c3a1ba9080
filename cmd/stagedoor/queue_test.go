package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe/stripe-go/v86/webhook"

	"stagedoor"
	"stagedoor/internal/billing"
	"stagedoor/internal/demostripe"
	"stagedoor/internal/store"
)

// line is billing with a real database in front of the demo's Stripe, without a
// network: by the clock of synctest every answer takes 100 ms, and all else nothing.
type line struct {
	*billing.Billing
	t      *testing.T
	stripe *demostripe.Server
	store  *store.Store

	mu     sync.Mutex
	down   bool
	calls  int
	right  map[string]time.Time // since when a subject's rights are known to have changed
	events int
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{t: t, right: map[string]time.Time{}}
	key := stagedoor.NewSecret("sk_test_line")
	l.stripe = demostripe.New(demostripe.Options{Key: key, Feature: "publish"})
	var err error
	index := store.Index{CustomerClaim: "stripe_customer_id"}
	l.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "line.db"), index)
	l.must(err)
	t.Cleanup(func() { _ = l.store.Close() })
	l.Billing, err = billing.New(t.Context(), billing.Options{
		Key: key, WebhookSecrets: []stagedoor.Secret{stagedoor.NewSecret("whsec_line")},
		APIURL: "http://stripe.test", Transport: l, Store: l.store,
		Rules:         billing.Rules{Statuses: []string{"active"}},
		CustomerClaim: index.CustomerClaim, SubscriptionClaim: "subscriptionId",
		Changed: l.changed, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	l.must(err)
	return l
}

func (l *line) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// RoundTrip answers as the demo's Stripe, for an account without Entitlements.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(100 * time.Millisecond)
	l.mu.Lock()
	down := l.down
	l.calls++
	l.mu.Unlock()
	rec := httptest.NewRecorder()
	switch {
	case down:
		says(503, "<html>")(rec, r)
	case strings.Contains(r.URL.Path, "/entitlements/"):
		says(200, `{"object":"list","data":[],"has_more":false,"url":"/v1/x"}`)(rec, r)
	default:
		l.stripe.ServeHTTP(rec, r)
	}
	return rec.Result(), nil
}

func (l *line) changed(keys []stagedoor.PrincipalKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		if l.right[key.Subject].IsZero() {
			l.right[key.Subject] = time.Now()
		}
	}
}

// start forgets whose rights changed before, and returns the time.
func (l *line) start() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.right)
	return time.Now()
}

// latest is how long it took until the last of some people's rights were known.
func (l *line) latest(since time.Time, people []string) (last time.Duration, missing int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, subject := range people {
		at := l.right[subject]
		if at.IsZero() {
			missing++
		}
		last = max(last, at.Sub(since))
	}
	return last, missing
}

// payers have customers that are known and nobody is in a call for. From then
// on Stripe is followed.
func (l *line) payers(prefix string, n int) []string {
	l.t.Helper()
	var names []string
	for i := range n {
		name := fmt.Sprintf("%s-%d", prefix, i)
		names = append(names, name)
		l.must(l.stripe.Subscribe(name, name))
		_, err := l.store.Remember(l.t.Context(), stagedoor.Principal{Issuer: "i", Subject: name, Handle: name})
		l.must(err)
	}
	_, err := l.Sync(l.t.Context(), nil)
	l.must(err)
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan struct{})
	l.t.Cleanup(func() { cancel(); <-done })
	go func() { l.Run(ctx); close(done) }()
	l.settled()
	return names
}

// settled waits until nothing is to be asked for, second looks included.
func (l *line) settled() {
	l.t.Helper()
	for range 600 {
		time.Sleep(time.Second)
		due, next, err := l.store.PendingDue(l.t.Context(), time.Now(), 1)
		l.must(err)
		if len(due) == 0 && next.IsZero() {
			return
		}
	}
	l.t.Fatal("the queue never ends")
}

// arrive puts people into a call.
func (l *line) arrive(people []string) {
	l.t.Helper()
	for _, name := range people {
		key := stagedoor.PrincipalKey{Issuer: "i", Subject: name}
		mint := stagedoor.Mint{Room: "stage", Identity: stagedoor.Identity(name), Principal: key}
		l.must(l.store.Minted(l.t.Context(), mint))
		l.must(l.store.Arrive(l.t.Context(), stagedoor.Participant{
			Room: mint.Room, Identity: mint.Identity, SID: "PA_" + name, JoinedAt: time.Now(), Standard: true,
		}))
	}
}

// customer is the id of somebody's customer.
func (l *line) customer(name string) string {
	l.t.Helper()
	links, err := l.store.Links(l.t.Context(), []string{name})
	l.must(err)
	if len(links) == 0 {
		l.t.Fatalf("%s is nobody's customer", name)
	}
	return links[0].Customer
}

// hint takes an event about the customer of each.
func (l *line) hint(people ...string) {
	l.t.Helper()
	for _, name := range people {
		l.event("customer.subscription.updated",
			fmt.Sprintf(`{"id":"sub_1","object":"subscription","customer":%q}`, l.customer(name)))
	}
}

// event sends a signed event about an object.
func (l *line) event(kind, object string) {
	l.t.Helper()
	l.events++
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Secret: "whsec_line", Timestamp: time.Now(),
		Payload: fmt.Appendf(nil,
			`{"id":"evt_line_%d","object":"event","type":%q,"created":%d,"livemode":false,"data":{"object":%s}}`,
			l.events, kind, time.Now().Unix(), object)})
	l.must(l.Receive(l.t.Context(), signed.Payload, signed.Header))
}

func (l *line) breaks(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// within fails when not all of some people's rights are known in time.
func (l *line) within(limit time.Duration, since time.Time, what string, people ...string) {
	l.t.Helper()
	time.Sleep(time.Until(since.Add(30 * time.Second)))
	last, missing := l.latest(since, people)
	l.t.Logf("%s: the last of %d is right after %v", what, len(people), last.Round(time.Millisecond))
	if missing > 0 || last > limit {
		l.t.Errorf("%s: %d of %d missing, the last after %v, want %v", what, missing, len(people), last, limit)
	}
}

const inCallLimit = 1500 * time.Millisecond

func TestQueue_CancellationOfSomebodyInACallPassesRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		people := l.payers("p", 101)
		l.arrive(people[:1])
		l.hint(people[1:]...)
		time.Sleep(time.Second) // the renewals are being asked for
		since := l.start()
		l.must(l.stripe.Cancel(people[0]))
		l.hint(people[0])
		l.within(inCallLimit, since, "cancellation behind 100 renewals", people[0])
	})
}

func TestQueue_PeopleInCallsAreFirstOfManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		people := l.payers("p", 200)
		var inCalls []string
		for i := 0; i < len(people); i += 5 {
			inCalls = append(inCalls, people[i])
		}
		l.arrive(inCalls)
		since := l.start()
		for _, name := range people {
			l.must(l.stripe.FailPayment(name))
			l.hint(name)
		}
		l.within(inCallLimit, since, "200 at once, 40 of them in calls", inCalls...)
		time.Sleep(30 * time.Second)
		if _, missing := l.latest(since, people); missing > 0 {
			t.Errorf("%d of 200 are not known after a minute", missing)
		}
	})
}

func TestQueue_SomebodyWhoArrivesPassesRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		people := l.payers("p", 101)
		l.must(l.stripe.Cancel(people[100]))
		l.hint(people...)
		time.Sleep(time.Second)
		since := l.start()
		l.arrive(people[100:])
		// What the arrival of somebody with an old token leads to.
		late := stagedoor.Principal{Issuer: "i", Subject: people[100], Handle: people[100]}
		_, err := l.Known().Entitlement(t.Context(), late)
		l.must(err)
		l.within(inCallLimit, since, "arrival behind 100 renewals", people[100])
	})
}

func TestQueue_NewPayersAreServedDuringRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		renewals := l.payers("old", 100)
		l.arrive(renewals[:10])
		l.hint(renewals...)
		time.Sleep(time.Second)
		since := l.start()
		var group sync.WaitGroup
		var mu sync.Mutex
		var slowest time.Duration
		for i := range 120 {
			name := fmt.Sprintf("new-%d", i)
			l.must(l.stripe.Subscribe(name, name))
			customer := l.newest()
			l.event("checkout.session.completed", fmt.Sprintf(
				`{"id":"cs_1","object":"checkout.session","customer":%q,"client_reference_id":%q}`, customer, name))
			group.Go(func() {
				e, err := l.Entitlement(t.Context(), stagedoor.Principal{Issuer: "i", Subject: name, Handle: name})
				mu.Lock()
				defer mu.Unlock()
				slowest = max(slowest, time.Since(since))
				if err != nil || !e.Has("publish") {
					t.Errorf("%s: %q %v", name, e.Withheld, err)
				}
			})
		}
		group.Wait()
		t.Logf("the slowest of 120 new payers waits %v", slowest.Round(time.Millisecond))
		if slowest > 6*time.Second {
			t.Errorf("the slowest waits %v", slowest)
		}
	})
}

// newest is the id of Stripe's newest customer.
func (l *line) newest() string {
	l.t.Helper()
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/v1/customers?limit=1", nil)
	r.Header.Set("Authorization", "Bearer sk_test_line")
	l.stripe.ServeHTTP(rec, r)
	_, after, _ := strings.Cut(rec.Body.String(), `"id":"cus_`)
	id, _, ok := strings.Cut(after, `"`)
	if !ok {
		l.t.Fatal(rec.Body)
	}
	return "cus_" + id
}

func TestQueue_RightsAreRightFiveSecondsAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		people := l.payers("p", 100)
		inCalls := people[:40]
		l.arrive(inCalls)
		l.breaks(true)
		for i, name := range people {
			l.must(l.stripe.Cancel(name))
			if i != 0 { // one event is lost
				l.hint(name)
			}
			time.Sleep(100 * time.Millisecond)
		}
		l.mu.Lock()
		l.calls = 0
		l.mu.Unlock()
		time.Sleep(time.Minute)
		l.mu.Lock()
		probes := l.calls
		l.mu.Unlock()
		if probes < 18 || probes > 32 {
			t.Errorf("%d requests in a minute of an outage", probes)
		}
		since := l.start()
		l.breaks(false)
		l.within(5*time.Second, since, "an outage of 70 s with 40 in calls", inCalls...)
	})
}
