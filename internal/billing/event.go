package billing

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v86/webhook"

	"stagedoor"
)

// tolerance is how far the time in a signature may be from now, in either
// direction: stripe-go takes any time in the future, so that a signature
// dated ahead could be sent again for ever.
const tolerance = 5 * time.Minute

// maxID bounds what is taken for an id of Stripe's.
//
// SPEC: docs.stripe.com/upgrades, "Backward-compatible changes": ids have at
// most 255 characters.
const maxID = 255

var errSignature = stagedoor.Refuse(stagedoor.InvalidSignature, "the Stripe-Signature header does not prove this body: check STRIPE_WEBHOOK_SECRET and this machine's clock")

// verify checks that one of the secrets signed the payload, within five
// minutes of now. Errors: InvalidSignature.
//
// SPEC: docs.stripe.com/webhooks/signature.
func verify(payload []byte, header string, secrets []stagedoor.Secret, now time.Time) error {
	signed, err := timestamp(header)
	if err != nil || now.Sub(signed).Abs() > tolerance {
		return errSignature
	}
	for _, secret := range secrets {
		// An empty secret would be everybody's.
		if !secret.Empty() && webhook.ValidatePayloadIgnoringTolerance(payload, header, secret.Reveal()) == nil {
			return nil
		}
	}
	return errSignature
}

// timestamp reads the one t of a signature header.
func timestamp(header string) (time.Time, error) {
	var found []string
	for pair := range strings.SplitSeq(header, ",") {
		if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); name == "t" {
			found = append(found, value)
		}
	}
	if len(found) != 1 {
		return time.Time{}, errors.New("not one timestamp")
	}
	seconds, err := strconv.ParseInt(found[0], 10, 64)
	return time.Unix(seconds, 0), err
}

// envelope is what is read of an event, in both of Stripe's forms. What it
// says of amounts and statuses is not looked at: events come late and in any order.
//
// SPEC: docs.stripe.com/api/events/object; docs.stripe.com/api/v2/core/events/object.
type envelope struct {
	ID       string          `json:"id"`
	Object   string          `json:"object"`
	Type     string          `json:"type"`
	Created  json.RawMessage `json:"created"`
	Livemode *bool           `json:"livemode"`
	Account  string          `json:"account"`
	Data     struct {
		Object affected `json:"object"`
	} `json:"data"`
	Related *struct {
		ID string `json:"id"`
	} `json:"related_object"`
}

// affected is the object that a snapshot event is about.
type affected struct {
	ID        string     `json:"id"`
	Object    string     `json:"object"`
	Customer  expandable `json:"customer"`
	Reference string     `json:"client_reference_id"`
}

// expandable is an id, alone or in its object.
type expandable string

// UnmarshalJSON takes null, "cus_…" and {"id": "cus_…"}; anything else is none.
func (e *expandable) UnmarshalJSON(data []byte) error {
	var object struct {
		ID string `json:"id"`
	}
	var id string
	if json.Unmarshal(data, &id) != nil {
		_ = json.Unmarshal(data, &object)
		id = object.ID
	}
	*e = expandable(id)
	return nil
}

// parseEvent reads a verified event. Errors: InvalidEvent.
func parseEvent(payload []byte) (e stagedoor.BillingEvent, livemode bool, err error) {
	var raw envelope
	if json.Unmarshal(payload, &raw) != nil || !validID(raw.ID) || raw.Type == "" || raw.Livemode == nil ||
		(raw.Object != "event" && raw.Object != "v2.core.event") {
		return e, false, stagedoor.Refuse(stagedoor.InvalidEvent, "the body is not an event of Stripe's")
	}
	e = stagedoor.BillingEvent{ID: raw.ID, Type: strings.TrimPrefix(raw.Type, "v1."), Created: createdAt(raw.Created)}
	if raw.Account != "" {
		return e, *raw.Livemode, nil // of a connected account, whose customers are not ours
	}
	if raw.Related != nil {
		raw.Data.Object = affected{ID: raw.Related.ID}
	}
	e.Objects, e.Link = hints(e.Type, raw.Data.Object)
	return e, *raw.Livemode, nil
}

// createdAt reads seconds since 1970, or RFC 3339 as thin events have it.
func createdAt(raw json.RawMessage) time.Time {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		at, _ := time.Parse(time.RFC3339, text)
		return at
	}
	var seconds int64
	if json.Unmarshal(raw, &seconds) != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// Listened returns the types of the events that the door takes as hints.
func Listened() []string { return listened() }

// listened are the events that are hints, by how their names begin. Stripe's
// list of events is asked for the same.
//
// SPEC: docs.stripe.com/api/events/types.
func listened() []string {
	return []string{
		"customer.created", "customer.updated", "customer.deleted",
		"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
		"customer.subscription.paused", "customer.subscription.resumed",
		"customer.subscription.pending_update_applied", "customer.subscription.pending_update_expired",
		"checkout.session.completed", "checkout.session.async_payment_succeeded",
		"entitlements.active_entitlement_summary.updated", "invoice.paid", "invoice.payment_failed",
		"product.updated", "product.deleted", "price.updated", "price.deleted",
	}
}

// hints says which objects an event gives reason to ask for, and which link it proves.
func hints(kind string, o affected) (objects []string, link stagedoor.Link) {
	add := func(id string) {
		if validID(id) {
			objects = append(objects, id)
		}
	}
	customer := string(o.Customer)
	switch {
	case strings.HasPrefix(kind, "customer.subscription."):
		if customer == "" {
			customer = o.ID // thin: the subscription leads to its customer
		}
		add(customer)
	case kind == "customer.created" || kind == "customer.updated" || kind == "customer.deleted":
		add(o.ID)
	case strings.HasPrefix(kind, "checkout.session."):
		if o.Object == "" {
			add(o.ID)
			break
		}
		add(customer)
		if validID(customer) && validReference(o.Reference) {
			link = stagedoor.Link{Reference: o.Reference, Customer: customer, Source: "checkout"}
		}
	case strings.HasPrefix(kind, "entitlements."):
		add(customer)
		if customer == "" && strings.HasPrefix(o.ID, "cus_") {
			add(o.ID)
		}
	case strings.HasPrefix(kind, "invoice."):
		add(customer)
	case strings.HasPrefix(kind, "product."):
		add(catalogObject("product", o.ID))
	case strings.HasPrefix(kind, "price."):
		add(catalogObject("price", o.ID))
	}
	return objects, link
}

// catalogObject names a price or product that is to be asked for. Old ones
// have ids that people chose, so that the kind has to be kept beside.
func catalogObject(kind, id string) string {
	if id == "" || strings.HasPrefix(id, "prod_") || strings.HasPrefix(id, "price_") {
		return id
	}
	return kind + "/" + id
}

func validID(id string) bool {
	return id != "" && len(id) <= maxID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// validReference bounds what is kept of a client_reference_id or user_id.
func validReference(reference string) bool {
	return reference != "" && len(reference) <= 2*maxID
}
