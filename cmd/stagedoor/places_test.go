package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/enforce"
)

type roomService = enforce.Rooms

// emptyLiveKit is a LiveKit whose every room is empty.
type emptyLiveKit struct{ roomService }

func (emptyLiveKit) Participants(context.Context, stagedoor.Room) ([]stagedoor.Participant, error) {
	return nil, nil
}

// Somebody left and the event was lost: the seat is free, whatever is kept.
func TestLostLeaveDoesNotKeepASeat(t *testing.T) {
	a := newAccount(t)
	e := enforce.New(enforce.Options{Presence: a.store, Rooms: emptyLiveKit{}, Now: a.clock, Log: slog.New(slog.DiscardHandler)})
	mint := func(subject string) stagedoor.Mint {
		return stagedoor.Mint{Room: "r", Identity: stagedoor.Identity(subject), Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}, At: a.clock(), Seats: 1, SeatFor: time.Minute}
	}
	if err := seated(t.Context(), a.store.Minted, e, mint("ann")); err != nil {
		t.Fatal(err)
	}
	// A seat that is held is no participant: LiveKit has no say.
	if err := seated(t.Context(), a.store.Minted, e, mint("bob")); stagedoor.KindOf(err) != stagedoor.RoomFull {
		t.Fatal(err)
	}
	a.pass(10 * time.Second)
	if err := a.store.Arrive(t.Context(), stagedoor.Participant{Room: "r", SID: "PA_1", Identity: "ann", JoinedAt: a.clock(), Standard: true}); err != nil {
		t.Fatal(err)
	}
	a.pass(10 * time.Second)
	if err := seated(t.Context(), a.store.Minted, e, mint("bob")); err != nil {
		t.Error(err)
	}
}

// Who connects with the longest token that there is must still be known as the
// door's own, or no ban would reach them.
func TestMintOutlivesEveryToken(t *testing.T) {
	const longest, leeway, exactness = 24 * time.Hour, time.Minute, time.Hour
	a := newAccount(t)
	first := stagedoor.Mint{Room: "r", Identity: "ann", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}, At: a.clock()}
	if err := a.store.Minted(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	a.pass(exactness - time.Millisecond)
	last := first
	last.At = a.clock() // kept under the time of the first
	if err := a.store.Minted(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	a.pass(longest + leeway)
	if err := a.store.Purge(t.Context(), a.clock(), mintsKept); err != nil {
		t.Fatal(err)
	}
	if _, ours, err := a.store.Mint(t.Context(), "r", "ann"); !ours || err != nil {
		t.Error("forgotten while a token lives", err)
	}
}
