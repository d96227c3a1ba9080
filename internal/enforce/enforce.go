// Package enforce carries a change of rights to those who are in a room
// already: it keeps who is there, decides about them again, and has LiveKit
// change what differs.
package enforce

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"stagedoor"
)

const (
	// passEvery is how often everybody whom LiveKit reports is decided again.
	passEvery = time.Minute
	// passRetry is the pause after a pass that failed.
	passRetry = 5 * time.Second
	// atOnce bounds the calls to LiveKit that are under way.
	atOnce = 16
	// Waits before a change that did not hold is tried again.
	retryFirst, retryMost = 100 * time.Millisecond, 5 * time.Second
	// quiet is how many tries go by between two lines of the log: about a minute.
	quiet = 16
	// mintsBack is how far back a principal's tokens are followed to rooms in
	// which no event has reported them: no token lives longer.
	mintsBack = 26 * time.Hour
	// mintsMost bounds that.
	mintsMost = 50
)

// Enforcer is safe for concurrent use. Nothing is enforced until Run runs.
type Enforcer struct {
	Options
	slots   chan struct{}
	seen    recent // ids of LiveKit's events
	leaving singleflight.Group

	mu     sync.Mutex
	ctx    context.Context // of Run; nil before and after
	group  sync.WaitGroup
	jobs   map[target]*job
	timers map[target]*time.Timer
	warned map[target]warning
	looked map[stagedoor.Room]time.Time
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
	// again is set when something changed while the job runs.
	again *job
}

// New builds an Enforcer.
func New(o Options) *Enforcer {
	if o.Told == nil {
		o.Told = func(string, string, time.Duration) {}
	}
	return &Enforcer{Options: o, slots: make(chan struct{}, atOnce), jobs: map[target]*job{}, timers: map[target]*time.Timer{}, warned: map[target]warning{}, looked: map[stagedoor.Room]time.Time{}}
}

// Run enforces until ctx ends: a pass at once and every minute, and what is
// asked for in between.
func (e *Enforcer) Run(ctx context.Context) {
	e.mu.Lock()
	e.ctx = ctx
	e.mu.Unlock()
	for ctx.Err() == nil {
		wait := passEvery
		if err := e.pass(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn("enforce: LiveKit's rooms could not be listed", "err", err)
			wait = passRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
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
			e.Log.Error("enforce: who is present cannot be read", "err", err)
		}
		for _, p := range present {
			e.check(target{p.Room, p.Identity}, cause, nil)
		}
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
			e.Log.Error("enforce: whom somebody has invited cannot be read", "subject", stagedoor.Printable(key.Subject), "err", err)
		}
		all = append(all, guests...)
	}
	return all
}

// targetsOf lists where a principal may be: where events said, and wherever a
// token was handed out for, since events get lost.
func (e *Enforcer) targetsOf(ctx context.Context, key stagedoor.PrincipalKey) []target {
	var all []target
	seen := map[target]bool{}
	add := func(t target) {
		if !seen[t] {
			seen[t] = true
			all = append(all, t)
		}
	}
	present, err := e.Presence.PresentOf(ctx, key)
	for _, p := range present {
		add(target{p.Room, p.Identity})
	}
	mints, second := e.People.MintsOf(ctx, key, e.Now().Add(-mintsBack), mintsMost)
	for _, m := range mints {
		add(target{m.Room, m.Identity})
	}
	if err = errors.Join(err, second); err != nil {
		// The next pass decides about them all the same.
		e.Log.Error("enforce: where somebody is cannot be read", "subject", stagedoor.Printable(key.Subject), "err", err)
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
		if attempt%quiet == 0 {
			e.Log.Warn("enforce: a change does not hold yet", "room", t.room, "identity", t.identity, "attempt", attempt+1, "err", err)
		}
		timer := time.NewTimer(min(retryFirst<<min(attempt, 10), retryMost))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

var errNotHeld = errors.New("LiveKit reports other permissions than it was told")

// settle decides about one participant and changes what differs. nil means
// that LiveKit reports what was decided, or that there is nobody to decide about.
func (e *Enforcer) settle(ctx context.Context, t target, j *job) error {
	mint, ours, err := e.People.Mint(ctx, t.room, t.identity.Minted())
	if err != nil || !ours {
		return err
	}
	principal, known, err := e.People.Principal(ctx, mint.Principal)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("no principal is kept for a participant of ours")
	}
	decision, err := e.Decide(ctx, principal, t.room)
	why := stagedoor.KindOf(err)
	putOut := err != nil && (why == stagedoor.Banned || why == stagedoor.RoomForbidden || why == stagedoor.SessionOver)
	if err != nil && !putOut {
		return err
	}
	if t.identity.Minted() != t.identity {
		putOut, why = true, stagedoor.IdentityNotAllowed
	}
	reported, present := j.reported, true
	if reported == nil {
		var now stagedoor.Participant
		if now, present, err = e.Rooms.Participant(ctx, t.room, t.identity); err != nil {
			return err
		}
		reported = &now
	}
	if present && !putOut && decision.MaxParticipants > 0 {
		if putOut, err = e.Places.Surplus(ctx, t.room, reported.SID, decision.MaxParticipants); err != nil {
			return err
		}
		why = stagedoor.RoomFull
	}
	switch {
	case !present:
		e.forget(t)
		return nil
	case !reported.Standard:
		return nil // an agent or another service's, under an identity of ours
	case putOut:
		return e.remove(ctx, t, j, why)
	}
	e.remind(t, nextLook(decision, j.cause, e.Now()))
	if !reported.Grants.Same(decision.Grants) {
		if err := e.update(ctx, t, j, decision); err != nil {
			return err
		}
	}
	return e.warn(ctx, t, j.cause, reported.SID, decision.SessionEnds)
}

// update has LiveKit set the whole permission set.
func (e *Enforcer) update(ctx context.Context, t target, j *job, decision stagedoor.Decision) error {
	after, present, err := e.Rooms.UpdatePermission(ctx, t.room, t.identity, decision.Grants)
	if err != nil || !present {
		return err
	}
	if !after.Grants.Same(decision.Grants) {
		return errNotHeld
	}
	e.Told("update", j.cause, e.Now().Sub(j.asked))
	e.Log.Info("enforced", "room", t.room, "identity", t.identity, "cause", j.cause, "canPublish", decision.Grants.Publish,
		"publishDenied", string(decision.PublishDenied), "ms", milliseconds(e.Now().Sub(j.asked)))
	return nil
}

// remove puts somebody out who may not be there.
func (e *Enforcer) remove(ctx context.Context, t target, j *job, why stagedoor.Kind) error {
	there, err := e.out(ctx, t)
	if err != nil {
		return err
	}
	if there {
		e.Told("remove", j.cause, e.Now().Sub(j.asked))
		e.Log.Info("put out", "room", t.room, "identity", t.identity, "cause", j.cause, "why", why.String(), "ms", milliseconds(e.Now().Sub(j.asked)))
	}
	e.forget(t)
	return nil
}

// out has LiveKit put somebody out, once for all who ask for it meanwhile: to the
// second of two that overlap LiveKit v1.13.5 may answer only "unavailable", after
// three seconds. It does not end with ctx. false when there was nobody.
func (e *Enforcer) out(ctx context.Context, t target) (bool, error) {
	there, err, _ := e.leaving.Do(string(t.room)+"\x00"+string(t.identity), func() (any, error) {
		return e.Rooms.Remove(context.WithoutCancel(ctx), t.room, t.identity)
	})
	return there == true, err
}

// remind has a target decided again at a known end that comes before a later
// pass would see it.
func (e *Enforcer) remind(t target, at time.Time) {
	wait := at.Sub(e.Now())
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.timers[t]; old != nil {
		old.Stop()
		delete(e.timers, t)
	}
	if at.IsZero() || wait > 2*passEvery || e.ctx == nil {
		return
	}
	e.timers[t] = time.AfterFunc(max(wait, 0)+time.Millisecond, func() { e.check(t, "a known end", nil) })
}

// forget drops what is kept for somebody who has left.
func (e *Enforcer) forget(t target) {
	e.remind(t, time.Time{})
	e.mu.Lock()
	delete(e.warned, t)
	e.mu.Unlock()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
