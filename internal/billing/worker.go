package billing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"stagedoor"
)

// objectPatience bounds the work on one object, however many pages it has.
const objectPatience = time.Minute

// refreshSafely is refresh within a time, and for whatever Stripe answers: what
// makes one object fail must not end the door, and with it every other.
func (b *Billing) refreshSafely(ctx context.Context, object string) (changed bool, err error) {
	inTime, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			b.Log.Error("billing: a bug", "object", object, "cause", cause, "stack", string(debug.Stack()))
			changed, err = false, errGarbage
		}
	}()
	return b.refresh(inTime, object)
}

// refresh asks Stripe for one object and keeps the answer; changed reports
// whether it says something new.
func (b *Billing) refresh(ctx context.Context, object string) (changed bool, err error) {
	generation, err := b.Store.NextGeneration(ctx)
	if err != nil {
		return false, err
	}
	kind, id := kindOf(object)
	switch kind {
	case "customer":
		return b.refreshCustomer(ctx, id, generation)
	case "subscription":
		customer, err := b.ownerOf(ctx, id)
		if errors.Is(err, errNothing) {
			// Stored like a missing customer, so that not every join asks for it.
			missing := stagedoor.Customer{ID: id, Missing: true, AskedAt: b.Now(), Generation: generation}
			return false, b.saveAnswer(ctx, missing)
		}
		if err != nil {
			return false, err
		}
		return b.refreshCustomer(ctx, customer, generation)
	case "session":
		return b.refreshSession(ctx, id)
	case "price", "product":
		item, err := b.ask.catalogItem(ctx, kind, id)
		if err != nil {
			return false, err
		}
		item.Generation = generation
		changed, err := b.learn(ctx, []stagedoor.CatalogItem{item})
		if changed {
			b.Changed(nil)
		}
		if known := b.items()[id]; err == nil && known.Generation > generation {
			err = errSuperseded
		}
		return changed, err
	}
	return false, nil
}

// ownerOf returns whose a subscription is, which never changes. Errors:
// errNothing; Stripe's or the store's.
func (b *Billing) ownerOf(ctx context.Context, subscription string) (string, error) {
	if customer, err := b.Store.CustomerOf(ctx, subscription); err != nil || customer != "" {
		return customer, err
	}
	return b.ask.customerOf(ctx, subscription)
}

// errSuperseded means that a later question was answered first, so that an
// answer was not stored. Its object is asked for again: an answer that was not
// stored settles nothing.
var errSuperseded = errors.New("a later answer is stored")

// saveAnswer stores a customer. Errors: errSuperseded; the store's.
func (b *Billing) saveAnswer(ctx context.Context, c stagedoor.Customer) error {
	written, err := b.Store.SaveCustomer(ctx, c)
	if err == nil && !written {
		err = errSuperseded
	}
	return err
}

// kindOf tells what an object in the queue is.
func kindOf(object string) (kind, id string) {
	if kind, id, ok := strings.Cut(object, "/"); ok {
		return kind, id
	}
	for _, known := range [][2]string{{"sub_", "subscription"}, {"cs_", "session"}, {"price_", "price"}, {"prod_", "product"}} {
		if strings.HasPrefix(object, known[0]) {
			return known[1], object
		}
	}
	// Customers brought along from elsewhere keep the ids they had there.
	return "customer", object
}

// refreshSession keeps the link that a Checkout session proves.
func (b *Billing) refreshSession(ctx context.Context, id string) (bool, error) {
	link, customer, err := b.ask.session(ctx, id)
	if errors.Is(err, errNothing) || (err == nil && customer == "") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, b.linkFound(ctx, link, customer)
}

// linkFound keeps a link and has its customer asked for.
func (b *Billing) linkFound(ctx context.Context, link stagedoor.Link, customer string) error {
	if link.Reference != "" {
		if _, err := b.Store.AddLink(ctx, link); err != nil {
			return err
		}
	}
	defer b.poke()
	return b.Store.MarkDirty(ctx, b.Now(), customer)
}

// refreshCustomer asks for a customer, its prices and those of its products
// that are not known, keeps them, and tells whom it concerns.
func (b *Billing) refreshCustomer(ctx context.Context, id string, generation int64) (bool, error) {
	known, _, err := b.Store.Customer(ctx, id)
	if err != nil {
		return false, err
	}
	got, err := b.ask.customer(ctx, id, known, b.useEntitlements.Load())
	if err != nil {
		return false, err
	}
	got.customer.Generation = generation
	for i := range got.prices {
		got.prices[i].Generation = generation
	}
	repriced, err := b.learn(ctx, got.prices)
	if err != nil {
		return false, err
	}
	missed := b.learnProducts(ctx, got.customer)
	before, err := b.Store.PrincipalsOf(ctx, id)
	if err != nil {
		return false, err
	}
	err = b.saveAnswer(ctx, got.customer)
	if repriced || missed > 0 {
		b.Changed(nil)
	}
	if err != nil {
		return false, err
	}
	changed := !sameFacts(known, got.customer)
	if repriced || missed > 0 {
		return changed, nil
	}
	after, err := b.Store.PrincipalsOf(ctx, id)
	if err != nil {
		return false, err
	}
	if changed || len(after) != len(before) {
		b.Changed(slices.Concat(before, after))
	}
	return changed, nil
}

// learnProducts asks for the products that a customer's subscriptions name
// and that are not known, or not confirmed of late, side by side. What Stripe does not answer now is
// queued: until then these products name no feature. It returns how many were learnt.
func (b *Billing) learnProducts(ctx context.Context, c stagedoor.Customer) int {
	var unknown []string
	for _, s := range c.Subscriptions {
		for _, item := range s.Items {
			known, ok := b.items()[item.Product]
			fresh := ok && b.Now().Sub(b.chained(known.AskedAt, known.DirtySince)) < SoftLimit
			if !fresh && item.Product != "" && !slices.Contains(unknown, item.Product) {
				unknown = append(unknown, item.Product)
			}
		}
	}
	var group sync.WaitGroup
	learnt := make([]bool, len(unknown))
	for i, id := range unknown {
		group.Go(func() {
			// Customers who are asked for at the same time mostly have the same product.
			got, err, _ := b.single.Do(catalogObject("product", id), func() (any, error) {
				item, err := b.askProduct(ctx, id)
				if err != nil {
					return false, err
				}
				return b.learn(ctx, []stagedoor.CatalogItem{item})
			})
			learnt[i] = got == true
			if err != nil && ctx.Err() == nil {
				b.Log.Warn("billing: a product could not be asked for", "product", id, "err", err)
				_ = b.Store.MarkDirty(ctx, b.Now(), catalogObject("product", id))
			}
		})
	}
	group.Wait()
	count := 0
	for _, ok := range learnt {
		if ok {
			count++
		}
	}
	return count
}

// askProduct asks for a product.
func (b *Billing) askProduct(ctx context.Context, id string) (stagedoor.CatalogItem, error) {
	generation, err := b.Store.NextGeneration(ctx)
	if err != nil {
		return stagedoor.CatalogItem{}, err
	}
	item, err := b.ask.catalogItem(ctx, "product", id)
	item.Generation = generation
	return item, err
}

// sameFacts reports whether two answers say the same.
func sameFacts(a, b stagedoor.Customer) bool {
	a.AskedAt, b.AskedAt = time.Time{}, time.Time{}
	a.EntitlementsAt, b.EntitlementsAt = time.Time{}, time.Time{}
	left, err := json.Marshal(a)
	if err != nil {
		return false
	}
	right, err := json.Marshal(b)
	return err == nil && bytes.Equal(left, right)
}

// sameItem reports whether two catalog items name the same features.
func sameItem(a, b stagedoor.CatalogItem) bool {
	return a.Malformed == b.Malformed && slices.Equal(a.Features, b.Features)
}
