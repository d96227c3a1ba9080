package store

import (
	"context"
	"time"
)

const (
	day = 24 * time.Hour
	// chunk is how many rows are deleted at once, so that joins wait for
	// milliseconds at most.
	chunk = 500

	// Stripe lists events for 30 days and resends them for three.
	keepEvents     = 30 * day
	keepBans       = 30 * day
	keepPresence   = 7 * day
	keepPrincipals = 90 * day
	// A list of them shows what became of one.
	keepInvitations = 30 * day
	// An issuer's keys count for 24 hours.
	keepKeySets = day
)

// Purge forgets what nobody will ask for again: events after 30 days, bans 30
// days after they ended by themselves, sessions 7 days after they left, mints
// after keepMints unless somebody of that room and identity is kept, and
// principals without a mint after 90 days, seats that nobody took,
// invitations with their guests 30 days after they expired, and issuers' key
// sets a day after they were fetched. A mint's time may be up to an hour
// before the last token's, so that keepMints must be longer by that.
func (s *Store) Purge(ctx context.Context, now time.Time, keepMints time.Duration) error {
	for _, each := range []struct {
		query  string
		before time.Time
		bans   bool
	}{
		{"DELETE FROM events WHERE id IN (SELECT id FROM events WHERE received_at < $1 LIMIT $2)", now.Add(-keepEvents), false},
		{"DELETE FROM bans WHERE id IN (SELECT id FROM bans WHERE until > 0 AND until < $1 LIMIT $2)", now.Add(-keepBans), true},
		{"DELETE FROM presence WHERE (room, sid) IN (SELECT room, sid FROM presence WHERE left_at > 0 AND left_at < $1 LIMIT $2)", now.Add(-keepPresence), false},
		{`DELETE FROM mints WHERE (room, identity) IN (SELECT m.room, m.identity FROM mints m WHERE m.minted_at < $1
			AND NOT EXISTS (SELECT 1 FROM presence p WHERE p.room = m.room AND p.identity = m.identity) LIMIT $2)`, now.Add(-keepMints), false},
		{"DELETE FROM key_sets WHERE issuer IN (SELECT issuer FROM key_sets WHERE fetched_at < $1 LIMIT $2)", now.Add(-keepKeySets), false},
		{"DELETE FROM seats WHERE (room, identity) IN (SELECT room, identity FROM seats WHERE until < $1 LIMIT $2)", now, false},
		{`DELETE FROM guests WHERE (invitation, subject) IN (SELECT g.invitation, g.subject FROM guests g
			JOIN invitations i ON i.id = g.invitation WHERE i.expires_at < $1 LIMIT $2)`, now.Add(-keepInvitations), false},
		{`DELETE FROM invitations WHERE id IN (SELECT i.id FROM invitations i WHERE i.expires_at < $1
			AND NOT EXISTS (SELECT 1 FROM guests g WHERE g.invitation = i.id) LIMIT $2)`, now.Add(-keepInvitations), false},
		{`DELETE FROM principals WHERE (issuer, subject) IN (SELECT p.issuer, p.subject FROM principals p WHERE p.seen_at < $1
			AND NOT EXISTS (SELECT 1 FROM mints m WHERE m.issuer = p.issuer AND m.subject = p.subject) LIMIT $2)`, now.Add(-keepPrincipals), false},
	} {
		if err := s.purge(ctx, each.query, each.before, each.bans); err != nil {
			return err
		}
	}
	return nil
}

// purge deletes in chunks until none is left.
func (s *Store) purge(ctx context.Context, query string, before time.Time, bans bool) error {
	for {
		var gone int64
		err := s.write(ctx, retold, "purge", func(t tx) (err error) {
			gone, err = t.exec(query, millis(before), chunk)
			if err == nil && bans && gone > 0 {
				err = bumpBans(t)
			}
			return err
		})
		if err != nil || gone < chunk {
			return err
		}
	}
}
