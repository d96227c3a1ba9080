package billing

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v86"

	"stagedoor"
)

// hasEntitlements asks whether the account uses Stripe's Entitlements at all.
// Errors: one that is forbidden when the key may not read them.
func (a *asker) hasEntitlements(ctx context.Context) (bool, error) {
	params := &stripe.EntitlementsFeatureListParams{}
	params.Limit = stripe.Int64(1)
	for _, err := range a.stripe.V1EntitlementsFeatures.List(ctx, params).All(ctx) {
		err = classify(err)
		var refused *refusal
		if errors.Is(err, errNothing) || (errors.As(err, &refused) && refused.status == http.StatusNotFound) {
			return false, nil // an API without Entitlements
		}
		return err == nil, err
	}
	return false, nil
}

// probe asks for next to nothing, to find out whether Stripe answers.
func (a *asker) probe(ctx context.Context) {
	params := &stripe.SubscriptionListParams{}
	params.Limit, params.Single = stripe.Int64(1), true
	for range a.stripe.V1Subscriptions.List(ctx, params).All(ctx) {
		return
	}
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
