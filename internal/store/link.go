package store

import (
	"context"
	"slices"
	"time"

	"stagedoor"
)

const (
	// sourceMetadata is the source of links that a customer's metadata proves.
	sourceMetadata = "metadata"
	// maxLinks bounds how many links of one principal are looked at.
	maxLinks = 100
)

// AddLink keeps a link; added is false when it was kept before or names no
// reference or no customer. It is on the disk when this returns.
func (s *Store) AddLink(ctx context.Context, l stagedoor.Link) (added bool, err error) {
	err = s.write(ctx, acknowledged, "keep a link", func(t tx) error {
		added, err = addLink(t, l, s.Now())
		return err
	})
	return added && err == nil, err
}

func addLink(t tx, l stagedoor.Link, now time.Time) (bool, error) {
	if l.Reference == "" || l.Customer == "" {
		return false, nil
	}
	added, err := t.exec("INSERT INTO links (reference, customer, source, added_at) VALUES ($1, $2, $3, $4) ON CONFLICT (reference, customer, source) DO NOTHING",
		l.Reference, l.Customer, l.Source, millis(now))
	return added > 0, err
}

// Links returns the links of references, which are one principal's: at most
// two, of which empty ones have none. Of more than a hundred links those of
// metadata come first, which only the operator can write, and then the
// oldest: whoever pays can name anybody in a Checkout session, and must not
// crowd out the customers that are really theirs.
func (s *Store) Links(ctx context.Context, references []string) ([]stagedoor.Link, error) {
	var all []stagedoor.Link
	references = slices.DeleteFunc(slices.Clone(references), func(r string) bool { return r == "" })
	for pair := range slices.Chunk(references, 2) {
		// Two at a time, so that the statement is always the same.
		err := s.reads.each(context.WithoutCancel(ctx), `SELECT reference, customer, source FROM links WHERE reference IN ($1, $2)
				ORDER BY CASE WHEN source = $3 THEN 0 ELSE 1 END, added_at, reference, customer, source LIMIT $4`,
			[]any{pair[0], pair[len(pair)-1], sourceMetadata, maxLinks - len(all)}, func(scan scan) error {
				var l stagedoor.Link
				err := scan(&l.Reference, &l.Customer, &l.Source)
				all = append(all, l)
				return err
			})
		if err != nil {
			return nil, wrap("read links", err)
		}
	}
	return all, nil
}

// PrincipalsOf returns who is linked with a customer, by a claim of their
// newest token or by a reference. In place of a customer that is not known it
// takes the subscription that stands in for it.
func (s *Store) PrincipalsOf(ctx context.Context, customer string) ([]stagedoor.PrincipalKey, error) {
	if customer == "" {
		return nil, nil
	}
	var all []stagedoor.PrincipalKey
	err := s.reads.each(ctx, `SELECT issuer, subject FROM principals WHERE claim_customer = $1
			UNION SELECT issuer, subject FROM principals WHERE claim_subscription = $1
			UNION SELECT issuer, subject FROM principals WHERE claim_subscription IN (SELECT subscription FROM subscriptions WHERE customer = $1)
			UNION SELECT issuer, subject FROM principals WHERE ref_a IN (SELECT reference FROM links WHERE customer = $1)
			UNION SELECT issuer, subject FROM principals WHERE ref_b IN (SELECT reference FROM links WHERE customer = $1)
			ORDER BY issuer, subject`, []any{customer}, func(scan scan) error {
		var key stagedoor.PrincipalKey
		err := scan(&key.Issuer, &key.Subject)
		all = append(all, key)
		return err
	})
	return all, wrap("read a customer's principals", err)
}
