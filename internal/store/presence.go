package store

import (
	"context"
	"time"

	"stagedoor"
)

// Arrive keeps that a participant is present. One whose session has already
// left stays away: LiveKit's events come in any order.
func (s *Store) Arrive(ctx context.Context, p stagedoor.Participant) error {
	return s.write(ctx, retold, "keep an arrival", func(t tx) error {
		changed, err := t.exec(`INSERT INTO presence (room, sid, identity, joined_at, standard, noted_at, left_at) VALUES ($1, $2, $3, $4, $5, $6, 0)
			ON CONFLICT (room, sid) DO UPDATE SET identity = excluded.identity, joined_at = excluded.joined_at,
				standard = excluded.standard, noted_at = excluded.noted_at
			WHERE presence.left_at = 0`,
			string(p.Room), p.SID, string(p.Identity), millis(p.JoinedAt), p.Standard, millis(s.Now()))
		if err != nil || changed == 0 {
			return err
		}
		return s.settleIn(t, p)
	})
}

// Leave stores that a participant's session has ended, and accounts for its
// time when no arrival was reported; at is now when it is zero.
func (s *Store) Leave(ctx context.Context, p stagedoor.Participant, at time.Time) error {
	if at.IsZero() {
		at = s.Now()
	}
	return s.write(ctx, retold, "keep a leave", func(t tx) error {
		_, err := t.exec(`INSERT INTO presence (room, sid, identity, joined_at, standard, noted_at, left_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (room, sid) DO UPDATE SET noted_at = excluded.noted_at, left_at = excluded.left_at
			WHERE presence.left_at = 0`,
			string(p.Room), p.SID, string(p.Identity), millis(p.JoinedAt), p.Standard, millis(s.Now()), millis(at))
		if err == nil {
			err = dropOldVisits(t, p.Room, p.Identity)
		}
		if err != nil || p.JoinedAt.IsZero() {
			return err
		}
		return s.startSession(t, p)
	})
}

// Present returns everybody who is in a room, without grants.
func (s *Store) Present(ctx context.Context) ([]stagedoor.Participant, error) {
	return s.present(ctx, "SELECT room, sid, identity, joined_at, standard FROM presence WHERE left_at = 0 ORDER BY room, joined_at, sid")
}

// PresentCount returns how many participants are present in how many rooms.
func (s *Store) PresentCount(ctx context.Context) (participants, rooms int, err error) {
	_, err = s.reads.row(ctx, "SELECT COUNT(*), COUNT(DISTINCT room) FROM presence WHERE left_at = 0", nil, &participants, &rooms)
	return participants, rooms, wrap("count who is present", err)
}

// PresentIn returns who is in one room, without grants, whoever came first first.
func (s *Store) PresentIn(ctx context.Context, room stagedoor.Room) ([]stagedoor.Participant, error) {
	return s.present(ctx, selectPresentIn, string(room))
}

// PresentOf returns where a principal is, without grants, under whatever
// identity the door handed out tokens to it for.
func (s *Store) PresentOf(ctx context.Context, key stagedoor.PrincipalKey) ([]stagedoor.Participant, error) {
	return s.present(ctx, `SELECT p.room, p.sid, p.identity, p.joined_at, p.standard FROM mints m
		JOIN presence p ON p.room = m.room AND p.identity = m.identity
		WHERE m.issuer = $1 AND m.subject = $2 AND p.left_at = 0 ORDER BY p.room, p.joined_at, p.sid`, key.Issuer, key.Subject)
}

const selectPresentIn = "SELECT room, sid, identity, joined_at, standard FROM presence WHERE room = $1 AND left_at = 0 ORDER BY joined_at, sid"

func (s *Store) present(ctx context.Context, query string, args ...any) ([]stagedoor.Participant, error) {
	var all []stagedoor.Participant
	err := s.reads.each(ctx, query, args, func(scan scan) error {
		p, err := scanParticipant(scan)
		all = append(all, p)
		return err
	})
	return all, wrap("read who is present", err)
}

func scanParticipant(scan scan) (stagedoor.Participant, error) {
	var p stagedoor.Participant
	var joined int64
	err := scan(&p.Room, &p.SID, &p.Identity, &joined, &p.Standard)
	p.JoinedAt = fromMillis(joined)
	return p, err
}

// Reconcile makes what is kept of a room agree with LiveKit's own list of it,
// which was asked for at asked: whoever is listed is present, whatever events
// said before asked, and whoever is not and had come before asked has left.
func (s *Store) Reconcile(ctx context.Context, room stagedoor.Room, listed []stagedoor.Participant, asked time.Time) error {
	return s.write(ctx, retold, "reconcile a room", func(t tx) error {
		kept := map[string]stagedoor.Participant{}
		err := t.each(selectPresentIn, []any{string(room)}, func(scan scan) error {
			p, err := scanParticipant(scan)
			kept[p.SID] = p
			return err
		})
		if err != nil {
			return err
		}
		now := millis(s.Now())
		for _, p := range listed {
			have, ok := kept[p.SID]
			delete(kept, p.SID)
			if p.SID == "" || ok && have.Identity == p.Identity && have.Standard == p.Standard && millis(have.JoinedAt) == millis(p.JoinedAt) {
				continue
			}
			// Who was heard to leave after the list was asked for has left.
			if _, err := t.exec(`INSERT INTO presence (room, sid, identity, joined_at, standard, noted_at, left_at) VALUES ($1, $2, $3, $4, $5, $6, 0)
				ON CONFLICT (room, sid) DO UPDATE SET identity = excluded.identity, joined_at = excluded.joined_at,
					standard = excluded.standard, noted_at = excluded.noted_at, left_at = 0
				WHERE presence.left_at = 0 OR presence.noted_at < $7`,
				string(room), p.SID, string(p.Identity), millis(p.JoinedAt), p.Standard, now, millis(asked)); err != nil {
				return err
			}
			if err := s.settleIn(t, p); err != nil {
				return err
			}
		}
		for sid, left := range kept {
			if _, err := t.exec(`UPDATE presence SET left_at = $3, noted_at = $4
				WHERE room = $1 AND sid = $2 AND left_at = 0 AND joined_at < $3 AND noted_at < $3`, string(room), sid, millis(asked), now); err != nil {
				return err
			}
			if err := dropOldVisits(t, room, left.Identity); err != nil {
				return err
			}
		}
		return nil
	})
}
