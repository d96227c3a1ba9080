package stagedoor

import "time"

// Participant is somebody whom LiveKit reports in a room.
type Participant struct {
	Room     Room
	Identity Identity
	// SID is LiveKit's id of this one session, "PA_…": a person who comes back has another.
	SID      string
	JoinedAt time.Time
	// Standard is false for agents, egress, SIP and other kinds of
	// participant, which are shown and never changed.
	Standard bool
	// Grants are what LiveKit says the participant may do now.
	Grants Grants
	// Tracks are what the participant publishes; events tell of none.
	Tracks []Track
}

// Track is something that a participant publishes.
type Track struct {
	// SID is LiveKit's id of it, "TR_…".
	SID string
	// Audio is set for sound, Muted when nothing of it is sent.
	Audio, Muted bool
}

// OpenRoom is a room that LiveKit has.
type OpenRoom struct {
	Room Room
	// CreatedAt is when it opened: a room of the same name may have been before.
	CreatedAt time.Time
	// Empty is set while nobody is in it.
	Empty bool
}

// LiveKitEvent is a verified event of LiveKit's.
type LiveKitEvent struct {
	// ID is LiveKit's, "EV_…"; Name is participant_joined, participant_left, …
	ID, Name  string
	CreatedAt time.Time
	Room      Room
	// Participant is set in events about one; else its SID is empty.
	Participant Participant
}

// Ban keeps a principal, with all devices, out of one room or of all.
type Ban struct {
	// ID names the ban, to lift it.
	ID        string
	Principal PrincipalKey
	// Room is empty for every room.
	Room Room
	// Until is when it ends by itself; zero: never.
	Until time.Time
	// Reason is for operators; callers are not told.
	Reason    string
	CreatedAt time.Time
}

// Covers reports whether the ban keeps the principal out of the room at now.
func (b Ban) Covers(p PrincipalKey, room Room, now time.Time) bool {
	return b.Principal == p && (b.Room == "" || b.Room == room) && (b.Until.IsZero() || now.Before(b.Until))
}

// Mint records that a token was handed out: the participant of that room and
// identity is the door's, and stands for the principal.
type Mint struct {
	Room      Room
	Identity  Identity
	Principal PrincipalKey
	At        time.Time
	// Rights are at least those of every token that was handed out for the
	// participant and can still be used to connect, Expires is when the last of
	// these expires. Zero where that is not known.
	Rights  Rights
	Expires time.Time
	// SessionEnds is set when the session may be over that soon, if the
	// participant joins at once.
	SessionEnds time.Time
	// Seats caps the room's participants, this one included; 0: no cap.
	Seats int
	// SeatFor is how long the participant's seat is held until it arrives.
	SeatFor time.Duration
	// Alone asks that no other session of the principal is in the room.
	Alone bool
}
