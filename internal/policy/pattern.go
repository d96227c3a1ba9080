package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"stagedoor"

	"golang.org/x/text/unicode/norm"
)

// pattern says which rooms a rule is about: literal text, {segment} for one
// segment without '-', and {rest...}, last, for all that follows. Matching is
// byte for byte and never goes back: a segment ends where the literal behind
// it first appears, which finds a match wherever there is one. The zero value
// matches no room.
type pattern struct {
	text  string
	parts []part
}

// part is a literal or, with a name, something that is bound.
type part struct {
	literal string
	name    string
	rest    bool
}

// reserved cannot name a segment: room.name is the room's name, and the
// others are words of CEL.
//
// SPEC: the Common Expression Language's grammar, IDENT.
func reserved(name string) bool {
	return slices.Contains([]string{"name", "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import",
		"in", "let", "loop", "package", "namespace", "null", "return", "true", "var", "void", "while"}, name)
}

// parsePattern reads a pattern. The error says what is wrong with it.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if strings.Contains(literal, "}") {
			return pattern{}, errors.New("has a '}' without its '{'")
		}
		if literal != "" {
			p.parts = append(p.parts, part{literal: literal})
		}
		if !found {
			break
		}
		inner, behind, closed := strings.Cut(after, "}")
		if !closed {
			return pattern{}, errors.New("has a '{' without its '}'")
		}
		bound, err := p.segment(inner, behind)
		if err != nil {
			return pattern{}, err
		}
		p.parts = append(p.parts, bound)
		rest = behind
	}
	return p, p.check()
}

// segment reads what stands between braces.
func (p *pattern) segment(inner, behind string) (part, error) {
	name, rest := strings.CutSuffix(inner, "...")
	switch {
	case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || !('a' <= name[0] && name[0] <= 'z'):
		return part{}, fmt.Errorf("has a segment {%s}: its name must be lower-case letters, digits and underscores", inner)
	case reserved(name):
		return part{}, fmt.Errorf("has a segment {%s}, a name that is taken", inner)
	case slices.Contains(p.names(), name):
		return part{}, fmt.Errorf("has two segments {%s}", name)
	case rest && behind != "":
		return part{}, fmt.Errorf("has something behind {%s}, which takes all that follows", inner)
	case len(p.parts) > 0 && p.parts[len(p.parts)-1].name != "":
		return part{}, fmt.Errorf("has {%s} right behind another segment: nothing says where one ends", inner)
	}
	return part{name: name, rest: rest}, nil
}

// check holds the pattern against the rules of room names, with every segment
// as short as it can be.
func (p *pattern) check() error {
	if !norm.NFC.IsNormalString(p.text) {
		return errors.New("is not in NFC, as room names are")
	}
	var shortest strings.Builder
	for _, part := range p.parts {
		if part.name != "" {
			shortest.WriteByte('x')
		}
		shortest.WriteString(part.literal)
	}
	if err := stagedoor.CheckText(shortest.String()); err != nil {
		return fmt.Errorf("can match no room, whose name %w", err)
	}
	return nil
}

// names lists what is bound.
func (p *pattern) names() []string {
	var names []string
	for _, part := range p.parts {
		if part.name != "" {
			names = append(names, part.name)
		}
	}
	return names
}

// match reports whether room fits and appends what is bound, in the order of
// names, to bound.
func (p *pattern) match(room string, bound []string) ([]string, bool) {
	if len(p.parts) == 0 {
		return bound, false
	}
	for i := 0; i < len(p.parts); i++ {
		this := p.parts[i]
		if this.name == "" {
			after, ok := strings.CutPrefix(room, this.literal)
			if !ok {
				return bound, false
			}
			room = after
			continue
		}
		value := room
		switch {
		case i == len(p.parts)-1:
		case i == len(p.parts)-2: // the literal behind it must end the name
			before, ok := strings.CutSuffix(room, p.parts[i+1].literal)
			if !ok {
				return bound, false
			}
			value = before
		default:
			end := literalAt(room, p.parts[i+1].literal)
			if end < 0 {
				return bound, false
			}
			value = room[:end]
		}
		if value == "" || !this.rest && strings.Contains(value, "-") {
			return bound, false
		}
		bound, room = append(bound, value), room[len(value):]
	}
	return bound, room == ""
}

// literalAt finds where a segment of at least one byte ends before literal.
func literalAt(room, literal string) int {
	if room == "" {
		return -1
	}
	at := strings.Index(room[1:], literal)
	if at < 0 {
		return -1
	}
	return at + 1
}

// butForHyphens reports whether room would fit if segments took '-' too: what
// goes wrong with ids that hold some, such as UUIDs.
func (p *pattern) butForHyphens(room string) bool {
	loose := pattern{text: p.text, parts: slices.Clone(p.parts)}
	for i := range loose.parts {
		loose.parts[i].rest = loose.parts[i].name != ""
	}
	_, strictly := p.match(room, nil)
	_, loosely := loose.match(room, nil)
	return loosely && !strictly
}

// hyphenHint says so.
const hyphenHint = "a segment ends at '-': {x...} takes the rest"

// foreign finds what means something in the patterns of other programs, and
// would be literal here: a rule for no room that there ever is.
var foreign = regexp.MustCompile(`^\^|\.?\*|<[^<>]*>|(?:^|[-/]):[a-zA-Z]\w*|\$$`)

// checkForeign says what of it there is in text, and what to write. Rooms whose
// names really hold it are taken with a segment in its place.
func checkForeign(text string) (what, remedy string) {
	found := foreign.FindString(text)
	if found == "" {
		return "", ""
	}
	found = strings.TrimLeft(found, "-/")
	begin := strings.TrimPrefix(text, "^")
	if at := foreign.FindStringIndex(begin); at != nil {
		begin = begin[:at[0]] + strings.Trim(begin[at[0]:at[0]+1], "^.*<:$")
	}
	return "holds '" + found + "'", "'" + found + "' is literal here: write " + begin + "{id} or " + begin + "{rest...}"
}
