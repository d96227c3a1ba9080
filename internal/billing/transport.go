package billing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// callTimeout bounds one request to Stripe, its wait for the budget aside.
	callTimeout = 3 * time.Second
	// budget is how many requests a second are made at most, of the 25 that
	// Stripe grants a sandbox and an endpoint.
	//
	// SPEC: docs.stripe.com/rate-limits.
	budget = 15
	// maxAnswer is far above a page of 100 subscriptions.
	maxAnswer = 8 << 20
	// Failures in a row that open the breaker, and how long it stays open.
	breakerAfter, breakerFirst, breakerMost = 5, 2 * time.Second, 30 * time.Second
)

var (
	errBreakerOpen = errors.New("Stripe has failed several times in a row and is left alone for a moment")
	errGarbage     = errors.New("Stripe's answer is not what its API answers")
)

// gate carries every request to Stripe: within the budget, with a deadline,
// through a breaker, and takes no answer that is not one of Stripe's API. An
// empty object read as an empty list would take away what somebody paid for.
// Safe for concurrent use.
type gate struct {
	next   http.RoundTripper
	limit  *rate.Limiter
	now    func() time.Time
	mu     sync.Mutex
	health Health
	opened time.Duration
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
	// OpenUntil is until when Stripe is not asked; zero: it is.
	OpenUntil time.Time `json:"leftAloneUntil,omitzero"`
	// Forbidden are the kinds of objects that the key may not read, as of the
	// last time each was asked for.
	Forbidden []string `json:"forbidden,omitempty"`
}

func newGate(next http.RoundTripper, now func() time.Time) *gate {
	return &gate{next: next, now: now, limit: rate.NewLimiter(budget, budget)}
}

// RoundTrip sends one request and returns its whole answer, checked.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if wait := g.openFor(); wait > 0 {
		return nil, errBreakerOpen
	}
	if err := g.limit.Wait(r.Context()); err != nil {
		return nil, fmt.Errorf("no room in the budget of requests to Stripe: %w", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	resp, err := g.ask(r.WithContext(ctx))
	if err != nil && r.Context().Err() != nil {
		// Whoever asked has gone: that says nothing of Stripe unless it was slow.
		if errors.Is(r.Context().Err(), context.Canceled) {
			return nil, err
		}
	}
	g.note(r.URL.Path, resp, err)
	return resp, err
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

// openFor is how long the breaker still refuses.
func (g *gate) openFor() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.health.OpenUntil.Sub(g.now())
}

// note counts an answer. Refusals of one object or one endpoint (400, 403,
// 404) are answers; of the key (401), of the rate (429) and of all else are failures.
func (g *gate) note(path string, resp *http.Response, err error) {
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
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		g.permit(path, resp.StatusCode)
	}
	g.health.Calls++
	if failure == "" {
		g.health.InARow, g.health.LastSuccess, g.health.OpenUntil, g.opened = 0, g.now(), time.Time{}, 0
		return
	}
	g.health.Failures++
	g.health.InARow++
	g.health.LastFailure, g.health.LastError = g.now(), failure
	if g.health.InARow >= breakerAfter {
		// One failure after the pause opens it again, for longer.
		g.opened = min(max(2*g.opened, breakerFirst), breakerMost)
		g.health.OpenUntil = g.now().Add(g.opened)
	}
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
