package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"stagedoor"
	"stagedoor/internal/audit"
	"stagedoor/internal/config"
)

type auditCmd struct {
	File    string   `arg:"" optional:"" help:"The audit log, or - for standard input. Without it, what AUDIT_LOG names."`
	User    string   `help:"Only what this person asked for, or what was done to them: the subject of their token, or their identity."`
	Issuer  string   `help:"Whose subject, where there are several issuers."`
	Room    string   `help:"Only this room."`
	Since   string   `help:"From then on: 24h, 7d, 2026-11-24 or 2026-11-24T18:00:00Z." placeholder:"TIME"`
	Until   string   `help:"Until then." placeholder:"TIME"`
	Outcome []string `help:"Only these outcomes: granted, or codes of refusals such as banned." placeholder:"CODE"`
	Token   string   `help:"Only the record of this LiveKit token; - reads it from standard input, out of sight of other users." placeholder:"TOKEN"`
	JSON    bool     `help:"The records as they were written."`
}

// Run shows what was decided.
func (c *auditCmd) Run(a *app) error {
	filter, err := c.filter(a.now(), os.Stdin)
	if err != nil {
		return failure{exitUsage, err}
	}
	out := bufio.NewWriterSize(a.out, 1<<16)
	show := printer(out, coloured(a.out, a.environ), c.JSON)
	var found audit.Found
	if c.File == "-" {
		err = filter.Each(os.Stdin, &found, show, out.Flush)
	} else {
		err = c.read(a, filter, &found, show)
	}
	if err := errors.Join(out.Flush(), err); err != nil {
		return err
	}
	if found.Matched == 0 {
		_, _ = fmt.Fprintf(a.err, "stagedoor: there is no such record among %s that were looked at\n", counted(int(found.Records), "record"))
	}
	if found.Torn+found.Foreign > 0 {
		_, _ = fmt.Fprintf(a.err, "stagedoor: skipped %s that a sudden end tore, and %s that are no audit records\n",
			counted(int(found.Torn), "line"), counted(int(found.Foreign), "line"))
	}
	return nil
}

// read goes through the log's files.
func (c *auditCmd) read(a *app, filter audit.Filter, found *audit.Found, show func([]byte, *audit.Entry) error) error {
	path := c.File
	if path == "" {
		cfg, _, err := a.configure(config.Operate)
		if err != nil {
			return err
		}
		if path = cfg.AuditLog; path == auditToStdout {
			return failure{exitUsage, errors.New("AUDIT_LOG names no file: records go to standard output. Name the file that they are collected in, or pipe them in and write -")}
		}
	}
	files, err := audit.OpenFiles(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no audit log at %s", path)
	}
	if err != nil {
		return err
	}
	return errors.Join(files.Each(filter, found, show), files.Close())
}

func (c *auditCmd) filter(now time.Time, stdin io.Reader) (audit.Filter, error) {
	f := audit.Filter{User: c.User, Issuer: c.Issuer, Room: c.Room, Outcomes: c.Outcome}
	var err error
	if f.Since, err = moment("--since", c.Since, now); err != nil {
		return f, err
	}
	if f.Until, err = moment("--until", c.Until, now); err != nil {
		return f, err
	}
	for _, outcome := range c.Outcome {
		if outcome != "granted" && !slices.ContainsFunc(stagedoor.Kinds(), func(k stagedoor.Kind) bool { return k.String() == outcome }) {
			return f, fmt.Errorf("--outcome: there is no outcome %s; it is granted or a code that docs/api.md has", stagedoor.Printable(outcome))
		}
	}
	token := c.Token
	if token == "-" {
		if c.File == "-" {
			return f, errors.New("either the token or the records come from standard input, not both")
		}
		data, err := io.ReadAll(io.LimitReader(stdin, maxToken))
		if err != nil {
			return f, err
		}
		if token = strings.TrimSpace(string(data)); token == "" {
			return f, errors.New("there is no token on standard input")
		}
	}
	if token != "" {
		f.TokenSHA256 = audit.HashOf(token)
	}
	return f, nil
}

// moment reads a time, or how long ago it was.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: write how long ago, as 30m, 24h or 7d, or a time, as 2026-11-24 or 2026-11-24T18:00:00Z", flag)
}

// printer writes records as lines of columns, or as they are. Columns have
// widths of their own: to align them all, all would have to be kept.
func printer(out *bufio.Writer, colour, asJSON bool) func([]byte, *audit.Entry) error {
	if asJSON {
		return func(line []byte, _ *audit.Entry) error {
			_, _ = out.Write(line)
			return out.WriteByte('\n')
		}
	}
	begun := false
	return func(_ []byte, e *audit.Entry) error {
		if !begun {
			begun = true
			_, _ = fmt.Fprintf(out, "%s  %s  %s  %s  %s  %s\n", column("TIME", 20), column("WHO", 24), column("DID", 7), column("ROOM", 20), column("OUTCOME", 18), "DETAILS")
		}
		outcome, more := e.Outcome, details(e)
		if more != "" {
			outcome, more = column(outcome, 18), "  "+paint(colour, "2", more)
		}
		attribute := "31"
		if e.Outcome == "granted" {
			attribute = "32"
		}
		_, err := fmt.Fprintf(out, "%s  %s  %s  %s  %s%s\n", paint(colour, "2", column(e.Time.UTC().Format(time.RFC3339), 20)), column(e.Subject, 24),
			column(e.Audit, 7), column(e.Room, 20), paint(colour, attribute, stagedoor.Printable(outcome)), more)
		return err
	}
}

// column is a text, as somebody else's log may have it, in a column.
func column(text string, width int) string {
	text = stagedoor.Printable(text)
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// details is what else a record says, in a few words.
func details(e *audit.Entry) string {
	var all []string
	add := func(format string, args ...any) { all = append(all, stagedoor.Printable(fmt.Sprintf(format, args...))) }
	if (e.Audit == "join" || e.Audit == "enforce") && e.Outcome == "granted" {
		what := "may watch: " + e.PublishDenied
		if e.CanPublish {
			what = "may publish"
			if len(e.Sources) < len(stagedoor.AllSources()) {
				what += fmt.Sprint(" ", e.Sources)
			}
		}
		add("%s", what)
		if e.Identity != e.Subject {
			add("as %s", e.Identity)
		}
	}
	if e.Target != "" {
		add("of %s", e.Target)
	}
	if e.Cause != "" {
		add("cause %s", e.Cause)
	}
	if e.By != "" {
		add("by %s", e.By)
	}
	if !e.Until.IsZero() {
		add("until %s", e.Until.UTC().Format(time.RFC3339))
	}
	if e.Rule != "" {
		add("by the rule %s", e.Rule)
	}
	if len(e.Features) > 0 {
		names := make([]string, len(e.Features))
		for i, feature := range e.Features {
			names[i] = string(feature)
		}
		add("features %s", strings.Join(names, ","))
	}
	if e.FactsAge != nil {
		add("facts of %s", ago(*e.FactsAge))
	}
	return strings.Join(all, ", ")
}
