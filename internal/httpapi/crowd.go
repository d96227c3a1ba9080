package httpapi

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stagedoor"
)

// crowd bounds how many requests there are at once: those that are worked on,
// and with them those that wait for somebody outside.
type crowd struct {
	working, all chan struct{}
	begun        time.Time
	// empty is how long after begun somebody last found a place without waiting.
	empty atomic.Int64
}

func newCrowd(working, waiting int) *crowd {
	return &crowd{working: make(chan struct{}, working), all: make(chan struct{}, working+waiting), begun: time.Now()}
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

// enter takes a place, and reports whether there was one.
func (c *crowd) enter() (*place, bool) {
	select {
	case c.all <- struct{}{}:
	default:
		return nil, false
	}
	select {
	case c.working <- struct{}{}:
		c.empty.Store(int64(time.Since(c.begun)))
		return &place{crowd: c, held: true}, true
	default:
	}
	timer := time.NewTimer(c.patience())
	defer timer.Stop()
	select {
	case c.working <- struct{}{}:
		return &place{crowd: c, held: true}, true
	case <-timer.C:
		<-c.all
		return nil, false
	}
}

// place is one request's. Safe for concurrent use: what a request began may
// outlive it.
type place struct {
	crowd *crowd
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
	return p.take
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

// leave gives the place up for good.
func (p *place) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held {
		<-p.crowd.working
	}
	p.held, p.left = false, true
	<-p.crowd.all
}

// answering gives the place up as the answer begins: the work is done, and how
// fast the client takes it is the client's affair.
type answering struct {
	http.ResponseWriter
	place *place
}

// WriteHeader gives the place up and sends the status.
func (w *answering) WriteHeader(status int) {
	w.place.give()
	w.ResponseWriter.WriteHeader(status)
}

// Write gives the place up and sends.
func (w *answering) Write(p []byte) (int, error) {
	w.place.give()
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
		if isWebhook(r.URL.Path) {
			where = events
		}
		p, ok := where.enter()
		if !ok {
			recordOf(r.Context()).limit = "in flight"
			refuse(w, r, &stagedoor.Error{Kind: stagedoor.Unavailable, Detail: "the door is busy; try again", RetryAfter: time.Second})
			return
		}
		defer p.leave()
		next.ServeHTTP(&answering{w, p}, r.WithContext(stagedoor.WithPlace(r.Context(), p.give)))
	})
}

// isWebhook reports whether the path is one of other programs' events.
func isWebhook(path string) bool { return strings.HasPrefix(path, "/webhooks/") }
