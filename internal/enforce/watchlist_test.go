package enforce

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stagedoor"
)

// promised is how soon somebody must be out of a room, whatever the client does.
const promised = 3 * time.Second

var (
	errLocked = errors.New("database is locked")
	errBanned = stagedoor.Refuse(stagedoor.Banned, "banned")
)

// outWithin fails unless a participant is gone after at most the promised time.
func (w *world) outWithin(t *testing.T, identity stagedoor.Identity) {
	t.Helper()
	began := time.Now()
	for time.Since(began) <= promised {
		synctest.Wait()
		w.mu.Lock()
		_, inside := w.livekit[target{"r", identity}]
		w.mu.Unlock()
		if !inside {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s is in the room after %v", identity, promised)
}

// A client that keeps its primary connection down is reported by no event.
func TestBan_RemovesClientThatNoEventReportsHoweverOftenItComes(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", publish, true)
		w.decide(watch, errBanned)
		w.Recheck(t.Context(), "ban", []stagedoor.PrincipalKey{ann})
		w.outWithin(t, "ann")
		for _, pause := range []time.Duration{0, 10 * time.Millisecond, 300 * time.Millisecond, 7 * time.Second, 40 * time.Minute} {
			time.Sleep(pause)
			w.enter("ann", "PA_2", publish, true)
			w.outWithin(t, "ann")
		}
	})
}

func TestBan_OfACallerWhoIsAwayIsWatchedForWhileATokenCanBeUsed(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.mints[target{"r", "ann"}] = ann
		w.decide(watch, errBanned)
		w.Recheck(t.Context(), "ban", []stagedoor.PrincipalKey{ann})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if looks := w.looksSoFar(); looks < 350 || looks > 600 {
			t.Errorf("%d looks in ten minutes, want one a second or less", looks)
		}
		w.enter("ann", "PA_1", publish, true)
		w.outWithin(t, "ann")

		time.Sleep(time.Hour)
		synctest.Wait()
		before := w.looksSoFar()
		time.Sleep(time.Hour)
		if more := w.looksSoFar() - before; more != 0 {
			t.Errorf("%d looks after the tokens expired", more)
		}
	})
}

func (w *world) looksSoFar() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looks
}

// A refreshed token can be used after the one that was handed out has expired.
func TestBan_WatchOutlivesTheTokenWhileTheyKeepComing(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.expires = time.Now().Add(time.Minute)
		w.decide(publish, nil)
		_ = w.LiveKitEvent(t.Context(), joined(w.enter("ann", "PA_1", publish, true), "EV_1"))
		time.Sleep(time.Hour)
		w.mu.Lock()
		delete(w.livekit, target{"r", "ann"}) // they leave, and are banned then
		w.mu.Unlock()
		time.Sleep(time.Second)
		w.decide(watch, errBanned)
		w.Recheck(t.Context(), "ban", []stagedoor.PrincipalKey{ann})
		for range 12 {
			time.Sleep(refreshedFor - 2*time.Minute)
			w.enter("ann", "PA_1", publish, true)
			w.outWithin(t, "ann")
		}
	})
}

func TestLostRight_IsTakenFromASilentClientWithTheOldToken(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.mints[target{"r", "ann"}] = ann
		w.decide(watch, nil)
		w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann})
		synctest.Wait()
		w.enter("ann", "PA_1", publish, true)
		time.Sleep(promised)
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("they may still publish")
		}

		w.decide(publish, nil) // paid again: nothing is watched for any more
		w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann})
		synctest.Wait()
		before := w.looksSoFar()
		time.Sleep(time.Minute)
		if more := w.looksSoFar() - before; more > 1 {
			t.Errorf("%d looks for somebody who has every right", more)
		}
	})
}

// A policy reload names nobody: whoever lost a right by it is found, also a
// client inside that no event reported, and one that comes with an old token.
func TestPolicyChange_ReachesSilentClientsInsideAndTokensOutside(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.decide(publish, nil)
		w.enter("ann", "PA_1", publish, true)
		w.mints[target{"r", "bob"}] = stagedoor.PrincipalKey{Issuer: "i", Subject: "bob"}
		time.Sleep(10 * time.Second)
		w.decide(watch, nil)
		w.Recheck(t.Context(), "policy", nil)
		time.Sleep(promised)
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("the silent client inside may still publish")
		}
		w.enter("bob", "PA_2", publish, true)
		time.Sleep(promised)
		synctest.Wait()
		if !w.now("bob").Same(watch) {
			t.Error("the old token still publishes")
		}
	})
}

func TestStart_WatchesForThoseWhoWereBannedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.mints[target{"r", "ann"}] = ann
		w.bannedAtStart = map[stagedoor.PrincipalKey]bool{ann: true}
		w.decide(watch, errBanned)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		synctest.Wait()
		w.enter("ann", "PA_1", publish, true)
		w.outWithin(t, "ann")
		cancel()
		<-done
	})
}

// A plan was cancelled, and the server restarted before the client came back.
func TestStart_WatchesForThoseWhoLostARightBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.mints[target{"r", "ann"}] = ann
		w.decide(watch, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		time.Sleep(time.Second)
		synctest.Wait()
		w.enter("ann", "PA_1", publish, true)
		time.Sleep(promised)
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("they may still publish")
		}
		cancel()
		<-done
	})
}

func TestTrackPublished_OfAClientThatNeverJoinedIsDecidedAtOnce(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		p := w.enter("ann", "PA_1", publish, true)
		event := joined(stagedoor.Participant{Room: "r", SID: p.SID, Identity: "ann", Standard: true}, "EV_1")
		event.Name = "track_published"
		if err := w.LiveKitEvent(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("the right to publish was not taken")
		}
	})
}

func TestErasedCaller_IsRemovedAndTheJobEnds(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.decide(publish, nil)
		w.mu.Lock()
		w.erased = true
		w.mu.Unlock()
		p := w.enter("ann", "PA_1", publish, true)
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_1"))
		w.outWithin(t, "ann")
		w.mints[target{"r", "gone"}] = stagedoor.PrincipalKey{Issuer: "i", Subject: "gone"}
		w.Recheck(t.Context(), "ban", []stagedoor.PrincipalKey{{Issuer: "i", Subject: "gone"}})
		synctest.Wait()
		w.Enforcer.mu.Lock()
		defer w.Enforcer.mu.Unlock()
		if len(w.jobs) != 0 {
			t.Errorf("%d jobs go on", len(w.jobs))
		}
	})
}

func TestDatabaseUnwritable_BannedIsRemovedOnArrivalAndByThePass(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.writes = errLocked
		w.mu.Unlock()
		w.decide(watch, errBanned)
		p := w.enter("ann", "PA_1", publish, true)
		if err := w.LiveKitEvent(t.Context(), joined(p, "EV_1")); !errors.Is(err, errLocked) {
			t.Errorf("LiveKit is to send the event again: %v", err)
		}
		w.outWithin(t, "ann")

		w.enter("bob", "PA_2", publish, true)
		w.mu.Lock()
		w.since = map[stagedoor.Room]time.Time{"closed": time.Now().Add(-time.Hour)}
		w.mu.Unlock()
		time.Sleep(passEvery)
		synctest.Wait()
		if len(w.gone()) != 2 {
			t.Errorf("removed %v", w.gone())
		}
		if log := w.log.String(); !strings.Contains(log, "store presence: database is locked") || strings.Contains(log, "LiveKit: database") {
			t.Errorf("the log does not name the cause:\n%s", log)
		}
	})
}

func TestDatabaseUnreadable_BannedIsFoundInMemory(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.decide(publish, nil)
		p := w.enter("ann", "PA_1", publish, true)
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_1"))
		synctest.Wait()
		w.mu.Lock()
		w.reads = errLocked
		w.mu.Unlock()
		w.decide(watch, errBanned)
		w.Recheck(t.Context(), "ban", []stagedoor.PrincipalKey{ann})
		w.outWithin(t, "ann")
		p = w.enter("ann", "PA_2", publish, true)
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_2"))
		w.outWithin(t, "ann")
	})
}

func TestRefuseSecond_AnotherIdentityOfTheSamePrincipalIsRemovedOnArrival(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.decision = func(stagedoor.PrincipalKey, stagedoor.Room) (stagedoor.Decision, error) {
			return stagedoor.Decision{Grants: publish, TTL: time.Hour, RefuseSecond: true}, nil
		}
		w.mu.Unlock()
		first := w.enter("ann", "PA_1", publish, true)
		_ = w.LiveKitEvent(t.Context(), joined(first, "EV_1"))
		time.Sleep(time.Second)
		second := w.enter("ann:phone", "PA_2", publish, true)
		w.mu.Lock()
		w.mints[target{"r", "ann:phone"}] = ann
		w.mu.Unlock()
		_ = w.LiveKitEvent(t.Context(), joined(second, "EV_2"))
		w.outWithin(t, "ann:phone")
		if len(w.gone()) != 1 || !w.now("ann").Same(publish) {
			t.Errorf("removed %v", w.gone())
		}
	})
}

// The session counts from the arrival that LiveKit knows of, although no event
// told of it.
func TestMaxSession_OfASilentClientEndsOnTime(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.decision = func(stagedoor.PrincipalKey, stagedoor.Room) (stagedoor.Decision, error) {
			return stagedoor.Decision{Grants: watch, TTL: time.Minute, MaxSession: 90 * time.Second}, nil
		}
		w.mu.Unlock()
		minted := time.Now()
		w.Expect("r", "ann", minted.Add(90*time.Second))
		time.Sleep(5 * time.Second)
		p := w.enter("ann", "PA_1", watch, true)
		time.Sleep(time.Until(p.JoinedAt.Add(89 * time.Second)))
		synctest.Wait()
		if len(w.gone()) != 0 {
			t.Fatal("removed too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(w.gone()) != 1 {
			t.Error("not removed within two seconds of the end")
		}
	})
}
