package store

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"stagedoor"
)

const (
	// maxLate bounds the mints that wait to be written. A token lives two minutes
	// then, so that it bounds the joins of two minutes. Beyond it the oldest go.
	maxLate = 100_000
	// lateEvery is the pause between two tries to write them.
	lateEvery = time.Second
)

// lateMint is a mint that could not be written yet, and its principal.
type lateMint struct {
	mint      stagedoor.Mint
	principal stagedoor.Principal
}

// lateMints are the mints that wait to be written. Reads return them meanwhile.
// The zero value is ready to use. Safe for concurrent use.
type lateMints struct {
	mu  sync.Mutex
	all []lateMint
}

func (l *lateMints) add(m lateMint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(other lateMint) bool { return sameParticipant(other.mint, m.mint) })
	if len(l.all) >= maxLate {
		l.all = l.all[1:]
	}
	l.all = append(l.all, m)
}

func (l *lateMints) remove(m stagedoor.Mint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(other lateMint) bool { return other.mint == m })
}

func (l *lateMints) list() []lateMint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// find returns the newest that fits.
func (l *lateMints) find(fits func(lateMint) bool) (lateMint, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range slices.Backward(l.all) {
		if fits(m) {
			return m, true
		}
	}
	return lateMint{}, false
}

func sameParticipant(a, b stagedoor.Mint) bool { return a.Room == b.Room && a.Identity == b.Identity }

// MintLater records a mint that Minted could not write: reads return it from
// memory, and WriteLate writes it. It never fails.
func (s *Store) MintLater(principal stagedoor.Principal, m stagedoor.Mint) {
	if m.At.IsZero() {
		m.At = s.Now()
	}
	s.late.add(lateMint{mint: m, principal: principal})
}

// WriteLate writes the mints that MintLater recorded, until ctx ends. A mint
// whose token has expired is dropped.
func (s *Store) WriteLate(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(lateEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		written := 0
		for _, m := range s.late.list() {
			err := s.writeLate(ctx, m)
			if refused := stagedoor.KindOf(err) != stagedoor.Internal; err == nil || refused {
				s.late.remove(m.mint)
				written++
				continue
			}
			if ctx.Err() == nil && m.mint.Expires.Add(time.Minute).Before(s.Now()) {
				s.late.remove(m.mint)
			}
			break // the database is still away
		}
		if written > 0 {
			log.Info("recorded tokens written to the database", "count", written)
		}
	}
}

func (s *Store) writeLate(ctx context.Context, m lateMint) error {
	if _, err := s.Remember(ctx, m.principal); err != nil {
		return err
	}
	m.mint.Seats, m.mint.Alone = 0, false
	return s.minted(ctx, m.mint, false)
}

// errMoved means that the database file is not the one that was opened.
var errMoved = errors.New("the database file was deleted or replaced while the server runs: restart the server, " +
	"or restore the file first")
