package demostripe

import (
	"net/http"
	"path"
	"slices"
	"time"
)

// maxTypes is how many types of events may be asked for at once.
//
// SPEC: docs.stripe.com/api/events/list.
const maxTypes = 20

// row is one object that a list could show; those that no filter keeps still
// are places in the list, where a page can begin.
type row struct {
	id   string
	kept bool
	show func() object
}

// rowsOf makes rows of what was made in order, the newest first.
func rowsOf[T any](made []T, each func(T) row) []row {
	rows := make([]row, 0, len(made))
	for _, one := range slices.Backward(made) {
		rows = append(rows, each(one))
	}
	return rows
}

// page is the part of a list that was asked for.
//
// SPEC: docs.stripe.com/api/pagination.
func page(p parameters, kind, address string, rows []row) (object, *fault) {
	limit, refused := p.limit()
	if refused != nil {
		return nil, refused
	}
	after, forward := p.single["starting_after"]
	before, backward := p.single["ending_before"]
	switch {
	case forward && backward:
		return nil, invalid("ending_before", "parameters_exclusive", "You may only specify one of these parameters: starting_after, ending_before.")
	case forward:
		place := slices.IndexFunc(rows, func(r row) bool { return r.id == after })
		if place < 0 {
			return nil, missing(http.StatusBadRequest, noun(kind), after, "starting_after")
		}
		rows = rows[place+1:]
	case backward:
		place := slices.IndexFunc(rows, func(r row) bool { return r.id == before })
		if place < 0 {
			return nil, missing(http.StatusBadRequest, noun(kind), before, "ending_before")
		}
		rows = rows[:place]
	}
	rows = slices.DeleteFunc(rows, func(r row) bool { return !r.kept })
	more := len(rows) > limit
	switch {
	case more && backward: // those next to the cursor
		rows = rows[len(rows)-limit:]
	case more:
		rows = rows[:limit]
	}
	data := make([]any, 0, len(rows))
	for _, r := range rows {
		data = append(data, r.show())
	}
	return listOf(address, more, data), nil
}

// listSubscriptions leaves out canceled ones unless they are asked for.
//
// SPEC: docs.stripe.com/api/subscriptions/list.
func (s *Server) listSubscriptions(now time.Time, p parameters, _ string) (object, *fault) {
	status, refused := p.word("status", "all", "active", "canceled", "ended", "incomplete", "incomplete_expired", statusPastDue, "paused", "trialing", "unpaid")
	if refused != nil {
		return nil, refused
	}
	of, refused := s.customerNamed(p)
	if refused != nil {
		return nil, refused
	}
	price, priced := p.single["price"]
	return page(p, "subscription", "/v1/subscriptions", rowsOf(s.subscriptions, func(sub *subscription) row {
		kept := p.span["created"].hold(sub.created) && (of == nil || sub.customer == of) && (!priced || price == s.product.price)
		switch status {
		case "":
			kept = kept && sub.status != statusCanceled
		case "ended":
			kept = kept && sub.status == statusCanceled
		case "all":
		default:
			kept = kept && sub.status == status
		}
		return row{sub.id, kept, func() object { return s.subscriptionObject(sub, now) }}
	}))
}

// customerNamed is the customer whose objects are asked for; nil: everybody's.
func (s *Server) customerNamed(p parameters) (*customer, *fault) {
	id, given := p.single["customer"]
	if !given {
		return nil, nil
	}
	for _, c := range s.customers {
		if c.id == id {
			return c, nil
		}
	}
	return nil, missing(http.StatusBadRequest, "customer", id, "customer")
}

// SPEC: docs.stripe.com/api/customers/list.
func (s *Server) listCustomers(_ time.Time, p parameters, _ string) (object, *fault) {
	_, byEmail := p.single["email"] // nobody has one here
	return page(p, "customer", "/v1/customers", rowsOf(s.customers, func(c *customer) row {
		return row{c.id, p.span["created"].hold(c.created) && !byEmail, func() object { return s.customerObject(c) }}
	}))
}

// listEntitlements has one while a subscription lasts, past due or not:
// Stripe takes entitlements away when it ends. The summary event that Stripe
// sends at both times is not sent, since the subscription's comes as well.
//
// SPEC: docs.stripe.com/api/entitlements/active-entitlement/list.
func (s *Server) listEntitlements(_ time.Time, p parameters, _ string) (object, *fault) {
	of, refused := s.customerNamed(p)
	switch {
	case refused != nil:
		return nil, refused
	case of == nil:
		return nil, invalid("customer", "parameter_missing", "Missing required param: customer.")
	}
	newest := s.newestOf(of.user)
	kept := s.product.feature != "" && newest != nil && newest.status != statusCanceled
	return page(p, "entitlements.active_entitlement", "/v1/entitlements/active_entitlements",
		[]row{{of.entitlement, kept, func() object { return s.entitlementObject(of) }}})
}

// SPEC: docs.stripe.com/api/checkout/sessions/list. Every session here is complete.
func (s *Server) listSessions(_ time.Time, p parameters, _ string) (object, *fault) {
	status, refused := p.word("status", "complete", "expired", "open")
	if refused != nil {
		return nil, refused
	}
	of, refused := s.customerNamed(p)
	if refused != nil {
		return nil, refused
	}
	bought, narrowed := p.single["subscription"]
	return page(p, "checkout.session", "/v1/checkout/sessions", rowsOf(s.sessions, func(done *session) row {
		kept := p.span["created"].hold(done.created) && (status == "" || status == "complete") &&
			(of == nil || done.subscription.customer == of) && (!narrowed || done.subscription.id == bought)
		return row{done.id, kept, func() object { return s.sessionObject(done) }}
	}))
}

// SPEC: docs.stripe.com/api/events/list.
func (s *Server) listEvents(_ time.Time, p parameters, _ string) (object, *fault) {
	success, refused := p.word("delivery_success", "true", "false")
	if refused != nil {
		return nil, refused
	}
	pattern, byPattern := p.single["type"]
	types, byTypes := p.many["types"]
	switch {
	case byPattern && byTypes:
		return nil, invalid("types", "parameters_exclusive", "You may only specify one of these parameters: type, types.")
	case len(types) > maxTypes:
		return nil, invalid("types", "", "You may ask for 20 types of events at most.")
	}
	return page(p, "event", "/v1/events", rowsOf(s.events, func(e *event) row {
		kept := p.span["created"].hold(e.created) && (!byTypes || slices.Contains(types, e.kind)) &&
			(success == "" || (success == "true") == (e.outcome == outcomeDelivered))
		if byPattern {
			matches, err := path.Match(pattern, e.kind)
			kept = kept && err == nil && matches
		}
		return row{e.id, kept, e.render}
	}))
}
