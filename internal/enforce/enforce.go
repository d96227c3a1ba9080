// Package enforce carries a change of rights to those who are in a room
// already: it keeps who is there, decides about them again, and has LiveKit
// change what differs.
package enforce

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"stagedoor"
)

const (
	// passEvery is the longest time between two passes, in which everybody whom
	// LiveKit reports is decided again. passJitter is by how much a pass may come
	// earlier: a client must not know its moment.
	passEvery  = time.Minute
	passJitter = 20 * time.Second
	// passRetry is the pause after a pass that failed.
	passRetry = 5 * time.Second
	// maxConcurrent bounds the calls to LiveKit that are under way.
	maxConcurrent = 16
	// Waits before a change that did not hold is tried again.
	retryFirst, retryMost = 100 * time.Millisecond, 5 * time.Second
	// logEvery is how many failed tries lie between two lines of the log: about a minute.
	logEvery = 16
	// mintsBack is how far back a principal's tokens are looked for: no token
	// can be used for longer.
	mintsBack = 26 * time.Hour
	// maxMints bounds how many of a principal's tokens are looked for: the store
	// keeps no more.
	maxMints = 5000
)

// Enforcer is safe for concurrent use. Nothing is enforced until Run runs.
type Enforcer struct {
	Options
	slots   chan struct{}
	seen    recent // ids of LiveKit's events
	leaving singleflight.Group
	owners  owners
	watched watchlist

	mu     sync.Mutex
	ctx    context.Context // of Run; nil before and after
	group  sync.WaitGroup
	jobs   map[target]*job
	timers map[target]*time.Timer
	warned map[target]warning
	looked map[stagedoor.Room]time.Time
	// everybody wakes Run for a pass and a look at all tokens.
	everybody chan struct{}
}

// target is one participant, whichever session of theirs.
type target struct {
	room     stagedoor.Room
	identity stagedoor.Identity
}

// job is the work on one target: one after the other, the latest cause last.
type job struct {
	cause string
	asked time.Time
	// reported is what LiveKit says of the participant; nil: it is to be asked.
	reported *stagedoor.Participant
	// principal is whose the target is, once that is known.
	principal stagedoor.PrincipalKey
	// again is set when something changed while the job runs.
	again *job
}

// New builds an Enforcer.
func New(o Options) *Enforcer {
	if o.Told == nil {
		o.Told = func(string, string, time.Duration) {}
	}
	return &Enforcer{
		Options: o,
		slots:   make(chan struct{}, maxConcurrent),
		jobs:    map[target]*job{},
		timers:  map[target]*time.Timer{},
		warned:  map[target]warning{},
		looked:  map[stagedoor.Room]time.Time{},

		everybody: make(chan struct{}, 1),
	}
}

// Run enforces until ctx ends: a pass at once and every minute, and what is
// asked for in between.
func (e *Enforcer) Run(ctx context.Context) {
	e.mu.Lock()
	e.ctx = ctx
	e.mu.Unlock()
	e.watchBanned(ctx)
	e.group.Go(func() { e.runWatch(ctx) })
	e.group.Go(func() { e.followAll(ctx) }) // who is watched is not stored
	for ctx.Err() == nil {
		wait := passEvery - rand.N(passJitter)
		if err := e.pass(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn("enforcement pass incomplete", "err", err)
			wait = passRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-e.everybody:
			e.group.Go(func() { e.followAll(ctx) })
		}
		timer.Stop()
	}
	e.mu.Lock()
	e.ctx = nil
	for _, timer := range e.timers {
		timer.Stop()
	}
	clear(e.timers)
	clear(e.warned)
	e.mu.Unlock()
	e.group.Wait()
}

// Recheck decides again about the principals' participants and those of their
// guests, wherever they are; nobody named means everybody.
func (e *Enforcer) Recheck(ctx context.Context, cause string, keys []stagedoor.PrincipalKey) {
	if len(keys) == 0 {
		present, err := e.Presence.Present(ctx)
		if err != nil {
			e.Log.Error("reading presence failed; the next pass rechecks everybody", "err", err)
		}
		for _, p := range present {
			e.check(target{p.Room, p.Identity}, cause, nil)
		}
		e.passSoon()
		return
	}
	e.recheck(ctx, cause, keys)
	e.recheck(ctx, cause, e.guestsOf(ctx, keys)) // last: they may be many
}

func (e *Enforcer) recheck(ctx context.Context, cause string, keys []stagedoor.PrincipalKey) {
	done := map[stagedoor.PrincipalKey]bool{}
	for _, key := range keys {
		if done[key] {
			continue
		}
		done[key] = true
		for _, t := range e.targetsOf(ctx, key) {
			e.check(t, cause, nil)
		}
	}
}

// guestsOf lists everybody whom the principals have invited.
func (e *Enforcer) guestsOf(ctx context.Context, keys []stagedoor.PrincipalKey) []stagedoor.PrincipalKey {
	var all []stagedoor.PrincipalKey
	for _, key := range keys {
		if key.Issuer == stagedoor.GuestIssuer {
			continue // a guest invites nobody
		}
		guests, err := e.People.GuestsOf(ctx, key)
		if err != nil {
			e.Log.Error("listing guests failed", "subject", stagedoor.Printable(key.Subject), "err", err)
		}
		all = append(all, guests...)
	}
	return all
}

// targetsOf lists where a principal may be: where LiveKit reported them, and
// wherever one of their tokens can be used, since events get lost. Without the
// database it lists what memory knows.
func (e *Enforcer) targetsOf(ctx context.Context, key stagedoor.PrincipalKey) []target {
	var all []target
	listed := map[target]bool{}
	add := func(t target) {
		if !listed[t] {
			listed[t] = true
			all = append(all, t)
		}
	}
	present, err := e.Presence.PresentOf(ctx, key)
	for _, p := range present {
		add(target{p.Room, p.Identity})
	}
	mints, second := e.People.MintsOf(ctx, key, e.Now().Add(-mintsBack), maxMints)
	for _, m := range mints {
		add(target{m.Room, m.Identity})
	}
	if err = errors.Join(err, second); err != nil {
		e.Log.Error("finding a caller's participants failed; using memory", "subject", stagedoor.Printable(key.Subject), "err", err)
		for _, t := range e.owners.of(key) {
			add(t)
		}
	}
	return all
}

// check has one target decided about again. It never blocks.
func (e *Enforcer) check(t target, cause string, reported *stagedoor.Participant) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx == nil {
		return // the pass at the start of Run decides about everybody
	}
	next := &job{cause: cause, asked: e.Now(), reported: reported}
	if running, ok := e.jobs[t]; ok {
		// What was reported may be older than what the running job does.
		next.reported = nil
		running.again = next
		return
	}
	e.jobs[t] = next
	ctx := e.ctx
	e.group.Go(func() { e.work(ctx, t, next) })
}

// work runs the jobs of one target until none is left, each until it holds.
func (e *Enforcer) work(ctx context.Context, t target, j *job) {
	for attempt := 0; ; attempt++ {
		e.slots <- struct{}{}
		err := e.settle(ctx, t, j)
		<-e.slots
		e.mu.Lock()
		next := j.again
		if next == nil && err == nil || ctx.Err() != nil {
			delete(e.jobs, t)
			e.mu.Unlock()
			return
		}
		if next == nil {
			// LiveKit may know better by now than what it reported before.
			next = &job{cause: j.cause, asked: j.asked}
		} else {
			attempt = 0
		}
		e.jobs[t], j = next, next
		e.mu.Unlock()
		if err == nil {
			continue
		}
		e.Told("failed", j.cause, 0)
		if attempt%logEvery == 0 {
			e.Log.Warn("permission update not applied, retrying", "room", t.room, "identity", t.identity, "attempt", attempt+1, "err", err)
		}
		timer := time.NewTimer(min(retryFirst<<min(attempt, 10), retryMost))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}
