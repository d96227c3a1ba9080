package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

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
		o.Limits.InFlight, o.Limits.Waiting = 2, 30
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
	over := stagedoor.Waiting(ctx)
	o.entered <- struct{}{}
	<-o.leave
	over()
	return o.Authenticator.Authenticate(ctx, c)
}

// Whoever makes the door wait for an issuer, or sends slowly, must not keep
// others out.
func TestWaitingKeepsNobodyOut(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	var door *stagedoor.Door
	var quick stagedoor.Authenticator
	h := newHarness(func(o *Options) {
		o.Limits.InFlight, o.Limits.Waiting = 1, 31 // four for each address
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
		o.Limits.InFlight, o.Limits.Waiting = 1, 31
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
	h := newHarness(func(o *Options) { o.Limits.InFlight, o.Limits.Waiting = 1, 31 })
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

func TestOneNetworkHasItsShareAlone(t *testing.T) {
	c := newCrowd(16, 16, nil, callersPatience)
	for address, same := range map[string]string{
		"192.0.2.1": "::ffff:192.0.2.1", "2001:db8:1:2::1": "2001:db8:1:ffff::9", "fe80::1%eth0": "fe80::2%eth1",
	} {
		for range 4 {
			if _, ok := c.enter(netip.MustParseAddr(address)); !ok {
				t.Fatalf("%s: no place", address)
			}
		}
		if _, ok := c.enter(netip.MustParseAddr(same)); ok {
			t.Errorf("%s and %s are one network", address, same)
		}
	}
	if _, ok := c.enter(netip.MustParseAddr("192.0.2.2")); !ok {
		t.Error("another address has a share of its own")
	}
}

// All places are there in the end, whatever was given, taken and left when.
func TestPlacesAreNeverLost(t *testing.T) {
	c := newCrowd(4, 124, nil, callersPatience)
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			for range 50 {
				p, ok := c.enter(netip.Addr{})
				if !ok {
					time.Sleep(10 * time.Microsecond)
					continue
				}
				take, again := p.give(), p.give()
				group.Go(func() { p.give()() }) // what the request began outlives it
				take()
				again()
				p.leave()
				p.give()()
			}
		})
	}
	group.Wait()
	if len(c.working) != 0 || len(c.all) != 0 || len(c.of) != 0 {
		t.Errorf("%d worked on, %d in all, %v at the end", len(c.working), len(c.all), c.of)
	}
	p, _ := c.enter(netip.Addr{})
	take := p.give()
	for range 4 {
		if _, ok := c.enter(netip.Addr{}); !ok {
			t.Fatal("its place is free")
		}
	}
	back := make(chan struct{})
	go func() { take(); close(back) }()
	<-c.working // one leaves
	<-c.all
	<-back
	if len(c.working) != 4 {
		t.Errorf("%d worked on", len(c.working))
	}
}

func TestWaitingWithoutAPlaceIsNothing(t *testing.T) {
	stagedoor.Waiting(context.Background())()
}
