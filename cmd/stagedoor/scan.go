package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/scan"
)

type scanCmd struct {
	Paths []string `arg:"" name:"path" help:"Files and directories; - is standard input."`
	JSON  bool     `help:"As JSON."`
}

// Help is what stagedoor scan --help says besides the flags.
func (*scanCmd) Help() string {
	return `Looks for the secrets that are set in the environment and in .env (raw, base64, hex, escaped for URLs, JSON, HTML and programs, UTF-16), and for what looks like a secret key of Stripe, an API secret or token of LiveKit, or a private key. Looks into gzip, bzip2, zlib, zip, tar and images saved as tar; docs/operations.md lists what is looked for and what is not. Of brotli, zstd, xz and git's packs it says that it does not: git log -p --all | stagedoor scan -

A secret is never printed. Symbolic links in directories are not followed. The .env file in use and the .git directory of what is named are left out unless they are named.

Exit status: 0 nothing found, 1 something found or not looked at, 2 usage.`
}

// scanAnswer is what a program is told.
type scanAnswer struct {
	// Secrets are the variables whose values were looked for, Short those whose
	// values are too short for it.
	Secrets []string `json:"secrets"`
	Short   []string `json:"short"`
	scan.Report
	Seconds float64 `json:"seconds"`
}

// Run looks for secrets, and fails where it finds one or cannot tell.
func (c *scanCmd) Run(a *app) error {
	cfg, report, err := a.configure(config.Offline)
	if err != nil {
		return err
	}
	secrets, answer := wanted(cfg, report)
	shown := newScanProgress(a.err)
	start := time.Now()
	scanner := scan.New(scan.Options{Secrets: secrets, EnvFile: cmp.Or(a.envFile, ".env"), Stdin: os.Stdin, Progress: shown.tell})
	seen, err := scanner.Run(a.ctx, c.Paths...)
	shown.end()
	seen.Unread = append(answer.Unread, seen.Unread...)
	answer.Report = seen
	answer.Seconds = time.Since(start).Seconds()
	switch {
	case err != nil && a.ctx.Err() != nil:
		return err
	case err != nil:
		return failure{exitUsage, err}
	}
	if c.JSON {
		encoder := json.NewEncoder(a.out)
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(answer)
	} else {
		_, err = io.WriteString(a.out, answer.text(coloured(a.out, a.environ)))
	}
	if err == nil && !answer.Clean() {
		return failure{status: exitFailed}
	}
	return err
}

// wanted is what to look for: the configured secrets, and of addresses the
// password alone. A secret that is set and cannot be used is said not to be looked for.
func wanted(cfg *config.Config, report *config.Report) ([]scan.Secret, scanAnswer) {
	answer := scanAnswer{Secrets: []string{}, Short: []string{}, Report: scan.Report{Unread: []scan.Note{}}}
	var secrets []scan.Secret
	for _, s := range cfg.Secrets() {
		value := s.Value
		if strings.HasSuffix(s.Name, "_URL") {
			if value = passwordIn(value); value.Empty() {
				continue
			}
		}
		if value.Len() < scan.Shortest {
			answer.Short = append(answer.Short, s.Name)
			continue
		}
		secrets = append(secrets, scan.Secret{Name: s.Name, Value: value})
		answer.Secrets = append(answer.Secrets, s.Name)
	}
	taken := slices.Concat(answer.Secrets, answer.Short)
	for _, p := range report.Warnings {
		if config.IsSecret(p.Name) && !slices.Contains(taken, p.Name) {
			answer.Unread = append(answer.Unread, scan.Note{Path: p.Name, Reason: p.What + ": not looked for"})
		}
	}
	return secrets, answer
}

// scanFor looks for the configured secrets in files, for stagedoor check.
// What cannot be looked at is an error: nobody knows what is in there.
func scanFor(a *app, cfg *config.Config, report *config.Report) func(context.Context, []string) ([]string, error) {
	return func(ctx context.Context, paths []string) ([]string, error) {
		secrets, _ := wanted(cfg, report)
		seen, err := scan.New(scan.Options{Secrets: secrets, EnvFile: cmp.Or(a.envFile, ".env")}).Run(ctx, paths...)
		if err != nil {
			return nil, err
		}
		var found []string
		for _, f := range seen.Finds {
			found = append(found, fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Kind))
		}
		for _, n := range seen.Unread {
			found = append(found, n.Path+" was not looked at: "+n.Reason)
		}
		return found, nil
	}
}

// passwordIn returns the password of an address; empty: it has none.
func passwordIn(address stagedoor.Secret) stagedoor.Secret {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return address // it may be in there
	}
	password, _ := u.User.Password()
	return stagedoor.NewSecret(cmp.Or(password, u.Query().Get("password")))
}

// text is the answer for people: finds, then what was not looked at, then the sum.
func (s scanAnswer) text(colour bool) string {
	var b strings.Builder
	places := make([]string, len(s.Finds))
	width, kinds := 0, 0
	for i, f := range s.Finds {
		places[i] = fmt.Sprintf("%s:%d", f.Path, f.Line)
		switch {
		case strings.HasSuffix(f.Kind, ", in the name"):
			places[i] = f.Path
		case f.Line == 0:
			places[i] = fmt.Sprintf("%s, byte %d", f.Path, f.Offset)
		}
		// One long path must not push all kinds out of sight.
		width = max(width, min(60, utf8.RuneCountInString(places[i])))
		kinds = max(kinds, len(f.Kind))
	}
	for i, f := range s.Finds {
		pad := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(places[i])))
		fmt.Fprintf(&b, "%s%s  %s  %s\n", places[i], pad, paint(colour, "31", fmt.Sprintf("%-*s", kinds, f.Kind)), paint(colour, "2", f.Excerpt))
	}
	for _, n := range s.Unread {
		fmt.Fprintf(&b, "%s %s %s\n", paint(colour, "33", "not looked at:"), n.Path, n.Reason)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "%s %s %s\n", paint(colour, "2", "note:"), n.Path, n.Reason)
	}
	for _, name := range s.Short {
		fmt.Fprintf(&b, "%s %s is shorter than %d bytes: not looked for\n", paint(colour, "2", "note:"), name, scan.Shortest)
	}
	what := "no secret is set: looked for the shapes of Stripe's and LiveKit's credentials and private keys alone"
	if n := len(s.Secrets); n > 0 {
		what = fmt.Sprintf("looked for %s (%s), and for the shapes of Stripe's and LiveKit's credentials and private keys",
			counted(n, "configured secret"), strings.Join(slices.Compact(slices.Clone(s.Secrets)), ", "))
	}
	sum, tint := counted(len(s.Finds)+int(s.More), "find"), "31"
	if s.Clean() {
		tint = "32"
	}
	if s.More > 0 {
		sum += fmt.Sprintf(" (%d not listed)", s.More)
	}
	if n := len(s.Unread); n > 0 {
		sum += fmt.Sprintf(", %d not looked at", n)
	}
	fmt.Fprintf(&b, "%s\n%s in %s, %s, %.1f s\n", what, paint(colour, tint, sum), counted(int(s.Files), "file"), megabytes(s.Bytes), s.Seconds)
	return b.String()
}

// megabytes is an amount as people read it.
func megabytes(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// scanProgress is one line on a terminal that changes, for a scan that takes
// longer than a second.
type scanProgress struct {
	out         io.Writer
	live, drawn bool
	start, last time.Time
}

func newScanProgress(out io.Writer) *scanProgress {
	return &scanProgress{out: out, live: terminal(out), start: time.Now()}
}

// tell shows how far the scan is, five times a second.
func (p *scanProgress) tell(path string, files, bytes int64) {
	if now := time.Now(); p.live && now.Sub(p.start) > time.Second && now.Sub(p.last) > 200*time.Millisecond {
		p.last, p.drawn = now, true
		line := []rune(fmt.Sprintf("  %3.0f s  %d files  %s  %s", now.Sub(p.start).Seconds(), files, megabytes(bytes), stagedoor.Printable(path)))
		_, _ = fmt.Fprintf(p.out, "\r%-78s", string(line[:min(len(line), 78)]))
	}
}

// end takes the line away.
func (p *scanProgress) end() {
	if p.drawn {
		_, _ = fmt.Fprintf(p.out, "\r%-78s\r", "")
	}
}
