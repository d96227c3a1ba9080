// Package ratelimit says how often somebody may come: per address before any
// cryptography, per address for failed authentications, and per principal
// after authentication. It is one algorithm three times, in memory that does
// not grow however many come.
//
// The three uses differ in when a unit is taken. The limit per address and the
// one per principal Take before the work and refuse when they must. The one for
// failures Takes only once an authentication has failed and refuses that
// failing request alone: a valid caller behind the same address never meets
// it. A Peek before tells whether it is spent, for those who would save work.
package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limiter limits one policy. An error means that nothing was decided: let
// nobody through on it. Safe for concurrent use.
type Limiter interface {
	// Take charges cost units to the key if that many are left, and nothing
	// otherwise. A cost below 1 or above the burst is ErrCost, the zero Key
	// ErrKey.
	Take(ctx context.Context, key Key, cost int) (Decision, error)
	// Peek says what Take of one unit would, and charges nothing; Remaining is
	// what is left before it. The zero Key is ErrKey.
	Peek(ctx context.Context, key Key) (Decision, error)
}

// ErrKey means that the key is the zero Key, which is nobody's.
var ErrKey = errors.New("ratelimit: no key")

// ErrCost means that the cost is below 1, or above the burst and so could
// never be paid.
var ErrCost = errors.New("ratelimit: the cost is not between 1 and the burst")

// Policy is a sustained rate with a burst. The zero value allows nothing and
// is refused by New.
type Policy struct {
	// Name is what callers read in the RateLimit fields: 1 to 32 lower-case
	// letters, digits and dashes. It tells nothing of who is limited.
	Name string
	// Count is how many units come back in Per: 1 to MaxCount. Time is told
	// apart by the microsecond, so that one key gets at most 1,000,000 a second.
	Count int
	// Per is whole seconds, up to a day, since the fields know no other time.
	Per time.Duration
	// Burst is how many may be taken at once; 0 means Count, and more than
	// Count is refused, since the fields would have to promise less than is left.
	Burst int
}

// MaxCount is the largest Count of a Policy.
const MaxCount = 1 << 40

// networkFactor is how many times one /64's budget a whole /48 has. A home or
// an office has a /56 or a /48 with few of its networks in use, a renter of
// servers has all 65,536 for nothing: sixteen are room for the first and
// little for the second.
const networkFactor = 16

// Network is the larger budget that all of an IPv6 /48 shares where each of
// its /64 has p: sixteen times as much, named "<name>-network".
func (p Policy) Network() Policy {
	p.Name += "-network"
	p.Burst = min(p.Burst*networkFactor, MaxCount)
	p.Count = min(p.Count*networkFactor, MaxCount)
	return p
}

// check returns what is wrong with the policy.
func (p Policy) check() error {
	name := strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz0123456789-")
	switch {
	case p.Name == "" || len(p.Name) > 32 || name != "":
		return fmt.Errorf("ratelimit: the name %q is not 1 to 32 of a-z, 0-9 and -", p.Name)
	case p.Count < 1 || p.Count > MaxCount:
		return fmt.Errorf("ratelimit: policy %s: a count of %d is not 1 to %d", p.Name, p.Count, MaxCount)
	case p.Per < time.Second || p.Per > 24*time.Hour || p.Per%time.Second != 0:
		return fmt.Errorf("ratelimit: policy %s: a time of %v is not whole seconds up to a day", p.Name, p.Per)
	case p.Burst < 0 || p.Burst > p.Count:
		return fmt.Errorf("ratelimit: policy %s: a burst of %d is not between 1 and the count", p.Name, p.Burst)
	}
	return nil
}
