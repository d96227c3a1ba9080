package stagedoor

import "time"

// Erasure says whose data are to be deleted. The zero value is nobody's.
type Erasure struct {
	Principal PrincipalKey
	// Bans has bans deleted too that are in force.
	Bans bool
	// DryRun only counts.
	DryRun bool
}

// Erased counts what was deleted of one principal, or would be.
type Erased struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	// DryRun is set when nothing was deleted.
	DryRun bool `json:"dryRun"`
	// Principals is 1 where name and claims were kept, else 0.
	Principals int64 `json:"principals"`
	// Mints are marks of tokens that were handed out. Those that may still be
	// used stay, MintsKept, until MintsUntil: without them nobody who comes with
	// such a token could be kept out, or lose a right.
	Mints      int64     `json:"mints"`
	MintsKept  int64     `json:"mintsKept"`
	MintsUntil time.Time `json:"mintsUntil,omitzero"`
	// Presence are visits, Seats places held, Sessions times that run in a room.
	Presence int64 `json:"presence"`
	Seats    int64 `json:"seats"`
	Sessions int64 `json:"sessions"`
	// Invitations are those they made, Guests who came by these, Admissions
	// the invitations by which they came themselves.
	Invitations int64 `json:"invitations"`
	Guests      int64 `json:"guests"`
	Admissions  int64 `json:"admissions"`
	// Links are Stripe customers named for them; Customers those that nobody
	// else is linked with, CustomersKept the others.
	Links         int64 `json:"links"`
	Customers     int64 `json:"customers"`
	CustomersKept int64 `json:"customersKept"`
	// Bans were deleted, BansKept are in force and stay. Reasons are of bans
	// that the principal set as a moderator, and name them no more.
	Bans     int64 `json:"bans"`
	BansKept int64 `json:"bansKept"`
	Reasons  int64 `json:"reasons"`
	// Rewritten is set when the database's file was written anew, so that no
	// trace is left in it. One that is large is not, while a door runs.
	Rewritten bool `json:"rewritten"`
}

// RemovedByModerator begins the reason of every ban that a moderator set.
const RemovedByModerator = "removed by the moderator "

// RemovedBy is the reason of a ban that a moderator set.
func RemovedBy(moderator PrincipalKey) string {
	return RemovedByModerator + Printable(moderator.Subject) + " of " + Printable(moderator.Issuer)
}
