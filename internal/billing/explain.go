package billing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stagedoor"
)

// Explain says step by step what is known of what a principal has paid for:
// each link, each subscription and why it counts or not, and the features.
// Stripe is not asked. Errors are the store's.
func (b *Billing) Explain(ctx context.Context, p stagedoor.Principal) ([]stagedoor.Step, error) {
	v, err := b.view(ctx, p)
	if err != nil {
		return nil, err
	}
	steps := b.explainStripe(v.now)
	if len(v.customers)+len(v.claimed)+len(v.linked) == 0 {
		steps = append(steps, step("link", stagedoor.Bad, fmt.Sprintf(
			"no Stripe customer is linked: the token has neither %s nor %s, no Checkout session named this user as client_reference_id, and no customer has user_id in its metadata",
			b.CustomerClaim, b.SubscriptionClaim)))
	}
	for _, id := range v.claimed {
		steps = append(steps, step("link", stagedoor.Bad, id+", named by the token: Stripe has not answered about it yet"))
	}
	for _, id := range v.linked {
		steps = append(steps, step("link", stagedoor.Bad, id+": Stripe has not answered about it yet"))
	}
	for _, c := range v.customers {
		steps = append(steps, b.explainCustomer(v.now, c)...)
	}
	return append(steps, explainFeatures(v.now, v.entitlement())), nil
}

// explainStripe says how Stripe answers, where that matters.
func (b *Billing) explainStripe(now time.Time) []stagedoor.Step {
	h := b.ask.gate.Health()
	switch {
	case h.InARow > 0:
		return []stagedoor.Step{aged(step("stripe", stagedoor.Bad, "Stripe does not answer: "+h.LastError+"; what is known stays in force until it is 24 hours old"), now, h.LastSuccess)}
	case len(h.Forbidden) > 0:
		return []stagedoor.Step{step("stripe", stagedoor.Bad, "the Stripe key may not read "+strings.Join(h.Forbidden, ", ")+
			" (HTTP 403): give it that permission; what is known stays in force until it is 24 hours old")}
	case b.testMode:
		return []stagedoor.Step{step("stripe", stagedoor.Remark, "the Stripe key is a test key: only test subscriptions count")}
	}
	return nil
}

// explainCustomer says what is known of one customer.
func (b *Billing) explainCustomer(now time.Time, c customerView) []stagedoor.Step {
	how := map[string]string{
		"checkout": "by a Checkout session's client_reference_id", "metadata": "by user_id in the customer's metadata",
	}[c.via]
	if claim, ok := strings.CutPrefix(c.via, "claim "); ok {
		how = "by the token's claim " + claim
	}
	text := fmt.Sprintf("%s, %s", c.facts.ID, how)
	switch {
	case c.facts.Missing:
		return []stagedoor.Step{aged(step("link", stagedoor.Bad, text+": Stripe knows nothing of that name"), now, c.confirmedAt)}
	case c.expired:
		return []stagedoor.Step{aged(step("link", stagedoor.Bad, text+": Stripe has not confirmed it for 24 hours, so it counts for nothing"), now, c.confirmedAt)}
	}
	steps := []stagedoor.Step{aged(step("link", stagedoor.Good, text), now, c.confirmedAt)}
	if !c.facts.DirtySince.IsZero() {
		steps = append(steps, aged(step("event", stagedoor.Remark, "Stripe has announced a change that it has not been asked about yet"), now, c.facts.DirtySince))
	}
	if !c.result.Any {
		steps = append(steps, step("subscription", stagedoor.Bad, c.facts.ID+" has no subscription"))
	}
	catalog := b.items()
	for _, r := range c.result.Reasons {
		steps = append(steps, explainSubscription(r, catalog))
	}
	if len(c.facts.Entitlements) > 0 {
		text := "Stripe's entitlements: " + list(c.facts.Entitlements)
		mark := stagedoor.Good
		if !c.result.Counts {
			mark, text = stagedoor.Bad, text+"; they count only beside a subscription that counts"
		}
		steps = append(steps, aged(step("entitlements", mark, text), now, c.facts.EntitlementsAt))
	}
	return steps
}

// explainSubscription says whether one subscription counts, why, and what it brings.
func explainSubscription(r Reason, catalog map[string]stagedoor.CatalogItem) stagedoor.Step {
	text := r.Subscription.ID + " is " + r.Why
	if r.Subscription.Paused {
		text += ", its collection is paused"
	}
	for _, end := range r.Subscription.KnownEnds() {
		if r.Counts {
			text += ", ends " + end.At.UTC().Format(time.RFC3339)
		}
	}
	if !r.Counts {
		return step("subscription", stagedoor.Bad, text+": does not count")
	}
	text += ": counts"
	for _, item := range r.Subscription.Items {
		for _, id := range []string{item.Price, item.Product} {
			known, ok := catalog[id]
			switch {
			case id == "":
			case !ok:
				text += "; " + id + " is not known yet"
			case known.Malformed:
				text += "; the features in the metadata of " + id + " cannot be read"
			}
		}
	}
	if len(r.Features) == 0 {
		return step("subscription", stagedoor.Bad, text+", but neither its prices nor its products name a feature in their metadata")
	}
	return step("subscription", stagedoor.Good, text+", includes "+list(r.Features))
}

// explainFeatures says what it comes to.
func explainFeatures(now time.Time, e stagedoor.Entitlement) stagedoor.Step {
	if len(e.Features) == 0 {
		return step("features", stagedoor.Bad, "none ("+string(e.Withheld)+")")
	}
	text := list(e.Features)
	if until := e.Until.Sub(now); !e.Until.IsZero() && until < HardLimit-SoftLimit {
		text += ", until " + e.Until.UTC().Format(time.RFC3339) + " as things stand"
	}
	return step("features", stagedoor.Good, text)
}

func list(features []stagedoor.Feature) string {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = stagedoor.Printable(string(f))
	}
	return strings.Join(names, ", ")
}

func step(name string, mark stagedoor.Mark, text string) stagedoor.Step {
	return stagedoor.Step{Name: name, Mark: mark, Text: text}
}

// aged adds how old a fact is.
func aged(s stagedoor.Step, now, at time.Time) stagedoor.Step {
	if !at.IsZero() {
		age := int64(now.Sub(at).Seconds())
		s.Age = &age
	}
	return s
}
