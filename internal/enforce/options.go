package enforce

import (
	"context"
	"log/slog"
	"time"

	"stagedoor"
)

// People knows whose participants there can be.
type People interface {
	Mint(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Mint, bool, error)
	MintsOf(ctx context.Context, key stagedoor.PrincipalKey, since time.Time, limit int) ([]stagedoor.Mint, error)
	// BannedMints returns the mints of banned principals since a time.
	BannedMints(ctx context.Context, since time.Time) ([]stagedoor.Mint, error)
	// EachUsableMint calls fn on every mint with a token that can still be used at
	// now, until fn fails.
	EachUsableMint(ctx context.Context, now time.Time, fn func(stagedoor.Mint) error) error
	Principal(ctx context.Context, key stagedoor.PrincipalKey) (stagedoor.Principal, bool, error)
	// GuestsOf returns whom a principal has invited: what they may do follows
	// what the principal may.
	GuestsOf(ctx context.Context, key stagedoor.PrincipalKey) ([]stagedoor.PrincipalKey, error)
}

// Presence keeps who is in which room.
type Presence interface {
	Arrive(ctx context.Context, p stagedoor.Participant) error
	Leave(ctx context.Context, p stagedoor.Participant, at time.Time) error
	Present(ctx context.Context) ([]stagedoor.Participant, error)
	PresentOf(ctx context.Context, key stagedoor.PrincipalKey) ([]stagedoor.Participant, error)
	Reconcile(ctx context.Context, room stagedoor.Room, listed []stagedoor.Participant, asked time.Time) error
}

// Places knows who came when a room was full, and whose time in which room is running.
type Places interface {
	Surplus(ctx context.Context, room stagedoor.Room, sid string, seats int) (bool, error)
	SessionRooms(ctx context.Context) (map[stagedoor.Room]time.Time, error)
	EndSessions(ctx context.Context, room stagedoor.Room, before time.Time) error
}

// Rooms is LiveKit's RoomService. A participant or room that is not there is
// false or empty, not an error.
type Rooms interface {
	Rooms(ctx context.Context) ([]stagedoor.OpenRoom, error)
	// OpenRooms returns which of the rooms there are.
	OpenRooms(ctx context.Context, rooms []stagedoor.Room) ([]stagedoor.OpenRoom, error)
	Participants(ctx context.Context, room stagedoor.Room) ([]stagedoor.Participant, error)
	Participant(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Participant, bool, error)
	UpdatePermission(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity, grants stagedoor.Grants) (stagedoor.Participant, bool, error)
	Remove(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (bool, error)
}

// Media is what else RoomService does for one participant. false means that
// the participant or track is not there.
type Media interface {
	Mute(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity, track string) (bool, error)
	Send(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity, topic string, data []byte) (bool, error)
}

// Options are what New needs; all must be set but for Told and OnChange.
type Options struct {
	People   People
	Presence Presence
	Places   Places
	Rooms    Rooms
	Media    Media
	// Decide says what a principal may do in a room now, as a join would. An
	// error other than Banned, RoomForbidden and SessionOver changes nothing.
	Decide func(ctx context.Context, principal stagedoor.Principal, room stagedoor.Room) (stagedoor.Decision, error)
	// Told is told of every change that LiveKit has taken, update or remove, with
	// its cause and the time since that was known; and of failed tries. nil: nobody is.
	Told func(kind, cause string, took time.Duration)
	// OnChange is told of every update and removal that LiveKit has taken; it must
	// not block. nil: nobody is.
	OnChange func(Change)
	Now      func() time.Time
	Log      *slog.Logger
}

// Change is an update or a removal in a running call that LiveKit has taken.
type Change struct {
	Room      stagedoor.Room
	Identity  stagedoor.Identity
	Principal stagedoor.PrincipalKey
	// Cause is why the participant was looked at again, as in the log.
	Cause string
	// Removed is set when the participant was removed, because of Why; else
	// Decision is what they may do from now on.
	Removed  bool
	Why      stagedoor.Kind
	Decision stagedoor.Decision
}

// changed tells OnChange of a change of one target.
func (e *Enforcer) changed(t target, j *job, c Change) {
	if e.OnChange == nil {
		return
	}
	c.Room, c.Identity, c.Principal, c.Cause = t.room, t.identity, j.principal, j.cause
	e.OnChange(c)
}
