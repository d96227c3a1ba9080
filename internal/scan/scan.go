// Package scan looks for secrets in files, directories and archives. It finds the
// configured secrets raw, in base64, in hex and URL-encoded, and Stripe's and
// LiveKit's keys by their shape. No result holds a byte of a secret.
package scan

import (
	"context"
	"io"

	"stagedoor"
)

// Shortest is how many bytes a secret must have: shorter ones occur by chance.
const Shortest = 8

// maxFinds is how many finds are listed.
const maxFinds = 1000

// Secret is a secret to look for and the variable it is configured by.
type Secret struct {
	Name  string
	Value stagedoor.Secret
}

// Options say what to look for. The zero value looks for shapes only.
type Options struct {
	// Secrets are looked for in all spellings, unless they are shorter than Shortest.
	Secrets []Secret
	// EnvFile is the file that the secrets come from; may be empty. Directory scans skip it with a note.
	EnvFile string
	// Stdin is what the path "-" reads; nil is empty.
	Stdin io.Reader
}

// Find is a place where a secret can be read. Its texts can be printed on a terminal.
type Find struct {
	// Path is the file as the caller named it; "!" comes before a member of an archive.
	Path string `json:"path"`
	// Line counts from 1; 0 for names.
	Line int `json:"line,omitempty"`
	// Offset counts bytes from 0, in the unpacked content for members of archives.
	Offset int64 `json:"offset"`
	// Kind is what was found: "JWT_SECRET, base64" or "Stripe secret key (live)".
	Kind string `json:"kind"`
}

// Note is about a path that was not scanned, or not to its end.
type Note struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Report is the result of a scan. The zero value is an empty scan.
type Report struct {
	// Finds are in the order of the scan, at most 1,000.
	Finds []Find `json:"finds"`
	// More is how many finds are not listed.
	More int64 `json:"more,omitempty"`
	// Unread could not be scanned, or only in part.
	Unread []Note `json:"unread"`
	// Notes were skipped on purpose.
	Notes []Note `json:"notes"`
	// Files and Bytes were scanned; bytes as they are on the disk.
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Clean reports whether everything was scanned and nothing found.
func (r Report) Clean() bool { return len(r.Finds) == 0 && r.More == 0 && len(r.Unread) == 0 }

// Run scans files, directories with everything in them, and Options.Stdin for
// "-". It follows symbolic links in paths but not inside directories. What
// cannot be read is in Report.Unread.
//
// It returns an error for a path that does not exist and when ctx ends; the
// report then has what was scanned until then.
func Run(ctx context.Context, o Options, paths ...string) (Report, error) {
	x := newIndex(o.Secrets)
	r := &run{options: o, index: x, buf: make([]byte, 2*x.reach+chunk)}
	r.report = Report{Finds: []Find{}, Unread: []Note{}, Notes: []Note{}}
	for _, path := range paths {
		if err := r.path(ctx, path); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

// run is one call of Run.
type run struct {
	options Options
	index   *index
	buf     []byte
	report  Report
	// read and unpacked count bytes of the file that is scanned now.
	read, unpacked tally
}

// found lists a find, or counts it when the list is full.
func (r *run) found(f Find) {
	if len(r.report.Finds) >= maxFinds {
		r.report.More++
		return
	}
	r.report.Finds = append(r.report.Finds, f)
}

func (r *run) unread(path, reason string) {
	r.report.Unread = append(r.report.Unread, Note{Path: path, Reason: reason})
}

func (r *run) skipped(path, reason string) {
	r.report.Notes = append(r.report.Notes, Note{Path: path, Reason: reason})
}
