package store

import (
	"time"

	"stagedoor"
)

// What one principal can have of invitations.
const (
	// maxInvitations is how many may be kept that have not expired, revoked ones too.
	maxInvitations = 200
	// maxInvitationsHour is how many may be made within an hour.
	maxInvitationsHour = 300
	// maxInvitationsKept is how many are kept, expired ones too.
	maxInvitationsKept = 1000
	// maxGuestsKept is how many guests all invitations that are kept may admit.
	maxGuestsKept = 10_000
	// maxDroppedInvitations is how many go at once where a version without these
	// bounds left more than may be kept.
	maxDroppedInvitations = 20
)

// selectMade sums up a principal's latest invitations. $3 is now, $4 an hour
// before; $5 bounds how many are looked at.
const selectMade = `SELECT COUNT(*), COALESCE(SUM(uses), 0),
	COALESCE(SUM(CASE WHEN expires_at > $3 THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN expires_at > $3 THEN uses ELSE 0 END), 0),
	COALESCE(MIN(CASE WHEN expires_at > $3 THEN expires_at END), 0),
	COALESCE(SUM(CASE WHEN created_at > $4 THEN 1 ELSE 0 END), 0), COALESCE(MIN(CASE WHEN created_at > $4 THEN created_at END), 0)
	FROM (SELECT uses, expires_at, created_at FROM invitations WHERE issuer = $1 AND subject = $2 ORDER BY expires_at DESC LIMIT $5) AS latest`

// made is what a principal has of invitations.
type made struct {
	// kept are all, uses how many guests these admit.
	kept, uses int
	// open are those that have not expired, openUses how many guests these admit.
	open, openUses int
	// recent were made within an hour.
	recent                   int
	firstExpiry, firstRecent int64
}

// invitationsOf reads what the maker of v has.
func invitationsOf(ask query, v stagedoor.Invitation) (made, error) {
	var m made
	now := v.CreatedAt
	_, err := ask(selectMade, []any{v.By.Issuer, v.By.Subject, millis(now), millis(now.Add(-time.Hour)), maxInvitationsKept + 1},
		&m.kept, &m.uses, &m.open, &m.openUses, &m.firstExpiry, &m.recent, &m.firstRecent)
	return m, err
}

// allows refuses what no expired invitation could make room for. Errors: RateLimited.
func (m made) allows(v stagedoor.Invitation) error {
	now, expiry := v.CreatedAt, fromMillis(m.firstExpiry)
	switch {
	case m.open >= maxInvitations:
		return tooMany("you have 200 invitations that have not expired, revoked ones included; try again when the first has expired", now, expiry)
	case m.recent >= maxInvitationsHour:
		return tooMany("you have made 300 invitations within an hour; try again later", now, fromMillis(m.firstRecent).Add(time.Hour))
	case m.openUses+v.Uses > maxGuestsKept:
		return tooMany("your invitations that have not expired admit 10000 guests; ask for fewer uses, or try again when the first has expired", now, expiry)
	}
	return nil
}

// surplus is how many of the oldest invitations must go before v fits, and how
// many guests these must have admitted.
func (m made) surplus(v stagedoor.Invitation) (invitations, uses int) {
	if m.kept > maxInvitationsKept {
		return maxDroppedInvitations, 0
	}
	return m.kept + 1 - maxInvitationsKept, m.uses + v.Uses - maxGuestsKept
}

// selectEndedInvitations finds a principal's expired invitations, the oldest
// first, of whose guests none may be in a call or come back. $3 is now, $4 the
// guests' issuer, $5 to $7 are as in selectEndedMints.
const selectEndedInvitations = `SELECT i.id, i.uses FROM invitations i WHERE i.issuer = $1 AND i.subject = $2 AND i.expires_at <= $3
	AND NOT EXISTS (SELECT 1 FROM guests g CROSS JOIN mints m WHERE g.invitation = i.id AND m.issuer = $4 AND m.subject = g.subject
		AND (m.expires_at >= $5 OR m.expires_at = 0 AND m.minted_at >= $6
			OR EXISTS (SELECT 1 FROM presence p WHERE p.room = m.room AND p.identity = m.identity AND (p.left_at = 0 OR p.left_at > $7))))
	ORDER BY i.expires_at LIMIT $8`

// dropEndedInvitations makes room for an invitation. Errors: RateLimited.
func dropEndedInvitations(t tx, v stagedoor.Invitation) error {
	m, err := invitationsOf(t.row, v)
	if err == nil {
		err = m.allows(v)
	}
	if err != nil {
		return err
	}
	invitations, uses := m.surplus(v)
	if invitations <= 0 && uses <= 0 {
		return nil
	}
	limit := invitations
	if uses > 0 {
		limit = maxInvitationsKept
	}
	now := v.CreatedAt
	expired := now.Add(-usableFor)
	var ended []string
	err = t.each(selectEndedInvitations, []any{v.By.Issuer, v.By.Subject, millis(now), stagedoor.GuestIssuer,
		millis(expired), millis(expired.Add(-unknownLifetime)), millis(now.Add(-seenFor)), limit}, func(scan scan) error {
		var id string
		var admits int
		if err := scan(&id, &admits); err != nil || invitations <= 0 && uses <= 0 {
			return err
		}
		ended = append(ended, id)
		invitations, uses = invitations-1, uses-admits
		return nil
	})
	for _, id := range ended {
		if err == nil {
			err = dropInvitation(t, id)
		}
	}
	if err == nil && m.kept <= maxInvitationsKept && (invitations > 0 || uses > 0) {
		err = tooMany("guests of your earlier invitations may still be in calls; try again later", now, now.Add(time.Minute))
	}
	return err
}

// dropInvitation deletes an invitation with everything that is kept of its guests.
func dropInvitation(t tx, id string) error {
	const theirs = "issuer = $2 AND subject IN (SELECT subject FROM guests WHERE invitation = $1)"
	for _, text := range []string{
		"DELETE FROM presence WHERE (room, identity) IN (SELECT room, identity FROM mints WHERE " + theirs + ")",
		"DELETE FROM mints WHERE " + theirs,
		"DELETE FROM principals WHERE " + theirs,
	} {
		if _, err := t.exec(text, id, stagedoor.GuestIssuer); err != nil {
			return err
		}
	}
	if _, err := t.exec("DELETE FROM guests WHERE invitation = $1", id); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM invitations WHERE id = $1", id)
	return err
}
