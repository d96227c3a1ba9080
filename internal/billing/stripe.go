package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v86"

	"stagedoor"
)

// featuresKey is the metadata entry of prices and products that names features.
const featuresKey = "features"

// userKey is the metadata entry of a customer that names a principal.
const userKey = "user_id"

// pageSize is Stripe's largest.
const pageSize = 100

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
		return err
	}
	if refused.HTTPStatusCode == http.StatusNotFound || refused.Code == stripe.ErrorCodeResourceMissing {
		return errNothing
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
	return fmt.Sprintf("Stripe answers HTTP %d %s", r.status, stagedoor.Printable(r.code))
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
	found := false
	for s, err := range a.stripe.V1Subscriptions.List(ctx, params).All(ctx) {
		if err != nil {
			return answer{}, classify(err)
		}
		if s.Customer == nil || s.Customer.ID != customer || s.ID == "" || s.Status == "" {
			return answer{}, errGarbage
		}
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
		if err != nil {
			return nil, classify(err)
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

// hasEntitlements asks whether the account uses Stripe's Entitlements at all.
// Errors: one that is forbidden when the key may not read them.
func (a *asker) hasEntitlements(ctx context.Context) (bool, error) {
	params := &stripe.EntitlementsFeatureListParams{}
	params.Limit = stripe.Int64(1)
	for _, err := range a.stripe.V1EntitlementsFeatures.List(ctx, params).All(ctx) {
		if err = classify(err); errors.Is(err, errNothing) {
			return false, nil
		}
		return err == nil, err
	}
	return false, nil
}

// customerOf asks whose a subscription is. Errors: errNothing.
func (a *asker) customerOf(ctx context.Context, subscription string) (string, error) {
	s, err := a.stripe.V1Subscriptions.Retrieve(ctx, subscription, nil)
	switch {
	case err != nil:
		return "", classify(err)
	case s.ID != subscription:
		return "", errGarbage
	case s.Customer == nil || s.Customer.ID == "":
		return "", errNothing
	}
	return s.Customer.ID, nil
}

// catalogItem asks for a price or a product; one that is gone names no feature.
func (a *asker) catalogItem(ctx context.Context, kind, id string) (stagedoor.CatalogItem, error) {
	item := stagedoor.CatalogItem{ID: id, AskedAt: a.now()}
	var metadata map[string]string
	var got string
	var err error
	if kind == "price" {
		var p *stripe.Price
		if p, err = a.stripe.V1Prices.Retrieve(ctx, id, nil); err == nil {
			got, metadata = p.ID, p.Metadata
		}
	} else {
		var p *stripe.Product
		if p, err = a.stripe.V1Products.Retrieve(ctx, id, nil); err == nil {
			got, metadata = p.ID, p.Metadata
		}
	}
	switch err = classify(err); {
	case errors.Is(err, errNothing):
		return item, nil
	case err != nil:
		return item, err
	case got != id:
		return item, errGarbage
	}
	return named(id, metadata, item), nil
}

// session asks which link a Checkout session proves. Errors: errNothing.
func (a *asker) session(ctx context.Context, id string) (stagedoor.Link, string, error) {
	s, err := a.stripe.V1CheckoutSessions.Retrieve(ctx, id, nil)
	if err != nil {
		return stagedoor.Link{}, "", classify(err)
	}
	link, customer := linkOf(s)
	return link, customer, nil
}

// linkOf is what a completed Checkout session proves.
func linkOf(s *stripe.CheckoutSession) (stagedoor.Link, string) {
	if s.Customer == nil || !validID(s.Customer.ID) || s.Status != stripe.CheckoutSessionStatusComplete {
		return stagedoor.Link{}, ""
	}
	if !validReference(s.ClientReferenceID) {
		return stagedoor.Link{}, s.Customer.ID
	}
	return stagedoor.Link{Reference: s.ClientReferenceID, Customer: s.Customer.ID, Source: "checkout"}, s.Customer.ID
}

// events lists the hints since a time, newest first, page by page.
func (a *asker) events(ctx context.Context, since time.Time, each func(stagedoor.BillingEvent) error) error {
	params := &stripe.EventListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}, Types: stripe.StringSlice(listened())}
	params.Limit = stripe.Int64(pageSize)
	for e, err := range a.stripe.V1Events.List(ctx, params).All(ctx) {
		if err != nil {
			return classify(err)
		}
		if e.ID == "" || e.Data == nil {
			return errGarbage
		}
		var object affected
		if json.Unmarshal(e.Data.Raw, &object) != nil {
			return errGarbage
		}
		event := stagedoor.BillingEvent{ID: e.ID, Type: string(e.Type), Created: unix(e.Created)}
		if e.Account == "" {
			event.Objects, event.Link = hints(event.Type, object)
		}
		if err := each(event); err != nil {
			return err
		}
	}
	return nil
}
