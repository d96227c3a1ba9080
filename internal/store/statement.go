package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// scan reads the columns of a row.
type scan func(into ...any) error

// statements are prepared when first used and kept. Safe for concurrent use
// as far as prepare is.
type statements struct {
	prepare func(context.Context, string) (*sql.Stmt, error)

	mu   sync.RWMutex
	kept map[string]*sql.Stmt
}

// get returns the statement of a query, whose text must be one of a few.
func (s *statements) get(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.RLock()
	stmt, ok := s.kept[query]
	s.mu.RUnlock()
	if ok {
		return stmt, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.kept[query]; ok {
		return stmt, nil
	}
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if s.kept == nil {
		s.kept = map[string]*sql.Stmt{}
	}
	s.kept[query] = stmt
	return stmt, nil
}

// row reads at most one row, and reports whether there is one.
func (s *statements) row(ctx context.Context, query string, args, into []any) (bool, error) {
	stmt, err := s.get(ctx, query)
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each calls fn on every row.
func (s *statements) each(ctx context.Context, query string, args []any, fn func(scan) error) (err error) {
	stmt, err := s.get(ctx, query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// close closes the statements.
func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, stmt := range s.kept {
		err = errors.Join(err, stmt.Close())
	}
	clear(s.kept)
	return err
}
