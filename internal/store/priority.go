package store

import (
	"context"
	"strings"

	"stagedoor"
)

// selectInCall asks whether anybody is in a call whose rights a customer's
// subscriptions decide: somebody who is linked with it, or their guest. In place
// of a customer that is not known it takes the subscription that stands in for it.
const selectInCall = `WITH linked (issuer, subject) AS (
		SELECT issuer, subject FROM principals WHERE claim_customer = $1
		UNION ALL SELECT issuer, subject FROM principals WHERE claim_subscription = $1
		UNION ALL SELECT issuer, subject FROM principals
			WHERE claim_subscription IN (SELECT subscription FROM subscriptions WHERE customer = $1)
		UNION ALL SELECT issuer, subject FROM principals WHERE ref_a IN (SELECT reference FROM links WHERE customer = $1)
		UNION ALL SELECT issuer, subject FROM principals WHERE ref_b IN (SELECT reference FROM links WHERE customer = $1))
	SELECT 1 WHERE EXISTS (SELECT 1 FROM linked l CROSS JOIN mints m CROSS JOIN presence p
			WHERE m.issuer = l.issuer AND m.subject = l.subject
				AND p.room = m.room AND p.identity = m.identity AND p.left_at = 0)
		OR EXISTS (SELECT 1 FROM linked l CROSS JOIN invitations i CROSS JOIN guests g
				CROSS JOIN mints m CROSS JOIN presence p
			WHERE i.issuer = l.issuer AND i.subject = l.subject AND g.invitation = i.id
				AND m.issuer = $2 AND m.subject = g.subject
				AND p.room = m.room AND p.identity = m.identity AND p.left_at = 0)`

// priorityOf says how urgent a hint at an object is.
func priorityOf(t tx, object string) (stagedoor.Priority, error) {
	one := 0
	_, id, ok := strings.Cut(object, "/")
	if !ok {
		id = object
	}
	if ok || strings.HasPrefix(object, "prod_") || strings.HasPrefix(object, "price_") {
		// One request for all who pay for it, so that nobody looks up whether they are in a call.
		used, err := t.row("SELECT 1 FROM catalog WHERE id = $1", []any{id}, &one)
		if err != nil || !used {
			return stagedoor.PriorityHint, err
		}
		return stagedoor.PriorityInCall, nil
	}
	customer := object
	const selectOwner = "SELECT customer FROM subscriptions WHERE subscription = $1"
	if _, err := t.row(selectOwner, []any{object}, &customer); err != nil {
		return 0, err
	}
	if in, err := t.row(selectInCall, []any{customer, stagedoor.GuestIssuer}, &one); err != nil || in {
		return stagedoor.PriorityInCall, err
	}
	if known, err := t.row("SELECT 1 FROM customers WHERE customer = $1", []any{customer}, &one); err != nil || known {
		return stagedoor.PriorityHint, err
	}
	return stagedoor.PriorityNew, nil
}

// hinted are the hints at a customer and at its subscriptions.
const hinted = "(object = $1 OR object IN (SELECT subscription FROM subscriptions WHERE customer = $1)) AND priority < $2"

// Hasten has a customer for whom hints wait asked for with a priority, unless it
// has a higher one. It writes only when that changes something.
func (s *Store) Hasten(ctx context.Context, priority stagedoor.Priority, customer string) error {
	const doing = "hasten a customer"
	args, one := []any{customer, int64(priority)}, 0
	if waits, err := s.reads.row(ctx, "SELECT 1 FROM dirty WHERE "+hinted+" LIMIT 1", args, &one); err != nil || !waits {
		return wrap(doing, err)
	}
	return s.write(ctx, retold, doing, func(t tx) error {
		_, err := t.exec("UPDATE dirty SET priority = $2 WHERE "+hinted, args...)
		return err
	})
}
