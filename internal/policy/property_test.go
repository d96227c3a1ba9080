package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// naive is a condition as text and as the function it stands for.
type naive struct {
	text  string
	holds func(s stagedoor.Situation) (bool, error)
}

var errNaive = errors.New("cannot be evaluated")

// atoms are conditions simple enough to be read twice.
func atoms(r *rand.Rand) naive {
	feature := []string{"publish", "screen", "invite"}[r.IntN(3)]
	value := []string{"host", "guest"}[r.IntN(2)]
	claim := []string{"role", "kind"}[r.IntN(2)]
	switch r.IntN(5) {
	case 0:
		return naive{"'" + feature + "' in features", func(s stagedoor.Situation) (bool, error) {
			return slices.Contains(s.Entitlement.Features, stagedoor.Feature(feature)), nil
		}}
	case 1:
		return naive{"claims." + claim + " == '" + value + "'", func(s stagedoor.Situation) (bool, error) {
			have, ok := s.Principal.Claims[claim]
			if !ok {
				return false, errNaive
			}
			return have == value, nil
		}}
	case 2:
		return naive{"has(claims." + claim + ")", func(s stagedoor.Situation) (bool, error) {
			_, ok := s.Principal.Claims[claim]
			return ok, nil
		}}
	case 3:
		return naive{"principal.subject == 'ann'", func(s stagedoor.Situation) (bool, error) { return s.Principal.Subject == "ann", nil }}
	}
	yes := r.IntN(3) > 0
	return naive{fmt.Sprint(yes), func(stagedoor.Situation) (bool, error) { return yes, nil }}
}

// conditionOf joins atoms; an error beside a decisive side does not count.
//
// SPEC: the Common Expression Language's && and || are commutative with errors.
func conditionOf(r *rand.Rand, depth int) naive {
	if depth == 0 || r.IntN(3) == 0 {
		return atoms(r)
	}
	a, b := conditionOf(r, depth-1), conditionOf(r, depth-1)
	decisive := r.IntN(2) == 0 // for ||
	sign := map[bool]string{true: "||", false: "&&"}[decisive]
	both := naive{"(" + a.text + ") " + sign + " (" + b.text + ")", func(s stagedoor.Situation) (bool, error) {
		x, errX := a.holds(s)
		y, errY := b.holds(s)
		switch {
		case errX == nil && x == decisive || errY == nil && y == decisive:
			return decisive, nil
		case errX != nil || errY != nil:
			return false, errNaive
		}
		return !decisive, nil
	}}
	if r.IntN(4) == 0 {
		return naive{"!(" + both.text + ")", func(s stagedoor.Situation) (bool, error) {
			holds, err := both.holds(s)
			return !holds, err
		}}
	}
	return both
}

// naiveRule is one rule in both forms.
type naiveRule struct {
	pattern                               *pattern
	join, publish, data, moderate, invite naive
	sources                               map[stagedoor.Source]naive
}

func (n naiveRule) yaml(name string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "  - name: %s\n    room: %q\n    join: %q\n    publish: %q\n    data: %q\n    moderate: %q\n    invite: %q\n    sources:\n",
		name, n.pattern.text, n.join.text, n.publish.text, n.data.text, n.moderate.text, n.invite.text)
	for _, source := range stagedoor.AllSources() {
		if c, ok := n.sources[source]; ok {
			fmt.Fprintf(&out, "      %s: %q\n", source, c.text)
		}
	}
	return out.String()
}

// expect is what the rule must come to, worked out with nothing of the package's.
func (n naiveRule) expect(s stagedoor.Situation) (d stagedoor.Decision, ok bool) {
	yes := func(c naive) bool {
		holds, err := c.holds(s)
		return err == nil && holds
	}
	if !yes(n.join) {
		return d, false
	}
	d.Grants.Subscribe = true
	for _, source := range stagedoor.AllSources() {
		if c, given := n.sources[source]; given && yes(c) {
			d.Grants.Sources = append(d.Grants.Sources, source)
		}
	}
	d.Grants.Publish = yes(n.publish) && len(d.Grants.Sources) > 0
	if !d.Grants.Publish {
		d.Grants.Sources = nil
	}
	d.Grants.PublishData, d.Moderate, d.Invite = yes(n.data), yes(n.moderate), yes(n.invite)
	return d, true
}

// TestNoGrantBeyondThePolicy makes random policies and requests and compares
// every grant with a reading of the same rules that shares no code: the first
// rule whose pattern fits decides, alone, and what cannot be evaluated grants
// nothing.
func TestNoGrantBeyondThePolicy(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	joined, refusedN, published := 0, 0, 0
	for round := range 150 {
		var rules []naiveRule
		source := "rooms:\n"
		for len(rules) < 1+r.IntN(5) {
			next := naiveRule{randomPattern(r), conditionOf(r, 2), conditionOf(r, 2), conditionOf(r, 1), conditionOf(r, 2), conditionOf(r, 1), map[stagedoor.Source]naive{}}
			for _, s := range stagedoor.AllSources() {
				if r.IntN(2) == 0 || len(next.sources) == 0 {
					next.sources[s] = conditionOf(r, 1)
				}
			}
			if slices.ContainsFunc(rules, func(n naiveRule) bool { return n.pattern.covers(next.pattern) }) {
				continue
			}
			source += next.yaml(fmt.Sprint("rule", len(rules)))
			rules = append(rules, next)
		}
		f := parse(t, source)
		for range 100 {
			s := randomSituation(r)
			d, err := f.Decide(s)
			first := slices.IndexFunc(rules, func(n naiveRule) bool { return slowMatch(n.pattern.parts, string(s.Room)) })
			var want stagedoor.Decision
			allowed := false
			if first >= 0 {
				want, allowed = rules[first].expect(s)
			}
			if !allowed {
				refusedN++
				if !isRefusal(err) || d.TTL != 0 || d.Grants.Subscribe {
					t.Fatalf("round %d, %+v: got in: %+v %v\n%s", round, s, d, err, source)
				}
				continue
			}
			joined++
			if d.Grants.Publish {
				published++
			}
			if err != nil || d.Rule != fmt.Sprint("rule", first) || !d.Grants.Same(want.Grants) || d.Moderate != want.Moderate || d.Invite != want.Invite || (d.PublishDenied == "") != d.Grants.Publish {
				t.Fatalf("round %d, %+v:\n got %+v %v\nwant %+v of rule %d\n%s", round, s, d, err, want, first, source)
			}
		}
	}
	if joined < 500 || refusedN < 500 || published < 100 {
		t.Errorf("%d joined, %d refused, %d published", joined, refusedN, published)
	}
}

func randomSituation(r *rand.Rand) stagedoor.Situation {
	claims := stagedoor.Claims{"sub": []string{"ann", "bob"}[r.IntN(2)]}
	for _, claim := range []string{"role", "kind"} {
		if r.IntN(3) > 0 {
			claims[claim] = []any{"host", "guest", 3.0, nil, []any{"host"}}[r.IntN(5)]
		}
	}
	var features []stagedoor.Feature
	for _, feature := range []stagedoor.Feature{"publish", "screen", "invite"} {
		if r.IntN(2) == 0 {
			features = append(features, feature)
		}
	}
	s := who(randomName(r), claims, features...)
	s.Now = time.Unix(r.Int64N(1<<31), 0)
	return s
}
