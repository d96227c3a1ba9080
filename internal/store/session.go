package store

import (
	"context"
	"time"

	"stagedoor"
)

// settleIn gives an arrived participant's seat back, now that presence holds
// it, and starts the principal's time in the room unless it is running.
func (s *Store) settleIn(t tx, p stagedoor.Participant) error {
	if !p.Standard {
		return nil
	}
	if p.JoinedAt.IsZero() { // an end that never comes would be no limit
		p.JoinedAt = s.Now()
	}
	minted := string(p.Identity.Minted())
	if minted == string(p.Identity) { // a copy is no holder of its original's seat
		if _, err := t.exec("DELETE FROM seats WHERE room = $1 AND identity = $2", string(p.Room), minted); err != nil {
			return err
		}
	}
	return s.startSession(t, p)
}

// startSession starts the time of a participant's principal in the room, unless
// it runs since an earlier moment.
func (s *Store) startSession(t tx, p stagedoor.Participant) error {
	if !p.Standard {
		return nil
	}
	_, err := t.exec(`INSERT INTO sessions (room, issuer, subject, started_at)
		SELECT room, issuer, subject, $3 FROM mints WHERE room = $1 AND identity = $2
		ON CONFLICT (room, issuer, subject) DO UPDATE SET started_at = excluded.started_at WHERE excluded.started_at < sessions.started_at`,
		string(p.Room), string(p.Identity.Minted()), millis(p.JoinedAt))
	return err
}

// Since returns when a principal first arrived in a room since it opened; zero
// when they have not.
func (s *Store) Since(ctx context.Context, key stagedoor.PrincipalKey, room stagedoor.Room) (time.Time, error) {
	var started int64
	_, err := s.reads.row(ctx, "SELECT started_at FROM sessions WHERE room = $1 AND issuer = $2 AND subject = $3",
		[]any{string(room), key.Issuer, key.Subject}, &started)
	return fromMillis(started), wrap("read since when somebody is there", err)
}

// EndSessions forgets whose time in a room began before a moment: the room
// they were in has closed.
func (s *Store) EndSessions(ctx context.Context, room stagedoor.Room, before time.Time) error {
	return s.write(ctx, retold, "end a room's sessions", func(t tx) error {
		_, err := t.exec("DELETE FROM sessions WHERE room = $1 AND started_at < $2", string(room), millis(before))
		return err
	})
}

// SessionRooms returns each room in which somebody's time is running, and
// since when the longest does.
func (s *Store) SessionRooms(ctx context.Context) (map[stagedoor.Room]time.Time, error) {
	rooms := map[stagedoor.Room]time.Time{}
	err := s.reads.each(ctx, "SELECT room, MIN(started_at) FROM sessions GROUP BY room", nil, func(scan scan) error {
		var room stagedoor.Room
		var started int64
		err := scan(&room, &started)
		rooms[room] = fromMillis(started)
		return err
	})
	return rooms, wrap("read whose time is running", err)
}
