package billing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/stripe/stripe-go/v86"

	"stagedoor"
)

// featuresKey is the metadata entry of prices and products that names features.
const featuresKey = "features"

// userKey is the metadata entry of a customer that names a principal.
const userKey = "user_id"

// pageSize is Stripe's largest; maxItems is far above the twenty that a
// subscription has at most.
const (
	pageSize = 100
	maxItems = 200
)

// errNothing means that Stripe knows no such object: an answer, not a failure.
var errNothing = errors.New("Stripe knows no such object")

// asker asks Stripe. Safe for concurrent use.
type asker struct {
	stripe *stripe.Client
	gate   *gate
	now    func() time.Time
}

// newAsker asks at apiURL, or at Stripe's own address when that is empty.
func newAsker(key stagedoor.Secret, apiURL string, transport http.RoundTripper, now func() time.Time) *asker {
	gate := newGate(transport, now)
	config := &stripe.BackendConfig{
		HTTPClient: &http.Client{Transport: gate, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		// stripe-go tries again only after some failures, and at once; the
		// queue and the breaker know better when.
		MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry:   stripe.Bool(false),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	if apiURL != "" {
		config.URL = stripe.String(apiURL)
	}
	client := stripe.NewClient(key.Reveal(), stripe.WithBackends(stripe.NewBackendsWithConfig(config)))
	return &asker{stripe: client, gate: gate, now: now}
}

// classify turns stripe-go's error into errNothing or one that is safe to log.
func classify(err error) error {
	var refused *stripe.Error
	if !errors.As(err, &refused) {
		var failed *url.Error
		if errors.As(err, &failed) {
			return failed.Err // without the address, which is long
		}
		return err
	}
	if refused.Code == stripe.ErrorCodeResourceMissing {
		return errNothing // any other 404 is of an address, not of an object
	}
	return &refusal{status: refused.HTTPStatusCode, code: string(refused.Code)}
}

// refusal is an error of Stripe's API without its message, which may quote
// what was sent.
type refusal struct {
	status int
	code   string
}

// Error names status and code.
func (r *refusal) Error() string {
	if r.code == "" {
		return fmt.Sprintf("Stripe answers HTTP %d", r.status)
	}
	return fmt.Sprintf("Stripe answers HTTP %d, %s", r.status, stagedoor.Printable(r.code))
}

// forbidden reports whether the key lacks a permission.
func forbidden(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusForbidden
}

// answer is a customer with what its subscriptions say of prices.
type answer struct {
	customer stagedoor.Customer
	prices   []stagedoor.CatalogItem
}

// customer asks for everything that entitles one customer. known is what was
// known before: its entitlements stay where the key may not read them.
// entitled tells whether Stripe's own entitlements are to be asked for too.
func (a *asker) customer(ctx context.Context, id string, known stagedoor.Customer, entitled bool) (answer, error) {
	asked := a.now()
	type listed struct {
		keys []stagedoor.Feature
		err  error
	}
	entitlements := make(chan listed, 1)
	go func() {
		var found listed
		if entitled {
			found.keys, found.err = a.entitlements(ctx, id)
		}
		entitlements <- found
	}()
	result, err := a.subscriptions(ctx, id)
	second := <-entitlements
	result.customer.ID, result.customer.AskedAt = id, asked
	switch {
	case errors.Is(err, errNothing):
		return answer{customer: stagedoor.Customer{ID: id, Missing: true, AskedAt: asked}}, nil
	case err != nil:
		return answer{}, err
	case entitled && second.err == nil:
		result.customer.Entitlements, result.customer.EntitlementsAt = second.keys, asked
	case !entitled || forbidden(second.err) || errors.Is(second.err, errNothing):
		// A key without the right to read them, or an account without the
		// feature: what was read before ages, the rest goes on.
		result.customer.Entitlements, result.customer.EntitlementsAt = known.Entitlements, known.EntitlementsAt
		result.customer.EntitlementsKept = true
	default:
		return answer{}, second.err
	}
	for i, s := range result.customer.Subscriptions {
		result.customer.Subscriptions[i].PastDueSince = pastDueSince(s, known, asked)
	}
	return result, nil
}

// subscriptions lists all of a customer's, ended ones too, so that an ended
// one can be told from none.
func (a *asker) subscriptions(ctx context.Context, customer string) (answer, error) {
	params := &stripe.SubscriptionListParams{Customer: stripe.String(customer), Status: stripe.String("all")}
	params.Limit = stripe.Int64(pageSize)
	params.AddExpand("data.customer")
	var result answer
	found, seen := false, map[string]bool{}
	for s, err := range a.stripe.V1Subscriptions.List(ctx, params).All(ctx) {
		if err != nil {
			return answer{}, classify(err)
		}
		if s.Customer == nil || s.Customer.ID != customer || s.ID == "" || s.Status == "" || seen[s.ID] {
			return answer{}, errGarbage // a list that repeats itself would never end
		}
		seen[s.ID] = true
		converted, prices, err := a.convert(ctx, s)
		if err != nil {
			return answer{}, err
		}
		found = true
		result.customer.Reference, result.customer.Missing = reference(s.Customer), s.Customer.Deleted
		result.customer.Subscriptions = append(result.customer.Subscriptions, converted)
		result.prices = append(result.prices, prices...)
	}
	if found {
		return result, nil
	}
	// Only a subscription brings its customer along.
	c, err := a.stripe.V1Customers.Retrieve(ctx, customer, nil)
	if err != nil {
		return answer{}, classify(err)
	}
	if c.ID != customer {
		return answer{}, errGarbage
	}
	result.customer.Reference, result.customer.Missing = reference(c), c.Deleted
	return result, nil
}

// reference is the principal that a customer's metadata names.
func reference(c *stripe.Customer) string {
	if named := c.Metadata[userKey]; validReference(named) && !c.Deleted {
		return named
	}
	return ""
}

// convert reduces a subscription to what entitles, and its prices to their features.
func (a *asker) convert(ctx context.Context, s *stripe.Subscription) (stagedoor.Subscription, []stagedoor.CatalogItem, error) {
	out := stagedoor.Subscription{
		ID: s.ID, Status: string(s.Status), EndedAt: unix(s.EndedAt), CancelAt: unix(s.CancelAt),
		CancelAtPeriodEnd: s.CancelAtPeriodEnd, Paused: s.PauseCollection != nil,
	}
	items, err := a.items(ctx, s)
	if err != nil {
		return out, nil, err
	}
	var prices []stagedoor.CatalogItem
	for _, i := range items {
		if i == nil {
			return out, nil, errGarbage
		}
		item := stagedoor.SubscriptionItem{PeriodStart: unix(i.CurrentPeriodStart), PeriodEnd: unix(i.CurrentPeriodEnd)}
		price := stagedoor.CatalogItem{AskedAt: a.now()}
		// A legacy plan stands beside its price, under the same id, or alone.
		if i.Plan != nil {
			item.Price, item.Product = i.Plan.ID, productID(i.Plan.Product)
			price = named(i.Plan.ID, i.Plan.Metadata, price)
		}
		if i.Price != nil {
			item.Price, item.Product = i.Price.ID, productID(i.Price.Product)
			price = named(i.Price.ID, i.Price.Metadata, price)
		}
		if item.Price == "" {
			return out, nil, errGarbage
		}
		out.Items = append(out.Items, item)
		prices = append(prices, price)
	}
	return out, prices, nil
}

// items are all of a subscription's; more than a list shows are asked for.
func (a *asker) items(ctx context.Context, s *stripe.Subscription) ([]*stripe.SubscriptionItem, error) {
	if s.Items == nil {
		return nil, errGarbage
	}
	if !s.Items.HasMore {
		return s.Items.Data, nil
	}
	params := &stripe.SubscriptionItemListParams{Subscription: stripe.String(s.ID)}
	params.Limit = stripe.Int64(pageSize)
	var all []*stripe.SubscriptionItem
	for item, err := range a.stripe.V1SubscriptionItems.List(ctx, params).All(ctx) {
		if err = classify(err); errors.Is(err, errNothing) || (err == nil && len(all) >= maxItems) {
			return nil, errGarbage // the subscription is there: that its items are not says nothing of the customer
		}
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

// named adds the features that metadata names to a catalog item.
func named(id string, metadata map[string]string, item stagedoor.CatalogItem) stagedoor.CatalogItem {
	features, ok := ParseFeatures(metadata[featuresKey])
	item.ID = id
	item.Features = append(item.Features, features...)
	item.Malformed = item.Malformed || !ok
	return item
}

func productID(p *stripe.Product) string {
	if p == nil {
		return ""
	}
	return p.ID
}

// unix turns Stripe's seconds into a time; 0 and absent are no time.
func unix(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// pastDueSince is when grace begins: when the status was first seen to change,
// or the period's start where the door was not there to see it.
func pastDueSince(s stagedoor.Subscription, known stagedoor.Customer, asked time.Time) time.Time {
	if s.Status != "past_due" {
		return time.Time{}
	}
	for _, before := range known.Subscriptions {
		switch {
		case before.ID != s.ID:
		case before.Status == "past_due":
			return before.PastDueSince
		default:
			return asked
		}
	}
	var latest time.Time
	for _, item := range s.Items {
		if item.PeriodStart.After(latest) {
			latest = item.PeriodStart
		}
	}
	return latest
}

// entitlements lists the lookup keys of Stripe's own entitlements.
//
// SPEC: docs.stripe.com/api/entitlements/active-entitlement.
func (a *asker) entitlements(ctx context.Context, customer string) ([]stagedoor.Feature, error) {
	params := &stripe.EntitlementsActiveEntitlementListParams{Customer: stripe.String(customer)}
	params.Limit = stripe.Int64(pageSize)
	var keys []stagedoor.Feature
	for e, err := range a.stripe.V1EntitlementsActiveEntitlements.List(ctx, params).All(ctx) {
		if err != nil {
			return nil, classify(err)
		}
		if e.LookupKey != "" {
			keys = append(keys, stagedoor.Feature(e.LookupKey))
		}
	}
	return keys, nil
}
