package stagedoor

import (
	"context"
	"errors"
	"slices"
	"time"
)

// seatSlack is how long beyond its token's life a seat is held: LiveKit takes
// a token for a minute longer.
//
// SPEC: livekit/protocol auth/verifier.go tokenLeeway.
const seatSlack = time.Minute

var (
	errNoMemory   = errors.New("a rule counts participants, and nothing keeps them")
	errIssuerGone = errors.New("the principal's issuer is not configured")
	errNoSessions = errors.New("a rule limits sessions, and nothing keeps them")
)

// lookup finds what somebody has paid for.
type lookup func(context.Context, Principal) (Entitlement, error)

// Decide says what a principal may do in a room now, as a join would: for
// those who are in the room already. Errors: Banned, RoomForbidden,
// SessionOver, and whatever kept the facts from being known, on which nothing
// is to be changed. Beside an error a decision grants nothing.
func (d *Door) Decide(ctx context.Context, principal Principal, room Room) (Decision, error) {
	find := lookup(func(context.Context, Principal) (Entitlement, error) { return Entitlement{}, nil })
	if d.Entitlements != nil {
		find = d.Entitlements.Entitlement
	}
	return d.decide(ctx, Situation{Principal: principal, Room: room}, find)
}

// decide asks bans, then what was paid for, then the policy, then how long the
// principal has been there: for a join and mid-call alike.
func (d *Door) decide(ctx context.Context, s Situation, find lookup) (Decision, error) {
	s.Now = d.now()
	decide := d.byRules
	if s.Principal.Invitation != "" {
		decide = d.byInvitation
	}
	decision, err := decide(ctx, s, find)
	if err != nil {
		return decision.refused(), err
	}
	if decision.TTL <= 0 {
		return decision.refused(), &Error{Kind: Internal, Err: errNoTTL}
	}
	return d.timed(ctx, s, decision)
}

// refused keeps of a decision on what it stood, and grants nothing.
func (d Decision) refused() Decision { return Decision{Rule: d.Rule, Entitlement: d.Entitlement} }

// grounds is on what a decision stands, as a record has it.
func (d Decision) grounds() Admission { return Admission{Rule: d.Rule, Entitlement: d.Entitlement} }

// byRules asks bans, then what was paid for, then the policy.
func (d *Door) byRules(ctx context.Context, s Situation, find lookup) (Decision, error) {
	if err := d.checkBans(s.Principal, s.Room); err != nil {
		return Decision{}, err
	}
	if d.Issuers != nil && !slices.Contains(d.Issuers, s.Principal.Issuer) {
		return Decision{}, &Error{Kind: RoomForbidden, Detail: "callers of your issuer are not let in any more", Err: errIssuerGone}
	}
	var err error
	if s.Entitlement, err = find(ctx, s.Principal); err != nil {
		return Decision{}, err
	}
	decision, err := d.Policy.Decide(s)
	decision.Entitlement = s.Entitlement
	if err != nil {
		return decision.refused(), err
	}
	decision.Until = earliest(decision.Until, s.Entitlement.Until)
	return decision, nil
}

// checkBans refuses who is kept out. Errors: Banned.
func (d *Door) checkBans(principal Principal, room Room) error {
	if d.Bans == nil {
		return nil
	}
	return d.Bans.Check(principal, room)
}

// timed ends a decision when the principal's time in the room is over.
// Errors: SessionOver.
func (d *Door) timed(ctx context.Context, s Situation, decision Decision) (Decision, error) {
	if decision.MaxSession <= 0 {
		return decision, nil
	}
	if d.Sessions == nil {
		return decision.refused(), &Error{Kind: Internal, Err: errNoSessions}
	}
	since, err := d.Sessions.Since(ctx, s.Principal.Key(), s.Room)
	if err != nil {
		return decision.refused(), &Error{Kind: Unavailable, Detail: "how long you have been in this room cannot be told now", RetryAfter: 5 * time.Second, Err: err}
	}
	if since.IsZero() {
		return decision, nil
	}
	decision.SessionEnds = since.Add(decision.MaxSession)
	if !s.Now.Before(decision.SessionEnds) {
		return decision.refused(), Refuse(SessionOver, "your time in this room is over; it begins anew when the room has closed")
	}
	decision.Until = earliest(decision.Until, decision.SessionEnds)
	return decision, nil
}

// sessionLeft is how long the principal may still be in the room; 0 where
// there is no limit. Errors: SessionOver, when it is no whole second.
func (d Decision) sessionLeft(now time.Time) (time.Duration, error) {
	if d.SessionEnds.IsZero() {
		return d.MaxSession, nil
	}
	left := d.SessionEnds.Sub(now).Truncate(time.Second)
	if left < time.Second {
		return 0, Refuse(SessionOver, "your time in this room is over")
	}
	return left, nil
}

// earliest is the earlier of two times of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// entitlement looks up what was paid for; whatever goes wrong entitles to nothing.
func (d *Door) entitlement(ctx context.Context, principal Principal) (Entitlement, error) {
	if d.Entitlements == nil {
		return Entitlement{}, nil
	}
	entitlement, err := d.Entitlements.Entitlement(ctx, principal)
	if err != nil {
		return Entitlement{Withheld: BillingUnavailable}, nil
	}
	return entitlement, nil
}
