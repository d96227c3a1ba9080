package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Files are a log and those that were moved away from it, by the log itself or
// by something like logrotate, opened all at once: what is moved meanwhile is
// read all the same, and once.
type Files struct{ open []opened }

// opened is one file and when its first record is of; zero where it has none.
type opened struct {
	name  string
	file  *os.File
	begin time.Time
}

// rotatedName is what follows a log's path in the name of a file that was
// moved away: ".1", "-20261124", ".20261124T120000.000000000Z", packed or not.
var rotatedName = regexp.MustCompile(`^[.-][0-9][0-9TZ:.-]*(\.gz)?$`)

// OpenFiles opens the log at a path with all that was moved away from it; at
// least one of them must be there.
func OpenFiles(path string) (*Files, error) {
	f := &Files{}
	names, err := filepath.Glob(globbed(path) + "*")
	if err != nil {
		return nil, err
	}
	// The log first: if it is moved away before the others are opened, it is
	// found among them a second time, and that is seen.
	for _, name := range append([]string{path}, names...) {
		if name != path && !rotatedName.MatchString(strings.TrimPrefix(name, path)) {
			continue
		}
		if packed := strings.HasSuffix(name, ".gz"); packed && slices.Contains(names, strings.TrimSuffix(name, ".gz")) {
			continue // it is being packed
		}
		if err := f.add(name); err != nil && !(errors.Is(err, fs.ErrNotExist) && len(names) > 0) {
			return nil, errors.Join(err, f.Close())
		}
	}
	if len(f.open) == 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	slices.SortStableFunc(f.open, func(a, b opened) int { return a.begin.Compare(b.begin) })
	return f, nil
}

// add opens a file unless it is open already.
func (f *Files) add(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s %w", name, errIrregular)
	}
	for _, other := range f.open {
		if known, failed := other.file.Stat(); err == nil && failed == nil && os.SameFile(info, known) {
			return file.Close()
		}
	}
	o := opened{name: name, file: file}
	if err == nil && info.Mode().IsRegular() {
		o.begin, err = beginning(file)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.open = append(f.open, o)
	return nil
}

// beginning is when the first record of a file is of.
func beginning(file *os.File) (time.Time, error) {
	var first Entry
	if reader, err := unpacked(file); err == nil {
		lines := bufio.NewReader(reader)
		for range 10 { // the first lines may be torn, or foreign
			line, err := lines.ReadBytes('\n')
			if json.Unmarshal(bytes.TrimSpace(line), &first) == nil && first.Audit != "" || err != nil {
				break
			}
		}
	}
	_, err := file.Seek(0, io.SeekStart)
	return first.Time, err
}

// slack is how much two records may be out of order: each has its time before
// its turn to be written.
const slack = time.Minute

// Each calls fn on every record that is wanted, as Filter.Each does, the
// oldest file first. A file that can have none is not read. One that cannot be
// read to its end does not keep the next from being read; that is the error.
func (f *Files) Each(filter Filter, found *Found, fn func(line []byte, e *Entry) error) error {
	var failed, fromCaller error
	for i, o := range f.open {
		if !filter.Until.IsZero() && o.begin.After(filter.Until.Add(slack)) {
			continue
		}
		if next := i + 1; !filter.Since.IsZero() && next < len(f.open) && !f.open[next].begin.IsZero() && f.open[next].begin.Before(filter.Since.Add(-slack)) {
			continue
		}
		reader, err := unpacked(o.file)
		if err == nil {
			err = filter.Each(reader, found, func(line []byte, e *Entry) error {
				fromCaller = fn(line, e)
				return fromCaller
			}, nil)
		}
		if fromCaller != nil {
			return fromCaller
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s cannot be read to its end: %w", o.name, err))
		}
	}
	return failed
}

// Close closes the files.
func (f *Files) Close() error {
	var err error
	for _, o := range f.open {
		err = errors.Join(err, o.file.Close())
	}
	return err
}
