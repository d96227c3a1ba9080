package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Snapshot says what a verified copy of the database holds.
type Snapshot struct {
	// Path is the file, Size its bytes.
	Path string `json:"path"`
	Size int64  `json:"size"`
	// Version is the version of its tables.
	Version int64 `json:"version"`
	// Rows are the rows of the main tables.
	Rows []TableRows `json:"rows"`
}

// TableRows is how many rows a table has.
type TableRows struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// countedTables are the tables whose rows a Snapshot counts.
var countedTables = []string{"principals", "bans", "invitations", "customers", "links", "mints"}

// Backup copies the database at path to the file to, also while a server uses
// it, verifies the copy and only then gives it its name. It replaces a file of
// that name only with force. Its errors say what to do.
//
// SPEC: sqlite.org/lang_vacuum.html#vacuuminto.
func Backup(ctx context.Context, path, to string, force bool) (Snapshot, error) {
	s, err := backup(ctx, path, to, force)
	if err != nil {
		return Snapshot{}, fmt.Errorf("back up %s to %s: %w", path, to, err)
	}
	return s, nil
}

func backup(ctx context.Context, path, to string, force bool) (Snapshot, error) {
	if _, err := os.Stat(path); err != nil {
		return Snapshot{}, fmt.Errorf("%w: name the database in DATABASE_URL", err)
	}
	for _, live := range databaseFiles(path) {
		if same(live, to) {
			return Snapshot{}, errors.New("that is the database itself: name another file")
		}
	}
	if _, err := os.Lstat(to); err == nil && !force {
		return Snapshot{}, errors.New("the file exists: name another one, or add --force to replace it")
	}
	partial := to + ".partial"
	if err := remove(databaseFiles(partial)...); err != nil {
		return Snapshot{}, err
	}
	// The file is created first, so that nobody else can ever read it.
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%w: name a file in a directory that this user may write", err)
	}
	defer func() { _ = remove(databaseFiles(partial)...) }()
	if err := file.Close(); err != nil {
		return Snapshot{}, err
	}
	if err := vacuumInto(ctx, path, partial); err != nil {
		return Snapshot{}, remedy(err)
	}
	found, err := verify(ctx, partial)
	if err != nil {
		return Snapshot{}, fmt.Errorf("the copy is not sound: %w", err)
	}
	if err := install(partial, to); err != nil {
		return Snapshot{}, err
	}
	found.Path = to
	return found, nil
}

func vacuumInto(ctx context.Context, path, to string) error {
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

// Restore puts a backup in the place of the database at path, which no server
// may be using. What was there is renamed, never mixed with the backup, and
// its new name is returned; empty where there was nothing. Its errors say what
// to do, and leave the database as it was.
func Restore(ctx context.Context, from, path string, now time.Time) (restored Snapshot, aside string, err error) {
	restored, aside, err = restore(ctx, from, path, now)
	if err != nil {
		return Snapshot{}, aside, fmt.Errorf("restore %s to %s: %w", from, path, err)
	}
	return restored, aside, nil
}

func restore(ctx context.Context, from, path string, now time.Time) (Snapshot, string, error) {
	if same(from, path) {
		return Snapshot{}, "", errors.New("that is the database itself")
	}
	if info, err := os.Stat(from + "-wal"); err == nil && info.Size() > 0 {
		return Snapshot{}, "", fmt.Errorf("%s-wal lies beside it: it is a raw copy, whose last changes are in that file. "+
			"Make a backup of it first: DATABASE_URL=sqlite:%s stagedoor backup FILE", from, from)
	}
	found, err := verify(ctx, from)
	if err != nil {
		return Snapshot{}, "", fmt.Errorf("the backup is not sound: %w", err)
	}
	if err := unused(ctx, path); err != nil {
		return Snapshot{}, "", err
	}
	partial := path + ".partial"
	if err := remove(databaseFiles(partial)...); err != nil {
		return Snapshot{}, "", err
	}
	defer func() { _ = remove(partial) }()
	if err := copyFile(from, partial); err != nil {
		return Snapshot{}, "", fmt.Errorf("%w: this user must be able to write the directory", err)
	}
	aside, err := moveAside(path, now)
	if err != nil {
		return Snapshot{}, aside, err
	}
	if err := install(partial, path); err != nil {
		return Snapshot{}, aside, err
	}
	found.Path = path
	return found, aside, nil
}

// unused checks that no process has the database open. It folds the log of one
// that has crashed into the file. A file that is no sound database is unused.
//
// SPEC: sqlite.org/wal.html: leaving WAL mode needs the only connection.
func unused(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); busy(err) || err == nil && mode != "delete" {
		return errors.New("a server is using the database: stop it first")
	}
	return nil
}

// moveAside renames the database with the files beside it, and returns its new name.
func moveAside(path string, now time.Time) (string, error) {
	aside := path + ".before-restore-" + now.UTC().Format("20060102T150405Z")
	moved := false
	for i, file := range databaseFiles(path) {
		err := os.Rename(file, databaseFiles(aside)[i])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return aside, err
		}
		moved = moved || err == nil
	}
	if !moved {
		return "", nil
	}
	return aside, nil
}

// verify checks that a file is a sound database of Stagedoor's that this
// version can read, and counts its rows.
func verify(ctx context.Context, path string) (Snapshot, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Snapshot{}, err
	}
	query := url.Values{"mode": {"ro"}, "immutable": {"1"}}
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute(path)), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return Snapshot{}, err
	}
	defer func() { _ = db.Close() }()
	var integrity string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&integrity); err != nil {
		return Snapshot{}, err
	}
	if integrity != "ok" {
		return Snapshot{}, fmt.Errorf("it is damaged: %s", integrity)
	}
	found := Snapshot{Path: path, Size: info.Size()}
	if err := db.QueryRowContext(ctx, "SELECT MAX(version) FROM schema_migrations").Scan(&found.Version); err != nil {
		return Snapshot{}, errors.New("it is not a database of Stagedoor's")
	}
	steps, err := migrations()
	if err != nil {
		return Snapshot{}, err
	}
	if latest := int64(len(steps)); found.Version > latest {
		return Snapshot{}, fmt.Errorf("it was written by a newer version (its tables are of version %d, this one knows %d): "+
			"use that version", found.Version, latest)
	}
	for _, table := range countedTables {
		count := TableRows{Table: table}
		err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&count.Rows)
		if err != nil && !strings.Contains(err.Error(), "no such table") { // an older version has fewer tables
			return Snapshot{}, err
		}
		found.Rows = append(found.Rows, count)
	}
	return found, nil
}

// databaseFiles are the files of the database at a path.
//
// SPEC: sqlite.org/tempfiles.html.
func databaseFiles(path string) []string {
	return []string{path, path + "-wal", path + "-shm", path + "-journal"}
}

// same reports whether two names are of one file, or would be.
func same(a, b string) bool {
	first, err := os.Stat(a)
	second, other := os.Stat(b)
	return absolute(a) == absolute(b) || err == nil && other == nil && os.SameFile(first, second)
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// remove removes files that may not be there.
func remove(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// copyFile copies a file into a new one that its owner alone can read.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// install puts a whole file on the disk under its final name.
func install(partial, name string) error {
	file, err := os.OpenFile(partial, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close(), os.Rename(partial, name)); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(absolute(name)))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
