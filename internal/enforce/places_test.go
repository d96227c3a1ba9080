package enforce

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stagedoor"
)

func (w *world) Rooms(context.Context) ([]stagedoor.OpenRoom, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.failing(); err != nil {
		return nil, err
	}
	var rooms []stagedoor.OpenRoom
	for room, created := range w.opened {
		rooms = append(rooms, stagedoor.OpenRoom{Room: room, CreatedAt: created, Empty: room != "r" || len(w.livekit) == 0})
	}
	if _, known := w.opened["r"]; !known && len(w.livekit) > 0 {
		rooms = append(rooms, stagedoor.OpenRoom{Room: "r"})
	}
	return rooms, nil
}

func (w *world) GuestsOf(_ context.Context, key stagedoor.PrincipalKey) ([]stagedoor.PrincipalKey, error) {
	return w.guests[key], nil
}

func (w *world) Surplus(context.Context, stagedoor.Room, string, int) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.surplus, nil
}

func (w *world) SessionRooms(context.Context) (map[stagedoor.Room]time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	running := map[stagedoor.Room]time.Time{}
	for room, since := range w.since {
		running[room] = since
	}
	return running, nil
}

func (w *world) EndSessions(_ context.Context, room stagedoor.Room, before time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if since, ok := w.since[room]; ok && since.Before(before) {
		delete(w.since, room)
	}
	return nil
}

func (w *world) Mute(_ context.Context, _ stagedoor.Room, identity stagedoor.Identity, track string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.muted = append(w.muted, string(identity)+" "+track)
	return true, w.failing()
}

func (w *world) Send(_ context.Context, _ stagedoor.Room, identity stagedoor.Identity, topic string, data []byte) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.failing(); err != nil {
		return false, err
	}
	w.sent = append(w.sent, fmt.Sprintf("%s %s %s", identity, topic, data))
	return true, nil
}

// told, gone, silenced and roomsLooked are what happened so far.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent)
}

func (w *world) gone() []target {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.removed)
}

func (w *world) silenced() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.muted)
}

func (w *world) forgetRemovals() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed = nil
}

func (w *world) roomsLooked() int {
	w.Enforcer.mu.Lock()
	defer w.Enforcer.mu.Unlock()
	return len(w.looked)
}

// session makes the policy end everybody's time at a moment.
func (w *world) session(ends time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decision = func(stagedoor.PrincipalKey, stagedoor.Room) (stagedoor.Decision, error) {
		if !time.Now().Before(ends) {
			return stagedoor.Decision{}, stagedoor.Refuse(stagedoor.SessionOver, "over")
		}
		return stagedoor.Decision{Grants: watch, TTL: time.Hour, MaxSession: time.Hour, SessionEnds: ends, Until: ends}, nil
	}
}

func TestSessionEndsWithAWarningAMinuteBefore(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		ends := time.Now().Add(10*time.Minute + 7*time.Second)
		w.session(ends)
		_ = w.LiveKitEvent(t.Context(), joined(w.enter("ann", "PA_1", watch, true), "EV_1"))
		time.Sleep(time.Until(ends) - 61*time.Second)
		synctest.Wait()
		if len(w.told()) != 0 {
			t.Fatalf("warned too early: %v", w.told())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if want := `ann stagedoor {"event":"session_ending","secondsLeft":60}`; len(w.told()) != 1 || w.told()[0] != want {
			t.Fatalf("sent %v", w.told())
		}
		// Whoever comes back in the last minute is told again, and once.
		_ = w.LiveKitEvent(t.Context(), joined(w.enter("ann", "PA_2", watch, true), "EV_2"))
		synctest.Wait()
		if len(w.told()) != 1 {
			t.Fatalf("sent before anybody can hear it: %v", w.told())
		}
		time.Sleep(settling + time.Millisecond)
		w.Recheck(t.Context(), "ban", []stagedoor.PrincipalKey{ann})
		synctest.Wait()
		if len(w.told()) != 2 || !strings.Contains(w.told()[1], `"secondsLeft":56`) {
			t.Fatalf("sent %v", w.told())
		}
		if len(w.gone()) != 0 {
			t.Fatal("put out before the end")
		}
		time.Sleep(time.Until(ends) + 10*time.Millisecond)
		synctest.Wait()
		if len(w.gone()) != 1 || !strings.Contains(w.log.String(), `"why":"session_over"`) {
			t.Fatalf("removed %v", w.gone())
		}
	})
}

func TestWarningIsRepeatedUntilLiveKitTakesIt(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.session(time.Now().Add(50 * time.Second))
		_ = w.LiveKitEvent(t.Context(), joined(w.enter("ann", "PA_1", watch, true), "EV_1"))
		synctest.Wait()
		w.mu.Lock()
		w.fail = 4
		w.mu.Unlock()
		time.Sleep(settling + 2*time.Second)
		synctest.Wait()
		if len(w.told()) != 1 {
			t.Errorf("sent %v", w.told())
		}
	})
}

func TestNewestBeyondTheCapIsPutOut(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.decision = func(stagedoor.PrincipalKey, stagedoor.Room) (stagedoor.Decision, error) {
			return stagedoor.Decision{Grants: watch, TTL: time.Hour, MaxParticipants: 1}, nil
		}
		w.mu.Unlock()
		_ = w.LiveKitEvent(t.Context(), joined(w.enter("ann", "PA_1", watch, true), "EV_1"))
		synctest.Wait()
		if len(w.gone()) != 0 {
			t.Fatal("the first was put out")
		}
		w.mu.Lock()
		w.surplus = true
		w.mu.Unlock()
		_ = w.LiveKitEvent(t.Context(), joined(w.enter("bob", "PA_2", watch, true), "EV_2"))
		synctest.Wait()
		if len(w.gone()) != 1 || w.gone()[0].identity != "bob" || !strings.Contains(w.log.String(), `"why":"room_full"`) {
			t.Errorf("removed %v", w.gone())
		}
	})
}

// Whose room has closed begins anew; whose room is merely empty does not.
func TestSessionsEndWithTheirRoom(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		long := time.Now().Add(-time.Hour)
		w.mu.Lock()
		w.since = map[stagedoor.Room]time.Time{"gone": long, "empty": long, "again": long, "r": time.Now(), "new": time.Now().Add(passEvery)}
		w.opened = map[stagedoor.Room]time.Time{"empty": long.Add(-time.Second), "again": long.Add(time.Second), "r": time.Now()}
		w.mu.Unlock()
		time.Sleep(passEvery + time.Second)
		synctest.Wait()
		running, _ := w.SessionRooms(t.Context())
		var names []string
		for room := range running {
			names = append(names, string(room))
		}
		slices.Sort(names)
		// "new" began after LiveKit was asked, as far as the two clocks can tell.
		if fmt.Sprint(names) != "[empty new r]" {
			t.Errorf("running: %v", names)
		}
		_ = w.LiveKitEvent(t.Context(), stagedoor.LiveKitEvent{ID: "EV_f", Name: "room_finished", Room: "empty", CreatedAt: time.Now()})
		if running, _ = w.SessionRooms(t.Context()); len(running) != 2 {
			t.Errorf("running: %v", running)
		}
	})
}

func TestGuestsFollowWhoInvitedThem(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		guest := stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer, Subject: "guest"}
		w.guests = map[stagedoor.PrincipalKey][]stagedoor.PrincipalKey{ann: {guest}}
		w.mints[target{"r", "guest:1"}] = guest
		_ = w.LiveKitEvent(t.Context(), joined(w.enter("guest:1", "PA_1", watch, false), "EV_1"))
		w.decide(publish, nil)
		w.Recheck(t.Context(), "billing", []stagedoor.PrincipalKey{ann})
		synctest.Wait()
		if !w.now("guest:1").Same(publish) {
			t.Error("the guest was not decided about again")
		}
	})
}

func TestModeratorMutesWhatSounds(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		p := w.enter("bob", "PA_1", publish, true)
		p.Tracks = []stagedoor.Track{{SID: "TR_a", Audio: true}, {SID: "TR_m", Audio: true, Muted: true}, {SID: "TR_v"}, {SID: "TR_b", Audio: true}}
		w.livekit[target{"r", "bob"}] = p
		m := Moderator{Enforcer: w.Enforcer}
		n, err := m.Mute(t.Context(), "r", "bob")
		if err != nil || n != 2 || fmt.Sprint(w.silenced()) != "[bob TR_a bob TR_b]" {
			t.Errorf("%d %v %v", n, err, w.silenced())
		}
	})
}

func TestModeratorRemovesAndKeepsOut(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		var bans []stagedoor.Ban
		refused := error(nil)
		m := Moderator{Enforcer: w.Enforcer, Ban: func(_ context.Context, b stagedoor.Ban) (stagedoor.Ban, error) {
			if len(w.gone()) > 0 {
				t.Error("put out before the ban: they could be back before it")
			}
			bans = append(bans, b)
			return b, refused
		}}
		until := time.Now().Add(time.Hour)
		w.enter("bob", "PA_1", publish, true)
		w.enter("egress", "PA_2", publish, false)
		for identity, want := range map[stagedoor.Identity]stagedoor.Kind{"ann": stagedoor.NotFound, "egress": stagedoor.IdentityNotAllowed} {
			if err := m.Remove(t.Context(), "r", identity, ann, until); stagedoor.KindOf(err) != want {
				t.Errorf("%s: %v", identity, err)
			}
		}
		w.enter("ann", "PA_3", publish, true)
		if err := m.Remove(t.Context(), "r", "ann", ann, until); stagedoor.KindOf(err) != stagedoor.IdentityNotAllowed {
			t.Errorf("themselves: %v", err)
		}
		if len(bans) != 0 || len(w.gone()) != 0 {
			t.Fatalf("%v %v", bans, w.gone())
		}
		if err := m.Remove(t.Context(), "r", "bob", ann, until); err != nil || len(w.gone()) != 1 {
			t.Fatalf("%v %v", err, w.gone())
		}
		if b := bans[0]; b.Principal.Subject != "bob" || b.Room != "r" || !b.Until.Equal(until) || !strings.Contains(b.Reason, "ann") {
			t.Errorf("%+v", b)
		}
		refused = errDown
		w.enter("bob", "PA_4", publish, true)
		w.forgetRemovals()
		if err := m.Remove(t.Context(), "r", "bob", ann, until); err == nil || len(w.gone()) != 0 {
			t.Errorf("a ban that is not kept: %v %v", err, w.gone())
		}
	})
}

// Whoever is refused may ask again and again: LiveKit is not asked each time.
func TestFullRoomIsLookedIntoSeldom(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		gone := w.enter("ann", "PA_1", watch, true)
		_ = w.Arrive(t.Context(), gone)
		delete(w.livekit, target{"r", "ann"})
		if !w.Look(t.Context(), "r") {
			t.Fatal("not looked")
		}
		if present, _ := w.Present(t.Context()); len(present) != 0 {
			t.Errorf("present: %+v", present)
		}
		for range 100 {
			if w.Look(t.Context(), "r") {
				t.Fatal("looked again at once")
			}
		}
		if !w.Look(t.Context(), "other") {
			t.Error("another room waits for this one")
		}
		time.Sleep(lookEvery)
		if !w.Look(t.Context(), "r") || w.roomsLooked() != 1 {
			t.Errorf("after a while; %d rooms are remembered", w.roomsLooked())
		}
		time.Sleep(lookEvery)
		w.mu.Lock()
		w.fail = 1
		w.mu.Unlock()
		if w.Look(t.Context(), "r") {
			t.Error("LiveKit did not answer")
		}
	})
}

// patient is a LiveKit that does nothing for who has hung up.
type patient struct{ *world }

func (p patient) Remove(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return p.world.Remove(ctx, room, identity)
}

// A moderator who hangs up once the ban is set does not leave the banned inside.
func TestRemovalDoesNotWaitForTheModerator(t *testing.T) {
	during(t, func(t *testing.T, w *world) {
		ctx, hangUp := context.WithCancel(t.Context())
		w.Enforcer.Options.Rooms = patient{w}
		w.enter("bob", "PA_1", publish, true)
		m := Moderator{Enforcer: w.Enforcer, Ban: func(_ context.Context, b stagedoor.Ban) (stagedoor.Ban, error) {
			hangUp()
			return b, nil
		}}
		if err := m.Remove(ctx, "r", "bob", ann, time.Now().Add(time.Hour)); err != nil || len(w.gone()) != 1 {
			t.Errorf("%v %v", err, w.gone())
		}
	})
}

// hungUp is a book whose writer has gone when it is written.
type hungUp struct {
	BanBook
	leave func()
}

func (h hungUp) Bans(context.Context) ([]stagedoor.Ban, error) { return nil, nil }
func (h hungUp) BansVersion(context.Context) (int64, error)    { return 0, nil }
func (h hungUp) AddBan(context.Context, stagedoor.Ban) error   { h.leave(); return nil }

func TestBanIsCarriedOutThoughNobodyWaits(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	told := false
	b, err := LoadBans(ctx, hungUp{leave: hangUp}, time.Now, slog.New(slog.DiscardHandler), func(ctx context.Context, _ []stagedoor.PrincipalKey) { told = ctx.Err() == nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(ctx, stagedoor.Ban{Principal: ann}); err != nil || !told {
		t.Errorf("%v, told %t", err, told)
	}
}
