package enforce

import (
	"testing"
	"testing/synctest"
	"time"

	"stagedoor"
)

// A known end comes between two passes: it is not waited for the next.
func TestKnownEndIsEnforcedAtOnce(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		end := time.Now().Add(10 * time.Second)
		w.mu.Lock()
		w.decision = func(stagedoor.PrincipalKey, stagedoor.Room) (stagedoor.Decision, error) {
			if time.Now().Before(end) {
				return stagedoor.Decision{Grants: publish, TTL: time.Hour, Until: end}, nil
			}
			return stagedoor.Decision{Grants: watch, TTL: time.Hour}, nil
		}
		w.mu.Unlock()
		p := w.enter("ann", "PA_1", publish, true)
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_1"))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if !w.now("ann").Same(publish) {
			t.Fatal("closed before the end")
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("not closed at the end")
		}
	})
}

func TestEventsTwiceAndOutOfOrder(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		first := w.enter("ann", "PA_1", watch, true)
		second := w.enter("ann", "PA_2", watch, true)
		left := stagedoor.LiveKitEvent{ID: "EV_3", Name: "participant_left", Room: "r", Participant: first, CreatedAt: time.Now()}
		// DUPLICATE_IDENTITY: the older session leaves after the newer has come.
		for _, e := range []stagedoor.LiveKitEvent{joined(second, "EV_2"), left, joined(first, "EV_1"), joined(second, "EV_2"), left} {
			if err := w.LiveKitEvent(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if w.arrivals != 2 {
			t.Errorf("%d arrivals: an event counts once", w.arrivals)
		}
		present, _ := w.PresentOf(t.Context(), ann)
		if len(present) != 1 || present[0].SID != "PA_2" {
			t.Errorf("present: %+v", present)
		}
		delete(w.livekit, target{"r", "ann"})
		_ = w.LiveKitEvent(t.Context(), stagedoor.LiveKitEvent{ID: "EV_9", Name: "room_finished", Room: "r"})
		if present, _ := w.Present(t.Context()); len(present) != 0 {
			t.Errorf("after the room's end: %+v", present)
		}
	})
}

func TestEverybodyIsRechecked(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		for i := range 40 {
			identity := stagedoor.Identity(rune('A' + i))
			_ = w.LiveKitEvent(t.Context(), joined(w.enter(identity, "PA_"+string(identity), watch, true), "EV_"+string(identity)))
		}
		w.decide(publish, nil)
		w.Recheck(t.Context(), "policy", nil)
		synctest.Wait()
		if len(w.updates) != 40 {
			t.Errorf("%d of 40", len(w.updates))
		}
	})
}

// After a failure LiveKit is asked what is true now: what it reported before
// may have been corrected since.
func TestOldReportIsNotTrustedTwice(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		p := w.enter("ann", "PA_1", watch, true)
		p.Grants = publish // as an event said that was late
		w.mu.Lock()
		w.fail = 1
		w.mu.Unlock()
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_1"))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(w.updates) != 0 || w.asked == 0 {
			t.Errorf("%d updates, asked %d times", len(w.updates), w.asked)
		}
	})
}

// LiveKit lets whoever holds a token in once more as "ann#x": a copy that no
// ban and no end of a plan would be looked up for.
func TestCopyByPublishParameterIsPutOut(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", watch, true)
		for _, identity := range []stagedoor.Identity{"ann#x", "ann#"} {
			copied := w.enter(identity, "PA_"+string(identity), publish, false)
			_ = w.LiveKitEvent(t.Context(), joined(copied, "EV_"+string(identity)))
		}
		other := w.enter("stranger#x", "PA_3", publish, false)
		_ = w.LiveKitEvent(t.Context(), joined(other, "EV_3"))
		time.Sleep(2 * passEvery)
		synctest.Wait()
		if len(w.livekit) != 2 || len(w.removed) != 2 {
			t.Errorf("removed %v, left %v", w.removed, w.livekit)
		}
	})
}

// A late report must not stand for what a running job is about to change.
func TestLateReportDoesNotReplaceARecheck(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.enter("ann", "PA_1", watch, true)
		w.mu.Lock()
		w.fail = 1
		w.mu.Unlock()
		w.decide(publish, nil)
		w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann})
		synctest.Wait() // failed once, waits
		w.decide(watch, nil)
		w.mu.Lock()
		p := w.livekit[target{"r", "ann"}]
		late := p
		p.Grants = publish // the first change arrived after all
		w.livekit[target{"r", "ann"}] = p
		w.mu.Unlock()
		_ = w.LiveKitEvent(t.Context(), joined(late, "EV_1")) // and says: may watch
		time.Sleep(time.Second)
		synctest.Wait()
		if !w.now("ann").Same(watch) {
			t.Error("an old report was believed")
		}
	})
}
