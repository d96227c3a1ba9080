package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"stagedoor"
)

const (
	// sourceMetadata is the source of links that a customer's metadata proves.
	sourceMetadata = "metadata"
	// maxLinks bounds how many links of one principal are looked at.
	maxLinks = 500
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
	references = slices.DeleteFunc(slices.Clone(references), func(r string) bool { return r == "" })
	var all []datedLink
	for pair := range slices.Chunk(references, 2) {
		// Two at a time, so that the statement is always the same.
		found, err := s.linksOf(ctx, selectLinks+"LIMIT $3", pair[0], pair[len(pair)-1], maxLinks+1)
		if err == nil && len(found) > maxLinks {
			// Only then is it worth it to have the database sort them.
			found, err = s.linksOf(ctx, "SELECT reference, customer, source, added_at FROM ("+selectLinks+`) AS l
					ORDER BY CASE WHEN source = $4 THEN 0 ELSE 1 END, added_at, reference, customer, source LIMIT $3`,
				pair[0], pair[len(pair)-1], maxLinks, sourceMetadata)
		}
		if err != nil {
			return nil, wrap("read links", err)
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, datedLink.compare)
	links := make([]stagedoor.Link, 0, len(all))
	for _, l := range all[:min(len(all), maxLinks)] {
		links = append(links, l.Link)
	}
	return links, nil
}

// selectLinks reads the links of two references, which may be the same.
const selectLinks = `SELECT reference, customer, source, added_at FROM links WHERE reference = $1
	UNION ALL SELECT reference, customer, source, added_at FROM links WHERE reference = $2 AND $2 <> $1 `

// datedLink is a link and when it was kept first.
type datedLink struct {
	stagedoor.Link
	added int64
}

// compare puts first what Links returns first.
func (l datedLink) compare(other datedLink) int {
	if mine, theirs := l.Source == sourceMetadata, other.Source == sourceMetadata; mine != theirs {
		if mine {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(l.added, other.added), cmp.Compare(l.Reference, other.Reference),
		cmp.Compare(l.Customer, other.Customer), cmp.Compare(l.Source, other.Source))
}

func (s *Store) linksOf(ctx context.Context, query string, args ...any) ([]datedLink, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var all []datedLink
	err := s.reads.each(context.WithoutCancel(ctx), query, args, func(scan scan) error {
		var l datedLink
		err := scan(&l.Reference, &l.Customer, &l.Source, &l.added)
		all = append(all, l)
		return err
	})
	return all, err
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
