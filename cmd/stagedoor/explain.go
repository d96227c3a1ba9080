package main

import (
	"fmt"
	"io"
	"time"

	"stagedoor"
)

type explainCmd struct {
	User   string `required:"" help:"The subject of their token, or their identity."`
	Room   string `help:"The room in question."`
	Issuer string `help:"Whose subject, where there are several issuers."`
	JSON   bool   `help:"As JSON."`
}

// Run says step by step why somebody may or may not come in or publish.
func (c *explainCmd) Run(a *app) error {
	var explanation stagedoor.Explanation
	if err := a.show("/api/explain", queryOf("user", c.User, "room", c.Room, "issuer", c.Issuer), c.JSON, &explanation); err != nil || c.JSON {
		return err
	}
	return printExplanation(a.out, coloured(a.out, a.environ), explanation)
}

// printExplanation writes one line a step: a mark, what it is about, a
// sentence, and how old the fact is.
func printExplanation(out io.Writer, colour bool, e stagedoor.Explanation) error {
	title := stagedoor.Printable(e.User)
	if e.Room != "" {
		title += " in " + stagedoor.Printable(string(e.Room))
	}
	if _, err := fmt.Fprintf(out, "%s\n\n", paint(colour, "1", title)); err != nil {
		return err
	}
	width := 0
	for _, s := range e.Steps {
		width = max(width, len(s.Name))
	}
	for _, s := range e.Steps {
		mark := paint(colour, "2", "·")
		switch s.Mark {
		case stagedoor.Good:
			mark = paint(colour, "32", "✓")
		case stagedoor.Bad:
			mark = paint(colour, "31", "✗")
		}
		age := ""
		if s.Age != nil {
			age = paint(colour, "2", "  ("+ago(*s.Age)+")")
		}
		if _, err := fmt.Fprintf(out, "  %s %-*s  %s%s\n", mark, width, s.Name, stagedoor.Printable(s.Text), age); err != nil {
			return err
		}
	}
	return nil
}

// ago says seconds as people do.
func ago(seconds int64) string {
	switch d := time.Duration(seconds) * time.Second; {
	case d < time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", seconds)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}
