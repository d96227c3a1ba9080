package main

import (
	"context"
	"time"

	"stagedoor"
	"stagedoor/internal/enforce"
	"stagedoor/internal/store"
)

// invitationBook keeps invitations, and has the guests of a revoked one put out.
type invitationBook struct {
	store   *store.Store
	changed func(context.Context, []stagedoor.PrincipalKey)
}

// Add keeps an invitation.
func (b invitationBook) Add(ctx context.Context, v stagedoor.Invitation) (stagedoor.Invitation, stagedoor.Secret, error) {
	return b.store.AddInvitation(ctx, v)
}

// Revoke takes an invitation back and has its guests put out.
func (b invitationBook) Revoke(ctx context.Context, by stagedoor.PrincipalKey, id string) error {
	guests, err := b.store.RevokeInvitation(ctx, by, id)
	if err == nil && len(guests) > 0 { // nobody named would be everybody
		b.changed(context.WithoutCancel(ctx), guests)
	}
	return err
}

// lookPatience is how long a join that would be refused for want of a seat
// waits for LiveKit to say who is really there.
const lookPatience = time.Second

// seated marks a participant. Where that is refused because of somebody who is
// present, LiveKit is asked first whether they still are: an event may be on
// its way, or lost.
func seated(ctx context.Context, minted func(context.Context, stagedoor.Mint) error, enforcer *enforce.Enforcer, mint stagedoor.Mint) error {
	err := minted(ctx, mint)
	if kind := stagedoor.KindOf(err); err == nil || kind != stagedoor.RoomFull && kind != stagedoor.AlreadyInRoom {
		return err
	}
	looking, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	if !enforcer.Look(looking, mint.Room) {
		return err
	}
	return minted(ctx, mint)
}
