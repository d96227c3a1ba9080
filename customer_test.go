package stagedoor

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A subscription that renews has no known end: its period's is none.
func TestKnownEnds(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	items := []SubscriptionItem{{PeriodEnd: late}, {PeriodEnd: early}, {}}
	for name, c := range map[string]struct {
		subscription Subscription
		want         []time.Time
	}{
		"TestRenewingSubscriptionHasNoEnd":  {Subscription{Status: "active", Items: items}, nil},
		"nothing known":                     {Subscription{}, nil},
		"it has ended":                      {Subscription{Status: "canceled", EndedAt: early}, []time.Time{early}},
		"cancelled as of a date":            {Subscription{CancelAt: late}, []time.Time{late}},
		"as of the period's end":            {Subscription{CancelAtPeriodEnd: true, Items: items}, []time.Time{late}},
		"as of the end of an unknown":       {Subscription{CancelAtPeriodEnd: true}, nil},
		"of a period that says nothing":     {Subscription{CancelAtPeriodEnd: true, Items: []SubscriptionItem{{}}}, nil},
		"the date and the period, each one": {Subscription{CancelAt: early, CancelAtPeriodEnd: true, Items: items}, []time.Time{early, late}},
		"all three":                         {Subscription{EndedAt: early, CancelAt: early, CancelAtPeriodEnd: true, Items: items}, []time.Time{early, early, late}},
	} {
		var got []time.Time
		for _, end := range c.subscription.KnownEnds() {
			got = append(got, end.At)
			if end.Why == "" {
				t.Errorf("%s: an end without a reason", name)
			}
		}
		if !slices.EqualFunc(got, c.want, time.Time.Equal) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The ids go into addresses at Stripe's, so that nothing but one may pass.
func TestStripeIDs(t *testing.T) {
	for value, ok := range map[any]bool{
		"cus_NffrFeUfNV2Hib": true, "cus_a_1": true, "cus_" + strings.Repeat("x", 251): true, "cus_" + strings.Repeat("x", 252): false,
		"cus_": false, "cus": false, "": false, "sub_1MowQV": false, "CUS_1": false, " cus_1": false, "cus_1 ": false, "xcus_1": false,
		"cus_../../events": false, "cus_1/subscriptions": false, "cus_1?expand=x": false, "cus_1%2f": false, "cus_é": false, "cus_1\n": false,
		7.0: false, true: false, nil: false,
	} {
		customer, subscription := Claims{"app": map[string]any{"customer": value}}.StripeIDs("app.customer", "app.customer")
		if (customer != "") != ok || ok && customer != value {
			t.Errorf("%v: customer %q", value, customer)
		}
		if wantSub := value == "sub_1MowQV"; (subscription != "") != wantSub {
			t.Errorf("%v: subscription %q", value, subscription)
		}
	}
	if customer, subscription := (Claims{"": "cus_1"}).StripeIDs("", ""); customer != "" || subscription != "" {
		t.Error("a claim without a name was read")
	}
}
