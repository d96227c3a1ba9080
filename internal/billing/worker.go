package billing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"stagedoor"
)

const (
	// workers is how many objects are asked for at once.
	workers = 8
	// batch is how many due objects are looked at together.
	batch = 64
	// Stripe's reads may lag behind its events: what changed is asked for once
	// more after echoAfter, up to twice as long.
	echoAfter = 30 * time.Second
	// Waits after failures.
	retryFirst, retryMost = time.Second, time.Minute
	// objectPatience bounds the work on one object, however many pages it has.
	objectPatience = time.Minute
	// idle bounds how long the queue is not looked at.
	idle = 10 * time.Second
)

// Run follows Stripe until ctx ends: it reconciles at the start, asks for
// what hints name, and reads the list of events.
func (b *Billing) Run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { b.Work(ctx) })
	group.Go(func() { b.follow(ctx) })
	group.Go(func() { b.watch(ctx) })
	group.Wait()
}

// Work asks for what is due until ctx ends; Run does so too.
func (b *Billing) Work(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	slots := make(chan struct{}, workers)
	var mu sync.Mutex
	busy := map[string]bool{}
	for ctx.Err() == nil {
		wait := b.ask.gate.openFor()
		if wait <= 0 {
			due, next, err := b.Store.PendingDue(ctx, b.Now(), batch)
			if err != nil && ctx.Err() == nil {
				b.Log.Error("billing: the queue cannot be read", "err", err)
			}
			wait = b.untilNext(next, err)
			for _, p := range due {
				mu.Lock()
				taken := busy[p.Object]
				busy[p.Object] = true
				mu.Unlock()
				if taken {
					continue
				}
				slots <- struct{}{}
				group.Go(func() {
					b.process(ctx, p)
					mu.Lock()
					delete(busy, p.Object)
					mu.Unlock()
					<-slots
					b.poke()
				})
			}
		}
		b.rest(ctx, wait)
	}
}

// untilNext is how long the queue may be left alone unless somebody pokes.
func (b *Billing) untilNext(next time.Time, err error) time.Duration {
	switch {
	case err != nil:
		return time.Second
	case next.IsZero():
		return idle
	}
	return min(max(next.Sub(b.Now()), 0), idle)
}

// rest waits for a time, a poke, or the end.
func (b *Billing) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(max(wait, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-b.wake:
	case <-timer.C:
	}
}

// process asks for one object and settles or postpones it.
func (b *Billing) process(ctx context.Context, p stagedoor.Pending) {
	changed, err := b.refreshSafely(ctx, p.Object)
	for range 2 {
		if !errors.Is(err, errSuperseded) {
			break
		}
		changed, err = b.refreshSafely(ctx, p.Object)
	}
	if ctx.Err() != nil || errors.Is(err, errBreakerOpen) {
		return // asked for again at the next start, or as soon as Stripe is asked again
	}
	if err != nil {
		b.Log.Warn("asking Stripe failed, retrying", "object", p.Object, "attempts", p.Attempts+1, "err", err)
		pause := min(retryFirst<<min(p.Attempts, 10), retryMost)
		err = b.Store.Postpone(ctx, p, b.Now().Add(pause/2+rand.N(pause)))
	} else {
		var again time.Time
		if changed || !p.Since.IsZero() {
			again = b.Now().Add(echoAfter + rand.N(echoAfter))
		}
		err = b.Store.Settle(ctx, p, again)
	}
	if err != nil && ctx.Err() == nil {
		b.Log.Error("billing: the queue cannot be written", "object", p.Object, "err", err)
	}
}

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
		customer, err := b.ask.customerOf(ctx, id)
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
			item, err := b.askProduct(ctx, id)
			if err == nil {
				learnt[i], err = b.learn(ctx, []stagedoor.CatalogItem{item})
			}
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
