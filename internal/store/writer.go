package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	"stagedoor"
)

// durability says what a committed write survives. All survive the end of
// the process, however sudden. Since commits become durable in their order,
// whatever is acknowledged is durable with all that came before it.
type durability bool

const (
	// retold is what LiveKit, Stripe or the next join would tell again: the
	// last of it may be lost when the machine loses power.
	retold durability = false
	// acknowledged is what somebody was told is kept: it is on the disk when
	// the write returns.
	acknowledged durability = true
)

// writer is the one connection that writes. SQLite allows one writer at a
// time; waiting for it here is fair and heeds contexts.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts statements
	turn  chan struct{} // holds one token while somebody writes
	// mode is what the connection is set to, once set is true.
	mode durability
	set  bool
	// path and opened are the file; empty without a check that it is still there.
	path   string
	opened os.FileInfo
	// lockedAt is when another process last kept a write waiting in vain. It is
	// guarded by turn.
	lockedAt time.Time
}

// lockPause is how long writes that can be repeated are not tried after one that
// waited for another process in vain: a crowd must not wait for it one by one.
const lockPause = time.Second

var errLocked = errors.New("another process is holding the database")

// unmoved checks that the file at the path is the one that was opened: what is
// written to a deleted file is gone at the next start.
func (w *writer) unmoved() error {
	if w.path == "" {
		return nil
	}
	now, err := os.Stat(w.path)
	if err != nil || !os.SameFile(w.opened, now) {
		return errMoved
	}
	return nil
}

func newWriter(ctx context.Context, dsn string) (*writer, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &writer{db: db, conn: conn, stmts: statements{prepare: conn.PrepareContext}, turn: make(chan struct{}, 1)}, nil
}

// close waits for the write that is under way; no other will begin.
func (w *writer) close() error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	return errors.Join(w.stmts.close(), w.conn.Close(), w.db.Close())
}

// take waits for the turn to write.
func (w *writer) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ping takes the lock for writing and gives it back.
func (w *writer) ping(ctx context.Context) error {
	if err := w.take(ctx); err != nil {
		return err
	}
	defer func() { <-w.turn }()
	ctx = context.WithoutCancel(ctx) // as in do: who goes away must leave no transaction behind
	_, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	_, undone := w.conn.ExecContext(ctx, "ROLLBACK")
	if err != nil {
		return err
	}
	return undone
}

// do runs fn in a transaction, and commits unless fn fails.
func (w *writer) do(ctx context.Context, d durability, fn func(tx) error) error {
	if err := w.take(ctx); err != nil {
		return err
	}
	defer func() { <-w.turn }()
	// From here on a caller who goes away does not stop the write: a
	// connection that was interrupted halfway would have to be distrusted.
	ctx = context.WithoutCancel(ctx)
	if d == retold && time.Since(w.lockedAt) < lockPause {
		return errLocked
	}
	if d == acknowledged {
		if err := w.unmoved(); err != nil {
			return err
		}
	}
	if err := w.setMode(ctx, d); err != nil {
		return err
	}
	t := tx{ctx: ctx, stmts: &w.stmts}
	done := false
	defer func() {
		if !done {
			_, _ = t.exec("ROLLBACK")
		}
	}()
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		if busy(err) {
			w.lockedAt = time.Now()
		}
		return err
	}
	w.lockedAt = time.Time{}
	if err := fn(t); err != nil {
		return err
	}
	_, err := t.exec("COMMIT")
	if done = err == nil; done && d == acknowledged {
		err = w.unmoved()
	}
	return err
}

// setMode sets what the next commit survives.
//
// SPEC: sqlite.org/pragma.html#pragma_synchronous: with a write-ahead log FULL
// syncs it at each commit, NORMAL at checkpoints. It cannot be changed within
// a transaction.
func (w *writer) setMode(ctx context.Context, d durability) error {
	if w.set && w.mode == d {
		return nil
	}
	pragma := "PRAGMA synchronous = NORMAL"
	if d == acknowledged {
		pragma = "PRAGMA synchronous = FULL"
	}
	w.set = false
	if _, err := w.conn.ExecContext(ctx, pragma); err != nil {
		return err
	}
	w.mode, w.set = d, true
	return nil
}

// write runs fn in a transaction; doing says in an error what failed. Errors:
// those of fn; Unavailable when what was to be acknowledged cannot be stored.
func (s *Store) write(ctx context.Context, d durability, doing string, fn func(tx) error) error {
	began := time.Now()
	err := s.writes.do(ctx, d, fn)
	if s.Wrote != nil {
		s.Wrote(d == acknowledged, time.Since(began), err)
	}
	var refused *stagedoor.Error
	if err == nil || d == retold || errors.As(err, &refused) || ctx.Err() != nil {
		return wrap(doing, err)
	}
	return &stagedoor.Error{Kind: stagedoor.Unavailable, RetryAfter: 5 * time.Second, Err: wrap(doing, err),
		Detail: "the database cannot be written, so nothing was changed; the server's log says why"}
}

// tx is a transaction. It must not outlive the function it was given to.
type tx struct {
	ctx   context.Context
	stmts *statements
}

// exec returns how many rows changed.
func (t tx) exec(query string, args ...any) (int64, error) {
	stmt, err := t.stmts.get(t.ctx, query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads at most one row, and reports whether there is one.
func (t tx) row(query string, args []any, into ...any) (bool, error) {
	return t.stmts.row(t.ctx, query, args, into)
}

// each calls fn on every row; fn must not use the transaction.
func (t tx) each(query string, args []any, fn func(scan) error) error {
	return t.stmts.each(t.ctx, query, args, fn)
}
