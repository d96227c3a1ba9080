package httpapi

import (
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"stagedoor"
)

// crowd bounds how many requests there are at once: those that are worked on,
// and with them those that wait for somebody outside.
type crowd struct {
	working, all chan struct{}
	// of counts the requests of each network, so that none has more than a share.
	mu    sync.Mutex
	of    map[netip.Prefix]int
	begun time.Time
	// empty is how long after begun somebody last found a place without waiting.
	empty atomic.Int64
}

func newCrowd(working, waiting int) *crowd {
	return &crowd{working: make(chan struct{}, working), all: make(chan struct{}, working+waiting), of: map[netip.Prefix]int{}, begun: time.Now()}
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

// How long a request waits to be worked on: burstPatience where the queue was
// empty a moment ago, since many that come at once are no overload and are done
// soon; overloadPatience where it was not, since then all would wait for as
// long as anybody may, and for nothing.
//
// SPEC: queue.acm.org/detail.cfm?id=2839461, "Controlled delay".
const (
	burstPatience    = 100 * time.Millisecond
	overloadPatience = 5 * time.Millisecond
)

// patience is how long whoever comes now may wait.
func (c *crowd) patience() time.Duration {
	if time.Since(c.begun)-time.Duration(c.empty.Load()) <= burstPatience {
		return burstPatience
	}
	return overloadPatience
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
	if !c.begin() {
		<-c.all
		c.dismiss(from)
		return nil, false
	}
	return &place{crowd: c, from: from, held: true}, true
}

// begin waits until a request can be worked on, for as long as it may.
func (c *crowd) begin() bool {
	select {
	case c.working <- struct{}{}:
		c.empty.Store(int64(time.Since(c.begun)))
		return true
	default:
	}
	timer := time.NewTimer(c.patience())
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
	callers, events := newCrowd(a.Limits.InFlight, a.Limits.Waiting), newCrowd(a.Limits.InFlight, a.Limits.Waiting)
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
