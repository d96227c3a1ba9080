// Package inflight bounds how many requests run at once. Others wait in a
// queue, first come first served. A request that waits for somebody else (the
// rest of its body, an issuer, Stripe, LiveKit) gives its slot up meanwhile.
package inflight

import (
	"container/list"
	"context"
	"math"
	"net/netip"
	"sync"
	"time"
)

// Options are the bounds of a Limiter. All must be positive.
type Options struct {
	// Running is how many requests run at once.
	Running int
	// Waiting is how many more may wait: for a slot, or for somebody else.
	Waiting int
	// QueueTimeout is how long a request may wait for its first slot.
	QueueTimeout time.Duration
}

const (
	// networkShare is the part of all places that one network may have once more
	// than half of them are taken.
	networkShare = 8
	// measureFor is how long the queue must have been non-empty before its drain
	// rate is known. A crowd that arrives at once is served, whatever it takes:
	// while it arrives the machine is busy with new connections, and a rate that
	// was measured then would be far too low.
	measureFor = 3 * time.Second
	// usableTimeout is the part of QueueTimeout that a predicted wait may take:
	// a request that just misses its deadline has cost work and is refused anyway.
	usableTimeout = 0.8
)

// Refused says that a request was not admitted.
type Refused struct {
	// RetryAfter is when trying again is likely to succeed, in whole seconds.
	RetryAfter time.Duration
}

// Error returns a sentence for logs.
func (r *Refused) Error() string { return "too many requests in flight" }

// Limiter admits requests. Safe for concurrent use.
type Limiter struct {
	o Options

	mu      sync.Mutex
	running int
	// admitted counts requests that run or wait, byNetwork those of each network.
	admitted  int
	byNetwork map[netip.Prefix]int
	// arriving waits for a first slot. returning gave a slot up, wants one again,
	// and comes first: its work has begun.
	arriving, returning list.List // of chan struct{}, closed when the slot is granted
	drain               drainRate
}

// New returns a Limiter.
func New(o Options) *Limiter {
	return &Limiter{o: o, byNetwork: map[netip.Prefix]int{}}
}

// Network returns the network in whose share an address counts: an IPv4
// address, or an IPv6 /48, whose owner has as many addresses as it likes. All
// invalid addresses are one network.
func Network(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		bits = 48
	}
	prefix, _ := addr.Prefix(bits)
	return prefix
}

// Acquire waits for a slot for a request from an address. The caller must
// release it. Errors: Refused; the error of ctx.
func (l *Limiter) Acquire(ctx context.Context, addr netip.Addr) (*Slot, error) {
	s := &Slot{limiter: l, network: Network(addr)}
	l.mu.Lock()
	if !l.admit(s.network) {
		defer l.mu.Unlock()
		return nil, &Refused{RetryAfter: wholeSeconds(l.drain.wait(l.arriving.Len()))}
	}
	if l.running < l.o.Running {
		l.running++
		l.mu.Unlock()
		return s, nil
	}
	if wait := l.drain.wait(l.arriving.Len()); wait > time.Duration(usableTimeout*float64(l.o.QueueTimeout)) {
		defer l.mu.Unlock()
		l.dismiss(s.network)
		return nil, &Refused{RetryAfter: wholeSeconds(wait)}
	}
	if l.arriving.Len() == 0 {
		l.drain.restart(time.Now())
	}
	granted := make(chan struct{})
	place := l.arriving.PushBack(granted)
	l.mu.Unlock()

	timer := time.NewTimer(l.o.QueueTimeout)
	defer timer.Stop()
	err := error(nil)
	select {
	case <-granted:
		return s, nil
	case <-timer.C:
		err = &Refused{RetryAfter: wholeSeconds(l.o.QueueTimeout)}
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-granted: // in the same moment
		return s, nil
	default:
	}
	l.arriving.Remove(place)
	l.dismiss(s.network)
	return nil, err
}

// Len returns how many requests run and how many wait for their first slot.
func (l *Limiter) Len() (running, queued int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running, l.arriving.Len()
}

// admit counts a request, unless there is no place for it. l.mu is held.
func (l *Limiter) admit(network netip.Prefix) bool {
	places := l.o.Running + l.o.Waiting
	full := l.admitted >= places
	if full || l.admitted >= places/2 && l.byNetwork[network] >= max(1, places/networkShare) {
		return false
	}
	l.admitted++
	l.byNetwork[network]++
	return true
}

// dismiss undoes admit. l.mu is held.
func (l *Limiter) dismiss(network netip.Prefix) {
	l.admitted--
	if l.byNetwork[network]--; l.byNetwork[network] <= 0 {
		delete(l.byNetwork, network)
	}
}

// handOn gives a slot that became free to who waits for one. l.mu is held.
func (l *Limiter) handOn() {
	if next := l.returning.Front(); next != nil {
		close(l.returning.Remove(next).(chan struct{}))
		return
	}
	if next := l.arriving.Front(); next != nil {
		close(l.arriving.Remove(next).(chan struct{}))
		l.drain.granted(time.Now())
		return
	}
	l.running--
}

// drainRate measures how many slots a second the queue gets. The zero value
// has not measured anything.
type drainRate struct {
	since  time.Time // when the current measurement began
	grants int       // since then
	// perSecond is the last result; 0 means unknown.
	perSecond float64
}

// restart forgets what was measured: the queue was empty.
func (d *drainRate) restart(now time.Time) { *d = drainRate{since: now} }

// granted counts one slot.
func (d *drainRate) granted(now time.Time) {
	d.grants++
	if took := now.Sub(d.since); took >= measureFor {
		d.perSecond = float64(d.grants) / took.Seconds()
		d.since, d.grants = now, 0
	}
}

// wait predicts how long a request waits behind so many; 0 when unknown.
func (d *drainRate) wait(queued int) time.Duration {
	if d.perSecond == 0 {
		return 0
	}
	return time.Duration(float64(queued) / d.perSecond * float64(time.Second))
}

// wholeSeconds rounds up, to one second at least.
func wholeSeconds(d time.Duration) time.Duration {
	return time.Duration(max(1, math.Ceil(d.Seconds()))) * time.Second
}
