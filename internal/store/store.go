// Package store keeps what outlives a request: who may be in a call, who is,
// who is kept out, and what Stripe said. It is one SQLite file; the SQL is fit
// for Postgres too.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stagedoor"
)

// Index says by what principals are found again when Stripe names a customer
// or a subscription. The zero value finds them by their subjects alone. After
// a change of it each principal is indexed anew when next remembered.
type Index struct {
	// CustomerClaim and SubscriptionClaim are paths of claims, as Claims.At takes them.
	CustomerClaim, SubscriptionClaim string
	// Prefixes are the identity prefixes of all issuers.
	Prefixes []string
}

// Claimed returns the customer and the subscription that claims name; empty
// where they name none that could be one of Stripe's.
func (x Index) Claimed(c stagedoor.Claims) (customer, subscription string) {
	return c.StripeIDs(x.CustomerClaim, x.SubscriptionClaim)
}

// Store is one database. Safe for concurrent use. Writes happen one at a time,
// and one that has begun is finished even when its context ends. Errors are
// the database's, or the context's while waiting; after one nothing of the
// call has happened.
type Store struct {
	// Now is the clock, time.Now after Open. It may be replaced before the
	// store is used.
	Now func() time.Time
	// Wrote is told of every write: whether it is on the disk now, how long it
	// took with the wait for its turn, and its error. nil: nobody is. It may be
	// replaced before the store is used.
	Wrote func(acknowledged bool, took time.Duration, err error)

	path   string
	index  Index
	writes *writer
	reads  *reader
	late   lateMints
}

// Close finishes what is being written and closes the database; the store
// cannot be used afterwards.
func (s *Store) Close() error {
	// The writer is last: it folds the log back into the file.
	return wrap("close the database", errors.Join(s.reads.close(), s.writes.close()))
}

// Ping reports whether the database can be read and written. It writes a row to
// the disk: only that tells whether there is room.
func (s *Store) Ping(ctx context.Context) error {
	var version int64
	if _, err := s.reads.row(ctx, "SELECT MAX(version) FROM schema_migrations", nil, &version); err != nil {
		return wrap("read the database", err)
	}
	return s.write(ctx, acknowledged, "write to the database", func(t tx) error {
		_, err := t.exec(`INSERT INTO meta (key, value) VALUES ('pinged_at', $1)
			ON CONFLICT (key) DO UPDATE SET value = excluded.value`, millis(s.Now()))
		return err
	})
}

// wrap says what could not be done.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: cannot %s: %w", doing, err)
}

// millis turns a time into a column's value: 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the inverse of millis, to the millisecond.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// nanos is millis for columns that keep nanoseconds.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// fromNanos is the inverse of nanos.
func fromNanos(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
