package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"stagedoor"
)

// page is how many customers EachCustomer reads at once.
const page = 500

// SaveCustomer stores what Stripe said of a customer, its subscriptions and the
// link that its metadata proves. When an answer of a later
// generation is stored it changes nothing, and written is false.
func (s *Store) SaveCustomer(ctx context.Context, c stagedoor.Customer) (written bool, err error) {
	const doing = "keep a customer"
	if c.ID == "" {
		return false, wrap(doing, errors.New("it has no ID"))
	}
	facts, err := json.Marshal(c)
	if err != nil {
		return false, wrap(doing, err)
	}
	err = s.write(ctx, retold, doing, func(t tx) error {
		kept, err := t.exec(`INSERT INTO customers (customer, facts, reference, asked_at_ns, generation) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (customer) DO UPDATE SET facts = excluded.facts, reference = excluded.reference,
				asked_at_ns = excluded.asked_at_ns, generation = excluded.generation
			WHERE excluded.generation >= customers.generation`,
			c.ID, string(facts), c.Reference, nanos(c.AskedAt), c.Generation)
		if err != nil || kept == 0 {
			return err
		}
		written = true
		if err := replaceSubscriptions(t, c); err != nil {
			return err
		}
		return replaceMetadataLink(t, c, s.Now())
	})
	return written && err == nil, err
}

// replaceSubscriptions keeps which subscriptions are the customer's, writing
// only what differs.
func replaceSubscriptions(t tx, c stagedoor.Customer) error {
	gone := map[string]bool{}
	err := t.each("SELECT subscription FROM subscriptions WHERE customer = $1", []any{c.ID}, func(scan scan) error {
		var id string
		err := scan(&id)
		gone[id] = true
		return err
	})
	if err != nil {
		return err
	}
	for _, sub := range c.Subscriptions {
		if sub.ID == "" || gone[sub.ID] {
			delete(gone, sub.ID)
			continue
		}
		if _, err := t.exec(`INSERT INTO subscriptions (subscription, customer) VALUES ($1, $2)
			ON CONFLICT (subscription) DO UPDATE SET customer = excluded.customer`, sub.ID, c.ID); err != nil {
			return err
		}
	}
	for id := range gone {
		if _, err := t.exec("DELETE FROM subscriptions WHERE subscription = $1", id); err != nil {
			return err
		}
	}
	return nil
}

// replaceMetadataLink keeps the one link that the customer's metadata proves.
func replaceMetadataLink(t tx, c stagedoor.Customer, now time.Time) error {
	if _, err := t.exec("DELETE FROM links WHERE customer = $1 AND source = $2 AND reference <> $3", c.ID, sourceMetadata, c.Reference); err != nil {
		return err
	}
	_, err := addLink(t, stagedoor.Link{Reference: c.Reference, Customer: c.ID, Source: sourceMetadata}, now)
	return err
}

// selectCustomer reads a customer's facts and since when there are hints at
// the customer itself and at one of its subscriptions.
const selectCustomer = `SELECT c.customer, c.facts, c.generation,
		COALESCE((SELECT d.since FROM dirty d WHERE d.object = c.customer), 0),
		COALESCE((SELECT MIN(d.since) FROM subscriptions s JOIN dirty d ON d.object = s.subscription WHERE s.customer = c.customer AND d.since > 0), 0)
	FROM customers c `

// scanCustomer reads a row of selectCustomer.
func scanCustomer(scan scan) (stagedoor.Customer, error) {
	var id, facts string
	var generation, since, through int64
	if err := scan(&id, &facts, &generation, &since, &through); err != nil {
		return stagedoor.Customer{}, err
	}
	c, err := customerOf(id, facts, since, through)
	c.Generation = generation
	return c, err
}

func customerOf(id, facts string, since, through int64) (stagedoor.Customer, error) {
	var c stagedoor.Customer
	if err := json.Unmarshal([]byte(facts), &c); err != nil {
		return stagedoor.Customer{}, err
	}
	if since == 0 || (through != 0 && through < since) {
		since = through
	}
	c.ID, c.DirtySince = id, fromMillis(since)
	return c, nil
}

// Customer returns what is known of a customer, and whether anything is.
// DirtySince also counts hints at its subscriptions.
func (s *Store) Customer(ctx context.Context, id string) (stagedoor.Customer, bool, error) {
	var facts string
	var generation, since, through int64
	ok, err := s.reads.row(ctx, selectCustomer+"WHERE c.customer = $1", []any{id}, &id, &facts, &generation, &since, &through)
	if err != nil || !ok {
		return stagedoor.Customer{}, false, wrap("read a customer", err)
	}
	c, err := customerOf(id, facts, since, through)
	c.Generation = generation
	return c, err == nil, wrap("read a customer", err)
}

// EachCustomer calls fn on every customer, by ID, until it fails. It reads
// some hundred at a time, so that fn may take long and may use the store; what
// changes meanwhile may be seen as it was or as it is.
func (s *Store) EachCustomer(ctx context.Context, fn func(stagedoor.Customer) error) error {
	last := ""
	for {
		batch := make([]stagedoor.Customer, 0, page)
		err := s.reads.each(ctx, selectCustomer+"WHERE c.customer > $1 ORDER BY c.customer LIMIT $2", []any{last, page}, func(scan scan) error {
			c, err := scanCustomer(scan)
			batch = append(batch, c)
			return err
		})
		if err != nil {
			return wrap("read the customers", err)
		}
		for _, c := range batch {
			if err := fn(c); err != nil {
				return err
			}
		}
		if len(batch) < page {
			return nil
		}
		last = batch[len(batch)-1].ID
	}
}

// CustomerCount returns how many customers are known.
func (s *Store) CustomerCount(ctx context.Context) (int, error) {
	var count int
	_, err := s.reads.row(ctx, "SELECT COUNT(*) FROM customers", nil, &count)
	return count, wrap("count the customers", err)
}

// CustomerOf returns whose a subscription is; empty when that is not known.
func (s *Store) CustomerOf(ctx context.Context, subscription string) (string, error) {
	var customer string
	_, err := s.reads.row(ctx, "SELECT customer FROM subscriptions WHERE subscription = $1", []any{subscription}, &customer)
	return customer, wrap("read a subscription's customer", err)
}
