package enforce

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stagedoor"
)

// overlapped is a LiveKit v1.13.5, which answers "unavailable" after three
// seconds to who puts somebody out while somebody else does.
type overlapped struct {
	*world
	under atomic.Int32
}

func (o *overlapped) Remove(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (bool, error) {
	defer o.under.Add(-1)
	if o.under.Add(1) > 1 {
		time.Sleep(3 * time.Second)
		return false, errDown
	}
	time.Sleep(20 * time.Millisecond)
	return o.world.Remove(ctx, room, identity)
}

// The ban has the same participant put out that the moderator puts out.
func TestModeratorAndBanPutOutOnce(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.Enforcer.Options.Rooms = &overlapped{world: w}
		w.enter("bob", "PA_1", publish, true)
		m := Moderator{Enforcer: w.Enforcer, Ban: func(_ context.Context, b stagedoor.Ban) (stagedoor.Ban, error) {
			w.decide(watch, stagedoor.Refuse(stagedoor.Banned, ""))
			w.check(target{"r", "bob"}, "ban", nil)
			synctest.Wait() // the ban's removal is under way
			return b, nil
		}}
		asked := time.Now()
		if err := m.Remove(t.Context(), "r", "bob", ann, asked.Add(time.Hour)); err != nil || time.Since(asked) > time.Second {
			t.Errorf("%v after %v", err, time.Since(asked))
		}
		if len(w.gone()) != 1 {
			t.Errorf("put out: %v", w.gone())
		}
	})
}

// leaver is a LiveKit that fails for who leaves at that moment, or for everybody.
type leaver struct {
	*world
	leaves bool
}

func (l leaver) Remove(_ context.Context, room stagedoor.Room, identity stagedoor.Identity) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaves {
		delete(l.livekit, target{room, identity})
	}
	return false, errDown
}

func TestRemovalOfWhoLeavesHasSucceeded(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		m := Moderator{Enforcer: w.Enforcer, Ban: func(_ context.Context, b stagedoor.Ban) (stagedoor.Ban, error) { return b, nil }}
		w.Enforcer.Options.Rooms = leaver{w, false}
		w.enter("bob", "PA_1", publish, true)
		if err := m.Remove(t.Context(), "r", "bob", ann, time.Now().Add(time.Hour)); err == nil {
			t.Error("still there, and the moderator is told that they are not")
		}
		w.Enforcer.Options.Rooms = leaver{w, true}
		if err := m.Remove(t.Context(), "r", "bob", ann, time.Now().Add(time.Hour)); err != nil {
			t.Errorf("gone: %v", err)
		}
	})
}
