package demostripe

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"stagedoor"
)

// Stripe's words for how a subscription stands, as far as the demo goes.
const (
	statusActive   = "active"
	statusPastDue  = "past_due"
	statusCanceled = "canceled"
)

// product is the demo's plan with its one price and its one feature.
type product struct {
	id, price, entitlement string
	feature                stagedoor.Feature
	created                time.Time
}

type customer struct {
	id, user, reference, name string
	prefix                    string // of invoice numbers
	entitlement               string
	invoices                  int
	created                   time.Time
}

type subscription struct {
	id, item string
	customer *customer
	status   string
	invoice  *invoice // the latest
	created  time.Time
	anchor   time.Time // where periods are counted from
	ended    time.Time // zero: it has not
}

// period is the month that holds at, or the last one of what has ended.
func (s *subscription) period(at time.Time) (start, end time.Time) {
	if !s.ended.IsZero() {
		at = s.ended
	}
	months := 0
	for !monthsAfter(s.anchor, months+1).After(at) {
		months++
	}
	return monthsAfter(s.anchor, months), monthsAfter(s.anchor, months+1)
}

// monthsAfter counts months as Stripe does: what begins on the 31st renews on
// the last day of a shorter month, where AddDate would run into the next.
func monthsAfter(anchor time.Time, months int) time.Time {
	after := anchor.AddDate(0, months, 0)
	if after.Day() < anchor.Day() {
		after = after.AddDate(0, 0, -after.Day())
	}
	return after
}

// invoice is one month's bill. It is a record: what was billed stays as it was.
type invoice struct {
	id, line     string
	number       int
	subscription *subscription
	reason       string
	start, end   time.Time
	created      time.Time
	paid         time.Time // zero: it is open
}

// bill makes an open invoice for the period that begins now. The caller holds mu.
func (s *Server) bill(now time.Time, of *subscription, reason string) *invoice {
	of.customer.invoices++
	start, end := of.period(now)
	made := &invoice{
		id: newID("in_1", 23), line: newID("il_1", 23), number: of.customer.invoices,
		subscription: of, reason: reason, start: start, end: end, created: now,
	}
	s.invoices = append(s.invoices, made)
	return made
}

func (i *invoice) pay(now time.Time) { i.paid = now }

// session is a Checkout session that was completed.
type session struct {
	id           string
	subscription *subscription
	invoice      *invoice
	reference    string
	created      time.Time
}

// event is something that happened, with the object as it was then.
type event struct {
	id, kind string
	created  time.Time
	object   json.RawMessage
	previous json.RawMessage // null: it says nothing of before
	outcome  outcome
}

// newID makes an id in Stripe's manner: letters and digits after a prefix.
func newID(prefix string, length int) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	id := []byte(prefix)
	random := make([]byte, length)
	_, _ = rand.Read(random)
	for _, b := range random {
		// The bias of a remainder matters to no one: ids here are no secrets.
		id = append(id, alphabet[int(b)%len(alphabet)])
	}
	return string(id)
}
