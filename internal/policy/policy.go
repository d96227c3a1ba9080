// Package policy decides which grants a principal gets in a room. Deciding is
// pure: no I/O, no clock.
package policy

import (
	"time"

	"stagedoor"
)

// Default is the policy without a policy file: every authenticated caller may
// watch every room, and publishing needs one feature. The zero value lets
// nobody publish and grants no lifetime, so that nothing of it can be signed.
// Safe for concurrent use.
type Default struct {
	// PublishFeature is the feature that opens publishing.
	PublishFeature stagedoor.Feature
	// TTL is how long a token may be used to connect.
	TTL time.Duration
}

// Decide grants watching, and publishing with data when the entitlement has
// the feature. Whoever has the feature invite may invite guests. It never fails.
func (d Default) Decide(s stagedoor.Situation) (stagedoor.Decision, error) {
	e := s.Entitlement
	paid := e.Has(d.PublishFeature)
	decision := stagedoor.Decision{
		Grants: stagedoor.Grants{Subscribe: true, Publish: paid, PublishData: paid},
		TTL:    d.TTL,
		Invite: e.Has(defaultInvite),
	}
	if !paid {
		decision.PublishDenied = e.Withheld
		if e.Withheld == "" {
			decision.PublishDenied = stagedoor.NoSubscription
		}
	}
	return decision, nil
}
