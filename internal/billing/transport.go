package billing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"stagedoor"
)

const (
	// callTimeout bounds one request to Stripe, its wait for the budget aside.
	callTimeout = 3 * time.Second
	// A request that Stripe refuses as one too many is sent maxRefusals times at
	// most, after refusalPause and then twice as long each time.
	maxRefusals, refusalPause = 4, 200 * time.Millisecond
	// maxAnswer is far above a page of 100 subscriptions.
	maxAnswer = 8 << 20
	// breakerAfter is how many failures in a row open the breaker.
	breakerAfter = 5
	// While the breaker is open, one request goes to Stripe every probeEvery to
	// probeEvery+probeSpread.
	probeEvery, probeSpread = 2 * time.Second, 500 * time.Millisecond
)

var (
	errBreakerOpen = errors.New("Stripe has failed several times in a row and is left alone for a moment")
	errGarbage     = errors.New("Stripe's answer is not what its API answers")
)

// gate carries every request to Stripe: within the budget, with a deadline,
// through a breaker, and takes no answer that is not one of Stripe's API. An
// empty object read as an empty list would take away what somebody paid for.
// Intervals are measured by the monotonic clock: now only says when something
// was. Safe for concurrent use.
type gate struct {
	next   http.RoundTripper
	budget *budget
	now    func() time.Time
	// recovered is called when Stripe answers again after an outage.
	recovered func()

	mu     sync.Mutex
	health Health
	// probeAt is when the next request may go while the breaker is open; zero: it
	// is closed. failedProbe is set when one of them has failed.
	probeAt     time.Time
	failedProbe bool
}

// Health is how Stripe answers.
type Health struct {
	Calls    int64 `json:"calls"`
	Failures int64 `json:"failures"`
	// InARow counts failures since the last success.
	InARow      int       `json:"failuresInARow"`
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	LastFailure time.Time `json:"lastFailure,omitzero"`
	// LastError says what the last failure was; it holds nothing of the answer.
	LastError string `json:"lastError,omitempty"`
	// OpenUntil is when Stripe is tried again during an outage; zero: there is none.
	OpenUntil time.Time `json:"leftAloneUntil,omitzero"`
	// Forbidden are the kinds of objects that the key may not read, as of the
	// last time each was asked for.
	Forbidden []string `json:"forbidden,omitempty"`
}

func newGate(next http.RoundTripper, now func() time.Time) *gate {
	return &gate{next: next, now: now, budget: newBudget(), recovered: func() {}}
}

// RoundTrip sends one request and returns its whole answer, checked. A request
// that Stripe refuses as one too many waits for its turn again.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, probe, err := g.try(r)
		if err != nil {
			return nil, err
		}
		refused := resp.StatusCode == http.StatusTooManyRequests
		if refused {
			g.budget.lower()
		} else {
			g.budget.raise()
		}
		if !refused || probe || try == maxRefusals {
			g.note(r.URL.Path, resp, nil, probe)
			return resp, nil
		}
		if err := sleep(r.Context(), refusalPause<<(try-1)); err != nil {
			return nil, err
		}
	}
}

// sleep waits for d and up to half as long again. Errors: the context's.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try sends a request once. Of what failed it takes note; probe reports whether
// the request was to find out how Stripe is.
func (g *gate) try(r *http.Request) (resp *http.Response, probe bool, err error) {
	if wait, open := g.open(); open && wait > 0 {
		return nil, false, errBreakerOpen
	}
	if err := g.budget.wait(r.Context()); err != nil {
		return nil, false, fmt.Errorf("no room in the budget of requests to Stripe: %w", err)
	}
	probe, admitted := g.admit()
	if !admitted {
		return nil, false, errBreakerOpen
	}
	timeout := callTimeout
	if priorityOf(r.Context()) == stagedoor.PriorityJoin {
		timeout = joinPatience
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	resp, err = g.ask(r.WithContext(ctx))
	if err == nil {
		return resp, probe, nil
	}
	if !errors.Is(r.Context().Err(), context.Canceled) { // else whoever asked has gone: that says nothing of Stripe
		g.note(r.URL.Path, nil, err, probe)
	}
	return nil, probe, err
}

// open reports whether the breaker is open, and how long until Stripe is tried again.
func (g *gate) open() (wait time.Duration, open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probeAt.IsZero() {
		return 0, false
	}
	return time.Until(g.probeAt), true
}

// admit reports whether a request may go. While the breaker is open one at a
// time may, as a probe.
func (g *gate) admit() (probe, admitted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probeAt.IsZero() {
		return false, true
	}
	if time.Until(g.probeAt) > 0 {
		return false, false
	}
	g.postponeProbe()
	return true, true
}

// postponeProbe sets when Stripe is tried next. The caller holds mu.
func (g *gate) postponeProbe() {
	wait := probeEvery + rand.N(probeSpread)
	g.probeAt, g.health.OpenUntil = time.Now().Add(wait), g.now().Add(wait)
}

// ask reads the answer whole, so that a body that never ends is noticed here.
func (g *gate) ask(r *http.Request) (*http.Response, error) {
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("Stripe's answer broke off: %w", err)
	}
	if len(body) > maxAnswer || !answersAPI(r.URL.Path, resp.StatusCode, body) {
		return nil, fmt.Errorf("%w (HTTP %d)", errGarbage, resp.StatusCode)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// answersAPI reports whether a body is what Stripe's API sends at a path with a
// status: an object that names its kind, a list with its members, or an error.
func answersAPI(path string, status int, body []byte) bool {
	var answer struct {
		Object  string             `json:"object"`
		Data    *[]json.RawMessage `json:"data"`
		HasMore *bool              `json:"has_more"`
		Error   *json.RawMessage   `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return false
	}
	switch {
	case status != http.StatusOK:
		return answer.Error != nil
	case isList(path):
		return answer.Object == "list" && answer.Data != nil && answer.HasMore != nil && !(*answer.HasMore && len(*answer.Data) == 0) &&
			!slices.ContainsFunc(*answer.Data, func(member json.RawMessage) bool { return string(member) == "null" })
	}
	return answer.Object != ""
}

// isList reports whether the API answers a list at a path.
func isList(path string) bool {
	for _, list := range []string{"/subscriptions", "/subscription_items", "/events", "/sessions", "/active_entitlements", "/features"} {
		if strings.HasSuffix(path, list) {
			return true
		}
	}
	return false
}

// note counts an answer. Refusals of one object or one endpoint (400, 403,
// 404) are answers; of the key (401), of the rate (429) and of all else are failures.
func (g *gate) note(path string, resp *http.Response, err error, probe bool) {
	failure := ""
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		failure = "no answer in time"
	case errors.Is(err, errGarbage):
		failure = err.Error()
	case err != nil:
		failure = "no connection, or one that broke off"
	case resp.StatusCode == http.StatusUnauthorized:
		failure = "Stripe refuses the key (HTTP 401): check STRIPE_SECRET_KEY"
	case resp.StatusCode == http.StatusTooManyRequests:
		failure = "too many requests (HTTP 429)"
	case resp.StatusCode >= http.StatusInternalServerError:
		failure = fmt.Sprintf("HTTP %d", resp.StatusCode)
	}
	if g.count(path, resp, failure, probe) {
		g.recovered()
	}
}

// count keeps an answer, or what failed, and reports whether it ends an outage.
// An outage that was over before the first probe was none.
func (g *gate) count(path string, resp *http.Response, failure string, probe bool) (recovered bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if resp != nil {
		g.permit(path, resp.StatusCode)
	}
	g.health.Calls++
	if failure == "" {
		recovered = g.failedProbe
		g.health.InARow, g.health.LastSuccess, g.health.OpenUntil = 0, g.now(), time.Time{}
		g.probeAt, g.failedProbe = time.Time{}, false
		return recovered
	}
	g.health.Failures++
	g.health.InARow++
	g.health.LastFailure, g.health.LastError = g.now(), failure
	g.failedProbe = g.failedProbe || probe
	if g.health.InARow >= breakerAfter && g.probeAt.IsZero() {
		g.postponeProbe()
	}
	return false
}

// permit notes whether the key may read what is at a path. The caller holds mu.
func (g *gate) permit(path string, status int) {
	kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	switch known := slices.Contains(g.health.Forbidden, kind); {
	case status == http.StatusForbidden && !known:
		g.health.Forbidden = append(slices.Clone(g.health.Forbidden), kind)
	case status == http.StatusOK && known:
		g.health.Forbidden = slices.DeleteFunc(slices.Clone(g.health.Forbidden), func(other string) bool { return other == kind })
	}
}

// Health returns how Stripe answers now.
func (g *gate) Health() Health {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.health
}
