package config

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing to change. It never holds a value that was read.
type Problem struct {
	// Name is the variable to look at.
	Name string
	// What is wrong with it.
	What string
	// Remedy is what to do; may be empty.
	Remedy string
	// Weak is set where what is wrong is the secret itself: it can be guessed,
	// is known, or opens a second thing.
	Weak bool
}

// Report is everything found in a configuration, in the order of Config's
// fields. The zero value is a clean report.
type Report struct {
	// Problems stop the start.
	Problems []Problem
	// Warnings do not.
	Warnings []Problem
}

// Err returns nil when nothing stops the start, else an error naming every
// problem on one line.
func (r *Report) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	parts := make([]string, len(r.Problems))
	for i, p := range r.Problems {
		parts[i] = printable(p.Name) + ": " + p.What
	}
	return errors.New("configuration: " + strings.Join(parts, "; "))
}

// Escapes of a terminal's colours (ECMA-48 SGR).
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	dim    = "\x1b[2m"
	plain  = "\x1b[0m"
)

// Format writes problems, then warnings: names left, what is wrong beside
// them, the remedy below. A clean report writes nothing. Errors are w's.
func (r *Report) Format(w io.Writer, color bool) error {
	width := 0
	for _, p := range slices.Concat(r.Problems, r.Warnings) {
		width = max(width, len(printable(p.Name)))
	}
	var out strings.Builder
	section(&out, "problem", red, r.Problems, width, color)
	if len(r.Problems) > 0 && len(r.Warnings) > 0 {
		out.WriteByte('\n')
	}
	section(&out, "warning", yellow, r.Warnings, width, color)
	_, err := io.WriteString(w, out.String())
	return err
}

// section writes one list under its count.
func section(out *strings.Builder, noun, tint string, list []Problem, width int, color bool) {
	if len(list) == 0 {
		return
	}
	paint := func(tint, s string) string {
		if !color {
			return s
		}
		return tint + s + plain
	}
	if len(list) > 1 {
		noun += "s"
	}
	fmt.Fprintf(out, "%d %s in the configuration:\n\n", len(list), noun)
	for _, p := range list {
		name := printable(p.Name)
		pad := strings.Repeat(" ", width-len(name))
		fmt.Fprintf(out, "  %s%s  %s\n", paint(tint, name), pad, p.What)
		if p.Remedy != "" {
			fmt.Fprintf(out, "  %*s  %s\n", width, "", paint(dim, "→ "+p.Remedy))
		}
	}
}

// printable quotes a name that could steer a terminal: the environment is
// not ours to trust.
func printable(name string) string {
	for _, r := range name {
		if r <= ' ' || r > '~' {
			return strconv.QuoteToASCII(name)
		}
	}
	return name
}

// sort brings both lists into the order of names, unknown names last.
func (r *Report) sort(names []string) {
	rank := func(p Problem) int {
		if i := slices.Index(names, strings.TrimSuffix(p.Name, fileSuffix)); i >= 0 {
			return i
		}
		if i := slices.Index(names, p.Name); i >= 0 {
			return i
		}
		return len(names)
	}
	for _, list := range [][]Problem{r.Problems, r.Warnings} {
		slices.SortStableFunc(list, func(a, b Problem) int {
			if d := rank(a) - rank(b); d != 0 {
				return d
			}
			return strings.Compare(a.Name, b.Name)
		})
	}
}
