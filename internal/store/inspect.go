package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Condition is how a database was found. The zero value says nothing.
type Condition struct {
	// Missing: there is no file yet, and one can be made.
	Missing bool
	// Size is the file's, in bytes.
	Size int64
	// StripeEvent and LiveKitEvent are when the newest of each was taken in;
	// zero: never.
	StripeEvent, LiveKitEvent time.Time
}

// Inspect looks whether the database at path can be read and written, beside
// a door that runs too, and changes nothing: it makes no file, brings no table
// up to date and gives the lock for writing back at once. Its errors say what
// to do.
func Inspect(ctx context.Context, path string) (Condition, error) {
	c, err := inspect(ctx, path)
	if err != nil {
		return Condition{}, fmt.Errorf("the database %s: %w", path, err)
	}
	return c, nil
}

func inspect(ctx context.Context, path string) (Condition, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Condition{}, err
	}
	dir := filepath.Dir(absolute)
	info, err := os.Stat(absolute)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Condition{Missing: true}, writable(dir)
	case err != nil:
		return Condition{}, err
	case !info.Mode().IsRegular():
		return Condition{}, errors.New("it is not a file: name one in DATABASE_URL")
	}
	file, err := os.OpenFile(absolute, os.O_RDWR, 0)
	if err != nil {
		return Condition{}, fmt.Errorf("it is read-only for this user: %w", err)
	}
	if err := errors.Join(file.Close(), writable(dir)); err != nil {
		return Condition{}, err
	}
	c := Condition{Size: info.Size()}
	writes, err := newWriter(ctx, dsn(absolute))
	if err != nil {
		return c, remedy(err)
	}
	defer func() { _ = writes.close() }()
	// A door that is writing is no fault: then it can be written.
	if err := writes.ping(ctx); err != nil && !busy(err) {
		return c, remedy(err)
	}
	return c, c.read(ctx, writes)
}

// read takes from the tables what checks go by, where there are tables.
func (c *Condition) read(ctx context.Context, w *writer) error {
	var tables int
	if err := w.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('events', 'meta')").Scan(&tables); err != nil {
		return remedy(err)
	}
	if tables < 2 {
		return nil
	}
	var stripe, livekit int64
	err := w.conn.QueryRowContext(ctx, "SELECT COALESCE((SELECT MAX(received_at) FROM events), 0), COALESCE((SELECT value FROM meta WHERE key = $1), 0)", livekitEvent).Scan(&stripe, &livekit)
	c.StripeEvent, c.LiveKitEvent = fromMillis(stripe), fromMillis(livekit)
	return remedy(err)
}

// writable reports whether files can be made in a directory: SQLite keeps its
// log beside the database.
func writable(dir string) error {
	file, err := os.CreateTemp(dir, ".stagedoor-check-*")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the directory %s does not exist: create it, or name another in DATABASE_URL", dir)
	case err != nil:
		return fmt.Errorf("the directory %s is read-only for this user, and SQLite keeps its log beside the file: %w", dir, errors.Unwrap(err))
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// livekitEvent is the key under which it is kept when LiveKit was last heard.
const livekitEvent = "livekit_event"

// Heard keeps when LiveKit's last event was taken in, for people who ask
// whether any arrive. Not every one need be told.
func (s *Store) Heard(ctx context.Context, at time.Time) error {
	return s.write(ctx, retold, "keep when LiveKit was heard", func(t tx) error {
		_, err := t.exec("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", livekitEvent, millis(at))
		return err
	})
}
