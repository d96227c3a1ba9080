package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// seat asks for a seat in a room of so many.
func (f *fixture) seat(room, subject string, seats int) error {
	return f.Minted(f.t.Context(), stagedoor.Mint{Room: stagedoor.Room(room), Identity: stagedoor.Identity(subject),
		Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}, At: f.clock(), Seats: seats, SeatFor: 3 * time.Minute})
}

// comes lets whoever has a token arrive.
func (f *fixture) comes(room, identity, sid string) stagedoor.Participant {
	f.t.Helper()
	p := stagedoor.Participant{Room: stagedoor.Room(room), SID: sid, Identity: stagedoor.Identity(identity), JoinedAt: f.clock(), Standard: true}
	f.must(f.Arrive(f.t.Context(), p))
	return p
}

func (f *fixture) mustKind(err error, want stagedoor.Kind) {
	f.t.Helper()
	if err == nil || stagedoor.KindOf(err) != want {
		f.t.Errorf("got %v, want %v", err, want)
	}
}

func TestFiftySeatsAreFiftyUnderARace(t *testing.T) {
	f := newFixture(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	got := map[stagedoor.Kind]int{}
	for i := range 200 {
		group.Go(func() {
			err := f.seat("r", fmt.Sprint("u", i), 50)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got[0]++
			} else {
				got[stagedoor.KindOf(err)]++
			}
		})
	}
	group.Wait()
	if got[0] != 50 || got[stagedoor.RoomFull] != 150 || f.count("SELECT COUNT(*) FROM seats") != 50 || f.count("SELECT COUNT(*) FROM mints") != 50 {
		t.Errorf("%v", got)
	}
}

func TestSeatIsHeldUntilItsHolderArrivesOrItLapses(t *testing.T) {
	f := newFixture(t)
	f.must(f.seat("r", "ann", 1))
	f.mustKind(f.seat("r", "bob", 1), stagedoor.RoomFull)
	f.must(f.seat("r", "ann", 1)) // asked twice, as clients do: one seat
	f.must(f.seat("other", "bob", 1))
	f.pass(3*time.Minute - time.Millisecond)
	f.mustKind(f.seat("r", "bob", 1), stagedoor.RoomFull)
	f.pass(time.Millisecond)
	f.must(f.seat("r", "bob", 1)) // the seat lapsed
	f.mustKind(f.seat("r", "ann", 1), stagedoor.RoomFull)

	bob := f.comes("r", "bob", "PA_1")
	if n := f.count("SELECT COUNT(*) FROM seats WHERE room = 'r' AND identity = 'bob'"); n != 0 {
		t.Error("presence and the seat both count")
	}
	f.pass(time.Hour)
	f.mustKind(f.seat("r", "ann", 1), stagedoor.RoomFull)
	f.must(f.seat("r", "bob", 1)) // whoever is there keeps their place
	f.must(f.Leave(t.Context(), bob, f.clock()))
	f.pass(4 * time.Minute)
	f.must(f.seat("r", "ann", 1))
}

func TestSeatIsGivenBackToWhomOnlyAListReports(t *testing.T) {
	f := newFixture(t)
	f.must(f.seat("r", "ann", 2))
	p := stagedoor.Participant{Room: "r", SID: "PA_1", Identity: "ann", JoinedAt: f.clock(), Standard: true}
	f.must(f.Reconcile(t.Context(), "r", []stagedoor.Participant{p}, f.pass(time.Second)))
	if n := f.count("SELECT COUNT(*) FROM seats"); n != 0 {
		t.Error("the seat is still held")
	}
	f.must(f.seat("r", "bob", 2))
	f.mustKind(f.seat("r", "cid", 2), stagedoor.RoomFull)
}

// Agents and recorders take no seat, and two sessions of one identity take one.
func TestWhoCounts(t *testing.T) {
	f := newFixture(t)
	agent := stagedoor.Participant{Room: "r", SID: "PA_x", Identity: "agent", JoinedAt: f.clock()}
	f.must(f.Arrive(t.Context(), agent))
	f.must(f.seat("r", "ann", 2))
	f.comes("r", "ann", "PA_1")
	f.comes("r", "ann", "PA_2")
	f.must(f.seat("r", "bob", 2))
	f.mustKind(f.seat("r", "cid", 2), stagedoor.RoomFull)
}

// LiveKit lets whoever holds a token come in once more beside themselves.
func TestCopiesTakeNoSeatAndPutNobodyOut(t *testing.T) {
	f := newFixture(t)
	f.must(f.seat("r", "mal", 3))
	f.comes("r", "mal#1", "PA_1")
	if f.count("SELECT COUNT(*) FROM seats") != 1 {
		t.Error("a copy gave its original's seat back")
	}
	f.comes("r", "mal#2", "PA_2")
	f.comes("r", "mal", "PA_3")
	for i, name := range []string{"bob", "cid"} {
		f.pass(time.Second)
		f.must(f.seat("r", name, 3))
		sid := fmt.Sprint("PA_1", i)
		f.comes("r", name, sid)
		if over, err := f.Surplus(t.Context(), "r", sid, 3); over || err != nil {
			t.Errorf("%s is put out for copies: %v", name, err)
		}
	}
}

func TestRefusedSeatLeavesNoTrace(t *testing.T) {
	f := newFixture(t)
	f.must(f.seat("r", "ann", 1))
	f.mustKind(f.seat("r", "bob", 1), stagedoor.RoomFull)
	if _, ours, err := f.Mint(t.Context(), "r", "bob"); ours || err != nil {
		t.Error("a participant was marked whose token was refused")
	}
}

func TestSecondDeviceIsRefused(t *testing.T) {
	f := newFixture(t)
	alone := func(identity, subject string) error {
		return f.Minted(t.Context(), stagedoor.Mint{Room: "r", Identity: stagedoor.Identity(identity), Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}, At: f.clock(), Alone: true})
	}
	f.must(alone("ann", "ann"))
	f.must(alone("ann", "ann")) // until one has arrived
	p := f.comes("r", "ann", "PA_1")
	f.mustKind(alone("ann", "ann"), stagedoor.AlreadyInRoom)
	f.mustKind(alone("ann:tablet", "ann"), stagedoor.AlreadyInRoom) // under whatever identity
	f.must(alone("bob", "bob"))
	f.must(f.Leave(t.Context(), p, f.clock()))
	f.must(alone("ann", "ann"))
}

func TestSurplusIsWhoCameLast(t *testing.T) {
	f := newFixture(t)
	for i, name := range []string{"ann", "bob", "cid"} {
		f.must(f.seat("r", name, 3))
		f.comes("r", name, fmt.Sprint("PA_", i))
		f.pass(time.Second)
	}
	f.comes("r", "ann", "PA_9") // ann again: the same connection
	for sid, want := range map[string]bool{"PA_0": false, "PA_1": false, "PA_2": true, "PA_9": true, "PA_unknown": false} {
		if got, err := f.Surplus(t.Context(), "r", sid, 2); got != want || err != nil {
			t.Errorf("%s: %t %v", sid, got, err)
		}
	}
	if got, _ := f.Surplus(t.Context(), "r", "PA_2", 0); got {
		t.Error("without a cap nobody is too many")
	}
}

func TestSessionRunsFromTheFirstArrivalUntilTheRoomCloses(t *testing.T) {
	f := newFixture(t)
	ctx, ann := t.Context(), stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}
	since := func() time.Time {
		at, err := f.Since(ctx, ann, "r")
		f.must(err)
		return at
	}
	f.must(f.seat("r", "ann", 9))
	if !since().IsZero() {
		t.Error("a token is no arrival")
	}
	first := f.clock()
	p := f.comes("r", "ann", "PA_1")
	f.must(f.Leave(ctx, p, f.pass(time.Minute)))
	f.pass(time.Minute)
	f.comes("r", "ann", "PA_2")
	// Another device, and a copy that LiveKit makes, are the same principal.
	f.must(f.Minted(ctx, stagedoor.Mint{Room: "r", Identity: "ann:tablet", Principal: ann, At: f.clock()}))
	f.comes("r", "ann:tablet", "PA_3")
	f.comes("r", "ann#2", "PA_4")
	if !since().Equal(first) {
		t.Errorf("since %v, want %v", since(), first)
	}
	rooms, err := f.SessionRooms(ctx)
	equal(t, "rooms", rooms, map[stagedoor.Room]time.Time{"r": first})
	f.must(err)
	f.must(f.EndSessions(ctx, "r", first))
	if since().IsZero() {
		t.Error("ended by a room that closed before it began")
	}
	f.must(f.EndSessions(ctx, "r", first.Add(time.Millisecond)))
	if !since().IsZero() {
		t.Error("not ended with its room")
	}
	f.comes("r", "stranger", "PA_5")
	f.must(f.Arrive(ctx, stagedoor.Participant{Room: "r", SID: "PA_6", Identity: "ann", JoinedAt: f.clock()}))
	if n := f.count("SELECT COUNT(*) FROM sessions"); n != 0 {
		t.Errorf("%d sessions of whom the door let nobody in for", n)
	}
}

// A time that LiveKit does not tell must not become no limit.
func TestSessionWithoutATimeBeginsNow(t *testing.T) {
	f := newFixture(t)
	f.must(f.seat("r", "ann", 9))
	f.must(f.Arrive(t.Context(), stagedoor.Participant{Room: "r", SID: "PA_1", Identity: "ann", Standard: true}))
	if at, err := f.Since(t.Context(), stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}, "r"); err != nil || !at.Equal(f.clock()) {
		t.Error(at, err)
	}
}

// One caller with a name for each device must not take a room's every seat.
func TestOneCallerCannotTakeEverySeat(t *testing.T) {
	f := newFixture(t)
	device := func(room, subject string, i int) error {
		return f.Minted(t.Context(), stagedoor.Mint{Room: stagedoor.Room(room), Identity: stagedoor.Identity(fmt.Sprint(subject, ":", i)),
			Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}, At: f.clock(), Seats: 50, SeatFor: time.Minute})
	}
	for i := range maxDevices {
		f.must(device("r", "ann", i))
		f.comes("r", fmt.Sprint("ann:", i), fmt.Sprint("PA_", i))
	}
	f.mustKind(device("r", "ann", maxDevices), stagedoor.RoomFull)
	f.must(device("r", "ann", 0))
	f.must(device("s", "ann", maxDevices))
	f.must(device("r", "bob", 0))
}

// Two principals whose identities are alike ask at once: one of them gets it.
func TestIdentityIsOnePrincipalsUnderARace(t *testing.T) {
	for range 20 {
		f := newFixture(t)
		var group sync.WaitGroup
		var mu sync.Mutex
		var winners []string
		for i := range 20 {
			group.Go(func() {
				subject := fmt.Sprint("u", i)
				if f.Minted(t.Context(), stagedoor.Mint{Room: "r", Identity: "a:b", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}, At: f.clock()}) == nil {
					mu.Lock()
					defer mu.Unlock()
					winners = append(winners, subject)
				}
			})
		}
		group.Wait()
		mint, _, err := f.Mint(t.Context(), "r", "a:b")
		if err != nil || len(winners) != 1 || mint.Principal.Subject != winners[0] {
			t.Fatalf("%v got it, and it is %s's: %v", winners, mint.Principal.Subject, err)
		}
	}
}

// The 25 hours that an identity stays with its holder are over; holder and
// newcomer ask at once. One of them has it, never both.
func TestLapsedIdentityGoesToOneUnderARace(t *testing.T) {
	for range 10 {
		f := newFixture(t)
		ask := func(subject string) error {
			return f.Minted(t.Context(), stagedoor.Mint{Room: "r", Identity: "a:b", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}, At: f.clock()})
		}
		f.must(ask("old"))
		f.pass(identityKept)
		var group sync.WaitGroup
		var mu sync.Mutex
		got := 0
		f.writes.turn <- struct{}{} // until both have read what is kept
		for _, subject := range []string{"old", "new"} {
			group.Go(func() {
				if ask(subject) == nil {
					mu.Lock()
					defer mu.Unlock()
					got++
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		<-f.writes.turn
		group.Wait()
		if got != 1 {
			t.Fatalf("%d of two got it", got)
		}
		f.must(f.Close())
	}
}
