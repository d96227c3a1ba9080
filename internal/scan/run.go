package scan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"stagedoor"
)

const (
	// behind and Scanner.ahead are how much is kept around what is judged at
	// once, so that no border between two reads hides anything.
	behind = 256
	// mostFinds are listed in all, mostInFile of one file or member.
	mostFinds, mostInFile = 10_000, 100
)

// run is one call of Run.
type run struct {
	*Scanner
	buf    []byte
	report Report
	spent  int64 // bytes unpacked from the file that is looked at
	paid   int64 // bytes read of it
	// zipEnds: what stream looked at last ended as a zip does.
	zipEnds bool
}

// match is a place in a buffer where a secret was read. name is empty for a shape.
type match struct {
	from, to   int
	kind, name string
}

// again reports whether m says what another match does.
func (m match) again(other match) bool {
	return other.from < m.to && m.from < other.to && (other.name == m.name || m.name == "")
}

// matches returns every secret whose anchor is in buf[low:high], each once where
// it is, and by its name rather than by its shape.
func (s *Scanner) matches(buf []byte, low, high int) []match {
	var all, kept []match
	s.index.each(buf, low, high, func(at, id int) {
		if f := s.needles[id].form; f != nil {
			if end, ok := f.match(buf, at); ok {
				all = append(all, match{at, end, f.kind(buf[at:end]), f.name})
			}
		} else if from, to, ok := s.needles[id].shape.read(buf, at); ok {
			all = append(all, match{from: from, to: to, kind: s.needles[id].shape.kind})
		}
	})
	slices.SortStableFunc(all, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to), cmp.Compare(b.name, a.name))
	})
	for i, m := range all {
		named := func(other match) bool { return other.name != "" && m.again(other) }
		const near = 16 // as many may overlap
		if !slices.ContainsFunc(kept[max(0, len(kept)-near):], m.again) && (m.name != "" || !slices.ContainsFunc(all[i:min(len(all), i+near)], named)) {
			kept = append(kept, m)
		}
	}
	return kept
}

// stream looks through all that source gives. The error is source's or the context's.
func (r *run) stream(ctx context.Context, path string, source io.Reader) error {
	// line is that of buf[last]; a find can begin a little behind buf[high].
	var low, have, line, last, finds int
	base, binary := int64(0), false // the offset of buf[0]
	var past match                  // the last one found before buf[low]
	r.zipEnds = false
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		have, err = fill(source, r.buf, have)
		r.progress(path)
		high := have
		if err == nil {
			high = have - r.ahead
		}
		if first { // as git tells binary files
			binary = bytes.IndexByte(r.buf[:min(have, 8000)], 0) >= 0
		}
		for _, m := range r.matches(r.buf[:have], low, high) {
			if m.again(past) {
				continue
			}
			past = m
			if m.from > last {
				line += bytes.Count(r.buf[last:m.from], []byte{'\n'})
				last = m.from
			}
			f := Find{Path: path, Line: line + 1, Offset: base + int64(m.from), Kind: m.kind}
			if binary {
				f.Line = 0
			}
			if finds++; finds > mostInFile {
				r.report.More++
				continue
			}
			f.Excerpt = r.excerpt(r.buf[:have], m.from)
			r.found(f)
		}
		if errors.Is(err, io.EOF) { // what is kept holds any end of a zip
			r.zipEnds = endsInZip(r.buf[:have])
			return nil
		}
		if err != nil {
			return err
		}
		if last < high {
			line += bytes.Count(r.buf[last:high], []byte{'\n'})
			last = high
		}
		drop := high - behind
		copy(r.buf, r.buf[drop:have])
		have, low, last, base = have-drop, behind, last-drop, base+int64(drop)
		past.from, past.to = past.from-drop, past.to-drop
	}
}

// fill reads until the buffer is full. Unlike io.ReadFull it keeps the end of a
// file apart from an archive that is cut off (io.ErrUnexpectedEOF).
func fill(source io.Reader, buf []byte, have int) (int, error) {
	for have < len(buf) {
		n, err := source.Read(buf[have:])
		have += n
		if err != nil {
			return have, err
		}
	}
	return have, nil
}

// found lists a find, while there is room.
func (r *run) found(f Find) {
	if len(r.report.Finds) >= mostFinds {
		r.report.More++
		return
	}
	r.report.Finds = append(r.report.Finds, f)
}

// unread notes a path that was not looked at, or not to its end.
func (r *run) unread(path, reason string) {
	r.report.Unread = append(r.report.Unread, Note{path, reason})
}

// progress tells whoever wants to know.
func (r *run) progress(path string) {
	if r.options.Progress != nil {
		r.options.Progress(path, r.report.Files, r.report.Bytes)
	}
}

// assigned is the name in front of a value.
var assigned = regexp.MustCompile(`(?:\\[nrt])?([A-Za-z_][A-Za-z0-9_.-]{0,39})[\\"'\x60\]]*\s{0,8}[:=]\s{0,8}[\\"'\x60]*$`)

// excerpt shows the name that a secret is assigned to. Nothing else is shown,
// and no name that could be of a secret itself, or half of one.
func (s *Scanner) excerpt(buf []byte, at int) string {
	low := max(0, at-behind/2)
	m := assigned.FindSubmatchIndex(buf[low:at])
	if m == nil {
		return mask
	}
	name := buf[low+m[2] : low+m[3]]
	for _, found := range s.matches(buf, max(0, low-behind), at) {
		if found.from < low+m[3] && low+m[2] < found.to {
			return mask
		}
	}
	const piece = 4
	folded := strings.ToLower(string(name))
	for i := range max(0, len(folded)-piece+1) {
		for _, f := range s.fragments {
			if strings.Contains(f, folded[i:i+piece]) {
				return mask
			}
		}
	}
	if len(name) > 16 && secretLike(name) {
		return mask
	}
	return string(name) + " = " + mask
}

const mask = "****"

// fragmentsOf lists the plain forms of a secret, in lower case: no excerpt may
// show four bytes of them.
func fragmentsOf(secret string) []string {
	var all []string
	for _, f := range formsOf("", secret) {
		text := strings.ToLower(f.plain)
		all = append(all, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
	}
	return all
}

// shown makes a path fit to be shown: secrets in it become asterisks, and what
// does not print is spelled out.
func (s *Scanner) shown(path string) string {
	var b strings.Builder
	last := 0
	for _, m := range s.matches([]byte(path), 0, len(path)) {
		if m.to > last {
			b.WriteString(path[last:max(last, m.from)] + mask)
			last = m.to
		}
	}
	return stagedoor.Printable(b.String() + path[last:])
}

// named looks for secrets in the name of a file, or of a member of an archive.
func (r *run) named(path, name string) {
	for _, m := range r.matches([]byte(name), 0, len(name)) {
		r.found(Find{Path: path, Offset: int64(m.from), Kind: m.kind + ", in the name", Excerpt: mask})
	}
}
