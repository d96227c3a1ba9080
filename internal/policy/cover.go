package policy

import (
	"slices"
	"strings"
)

// maxStates bounds how far two patterns are compared.
const maxStates = 4096

// step is one place in a pattern: a byte, or any number of bytes but none.
type step struct {
	literal byte
	wild    bool
	dash    bool // a wild one takes '-' too
}

// steps takes a pattern apart.
func (p *pattern) steps() []step {
	var steps []step
	for _, part := range p.parts {
		if part.name != "" {
			steps = append(steps, step{wild: true, dash: part.rest})
		}
		for i := range len(part.literal) {
			steps = append(steps, step{literal: part.literal[i]})
		}
	}
	return steps
}

// takes reports whether the step takes c.
func (s step) takes(c byte) bool {
	if s.wild {
		return c != '-' || s.dash
	}
	return s.literal == c
}

// next returns the states that a byte leads to. State 2i is before step i,
// 2i+1 within a wild step i, from where the next step may begin too.
func next(steps []step, states []int, c byte) []int {
	var to []int
	add := func(state int) {
		if !slices.Contains(to, state) {
			to = append(to, state)
		}
	}
	for _, state := range states {
		i := state / 2
		if state%2 == 1 {
			if steps[i].takes(c) {
				add(state)
			}
			i++
		}
		if i < len(steps) && steps[i].takes(c) {
			if steps[i].wild {
				add(2*i + 1)
			} else {
				add(2*i + 2)
			}
		}
	}
	slices.Sort(to)
	return to
}

// accepts reports whether a name may end in one of the states.
func accepts(steps []step, states []int) bool {
	for _, state := range states {
		if (state+1)/2 == len(steps) {
			return true
		}
	}
	return false
}

// covers reports whether p takes every room that other takes, so that a rule
// with other behind one with p can never match. It walks both at once over
// every byte that either names, '-', and one that neither does. Where that
// takes too long it says no.
func (p *pattern) covers(other *pattern) bool {
	if !p.mayCover(other) {
		return false
	}
	ours, theirs := p.steps(), other.steps()
	alphabet := bytesOf(ours, theirs)
	type pair struct{ ours, theirs []int }
	queue := []pair{{[]int{0}, []int{0}}}
	seen := map[string]bool{}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if accepts(theirs, at.theirs) && !accepts(ours, at.ours) {
			return false
		}
		for _, c := range alphabet {
			to := pair{next(ours, at.ours, c), next(theirs, at.theirs, c)}
			if len(to.theirs) == 0 {
				continue
			}
			if len(to.ours) == 0 { // every pattern takes some name from every state that it can be in
				return false
			}
			key := stateKey(to.ours) + "/" + stateKey(to.theirs)
			if seen[key] {
				continue
			}
			if len(seen) == maxStates {
				return false
			}
			seen[key] = true
			queue = append(queue, to)
		}
	}
	return true
}

// mayCover looks at the literal beginnings alone, which tells most patterns apart.
func (p *pattern) mayCover(other *pattern) bool {
	if p.parts[0].name != "" {
		return true
	}
	return other.parts[0].name == "" && strings.HasPrefix(other.parts[0].literal, p.parts[0].literal)
}

// bytesOf lists the bytes that make a difference to either, and one that
// stands for all others.
func bytesOf(lists ...[]step) []byte {
	alphabet := []byte{'-'}
	for _, steps := range lists {
		for _, s := range steps {
			if !s.wild && !slices.Contains(alphabet, s.literal) {
				alphabet = append(alphabet, s.literal)
			}
		}
	}
	for c := range 256 {
		if !slices.Contains(alphabet, byte(c)) {
			return append(alphabet, byte(c))
		}
	}
	return alphabet
}

// stateKey makes states comparable.
func stateKey(states []int) string {
	var key strings.Builder
	for _, state := range states {
		key.WriteByte(byte(state))
		key.WriteByte(byte(state >> 8))
	}
	return key.String()
}
