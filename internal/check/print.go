package check

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"stagedoor"
)

// look is how a state is shown: a mark, the ANSI colour of it, and a word,
// since neither marks nor colours reach everybody.
func (s State) look() (mark, colour string) {
	switch s {
	case Pass:
		return "✓", "32"
	case Warn:
		return "!", "33"
	case Fail:
		return "✗", "31"
	}
	return "·", "2"
}

// columns is how wide a line is, where what was seen fits into it.
const columns = 100

// Print writes the report for people: groups, columns, each check's id at the end,
// what to do below.
// Errors are w's.
func (r Report) Print(w io.Writer, colour bool) error {
	paint := func(attribute, text string) string {
		if !colour || attribute == "" {
			return text
		}
		return "\x1b[" + attribute + "m" + text + "\x1b[0m"
	}
	width := 0
	for _, c := range r.Checks {
		width = max(width, utf8.RuneCountInString(stagedoor.Printable(c.Title)))
	}
	var out strings.Builder
	group := ""
	for _, c := range r.Checks {
		if c.Group != group {
			if group != "" {
				out.WriteByte('\n')
			}
			group = c.Group
			out.WriteString(paint("1", group) + "\n")
		}
		mark, tint := c.State.look()
		title := stagedoor.Printable(c.Title)
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(title))
		seen, id := stagedoor.Printable(c.Seen), stagedoor.Printable(c.ID)
		used := 10 + width + 2 + utf8.RuneCountInString(seen) + utf8.RuneCountInString(id)
		// Ids end in one column. What is longer than a line has its own behind it.
		fmt.Fprintf(&out, "  %s  %s%s  %s%s%s\n", paint(tint, mark+" "+string(c.State)), title, pad, seen, strings.Repeat(" ", max(columns-used, 2)), paint("2", id))
		if c.Remedy != "" {
			fmt.Fprintf(&out, "%10s%s\n", "", paint("2", "→ "+stagedoor.Printable(c.Remedy)))
		}
	}
	verdict := paint("32", "nothing stands in the way")
	if r.Failed > 0 {
		verdict = paint("31", fmt.Sprintf("%d to put right", r.Failed))
	}
	fmt.Fprintf(&out, "\n%s: %d pass, %d warn, %d fail, %d not looked at, in %.1f s\n", verdict, r.Passed, r.Warned, r.Failed, r.Unseen, r.Took.Seconds())
	_, err := io.WriteString(w, out.String())
	return err
}
