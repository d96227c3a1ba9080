package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"stagedoor"
)

// Filter says which records are wanted. The zero value wants all.
type Filter struct {
	// User is a subject or an identity, of who asked or of whom it was about.
	User, Issuer, Room string
	// Since and Until bound the record's time: not before, and before.
	Since, Until time.Time
	// Outcomes are those wanted; none: all.
	Outcomes []string
	// TokenSHA256 is what HashOf says.
	TokenSHA256 string
}

// Found counts what was read.
type Found struct {
	// Records are all, Matched those that were wanted.
	Records, Matched int64
	// Torn are the beginnings of records that a sudden end cut off, Foreign
	// lines that are no records.
	Torn, Foreign int64
}

// longest is how long a line may be that is looked at, in bytes; no record is.
const longest = 1 << 18

// begin and middle are in every record as it was written.
var (
	begin  = []byte(`{"time":"`)
	middle = []byte(`"audit":"`)
)

// Each calls fn on every record that is wanted, with the line that it is and
// without a line break; both are fn's until it returns. It keeps no more than
// one line. idle, which may be nil, is called when the next line is still to
// come. Errors are r's and fn's.
func (f Filter) Each(r io.Reader, found *Found, fn func(line []byte, e *Entry) error, idle func() error) error {
	lines := bufio.NewReaderSize(r, longest)
	needles := f.needles()
	for {
		if idle != nil && lines.Buffered() == 0 {
			if err := idle(); err != nil {
				return err
			}
		}
		line, err := lines.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) { // what is left of it says what it was
			line = nil
			if _, err = lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
				found.Foreign++
			}
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := f.one(line, needles, found, fn); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// one looks at one line.
func (f Filter) one(line []byte, needles [][]byte, found *Found, fn func([]byte, *Entry) error) error {
	whole := bytes.HasPrefix(line, begin) && line[len(line)-1] == '}' && bytes.Contains(line, middle)
	if whole && !f.mayMatch(line, needles) {
		found.Records++ // most lines are not wanted, and need not be taken apart
		return nil
	}
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil || e.Audit == "" || e.Time.IsZero() {
		if bytes.HasPrefix(line, begin[:min(len(begin), len(line))]) && err != nil {
			found.Torn++
		} else {
			found.Foreign++
		}
		return nil
	}
	found.Records++
	if !f.matches(&e) {
		return nil
	}
	found.Matched++
	return fn(line, &e)
}

// needles are what a record that is wanted has somewhere in its line, however
// a collector wrote it anew.
func (f Filter) needles() [][]byte {
	var all [][]byte
	for _, text := range []string{f.User, f.Issuer, f.Room, f.TokenSHA256} {
		// Anything else may be written in more than one way.
		if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@|") == "" {
			all = append(all, []byte(text))
		}
	}
	return all
}

// mayMatch looks at a line without taking it apart.
func (f Filter) mayMatch(line []byte, needles [][]byte) bool {
	for _, needle := range needles {
		if !bytes.Contains(line, needle) {
			return false
		}
	}
	if f.Since.IsZero() && f.Until.IsZero() {
		return true
	}
	stamp, _, _ := bytes.Cut(line[len(begin):], []byte{'"'})
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	return err != nil || f.covers(at)
}

func (f Filter) covers(at time.Time) bool {
	return (f.Since.IsZero() || !at.Before(f.Since)) && (f.Until.IsZero() || at.Before(f.Until))
}

func (f Filter) matches(e *Entry) bool {
	user := stagedoor.Printable(f.User)
	return f.covers(e.Time) &&
		(f.User == "" || e.Subject == user || e.Identity == user || e.Target == user) &&
		(f.Issuer == "" || e.Issuer == stagedoor.Printable(f.Issuer)) &&
		(f.Room == "" || e.Room == f.Room) &&
		(len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, e.Outcome)) &&
		(f.TokenSHA256 == "" || e.TokenSHA256 == f.TokenSHA256)
}

// unpacked reads what gzip packed, and everything else as it is.
func unpacked(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	magic, err := buffered.Peek(2)
	if err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		return gzip.NewReader(buffered)
	}
	return buffered, nil
}
