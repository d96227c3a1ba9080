package ratelimit

import "time"

// Decision is what a limiter said, and all that the caller is to be told of it. The zero
// value is a refusal. A value, free to be copied.
type Decision struct {
	// Allowed is whether the units were there.
	Allowed bool
	// Limit is the policy's Count: so many units in each Window.
	Limit int
	// Remaining is how many units are left now, never negative.
	Remaining int
	// Reset is how long until all units are back; where none is left until the
	// next one is, and of a refusal RetryAfter, so that nobody waits for longer
	// than they must.
	Reset time.Duration
	// RetryAfter is how long until what was refused would be allowed, if
	// nobody took any before; 0 when it was allowed.
	RetryAfter time.Duration
	// Policy is the name of the policy that decided: of two, the one that
	// refused or has fewer units left.
	Policy string
	// Window is the policy's Per.
	Window time.Duration
}
