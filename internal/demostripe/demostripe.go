// Package demostripe is a small Stripe for stagedoor dev: one product, one
// price, and customers whose subscriptions begin, fail and end at the demo's
// wish. It answers as Stripe's API does and sends signed events, so that the
// door in front of it is the real one. It keeps everything in memory, moves no
// money and is not for production.
//
// SPEC: docs.stripe.com/api, API version 2026-06-24.dahlia.
package demostripe

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"stagedoor"
)

// apiVersion is the version whose shapes are spoken: stripe-go v86.1.1's.
const apiVersion = "2026-06-24.dahlia"

// maxReference is the longest client_reference_id, in bytes.
//
// SPEC: docs.stripe.com/api/checkout/sessions/create.
const maxReference = 200

// encodedReference marks a reference that holds a user in base64url.
const encodedReference = "b64_"

// Options are what a demo's Stripe needs to know. All fields are read once.
type Options struct {
	// Key is the only API key that is accepted; with an empty one nobody is.
	Key stagedoor.Secret
	// WebhookSecret signs the events; with an empty one none is sent.
	WebhookSecret stagedoor.Secret
	// WebhookURL says where events go. It is called before each delivery and
	// when endpoints are asked for, and may be called from another goroutine;
	// while it says "", and if it is nil, events wait.
	WebhookURL func() string
	// Feature is what the demo's plan includes; empty: nothing.
	Feature stagedoor.Feature
	// Now is the clock; nil is the real one.
	Now func() time.Time
	// Log takes what happens to deliveries; nil drops it.
	Log *slog.Logger
}

// Server is a Stripe in memory. Safe for concurrent use.
type Server struct {
	options Options
	routes  *http.ServeMux
	wake    chan struct{} // holds one: there may be something to deliver

	mu            sync.Mutex
	product       product
	endpoint      string // the id of where events go
	customers     []*customer
	subscriptions []*subscription
	invoices      []*invoice
	sessions      []*session
	events        []*event
}

// New returns a Stripe without customers. Its product and price exist from the
// start. Events are sent only while Run runs.
func New(options Options) *Server {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.WebhookURL == nil {
		options.WebhookURL = func() string { return "" }
	}
	s := &Server{options: options, wake: make(chan struct{}, 1)}
	s.product = product{
		id: newID("prod_", 14), price: newID("price_1", 23), entitlement: newID("feat_test_61", 32),
		feature: options.Feature, created: options.Now(),
	}
	s.endpoint = newID("we_1", 23)
	s.routes = s.mux()
	return s
}

// Plan is what a user has. The zero value is not a plan; no plan is "none".
type Plan struct {
	// Status is Stripe's word, or "none": active, past_due, canceled.
	Status string
}

// Plan returns what the user has: the newest subscription counts.
func (s *Server) Plan(user string) Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	if newest := s.newestOf(user); newest != nil {
		return Plan{Status: newest.status}
	}
	return Plan{Status: "none"}
}

// Subscribe makes the user pay. Who has no subscription, or an ended one,
// buys one in a Checkout session; who is past due pays what is open. name is
// the customer's, and counts the first time. Errors: InvalidRequest, with a
// sentence, for a user who has paid or whose name Stripe could not hold.
func (s *Server) Subscribe(user, name string) error {
	named, err := referenceOf(user)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	current := s.newestOf(user)
	switch {
	case current != nil && current.status == statusActive:
		return refuse("This user has an active subscription already.")
	case current != nil && current.status == statusPastDue:
		before := s.subscriptionObject(current, now)
		current.status = statusActive
		current.invoice.pay(now)
		s.emit(now, "customer.subscription.updated", s.subscriptionObject(current, now), before)
		s.emit(now, "invoice.paid", s.invoiceObject(current.invoice), nil)
		return nil
	}
	buyer := s.customerOf(user)
	if buyer == nil {
		buyer = &customer{
			id: newID("cus_", 14), reference: referenceInMetadata(user), user: user, name: name,
			prefix: newID("", 8), entitlement: newID("ent_test_61", 32), created: now,
		}
		s.customers = append(s.customers, buyer)
		s.emit(now, "customer.created", s.customerObject(buyer), nil)
	}
	s.buy(now, buyer, named)
	return nil
}

// buy begins a subscription that is paid for. The caller holds mu.
func (s *Server) buy(now time.Time, buyer *customer, reference string) {
	bought := &subscription{
		id: newID("sub_1", 23), item: newID("si_", 14), customer: buyer,
		status: statusActive, created: now, anchor: now,
	}
	bought.invoice = s.bill(now, bought, "subscription_create")
	bought.invoice.pay(now)
	done := &session{id: newID("cs_test_a1", 56), subscription: bought, invoice: bought.invoice, reference: reference, created: now}
	s.subscriptions = append(s.subscriptions, bought)
	s.sessions = append(s.sessions, done)
	s.emit(now, "checkout.session.completed", s.sessionObject(done), nil)
	s.emit(now, "customer.subscription.created", s.subscriptionObject(bought, now), nil)
	s.emit(now, "invoice.paid", s.invoiceObject(bought.invoice), nil)
}

// FailPayment lets the user's subscription renew now, and the payment for it
// fail. Errors: InvalidRequest, with a sentence, without an active subscription.
func (s *Server) FailPayment(user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.newestOf(user)
	switch {
	case current == nil || current.status == statusCanceled:
		return refuse("This user has no subscription whose payment could fail.")
	case current.status == statusPastDue:
		return refuse("This user's payment has failed already.")
	}
	now := s.options.Now()
	before := s.subscriptionObject(current, now)
	current.status, current.anchor = statusPastDue, now
	current.invoice = s.bill(now, current, "subscription_cycle")
	s.emit(now, "invoice.payment_failed", s.invoiceObject(current.invoice), nil)
	s.emit(now, "customer.subscription.updated", s.subscriptionObject(current, now), before)
	return nil
}

// Cancel ends the user's subscription at once. Errors: InvalidRequest, with a
// sentence, when there is nothing to cancel.
func (s *Server) Cancel(user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.newestOf(user)
	if current == nil || current.status == statusCanceled {
		return refuse("This user has no subscription to cancel.")
	}
	now := s.options.Now()
	current.status, current.ended = statusCanceled, now
	s.emit(now, "customer.subscription.deleted", s.subscriptionObject(current, now), nil)
	return nil
}

func refuse(sentence string) error { return stagedoor.Refuse(stagedoor.InvalidRequest, sentence) }

// customerOf is the user's customer, or nil. The caller holds mu.
func (s *Server) customerOf(user string) *customer {
	for _, c := range s.customers {
		if c.user == user {
			return c
		}
	}
	return nil
}

// newestOf is the user's newest subscription, or nil. The caller holds mu.
func (s *Server) newestOf(user string) *subscription {
	for i := len(s.subscriptions) - 1; i >= 0; i-- {
		if s.subscriptions[i].customer.user == user {
			return s.subscriptions[i]
		}
	}
	return nil
}

// referenceOf is how a Checkout session names the user. One that begins as
// an encoded one does is encoded itself, lest it name somebody else.
//
// SPEC: docs.stripe.com/payment-links/url-parameters: client_reference_id
// keeps letters, digits, dashes and underscores.
func referenceOf(user string) (string, error) {
	if user == "" {
		return "", refuse("A subscription needs a user.")
	}
	reference := user
	if strings.ContainsFunc(user, keptByNobody) || strings.HasPrefix(user, encodedReference) {
		reference = encoded(user)
	}
	if len(reference) > maxReference {
		return "", refuse("This user's name is longer than Stripe's client_reference_id can be.")
	}
	return reference, nil
}

// referenceInMetadata is how a customer's metadata names the user: as it is,
// since metadata keeps every character.
func referenceInMetadata(user string) string {
	if strings.HasPrefix(user, encodedReference) {
		return encoded(user)
	}
	return user
}

func encoded(user string) string {
	return encodedReference + base64.RawURLEncoding.EncodeToString([]byte(user))
}

// keptByNobody reports whether client_reference_id would lose a character.
func keptByNobody(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		return false
	}
	return true
}
