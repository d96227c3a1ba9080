package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v86"
	"github.com/stripe/stripe-go/v86/webhook"
)

// client is Stripe's own client for the demo's Stripe.
func (w *world) client(key string) *stripe.Client {
	return stripe.NewClient(key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL: stripe.String(w.url), MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
}

// bought is the subscription of a customer whose metadata names the user.
func bought(t *testing.T, c *stripe.Client, user string) *stripe.Subscription {
	t.Helper()
	params := &stripe.SubscriptionListParams{Status: stripe.String("all")}
	params.AddExpand("data.customer")
	for s, err := range c.V1Subscriptions.List(t.Context(), params).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if s.Customer.Metadata["user_id"] == user {
			return s
		}
	}
	t.Fatalf("%s has no subscription", user)
	return nil
}

func TestClientReadsSubscriptions(t *testing.T) {
	w := newWorld(t)
	w.populate(t)
	c := w.client(apiKey)
	for user, want := range map[string]stripe.SubscriptionStatus{
		"ann": stripe.SubscriptionStatusActive, "bob": stripe.SubscriptionStatusPastDue, "cem": stripe.SubscriptionStatusCanceled,
		"dan": stripe.SubscriptionStatusActive, "eve": stripe.SubscriptionStatusActive, "auth0|fay": stripe.SubscriptionStatusCanceled,
	} {
		s := bought(t, c, user)
		ended := want == stripe.SubscriptionStatusCanceled
		if s.Status != want || (s.EndedAt != 0) != ended || (s.CanceledAt != 0) != ended || s.Livemode || s.CancelAtPeriodEnd {
			t.Errorf("%s: %+v", user, s)
		}
		item := s.Items.Data[0]
		if item.Plan != nil || item.Price.ID == "" || item.Price.Product.ID == "" || item.CurrentPeriodEnd < time.Now().Unix() || item.CurrentPeriodStart == 0 {
			t.Errorf("%s: %+v", user, item)
		}
	}
	for status, want := range map[string]int{"": 4, "all": 7, "active": 3, "past_due": 1, "canceled": 3, "ended": 3, "unpaid": 0} {
		params := &stripe.SubscriptionListParams{}
		params.Limit = stripe.Int64(2) // the client turns the pages
		if status != "" {
			params.Status = stripe.String(status)
		}
		seen := map[string]bool{}
		for s, err := range c.V1Subscriptions.List(t.Context(), params).All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			seen[s.ID] = true
		}
		if len(seen) != want {
			t.Errorf("status %q: %d", status, len(seen))
		}
	}
	params := &stripe.SubscriptionRetrieveParams{}
	params.AddExpand("items.data.price.product")
	params.AddExpand("customer")
	s, err := c.V1Subscriptions.Retrieve(t.Context(), bought(t, c, "ann").ID, params)
	if err != nil {
		t.Fatal(err)
	}
	if s.Customer.Name != "Ann" || s.Items.Data[0].Price.Product.Metadata["features"] != feature {
		t.Errorf("%+v", s)
	}
}

func TestClientReadsTheRest(t *testing.T) {
	w := newWorld(t)
	w.populate(t)
	c := w.client(apiKey)
	ann := bought(t, c, "ann")
	customer, err := c.V1Customers.Retrieve(t.Context(), ann.Customer.ID, nil)
	if err != nil || customer.Metadata["user_id"] != "ann" || customer.Name != "Ann" || customer.Deleted {
		t.Errorf("%+v %v", customer, err)
	}
	price, err := c.V1Prices.Retrieve(t.Context(), ann.Items.Data[0].Price.ID, nil)
	if err != nil || price.Product.ID != ann.Items.Data[0].Price.Product.ID {
		t.Errorf("%+v %v", price, err)
	}
	product, err := c.V1Products.Retrieve(t.Context(), price.Product.ID, nil)
	if err != nil || product.Metadata["features"] != feature {
		t.Errorf("%+v %v", product, err)
	}
	customers := 0
	for _, err := range c.V1Customers.List(t.Context(), &stripe.CustomerListParams{}).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		customers++
	}
	if customers != 6 {
		t.Errorf("%d customers", customers)
	}
	for user, want := range map[string][]string{"ann": {feature}, "bob": {feature}, "cem": nil, "dan": {feature}, "auth0|fay": nil} {
		params := &stripe.EntitlementsActiveEntitlementListParams{Customer: stripe.String(bought(t, c, user).Customer.ID)}
		var keys []string
		for e, err := range c.V1EntitlementsActiveEntitlements.List(t.Context(), params).All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, e.LookupKey)
		}
		if !slices.Equal(keys, want) {
			t.Errorf("%s: %v", user, keys)
		}
	}
}

func TestClientReadsSessionsAndEvents(t *testing.T) {
	w := newWorld(t)
	w.populate(t)
	c := w.client(apiKey)
	references := map[string]int{}
	params := &stripe.CheckoutSessionListParams{Status: stripe.String("complete")}
	params.Limit = stripe.Int64(3)
	for s, err := range c.V1CheckoutSessions.List(t.Context(), params).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		one, err := c.V1CheckoutSessions.Retrieve(t.Context(), s.ID, nil)
		if err != nil || one.Status != stripe.CheckoutSessionStatusComplete || one.Customer == nil || one.Subscription == nil ||
			one.PaymentStatus != stripe.CheckoutSessionPaymentStatusPaid || one.Mode != stripe.CheckoutSessionModeSubscription {
			t.Errorf("%+v %v", one, err)
		}
		references[one.ClientReferenceID]++
	}
	if len(references) != 6 || references["dan"] != 2 || references["b64_YXV0aDB8ZmF5"] != 1 {
		t.Errorf("%v", references)
	}
	types := []string{"product.updated"} // as many as may be asked for, and one that never comes
	for kind := range emitted {
		types = append(types, kind)
	}
	list := &stripe.EventListParams{Types: stripe.StringSlice(types), CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: time.Now().Add(-time.Minute).Unix()}}
	list.Limit = stripe.Int64(5)
	var ids []string
	seen := map[string]int{}
	for e, err := range c.V1Events.List(t.Context(), list).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
		seen[string(e.Type)]++
	}
	for kind, want := range emitted {
		if seen[kind] != want {
			t.Errorf("%s: %d of %d", kind, seen[kind], want)
		}
	}
	back := &stripe.EventListParams{}
	back.EndingBefore = stripe.String(ids[len(ids)-1])
	back.Limit = stripe.Int64(4)
	var later []string
	for e, err := range c.V1Events.List(t.Context(), back).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		later = append(later, e.ID)
	}
	slices.Reverse(ids)
	if !slices.Equal(later, ids[1:]) {
		t.Errorf("replayed %d of %d", len(later), len(ids)-1)
	}
	if e, err := c.V1Events.Retrieve(t.Context(), ids[0], nil); err != nil || e.Type != stripe.EventTypeCustomerCreated {
		t.Errorf("%+v %v", e, err)
	}
}

func TestClientReadsErrors(t *testing.T) {
	w := newWorld(t)
	w.populate(t)
	c := w.client(apiKey)
	_, gone := c.V1Customers.Retrieve(t.Context(), "cus_none", nil)
	_, locked := w.client("sk_test_wrong").V1Customers.Retrieve(t.Context(), "cus_none", nil)
	_, strange := c.V1Charges.Retrieve(t.Context(), "ch_none", nil)
	_, written := c.V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{})
	deep := &stripe.SubscriptionListParams{}
	deep.AddExpand("data.items.data.price.product")
	bogus := &stripe.SubscriptionListParams{Status: stripe.String("bogus")}
	first := func(p *stripe.SubscriptionListParams) error {
		for _, err := range c.V1Subscriptions.List(t.Context(), p).All(t.Context()) {
			return err
		}
		return nil
	}
	for name, want := range map[string]struct {
		err    error
		status int
		code   stripe.ErrorCode
		param  string
	}{
		"no such customer": {gone, 404, stripe.ErrorCodeResourceMissing, "id"},
		"another key":      {locked, 401, "", ""},
		"another resource": {strange, 404, "", ""},
		"a write":          {written, 404, "", ""},
		"too deep":         {first(deep), 400, "", "expand"},
		"no such status":   {first(bogus), 400, "", "status"},
	} {
		var refused *stripe.Error
		if !errors.As(want.err, &refused) {
			t.Errorf("%s: %v", name, want.err)
			continue
		}
		if refused.HTTPStatusCode != want.status || refused.Code != want.code || refused.Param != want.param ||
			refused.Type != stripe.ErrorTypeInvalidRequest || refused.RequestID == "" {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

// TestEventsAreSignedForTheClient gives every delivery to Stripe's own check,
// and every object to the client's types, which must know each of its fields:
// the description above is two months younger than the client's version.
func TestEventsAreSignedForTheClient(t *testing.T) {
	w := newWorld(t)
	w.populate(t)
	type subscription stripe.Subscription // without the method that forgives
	type customer stripe.Customer
	type session stripe.CheckoutSession
	type invoice stripe.Invoice
	seen := map[string]int{}
	for _, sent := range w.deliveries(t) {
		e, err := webhook.ConstructEvent(sent.payload, sent.signature, webhookSecret)
		if err != nil || e.APIVersion != stripe.APIVersion || e.Livemode || e.ID == "" {
			t.Fatalf("%v %+v", err, e)
		}
		if _, err := webhook.ConstructEvent(sent.payload, sent.signature, "whsec_other"); !errors.Is(err, webhook.ErrNoValidSignature) {
			t.Errorf("another secret: %v", err)
		}
		if _, err := webhook.ConstructEvent(bytes.Replace(sent.payload, []byte("cus_"), []byte("cus-"), 1), sent.signature, webhookSecret); err == nil {
			t.Error("a changed payload is taken")
		}
		seen[string(e.Type)]++
		objects := map[string]any{"customer": new(customer), "checkout.session": new(session), "subscription": new(subscription), "invoice": new(invoice)}
		// The client has no field for a list's own kind.
		strict := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(e.Data.Raw, []byte(`"object":"list",`), nil)))
		strict.DisallowUnknownFields()
		if err := strict.Decode(objects[e.Data.Object["object"].(string)]); err != nil {
			t.Errorf("%s: %v", e.Type, err)
		}
	}
	if len(seen) != len(emitted) {
		t.Errorf("%v", seen)
	}
}

// TestClientKnowsEveryField is the same for what events do not have.
func TestClientKnowsEveryField(t *testing.T) {
	w := newWorld(t)
	w.populate(t)
	product, price := w.plan(t)
	type plainProduct stripe.Product
	type plainPrice stripe.Price
	for address, into := range map[string]any{
		"/v1/products/" + product: new(plainProduct),
		"/v1/prices/" + price:     new(plainPrice),
		"/v1/entitlements/active_entitlements?customer=" + w.ids(t, "/v1/customers")[1]: new(struct {
			Object, URL string
			HasMore     bool `json:"has_more"`
			Data        []stripe.EntitlementsActiveEntitlement
		}),
	} {
		status, body := w.get(t, address, apiKey)
		text, err := json.Marshal(body)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %v", status, err)
		}
		strict := json.NewDecoder(bytes.NewReader(text))
		strict.DisallowUnknownFields()
		if err := strict.Decode(into); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
