package policy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, room string
		want          string // what is bound, or "no"
	}{
		{"lobby", "lobby", ""}, {"lobby", "Lobby", "no"}, {"lobby", "lobby2", "no"}, {"lobby", "", "no"},
		{"team-{team}", "team-red", "red"}, {"team-{team}", "team-", "no"}, {"team-{team}", "team-red-blue", "no"}, {"team-{team}", "Team-red", "no"},
		{"team-{rest...}", "team-red-blue", "red-blue"}, {"team-{rest...}", "team-", "no"}, {"{all...}", "x", "x"},
		{"{a}-{b}", "x-y", "x|y"}, {"{a}-{b}", "x-y-z", "no"}, {"{a}-{b...}", "x-y-z", "x|y-z"}, {"{a}-{b}", "-y", "no"},
		{"{a}:{b}", "x:y:z", "x|y:z"}, {"{a}x", "1x2x", "1x2"}, {"{a}xy{b}", "xxyz", "x|z"}, {"{a}-end", "x-end-end", "no"}, {"{a}end", "endend", "end"},
		{"café-{t}", "café-é", "é"}, {"{a}.{b}.{c...}", "1.2.3.4-5", "1|2|3.4-5"}, {"a{b}a", "aa", "no"}, {"a{b}a", "aaa", "a"},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil {
			t.Fatal(c.pattern, err)
		}
		bound, ok := p.match(c.room, nil)
		got := strings.Join(bound, "|")
		if !ok {
			got = "no"
		}
		if got != c.want {
			t.Errorf("%s on %q: %s, want %s", c.pattern, c.room, got, c.want)
		}
	}
}

// slowMatch tries every way to bind: what match must agree with.
func slowMatch(parts []part, room string) bool {
	if len(parts) == 0 {
		return room == ""
	}
	if parts[0].name == "" {
		after, ok := strings.CutPrefix(room, parts[0].literal)
		return ok && slowMatch(parts[1:], after)
	}
	for n := 1; n <= len(room); n++ {
		if !parts[0].rest && room[n-1] == '-' {
			return false
		}
		if slowMatch(parts[1:], room[n:]) {
			return true
		}
	}
	return false
}

// randomPattern makes patterns of few letters, so that much is ambiguous.
func randomPattern(r *rand.Rand) *pattern {
	for {
		text := ""
		for i, n := 0, 1+r.IntN(5); i < n; i++ {
			switch r.IntN(3) {
			case 0:
				text += "{s" + string(rune('a'+i)) + "}"
			default:
				text += []string{"a", "b", "-", "ab", "aa"}[r.IntN(5)]
			}
		}
		if r.IntN(4) == 0 {
			text += "{rest...}"
		}
		if p, err := parsePattern(text); err == nil {
			return &p
		}
	}
}

func randomName(r *rand.Rand) string {
	name := make([]byte, 1+r.IntN(9))
	for i := range name {
		name[i] = "aab-c"[r.IntN(5)]
	}
	return string(name)
}

func TestMatchingFindsWhateverThereIs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	hits := 0
	for range 50000 {
		p, name := randomPattern(r), randomName(r)
		bound, got := p.match(name, nil)
		if got != slowMatch(p.parts, name) {
			t.Fatalf("%s on %q: %v", p.text, name, got)
		}
		if !got {
			continue
		}
		hits++
		var again strings.Builder
		for i, n := 0, 0; i < len(p.parts); i++ {
			again.WriteString(p.parts[i].literal)
			if p.parts[i].name != "" {
				if bound[n] == "" || !p.parts[i].rest && strings.Contains(bound[n], "-") {
					t.Fatalf("%s on %q bound %q", p.text, name, bound)
				}
				again.WriteString(bound[n])
				n++
			}
		}
		if again.String() != name {
			t.Fatalf("%s on %q bound %q", p.text, name, bound)
		}
	}
	if hits < 1000 {
		t.Errorf("%d hits only", hits)
	}
}

func TestCoveringIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var names []string
	for _, c := range "ab-c" {
		names = append(names, string(c))
	}
	for all := names; len(all[0]) < 6; {
		var longer []string
		for _, name := range all {
			for _, c := range "ab-c" {
				longer = append(longer, name+string(c))
			}
		}
		names, all = append(names, longer...), longer
	}
	covered := 0
	for range 3000 {
		p, q := randomPattern(r), randomPattern(r)
		covers := p.covers(q)
		witness := slices.IndexFunc(names, func(name string) bool {
			_, ours := p.match(name, nil)
			_, theirs := q.match(name, nil)
			return theirs && !ours
		})
		if covers {
			covered++
		}
		if covers && witness >= 0 {
			t.Fatalf("%s does not cover %s: %s", p.text, q.text, names[witness])
		}
		if shortest := len(strings.NewReplacer("{rest...}", "x").Replace(q.text)); !covers && witness < 0 && shortest <= 3 && len(q.parts) < 3 && len(p.text) < 8 {
			t.Fatalf("%s covers %s, which was not seen", p.text, q.text)
		}
	}
	if covered < 50 {
		t.Errorf("%d covered only", covered)
	}
}

// TestCoveringIsBounded compares patterns that lead to very many states.
func TestCoveringIsBounded(t *testing.T) {
	wild := ""
	for i := range 60 {
		wild += "{s" + strings.Repeat("s", i%8) + strings.Repeat("t", i/8) + "}a"
	}
	p, err := parsePattern(wild)
	if err != nil {
		t.Fatal(err)
	}
	q, err := parsePattern(strings.Repeat("a", 100) + "{x}" + strings.Repeat("a", 100))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p.covers(&q)
	q.covers(&p)
	p.covers(&p)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
