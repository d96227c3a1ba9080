package enforce

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stagedoor"
)

// Who watches over the door is told of what LiveKit took and of what failed,
// with the cause and the time since it was known.
func TestChangesAndFailuresAreToldOf(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		var told []string
		w.Told = func(kind, cause string, took time.Duration) {
			w.mu.Lock()
			defer w.mu.Unlock()
			told = append(told, fmt.Sprintf("%s %s %t", kind, cause, took >= 0 && took < time.Minute))
		}
		p := w.enter("ann", "PA_1", publish, true)
		w.mu.Lock()
		w.fail = 1
		w.mu.Unlock()
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_1"))
		synctest.Wait()
		time.Sleep(retryMost)
		synctest.Wait()
		w.decide(watch, stagedoor.Refuse(stagedoor.Banned, "kept out"))
		w.Recheck(t.Context(), "ban", nil)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if want := []string{"failed joined true", "update joined true", "remove ban true"}; !slices.Equal(told, want) {
			t.Errorf("told of %q, want %q", told, want)
		}
	})
}

// The audit log names the participant, whose it is, why, and what holds now.
func TestOnChange_NamesParticipantCauseAndOutcome(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		var changes []Change
		w.OnChange = func(c Change) {
			w.mu.Lock()
			defer w.mu.Unlock()
			changes = append(changes, c)
		}
		p := w.enter("ann", "PA_1", publish, true)
		_ = w.LiveKitEvent(t.Context(), joined(p, "EV_1"))
		synctest.Wait()
		w.decide(watch, stagedoor.Refuse(stagedoor.SessionOver, "over"))
		w.Recheck(t.Context(), "policy", nil)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(changes) != 2 {
			t.Fatalf("%+v", changes)
		}
		update, removal := changes[0], changes[1]
		if update.Room != p.Room || update.Identity != p.Identity || update.Principal.Subject != "ann" || update.Cause != "joined" || update.Removed {
			t.Errorf("update: %+v", update)
		}
		if removal.Identity != p.Identity || removal.Principal.Subject != "ann" || removal.Cause != "policy" || !removal.Removed || removal.Why != stagedoor.SessionOver {
			t.Errorf("removal: %+v", removal)
		}
	})
}
