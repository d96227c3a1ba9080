package store

import (
	"context"
	"strings"
	"time"

	"stagedoor"
)

// What one caller can make the database keep. docs/operations.md lists the bounds.
const (
	// maxMints is how many participants a principal can have tokens for at once.
	// A removal follows them all: enforce.maxMints is no smaller.
	maxMints = 5000
	// maxVisits is how many ended sessions are kept of one participant.
	maxVisits = 16
	// maxRemovals is how many bans are kept that one moderator has set.
	maxRemovals = 1000
	// maxDropped bounds how many rows make room for a new one in one transaction.
	maxDropped = 100
	// seenFor is how long after its last session a participant may come back with
	// a token that LiveKit refreshed: eleven minutes, with room for late events.
	seenFor = time.Hour
	// maxWait bounds what Retry-After asks for.
	maxWait = time.Hour
)

// query reads at most one row, inside a transaction or outside of one.
type query func(text string, args []any, into ...any) (bool, error)

// outside reads before the turn to write is taken.
func (s *Store) outside(ctx context.Context) query {
	return func(text string, args []any, into ...any) (bool, error) { return s.reads.row(ctx, text, args, into...) }
}

// tooMany refuses a caller who is to come back at a time.
func tooMany(detail string, now, at time.Time) error {
	return &stagedoor.Error{Kind: stagedoor.RateLimited, Detail: detail, RetryAfter: min(max(at.Sub(now), time.Second), maxWait)}
}

const selectMintCount = "SELECT COUNT(*) FROM (SELECT 1 FROM mints WHERE issuer = $1 AND subject = $2 LIMIT $3) AS some"

const selectFirstExpiry = "SELECT COALESCE(MIN(expires_at), 0) FROM mints WHERE issuer = $1 AND subject = $2 AND expires_at >= $3"

// selectEndedMints finds a principal's mints whose tokens cannot be used any
// more. $3 is the latest expiry of such a token, $4 the same where the expiry is
// not known, $5 since when a participant must not have been seen.
const selectEndedMints = `SELECT m.room, m.identity FROM mints m WHERE m.issuer = $1 AND m.subject = $2
	AND m.expires_at < $3 AND (m.expires_at > 0 OR m.minted_at < $4)
	AND NOT EXISTS (SELECT 1 FROM presence p WHERE p.room = m.room AND p.identity = m.identity AND (p.left_at = 0 OR p.left_at > $5))
	ORDER BY m.expires_at LIMIT $6`

// endedArgs are selectEndedMints' parameters.
func endedArgs(m stagedoor.Mint, limit int) []any {
	expired := m.At.Add(-usableFor)
	return []any{m.Principal.Issuer, m.Principal.Subject, millis(expired), millis(expired.Add(-unknownLifetime)), millis(m.At.Add(-seenFor)), limit}
}

// mintsFull reports whether a principal has as many mints as it may have.
// Errors: RateLimited, when all of their tokens can still be used.
func mintsFull(ask query, m stagedoor.Mint) (bool, error) {
	var count int
	if _, err := ask(selectMintCount, []any{m.Principal.Issuer, m.Principal.Subject, maxMints}, &count); err != nil || count < maxMints {
		return false, err
	}
	var room, identity string
	if ended, err := ask(selectEndedMints, endedArgs(m, 1), &room, &identity); err != nil || ended {
		return true, err
	}
	var first int64
	expired := millis(m.At.Add(-usableFor))
	if _, err := ask(selectFirstExpiry, []any{m.Principal.Issuer, m.Principal.Subject, expired}, &first); err != nil {
		return true, err
	}
	return true, tooMany("you have tokens for 5000 rooms and devices that can still be used; try again when the first has expired",
		m.At, fromMillis(first).Add(usableFor))
}

// dropEndedMints makes room for a mint of a principal that has too many.
// Errors: RateLimited.
func dropEndedMints(t tx, m stagedoor.Mint) error {
	full, err := mintsFull(t.row, m)
	if err != nil || !full {
		return err
	}
	var ended [][2]string
	err = t.each(selectEndedMints, endedArgs(m, maxDropped), func(scan scan) error {
		var p [2]string
		err := scan(&p[0], &p[1])
		ended = append(ended, p)
		return err
	})
	for _, p := range ended {
		if err == nil {
			err = dropMint(t, p[0], p[1])
		}
	}
	return err
}

// dropMint deletes a mint with what can only be found by it.
func dropMint(t tx, room, identity string) error {
	for _, text := range []string{
		"DELETE FROM presence WHERE room = $1 AND identity = $2 AND left_at > 0",
		"DELETE FROM seats WHERE room = $1 AND identity = $2",
		"DELETE FROM mints WHERE room = $1 AND identity = $2",
	} {
		if _, err := t.exec(text, room, identity); err != nil {
			return err
		}
	}
	return nil
}

const deleteOldVisits = `DELETE FROM presence WHERE room = $1 AND identity = $2 AND left_at > 0 AND left_at <=
	(SELECT left_at FROM presence WHERE room = $1 AND identity = $2 AND left_at > 0 ORDER BY left_at DESC LIMIT 1 OFFSET $3)`

// dropOldVisits keeps the latest ended sessions of one participant: whoever
// holds a token can connect and leave without end. Copies of a participant,
// "<identity>#<publish>", choose their names, so that none of theirs is kept.
func dropOldVisits(t tx, room stagedoor.Room, identity stagedoor.Identity) error {
	kept := maxVisits
	if identity.Minted() != identity {
		kept = 0
	}
	_, err := t.exec(deleteOldVisits, string(room), string(identity), kept)
	return err
}

const selectRemovals = "SELECT COUNT(*), COALESCE(MIN(until), 0) FROM (SELECT until FROM bans WHERE reason = $1 ORDER BY until LIMIT $2) AS some"

// dropEndedRemovals makes room for a ban that a moderator sets: it takes the
// place of the same moderator's shorter ones of the same person and room, and
// of ended ones when there are too many. Errors: RateLimited, when all are in force.
func (s *Store) dropEndedRemovals(t tx, b stagedoor.Ban) error {
	if !strings.HasPrefix(b.Reason, stagedoor.RemovedByModerator) || b.Until.IsZero() {
		return nil // an operator's
	}
	if _, err := t.exec(`DELETE FROM bans WHERE issuer = $1 AND subject = $2 AND room = $3 AND reason = $4 AND until > 0 AND until <= $5`,
		b.Principal.Issuer, b.Principal.Subject, string(b.Room), b.Reason, millis(b.Until)); err != nil {
		return err
	}
	var count int
	var first int64
	if _, err := t.row(selectRemovals, []any{b.Reason, maxRemovals}, &count, &first); err != nil || count < maxRemovals {
		return err
	}
	now := s.Now()
	dropped, err := t.exec("DELETE FROM bans WHERE id IN (SELECT id FROM bans WHERE reason = $1 AND until < $2 ORDER BY until LIMIT $3)",
		b.Reason, millis(now), maxDropped)
	if err == nil && dropped == 0 {
		err = tooMany("1000 people whom you removed are still kept out; try again when the first may come back", now, fromMillis(first))
	}
	return err
}
