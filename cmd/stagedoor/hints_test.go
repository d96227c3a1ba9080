package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// deliver signs an event as Stripe does and hands it to the door.
func (a *account) deliver(t *testing.T, event string) error {
	t.Helper()
	at := a.clock().Unix()
	mac := hmac.New(sha256.New, []byte("whsec_follow"))
	_, _ = fmt.Fprintf(mac, "%d.%s", at, event)
	return a.Receive(t.Context(), []byte(event), fmt.Sprintf("t=%d,v1=%s", at, hex.EncodeToString(mac.Sum(nil))))
}

func eventOf(id, kind, object string, live bool) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":1,"livemode":%t,"data":{"object":%s}}`, id, kind, live, object)
}

// product answers every question about a product like this.
func (a *account) product(status int, features string) {
	a.breaks(func(w http.ResponseWriter, r *http.Request) {
		id, ok := strings.CutPrefix(r.URL.Path, "/v1/products/")
		switch {
		case strings.HasSuffix(r.URL.Path, "/sessions"): // no link, so that nothing else leads to the customer
			says(200, `{"object":"list","data":[],"has_more":false,"url":"/v1/checkout/sessions"}`)(w, r)
		case !ok:
			a.stripe.ServeHTTP(w, r)
		case status != http.StatusOK:
			says(status, `{"error":{"type":"api_error"}}`)(w, r)
		default:
			says(status, fmt.Sprintf(`{"id":%q,"object":"product","metadata":{"features":%q}}`, id, features))(w, r)
		}
	})
}

// productOf names the product that a caller's subscription is for.
func (a *account) productOf(t *testing.T, user string) string {
	t.Helper()
	customer, _ := a.ids(t, user)
	kept, ok, err := a.store.Customer(t.Context(), customer)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return kept.Subscriptions[0].Items[0].Product
}

func TestChangedProductConcernsEverybody(t *testing.T) {
	a := paying(t, "ann")
	ann := a.caller(t, "ann", nil)
	product := a.productOf(t, "ann")
	a.product(http.StatusOK, "watch,screen")
	a.pass(time.Minute)
	a.all = 0
	if err := a.deliver(t, eventOf("evt_p", "product.updated", fmt.Sprintf(`{"id":%q,"object":"product"}`, product), false)); err != nil {
		t.Fatal(err)
	}
	settle(t, a)
	a.must(t, a.Known(), ann, stagedoor.FeatureNotInPlan)
	if a.all == 0 {
		t.Error("nobody was told")
	}
}

// A product that Stripe does not tell of now is asked for until it does;
// until then it includes nothing.
func TestProductThatFailsIsAskedForAgain(t *testing.T) {
	a := newAccount(t)
	if err := a.stripe.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	a.product(http.StatusInternalServerError, "")
	if _, err := a.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ann := a.caller(t, "ann", nil)
	a.must(t, a.Known(), ann, stagedoor.BillingUnavailable)
	a.breaks(nil)
	a.pass(time.Minute)
	settle(t, a)
	a.must(t, a.Known(), ann, "")
}

func TestEventOfTheOtherModeIsIgnored(t *testing.T) {
	a := paying(t, "ann")
	customer, _ := a.ids(t, "ann")
	before, err := a.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	object := fmt.Sprintf(`{"id":%q,"object":"customer"}`, customer)
	if err := a.deliver(t, eventOf("evt_live", "customer.updated", object, true)); err != nil {
		t.Fatal(err)
	}
	after, err := a.Status(t.Context())
	if err != nil || after.OtherMode != before.OtherMode+1 || after.Taken != before.Taken || after.Pending != 0 {
		t.Errorf("%+v %v", after, err)
	}
	for i, want := range []int64{1, 1} { // the second is the same event again
		if err := a.deliver(t, eventOf("evt_test", "customer.updated", object, false)); err != nil {
			t.Fatal(err)
		}
		if got, _ := a.Status(t.Context()); got.Taken != before.Taken+want || got.Duplicate != before.Duplicate+int64(i) || got.Pending != 1 {
			t.Errorf("delivery %d: %+v", i, got)
		}
	}
}

// Stripe's answer is older than its event: what it says is believed, and
// corrected by asking once more.
func TestStaleReadIsHealed(t *testing.T) {
	a := paying(t, "ann")
	ann := a.caller(t, "ann", nil)
	customer, _ := a.ids(t, "ann")
	stale := map[string]string{}
	a.breaks(func(w http.ResponseWriter, r *http.Request) { // remembers what is true now
		rec := httptest.NewRecorder()
		a.stripe.ServeHTTP(rec, r)
		stale[r.URL.Path] = rec.Body.String()
		says(rec.Code, rec.Body.String())(w, r)
	})
	if err := a.store.MarkDirty(t.Context(), a.clock(), customer); err != nil {
		t.Fatal(err)
	}
	settle(t, a)
	if err := a.stripe.Cancel("ann"); err != nil {
		t.Fatal(err)
	}
	a.breaks(func(w http.ResponseWriter, r *http.Request) { says(200, stale[r.URL.Path])(w, r) })
	a.pass(time.Second)
	if err := a.deliver(t, eventOf("evt_c", "customer.subscription.deleted", fmt.Sprintf(`{"id":"sub_1","object":"subscription","customer":%q}`, customer), false)); err != nil {
		t.Fatal(err)
	}
	settle(t, a)
	a.must(t, a.Known(), ann, "")
	a.breaks(nil)
	a.pass(61 * time.Second)
	work(t, a, func() bool {
		e, err := a.Known().Entitlement(t.Context(), ann)
		return err == nil && !e.Has("publish")
	})
}

// An event that says "paid" after the end of the plan, late, replayed or
// forged in its order, brings nothing back: Stripe is asked, and says what is so.
func TestLatePaidEventReactivatesNothing(t *testing.T) {
	a := paying(t, "ann")
	ann := a.caller(t, "ann", nil)
	customer, subscription := a.ids(t, "ann")
	a.must(t, a.Known(), ann, "")
	if err := a.stripe.Cancel("ann"); err != nil {
		t.Fatal(err)
	}
	if err := a.deliver(t, eventOf("evt_end", "customer.subscription.deleted", fmt.Sprintf(`{"id":%q,"object":"subscription","customer":%q}`, subscription, customer), false)); err != nil {
		t.Fatal(err)
	}
	a.pass(time.Second)
	settle(t, a)
	a.must(t, a.Known(), ann, stagedoor.SubscriptionInactive)
	for i, late := range []struct{ kind, object string }{
		{"invoice.paid", fmt.Sprintf(`{"id":"in_1","object":"invoice","status":"paid","customer":%q,"subscription":%q}`, customer, subscription)},
		{"customer.subscription.updated", fmt.Sprintf(`{"id":%q,"object":"subscription","status":"active","customer":%q}`, subscription, customer)},
		{"customer.subscription.created", fmt.Sprintf(`{"id":%q,"object":"subscription","status":"trialing","customer":%q,"metadata":{"user_id":"ann","features":"publish"}}`, subscription, customer)},
		{"checkout.session.completed", fmt.Sprintf(`{"id":"cs_1","object":"checkout.session","customer":%q,"client_reference_id":"ann","payment_status":"paid"}`, customer)},
	} {
		if err := a.deliver(t, eventOf(fmt.Sprintf("evt_late_%d", i), late.kind, late.object, false)); err != nil {
			t.Fatal(err)
		}
		a.pass(time.Second)
		settle(t, a)
		a.must(t, a.Known(), ann, stagedoor.SubscriptionInactive)
	}
}
