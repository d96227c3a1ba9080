package httpapi

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"stagedoor"
)

// crowd bounds how many requests there are at once: those that are worked on,
// and with them those that wait for somebody outside.
type crowd struct {
	working, all chan struct{}
	// of counts the requests of each network, so that none has more than a share.
	mu     sync.Mutex
	of     map[netip.Prefix]int
	strain strain
	// behind reports whether the processors are behind with what is begun; nil: never.
	behind func() bool
	// patience is how long a request may wait for a place under overload.
	patience time.Duration
}

func newCrowd(working, waiting int, behind func() bool, patience time.Duration) *crowd {
	return &crowd{working: make(chan struct{}, working), all: make(chan struct{}, working+waiting), of: map[netip.Prefix]int{},
		strain: strain{few: 4 * working}, behind: behind, patience: patience}
}

// share is the part of all places that one network may have: who makes the
// door wait keeps at most so much of it.
const share = 8

// network is whose share an address counts in: an IPv4 address, or an IPv6
// site, which has as many addresses as it likes. Those that are not known are one.
func network(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		bits = 48
	}
	p, _ := addr.Prefix(bits)
	return p
}

// admit counts a request of a network, and reports whether it has its share.
func (c *crowd) admit(n netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[n] >= max(1, cap(c.all)/share) {
		return false
	}
	c.of[n]++
	return true
}

// dismiss undoes admit.
func (c *crowd) dismiss(n netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[n]--; c.of[n] <= 0 {
		delete(c.of, n)
	}
}

// enter takes a place for a request of an address, and reports whether there was one.
func (c *crowd) enter(addr netip.Addr) (*place, bool) {
	from := network(addr)
	if !c.admit(from) {
		return nil, false
	}
	select {
	case c.all <- struct{}{}:
	default:
		c.dismiss(from)
		return nil, false
	}
	if !c.begin(from) {
		<-c.all
		c.dismiss(from)
		return nil, false
	}
	return &place{crowd: c, from: from, held: true}, true
}

// begin waits until a request can be worked on, for as long as it may.
func (c *crowd) begin(from netip.Prefix) bool {
	behind := c.behind != nil && c.behind()
	overload := c.strain.overload(from, behind || len(c.working) == cap(c.working))
	if overload && behind {
		return false
	}
	select {
	case c.working <- struct{}{}:
		return true
	default:
	}
	wait := c.patience
	if !overload {
		wait = max(wait, burst)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case c.working <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

// place is one request's. Safe for concurrent use: what a request began may
// outlive it.
type place struct {
	crowd *crowd
	from  netip.Prefix
	mu    sync.Mutex
	held  bool
	left  bool
}

// give lets others be worked on until take.
func (p *place) give() (take func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.held {
		return func() {}
	}
	p.held = false
	<-p.crowd.working
	return sync.OnceFunc(p.take)
}

func (p *place) take() {
	p.crowd.working <- struct{}{}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left || p.held {
		<-p.crowd.working
		return
	}
	p.held = true
}

// leave gives the place up for good. It may be called again.
func (p *place) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return
	}
	if p.held {
		<-p.crowd.working
	}
	p.held, p.left = false, true
	<-p.crowd.all
	p.crowd.dismiss(p.from)
}

// answering leaves the place as the answer begins: the work is done, and how
// fast the client takes it is the client's affair.
type answering struct {
	http.ResponseWriter
	place *place
}

// WriteHeader leaves the place and sends the status.
func (w *answering) WriteHeader(status int) {
	w.place.leave()
	w.ResponseWriter.WriteHeader(status)
}

// Write leaves the place and sends.
func (w *answering) Write(p []byte) (int, error) {
	w.place.leave()
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and http.MaxBytesReader reach the connection.
func (w *answering) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// limitInFlight refuses what comes while as many requests are served as may
// be: overload then costs a refusal and not everybody's time. Webhooks have
// places of their own, which no crowd of callers takes.
func (a *api) limitInFlight(next http.Handler) http.Handler {
	if a.Limits.InFlight <= 0 {
		return next
	}
	callers := newCrowd(a.Limits.InFlight, a.Limits.Waiting, a.Limits.Behind, callersPatience)
	events := newCrowd(a.Limits.InFlight, a.Limits.Waiting, nil, eventsPatience)
	refused := make(lull, mostUnhurried)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProbe(r) {
			next.ServeHTTP(w, r)
			return
		}
		where := callers
		if a.isWebhook(r) {
			where = events
		}
		p, ok := where.enter(recordOf(r.Context()).address())
		if !ok {
			recordOf(r.Context()).limit = "in flight"
			refused.wait()
			refuse(w, r, &stagedoor.Error{Kind: stagedoor.Unavailable, Detail: "the door is busy; try again", RetryAfter: time.Second})
			return
		}
		defer p.leave()
		next.ServeHTTP(&answering{w, p}, r.WithContext(stagedoor.WithPlace(r.Context(), p.give)))
	})
}

// isWebhook tells other programs' events, where they are taken.
func (a *api) isWebhook(r *http.Request) bool {
	switch r.URL.Path {
	case "/webhooks/stripe":
		return a.StripeEvent != nil && r.Method == http.MethodPost
	case "/webhooks/livekit":
		return a.LiveKitEvent != nil && r.Method == http.MethodPost
	}
	return false
}
