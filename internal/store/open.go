package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"modernc.org/sqlite" // also registers the driver "sqlite"
)

// patience is how long a write waits for another process to finish its own.
const patience = time.Second

// openPatience is how long a start waits for another one. SQLite does not
// always wait by itself then: where two would wait for each other while the
// journal's mode changes, it ends one of them at once.
//
// SPEC: sqlite.org/c3ref/busy_handler.html.
const openPatience = 5 * time.Second

// mapped has readers look at the file in place: their own cache of it is void
// after every write, and copying pages is most of what a read costs in a large
// database. Where the system refuses, SQLite copies.
//
// SPEC: sqlite.org/mmap.html; the size is the most that SQLite takes.
const mapped = "mmap_size(2147418112)"

// overwritten has what is deleted overwritten with zeros where that needs no
// more pages to be written: joins would pay for it. Forget pays.
//
// SPEC: sqlite.org/pragma.html#pragma_secure_delete.
const overwritten = "secure_delete(FAST)"

// SPEC: sqlite.org/rescode.html.
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeCantOpen = 14
	codeFull     = 13
	codeNotADB   = 26
	codeCorrupt  = 11
)

// Open opens the database in the file at path, which it creates, readable by
// its owner alone, when there is none, and brings its tables up to date. Its
// errors say what to do.
func Open(ctx context.Context, path string, index Index) (*Store, error) {
	s, err := open(ctx, path, index)
	if err != nil {
		return nil, fmt.Errorf("the database %s cannot be opened: %w", path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, index Index) (*Store, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := touch(absolute); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(openPatience)
	for {
		s, err := connect(ctx, absolute, index)
		if err == nil {
			return s, nil
		}
		if !busy(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return nil, remedy(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// connect opens the writer, brings the tables up to date and opens the readers.
func connect(ctx context.Context, path string, index Index) (*Store, error) {
	writes, err := newWriter(ctx, dsn(path, "journal_mode(WAL)", overwritten))
	if err != nil {
		return nil, err
	}
	if writes.opened, err = os.Stat(path); err != nil {
		return nil, errors.Join(err, writes.close())
	}
	writes.path = path
	s := &Store{Now: time.Now, path: path, index: index, writes: writes}
	if err := s.prepare(ctx, path); err != nil {
		_ = writes.close()
		return nil, err
	}
	return s, nil
}

// busy reports whether another process held the database.
func busy(err error) bool {
	var failed *sqlite.Error
	return errors.As(err, &failed) && failed.Code()&0xff == codeBusy
}

// prepare checks that the log works as durability needs it, brings the tables
// up to date and opens the readers.
func (s *Store) prepare(ctx context.Context, path string) error {
	var mode string
	if err := s.writes.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("its journal mode is %q and cannot be made WAL: put it on a local disk, not a network share", mode)
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	reads, err := newReader(dsn(path, "query_only(1)", mapped), max(4, 2*runtime.GOMAXPROCS(0)))
	s.reads = reads
	return err
}

// dsn names the file to the driver. No connection creates it: a file that is
// deleted while the server runs must not come back empty. Every connection waits for other
// processes, and takes the lock for writing when a transaction begins: one
// that began by reading could not be sure to get it later.
func dsn(path string, pragmas ...string) string {
	query := url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()), "foreign_keys(1)"}}
	query["_pragma"] = append(query["_pragma"], pragmas...)
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(absolute(path)), RawQuery: query.Encode()}).String()
}

// touch creates the file when there is none and checks that it can be
// written. SQLite gives the files beside it the same permissions.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	dir := filepath.Dir(path)
	switch {
	case err == nil:
		return file.Close()
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the directory %s does not exist: create it, or name another in DATABASE_URL", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: this user must be able to write both the file and the directory %s", err, dir)
	}
	return fmt.Errorf("%w: name a file in a directory that can be written in DATABASE_URL", err)
}

// remedy adds to an error of SQLite's what can be done about it.
func remedy(err error) error {
	var failed *sqlite.Error
	if !errors.As(err, &failed) {
		return err
	}
	text := ""
	switch failed.Code() & 0xff {
	case codeNotADB:
		text = "it is not an SQLite database: name another file in DATABASE_URL, or move this one away"
	case codeCorrupt:
		text = "it is damaged: restore a backup, or move it away; what Stripe and LiveKit know is learnt anew, bans are not"
	case codeBusy:
		text = "another process is holding it: stop that one"
	case codeReadOnly, codeCantOpen:
		text = "this user must be able to write the file, the files beside it that end in -wal and -shm, and the directory"
	case codeFull:
		text = "the disk is full"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", text, err)
}

// reader is a pool of connections that only read. They never wait for writers.
type reader struct {
	db    *sql.DB
	stmts statements
}

func newReader(dsn string, most int) (*reader, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return &reader{db: db, stmts: statements{prepare: db.PrepareContext}}, nil
}

func (r *reader) close() error { return errors.Join(r.stmts.close(), r.db.Close()) }

// row reads at most one row, and reports whether there is one. Reading one
// takes microseconds, and watching a context meanwhile would take as long
// again, so that ctx counts only before.
func (r *reader) row(ctx context.Context, query string, args []any, into ...any) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return r.stmts.row(context.WithoutCancel(ctx), query, args, into)
}

// each reads rows and calls fn on each, which must not use the store.
func (r *reader) each(ctx context.Context, query string, args []any, fn func(scan) error) error {
	return r.stmts.each(ctx, query, args, fn)
}
