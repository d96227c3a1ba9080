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
	return `Looks for the secrets that are set in the environment and in .env (raw, base64, hex, URL-encoded), and for what looks like a secret key of Stripe or LiveKit. Unpacks zip, tar, gzip and tar.gz once. docs/operations.md lists what is found and what is not. For more, use gitleaks or trufflehog.

A secret is never printed. Symbolic links in directories are not followed. The .env file in use and the .git directory of what is named are skipped unless they are named: git log -p --all | stagedoor scan -

Exit status: 0 nothing found, 1 something found or not scanned, 2 usage.`
}

// scanAnswer is the JSON answer.
type scanAnswer struct {
	// Secrets are the variables whose values were looked for, Short those whose
	// values are too short for it.
	Secrets []string `json:"secrets"`
	Short   []string `json:"short"`
	scan.Report
	Seconds float64 `json:"seconds"`
}

// Run scans the paths. It fails when it finds a secret or cannot read something.
func (c *scanCmd) Run(a *app) error {
	cfg, report, err := a.configure(config.Offline)
	if err != nil {
		return err
	}
	secrets, answer := wanted(cfg, report)
	start := time.Now()
	options := scan.Options{Secrets: secrets, EnvFile: cmp.Or(a.envFile, ".env"), Stdin: os.Stdin}
	result, err := scan.Run(a.ctx, options, c.Paths...)
	result.Unread = append(answer.Unread, result.Unread...)
	answer.Report = result
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

// wanted returns what to look for: the configured secrets, and of addresses only
// the password. A secret that is set but cannot be used is in the answer's Unread.
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

// scanFor looks for the configured secrets in files, for stagedoor check. What
// cannot be read counts as a find, because it may hold a secret.
func scanFor(a *app, cfg *config.Config, report *config.Report) func(context.Context, []string) ([]string, error) {
	return func(ctx context.Context, paths []string) ([]string, error) {
		secrets, _ := wanted(cfg, report)
		result, err := scan.Run(ctx, scan.Options{Secrets: secrets, EnvFile: cmp.Or(a.envFile, ".env")}, paths...)
		if err != nil {
			return nil, err
		}
		var found []string
		for _, f := range result.Finds {
			found = append(found, fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Kind))
		}
		for _, n := range result.Unread {
			found = append(found, n.Path+" was not scanned: "+n.Reason)
		}
		return found, nil
	}
}

// passwordIn returns the password of an address, or an empty secret.
func passwordIn(address stagedoor.Secret) stagedoor.Secret {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return address // it may hold a password
	}
	password, _ := u.User.Password()
	return stagedoor.NewSecret(cmp.Or(password, u.Query().Get("password")))
}

// text is the answer for people: finds, then what was not scanned, then the sum.
func (s scanAnswer) text(colour bool) string {
	var b strings.Builder
	places := make([]string, len(s.Finds))
	width := 0
	for i, f := range s.Finds {
		places[i] = f.Path
		if f.Line > 0 {
			places[i] += fmt.Sprintf(":%d", f.Line)
		}
		// One long path must not push all kinds out of sight.
		width = max(width, min(60, utf8.RuneCountInString(places[i])))
	}
	for i, f := range s.Finds {
		pad := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(places[i])))
		fmt.Fprintf(&b, "%s%s  %s\n", places[i], pad, paint(colour, "31", f.Kind))
	}
	for _, n := range s.Unread {
		fmt.Fprintf(&b, "%s %s %s\n", paint(colour, "33", "not scanned:"), n.Path, n.Reason)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "%s %s %s\n", paint(colour, "2", "note:"), n.Path, n.Reason)
	}
	for _, name := range s.Short {
		fmt.Fprintf(&b, "%s %s is shorter than %d bytes: not looked for\n", paint(colour, "2", "note:"), name, scan.Shortest)
	}
	what := "no secret is set: looked only for the shapes of Stripe's and LiveKit's keys"
	if n := len(s.Secrets); n > 0 {
		what = fmt.Sprintf("looked for %s (%s), and for the shapes of Stripe's and LiveKit's keys",
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
		sum += fmt.Sprintf(", %d not scanned", n)
	}
	fmt.Fprintf(&b, "%s\n%s in %s, %s, %.1f s\n", what, paint(colour, tint, sum), counted(int(s.Files), "file"), megabytes(s.Bytes), s.Seconds)
	return b.String()
}

// megabytes writes an amount of bytes for people.
func megabytes(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
