package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// syncEvery is how long a record may wait for the disk itself. What ends the
// process loses nothing; what ends the machine, the last second of records.
// Measured: docs/adr/0009-audit-file.md.
const syncEvery = time.Second

// stampLayout is behind the path of a file that was rotated: names in order
// are files in order.
const stampLayout = "20060102T150405.000000000Z"

// errIrregular is what a pipe or a directory is to a log.
var errIrregular = errors.New("is not a file")

// FileOptions say how a File rotates. Zero values are written out by the
// configuration, not here.
type FileOptions struct {
	Path string
	// MaxSize is after how many bytes another file is begun; 0: never.
	MaxSize int64
	// Keep is how many files that were rotated are kept; 0: all.
	Keep int
	Now  func() time.Time
	Log  *slog.Logger
}

// File is an audit log in a file that only grows. Each Write is one write of
// the system's. It begins another file when the file is too long, and follows
// when something else moves it away; several processes may write to one. Safe
// for concurrent use.
type File struct {
	FileOptions

	mu   sync.Mutex
	file *os.File
	info fs.FileInfo
	// torn is set while the file may end in the middle of a line.
	torn bool
	// failed is why the last write or sync did not succeed.
	failed error
	// dirty is set while a sync is to come.
	dirty bool
	// stuck is set while the file cannot be moved away.
	stuck  bool
	closed bool
}

// OpenFile opens the log, for its owner alone where it is new. A line that a
// sudden end of the process tore is completed by the next record.
func OpenFile(o FileOptions) (*File, error) {
	f := &File{FileOptions: o}
	return f, f.open()
}

// open opens the file at the path in place of the one before.
func (f *File) open() error {
	if info, err := os.Stat(f.Path); err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeCharDevice == 0 {
		return fmt.Errorf("%s %w", f.Path, errIrregular) // a pipe would be waited for
	}
	file, err := os.OpenFile(f.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	last := []byte{'\n'}
	if info.Mode().IsRegular() && info.Size() > 0 {
		if _, err := file.ReadAt(last, info.Size()-1); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	f.release()
	f.file, f.info, f.torn = file, info, last[0] != '\n'
	return nil
}

// release gives the file back that was written to; what is in it is on the
// disk then.
func (f *File) release() {
	if f.file == nil {
		return
	}
	f.sync()
	if err := f.file.Close(); err != nil {
		f.failed = err
	}
	f.file = nil
}

// Write appends one line, which ends in a line break.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, fs.ErrClosed
	}
	if err := f.follow(int64(len(line))); err != nil {
		return 0, f.note(err)
	}
	data := line
	if f.torn {
		data = append([]byte{'\n'}, line...)
	}
	n, err := f.file.Write(data)
	if err != nil {
		// What is there of the line stays: to cut it off could cut off a line of
		// another process that came behind it.
		f.torn = f.torn && n == 0 || n > 0 && data[n-1] != '\n'
		return 0, f.note(err)
	}
	f.torn = false
	f.syncSoon()
	return len(line), f.note(nil)
}

// follow sees to it that more bytes go into the file that is at the path, and
// that it is not too long.
func (f *File) follow(more int64) error {
	info, err := os.Stat(f.Path)
	if f.file == nil || err != nil || !os.SameFile(info, f.info) {
		return f.open()
	}
	if f.MaxSize <= 0 || info.Size() == 0 || info.Size()+more <= f.MaxSize || !info.Mode().IsRegular() {
		return nil
	}
	if err := f.rotate(); err != nil {
		if !f.stuck { // a log that is too long is better than none
			f.Log.Error("the audit log could not be rotated and goes on in the same file", "file", f.Path, "err", err)
		}
		f.stuck = true
		return nil
	}
	f.stuck = false
	return f.open()
}

// rotate moves the file away under the time, and drops those that are too old.
// Another process that has it open writes into it until it looks at the path.
func (f *File) rotate() error {
	at := f.Now().UTC()
	name := f.Path + "." + at.Format(stampLayout)
	for exists(name) { // to take a name that is taken would lose what has it
		at = at.Add(time.Nanosecond)
		name = f.Path + "." + at.Format(stampLayout)
	}
	if err := os.Rename(f.Path, name); err != nil {
		return err
	}
	f.drop()
	return nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// drop removes the oldest of the files that this log rotated.
func (f *File) drop() {
	if f.Keep <= 0 {
		return
	}
	names, err := filepath.Glob(globbed(f.Path) + ".*")
	names = slices.DeleteFunc(names, func(name string) bool {
		stamp := strings.TrimSuffix(strings.TrimPrefix(name, f.Path+"."), ".gz")
		_, err := time.Parse(stampLayout, stamp)
		return err != nil
	})
	slices.Sort(names)
	for len(names) > f.Keep && err == nil {
		err = os.Remove(names[0])
		names = names[1:]
	}
	if err != nil {
		f.Log.Error("an old file of the audit log could not be removed", "err", err)
	}
}

// globbed is a path in a pattern that stands for itself.
func globbed(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// syncSoon has the file synced within a second.
func (f *File) syncSoon() {
	if f.dirty || !f.info.Mode().IsRegular() {
		return
	}
	f.dirty = true
	time.AfterFunc(syncEvery, func() {
		f.mu.Lock()
		file, dirty := f.file, f.dirty
		f.dirty = false
		f.mu.Unlock()
		if !dirty || file == nil {
			return
		}
		// Not under the lock: a slow disk holds up nobody who joins. A file
		// that was closed meanwhile was synced then.
		if err := file.Sync(); err != nil && !errors.Is(err, fs.ErrClosed) {
			f.mu.Lock()
			_ = f.note(err)
			f.mu.Unlock()
		}
	})
}

// sync syncs what is not yet.
func (f *File) sync() {
	if f.dirty {
		f.dirty = false
		_ = f.note(f.file.Sync())
	}
}

// note keeps and returns how the last write ended, and logs when that changes.
func (f *File) note(err error) error {
	switch {
	case err != nil && f.failed == nil:
		f.Log.Error("the audit log takes no record: nobody is let in", "file", f.Path, "err", err)
	case err == nil && f.failed != nil:
		f.Log.Info("the audit log takes records again", "file", f.Path)
	}
	f.failed = err
	return err
}

// Ready says why the log takes no record. Where the last one failed, it tries
// whether it takes one now: a door that is not ready is asked for no other.
func (f *File) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil || f.closed {
		return f.failed
	}
	if err := f.follow(1); err != nil {
		return f.note(err)
	}
	// An empty line is no record, and completes one that was torn. Where a
	// record found no place, the block it was to begin is needed for this too.
	if _, err := f.file.Write([]byte{'\n'}); err != nil {
		return f.note(err)
	}
	f.torn = false
	f.syncSoon()
	return f.note(nil)
}

// Reopen lets go of a file that was moved away, before the next record does.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	return f.note(f.open())
}

// Close syncs and closes the log, which takes no record afterwards.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed, f.closed = nil, true
	f.release()
	return f.failed
}
