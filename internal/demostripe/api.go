package demostripe

import (
	"crypto/subtle"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// endpoint answers one route. id is what its address ends with; empty for a list.
type endpoint struct {
	known  map[string]shape
	answer func(now time.Time, p parameters, id string) (object, *fault)
}

// retrieving and listing are the parameters that every such endpoint takes.
func retrieving() map[string]shape { return map[string]shape{"expand": many} }

func listing(more map[string]shape) map[string]shape {
	all := map[string]shape{"expand": many, "limit": single, "starting_after": single, "ending_before": single}
	maps.Copy(all, more)
	return all
}

// mux names every route. What is not among them, a write above all, is
// answered as Stripe answers an address it does not have.
func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	add := func(pattern string, known map[string]shape, answer func(time.Time, parameters, string) (object, *fault)) {
		mux.Handle("GET "+pattern, s.serve(endpoint{known, answer}))
	}
	add("/v1/subscriptions", listing(map[string]shape{"customer": single, "status": single, "price": single, "created": span}), s.listSubscriptions)
	add("/v1/subscriptions/{id}", retrieving(), s.retrieve("subscription"))
	add("/v1/customers", listing(map[string]shape{"created": span, "email": single}), s.listCustomers)
	add("/v1/customers/{id}", retrieving(), s.retrieve("customer"))
	add("/v1/products", listing(nil), s.listProducts)
	add("/v1/prices", listing(nil), s.listPrices)
	add("/v1/webhook_endpoints", listing(nil), s.listEndpoints)
	add("/v1/webhook_endpoints/{id}", retrieving(), s.retrieveEndpoint)
	add("/v1/products/{id}", retrieving(), s.retrieve("product"))
	add("/v1/prices/{id}", retrieving(), s.retrieve("price"))
	add("/v1/entitlements/active_entitlements", listing(map[string]shape{"customer": single}), s.listEntitlements)
	add("/v1/checkout/sessions", listing(map[string]shape{"customer": single, "subscription": single, "status": single, "created": span}), s.listSessions)
	add("/v1/checkout/sessions/{id}", retrieving(), s.retrieve("checkout.session"))
	add("/v1/events", listing(map[string]shape{"type": single, "types": many, "created": span, "delivery_success": single}), s.listEvents)
	add("/v1/events/{id}", retrieving(), s.retrieve("event"))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		respond(w, http.StatusNotFound, unrecognized(r.Method, r.URL.Path).body())
	})
	return mux
}

// ServeHTTP answers as Stripe's API does, for whoever has the key. Nothing
// can be written through it.
//
// SPEC: docs.stripe.com/api/authentication.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Request-Id", newID("req_", 14))
	w.Header().Set("Stripe-Version", apiVersion)
	w.Header().Set("Cache-Control", "no-cache, no-store")
	if !s.authentic(r) {
		respond(w, http.StatusUnauthorized, unauthorized().body())
		return
	}
	s.routes.ServeHTTP(w, r)
}

// authentic reports whether the request has the key. With no key configured
// none has it.
func (s *Server) authentic(r *http.Request) bool {
	given, password, basic := r.BasicAuth()
	if !basic {
		var bearer bool
		if given, bearer = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !bearer {
			return false
		}
	}
	// The key is Basic's user, and there is no password.
	return password == "" && !s.options.Key.Empty() &&
		subtle.ConstantTimeCompare([]byte(given), []byte(s.options.Key.Reveal())) == 1
}

// serve turns an endpoint into a handler: parameters, answer, expansions.
func (s *Server) serve(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, refused := s.ask(e, r)
		if refused != nil {
			respond(w, refused.status, refused.body())
			return
		}
		respond(w, http.StatusOK, marshal(answer))
	})
}

// ask answers under one lock, so that an answer shows one moment.
func (s *Server) ask(e endpoint, r *http.Request) (object, *fault) {
	p, refused := parse(r.URL.RawQuery, e.known)
	if refused != nil {
		return nil, refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	answer, refused := e.answer(now, p, r.PathValue("id"))
	if refused != nil {
		return nil, refused
	}
	for _, path := range p.many["expand"] {
		if refused := s.expandIn(answer, path, now); refused != nil {
			return nil, refused
		}
	}
	return answer, nil
}

func respond(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// retrieve answers with one object of a kind.
func (s *Server) retrieve(kind string) func(time.Time, parameters, string) (object, *fault) {
	return func(now time.Time, _ parameters, id string) (object, *fault) {
		if found := s.find(id, now); found != nil && found["object"] == kind {
			return found, nil
		}
		return nil, missing(http.StatusNotFound, noun(kind), id, "id")
	}
}

// noun is how Stripe's errors call a kind of object.
func noun(kind string) string { return strings.ReplaceAll(kind, ".", " ") }

// find is the object with an id, or nil. The caller holds mu.
func (s *Server) find(id string, now time.Time) object {
	switch id {
	case s.product.id:
		return s.productObject()
	case s.product.price:
		return s.priceObject()
	case s.product.entitlement:
		return s.featureObject()
	}
	if i := slices.IndexFunc(s.customers, func(c *customer) bool { return c.id == id }); i >= 0 {
		return s.customerObject(s.customers[i])
	}
	if i := slices.IndexFunc(s.subscriptions, func(sub *subscription) bool { return sub.id == id }); i >= 0 {
		return s.subscriptionObject(s.subscriptions[i], now)
	}
	if i := slices.IndexFunc(s.invoices, func(bill *invoice) bool { return bill.id == id }); i >= 0 {
		return s.invoiceObject(s.invoices[i])
	}
	if i := slices.IndexFunc(s.sessions, func(done *session) bool { return done.id == id }); i >= 0 {
		return s.sessionObject(s.sessions[i])
	}
	if i := slices.IndexFunc(s.events, func(e *event) bool { return e.id == id }); i >= 0 {
		return s.events[i].render()
	}
	return nil
}
