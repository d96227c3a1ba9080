package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"stagedoor"
)

var (
	errInvitation = stagedoor.Refuse(stagedoor.RoomForbidden, "the invitation does not let anybody in any more")
	errUsedUp     = stagedoor.Refuse(stagedoor.RoomForbidden, "the invitation has been used up")
	errClosed     = stagedoor.Refuse(stagedoor.Banned, "the invitation lets no new guests in now")
	errNotTheirs  = stagedoor.Refuse(stagedoor.NotFound, "you have no such invitation")
)

// hashOf is under what a secret is kept. It is random enough not to need salt.
func hashOf(secret stagedoor.Secret) string {
	sum := sha256.Sum256([]byte(secret.Reveal()))
	return hex.EncodeToString(sum[:])
}

// AddInvitation keeps an invitation, with an ID and a secret that are made
// for it; it is on the disk when this returns. The oldest expired ones of its
// maker make room for it. Errors: RateLimited, when the maker has too many.
func (s *Store) AddInvitation(ctx context.Context, v stagedoor.Invitation) (stagedoor.Invitation, stagedoor.Secret, error) {
	secret := stagedoor.NewSecret(stagedoor.InvitationPrefix + rand.Text())
	v.ID, v.CreatedAt, v.Used, v.RevokedAt = "inv_"+rand.Text()[:16], s.Now(), 0, time.Time{}
	const doing = "keep an invitation"
	m, err := invitationsOf(s.outside(ctx), v)
	if err != nil {
		return stagedoor.Invitation{}, stagedoor.Secret{}, wrap(doing, err)
	}
	if err := m.allows(v); err != nil {
		return stagedoor.Invitation{}, stagedoor.Secret{}, err
	}
	err = s.write(ctx, acknowledged, doing, func(t tx) error {
		if err := dropEndedInvitations(t, v); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO invitations (id, secret, issuer, subject, room, name, publish, uses, expires_at, created_at, revoked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)`, v.ID, hashOf(secret), v.By.Issuer, v.By.Subject, string(v.Room), v.Name,
			v.Publish, v.Uses, millis(v.Expires), millis(v.CreatedAt))
		return err
	})
	if err != nil {
		return stagedoor.Invitation{}, stagedoor.Secret{}, err
	}
	return v, secret, nil
}

const selectInvitation = `SELECT id, issuer, subject, room, name, publish, uses, expires_at, created_at, revoked_at,
	(SELECT COUNT(*) FROM guests g WHERE g.invitation = invitations.id) FROM invitations `

// invitationRow is where selectInvitation's columns go.
type invitationRow struct {
	stagedoor.Invitation
	expires, created, revoked int64
}

func (r *invitationRow) columns() []any {
	return []any{&r.ID, &r.By.Issuer, &r.By.Subject, &r.Room, &r.Name, &r.Publish, &r.Uses, &r.expires, &r.created, &r.revoked, &r.Used}
}

func (r *invitationRow) invitation() stagedoor.Invitation {
	r.Expires, r.CreatedAt, r.RevokedAt = fromMillis(r.expires), fromMillis(r.created), fromMillis(r.revoked)
	return r.Invitation
}

// InvitationOf returns the invitation with a secret, revoked or expired ones
// too; false when there is none.
func (s *Store) InvitationOf(ctx context.Context, secret stagedoor.Secret) (stagedoor.Invitation, bool, error) {
	var r invitationRow
	ok, err := s.reads.row(ctx, selectInvitation+"WHERE secret = $1", []any{hashOf(secret)}, r.columns()...)
	return r.invitation(), ok, wrap("find an invitation", err)
}

// Invitation returns an invitation that was not revoked, and its maker as last
// remembered. Errors: RoomForbidden, when there is none such.
func (s *Store) Invitation(ctx context.Context, id string) (stagedoor.Invitation, stagedoor.Principal, error) {
	var r invitationRow
	ok, err := s.reads.row(ctx, selectInvitation+"WHERE id = $1", []any{id}, r.columns()...)
	if err != nil {
		return stagedoor.Invitation{}, stagedoor.Principal{}, wrap("read an invitation", err)
	}
	v := r.invitation()
	if !ok || !v.RevokedAt.IsZero() {
		return stagedoor.Invitation{}, stagedoor.Principal{}, errInvitation
	}
	maker, known, err := s.Principal(ctx, v.By)
	if err == nil && !known {
		err = errInvitation
	}
	return v, maker, err
}

// InvitationsBy returns a principal's invitations, the newest first.
func (s *Store) InvitationsBy(ctx context.Context, key stagedoor.PrincipalKey) ([]stagedoor.Invitation, error) {
	all := []stagedoor.Invitation{}
	err := s.reads.each(ctx, selectInvitation+"WHERE issuer = $1 AND subject = $2 ORDER BY created_at DESC, id LIMIT 1000", []any{key.Issuer, key.Subject}, func(scan scan) error {
		var r invitationRow
		err := scan(r.columns()...)
		all = append(all, r.invitation())
		return err
	})
	return all, wrap("list invitations", err)
}

// Admit spends a use of an invitation for a guest, once for the same one.
// Errors: RoomForbidden when no use is left, Banned when a guest of it is kept
// out: who is put out must not come back as the next guest, nor as one who was
// admitted in advance and never came.
func (s *Store) Admit(ctx context.Context, id string, guest stagedoor.PrincipalKey) error {
	var known, barred int64
	now := millis(s.Now())
	_, err := s.reads.row(ctx, `SELECT (SELECT COUNT(*) FROM guests WHERE invitation = $1 AND subject = $2),
			(SELECT COUNT(*) FROM bans b WHERE b.issuer = $3 AND (b.until = 0 OR b.until > $4)
				AND EXISTS (SELECT 1 FROM guests g WHERE g.invitation = $1 AND g.subject = b.subject)
				AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.issuer = $3 AND s.subject = $2))`,
		[]any{id, guest.Subject, stagedoor.GuestIssuer, now}, &known, &barred)
	switch {
	case err != nil:
		return wrap("find a guest", err)
	case barred > 0:
		return errClosed
	case known > 0:
		return nil
	}
	var spent int64
	err = s.write(ctx, retold, "admit a guest", func(t tx) (err error) {
		spent, err = t.exec(`INSERT INTO guests (invitation, subject, admitted_at)
			SELECT id, $2, $3 FROM invitations i WHERE i.id = $1 AND i.revoked_at = 0
				AND ((SELECT COUNT(*) FROM guests g WHERE g.invitation = i.id) < i.uses
					OR EXISTS (SELECT 1 FROM guests g WHERE g.invitation = i.id AND g.subject = $2))
			ON CONFLICT (invitation, subject) DO UPDATE SET admitted_at = guests.admitted_at`, id, guest.Subject, now)
		return err
	})
	if err == nil && spent == 0 {
		err = errUsedUp
	}
	return err
}

// RevokeInvitation takes back a principal's invitation, and returns its
// guests. Errors: NotFound, when there is none such of theirs.
func (s *Store) RevokeInvitation(ctx context.Context, by stagedoor.PrincipalKey, id string) ([]stagedoor.PrincipalKey, error) {
	var revoked int64
	err := s.write(ctx, acknowledged, "revoke an invitation", func(t tx) (err error) {
		revoked, err = t.exec(`UPDATE invitations SET revoked_at = CASE WHEN revoked_at = 0 THEN $4 ELSE revoked_at END
			WHERE id = $1 AND issuer = $2 AND subject = $3`, id, by.Issuer, by.Subject, millis(s.Now()))
		return err
	})
	if err == nil && revoked == 0 {
		err = errNotTheirs
	}
	if err != nil {
		return nil, err
	}
	// It is revoked, whether or not somebody waits for the answer.
	return s.guests(context.WithoutCancel(ctx), "SELECT subject FROM guests WHERE invitation = $1", id)
}

// selectGuestsOf says the order of the two by CROSS JOIN, which SQLite heeds:
// mints of everybody's guests are many, and invitations of one principal few.
const selectGuestsOf = `SELECT g.subject FROM invitations i CROSS JOIN guests g WHERE g.invitation = i.id AND i.issuer = $1 AND i.subject = $2
	AND EXISTS (SELECT 1 FROM mints m WHERE m.issuer = $3 AND m.subject = g.subject)`

// GuestsOf returns who came by a principal's invitations and may still hold a token.
func (s *Store) GuestsOf(ctx context.Context, key stagedoor.PrincipalKey) ([]stagedoor.PrincipalKey, error) {
	return s.guests(ctx, selectGuestsOf, key.Issuer, key.Subject, stagedoor.GuestIssuer)
}

func (s *Store) guests(ctx context.Context, query string, args ...any) ([]stagedoor.PrincipalKey, error) {
	var all []stagedoor.PrincipalKey
	err := s.reads.each(ctx, query, args, func(scan scan) error {
		key := stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer}
		err := scan(&key.Subject)
		all = append(all, key)
		return err
	})
	return all, wrap("list guests", err)
}
