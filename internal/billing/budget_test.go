package billing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stagedoor"
)

// api is a Stripe without a network, for the clock of synctest. It notes in
// which order it is asked, and when.
type api struct {
	mu      sync.Mutex
	latency time.Duration
	status  int // of every answer; 0: 200
	asked   []string
	at      []time.Time
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	a.asked, a.at = append(a.asked, id), append(a.at, time.Now())
	status, latency := a.status, a.latency
	a.mu.Unlock()
	select {
	case <-time.After(latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	body := `{"id":"` + id + `","object":"subscription","status":"active","customer":"cus_1"}`
	switch {
	case id == "subscriptions":
		body = emptyList
	case status != 0:
		body = apiError
	}
	if status == 0 {
		status = http.StatusOK
	}
	answer := io.NopCloser(strings.NewReader(body))
	return &http.Response{StatusCode: status, Body: answer, Header: http.Header{}, Request: r}, nil
}

func (a *api) says(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
}

// count returns how often Stripe was asked.
func (a *api) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func (a *api) asker() *asker {
	return newAsker(stagedoor.NewSecret("sk_test_canary"), "http://stripe.test", a, time.Now)
}

// crowd asks for so many subscriptions at once and returns the latest answer of
// each priority, as time since now.
func crowd(t *testing.T, a *asker, many map[stagedoor.Priority]int) map[stagedoor.Priority]time.Duration {
	t.Helper()
	began := time.Now()
	var mu sync.Mutex
	var group sync.WaitGroup
	last := map[stagedoor.Priority]time.Duration{}
	for priority, n := range many {
		for i := range n {
			group.Go(func() {
				id := fmt.Sprintf("sub_%d_%d", priority, i)
				if _, err := a.customerOf(withPriority(t.Context(), priority), id); err != nil {
					t.Errorf("%s: %v", id, err)
				}
				mu.Lock()
				defer mu.Unlock()
				last[priority] = time.Since(began)
			})
		}
	}
	group.Wait()
	return last
}

func TestBudget_ServesPeopleInCallsAndJoinsBeforeEverythingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := &api{latency: 100 * time.Millisecond}
		last := crowd(t, stripe.asker(), map[stagedoor.Priority]int{
			stagedoor.PriorityInCall: 40, stagedoor.PriorityJoin: 20, stagedoor.PriorityNew: 10,
			stagedoor.PriorityHint: 30, stagedoor.PriorityRest: 30,
		})
		for priority, limit := range map[stagedoor.Priority]time.Duration{
			// 40 at once, then 15 a second: of the first 60, twenty are joins.
			stagedoor.PriorityInCall: 1500 * time.Millisecond,
			stagedoor.PriorityJoin:   1500 * time.Millisecond,
			// The burst has to be whole again before anything else goes.
			stagedoor.PriorityNew:  6 * time.Second,
			stagedoor.PriorityHint: 8 * time.Second,
			stagedoor.PriorityRest: 10 * time.Second,
		} {
			if last[priority] > limit {
				t.Errorf("the last of priority %d is answered after %v, want %v", priority, last[priority], limit)
			}
		}
		if last[stagedoor.PriorityHint] < last[stagedoor.PriorityNew] ||
			last[stagedoor.PriorityRest] < last[stagedoor.PriorityHint] {
			t.Errorf("out of order: %v", last)
		}
	})
}

func TestBudget_KeepsTheBurstForPeopleInCallsWhileOthersQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := &api{latency: 100 * time.Millisecond}
		a := stripe.asker()
		var group sync.WaitGroup
		group.Go(func() { crowd(t, a, map[stagedoor.Priority]int{stagedoor.PriorityHint: 300}) })
		time.Sleep(5 * time.Second)
		if n := stripe.count(); n > 5*budgetRate+1 {
			t.Errorf("%d requests in five seconds", n)
		}
		last := crowd(t, a, map[stagedoor.Priority]int{stagedoor.PriorityInCall: budgetBurst})
		if last[stagedoor.PriorityInCall] > 200*time.Millisecond {
			t.Errorf("people in calls wait %v", last[stagedoor.PriorityInCall])
		}
		group.Wait()
	})
}

func TestBudget_GivesWaitingJoinsAShareBesidePeopleInCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := &api{}
		many := map[stagedoor.Priority]int{stagedoor.PriorityInCall: 300, stagedoor.PriorityJoin: 10}
		last := crowd(t, stripe.asker(), many)
		if last[stagedoor.PriorityJoin] > 2200*time.Millisecond { // five a second
			t.Errorf("joins wait %v behind people in calls", last[stagedoor.PriorityJoin])
		}
	})
}

func TestBudget_ForgetsWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := &api{}
		a := stripe.asker()
		crowd(t, a, map[stagedoor.Priority]int{stagedoor.PriorityInCall: budgetBurst})
		ctx, cancel := context.WithTimeout(withPriority(t.Context(), stagedoor.PriorityHint), 10*time.Millisecond)
		defer cancel()
		if _, err := a.customerOf(ctx, "sub_gone"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		last := crowd(t, a, map[stagedoor.Priority]int{stagedoor.PriorityHint: 1})
		if stripe.count() != budgetBurst+1 || last[stagedoor.PriorityHint] > 3*time.Second {
			t.Errorf("%d requests, %v", stripe.count(), last)
		}
	})
}

// A bucket like Stripe's refuses what is too much; every request is answered in
// the end, the budget shrinks, and grows again later.
func TestBudget_LearnsFromRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := &api{status: http.StatusTooManyRequests}
		a := stripe.asker()
		a.gate.budget.lower() // as if the first burst was too much
		if burst := a.gate.budget.limit.Burst(); burst != budgetBurst/2 {
			t.Fatalf("burst %d", burst)
		}
		time.AfterFunc(500*time.Millisecond, func() { stripe.says(0) })
		time.Sleep(time.Second / budgetRate)
		crowd(t, a, map[stagedoor.Priority]int{stagedoor.PriorityInCall: 3})
		if h := a.gate.Health(); h.Failures != 0 {
			t.Errorf("a refusal that was repaired counts as an outage: %+v", h)
		}
		for range 10 {
			time.Sleep(learnEvery)
			crowd(t, a, map[stagedoor.Priority]int{stagedoor.PriorityInCall: 1})
		}
		if l := a.gate.budget.limit; l.Burst() != budgetBurst || l.Limit() != budgetRate {
			t.Errorf("burst %d, rate %v ten minutes later", l.Burst(), l.Limit())
		}
	})
}

func TestBudget_LowersTheRateWhenTheBurstIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget()
		for range 20 {
			b.lower()
			b.lower() // within a second once
			time.Sleep(time.Second)
		}
		if b.limit.Burst() != 1 || b.limit.Limit() != 1 {
			t.Errorf("burst %d, rate %v", b.limit.Burst(), b.limit.Limit())
		}
	})
}

// Five failures in a row end the asking but for one request every two to three
// seconds; its answer begins it again.
func TestBreaker_SendsOneProbeEveryTwoToThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := &api{status: http.StatusInternalServerError}
		a := stripe.asker()
		recovered := 0
		a.gate.recovered = func() { recovered++ }
		ask := func() error {
			_, err := a.customerOf(withPriority(t.Context(), stagedoor.PriorityInCall), "sub_1")
			return err
		}
		for range breakerAfter {
			if err := ask(); errors.Is(err, errBreakerOpen) {
				t.Fatal("open too early")
			}
		}
		if err := ask(); !errors.Is(err, errBreakerOpen) || stripe.count() != breakerAfter {
			t.Fatalf("%v after %d requests", err, stripe.count())
		}
		if h := a.gate.Health(); h.InARow != breakerAfter || h.LastError != "HTTP 500" || h.OpenUntil.IsZero() {
			t.Errorf("%+v", h)
		}

		for range 600 { // a minute
			time.Sleep(100 * time.Millisecond)
			_, _ = ask(), ask()
		}
		if probes := stripe.count() - breakerAfter; probes < 18 || probes > 30 {
			t.Errorf("%d probes in a minute", probes)
		}
		if recovered != 0 {
			t.Error("recovered during the outage")
		}

		stripe.says(0)
		back := time.Now()
		for ask() != nil {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(back); took > probeEvery+probeSpread+100*time.Millisecond || recovered != 1 {
			t.Errorf("recovered %d times, after %v", recovered, took)
		}
		if h := a.gate.Health(); h.InARow != 0 || !h.OpenUntil.IsZero() || ask() != nil {
			t.Errorf("%+v", h)
		}
	})
}

// A wall clock that is set back must not keep Stripe from being asked.
func TestBreaker_DoesNotDependOnTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := &api{status: http.StatusInternalServerError}
		step := time.Duration(0)
		wall := func() time.Time { return time.Now().Add(step) }
		a := newAsker(stagedoor.NewSecret("sk_test_canary"), "http://stripe.test", stripe, wall)
		for range breakerAfter {
			_, _ = a.customerOf(withPriority(t.Context(), stagedoor.PriorityInCall), "sub_1")
		}
		step = -10 * time.Minute
		stripe.says(0)
		time.Sleep(probeEvery + probeSpread)
		if _, err := a.customerOf(t.Context(), "sub_1"); err != nil {
			t.Error(err)
		}
	})
}
