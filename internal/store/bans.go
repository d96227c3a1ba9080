package store

import (
	"context"

	"stagedoor"
)

// AddBan keeps a ban; it is on the disk when this returns. An ID that is
// taken is an error. Errors: RateLimited, when a moderator has set too many.
func (s *Store) AddBan(ctx context.Context, b stagedoor.Ban) error {
	return s.write(ctx, acknowledged, "keep a ban", func(t tx) error {
		if err := s.dropEndedRemovals(t, b); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO bans (id, issuer, subject, room, until, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			b.ID, b.Principal.Issuer, b.Principal.Subject, string(b.Room), millis(b.Until), b.Reason, millis(b.CreatedAt)); err != nil {
			return err
		}
		return bumpBans(t)
	})
}

// RemoveBan forgets a ban and returns it; false when there is none of that ID.
func (s *Store) RemoveBan(ctx context.Context, id string) (stagedoor.Ban, bool, error) {
	var ban stagedoor.Ban
	found := false
	err := s.write(ctx, acknowledged, "lift a ban", func(t tx) error {
		err := t.each("DELETE FROM bans WHERE id = $1 RETURNING "+banColumns, []any{id}, func(scan scan) (err error) {
			found = true
			ban, err = scanBan(scan)
			return err
		})
		if err != nil || !found {
			return err
		}
		return bumpBans(t)
	})
	if err != nil {
		return stagedoor.Ban{}, false, err
	}
	return ban, found, nil
}

// bumpBans lets other processes see that bans have changed.
func bumpBans(t tx) error {
	_, err := t.exec("UPDATE meta SET value = value + 1 WHERE key = 'bans_version'")
	return err
}

const banColumns = "id, issuer, subject, room, until, reason, created_at"

func scanBan(scan scan) (stagedoor.Ban, error) {
	var b stagedoor.Ban
	var until, created int64
	err := scan(&b.ID, &b.Principal.Issuer, &b.Principal.Subject, &b.Room, &until, &b.Reason, &created)
	b.Until, b.CreatedAt = fromMillis(until), fromMillis(created)
	return b, err
}

// Bans returns all bans, the oldest first, those included that ended by
// themselves in the last thirty days.
func (s *Store) Bans(ctx context.Context) ([]stagedoor.Ban, error) {
	var all []stagedoor.Ban
	err := s.reads.each(ctx, "SELECT "+banColumns+" FROM bans ORDER BY created_at, id", nil, func(scan scan) error {
		b, err := scanBan(scan)
		all = append(all, b)
		return err
	})
	return all, wrap("read the bans", err)
}

// BansVersion grows with every change of the bans, whichever process made it.
func (s *Store) BansVersion(ctx context.Context) (int64, error) {
	var version int64
	_, err := s.reads.row(ctx, "SELECT value FROM meta WHERE key = 'bans_version'", nil, &version)
	return version, wrap("read the bans' version", err)
}
