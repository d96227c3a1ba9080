package billing

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v86"

	"stagedoor"
)

const (
	// pollEvery is how often Stripe's list of events is read.
	pollEvery = 2 * time.Minute
	// overlap is read again each time: an event may be listed a little late.
	overlap = 5 * time.Minute
	// eventsKept is for how long Stripe lists events, less a day of caution.
	//
	// SPEC: docs.stripe.com/api/events: 30 days.
	eventsKept = 29 * 24 * time.Hour
	// fullEvery is how often everything is compared: before what nothing else
	// confirms reaches the hard limit.
	fullEvery = 22 * time.Hour
	// compareEvery is how often it is looked whether that is due.
	compareEvery = time.Second
	// pollRetry is the pause after a poll that failed.
	pollRetry = 20 * time.Second
)

// follow reads the list of events at the start and every two minutes.
func (b *Billing) follow(ctx context.Context) {
	b.repeat(ctx, pollEvery, func() error {
		if err := b.catchUp(ctx); err != nil {
			return fmt.Errorf("Stripe's list of events could not be read: %w", err)
		}
		return nil
	})
}

// watch compares everything once a day and whenever events may have been
// missed, beside follow: on a large account it takes longer than a poll may wait.
func (b *Billing) watch(ctx context.Context) {
	b.repeat(ctx, compareEvery, func() error {
		if err := b.compareIfDue(ctx); err != nil {
			return fmt.Errorf("Stripe's subscriptions could not be compared: %w", err)
		}
		return nil
	})
}

// repeat does something at once and every so often, sooner after a failure, and
// at once when an outage of Stripe's is over.
func (b *Billing) repeat(ctx context.Context, every time.Duration, do func() error) {
	for ctx.Err() == nil {
		wait, recovered := every, b.recovery()
		if err := do(); err != nil && ctx.Err() == nil {
			b.Log.Warn("billing: " + err.Error())
			wait = pollRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-recovered:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// catchUp takes every event since the last time. A gap that Stripe's list no
// longer covers begins a new chain, on which older facts cannot stand; so does
// a clock that was set back, since times kept before are to come.
func (b *Billing) catchUp(ctx context.Context) error {
	b.mu.Lock()
	progress := b.progress
	b.mu.Unlock()
	began := b.Now()
	if progress.ChainStart.IsZero() || began.Sub(progress.ConfirmedAt) > eventsKept || ahead(progress, began) {
		progress.ChainStart, progress.FullAt = began, time.Time{}
		progress.ConfirmedAt = began
	}
	defer b.polled.Store(true)
	// The list is one request, and may name somebody who is in a call.
	err := b.ask.events(withPriority(ctx, stagedoor.PriorityJoin), progress.ConfirmedAt.Add(-overlap), func(e stagedoor.BillingEvent) error {
		_, err := b.take(ctx, e)
		return err
	})
	if err != nil {
		return err
	}
	return b.advance(ctx, func(p *stagedoor.BillingProgress) {
		if !p.ChainStart.Equal(progress.ChainStart) {
			p.ChainStart, p.FullAt = progress.ChainStart, time.Time{}
		}
		p.ConfirmedAt = began
	})
}

// ahead reports whether the clock was set back since progress was kept.
func ahead(p stagedoor.BillingProgress, now time.Time) bool {
	latest := now.Add(clockSlack)
	return p.ChainStart.After(latest) || p.ConfirmedAt.After(latest) || p.FullAt.After(latest)
}

// advance changes how far Stripe has been followed, and keeps it.
func (b *Billing) advance(ctx context.Context, change func(*stagedoor.BillingProgress)) error {
	b.steps.Lock()
	defer b.steps.Unlock()
	b.mu.Lock()
	next := b.progress
	b.mu.Unlock()
	change(&next)
	if err := b.Store.SaveProgress(ctx, next); err != nil {
		return err
	}
	b.mu.Lock()
	b.progress = next
	b.mu.Unlock()
	return nil
}

// compareIfDue compares everything when that was never done on this chain, or
// a day ago.
func (b *Billing) compareIfDue(ctx context.Context) error {
	b.mu.Lock()
	last := b.progress.FullAt
	b.mu.Unlock()
	since := b.Now().Sub(last)
	if !b.polled.Load() {
		return nil // the events come first, so that nothing falls between
	}
	if !last.IsZero() && since < fullEvery && since > -time.Minute {
		return nil
	}
	_, err := b.compare(ctx, func(string, int) {})
	return err
}

// Summary is what a comparison found.
type Summary struct {
	// Events are how many of Stripe's list had not arrived.
	Events int `json:"events"`
	// Subscriptions and Customers are how many Stripe listed, Links how many
	// Checkout sessions named a principal.
	Subscriptions int `json:"subscriptions"`
	Customers     int `json:"customers"`
	Links         int `json:"links"`
	// Differing is how many known customers differed and are asked for anew.
	Differing int `json:"differing"`
}

// Sync brings everything up to date with Stripe, within the budget: it takes
// the events that have not arrived, since they alone tell of products and
// entitlements that changed, and compares. progress, which may be nil, is told
// what is being done and how many have been seen. Errors are Stripe's or the
// store's; then what was found so far is kept and nothing is taken as gone.
func (b *Billing) Sync(ctx context.Context, progress func(doing string, seen int)) (Summary, error) {
	if progress == nil {
		progress = func(string, int) {}
	}
	before := b.counts.taken.Load()
	// A key that may not list events still compares the rest.
	if err := b.catchUp(ctx); err != nil && !forbidden(err) {
		return Summary{}, err
	}
	missed := int(b.counts.taken.Load() - before)
	sum, err := b.compare(ctx, progress)
	sum.Events = missed
	return sum, err
}

// compare lists all subscriptions that have not ended and all completed
// Checkout sessions, keeps customers that were never seen and has those that
// differ asked for.
func (b *Billing) compare(ctx context.Context, progress func(doing string, seen int)) (Summary, error) {
	b.comparing.Lock()
	defer b.comparing.Unlock()
	began := b.Now()
	var sum Summary
	generation, err := b.Store.NextGeneration(ctx)
	if err != nil {
		return sum, err
	}
	uses, err := b.ask.hasEntitlements(ctx)
	switch {
	case forbidden(err):
		b.Log.Warn("billing: the Stripe key may not read entitlements: what they include is not known", "remedy", "give the key the permission to read entitlements")
	case err != nil:
		return sum, err
	}
	b.useEntitlements.Store(uses)
	if err := b.listSessions(ctx, &sum, progress); err != nil {
		return sum, err
	}
	listed, err := b.listAll(ctx, &sum, progress, generation)
	if err != nil {
		return sum, err
	}
	var differing []string
	err = b.Store.EachCustomer(ctx, func(c stagedoor.Customer) error {
		if listed[c.ID] != running(c) && c.Generation < generation {
			differing = append(differing, c.ID)
		}
		return nil
	})
	if err != nil {
		return sum, err
	}
	sum.Differing = len(differing)
	for chunk := range slices.Chunk(differing, batch) {
		if err := b.Store.MarkDirty(ctx, b.Now(), chunk...); err != nil {
			return sum, err
		}
		b.poke()
	}
	if err := b.reread(ctx); err != nil {
		return sum, err
	}
	return sum, b.advance(ctx, func(p *stagedoor.BillingProgress) { p.FullAt = began })
}

// reread has every product asked for again: only events tell of a changed one,
// and they can be missed.
func (b *Billing) reread(ctx context.Context) error {
	var products []string
	for id, item := range b.items() {
		if strings.HasPrefix(id, "prod_") && b.Now().Sub(item.AskedAt) > SoftLimit {
			products = append(products, id)
		}
	}
	if len(products) == 0 {
		return nil
	}
	defer b.poke()
	return b.Store.TouchDue(ctx, b.Now(), stagedoor.PriorityRest, products...)
}

// running sums up a known customer as the list of all subscriptions does:
// ended ones are not listed.
func running(c stagedoor.Customer) (sum uint64) {
	for _, s := range c.Subscriptions {
		if !ended(s.Status) {
			sum += digest(c.Reference, s)
		}
	}
	return sum
}

func ended(status string) bool { return status == "canceled" || status == "incomplete_expired" }

// digest is a hash of what of a subscription would change rights. A
// customer's digests are added up, since a list may hold them in any order.
func digest(reference string, s stagedoor.Subscription) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, reference, "\n", s.ID, s.Status, s.CancelAt.Unix(), s.CancelAtPeriodEnd, s.Paused)
	for _, item := range s.Items {
		_, _ = fmt.Fprint(h, "\n", item.Price, " ", item.Product, item.PeriodEnd.Unix())
	}
	return h.Sum64()
}

// listAll lists every subscription that has not ended, learns its prices, and
// keeps customers that were never seen. It returns the sum of each customer's digests.
func (b *Billing) listAll(ctx context.Context, sum *Summary, progress func(string, int), generation int64) (map[string]uint64, error) {
	params := &stripe.SubscriptionListParams{}
	params.Limit = stripe.Int64(pageSize)
	params.AddExpand("data.customer")
	listed := map[string]uint64{}
	for s, err := range b.ask.stripe.V1Subscriptions.List(ctx, params).All(ctx) {
		if err != nil {
			return nil, classify(err)
		}
		if s.ID == "" || s.Status == "" {
			return nil, errGarbage
		}
		sum.Subscriptions++
		progress("subscriptions", sum.Subscriptions)
		if s.Customer == nil || s.Customer.ID == "" || ended(string(s.Status)) {
			continue
		}
		converted, prices, err := b.ask.convert(ctx, s)
		if err != nil {
			return nil, err
		}
		for i := range prices {
			prices[i].Generation = generation
		}
		repriced, err := b.learn(ctx, prices)
		if err != nil {
			return nil, err
		}
		if repriced {
			b.Changed(nil)
		}
		listed[s.Customer.ID] += digest(reference(s.Customer), converted)
		if err := b.keepUnseen(ctx, s.Customer, converted, generation); err != nil {
			return nil, err
		}
	}
	sum.Customers = len(listed)
	return listed, nil
}

// keepUnseen keeps a subscription of a customer of whom nothing was known when
// the listing began. At the first start that is everybody: asking for each
// would take hours within the budget. Until the listing ends more may come,
// which can only add to what is known.
func (b *Billing) keepUnseen(ctx context.Context, owner *stripe.Customer, s stagedoor.Subscription, began int64) error {
	known, ok, err := b.Store.Customer(ctx, owner.ID)
	if err != nil || ok && known.Generation != began { // known before, or learnt by a later question
		return err
	}
	if slices.ContainsFunc(known.Subscriptions, func(have stagedoor.Subscription) bool { return have.ID == s.ID }) {
		return nil
	}
	s.PastDueSince = pastDueSince(s, known, b.Now())
	known.ID, known.Reference, known.AskedAt, known.Generation = owner.ID, reference(owner), b.Now(), began
	known.Subscriptions = append(known.Subscriptions, s)
	b.learnProducts(ctx, known)
	if _, err := b.Store.SaveCustomer(ctx, known); err != nil {
		return err
	}
	principals, err := b.Store.PrincipalsOf(ctx, owner.ID)
	if err == nil && len(principals) > 0 {
		b.Changed(principals)
	}
	return err
}

// listSessions keeps the links that completed Checkout sessions prove. A key
// that may not read them leaves the links to events and metadata.
func (b *Billing) listSessions(ctx context.Context, sum *Summary, progress func(string, int)) error {
	params := &stripe.CheckoutSessionListParams{Status: stripe.String(string(stripe.CheckoutSessionStatusComplete))}
	params.Limit = stripe.Int64(pageSize)
	seen := 0
	for s, err := range b.ask.stripe.V1CheckoutSessions.List(ctx, params).All(ctx) {
		if err = classify(err); forbidden(err) || errors.Is(err, errNothing) {
			b.Log.Warn("billing: the Stripe key may not list Checkout sessions: links that they prove are learnt from events alone", "remedy", "give the key the permission to read Checkout sessions")
			return nil
		}
		if err != nil {
			return err
		}
		seen++
		progress("Checkout sessions", seen)
		link, customer := linkOf(s)
		if link.Reference == "" {
			continue
		}
		sum.Links++
		added, err := b.Store.AddLink(ctx, link)
		if err != nil {
			return err
		}
		if added {
			if err := b.Store.MarkDirty(ctx, b.Now(), customer); err != nil {
				return err
			}
			b.poke()
		}
	}
	return nil
}
