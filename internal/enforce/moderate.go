package enforce

import (
	"context"
	"time"

	"stagedoor"
)

// Moderator does what a moderator may have done. Safe for concurrent use.
type Moderator struct {
	Enforcer *Enforcer
	// Ban keeps somebody out from now on.
	Ban func(ctx context.Context, ban stagedoor.Ban) (stagedoor.Ban, error)
}

var (
	errNotThere = stagedoor.Refuse(stagedoor.NotFound, "nobody of that identity is in the room")
	errNotOurs  = stagedoor.Refuse(stagedoor.IdentityNotAllowed, "that participant did not come through this door, and is not changed")
	errOneself  = stagedoor.Refuse(stagedoor.IdentityNotAllowed, "you cannot remove yourself; leave the room")
)

// Mute mutes every audio track of a participant that is not muted, and returns
// how many. They can speak up again: LiveKit lets them. Errors: NotFound,
// IdentityNotAllowed, Unavailable.
func (m Moderator) Mute(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (int, error) {
	_, p, err := m.find(ctx, room, identity)
	if err != nil {
		return 0, err
	}
	muted := 0
	for _, track := range p.Tracks {
		if !track.Audio || track.Muted {
			continue
		}
		done, err := m.Enforcer.Media.Mute(ctx, room, identity, track.SID)
		if err != nil {
			return muted, err
		}
		if done { // else it was unpublished meanwhile
			muted++
		}
	}
	return muted, nil
}

// Remove keeps a participant's principal out of the room until then, with all
// devices, and puts them out. Errors: NotFound, IdentityNotAllowed,
// Unavailable; then, but for the last, nothing has changed.
func (m Moderator) Remove(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity, by stagedoor.PrincipalKey, until time.Time) error {
	mint, _, err := m.find(ctx, room, identity)
	if err != nil {
		return err
	}
	if mint.Principal == by {
		return errOneself
	}
	// The ban comes first: who is put out before it could be back before it.
	_, err = m.Ban(ctx, stagedoor.Ban{Principal: mint.Principal, Room: room, Until: until,
		Reason: stagedoor.RemovedBy(by)})
	if err != nil {
		return err
	}
	// From here on it is done, whether or not the moderator waits for it.
	ctx = context.WithoutCancel(ctx)
	_, err = m.Enforcer.out(ctx, target{room, identity})
	if err == nil {
		return nil
	}
	// LiveKit fails, too, for who leaves in that moment; what counts is that they are gone.
	if _, there, failed := m.Enforcer.Rooms.Participant(ctx, room, identity); failed == nil && !there {
		return nil
	}
	return err
}

// find returns whose a participant is, and what LiveKit says of it.
func (m Moderator) find(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Mint, stagedoor.Participant, error) {
	mint, ours, err := m.Enforcer.People.Mint(ctx, room, identity.Minted())
	if err != nil {
		return mint, stagedoor.Participant{}, err
	}
	p, there, err := m.Enforcer.Rooms.Participant(ctx, room, identity)
	switch {
	case err != nil:
		return mint, p, err
	case !there:
		return mint, p, errNotThere
	case !ours || !p.Standard:
		return mint, p, errNotOurs
	}
	return mint, p, nil
}
