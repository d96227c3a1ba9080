package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"stagedoor"
)

// Explain says step by step what Decide does: which rule decides, and what
// each condition that is asked says and gives. It holds no claims' values but those
// that CEL names in an error.
func (f *File) Explain(s stagedoor.Situation) []stagedoor.Step {
	rule, facts, err := f.begin(&s)
	if err != nil {
		text := "refused: " + err.Error()
		if errors.Is(err, errNoRule) {
			text += f.nearly(s.Room)
		}
		return []stagedoor.Step{bad("rule", stagedoor.Printable(text))}
	}
	defer facts.close()
	steps := []stagedoor.Step{note("rule", f.about(rule, facts))}
	facts.seen = func(c *compiled, holds bool, err error) { steps = append(steps, outcome(c, holds, err)) }
	if joins, err := rule.join.holds(facts); err != nil || !joins {
		return steps
	}
	d := rule.grant(facts)
	return append(steps, granted(d))
}

// nearly names the rule that only '-' keeps from being about room, or says nothing.
func (f *File) nearly(room stagedoor.Room) string {
	for _, r := range f.rules {
		if r.pattern.butForHyphens(string(room)) {
			return fmt.Sprintf("; that in line %d, %s, is not: %s", r.at.line, r.pattern.text, hyphenHint)
		}
	}
	return ""
}

// about names the rule, and what the room's name gave it.
func (f *File) about(r *rule, facts *facts) string {
	text := fmt.Sprintf("%s, line %d: rule %s, room %s", f.name, r.at.line, strconv.Quote(r.name), r.pattern.text)
	for i, segment := range r.segments {
		text += fmt.Sprintf(", room.%s = %s", segment, strconv.Quote(facts.bound[i]))
	}
	return stagedoor.Printable(text)
}

// outcome is one condition's step.
func outcome(c *compiled, holds bool, err error) stagedoor.Step {
	text := strings.Join(strings.Fields(c.text), " ")
	switch {
	case err != nil && c.either && strings.HasPrefix(err.Error(), "no such key"):
		return bad(c.key, stagedoor.Printable(text+" → cannot be evaluated, which grants nothing: "+err.Error()+", and no other side of || is true"))
	case err != nil:
		return bad(c.key, stagedoor.Printable(text+" → cannot be evaluated, which grants nothing: "+err.Error()))
	case holds:
		return stagedoor.Step{Name: c.key, Mark: stagedoor.Good, Text: stagedoor.Printable(text + " → true")}
	}
	return bad(c.key, stagedoor.Printable(text+" → false"))
}

// granted sums up what comes out.
func granted(d stagedoor.Decision) stagedoor.Step {
	if !d.Grants.Publish {
		return bad("publishing", "denied: "+string(d.PublishDenied))
	}
	var names []string
	for _, source := range d.Grants.EffectiveSources() {
		names = append(names, string(source))
	}
	return stagedoor.Step{Name: "publishing", Mark: stagedoor.Good, Text: strings.Join(names, ", ")}
}

func bad(name, text string) stagedoor.Step {
	return stagedoor.Step{Name: name, Mark: stagedoor.Bad, Text: text}
}

func note(name, text string) stagedoor.Step {
	return stagedoor.Step{Name: name, Mark: stagedoor.Remark, Text: text}
}
