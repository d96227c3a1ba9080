package policy

import (
	"errors"
	"fmt"

	"stagedoor"
)

var (
	errNoRule = errors.New("no rule of the policy file is about this room")
	errNobody = errors.New("a principal without issuer or subject")
	errJoin   = errors.New("the join condition does not hold")
)

// refused is what a caller is told, whatever the reason: which rooms have
// rules, and which claims those ask for, is nobody's business.
const refused = "the policy does not let you into this room"

// Decide says what the principal may do in the room: the first rule whose
// pattern fits the room decides alone. No such rule, a join condition that
// does not hold or cannot be evaluated, and a principal that is nobody are
// refused; any other condition that cannot be evaluated grants nothing. It is
// pure. Errors: RoomForbidden, beside which the decision has no more than the
// rule's name. The decision's lists are the file's own and not
// to be changed.
//
// Without a ClientIP it is about somebody who is in the room already: what
// join asks of request.ip is then taken to hold, and all else is asked again.
//
// Until is left zero: what a condition makes of `now` is seen by the
// one-minute pass.
func (f *File) Decide(s stagedoor.Situation) (stagedoor.Decision, error) {
	d, err := f.decide(&s, nil)
	if err != nil {
		return d, forbid(err)
	}
	return d, nil
}

// decide is Decide with the reason as its error; seen, which may be nil, is
// told of every condition that is evaluated.
func (f *File) decide(s *stagedoor.Situation, seen func(c *compiled, holds bool, err error)) (stagedoor.Decision, error) {
	rule, facts, err := f.begin(s)
	if err != nil {
		return stagedoor.Decision{}, err
	}
	defer facts.close()
	facts.seen = seen
	if holds, err := rule.join.holds(facts); err != nil {
		return stagedoor.Decision{Rule: rule.name}, fmt.Errorf("rule %q: join: %w", rule.name, err)
	} else if !holds {
		return stagedoor.Decision{Rule: rule.name}, fmt.Errorf("rule %q: %w", rule.name, errJoin)
	}
	return rule.grant(facts), nil
}

// forbid hides the reason from the caller and keeps it for the log.
func forbid(err error) *stagedoor.Error {
	return &stagedoor.Error{Kind: stagedoor.RoomForbidden, Detail: refused, Err: err}
}

// begin finds the rule that decides and what its conditions can read.
func (f *File) begin(s *stagedoor.Situation) (*rule, *facts, error) {
	if s.Principal.Issuer == "" || s.Principal.Subject == "" {
		return nil, nil, errNobody
	}
	rule, bound := f.match(s.Room)
	if rule == nil {
		return nil, nil, errNoRule
	}
	if !weigh(s.Principal.Claims, rule.claims, rule.allClaims) {
		return nil, nil, fmt.Errorf("rule %q: %w", rule.name, errClaimsTooLarge)
	}
	return rule, &facts{situation: s, segments: rule.segments, bound: bound, budget: f.budget}, nil
}

// match returns the first rule whose pattern fits, and what it bound.
func (f *File) match(room stagedoor.Room) (*rule, []string) {
	var bound []string
	for _, rule := range f.rules {
		var ok bool
		if bound, ok = rule.pattern.match(string(room), bound[:0]); ok {
			return rule, bound
		}
	}
	return nil, nil
}

// grant evaluates everything but join.
func (r *rule) grant(f *facts) stagedoor.Decision {
	d := r.fixed
	publish, _ := r.publish.holds(f)
	blame := &r.publish.reads
	if publish && r.sources != nil {
		d.Grants.Sources = r.allowed(f)
		if publish = len(d.Grants.Sources) > 0; !publish {
			d.Grants.Sources, blame = nil, r.sourceReads()
		}
	}
	d.Grants.Publish, d.Grants.PublishData = publish, publish
	if !publish {
		d.PublishDenied = denial(blame.features, f.situation.Entitlement)
	}
	if r.data != nil {
		d.Grants.PublishData, _ = r.data.holds(f)
	}
	d.Moderate, _ = r.moderate.holds(f)
	d.Invite, _ = r.invite.holds(f)
	return d
}

// allowed lists the sources whose conditions hold.
func (r *rule) allowed(f *facts) []stagedoor.Source {
	allowed := make([]stagedoor.Source, 0, len(r.sources))
	for i := range r.sources {
		if holds, err := r.sources[i].when.holds(f); err == nil && holds {
			allowed = append(allowed, r.sources[i].name)
		}
	}
	return allowed
}

// sourceReads is what the conditions of sources look at, all together.
func (r *rule) sourceReads() *reads {
	var all reads
	for _, s := range r.sources {
		all.features = append(all.features, s.when.reads.features...)
	}
	return &all
}

// denial is why publishing is denied: billing's reason when a condition asks
// for a feature that is not there, else the policy itself.
func denial(asked []stagedoor.Feature, e stagedoor.Entitlement) stagedoor.Denial {
	for _, feature := range asked {
		if e.Has(feature) {
			continue
		}
		if e.Withheld == "" {
			return stagedoor.NoSubscription
		}
		return e.Withheld
	}
	return stagedoor.DeniedByPolicy
}
