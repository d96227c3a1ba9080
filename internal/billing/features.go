package billing

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"stagedoor"
)

// Rules say which subscriptions count. The zero value counts none.
type Rules struct {
	// Statuses are Stripe's words that count as paid.
	Statuses []string
	// Grace is how long past_due still counts, from when it was first seen; 0: not at all.
	Grace time.Duration
}

// Result is what a customer's facts come to at one moment. The zero value is
// nothing paid for.
type Result struct {
	// Features are sorted and each is there once.
	Features []stagedoor.Feature
	// Counts reports whether any subscription counts, Any whether there is one at all.
	Counts, Any bool
	// Unknown reports that a subscription counts whose price or product was
	// never learnt: it may include more than Features says.
	Unknown bool
	// Until is the next moment at which this changes by itself; zero: none known.
	Until time.Time
	// Reasons say of each subscription, in order, whether and why it counts.
	Reasons []Reason
}

// Reason is what one subscription contributes.
type Reason struct {
	Subscription stagedoor.Subscription
	Counts       bool
	Why          string
	Features     []stagedoor.Feature
}

// Features is the pure function from what Stripe said of one customer to what
// that entitles to: the union, over every subscription that counts at now, of
// the features that its prices and products name, and the lookup keys of
// Stripe's entitlements, which count only beside such a subscription, since
// Stripe leaves them active while one is paused. catalog holds prices,
// products and legacy plans by id.
func (r Rules) Features(now time.Time, subscriptions []stagedoor.Subscription, catalog map[string]stagedoor.CatalogItem, entitlements []stagedoor.Feature) Result {
	var result Result
	for _, s := range subscriptions {
		result.Any = true
		counts, why, until := r.counts(now, s)
		reason := Reason{Subscription: s, Counts: counts, Why: why}
		result.Until = earliest(result.Until, until)
		if counts {
			result.Counts = true
			var complete bool
			reason.Features, complete = featuresOf(s, catalog)
			result.Unknown = result.Unknown || !complete
			result.Features = append(result.Features, reason.Features...)
		}
		result.Reasons = append(result.Reasons, reason)
	}
	if result.Counts {
		result.Features = append(result.Features, entitlements...)
	}
	slices.Sort(result.Features)
	result.Features = slices.Compact(result.Features)
	return result
}

// counts says whether a subscription counts at now, why, and when that will
// change by itself: at a known end, or when the grace is over. The end of a
// period of a subscription that renews is no end.
//
// SPEC: docs.stripe.com/billing/subscriptions/overview, "Subscription statuses".
func (r Rules) counts(now time.Time, s stagedoor.Subscription) (bool, string, time.Time) {
	var until time.Time
	for _, end := range s.KnownEnds() {
		if !now.Before(end.At) {
			return false, end.Why, time.Time{}
		}
		until = earliest(until, end.At)
	}
	if slices.Contains(r.Statuses, s.Status) {
		return true, s.Status, until
	}
	if s.Status != "past_due" || r.Grace <= 0 || s.PastDueSince.IsZero() {
		return false, s.Status, time.Time{}
	}
	over := s.PastDueSince.Add(r.Grace)
	if !now.Before(over) {
		return false, "past_due, and the grace is over", time.Time{}
	}
	return true, "past_due, within the grace", earliest(until, over)
}

// featuresOf is the union of what a subscription's prices and products name,
// and whether all of them are known.
func featuresOf(s stagedoor.Subscription, catalog map[string]stagedoor.CatalogItem) (features []stagedoor.Feature, complete bool) {
	complete = true
	for _, item := range s.Items {
		for _, id := range []string{item.Price, item.Product} {
			if id == "" {
				continue
			}
			known, ok := catalog[id]
			complete = complete && ok
			features = append(features, known.Features...)
		}
	}
	slices.Sort(features)
	return slices.Compact(features), complete
}

// Metadata limits: Stripe's values have at most 500 characters.
//
// SPEC: docs.stripe.com/api/metadata.
const maxFeatures = 100

// ParseFeatures reads the value of a `features` metadata entry: names between
// commas, or a JSON list of strings. A list that cannot be read names nothing
// and says so.
func ParseFeatures(value string) (features []stagedoor.Feature, ok bool) {
	value = strings.TrimSpace(value)
	names := strings.Split(value, ",")
	if strings.HasPrefix(value, "[") {
		if err := json.Unmarshal([]byte(value), &names); err != nil {
			return nil, false
		}
	}
	for _, name := range names {
		if name = strings.TrimSpace(name); name != "" && len(features) < maxFeatures {
			features = append(features, stagedoor.Feature(name))
		}
	}
	return features, true
}

// earliest returns the earlier of two times, of which a zero one is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
