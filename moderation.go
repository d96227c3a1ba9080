package stagedoor

import (
	"context"
	"errors"
	"time"
)

// Action is what a moderator does to a participant.
type Action string

// The actions.
const (
	// Mute silences a participant's audio; they can speak up again.
	Mute Action = "mute"
	// Remove puts a participant out and keeps the principal out for a while.
	Remove Action = "remove"
)

// Motion is what a moderator asks for, parsed and checked but not yet allowed.
type Motion struct {
	Room     Room
	Identity Identity
	Action   Action
	// ClientIP is the caller's address; never empty, since rules may ask for it.
	ClientIP string
}

// Moderation is what was done.
type Moderation struct {
	Motion
	// Muted is how many tracks were muted.
	Muted int
	// Until is how long somebody removed is kept out.
	Until time.Time
}

// Moderators does what a moderator may have done, with the door's own key.
// Errors of both: NotFound when nobody of that identity is in the room,
// IdentityNotAllowed when it is not a participant of the door's, Unavailable.
type Moderators interface {
	// Mute mutes every audio track of a participant and returns how many.
	Mute(ctx context.Context, room Room, identity Identity) (int, error)
	// Remove puts a participant out and keeps them out until then, in the name
	// of a moderator, who cannot be that participant.
	Remove(ctx context.Context, room Room, identity Identity, by PrincipalKey, until time.Time) error
}

var errNoModerators = errors.New("there is nothing that moderates")

// Moderate has an authenticated caller mute or remove somebody in a room whose
// rule lets them. ask is called once, after authentication. Errors: those of
// Join and of Moderators; RoomForbidden when the caller may not moderate there.
func (d *Door) Moderate(ctx context.Context, credential Credential, ask func(Principal) (Motion, error)) (Moderation, error) {
	principal, err := d.Caller(ctx, credential)
	if err != nil {
		return Moderation{}, err
	}
	motion, err := ask(principal)
	if err != nil {
		return Moderation{}, err
	}
	decision, until, err := d.mayModerate(ctx, principal, motion)
	record := AuditRecord{Principal: principal, Action: string(motion.Action), Target: string(motion.Identity), Until: until, Admission: decision.grounds(),
		Request: Request{Room: motion.Room, ClientIP: motion.ClientIP}, Err: err}
	if err := d.record(ctx, record); err != nil {
		return Moderation{}, err
	}
	// Recorded is what was decided, before it is done; a second record says that it failed.
	done := Moderation{Motion: motion, Until: until}
	if motion.Action == Mute {
		done.Muted, err = d.Moderators.Mute(ctx, motion.Room, motion.Identity)
	} else {
		err = d.Moderators.Remove(ctx, motion.Room, motion.Identity, principal.Key(), until)
	}
	if err != nil {
		record.Err = err
		return Moderation{}, d.record(context.WithoutCancel(ctx), record)
	}
	return done, nil
}

// mayModerate decides, and says until when somebody removed is kept out.
func (d *Door) mayModerate(ctx context.Context, principal Principal, m Motion) (Decision, time.Time, error) {
	decision, err := d.decideFor(ctx, principal, m.Room, m.ClientIP)
	switch {
	case err != nil:
		return decision, time.Time{}, err
	case !decision.Moderate:
		return decision, time.Time{}, Refuse(RoomForbidden, "you may not moderate this room")
	case d.Moderators == nil:
		return decision, time.Time{}, &Error{Kind: Internal, Err: errNoModerators}
	case m.Action == Mute:
		return decision, time.Time{}, nil
	case m.Action == Remove:
		return decision, d.now().Add(decision.RemoveFor), nil
	}
	return decision, time.Time{}, Refuse(InvalidRequest, "action must be mute or remove")
}
