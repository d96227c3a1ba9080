// Package billing answers what is paid for: it takes Stripe's events as
// hints, asks Stripe for the facts, keeps them, and turns them into features.
package billing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"stagedoor"
)

// How old facts may be. An age counts from when Stripe last confirmed a fact:
// when it was asked for, or when its list of events was last read to the end
// without a gap.
const (
	// SoftLimit is the age beyond which a fact that is used is asked for again
	// in the background.
	SoftLimit = 10 * time.Minute
	// HardLimit is the age beyond which a fact entitles to nothing.
	HardLimit = 24 * time.Hour
)

// Inbox takes hints at what may have changed.
type Inbox interface {
	SaveEvent(ctx context.Context, e stagedoor.BillingEvent, now time.Time) (fresh bool, err error)
	MarkDirty(ctx context.Context, now time.Time, objects ...string) error
	TouchDue(ctx context.Context, now time.Time, priority stagedoor.Priority, objects ...string) error
	// Hasten raises the priority of the hints at a customer.
	Hasten(ctx context.Context, priority stagedoor.Priority, customer string) error
	PendingCount(ctx context.Context) (count int, oldest time.Time, err error)
}

// Queue hands out what is to be asked for.
type Queue interface {
	// NextGeneration returns a number that is higher than every one before.
	NextGeneration(ctx context.Context) (int64, error)
	PendingDue(ctx context.Context, now time.Time, limit int) (due []stagedoor.Pending, next time.Time, err error)
	Settle(ctx context.Context, p stagedoor.Pending, again time.Time) error
	Postpone(ctx context.Context, p stagedoor.Pending, until time.Time) error
	// Resume ends all pauses.
	Resume(ctx context.Context, now time.Time) error
}

// Facts keeps what Stripe said.
type Facts interface {
	Customer(ctx context.Context, id string) (stagedoor.Customer, bool, error)
	SaveCustomer(ctx context.Context, c stagedoor.Customer) (written bool, err error)
	CustomerOf(ctx context.Context, subscription string) (string, error)
	Catalog(ctx context.Context) ([]stagedoor.CatalogItem, error)
	SaveCatalogItem(ctx context.Context, i stagedoor.CatalogItem) (written bool, err error)
}

// Links knows which principals and customers belong together.
type Links interface {
	Links(ctx context.Context, references []string) ([]stagedoor.Link, error)
	AddLink(ctx context.Context, l stagedoor.Link) (added bool, err error)
	PrincipalsOf(ctx context.Context, customer string) ([]stagedoor.PrincipalKey, error)
}

// Ledger keeps how far Stripe has been followed.
type Ledger interface {
	EachCustomer(ctx context.Context, each func(stagedoor.Customer) error) error
	CustomerCount(ctx context.Context) (int, error)
	Progress(ctx context.Context) (stagedoor.BillingProgress, error)
	SaveProgress(ctx context.Context, p stagedoor.BillingProgress) error
}

// Store is everything that billing keeps.
type Store interface {
	Inbox
	Queue
	Facts
	Links
	Ledger
}

// Options are what New needs. Key, Store, Now and Log must be set.
type Options struct {
	// Key is Stripe's; whether it is a test key decides which events count.
	Key stagedoor.Secret
	// WebhookSecrets prove events; without any, none is taken.
	WebhookSecrets []stagedoor.Secret
	// APIURL is where Stripe is asked; empty: at Stripe's own address.
	APIURL string
	// Transport carries the requests; nil: net/http's own.
	Transport http.RoundTripper
	Store     Store
	Rules     Rules
	// CustomerClaim and SubscriptionClaim name the claims that link a principal.
	CustomerClaim, SubscriptionClaim string
	// IdentityPrefixes are those of all issuers.
	IdentityPrefixes []string
	// Changed is told whose rights may have changed; nobody named means everybody's.
	Changed func([]stagedoor.PrincipalKey)
	// Received is told, for each event that a webhook brings for the first time,
	// when Stripe made it, to the second; nil: nobody is.
	Received func(created time.Time)
	Now      func() time.Time
	Log      *slog.Logger
}

// Billing follows Stripe. Safe for concurrent use; Run must run for anything
// to be asked in the background.
type Billing struct {
	Options
	ask      *asker
	testMode bool
	wake     chan struct{}
	single   singleflight.Group
	counts   counters
	// useEntitlements is set unless Stripe says that the account has no
	// features of its own Entitlements.
	useEntitlements atomic.Bool
	polled          atomic.Bool // the list of events was asked for since the start

	// steps is held while progress is read, advanced and kept.
	steps sync.Mutex
	// comparing is held while everything is compared: one after the other.
	comparing sync.Mutex

	mu       sync.Mutex
	catalog  map[string]stagedoor.CatalogItem // replaced whole, never changed
	progress stagedoor.BillingProgress
	touched  map[string]time.Time // objects asked for in the background of late
	absent   map[string]time.Time // objects a caller waited for in vain of late
	// recovered is closed, and replaced, when an outage of Stripe's is over.
	recovered chan struct{}
}

// counters count events; a reader may see them a moment apart.
type counters struct{ taken, duplicate, otherMode atomic.Int64 }

// New builds a Billing from what its store holds.
func New(ctx context.Context, o Options) (*Billing, error) {
	if o.Key.Empty() {
		return nil, errors.New("billing needs a Stripe key")
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Changed == nil {
		o.Changed = func([]stagedoor.PrincipalKey) {}
	}
	if o.Received == nil {
		o.Received = func(time.Time) {}
	}
	b := &Billing{Options: o, testMode: !strings.Contains(o.Key.Reveal(), "_live_"),
		wake: make(chan struct{}, 1), touched: map[string]time.Time{}, absent: map[string]time.Time{},
		recovered: make(chan struct{})}
	b.useEntitlements.Store(true)
	b.ask = newAsker(o.Key, o.APIURL, o.Transport, o.Now)
	b.ask.gate.recovered = b.onRecovery
	items, err := o.Store.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	b.catalog = make(map[string]stagedoor.CatalogItem, len(items))
	for _, item := range items {
		b.catalog[item.ID] = item
	}
	if b.progress, err = o.Store.Progress(ctx); err != nil {
		return nil, err
	}
	if key := fingerprint(o.Key); key != b.progress.Key {
		// Another account or mode, perhaps: what is known is compared at once.
		b.progress.Key, b.progress.FullAt = key, time.Time{}
	}
	return b, nil
}

// fingerprint tells one key from another without being one: 63 bits of a hash.
func fingerprint(key stagedoor.Secret) int64 {
	sum := sha256.Sum256([]byte("stagedoor progress " + key.Reveal()))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1)
}

// Receive takes one delivery to /webhooks/stripe. When it returns nil the
// event is kept, or was kept before, or is none of ours. Errors:
// InvalidSignature, InvalidEvent; any other means that Stripe must send it again.
func (b *Billing) Receive(ctx context.Context, payload []byte, signature string) error {
	if err := verify(payload, signature, b.WebhookSecrets, b.Now()); err != nil {
		return err
	}
	event, livemode, err := parseEvent(payload)
	if err != nil {
		return err
	}
	if livemode == b.testMode {
		b.counts.otherMode.Add(1)
		return nil
	}
	fresh, err := b.take(ctx, event)
	if fresh && !event.Created.IsZero() {
		b.Received(event.Created)
	}
	return err
}

// take keeps one event and wakes the worker; fresh is false for one that was
// kept before.
func (b *Billing) take(ctx context.Context, event stagedoor.BillingEvent) (fresh bool, err error) {
	fresh, err = b.Store.SaveEvent(ctx, event, b.Now())
	if err != nil {
		return false, err
	}
	if !fresh {
		b.counts.duplicate.Add(1)
		return false, nil
	}
	b.counts.taken.Add(1)
	if strings.HasPrefix(event.Type, "entitlements.") {
		b.useEntitlements.Store(true)
	}
	for _, object := range event.Objects {
		b.doubt(object)
		b.poke()
	}
	return true, nil
}

// poke has the worker look at the queue.
func (b *Billing) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// items returns the catalog, which is not to be changed.
func (b *Billing) items() map[string]stagedoor.CatalogItem {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.catalog
}

// learn keeps prices and products and reports whether any of them names other
// features than before.
func (b *Billing) learn(ctx context.Context, items []stagedoor.CatalogItem) (changed bool, err error) {
	for _, item := range items {
		known, ok := b.items()[item.ID]
		if age := item.AskedAt.Sub(known.AskedAt); ok && known.DirtySince.IsZero() && sameItem(known, item) && age >= 0 && age < SoftLimit/2 {
			continue // seen a moment ago with every subscription to it
		}
		written, err := b.Store.SaveCatalogItem(ctx, item)
		if err != nil {
			return changed, err
		}
		if !written {
			continue
		}
		changed = changed || !ok || !sameItem(known, item)
		b.replace(item)
	}
	return changed, nil
}

// replace puts an item into the catalog unless a newer one is there.
func (b *Billing) replace(item stagedoor.CatalogItem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.catalog[item.ID]; ok && known.Generation > item.Generation {
		return
	}
	next := maps.Clone(b.catalog)
	next[item.ID] = item
	b.catalog = next
}

// doubt notes since when a price or product may have changed.
func (b *Billing) doubt(object string) {
	_, id, ok := strings.Cut(object, "/")
	if !ok {
		id = object
	}
	item, known := b.items()[id]
	if known && item.DirtySince.IsZero() {
		item.DirtySince = b.Now()
		b.replace(item)
	}
}

// Status is how billing stands, for operators.
type Status struct {
	TestMode bool   `json:"testMode"`
	Stripe   Health `json:"stripe"`
	// Pending customers and others are to be asked for; OldestHint is since when.
	Pending    int       `json:"pending"`
	OldestHint time.Time `json:"oldestHint,omitzero"`
	Customers  int       `json:"customers"`
	// EventsReadAt is when Stripe's list of events was last read to its end.
	EventsReadAt time.Time `json:"eventsReadAt,omitzero"`
	ComparedAt   time.Time `json:"comparedAt,omitzero"`
	Taken        int64     `json:"eventsTaken"`
	Duplicate    int64     `json:"eventsDuplicate"`
	OtherMode    int64     `json:"eventsOfTheOtherMode"`
}

// Standing is Status without what only the store knows, so that asking costs
// nothing: how much is pending and how many customers there are is 0.
func (b *Billing) Standing() Status {
	s := Status{TestMode: b.testMode, Stripe: b.ask.gate.Health(), Taken: b.counts.taken.Load(),
		Duplicate: b.counts.duplicate.Load(), OtherMode: b.counts.otherMode.Load()}
	b.mu.Lock()
	s.EventsReadAt, s.ComparedAt = b.progress.ConfirmedAt, b.progress.FullAt
	b.mu.Unlock()
	return s
}

// Status returns how billing stands. Errors are the store's.
func (b *Billing) Status(ctx context.Context) (Status, error) {
	s := b.Standing()
	var err error
	if s.Pending, s.OldestHint, err = b.Store.PendingCount(ctx); err != nil {
		return s, err
	}
	s.Customers, err = b.Store.CustomerCount(ctx)
	return s, err
}
