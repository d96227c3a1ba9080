package store

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
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
	exact                        bool
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
	row := principalRow{claimNames: string(names), handle: p.Handle, prefix: p.IdentityPrefix, name: p.Name, claims: string(text), invitation: p.Invitation, issuedAt: millis(p.IssuedAt), seenAt: millis(s.Now()), exact: true}
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
	if !r.exact {
		withholdRounded(claims)
	}
	var names []string
	if err := json.Unmarshal([]byte(r.claimNames), &names); err != nil {
		return err
	}
	p.Claims, p.ClaimNames, p.IssuedAt = claims, names, fromMillis(r.issuedAt)
	p.Handle, p.IdentityPrefix, p.Name, p.Invitation = r.handle, r.prefix, r.name, r.invitation
	return nil
}

// withholdRounded makes unusable every integer that an earlier version may have
// rounded: it holds for nobody until the next token brings the exact one.
func withholdRounded(claims map[string]any) {
	for name, value := range claims {
		claims[name] = withheld(value)
	}
}

func withheld(value any) any {
	const exactTo = 1 << 53
	switch v := value.(type) {
	case int64:
		if v <= -exactTo || v >= exactTo {
			return json.Number(strconv.FormatInt(v, 10))
		}
	case []any:
		for i := range v {
			v[i] = withheld(v[i])
		}
	case map[string]any:
		withholdRounded(v)
	}
	return value
}

// keepPrincipal writes a row unless one of a newer token is there, and returns
// the row whose claims count.
func (s *Store) keepPrincipal(ctx context.Context, key stagedoor.PrincipalKey, r principalRow) (principalRow, error) {
	newest := r
	err := s.write(ctx, retold, "keep a principal", func(t tx) error {
		// A token that says no time of issue leaves the one that is kept:
		// what is older than that must still not count.
		written, err := t.exec(`INSERT INTO principals
				(issuer, subject, handle, prefix, name, claims, issued_at, claim_customer, claim_subscription, ref_a, ref_b, seen_at, invitation, claim_names, claims_exact)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
			ON CONFLICT (issuer, subject) DO UPDATE SET
				handle = excluded.handle, prefix = excluded.prefix, name = excluded.name, claims = excluded.claims,
				issued_at = CASE WHEN excluded.issued_at > principals.issued_at THEN excluded.issued_at ELSE principals.issued_at END,
				claim_customer = excluded.claim_customer, claim_subscription = excluded.claim_subscription,
				ref_a = excluded.ref_a, ref_b = excluded.ref_b, seen_at = excluded.seen_at, invitation = excluded.invitation,
				claim_names = excluded.claim_names, claims_exact = excluded.claims_exact
			WHERE excluded.issued_at = 0 OR excluded.issued_at >= principals.issued_at`,
			key.Issuer, key.Subject, r.handle, r.prefix, r.name, r.claims, r.issuedAt, r.customer, r.subscription, r.refA, r.refB, r.seenAt, r.invitation, r.claimNames, r.exact)
		if err != nil || written > 0 {
			return err
		}
		_, err = t.row(selectPrincipal, []any{key.Issuer, key.Subject}, newest.columns()...)
		return err
	})
	return newest, err
}

const selectPrincipal = `SELECT handle, prefix, name, claims, issued_at, claim_customer, claim_subscription, ref_a, ref_b, seen_at, invitation, claim_names, claims_exact
	FROM principals WHERE issuer = $1 AND subject = $2`

// columns are where selectPrincipal's columns go.
func (r *principalRow) columns() []any {
	return []any{&r.handle, &r.prefix, &r.name, &r.claims, &r.issuedAt, &r.customer, &r.subscription, &r.refA, &r.refB, &r.seenAt, &r.invitation, &r.claimNames, &r.exact}
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
		if late, ok := s.late.find(func(m lateMint) bool { return m.principal.Key() == key }); ok {
			return late.principal, true, nil
		}
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
	err := s.reads.each(ctx, `SELECT issuer, subject, handle, prefix, name, claims, issued_at, invitation, claim_names, claims_exact FROM principals
			WHERE subject = $1 OR handle = $1 OR (prefix = $2 AND handle = $3)
			ORDER BY seen_at DESC, issuer, subject LIMIT $4`, []any{user, prefix, handle, limit}, func(scan scan) error {
		var key stagedoor.PrincipalKey
		var r principalRow
		if err := scan(&key.Issuer, &key.Subject, &r.handle, &r.prefix, &r.name, &r.claims, &r.issuedAt, &r.invitation, &r.claimNames, &r.exact); err != nil {
			return err
		}
		p, err := r.principal(key)
		found = append(found, p)
		return err
	})
	return found, wrap("find principals", err)
}
