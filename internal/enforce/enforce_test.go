package enforce

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stagedoor"
)

var (
	watch   = stagedoor.Grants{Subscribe: true}
	publish = stagedoor.Grants{Subscribe: true, Publish: true, PublishData: true}
	ann     = stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}
)

// world is a store, a LiveKit and a policy in memory.
type world struct {
	mu       sync.Mutex
	mints    map[target]stagedoor.PrincipalKey
	present  map[string]stagedoor.Participant // by SID, as the store keeps it
	left     map[string]bool
	livekit  map[target]stagedoor.Participant // as LiveKit has it
	guests   map[stagedoor.PrincipalKey][]stagedoor.PrincipalKey
	since    map[stagedoor.Room]time.Time // whose time is running
	opened   map[stagedoor.Room]time.Time // rooms that are empty
	surplus  bool                         // whether every session came too late
	sent     []string
	muted    []string
	decision func(stagedoor.PrincipalKey, stagedoor.Room) (stagedoor.Decision, error)
	fail     int  // how many calls to LiveKit fail
	ignore   bool // whether LiveKit says yes and does nothing
	updates  []stagedoor.Grants
	removed  []target
	asked    int // GetParticipant calls
	arrivals int
	looks    int // OpenRooms calls
	// reads and writes are the errors of the database; nil when it works.
	reads, writes error
	erased        bool      // whether principals are gone
	expires       time.Time // when tokens expire; zero: in an hour
	bannedAtStart map[stagedoor.PrincipalKey]bool
	log           bytes.Buffer
	*Enforcer
}

func newWorld() *world {
	w := &world{mints: map[target]stagedoor.PrincipalKey{}, present: map[string]stagedoor.Participant{}, left: map[string]bool{}, livekit: map[target]stagedoor.Participant{}}
	w.decide(watch, nil)
	w.Enforcer = New(Options{People: w, Presence: w, Places: w, Rooms: w, Media: w, Now: time.Now, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
		Decide: func(_ context.Context, p stagedoor.Principal, room stagedoor.Room) (stagedoor.Decision, error) {
			w.mu.Lock()
			decide := w.decision
			w.mu.Unlock()
			return decide(p.Key(), room)
		}})
	return w
}

// decide makes the policy say this from now on.
func (w *world) decide(g stagedoor.Grants, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decision = func(stagedoor.PrincipalKey, stagedoor.Room) (stagedoor.Decision, error) {
		return stagedoor.Decision{Grants: g, TTL: time.Hour}, err
	}
}

// enter lets LiveKit have a participant; ours when a token was minted for them.
func (w *world) enter(identity stagedoor.Identity, sid string, g stagedoor.Grants, ours bool) stagedoor.Participant {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := stagedoor.Participant{Room: "r", Identity: identity, SID: sid, JoinedAt: time.Now(), Standard: true, Grants: g}
	w.livekit[target{"r", identity}] = p
	if ours {
		w.mints[target{"r", identity}] = stagedoor.PrincipalKey{Issuer: "i", Subject: string(identity)}
	}
	return p
}

func (w *world) now(identity stagedoor.Identity) stagedoor.Grants {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.livekit[target{"r", identity}].Grants
}

func (w *world) Mint(_ context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Mint, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key, ok := w.mints[target{room, identity}]
	return w.mint(target{room, identity}, key), ok, w.reads
}

// mint is a mint whose token allows everything and can be used for an hour.
func (w *world) mint(t target, key stagedoor.PrincipalKey) stagedoor.Mint {
	if w.expires.IsZero() {
		w.expires = time.Now().Add(time.Hour)
	}
	return stagedoor.Mint{Room: t.room, Identity: t.identity, Principal: key, Rights: publish.Rights(), Expires: w.expires}
}

func (w *world) EachUsableMint(_ context.Context, _ time.Time, fn func(stagedoor.Mint) error) error {
	w.mu.Lock()
	var all []stagedoor.Mint
	for t, owner := range w.mints {
		all = append(all, w.mint(t, owner))
	}
	w.mu.Unlock()
	for _, m := range all {
		if err := fn(m); err != nil {
			return err
		}
	}
	return w.reads
}

func (w *world) BannedMints(context.Context, time.Time) ([]stagedoor.Mint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []stagedoor.Mint
	for t, owner := range w.mints {
		if w.bannedAtStart[owner] {
			all = append(all, w.mint(t, owner))
		}
	}
	return all, w.reads
}

func (w *world) MintsOf(_ context.Context, key stagedoor.PrincipalKey, _ time.Time, _ int) ([]stagedoor.Mint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []stagedoor.Mint
	for t, owner := range w.mints {
		if owner == key {
			all = append(all, w.mint(t, owner))
		}
	}
	return all, w.reads
}

func (w *world) Principal(_ context.Context, key stagedoor.PrincipalKey) (stagedoor.Principal, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return stagedoor.Principal{Issuer: key.Issuer, Subject: key.Subject, Handle: key.Subject}, !w.erased, w.reads
}

func (w *world) Arrive(_ context.Context, p stagedoor.Participant) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrivals++
	if w.writes != nil {
		return w.writes
	}
	if !w.left[p.SID] {
		w.present[p.SID] = p
	}
	return nil
}

func (w *world) Leave(_ context.Context, p stagedoor.Participant, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left[p.SID] = true
	delete(w.present, p.SID)
	return nil
}

func (w *world) Present(context.Context) ([]stagedoor.Participant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []stagedoor.Participant
	for _, p := range w.present {
		all = append(all, p)
	}
	return all, w.reads
}

func (w *world) PresentOf(ctx context.Context, key stagedoor.PrincipalKey) ([]stagedoor.Participant, error) {
	all, err := w.Present(ctx)
	return slices.DeleteFunc(all, func(p stagedoor.Participant) bool { return string(p.Identity) != key.Subject }), err
}

func (w *world) Reconcile(_ context.Context, room stagedoor.Room, listed []stagedoor.Participant, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writes != nil {
		return w.writes
	}
	for sid, p := range w.present {
		if p.Room == room {
			delete(w.present, sid)
		}
	}
	for _, p := range listed {
		w.present[p.SID] = p
	}
	return nil
}

var errDown = errors.New("LiveKit is down")

// failing counts down the failures that were asked for; w.mu must be held.
func (w *world) failing() error {
	if w.fail == 0 {
		return nil
	}
	w.fail--
	return errDown
}

func (w *world) OpenRooms(_ context.Context, rooms []stagedoor.Room) ([]stagedoor.OpenRoom, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var open []stagedoor.OpenRoom
	for t := range w.livekit {
		if slices.Contains(rooms, t.room) {
			open = append(open, stagedoor.OpenRoom{Room: t.room})
		}
	}
	w.looks++
	return open, nil
}

func (w *world) Participants(_ context.Context, room stagedoor.Room) ([]stagedoor.Participant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []stagedoor.Participant
	for t, p := range w.livekit {
		if t.room == room {
			all = append(all, p)
		}
	}
	return all, w.failing()
}

func (w *world) Participant(_ context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Participant, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	p, ok := w.livekit[target{room, identity}]
	return p, ok, w.failing()
}

func (w *world) UpdatePermission(_ context.Context, room stagedoor.Room, identity stagedoor.Identity, g stagedoor.Grants) (stagedoor.Participant, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.livekit[target{room, identity}]
	if err := w.failing(); err != nil || !ok {
		return p, ok, err
	}
	w.updates = append(w.updates, g)
	if !w.ignore {
		p.Grants = g
		w.livekit[target{room, identity}] = p
	}
	return p, true, nil
}

func (w *world) Remove(_ context.Context, room stagedoor.Room, identity stagedoor.Identity) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.livekit[target{room, identity}]
	if err := w.failing(); err != nil {
		return ok, err
	}
	w.removed = append(w.removed, target{room, identity})
	delete(w.livekit, target{room, identity})
	return ok, nil
}

// during runs the enforcer in a world whose time is simulated.
func during(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		synctest.Wait()
		test(t, w)
		cancel()
		<-done
	})
}

func joined(p stagedoor.Participant, id string) stagedoor.LiveKitEvent {
	return stagedoor.LiveKitEvent{ID: id, Name: "participant_joined", Room: p.Room, Participant: p, CreatedAt: time.Now()}
}

// Minted while paid, cancelled, then connected with the old token.
func TestOldTokenIsCorrectedOnArrival(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		p := w.enter("ann", "PA_1", publish, true)
		if err := w.LiveKitEvent(t.Context(), joined(p, "EV_1")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !w.now("ann").Same(watch) || len(w.updates) != 1 {
			t.Fatalf("%+v after %d updates", w.now("ann"), len(w.updates))
		}
		// And again after a reconnect with a token that LiveKit refreshed in between.
		p = w.enter("ann", "PA_2", publish, true)
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_2"))
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("the second arrival was not corrected")
		}
	})
}

func TestLostEventIsHealedWithinAMinute(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", publish, true)
		time.Sleep(passEvery + time.Millisecond)
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("the pass did not correct it")
		}
		if present, _ := w.PresentOf(t.Context(), ann); len(present) != 1 {
			t.Error("the pass did not learn who is there")
		}
	})
}

func TestChangeReachesEverySessionOfThePrincipal(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", watch, true) // no event said so: found by the mint
		w.enter("bob", "PA_2", watch, true)
		w.decide(publish, nil)
		w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann, ann})
		synctest.Wait()
		if !w.now("ann").Same(publish) || !w.now("bob").Same(watch) || len(w.updates) != 1 {
			t.Errorf("ann %+v bob %+v, %d updates", w.now("ann"), w.now("bob"), len(w.updates))
		}
	})
}

func TestAgentsAndOthersAreNeverChanged(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("stranger", "PA_1", publish, false)
		agent := w.enter("ann", "PA_2", publish, true)
		agent.Standard = false
		w.livekit[target{"r", "ann"}] = agent
		w.decide(watch, stagedoor.Refuse(stagedoor.Banned, "x"))
		for _, p := range w.livekit {
			_ = w.LiveKitEvent(t.Context(), joined(p, "EV_"+p.SID))
		}
		w.Recheck(t.Context(), "ban", []stagedoor.PrincipalKey{ann})
		time.Sleep(2 * passEvery)
		synctest.Wait()
		if len(w.updates)+len(w.removed) != 0 {
			t.Errorf("updates %v, removed %v", w.updates, w.removed)
		}
	})
}

func TestBannedIsPutOutAndAgain(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", publish, true)
		w.decide(watch, stagedoor.Refuse(stagedoor.Banned, "x"))
		w.Recheck(t.Context(), "ban", []stagedoor.PrincipalKey{ann})
		synctest.Wait()
		p := w.enter("ann", "PA_2", publish, true) // with a refreshed token
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_2"))
		synctest.Wait()
		if len(w.removed) != 2 || len(w.livekit) != 0 {
			t.Errorf("removed %v", w.removed)
		}
	})
}

// What cannot be decided changes nothing: who paid keeps what they have.
func TestUndecidedChangesNothing(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", publish, true)
		w.decide(watch, errors.New("the database is away"))
		w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann})
		time.Sleep(10 * time.Second)
		if len(w.updates) != 0 {
			t.Fatal("changed on an error")
		}
		w.decide(watch, nil)
		time.Sleep(2 * retryMost)
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("not tried again")
		}
	})
}

func TestChangeIsTriedUntilItHolds(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", publish, true)
		w.mu.Lock()
		w.fail = 7
		w.mu.Unlock()
		w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("given up")
		}
		// Told, acknowledged and not done: told again.
		w.mu.Lock()
		w.ignore = true
		before := len(w.updates)
		w.mu.Unlock()
		w.decide(publish, nil)
		w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann})
		time.Sleep(time.Second)
		w.mu.Lock()
		tries := len(w.updates) - before
		w.ignore = false
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if tries < 2 || !w.now("ann").Same(publish) {
			t.Errorf("%d tries, %+v", tries, w.now("ann"))
		}
	})
}

func TestLatestDecisionWins(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", watch, true)
		for i := range 50 {
			if i%2 == 0 {
				w.decide(publish, nil)
			} else {
				w.decide(watch, nil)
			}
			w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann})
		}
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("an older decision won")
		}
	})
}
