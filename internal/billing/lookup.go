package billing

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"stagedoor/internal/inflight"

	"stagedoor"
)

const (
	// joinPatience is how long a caller waits for one answer of Stripe's, where a
	// caller waits at all, and joinLimit how long with its turn in a crowd: 120
	// first joins at once need 5.4 s of the budget. With the default wait for a
	// slot, 5 s, that stays within the server's write timeout of 15 s.
	joinPatience, joinLimit = 2 * time.Second, 7 * time.Second
	// maxWanted is how many objects a join waits for: strangers can link customers
	// with a caller.
	maxWanted = 10
	// clockSlack is by how much a stored time may be ahead: clocks are adjusted by
	// seconds all the time. What is confirmed later than that is asked for again.
	clockSlack = time.Minute
	// absence is how long "nothing there" and "no answer" are remembered.
	absence = 30 * time.Second
	// maxRemembered bounds what is remembered of objects; beyond it everything is forgotten.
	maxRemembered = 10_000
)

// Entitlement looks up what a joining caller has paid for. It asks Stripe only
// about the caller's customers of which nothing is known, or only what is past the
// hard limit, or who do not pay as far as is known while an event says that they
// changed. It waits two seconds for an answer, and seven at most where many
// others wait too. Errors are the store's.
func (b *Billing) Entitlement(ctx context.Context, p stagedoor.Principal) (stagedoor.Entitlement, error) {
	v, err := b.view(ctx, p)
	if err != nil {
		return stagedoor.Entitlement{}, err
	}
	if wanted := b.worthWaiting(v); len(wanted) > 0 && b.fetch(ctx, wanted) {
		if v, err = b.view(ctx, p); err != nil {
			return stagedoor.Entitlement{}, err
		}
	}
	b.keepFresh(ctx, v)
	return v.entitlement(), nil
}

// Known returns the look-up for those who are in a call: the same answer from
// what is known, without ever waiting for Stripe.
func (b *Billing) Known() stagedoor.Entitlements { return known{b} }

type known struct{ *Billing }

// Entitlement looks up what is known. Errors are the store's.
func (k known) Entitlement(ctx context.Context, p stagedoor.Principal) (stagedoor.Entitlement, error) {
	v, err := k.view(ctx, p)
	if err != nil {
		return stagedoor.Entitlement{}, err
	}
	k.keepFresh(ctx, v)
	return v.entitlement(), nil
}

// view is everything that is known of what one principal has paid for.
type view struct {
	now       time.Time
	customers []customerView
	// claimed are ids that the caller's token names and of which nothing is
	// known, linked those that a Checkout session or metadata names.
	claimed, linked []string
}

// customerView is one linked customer.
type customerView struct {
	facts stagedoor.Customer
	// via says how it is linked: claim, checkout or metadata.
	via         string
	confirmedAt time.Time
	expired     bool
	// unread is set when Stripe's entitlements of the customer were never read,
	// or too long ago.
	unread bool
	result Result
}

// view gathers what is known of the principal's customers.
func (b *Billing) view(ctx context.Context, p stagedoor.Principal) (view, error) {
	v := view{now: b.Now()}
	type link struct {
		id, via string
		claimed bool
	}
	var all []link
	add := func(id, via string, claimed bool) {
		if id != "" && !slices.ContainsFunc(all, func(l link) bool { return l.id == id }) {
			all = append(all, link{id, via, claimed})
		}
	}
	customer, subscription := p.Claims.StripeIDs(b.CustomerClaim, b.SubscriptionClaim)
	add(customer, "claim "+b.CustomerClaim, true)
	if subscription != "" {
		owner, err := b.Store.CustomerOf(ctx, subscription)
		if err != nil {
			return v, err
		}
		if owner == "" {
			owner = subscription // stands in until its customer is known
		}
		add(owner, "claim "+b.SubscriptionClaim, true)
	}
	links, err := b.Store.Links(ctx, p.References(b.IdentityPrefixes))
	if err != nil {
		return v, err
	}
	for _, l := range links {
		add(l.Customer, l.Source, false)
	}
	for _, l := range all {
		facts, ok, err := b.Store.Customer(ctx, l.id)
		switch {
		case err != nil:
			return v, err
		case ok:
			v.customers = append(v.customers, b.judge(v.now, facts, l.via))
		case l.claimed:
			v.claimed = append(v.claimed, l.id)
		default:
			v.linked = append(v.linked, l.id)
		}
	}
	return v, nil
}

// judge turns one customer's facts into what they entitle to now.
func (b *Billing) judge(now time.Time, facts stagedoor.Customer, via string) customerView {
	c := customerView{facts: facts, via: via, confirmedAt: b.confirmedAt(facts)}
	c.expired = now.Sub(c.confirmedAt) >= HardLimit
	if c.expired || facts.Missing {
		return c
	}
	entitlements := facts.Entitlements
	read := facts.EntitlementsAt
	if !facts.EntitlementsKept {
		read = b.chained(read, facts.DirtySince)
	}
	old := now.Sub(read) >= HardLimit
	if old {
		entitlements = nil
	}
	c.result = b.Rules.Features(now, facts.Subscriptions, b.believed(now, facts.Subscriptions), entitlements)
	c.unread = c.result.Counts && b.useEntitlements.Load() && old
	c.result.Until = earliest(c.result.Until, c.confirmedAt.Add(HardLimit))
	return c
}

// believed is the catalog without those prices and products of the
// subscriptions that Stripe has not confirmed for too long: they are not known.
func (b *Billing) believed(now time.Time, subscriptions []stagedoor.Subscription) map[string]stagedoor.CatalogItem {
	catalog := b.items()
	copied := false
	for _, s := range subscriptions {
		for _, i := range s.Items {
			for _, id := range []string{i.Price, i.Product} {
				item, ok := catalog[id]
				if !ok || now.Sub(b.chained(item.AskedAt, item.DirtySince)) < HardLimit {
					continue
				}
				if !copied {
					catalog, copied = maps.Clone(catalog), true
				}
				delete(catalog, id)
			}
		}
	}
	return catalog
}

// confirmedAt is when Stripe last confirmed a customer's facts: when it was
// asked, when everything was last compared and nothing differed, or when the
// list of events was last read without a gap since then.
func (b *Billing) confirmedAt(c stagedoor.Customer) time.Time {
	b.mu.Lock()
	full := b.progress.FullAt
	b.mu.Unlock()
	if c.AskedAt.Before(full) {
		return b.chained(full, c.DirtySince)
	}
	return b.chained(c.AskedAt, c.DirtySince)
}

// chained follows a fact along the list of events: as far as it was read to
// its end without a gap since the fact was known, and held nothing of it. A
// hint that is not followed up ends that.
func (b *Billing) chained(asked, dirtySince time.Time) time.Time {
	b.mu.Lock()
	progress := b.progress
	b.mu.Unlock()
	at := asked
	if !progress.ChainStart.IsZero() && !asked.Before(progress.ChainStart) && progress.ConfirmedAt.After(at) {
		at = progress.ConfirmedAt
	}
	if !dirtySince.IsZero() && dirtySince.Before(at) {
		at = dirtySince
		if asked.After(at) {
			at = asked
		}
	}
	return at
}

// entitlement is the union over all customers, and why something is missing.
func (v view) entitlement() stagedoor.Entitlement {
	var e stagedoor.Entitlement
	any, counts, unsure := false, false, len(v.claimed)+len(v.linked) > 0
	for _, c := range v.customers {
		any, counts = any || c.result.Any, counts || c.result.Counts
		unsure = unsure || c.expired || c.unread || c.result.Unknown
		e.Until = earliest(e.Until, c.result.Until)
		e.ConfirmedAt = earliest(e.ConfirmedAt, c.confirmedAt)
		for _, f := range c.result.Features {
			if !slices.Contains(e.Features, f) {
				e.Features = append(e.Features, f)
			}
		}
	}
	switch {
	case unsure:
		e.Withheld = stagedoor.BillingUnavailable
	case counts:
		e.Withheld = stagedoor.FeatureNotInPlan
	case any:
		e.Withheld = stagedoor.SubscriptionInactive
	default:
		e.Withheld = stagedoor.NoSubscription
	}
	return e
}

// worthWaiting lists the objects that a joining caller waits for.
func (b *Billing) worthWaiting(v view) []string {
	wanted := slices.Concat(v.claimed, v.linked)
	for _, c := range v.customers {
		gone := c.facts.Missing && v.now.Sub(c.facts.AskedAt) >= absence
		if c.expired || gone || !c.result.Counts && !c.facts.DirtySince.IsZero() {
			wanted = append(wanted, c.facts.ID)
		}
	}
	wanted = slices.DeleteFunc(wanted, func(object string) bool { return b.recently(b.absent, object, v.now, absence) })
	return wanted[:min(len(wanted), maxWanted)]
}

// recently reports whether an object stands in a memory that is younger than ttl.
func (b *Billing) recently(memory map[string]time.Time, object string, now time.Time, ttl time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := memory[object]
	age := now.Sub(at)
	return ok && age >= 0 && age < ttl // a negative age: the clock stepped back
}

// keep notes an object in a bounded memory.
func (b *Billing) keep(memory map[string]time.Time, object string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(memory) >= maxRemembered {
		clear(memory)
	}
	memory[object] = b.Now()
}

// fetch asks for objects while a caller waits, each once however many wait
// for it, and reports whether anything was learnt. What does not come in time
// is fetched in the background.
func (b *Billing) fetch(ctx context.Context, objects []string) bool {
	defer inflight.Yield(ctx)()
	ctx, cancel := context.WithTimeout(withPriority(ctx, stagedoor.PriorityJoin), joinLimit)
	defer cancel()
	learnt := make(chan bool, len(objects))
	for _, object := range objects {
		go func() {
			done := b.single.DoChan(object, func() (any, error) {
				// Not the caller's context: others may be waiting too.
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), joinLimit)
				defer cancel()
				changed, err := b.refreshSafely(ctx, object)
				if errors.Is(err, errSuperseded) {
					err = nil // somebody else has stored a later answer
				}
				b.keep(b.absent, object)
				if err != nil && !errors.Is(err, errBreakerOpen) {
					b.Log.Warn("billing: a caller waited for Stripe in vain", "object", object, "err", err)
				}
				return changed, err
			})
			select {
			case r := <-done:
				if r.Err != nil {
					_ = b.Store.TouchDue(context.WithoutCancel(ctx), b.Now(), stagedoor.PriorityInCall, object)
					b.poke()
				}
				learnt <- r.Err == nil
			case <-ctx.Done():
				if errors.Is(ctx.Err(), context.DeadlineExceeded) {
					b.keep(b.absent, object) // the next caller may be here before the question has ended
				}
				learnt <- false
			}
		}()
	}
	any := false
	for range objects {
		any = <-learnt || any
	}
	return any
}

// keepFresh has facts beyond the soft limit asked for in the background. What a
// decision about somebody lacks is as urgent as if they were in a call: they are,
// or will be in a moment.
func (b *Billing) keepFresh(ctx context.Context, v view) {
	for _, c := range v.customers {
		if !c.facts.DirtySince.IsZero() {
			if err := b.Store.Hasten(ctx, stagedoor.PriorityInCall, c.facts.ID); err != nil {
				b.Log.Warn("billing: hastening a refresh failed", "object", c.facts.ID, "err", err)
			}
			b.poke()
		}
		age := v.now.Sub(c.confirmedAt)
		switch {
		case c.expired:
			b.touch(ctx, v.now, stagedoor.PriorityInCall, c.facts.ID)
		case c.unread || age >= SoftLimit || age < -clockSlack:
			b.touch(ctx, v.now, stagedoor.PriorityRest, c.facts.ID)
		}
	}
	for _, object := range slices.Concat(v.claimed, v.linked) {
		b.touch(ctx, v.now, stagedoor.PriorityInCall, object)
	}
}

// touch has an object asked for in the background, once a minute.
func (b *Billing) touch(ctx context.Context, now time.Time, priority stagedoor.Priority, object string) {
	if b.recently(b.touched, object, now, time.Minute) {
		return
	}
	b.keep(b.touched, object)
	if err := b.Store.TouchDue(ctx, now, priority, object); err != nil {
		b.Log.Warn("billing: a refresh could not be queued", "object", object, "err", err)
	}
	b.poke()
}
