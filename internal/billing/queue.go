package billing

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"stagedoor"
)

const (
	// urgentWorkers is how many objects are asked for at once for people who are in
	// a call, workers how many others.
	urgentWorkers, workers = 32, 8
	// batch is how many due objects are looked at together: more than are asked for.
	batch = 64
	// Stripe's reads may lag behind its events: what changed is asked for once
	// more after echoAfter, up to twice as long.
	echoAfter = 30 * time.Second
	// Waits after failures. The first ones are short: an outage must open the
	// breaker before it makes anything wait long.
	retryFirst, retryMost = time.Second, time.Minute
	// idle bounds how long the queue is not looked at.
	idle = 10 * time.Second
)

// Run follows Stripe until ctx ends: it reconciles at the start, asks for
// what hints name, and reads the list of events.
func (b *Billing) Run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { b.Work(ctx) })
	group.Go(func() { b.follow(ctx) })
	group.Go(func() { b.watch(ctx) })
	group.Wait()
}

// Work asks for what is due until ctx ends, the most urgent first, and finds
// out when an outage of Stripe's is over; Run does so too.
func (b *Billing) Work(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { b.resume(ctx) })
	q := &inFlight{objects: map[flight]bool{}}
	for ctx.Err() == nil {
		wait, open := b.ask.gate.open()
		switch {
		case !open:
			wait = b.dispatch(ctx, &group, q)
		case wait <= 0:
			group.Go(func() {
				b.ask.probe(withPriority(ctx, stagedoor.PriorityInCall))
				b.poke()
			})
			wait = probeEvery
		}
		b.rest(ctx, wait)
	}
}

// resume has everything asked for at once when an outage is over.
func (b *Billing) resume(ctx context.Context) {
	for recovered := b.recovery(); ; {
		select {
		case <-ctx.Done():
			return
		case <-recovered:
		}
		recovered = b.recovery()
		if err := b.Store.Resume(ctx, b.Now()); err != nil && ctx.Err() == nil {
			b.Log.Error("billing: the queue cannot be written", "err", err)
		}
		b.poke()
	}
}

// recovery is closed when the next outage of Stripe's is over.
func (b *Billing) recovery() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.recovered
}

// onRecovery wakes whoever waits for the end of an outage, and lets joins wait
// for Stripe again.
func (b *Billing) onRecovery() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.recovered)
	b.recovered = make(chan struct{})
	clear(b.absent)
}

// flight is an object that is being asked for. One that becomes urgent
// meanwhile is asked for again, beside: it must not wait behind others.
type flight struct {
	object string
	urgent bool
}

// inFlight is what is being asked for. Safe for concurrent use.
type inFlight struct {
	mu           sync.Mutex
	objects      map[flight]bool
	urgent, rest int
}

// begin reports whether an object may be asked for now; then end must follow.
func (q *inFlight) begin(f flight) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	count, most := &q.rest, workers
	if f.urgent {
		count, most = &q.urgent, urgentWorkers
	}
	if *count >= most || q.objects[f] || q.objects[flight{object: f.object, urgent: true}] {
		return false
	}
	*count++
	q.objects[f] = true
	return true
}

func (q *inFlight) end(f flight) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.objects, f)
	if f.urgent {
		q.urgent--
	} else {
		q.rest--
	}
}

// dispatch begins to ask for what is due, as far as there are workers, and
// returns how long the queue may be left alone.
func (b *Billing) dispatch(ctx context.Context, group *sync.WaitGroup, q *inFlight) time.Duration {
	due, next, err := b.Store.PendingDue(ctx, b.Now(), batch)
	if err != nil && ctx.Err() == nil {
		b.Log.Error("billing: the queue cannot be read", "err", err)
	}
	for _, p := range due {
		f := flight{object: p.Object, urgent: p.Priority >= stagedoor.PriorityJoin}
		if !q.begin(f) {
			continue
		}
		group.Go(func() {
			b.process(withPriority(ctx, p.Priority), p)
			q.end(f)
			b.poke()
		})
	}
	return b.untilNext(next, err)
}

// untilNext is how long the queue may be left alone unless somebody pokes.
func (b *Billing) untilNext(next time.Time, err error) time.Duration {
	switch {
	case err != nil:
		return time.Second
	case next.IsZero():
		return idle
	}
	return min(max(next.Sub(b.Now()), 0), idle)
}

// rest waits for a time, a poke, or the end.
func (b *Billing) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(max(wait, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-b.wake:
	case <-timer.C:
	}
}

// process asks for one object and settles or postpones it.
func (b *Billing) process(ctx context.Context, p stagedoor.Pending) {
	changed, err := false, error(nil)
	if !b.answered(ctx, p) {
		changed, err = b.refreshSafely(ctx, p.Object)
	}
	for range 2 {
		if !errors.Is(err, errSuperseded) {
			break
		}
		changed, err = b.refreshSafely(ctx, p.Object)
	}
	if ctx.Err() != nil || errors.Is(err, errBreakerOpen) {
		return // asked for again at the next start, or as soon as Stripe is asked again
	}
	if err != nil {
		b.Log.Warn("asking Stripe failed, retrying", "object", p.Object, "attempts", p.Attempts+1, "err", err)
		pause := min(retryFirst<<min(max(p.Attempts+1-breakerAfter, 0), 10), retryMost)
		err = b.Store.Postpone(ctx, p, b.Now().Add(pause/2+rand.N(pause)))
	} else {
		var again time.Time
		if changed || !p.Since.IsZero() {
			again = b.Now().Add(echoAfter + rand.N(echoAfter))
		}
		err = b.Store.Settle(ctx, p, again)
	}
	if err != nil && ctx.Err() == nil {
		b.Log.Error("billing: the queue cannot be written", "object", p.Object, "err", err)
	}
}

// answered reports whether a hint at a customer needs no question any more,
// since a join has just asked for the customer, and after the hint came.
func (b *Billing) answered(ctx context.Context, p stagedoor.Pending) bool {
	if p.Since.IsZero() {
		return false
	}
	known, ok, err := b.Store.Customer(ctx, p.Object)
	age := b.Now().Sub(known.AskedAt)
	return err == nil && ok && known.Generation > p.Generation && age >= 0 && age < echoAfter
}
