package store

import (
	"context"
	"encoding/json"
	"errors"

	"stagedoor"
)

// Catalog returns every price and product that is known.
func (s *Store) Catalog(ctx context.Context) ([]stagedoor.CatalogItem, error) {
	var all []stagedoor.CatalogItem
	// Hints at old items name their kind too, since their IDs do not.
	err := s.reads.each(ctx, `SELECT c.id, c.features, c.malformed, c.asked_at_ns, c.generation,
			COALESCE((SELECT MIN(d.since) FROM dirty d WHERE d.since > 0 AND d.object IN (c.id, 'price/' || c.id, 'product/' || c.id)), 0)
		FROM catalog c ORDER BY c.id`, nil, func(scan scan) error {
		var item stagedoor.CatalogItem
		var features string
		var asked, since int64
		if err := scan(&item.ID, &features, &item.Malformed, &asked, &item.Generation, &since); err != nil {
			return err
		}
		item.AskedAt, item.DirtySince = fromNanos(asked), fromMillis(since)
		if err := json.Unmarshal([]byte(features), &item.Features); err != nil {
			return err
		}
		all = append(all, item)
		return nil
	})
	return all, wrap("read the catalog", err)
}

// SaveCatalogItem stores a price or product. When an answer of a later
// generation is stored it changes nothing, and written is false.
func (s *Store) SaveCatalogItem(ctx context.Context, i stagedoor.CatalogItem) (written bool, err error) {
	const doing = "keep a catalog item"
	if i.ID == "" {
		return false, wrap(doing, errors.New("it has no ID"))
	}
	features, err := json.Marshal(i.Features)
	if err != nil {
		return false, wrap(doing, err)
	}
	err = s.write(ctx, retold, doing, func(t tx) error {
		kept, err := t.exec(`INSERT INTO catalog (id, features, malformed, asked_at_ns, generation) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET features = excluded.features, malformed = excluded.malformed,
				asked_at_ns = excluded.asked_at_ns, generation = excluded.generation
			WHERE excluded.generation >= catalog.generation`,
			i.ID, string(features), i.Malformed, nanos(i.AskedAt), i.Generation)
		written = kept > 0
		return err
	})
	return written && err == nil, err
}

// Progress returns how far Stripe's events have been followed; its zero value
// when they never were.
func (s *Store) Progress(ctx context.Context) (stagedoor.BillingProgress, error) {
	values := map[string]int64{}
	err := s.reads.each(ctx, "SELECT key, value FROM meta", nil, func(scan scan) error {
		var key string
		var value int64
		err := scan(&key, &value)
		values[key] = value
		return err
	})
	return stagedoor.BillingProgress{
		ChainStart:  fromNanos(values["chain_start_ns"]),
		ConfirmedAt: fromNanos(values["confirmed_at_ns"]),
		FullAt:      fromNanos(values["full_at_ns"]),
		Key:         values["stripe_key"],
	}, wrap("read the progress", err)
}

// SaveProgress keeps how far Stripe's events have been followed.
func (s *Store) SaveProgress(ctx context.Context, p stagedoor.BillingProgress) error {
	return s.write(ctx, retold, "keep the progress", func(t tx) error {
		for key, value := range map[string]int64{"chain_start_ns": nanos(p.ChainStart), "confirmed_at_ns": nanos(p.ConfirmedAt), "full_at_ns": nanos(p.FullAt), "stripe_key": p.Key} {
			if _, err := t.exec("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value); err != nil {
				return err
			}
		}
		return nil
	})
}
