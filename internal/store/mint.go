package store

import (
	"context"
	"time"

	"stagedoor"
)

// Minted keeps that a token was handed out to a participant, and holds its
// seat where the room is capped; m.At is now when it is zero. Without a cap it
// writes nothing when that is kept of the last hour. Errors: RoomFull,
// AlreadyInRoom, IdentityNotAllowed; RateLimited, when the principal has tokens
// for too many participants.
func (s *Store) Minted(ctx context.Context, m stagedoor.Mint) error { return s.minted(ctx, m, true) }

// minted is Minted. A mint whose token was handed out already is not bounded: a
// removal must find it.
func (s *Store) minted(ctx context.Context, m stagedoor.Mint, bounded bool) error {
	if m.Principal.Issuer == "" || m.Principal.Subject == "" {
		return wrap("keep a mint", errNobody)
	}
	if m.At.IsZero() {
		m.At = s.Now()
	}
	kept, ok, err := s.Mint(ctx, m.Room, m.Identity)
	if err != nil {
		return err
	}
	age := m.At.Sub(kept.At)
	counted := m.Seats > 0 || m.Alone
	if ok && kept.Principal == m.Principal && age < mintEvery && !counted && covers(kept, m) {
		return nil
	}
	if ok && kept.Principal == m.Principal && kept.Expires.After(m.At) {
		m.Rights |= kept.Rights // the earlier token can still be used
	}
	if err := s.checkMint(ctx, m, kept, bounded); err != nil {
		return err
	}
	var refused error
	err = s.write(ctx, retold, "keep a mint", func(t tx) error {
		var now stagedoor.PrincipalKey
		var at int64
		taken, err := t.row("SELECT issuer, subject, minted_at FROM mints WHERE room = $1 AND identity = $2", []any{string(m.Room), string(m.Identity)}, &now.Issuer, &now.Subject, &at)
		if err != nil {
			return err
		}
		if taken && now != m.Principal && (now != kept.Principal || at != millis(kept.At)) {
			refused = errTaken // another was faster
			return nil
		}
		if bounded && (!taken || now != m.Principal) {
			if err := dropEndedMints(t, m); err != nil {
				return err
			}
		}
		if counted {
			if err := s.takeSeat(t, m); stagedoor.KindOf(err) != stagedoor.Internal {
				refused = err
				return nil
			} else if err != nil {
				return err
			}
		}
		return putMint(t, m)
	})
	if err == nil {
		err = refused
	}
	return err
}

// checkMint refuses what is refused for certain, without the turn to write.
// kept is the stored mint of the same participant; the zero value is none.
func (s *Store) checkMint(ctx context.Context, m, kept stagedoor.Mint, bounded bool) error {
	if kept.Principal != (stagedoor.PrincipalKey{}) && kept.Principal != m.Principal {
		if err := s.checkTaken(ctx, m, m.At.Sub(kept.At)); err != nil {
			return err
		}
	}
	if bounded && kept.Principal != m.Principal {
		if _, err := mintsFull(s.outside(ctx), m); err != nil {
			return err
		}
	}
	if m.Seats > 0 {
		return s.plainlyFull(ctx, m)
	}
	return nil
}

func putMint(t tx, m stagedoor.Mint) error {
	_, err := t.exec(`INSERT INTO mints (room, identity, issuer, subject, minted_at, rights, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (room, identity) DO UPDATE SET issuer = excluded.issuer, subject = excluded.subject,
			minted_at = excluded.minted_at, rights = excluded.rights, expires_at = excluded.expires_at`,
		string(m.Room), string(m.Identity), m.Principal.Issuer, m.Principal.Subject, millis(m.At),
		int64(m.Rights), millis(m.Expires))
	return err
}

// covers reports whether a stored mint says enough about a new token too.
func covers(kept, m stagedoor.Mint) bool {
	return m.Rights&^kept.Rights == 0 && !m.Expires.Add(time.Minute).After(kept.Expires)
}

// identityKept is how long an identity in a room stays with the principal it
// was last handed to: longer than any token lives.
const identityKept = 25 * time.Hour

// checkTaken refuses an identity that stands for another principal in the
// room. Else whoever asked for a token last would decide over the other's
// participant. Errors: IdentityNotAllowed.
func (s *Store) checkTaken(ctx context.Context, m stagedoor.Mint, age time.Duration) error {
	present, err := s.PresentIn(ctx, m.Room)
	if err != nil {
		return err
	}
	for _, p := range present {
		if p.Identity == m.Identity {
			age = 0
		}
	}
	if age < identityKept {
		return errTaken
	}
	return nil
}

// usableFor is how long after its recorded expiry a mint's last token can be
// used at most: an expiry is recorded once an hour, and LiveKit accepts a token
// for a minute longer.
//
// SPEC: livekit/protocol auth/verifier.go tokenLeeway.
const usableFor = mintEvery + time.Minute

// unknownLifetime is how long a token of unknown expiry may live.
const unknownLifetime = 25 * time.Hour

const selectMint = "SELECT room, identity, issuer, subject, minted_at, rights, expires_at FROM mints "

// scanMint reads a row of selectMint. Expires is the latest possible time.
func scanMint(scan scan) (stagedoor.Mint, error) {
	var m stagedoor.Mint
	var at, rights, expires int64
	if err := scan(&m.Room, &m.Identity, &m.Principal.Issuer, &m.Principal.Subject, &at, &rights, &expires); err != nil {
		return m, err
	}
	m.At, m.Rights, m.Expires = fromMillis(at), stagedoor.Rights(rights), fromMillis(expires)
	if expires == 0 {
		m.Expires = m.At.Add(unknownLifetime)
	}
	m.Expires = m.Expires.Add(usableFor)
	return m, nil
}

// Mint returns whose a participant is; false when no token was handed out for
// it. Its At may be up to an hour before the last token's. Its Expires is when
// none of the tokens can be used any more, up to an hour later than exact.
func (s *Store) Mint(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Mint, bool, error) {
	all, err := s.mints(ctx, selectMint+"WHERE room = $1 AND identity = $2", string(room), string(identity))
	if err == nil && len(all) > 0 {
		return all[0], true, nil
	}
	late, ok := s.late.find(func(m lateMint) bool { return m.mint.Room == room && m.mint.Identity == identity })
	if ok {
		return late.mint, true, nil
	}
	return stagedoor.Mint{}, false, err
}

// MintsOf returns a principal's mints whose At is not before since, newest
// first, and those that wait to be written before them, also beside an error.
func (s *Store) MintsOf(ctx context.Context, key stagedoor.PrincipalKey, since time.Time, limit int) ([]stagedoor.Mint, error) {
	stored, err := s.mints(ctx, selectMint+`WHERE issuer = $1 AND subject = $2 AND minted_at >= $3
		ORDER BY minted_at DESC, room, identity LIMIT $4`, key.Issuer, key.Subject, millis(since), limit)
	var all []stagedoor.Mint
	for _, late := range s.late.list() {
		if late.mint.Principal == key {
			all = append(all, late.mint)
		}
	}
	return append(all, stored...), err
}

// BannedMints returns the mints of banned principals whose At is not before since.
func (s *Store) BannedMints(ctx context.Context, since time.Time) ([]stagedoor.Mint, error) {
	return s.mints(ctx, `SELECT DISTINCT m.room, m.identity, m.issuer, m.subject, m.minted_at, m.rights, m.expires_at
		FROM bans b JOIN mints m ON m.issuer = b.issuer AND m.subject = b.subject
		WHERE m.minted_at >= $1 AND (b.until = 0 OR b.until > $2)`, millis(since), millis(s.Now()))
}

// EachUsableMint calls fn on every mint with a token that can still be used at
// now, until fn fails. It reads some hundred at a time, so that fn may use the store.
func (s *Store) EachUsableMint(ctx context.Context, now time.Time, fn func(stagedoor.Mint) error) error {
	var room, identity string
	for {
		batch, err := s.mints(ctx, selectMint+`WHERE (room, identity) > ($1, $2) AND minted_at >= $3
			ORDER BY room, identity LIMIT $4`, room, identity, millis(now.Add(-unknownLifetime-usableFor)), page)
		if err != nil {
			return err
		}
		for _, m := range batch {
			room, identity = string(m.Room), string(m.Identity)
			if !m.Expires.After(now) {
				continue
			}
			if err := fn(m); err != nil {
				return err
			}
		}
		if len(batch) < page {
			return nil
		}
	}
}

func (s *Store) mints(ctx context.Context, query string, args ...any) ([]stagedoor.Mint, error) {
	var all []stagedoor.Mint
	err := s.reads.each(ctx, query, args, func(scan scan) error {
		m, err := scanMint(scan)
		all = append(all, m)
		return err
	})
	return all, wrap("read mints", err)
}
