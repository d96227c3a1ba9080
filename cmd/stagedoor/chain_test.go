package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/billing"
)

// follow runs billing until Stripe's list of events has been read at the
// clock's time, what was due has been asked for, and everything was compared
// if that was due.
func follow(t *testing.T, a *account) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		status, err := a.Status(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("not followed: %+v %v", status, err)
		}
		if status.Pending == 0 && !status.EventsReadAt.Before(a.clock()) && a.clock().Sub(status.ComparedAt) < 24*time.Hour {
			return
		}
	}
}

// listsNoEvents answers as Stripe does but for its list of events.
func (a *account) listsNoEvents(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/events") {
		says(200, `{"object":"list","data":[],"has_more":false,"url":"/v1/events"}`)(w, r)
		return
	}
	a.stripe.ServeHTTP(w, r)
}

func paying(t *testing.T, users ...string) *account {
	t.Helper()
	a := newAccount(t)
	for _, user := range users {
		if err := a.stripe.Subscribe(user, user); err != nil {
			t.Fatal(err)
		}
	}
	follow(t, a)
	return a
}

// Facts do not grow old while the list of events is read, however seldom
// something changes; without it they do.
func TestFactsStayFreshWhileEventsAreRead(t *testing.T) {
	a := paying(t, "ann")
	ann := a.caller(t, "ann", nil)
	a.pass(20 * time.Hour)
	follow(t, a)
	a.pass(23 * time.Hour)
	a.must(t, a.Known(), ann, "")
	a.pass(2 * time.Hour)
	a.must(t, a.Known(), ann, stagedoor.BillingUnavailable)
	follow(t, a)
	a.must(t, a.Known(), ann, "")
}

// Stripe lists events for thirty days. After a longer absence nothing is
// believed that was not compared since.
func TestGapInTheEventsBeginsAnew(t *testing.T) {
	a := paying(t, "ann", "bea")
	quiet(t, a)
	ann, bea := a.caller(t, "ann", nil), a.caller(t, "bea", nil)
	a.pass(31 * 24 * time.Hour)
	if err := a.stripe.Cancel("bea"); err != nil {
		t.Fatal(err)
	}
	// Stripe's list would not tell of it; the comparison has to.
	a.breaks(a.listsNoEvents)
	follow(t, a)
	a.must(t, a.Known(), ann, "")
	a.must(t, a.Known(), bea, stagedoor.SubscriptionInactive)
}

// Until that comparison has been made, what was known before the gap counts
// for nothing, though the list of events is read again.
func TestFactsFromBeforeAGapAreNotBelieved(t *testing.T) {
	a := paying(t, "ann")
	ann := a.caller(t, "ann", nil)
	a.pass(31 * 24 * time.Hour)
	a.breaks(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			a.listsNoEvents(w, r)
			return
		}
		says(500, `{"error":{"type":"api_error"}}`)(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.Run(ctx); close(done) }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		status, err := a.Status(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v %v", status, err)
		}
		if !status.EventsReadAt.Before(a.clock()) {
			break
		}
	}
	a.must(t, a.Known(), ann, stagedoor.BillingUnavailable)
	cancel()
	<-done
}

// With no webhook at all, the list of events alone brings a change.
func TestListOfEventsBringsChangesByItself(t *testing.T) {
	a := paying(t, "ann")
	ann, bea := a.caller(t, "ann", nil), a.caller(t, "bea", nil)
	a.pass(2 * time.Minute)
	if err := a.stripe.FailPayment("ann"); err != nil {
		t.Fatal(err)
	}
	if err := a.stripe.Subscribe("bea", "Bea"); err != nil {
		t.Fatal(err)
	}
	follow(t, a)
	a.must(t, a.Known(), ann, stagedoor.SubscriptionInactive)
	a.must(t, a.Known(), bea, "")
}

// quiet moves the clock on until nothing is left to be asked for once more.
func quiet(t *testing.T, a *account) {
	t.Helper()
	for range 10 {
		_, next, err := a.store.PendingDue(t.Context(), a.clock(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if next.IsZero() {
			return
		}
		a.pass(next.Sub(a.clock()))
		work(t, a, func() bool {
			left, _, err := a.store.PendingDue(t.Context(), a.clock(), 1)
			return err == nil && len(left) == 0
		})
	}
	t.Fatal("it never becomes quiet")
}

// work runs the worker until a condition holds.
func work(t *testing.T, a *account, until func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.Work(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	for deadline := time.Now().Add(10 * time.Second); !until(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the worker did not get there")
		}
	}
}

// An event is listed a little late: it is still taken.
func TestEventListedLateIsTaken(t *testing.T) {
	a := paying(t, "ann")
	quiet(t, a)
	follow(t, a)
	ann := a.caller(t, "ann", nil)
	a.pass(2 * time.Minute)
	if err := a.stripe.FailPayment("ann"); err != nil {
		t.Fatal(err)
	}
	a.pass(time.Minute)
	a.breaks(a.listsNoEvents)
	follow(t, a)
	a.must(t, a.Known(), ann, "")
	a.breaks(nil)
	a.pass(time.Minute)
	follow(t, a)
	a.must(t, a.Known(), ann, stagedoor.SubscriptionInactive)
}

// Where the list of events may not be read, a fact that is used is asked for
// again in the background, for those in a call too.
func TestUsedFactsAreRefreshedInTheBackground(t *testing.T) {
	a := newAccount(t)
	if err := a.stripe.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	quiet(t, a)
	for name, lookup := range map[string]stagedoor.Entitlements{"joining": a, "in a call": a.Known()} {
		a.pass(11 * time.Minute)
		before := a.clock()
		a.must(t, lookup, a.caller(t, "ann", nil), "")
		customer, _ := a.ids(t, "ann")
		t.Log(name)
		work(t, a, func() bool {
			kept, _, err := a.store.Customer(t.Context(), customer)
			return err == nil && !kept.AskedAt.Before(before)
		})
		quiet(t, a)
	}
}

// At the first start nobody waits until each customer has been asked for.
func TestFirstComparisonTakesFactsFromTheList(t *testing.T) {
	a := newAccount(t)
	for _, user := range []string{"ann", "bea", "cy"} {
		if err := a.stripe.Subscribe(user, user); err != nil {
			t.Fatal(err)
		}
	}
	a.asked()
	sum, err := a.Sync(t.Context(), nil)
	if err != nil || sum.Subscriptions != 3 || sum.Customers != 3 || sum.Differing != 0 {
		t.Errorf("%+v %v", sum, err)
	}
	// Events, entitlements, sessions, subscriptions, and the one product.
	if n := a.asked(); n > 5 {
		t.Errorf("%d requests", n)
	}
	for _, user := range []string{"ann", "bea", "cy"} {
		a.must(t, a.Known(), a.caller(t, user, nil), "")
	}
	if again, err := a.Sync(t.Context(), nil); err != nil || again.Differing != 0 {
		t.Errorf("compared again: %+v %v", again, err)
	}
}

// The clock was fast and is set back: what was asked for "later" must not
// stand in the way of what is true now.
func TestClockSetBackLosesNoCancellation(t *testing.T) {
	for _, fast := range []time.Duration{2 * time.Minute, 30 * 24 * time.Hour} {
		a := newAccount(t)
		if err := a.stripe.Subscribe("ann", "Ann"); err != nil {
			t.Fatal(err)
		}
		a.pass(fast)
		follow(t, a)
		ann := a.caller(t, "ann", nil)
		a.pass(-fast)
		if err := a.stripe.FailPayment("ann"); err != nil {
			t.Fatal(err)
		}
		customer, _ := a.ids(t, "ann")
		if err := a.store.MarkDirty(t.Context(), a.clock(), customer); err != nil {
			t.Fatal(err)
		}
		settle(t, a)
		a.must(t, a.Known(), ann, stagedoor.SubscriptionInactive)
	}
}

// Another account's key: what the first account said is compared at once.
func TestFactsOfAnotherAccountDoNotLast(t *testing.T) {
	a := paying(t, "ann")
	quiet(t, a)
	ann := a.caller(t, "ann", nil)
	a.must(t, a.Known(), ann, "")
	other := newAccount(t)
	o := a.Billing.Options
	o.Key, o.APIURL = stagedoor.NewSecret("sk_test_another"), "http://127.0.0.1:1"
	o.Transport = routed{other.stripe}
	swapped, err := billing.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	a.pass(time.Minute)
	b := &account{Billing: swapped, stripe: a.stripe, store: a.store, now: a.clock()}
	follow(t, b)
	settle(t, b)
	b.must(t, swapped.Known(), ann, stagedoor.NoSubscription)
}

// routed carries requests to a Stripe without a network, with the key it takes.
type routed struct{ handler http.Handler }

func (r routed) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer sk_test_follow")
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, req)
	return rec.Result(), nil
}
