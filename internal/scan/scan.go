// Package scan looks for secrets where none may be: in files, bundles and
// images' layers. It knows the configured secrets in the spellings that programs give
// them (spelling.go, escape.go), and the shapes of Stripe's and LiveKit's credentials
// (shape.go).
//
// One pass over the bytes of a file finds the first four bytes of either
// (index.go); what begins there is then read in full. A secret's own bytes never
// leave the package.
package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"stagedoor"
)

// Shortest is how many bytes a secret must have to be looked for: a shorter
// one would be found by chance.
const Shortest = 8

// Secret is a secret to look for and the variable it is configured by.
type Secret struct {
	Name  string
	Value stagedoor.Secret
}

// Options say what to look for. The zero value looks for shapes alone.
type Options struct {
	// Secrets are looked for in the spellings of spelling.go and escape.go; those
	// shorter than Shortest are not looked for.
	Secrets []Secret
	// EnvFile is the file that the secrets came from. It is left out, and noted,
	// where the scan meets it in a directory, and looked at where it is named.
	EnvFile string
	// Stdin is what the path "-" reads; nil: it is empty.
	Stdin io.Reader
	// Progress is told, often, what is looked at and how much has been. It is
	// called by the goroutine that called Run. nil: nobody is told.
	Progress func(path string, files, bytes int64)
}

// Find is a secret at a place where it can be read. It holds no byte of the
// secret, and its texts can be printed on a terminal.
type Find struct {
	// Path is the file, as the caller named it; members of archives follow a "!".
	Path string `json:"path"`
	// Line counts from 1; 0 where there are none, in binary files and in names.
	Line int `json:"line,omitempty"`
	// Offset counts bytes from 0, in what was unpacked for members of archives.
	Offset int64 `json:"offset"`
	// Kind is what was found: "JWT_SECRET, base64" or "Stripe secret key (live)".
	Kind string `json:"kind"`
	// Excerpt is the name that the secret is assigned to, if there is one, and
	// **** for the secret.
	Excerpt string `json:"excerpt"`
}

// Note is about a path that was not looked at, or not to its end.
type Note struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Report is what a scan saw. The zero value saw nothing.
type Report struct {
	// Finds are in the order in which they were met.
	Finds []Find `json:"finds"`
	// More is how many finds are not listed, because there are too many in
	// one file or in all.
	More int64 `json:"more,omitempty"`
	// Unread could not be looked at, or only in part: nobody knows what is in there.
	Unread []Note `json:"unread"`
	// Notes are what was left out on purpose.
	Notes []Note `json:"notes"`
	// Files and Bytes were looked at; bytes as they are on the disk.
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Clean reports whether everything was looked at and nothing found.
func (r Report) Clean() bool { return len(r.Finds) == 0 && r.More == 0 && len(r.Unread) == 0 }

// Scanner looks for secrets; New makes one. Safe for concurrent use, as far as
// Options.Stdin and Options.Progress are.
type Scanner struct {
	options   Options
	needles   []needle
	index     *index
	fragments []string // see excerpt
	ahead     int      // how many bytes after its first are needed to judge a find
	bounds    bounds
}

// needle is something to look for: a form of a secret, or a shape.
type needle struct {
	form  *form
	shape *shape
}

// String says how many secrets there are and nothing of them.
func (s *Scanner) String() string {
	return "a scanner for " + strconv.Itoa(len(s.options.Secrets)) + " secrets"
}

// Format writes what String says, for every verb: the fields hold secrets.
func (s *Scanner) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// New prepares a scan.
func New(options Options) *Scanner {
	s := &Scanner{options: options, index: newIndex(), ahead: longestShape, bounds: defaultBounds}
	add := func(n needle, anchors []string) {
		for _, a := range anchors {
			s.index.add(a, len(s.needles))
		}
		s.needles = append(s.needles, n)
	}
	for _, secret := range options.Secrets {
		value := secret.Value.Reveal()
		if len(value) < Shortest {
			continue
		}
		for _, f := range formsOf(secret.Name, value) {
			add(needle{form: &f}, f.anchors())
			s.ahead = max(s.ahead, f.longest())
		}
		s.fragments = append(s.fragments, fragmentsOf(value)...)
	}
	for _, shape := range shapes {
		add(needle{shape: &shape}, shape.anchors)
	}
	return s
}

// Run looks through files, through directories with all that is in them, and
// through Options.Stdin for "-". Symbolic links are followed where they are named
// in paths and nowhere else. What cannot be read is in the report.
//
// Errors: a path that is not there, and the context's; the report then says
// what was seen until then.
func (s *Scanner) Run(ctx context.Context, paths ...string) (Report, error) {
	r := &run{Scanner: s, buf: make([]byte, behind+s.bounds.chunk+s.ahead)}
	r.report = Report{Finds: []Find{}, Unread: []Note{}, Notes: []Note{}}
	roots, err := r.roots(paths)
	for _, root := range roots {
		if err = r.walk(ctx, root); err != nil {
			break
		}
	}
	if err != nil && ctx.Err() != nil {
		err = errors.New("the scan was interrupted")
	}
	return r.report, err
}
