package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"stagedoor"
)

var (
	errDry     = errors.New("nothing was to be written")
	errPresent = stagedoor.Refuse(stagedoor.InvalidRequest, "they are in a call now: put them out first, as a ban of a minute does")
)

// Forget deletes what is kept of a principal. Mints stay until keepMints after
// the last token: see Erased. A file of no more bytes than most is written anew
// for that no trace is left in it; nobody can write meanwhile. It also returns
// the guests of the invitations that are gone.
// Errors: InvalidRequest, while they are in a call.
func (s *Store) Forget(ctx context.Context, e stagedoor.Erasure, keepMints time.Duration, most int64) (stagedoor.Erased, []stagedoor.PrincipalKey, error) {
	key := e.Principal
	if key.Issuer == "" || key.Subject == "" {
		return stagedoor.Erased{}, nil, wrap("forget a principal", errNobody)
	}
	guests, err := s.GuestsOf(ctx, key)
	if err != nil {
		return stagedoor.Erased{}, nil, err
	}
	if err := s.writes.overwrite(ctx, "ON"); err != nil {
		return stagedoor.Erased{}, nil, wrap("forget a principal", err)
	}
	defer func() { _ = s.writes.overwrite(context.WithoutCancel(ctx), "FAST") }()
	var f forgetting
	err = s.writes.do(ctx, acknowledged, func(t tx) error {
		f = forgetting{tx: t, key: key, bans: e.Bans, now: s.Now(), keep: keepMints, prefixes: s.index.Prefixes,
			out: stagedoor.Erased{Issuer: key.Issuer, Subject: key.Subject, DryRun: e.DryRun}}
		present, err := f.number(`SELECT COUNT(*) FROM presence p JOIN mints m ON m.room = p.room AND m.identity = p.identity
			WHERE m.issuer = $1 AND m.subject = $2 AND p.left_at = 0`, key.Issuer, key.Subject)
		switch {
		case err != nil:
			return err
		case present > 0 && !e.DryRun:
			return errPresent
		}
		for _, step := range []func() error{f.visits, f.invitations, f.billing, f.barred} {
			if err := step(); err != nil {
				return err
			}
		}
		if e.DryRun { // all is counted, and rolled back
			return errDry
		}
		return nil
	})
	switch {
	case errors.Is(err, errDry):
		return f.out, nil, nil
	case err == nil:
		f.out.Rewritten, err = s.writes.purify(ctx, most)
	case stagedoor.KindOf(err) != stagedoor.Internal:
		return stagedoor.Erased{}, nil, err
	}
	return f.out, guests, wrap("forget a principal", err)
}

// forgetting is one Forget under way.
type forgetting struct {
	tx
	key      stagedoor.PrincipalKey
	bans     bool
	now      time.Time
	keep     time.Duration
	prefixes []string
	out      stagedoor.Erased
}

// number reads a query of one number.
func (f *forgetting) number(query string, args ...any) (int64, error) {
	var n int64
	_, err := f.row(query, args, &n)
	return n, err
}

// count runs a statement and adds up how many rows it changed.
func (f *forgetting) count(into *int64, query string, args ...any) error {
	n, err := f.exec(query, args...)
	*into += n
	return err
}

// texts reads a query of one text.
func (f *forgetting) texts(query string, args ...any) ([]string, error) {
	var all []string
	err := f.each(query, args, func(scan scan) error {
		var text string
		err := scan(&text)
		all = append(all, text)
		return err
	})
	return all, err
}

// visits forgets where they were, and by which tokens they could be.
func (f *forgetting) visits() error {
	const theirs = " WHERE issuer = $1 AND subject = $2"
	var places [][2]string
	err := f.each("SELECT room, identity FROM mints"+theirs, []any{f.key.Issuer, f.key.Subject}, func(scan scan) error {
		var p [2]string
		err := scan(&p[0], &p[1])
		places = append(places, p)
		return err
	})
	for _, p := range places {
		if err != nil {
			return err
		}
		// A copy of a participant, "<identity>#<publish>", is theirs as well.
		err = errors.Join(f.count(&f.out.Presence, "DELETE FROM presence WHERE room = $1 AND (identity = $2 OR substr(identity, 1, length($2) + 1) = $2 || '#')", p[0], p[1]),
			f.count(&f.out.Seats, "DELETE FROM seats WHERE room = $1 AND identity = $2", p[0], p[1]))
	}
	if err != nil {
		return err
	}
	if err := f.count(&f.out.Sessions, "DELETE FROM sessions"+theirs, f.key.Issuer, f.key.Subject); err != nil {
		return err
	}
	if err := f.count(&f.out.Mints, "DELETE FROM mints"+theirs+" AND minted_at < $3", f.key.Issuer, f.key.Subject, millis(f.now.Add(-f.keep))); err != nil {
		return err
	}
	var last int64
	if _, err := f.row("SELECT COUNT(*), COALESCE(MAX(minted_at), 0) FROM mints"+theirs, []any{f.key.Issuer, f.key.Subject}, &f.out.MintsKept, &last); err != nil {
		return err
	}
	if last > 0 {
		f.out.MintsUntil = fromMillis(last).Add(f.keep)
	}
	return nil
}

// invitations forgets those they made, and by which they came.
func (f *forgetting) invitations() error {
	const theirs = "issuer = $1 AND subject = $2"
	if err := f.count(&f.out.Guests, "DELETE FROM guests WHERE invitation IN (SELECT id FROM invitations WHERE "+theirs+")", f.key.Issuer, f.key.Subject); err != nil {
		return err
	}
	if err := f.count(&f.out.Invitations, "DELETE FROM invitations WHERE "+theirs, f.key.Issuer, f.key.Subject); err != nil {
		return err
	}
	if f.key.Issuer != stagedoor.GuestIssuer {
		return nil
	}
	if kept, err := f.inForce(); err != nil || kept > 0 && !f.bans {
		return err // that they came by it closes the invitation, while they are kept out
	}
	// The use stays spent.
	if _, err := f.exec("UPDATE invitations SET uses = uses - 1 WHERE id IN (SELECT invitation FROM guests WHERE subject = $1)", f.key.Subject); err != nil {
		return err
	}
	return f.count(&f.out.Admissions, "DELETE FROM guests WHERE subject = $1", f.key.Subject)
}

// inForce counts the bans that keep them out now.
func (f *forgetting) inForce() (int64, error) {
	return f.number("SELECT COUNT(*) FROM bans WHERE issuer = $1 AND subject = $2 AND (until = 0 OR until > $3)", f.key.Issuer, f.key.Subject, millis(f.now))
}

// billing forgets them with their claims, their links and the customers that
// nobody else is linked with.
func (f *forgetting) billing() error {
	var r principalRow
	known, err := f.row(selectPrincipal, []any{f.key.Issuer, f.key.Subject}, r.columns()...)
	if err != nil {
		return err
	}
	if !known {
		references := append(stagedoor.Principal{Issuer: f.key.Issuer, Subject: f.key.Subject}.References(f.prefixes), "", "")
		r.refA, r.refB = references[0], references[1]
	}
	customers, err := f.texts(`SELECT customer FROM links WHERE reference IN ($1, $2) AND reference <> '' UNION SELECT customer FROM customers WHERE customer IN ($3, $4)
		UNION SELECT customer FROM subscriptions WHERE subscription = $4 ORDER BY customer`,
		r.refA, r.refB, r.customer, r.subscription)
	if err != nil {
		return err
	}
	if err := f.count(&f.out.Links, "DELETE FROM links WHERE reference IN ($1, $2) AND reference <> ''", r.refA, r.refB); err != nil {
		return err
	}
	if err := f.count(&f.out.Principals, "DELETE FROM principals WHERE issuer = $1 AND subject = $2", f.key.Issuer, f.key.Subject); err != nil {
		return err
	}
	for _, customer := range customers {
		if err := f.customer(customer, r.refA, r.refB); err != nil {
			return err
		}
	}
	return nil
}

// customer forgets a customer, or, where somebody else is linked with it, just
// whom its metadata names.
func (f *forgetting) customer(id string, references ...string) error {
	others, err := f.number(`SELECT (SELECT COUNT(*) FROM links WHERE customer = $1) + (SELECT COUNT(*) FROM principals WHERE claim_customer = $1 OR claim_subscription = $1
			OR claim_subscription IN (SELECT subscription FROM subscriptions WHERE customer = $1))`, id)
	if err != nil {
		return err
	}
	if others > 0 {
		return f.unname(id, references)
	}
	for _, query := range []string{
		"DELETE FROM dirty WHERE object = $1 OR object IN (SELECT subscription FROM subscriptions WHERE customer = $1)",
		"DELETE FROM subscriptions WHERE customer = $1",
	} {
		if _, err := f.exec(query, id); err != nil {
			return err
		}
	}
	return f.count(&f.out.Customers, "DELETE FROM customers WHERE customer = $1", id)
}

// unname takes a reference of theirs out of a customer's facts.
func (f *forgetting) unname(id string, references []string) error {
	var facts string
	known, err := f.row("SELECT facts FROM customers WHERE customer = $1", []any{id}, &facts)
	if err != nil || !known {
		return err
	}
	f.out.CustomersKept++
	var c stagedoor.Customer
	if err := json.Unmarshal([]byte(facts), &c); err != nil || c.Reference == "" || !slices.Contains(references, c.Reference) {
		return err
	}
	c.Reference = ""
	data, err := json.Marshal(c)
	if err == nil {
		_, err = f.exec("UPDATE customers SET facts = $2, reference = '' WHERE customer = $1", id, string(data))
	}
	return err
}

// barred forgets bans that have ended, and those in force where that is asked
// for. Bans of others that they set as moderators stay and name them no more.
func (f *forgetting) barred() error {
	until := millis(f.now)
	if err := f.count(&f.out.Bans, "DELETE FROM bans WHERE issuer = $1 AND subject = $2 AND ($3 OR until > 0 AND until <= $4)", f.key.Issuer, f.key.Subject, f.bans, until); err != nil {
		return err
	}
	if err := f.count(&f.out.Reasons, "UPDATE bans SET reason = 'removed by a moderator' WHERE reason = $1", stagedoor.RemovedBy(f.key)); err != nil {
		return err
	}
	kept, err := f.inForce()
	if f.out.BansKept = kept; err != nil || f.out.Bans+f.out.Reasons == 0 {
		return err
	}
	return bumpBans(f.tx)
}

// foldPatience is how long readers may keep the log from being emptied.
const foldPatience = 5 * time.Second

// purify writes the file anew, unless it has more bytes than most, and empties the log:
// what is deleted is overwritten with zeros, but copies stay where rows moved
// from one page to another before.
//
// SPEC: sqlite.org/lang_vacuum.html; sqlite.org/pragma.html#pragma_wal_checkpoint.
func (w *writer) purify(ctx context.Context, most int64) (rewritten bool, err error) {
	ctx = context.WithoutCancel(ctx) // it is deleted, whether or not somebody waits
	var size int64
	err = w.alone(ctx, func() error {
		if err := w.conn.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").Scan(&size); err != nil || size > most {
			return err
		}
		_, err := w.conn.ExecContext(ctx, "VACUUM")
		return err
	})
	for deadline := time.Now().Add(foldPatience); err == nil; time.Sleep(10 * time.Millisecond) {
		var kept, frames, moved int64
		err = w.alone(ctx, func() error {
			return w.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&kept, &frames, &moved)
		})
		if err == nil && kept == 0 {
			return size <= most, nil
		}
		if err == nil && time.Now().After(deadline) {
			err = errors.New("something goes on reading the database")
		}
	}
	return false, fmt.Errorf("it is deleted, but traces are left in the database's files: forget them once more: %w", err)
}

// alone runs fn while nobody writes.
func (w *writer) alone(ctx context.Context, fn func() error) error {
	if err := w.take(ctx); err != nil {
		return err
	}
	defer func() { <-w.turn }()
	return fn()
}

// overwrite sets how much of what is deleted is overwritten.
func (w *writer) overwrite(ctx context.Context, mode string) error {
	return w.alone(ctx, func() error {
		_, err := w.conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA secure_delete = "+mode)
		return err
	})
}
