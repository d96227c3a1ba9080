package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"stagedoor"
)

const (
	// seenEvery is how exactly it is kept when a principal was last seen.
	seenEvery = 24 * time.Hour
	// mintEvery is how exactly it is kept when the last token was handed out.
	mintEvery = time.Hour
)

var (
	errNobody = errors.New("a principal without issuer or subject")
	errTaken  = stagedoor.Refuse(stagedoor.IdentityNotAllowed, "the identity is somebody else's in this room")
)

// principalRow is a row of principals but for its key.
type principalRow struct {
	handle, prefix, name, claims string
	invitation, claimNames       string
	issuedAt                     int64
	customer, subscription       string
	refA, refB                   string
	seenAt                       int64
}

// rowOf is what is to be kept of a principal.
func (s *Store) rowOf(p stagedoor.Principal) (principalRow, error) {
	if p.Issuer == "" || p.Subject == "" {
		return principalRow{}, errNobody
	}
	claims := p.Claims
	if claims == nil {
		claims = stagedoor.Claims{}
	}
	text, err := json.Marshal(claims) // keys are sorted: equal claims have equal texts
	if err != nil {
		return principalRow{}, err
	}
	names, err := json.Marshal(p.ClaimNames)
	if err != nil {
		return principalRow{}, err
	}
	row := principalRow{claimNames: string(names), handle: p.Handle, prefix: p.IdentityPrefix, name: p.Name, claims: string(text), invitation: p.Invitation, issuedAt: millis(p.IssuedAt), seenAt: millis(s.Now())}
	row.customer, row.subscription = s.index.Claimed(claims)
	references := append(p.References(s.index.Prefixes), "", "")
	row.refA, row.refB = references[0], references[1]
	return row, nil
}

// outdates reports whether the kept claims are of a newer token than other's.
func (r principalRow) outdates(other principalRow) bool {
	return r.issuedAt > other.issuedAt && other.issuedAt != 0
}

// covers reports whether keeping other would change nothing that matters. A
// newer token matters even when it says the same: what is older than it must
// not undo it.
func (r principalRow) covers(other principalRow) bool {
	fresh := other.seenAt-r.seenAt < seenEvery.Milliseconds()
	if other.issuedAt == 0 {
		other.issuedAt = r.issuedAt
	}
	other.seenAt = r.seenAt
	return fresh && r == other
}

// Remember keeps a principal with the claims given, which should be no more
// than decisions name, and returns it with those of the newest token seen:
// when the kept ones are of a later IssuedAt, these, and nothing is changed.
// It writes only what differs, and once a day that the principal was seen.
func (s *Store) Remember(ctx context.Context, p stagedoor.Principal) (stagedoor.Principal, error) {
	const doing = "remember a principal"
	given, err := s.rowOf(p)
	if err != nil {
		return p, wrap(doing, err)
	}
	kept, known, err := s.principalRow(ctx, p.Key())
	if err != nil {
		return p, wrap(doing, err)
	}
	if known && kept.outdates(given) {
		if given.seenAt-kept.seenAt >= seenEvery.Milliseconds() {
			err = s.write(ctx, retold, doing, func(t tx) error {
				_, err := t.exec("UPDATE principals SET seen_at = $3 WHERE issuer = $1 AND subject = $2", p.Issuer, p.Subject, given.seenAt)
				return err
			})
		}
		if err == nil {
			err = wrap(doing, kept.restore(&p))
		}
		return p, err
	}
	if known && kept.covers(given) {
		return p, nil
	}
	newest, err := s.keepPrincipal(ctx, p.Key(), given)
	if err == nil && newest != given {
		err = wrap(doing, newest.restore(&p)) // another request was faster with a newer token
	}
	return p, err
}

// restore puts what the kept token said into p.
func (r principalRow) restore(p *stagedoor.Principal) error {
	claims := stagedoor.Claims{}
	if err := json.Unmarshal([]byte(r.claims), &claims); err != nil {
		return err
	}
	var names []string
	if err := json.Unmarshal([]byte(r.claimNames), &names); err != nil {
		return err
	}
	p.Claims, p.ClaimNames, p.IssuedAt = claims, names, fromMillis(r.issuedAt)
	p.Handle, p.IdentityPrefix, p.Name, p.Invitation = r.handle, r.prefix, r.name, r.invitation
	return nil
}

// keepPrincipal writes a row unless one of a newer token is there, and returns
// the row whose claims count.
func (s *Store) keepPrincipal(ctx context.Context, key stagedoor.PrincipalKey, r principalRow) (principalRow, error) {
	newest := r
	err := s.write(ctx, retold, "keep a principal", func(t tx) error {
		// A token that says no time of issue leaves the one that is kept:
		// what is older than that must still not count.
		written, err := t.exec(`INSERT INTO principals
				(issuer, subject, handle, prefix, name, claims, issued_at, claim_customer, claim_subscription, ref_a, ref_b, seen_at, invitation, claim_names)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
			ON CONFLICT (issuer, subject) DO UPDATE SET
				handle = excluded.handle, prefix = excluded.prefix, name = excluded.name, claims = excluded.claims,
				issued_at = CASE WHEN excluded.issued_at > principals.issued_at THEN excluded.issued_at ELSE principals.issued_at END,
				claim_customer = excluded.claim_customer, claim_subscription = excluded.claim_subscription,
				ref_a = excluded.ref_a, ref_b = excluded.ref_b, seen_at = excluded.seen_at, invitation = excluded.invitation,
				claim_names = excluded.claim_names
			WHERE excluded.issued_at = 0 OR excluded.issued_at >= principals.issued_at`,
			key.Issuer, key.Subject, r.handle, r.prefix, r.name, r.claims, r.issuedAt, r.customer, r.subscription, r.refA, r.refB, r.seenAt, r.invitation, r.claimNames)
		if err != nil || written > 0 {
			return err
		}
		_, err = t.row(selectPrincipal, []any{key.Issuer, key.Subject}, newest.columns()...)
		return err
	})
	return newest, err
}

const selectPrincipal = `SELECT handle, prefix, name, claims, issued_at, claim_customer, claim_subscription, ref_a, ref_b, seen_at, invitation, claim_names
	FROM principals WHERE issuer = $1 AND subject = $2`

// columns are where selectPrincipal's columns go.
func (r *principalRow) columns() []any {
	return []any{&r.handle, &r.prefix, &r.name, &r.claims, &r.issuedAt, &r.customer, &r.subscription, &r.refA, &r.refB, &r.seenAt, &r.invitation, &r.claimNames}
}

func (s *Store) principalRow(ctx context.Context, key stagedoor.PrincipalKey) (principalRow, bool, error) {
	var r principalRow
	ok, err := s.reads.row(ctx, selectPrincipal, []any{key.Issuer, key.Subject}, r.columns()...)
	return r, ok, err
}

// Principal returns a principal as it was last remembered, and whether it ever was.
func (s *Store) Principal(ctx context.Context, key stagedoor.PrincipalKey) (stagedoor.Principal, bool, error) {
	r, ok, err := s.principalRow(ctx, key)
	if err != nil || !ok {
		return stagedoor.Principal{}, false, wrap("read a principal", err)
	}
	p, err := r.principal(key)
	return p, err == nil, wrap("read a principal", err)
}

func (r principalRow) principal(key stagedoor.PrincipalKey) (stagedoor.Principal, error) {
	p := stagedoor.Principal{Issuer: key.Issuer, Subject: key.Subject}
	return p, r.restore(&p)
}

// FindPrincipals returns those whose subject, handle or identity user is, the
// one seen last first.
func (s *Store) FindPrincipals(ctx context.Context, user string, limit int) ([]stagedoor.Principal, error) {
	prefix, handle, prefixed := strings.Cut(user, ":")
	if !prefixed || prefix == "" {
		prefix, handle = "", user
	}
	var found []stagedoor.Principal
	err := s.reads.each(ctx, `SELECT issuer, subject, handle, prefix, name, claims, issued_at, invitation, claim_names FROM principals
			WHERE subject = $1 OR handle = $1 OR (prefix = $2 AND handle = $3)
			ORDER BY seen_at DESC, issuer, subject LIMIT $4`, []any{user, prefix, handle, limit}, func(scan scan) error {
		var key stagedoor.PrincipalKey
		var r principalRow
		if err := scan(&key.Issuer, &key.Subject, &r.handle, &r.prefix, &r.name, &r.claims, &r.issuedAt, &r.invitation, &r.claimNames); err != nil {
			return err
		}
		p, err := r.principal(key)
		found = append(found, p)
		return err
	})
	return found, wrap("find principals", err)
}

// Minted keeps that a token was handed out to a participant, and holds its
// seat where the room is capped; m.At is now when it is zero. Without a cap it
// writes nothing when that is kept of the last hour. Errors: RoomFull,
// AlreadyInRoom, IdentityNotAllowed.
func (s *Store) Minted(ctx context.Context, m stagedoor.Mint) error {
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
	if ok && kept.Principal == m.Principal && age < mintEvery && !counted {
		return nil
	}
	if ok && kept.Principal != m.Principal {
		if err := s.checkTaken(ctx, m, age); err != nil {
			return err
		}
	}
	if m.Seats > 0 {
		if err := s.plainlyFull(ctx, m); err != nil {
			return err
		}
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
		if counted {
			if err := s.takeSeat(t, m); stagedoor.KindOf(err) != stagedoor.Internal {
				refused = err
				return nil
			} else if err != nil {
				return err
			}
		}
		_, err = t.exec(`INSERT INTO mints (room, identity, issuer, subject, minted_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (room, identity) DO UPDATE SET issuer = excluded.issuer, subject = excluded.subject, minted_at = excluded.minted_at`,
			string(m.Room), string(m.Identity), m.Principal.Issuer, m.Principal.Subject, millis(m.At))
		return err
	})
	if err == nil {
		err = refused
	}
	return err
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

// Mint returns whose a participant is; false when the door never handed out
// a token for it. Its time may be up to an hour before the last token's.
func (s *Store) Mint(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Mint, bool, error) {
	m := stagedoor.Mint{Room: room, Identity: identity}
	var at int64
	ok, err := s.reads.row(ctx, "SELECT issuer, subject, minted_at FROM mints WHERE room = $1 AND identity = $2",
		[]any{string(room), string(identity)}, &m.Principal.Issuer, &m.Principal.Subject, &at)
	if err != nil || !ok {
		return stagedoor.Mint{}, false, wrap("read a mint", err)
	}
	m.At = fromMillis(at)
	return m, true, nil
}

// MintsOf returns a principal's mints whose time, as Mint tells it, is not
// before since, newest first.
func (s *Store) MintsOf(ctx context.Context, key stagedoor.PrincipalKey, since time.Time, limit int) ([]stagedoor.Mint, error) {
	var mints []stagedoor.Mint
	err := s.reads.each(ctx, `SELECT room, identity, minted_at FROM mints WHERE issuer = $1 AND subject = $2 AND minted_at >= $3
			ORDER BY minted_at DESC, room, identity LIMIT $4`, []any{key.Issuer, key.Subject, millis(since), limit}, func(scan scan) error {
		m := stagedoor.Mint{Principal: key}
		var at int64
		if err := scan(&m.Room, &m.Identity, &at); err != nil {
			return err
		}
		m.At = fromMillis(at)
		mints = append(mints, m)
		return nil
	})
	return mints, wrap("read a principal's mints", err)
}
