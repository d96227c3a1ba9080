package enforce

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"stagedoor"
)

const (
	// watchEvery and watchJitter are the pause between two looks into the watched
	// rooms; watchAgain is the pause after a look that found somebody.
	watchEvery  = time.Second
	watchJitter = 500 * time.Millisecond
	watchAgain  = 300 * time.Millisecond
	// refreshedFor is how long a token can be used that LiveKit hands to
	// everybody who enters: ten minutes, and one minute of leeway.
	//
	// SPEC: livekit-server pkg/rtc tokenDefaultTTL; livekit/protocol auth/verifier.go.
	refreshedFor = 11 * time.Minute
	// maxWatched bounds the watch list. Beyond it the pass finds them.
	maxWatched = 100_000
	// maxNames is how many rooms one call asks for.
	maxNames = 500
)

// watchlist has participants whose tokens say more than they may have now. A
// client decides which of its connections come up, and with that which events
// LiveKit sends: one that hides its arrival is found only by asking. The zero
// value is ready to use. Safe for concurrent use.
type watchlist struct {
	mu    sync.Mutex
	count int
	rooms map[stagedoor.Room]map[stagedoor.Identity]time.Time
}

// add watches for a participant until a time, or longer where it is watched longer.
func (w *watchlist) add(t target, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, there := w.rooms[t.room][t.identity]
	if there && !until.After(old) || !there && w.count >= maxWatched {
		return
	}
	if w.rooms == nil {
		w.rooms = map[stagedoor.Room]map[stagedoor.Identity]time.Time{}
	}
	if w.rooms[t.room] == nil {
		w.rooms[t.room] = map[stagedoor.Identity]time.Time{}
	}
	if !there {
		w.count++
	}
	w.rooms[t.room][t.identity] = until
}

// drop ends the watch for a participant.
func (w *watchlist) drop(t target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropLocked(t)
}

func (w *watchlist) dropLocked(t target) {
	if _, there := w.rooms[t.room][t.identity]; !there {
		return
	}
	w.count--
	delete(w.rooms[t.room], t.identity)
	if len(w.rooms[t.room]) == 0 {
		delete(w.rooms, t.room)
	}
}

// has reports whether a participant is watched for.
func (w *watchlist) has(t target) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, there := w.rooms[t.room][t.identity]
	return there
}

// open ends what is over and returns the watched rooms.
func (w *watchlist) open(now time.Time) []stagedoor.Room {
	w.mu.Lock()
	defer w.mu.Unlock()
	var rooms []stagedoor.Room
	for room, identities := range w.rooms {
		for identity, until := range identities {
			if now.After(until) {
				w.dropLocked(target{room, identity})
			}
		}
		if len(w.rooms[room]) > 0 {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

// follow watches for a participant while one of its tokens allows more than
// was decided, and ends the watch when none does.
func (e *Enforcer) follow(t target, who owner, v verdict) {
	minted := target{t.room, t.identity.Minted()}
	allowed := v.Grants.Rights()
	if v.remove {
		allowed = 0
	}
	lost := who.mint.Rights&^allowed != 0 || v.remove
	switch {
	case minted != t:
		// A copy is removed whatever its original may do.
	case lost && who.usableUntil().After(e.Now()):
		e.watched.add(minted, who.usableUntil())
	case !lost:
		e.watched.drop(minted)
	}
}

// watchBanned watches for everybody who is banned and has a usable token. At a
// start it comes before followAll, which takes longer.
func (e *Enforcer) watchBanned(ctx context.Context) {
	mints, err := e.People.BannedMints(ctx, e.Now().Add(-mintsBack))
	if err != nil && ctx.Err() == nil {
		e.Log.Error("reading the tokens of banned callers failed; the pass finds them", "err", err)
	}
	for _, m := range mints {
		if m.Expires.After(e.Now()) {
			e.watched.add(target{m.Room, m.Identity}, m.Expires)
		}
	}
}

// passSoon has the next pass come at once, and every token looked at, because
// anybody may have lost a right.
func (e *Enforcer) passSoon() {
	select {
	case e.everybody <- struct{}{}:
	default:
	}
}

// followAll decides about every token that can still be used, and watches for
// those that allow more than their callers may do now. It does not ask LiveKit.
func (e *Enforcer) followAll(ctx context.Context) {
	err := e.People.EachUsableMint(ctx, e.Now(), func(m stagedoor.Mint) error {
		t := target{m.Room, m.Identity}
		who, ours, err := e.owner(ctx, t)
		if err != nil || !ours {
			return err
		}
		v, err := e.verdict(ctx, t, who, &stagedoor.Participant{}, false)
		if err == nil { // else the pass decides
			e.follow(t, who, v)
		}
		return ctx.Err()
	})
	if err != nil && ctx.Err() == nil {
		e.Log.Error("looking at all tokens failed; the pass finds who lost a right", "err", err)
	}
}

// runWatch looks into the watched rooms until ctx ends.
func (e *Enforcer) runWatch(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		wait := watchEvery + rand.N(watchJitter)
		found, err := e.lookForWatched(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			if failures%logEvery == 0 {
				e.Log.Warn("looking for removed participants failed, retrying", "err", err)
			}
			failures++
		case found:
			wait = watchAgain
			fallthrough
		default:
			failures = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// lookForWatched asks LiveKit which of the watched rooms are open and who is in
// these: one call for 500 rooms, and one for each open room. It has everybody who is watched
// for decided again, and reports whether there was anybody.
func (e *Enforcer) lookForWatched(ctx context.Context) (found bool, err error) {
	rooms := e.watched.open(e.Now())
	if len(rooms) == 0 {
		return false, nil
	}
	var open []stagedoor.OpenRoom
	for names := range slices.Chunk(rooms, maxNames) {
		some, err := e.Rooms.OpenRooms(ctx, names)
		if err != nil {
			return false, err
		}
		open = append(open, some...)
	}
	results := make(chan bool, len(open))
	errs := make(chan error, len(open))
	slots := make(chan struct{}, maxConcurrent/2)
	var group sync.WaitGroup
	for _, room := range open {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			there, err := e.lookInto(ctx, room.Room)
			results <- there
			errs <- err
		})
	}
	group.Wait()
	for range open {
		found = <-results || found
		if each := <-errs; each != nil {
			err = each
		}
	}
	return found, err
}

// lookInto has everybody decided again who is in a room and watched for.
func (e *Enforcer) lookInto(ctx context.Context, room stagedoor.Room) (found bool, err error) {
	listed, err := e.Rooms.Participants(ctx, room)
	if err != nil {
		return false, err
	}
	for _, p := range listed {
		minted := target{room, p.Identity.Minted()}
		if !e.watched.has(minted) {
			continue
		}
		found = true
		e.check(target{room, p.Identity}, "watch", &p)
	}
	return found, nil
}

// Expect has a participant decided about at a time by which its session may
// be over, although no event may ever report that it came.
func (e *Enforcer) Expect(room stagedoor.Room, identity stagedoor.Identity, at time.Time) {
	e.mu.Lock()
	earlier := e.timers[target{room, identity}] != nil
	e.mu.Unlock()
	if !earlier {
		e.remind(target{room, identity}, at)
	}
}
