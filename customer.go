package stagedoor

import "time"

// Customer is what Stripe said of one customer, reduced to what entitles.
// The zero value is a customer nothing is known of.
type Customer struct {
	// ID is Stripe's, "cus_…".
	ID string `json:"id"`
	// Missing is set when Stripe knows no such customer, or a deleted one.
	Missing bool `json:"missing,omitempty"`
	// Reference is the customer's metadata user_id; empty when there is none.
	Reference     string         `json:"reference,omitempty"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	// Entitlements are the lookup keys of Stripe's active entitlements.
	Entitlements []Feature `json:"entitlements,omitempty"`
	// EntitlementsAt is when those were asked for last with success.
	EntitlementsAt time.Time `json:"entitlementsAt,omitzero"`
	// EntitlementsKept is set when they could not be read with the rest: then
	// nothing but EntitlementsAt confirms them.
	EntitlementsKept bool `json:"entitlementsKept,omitempty"`
	// Generation orders answers: of two the one with the higher generation
	// counts. The store gives one to each question when it begins.
	Generation int64 `json:"-"`
	// AskedAt is when the question began to which this is the answer. It says how
	// old the answer is, and orders nothing: clocks step back.
	AskedAt time.Time `json:"askedAt,omitzero"`
	// DirtySince is when the first event came that AskedAt does not cover;
	// zero when there is none. The store sets it.
	DirtySince time.Time `json:"-"`
}

// Subscription is what Stripe said of one subscription. The zero value
// entitles to nothing.
//
// SPEC: docs.stripe.com/api/subscriptions/object, API version 2026-06-24.dahlia.
type Subscription struct {
	// ID is Stripe's, "sub_…".
	ID string `json:"id"`
	// Status is Stripe's word: active, trialing, past_due, …
	Status string             `json:"status"`
	Items  []SubscriptionItem `json:"items,omitempty"`
	// EndedAt, CancelAt and CancelAtPeriodEnd say when it ends, where that is known.
	EndedAt           time.Time `json:"endedAt,omitzero"`
	CancelAt          time.Time `json:"cancelAt,omitzero"`
	CancelAtPeriodEnd bool      `json:"cancelAtPeriodEnd,omitempty"`
	// Paused is set while collection is paused, which is not the status paused.
	Paused bool `json:"paused,omitempty"`
	// PastDueSince is when the status past_due was first seen, or the period's
	// start where the change was not seen; zero in every other status.
	PastDueSince time.Time `json:"pastDueSince,omitzero"`
}

// SubscriptionItem is one line of a subscription.
type SubscriptionItem struct {
	// Price is the price's id, or the legacy plan's; Product its product's.
	Price   string `json:"price"`
	Product string `json:"product,omitempty"`
	// PeriodStart and PeriodEnd are the current period's bounds.
	PeriodStart time.Time `json:"periodStart,omitzero"`
	PeriodEnd   time.Time `json:"periodEnd,omitzero"`
}

// CatalogItem is a price or a product of Stripe's and the features that its
// metadata names.
type CatalogItem struct {
	// ID is Stripe's, "price_…", "prod_…" or a legacy plan's.
	ID       string
	Features []Feature
	// Malformed is set when the metadata could not be read; it names no feature then.
	Malformed bool
	// Generation, AskedAt and DirtySince mean what they mean in Customer.
	Generation          int64
	AskedAt, DirtySince time.Time
}

// Link says that a reference belongs to a customer. Source is "checkout" or
// "metadata"; what a token claims is kept with the principal.
type Link struct {
	Reference, Customer, Source string
}

// BillingEvent is a verified event of Stripe's: a hint at what to ask for anew.
type BillingEvent struct {
	// ID is Stripe's, "evt_…"; an event is kept once.
	ID, Type string
	Created  time.Time
	// Objects are the ids of customers, subscriptions, prices, products and
	// Checkout sessions that may have changed.
	Objects []string
	// Link is what a Checkout session says; its zero value says nothing.
	Link Link
}

// Priority orders what Stripe is asked: the highest first. Its zero value is
// the lowest, PriorityRest.
type Priority int

// The priorities, the lowest first.
const (
	// PriorityRest is for what no event has named: second looks and old facts.
	PriorityRest Priority = iota
	// PriorityHint is for objects that an event names.
	PriorityHint
	// PriorityNew is for objects that an event names and that were never asked
	// for: somebody has just paid for the first time.
	PriorityNew
	// PriorityJoin is for what a joining caller waits for.
	PriorityJoin
	// PriorityInCall is for the customers of people who are in a call.
	PriorityInCall
)

// Pending is one object of Stripe's that is to be asked for.
type Pending struct {
	Object string
	// Generation grows with each hint, so that a hint which comes while the
	// object is asked for is not lost.
	Generation int64
	// Since is when the first unanswered hint came; zero when all are answered
	// and the object is asked for once more, since Stripe's reads may lag.
	Since time.Time
	// Attempts counts failures in a row.
	Attempts int
	Priority Priority
}

// BillingProgress is how far Stripe's list of events has been followed.
type BillingProgress struct {
	// ChainStart is since when no event can have been missed; zero: never followed.
	ChainStart time.Time
	// ConfirmedAt is when the list was last read to its end.
	ConfirmedAt time.Time
	// FullAt is when everything was last compared with Stripe.
	FullAt time.Time
	// Key tells by which key all this was learnt; it is no secret.
	Key int64
}

// End is a moment at which a subscription is known to end, and what for.
type End struct {
	At  time.Time
	Why string
}

// KnownEnds are the moments after which the subscription cannot count,
// whatever its status was when Stripe was last asked.
func (s Subscription) KnownEnds() []End {
	var ends []End
	if !s.EndedAt.IsZero() {
		ends = append(ends, End{s.EndedAt, s.Status + ", it has ended"})
	}
	if !s.CancelAt.IsZero() {
		ends = append(ends, End{s.CancelAt, "cancelled as of a date that has come"})
	}
	if s.CancelAtPeriodEnd {
		var last time.Time
		for _, item := range s.Items {
			if item.PeriodEnd.After(last) {
				last = item.PeriodEnd
			}
		}
		if !last.IsZero() {
			ends = append(ends, End{last, "cancelled as of the period's end, which has come"})
		}
	}
	return ends
}
