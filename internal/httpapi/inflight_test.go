package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"stagedoor/internal/inflight"

	"stagedoor"
)

// slow authenticates when told to.
type slow struct {
	stagedoor.Authenticator
	entered chan<- struct{}
	leave   <-chan struct{}
}

func (s slow) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	s.entered <- struct{}{}
	<-s.leave
	return s.Authenticator.Authenticate(ctx, c)
}

func TestOverloadIsRefusedBeforeAnyWork(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newHarness(func(o *Options) {
		o.Limits.InFlight = inflight.Options{Running: 2, Waiting: 30, QueueTimeout: 10 * time.Millisecond}
		inner := o.Door.Authenticator
		o.Door.Authenticator = slow{inner, entered, leave}
	})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if resp := h.do(t, request{}); resp.StatusCode != 200 {
				t.Error(resp.Status)
			}
		})
		<-entered
	}
	resp := h.do(t, request{})
	if mustRefuse(t, resp, 503, "unavailable"); resp.Header.Get("Retry-After") != "1" {
		t.Errorf("%v", resp.Header)
	}
	if resp := h.do(t, request{method: "GET", path: "/healthz"}); resp.StatusCode != 200 {
		t.Errorf("a probe: %s", resp.Status)
	}
	close(leave)
	group.Wait()
	go func() { <-entered }()
	if resp := h.do(t, request{}); resp.StatusCode != 200 {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

// outside authenticates after a wait for somebody outside.
type outside struct {
	stagedoor.Authenticator
	entered chan<- struct{}
	leave   <-chan struct{}
}

func (o outside) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	resume := inflight.Yield(ctx)
	o.entered <- struct{}{}
	<-o.leave
	resume()
	return o.Authenticator.Authenticate(ctx, c)
}

// Whoever makes the door wait for an issuer, or sends slowly, must not keep
// others out.
func TestWaitingKeepsNobodyOut(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	var door *stagedoor.Door
	var quick stagedoor.Authenticator
	h := newHarness(func(o *Options) {
		o.Limits.InFlight = inflight.Options{Running: 1, Waiting: 7, QueueTimeout: time.Second} // four, then one for each address
		o.StripeEvent = takesEvents
		door, quick = o.Door, o.Door.Authenticator
		o.Door.Authenticator = outside{quick, entered, leave}
	})
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if resp := h.do(t, request{}); resp.StatusCode != 200 {
				t.Error(resp.Status)
			}
		})
		<-entered
	}
	door.Authenticator = quick
	if resp := h.do(t, request{}); resp.StatusCode != 200 {
		t.Errorf("three wait, none is worked on: %s", resp.Status)
	}
	door.Authenticator = outside{quick, entered, leave}
	group.Go(func() {
		if resp := h.do(t, request{}); resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
	})
	<-entered
	mustRefuse(t, h.do(t, request{}), 503, "unavailable")
	door.Authenticator = quick
	if resp := h.do(t, request{remote: "198.51.100.7:1"}); resp.StatusCode != 200 {
		t.Errorf("another address: %s", resp.Status)
	}
	if resp := h.do(t, request{path: "/webhooks/stripe", header: map[string]string{"Stripe-Signature": "x"}}); resp.StatusCode != 200 {
		t.Errorf("a webhook waits for no caller: %s", resp.Status)
	}
	close(leave)
	group.Wait()
}

// A body that does not come is a wait, for a caller's request and a webhook's.
func TestSlowBodyKeepsNobodyOut(t *testing.T) {
	h := newHarness(func(o *Options) {
		o.Limits.InFlight = inflight.Options{Running: 1, Waiting: 31, QueueTimeout: time.Second}
		o.StripeEvent = takesEvents
	})
	for _, path := range []string{"/api/join", "/webhooks/stripe"} {
		body, send := io.Pipe()
		done := make(chan int)
		go func() {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, path, body)
			r.Header.Set("Authorization", "Bearer ann")
			r.Header.Set("Stripe-Signature", "x")
			r.Header.Set("Content-Type", "application/json")
			h.api.ServeHTTP(w, r)
			done <- w.Code
		}()
		if _, err := send.Write([]byte(`{"room"`)); err != nil { // it is being read
			t.Fatal(err)
		}
		if resp := h.do(t, request{path: path, header: map[string]string{"Authorization": "Bearer ann", "Stripe-Signature": "x"}}); resp.StatusCode != 200 {
			t.Errorf("%s: another one beside it: %s", path, resp.Status)
		}
		_, _ = send.Write([]byte(`:"test-room"}`))
		_ = send.Close()
		if code := <-done; code != 200 {
			t.Errorf("%s: the slow one: %d", path, code)
		}
	}
}

// stuck is a client that does not take its answer.
type stuck struct {
	*httptest.ResponseRecorder
	entered chan<- struct{}
	leave   <-chan struct{}
}

func (s stuck) Write(p []byte) (int, error) {
	s.entered <- struct{}{}
	<-s.leave
	return s.ResponseRecorder.Write(p)
}

func TestAnswersThatAreNotTakenKeepNobodyOut(t *testing.T) {
	h := newHarness(func(o *Options) {
		o.Limits.InFlight = inflight.Options{Running: 1, Waiting: 31, QueueTimeout: time.Second}
	})
	entered, leave := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	for range 40 { // more than there are places
		group.Go(func() {
			h.api.ServeHTTP(stuck{httptest.NewRecorder(), entered, leave}, httptest.NewRequest(http.MethodGet, "/livekit-join.js", nil))
		})
		<-entered
	}
	if resp := h.do(t, request{}); resp.StatusCode != 200 {
		t.Errorf("forty do not take their answers: %s", resp.Status)
	}
	close(leave)
	group.Wait()
}
