package store

import (
	"context"
	"time"
)

// LoadKeys returns the key set that SaveKeys stored last for the issuer and the
// source, and when it was fetched. The body is nil when there is none, or one
// of another source.
func (s *Store) LoadKeys(ctx context.Context, issuer, source string) ([]byte, time.Time, error) {
	var body string
	var at int64
	ok, err := s.reads.row(ctx, "SELECT body, fetched_at FROM key_sets WHERE issuer = $1 AND source = $2",
		[]any{issuer, source}, &body, &at)
	if err != nil || !ok {
		return nil, time.Time{}, wrap("load a key set", err)
	}
	return []byte(body), fromMillis(at), nil
}

// SaveKeys replaces the issuer's key set, whatever source it came from.
func (s *Store) SaveKeys(ctx context.Context, issuer, source string, body []byte, fetchedAt time.Time) error {
	const doing = "save a key set"
	return s.write(ctx, retold, doing, func(t tx) error {
		_, err := t.exec(`INSERT INTO key_sets (issuer, source, body, fetched_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (issuer) DO UPDATE SET source = excluded.source, body = excluded.body, fetched_at = excluded.fetched_at`,
			issuer, source, string(body), millis(fetchedAt))
		return err
	})
}
