package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"stagedoor"
)

// maxFaults bounds what one report lists: who has more begins with these.
const maxFaults = 100

// Fault is one thing to change in a policy file. The zero value names nothing.
type Fault struct {
	// File is the name that Parse was given.
	File string
	// Line and Column count from 1, columns in characters; 0 is the file as a whole.
	Line, Column int
	// Path is the key, such as rooms[1].publish; may be empty.
	Path string
	// What is wrong.
	What string
	// Remedy is what to do; may be empty.
	Remedy string
}

// Error returns the fault on one line, such as
//
//	policy.yaml:12:7: rooms[1].publish: undeclared reference to 'claim' — did you mean 'claims'?
//
// What the file holds is spelled out where it does not print.
func (f Fault) Error() string {
	text := f.File
	if f.Line > 0 {
		text += fmt.Sprintf(":%d:%d", f.Line, f.Column)
	}
	if f.Path != "" {
		text += ": " + f.Path
	}
	text += ": " + f.What
	if f.Remedy != "" {
		text += " — " + f.Remedy
	}
	return stagedoor.Printable(text)
}

// Faults is the error of Parse: everything found, in the order of the file.
type Faults []Fault

// Error returns one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// place is a position in the file; from 1.
type place struct{ line, column int }

// report collects faults while a file is read.
type report struct {
	file   string
	faults Faults
}

// add notes one fault.
func (r *report) add(at place, path, what, remedy string) {
	r.faults = append(r.faults, Fault{File: r.file, Line: at.line, Column: at.column, Path: path, What: what, Remedy: remedy})
}

// err returns every fault in the order of the file, or nil.
func (r *report) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if more := len(r.faults) - maxFaults; more > 0 {
		r.faults = append(r.faults[:maxFaults:maxFaults], Fault{File: r.file, What: fmt.Sprintf("%d more faults are not listed", more)})
	}
	return r.faults
}

// suggest words the known name that name is probably a misspelling of, or "".
func suggest(name string, known []string) string {
	if meant := nearest(name, known); meant != "" {
		return "did you mean '" + meant + "'?"
	}
	return ""
}

// suggestOr is suggest, or the whole list where nothing is near.
func suggestOr(name string, known []string) string {
	if meant := suggest(name, known); meant != "" {
		return meant
	}
	return "known are " + strings.Join(known, ", ")
}

// nearest returns the known name with the fewest letters' difference, or ""
// where a third of them or more would differ.
func nearest(name string, known []string) string {
	best, least := "", 4
	for _, candidate := range known {
		allowed := max(1, min(len(candidate), len(name))/3)
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d <= allowed && d < least && len(name) <= 64 {
			best, least = candidate, d
		}
	}
	return best
}

// distance is the number of letters inserted, left out, changed or swapped
// with their neighbour between a and b: Damerau and Levenshtein's, restricted
// to one edit per place. Names that differ in length by more than three are
// not measured.
func distance(a, b string) int {
	if len(a)-len(b) > 3 || len(b)-len(a) > 3 {
		return 4
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := 1
			if a[i-1] == b[j-1] {
				changed = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
