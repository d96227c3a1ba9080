package stripe

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/demostripe"
)

const (
	apiKey        = "sk_test_conformance"
	webhookSecret = "whsec_conformance"
	feature       = "publish"
)

// delivery is an event as the door would get it.
type delivery struct {
	signature string
	payload   []byte
}

// world is the demo's Stripe with somebody who listens.
type world struct {
	stripe *demostripe.Server
	url    string
	events chan delivery
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{events: make(chan delivery, 1000)}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.events <- delivery{r.Header.Get("Stripe-Signature"), payload}
	}))
	t.Cleanup(receiver.Close)
	w.stripe = demostripe.New(demostripe.Options{
		Key: stagedoor.NewSecret(apiKey), WebhookSecret: stagedoor.NewSecret(webhookSecret),
		WebhookURL: func() string { return receiver.URL }, Feature: feature,
	})
	api := httptest.NewServer(w.stripe)
	t.Cleanup(api.Close)
	w.url = api.URL
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.stripe.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// populate brings about every state: ann pays, bob is past due, cem has
// ended, dan has ended and come back, eve was past due and has paid, and fay
// has a name that needs encoding and gave up while past due.
func (w *world) populate(t *testing.T) {
	t.Helper()
	s := w.stripe
	for _, err := range []error{
		s.Subscribe("ann", "Ann"),
		s.Subscribe("bob", ""), s.FailPayment("bob"),
		s.Subscribe("cem", "Cem"), s.Cancel("cem"),
		s.Subscribe("dan", "Dan"), s.Cancel("dan"), s.Subscribe("dan", "Dan"),
		s.Subscribe("eve", "Eve"), s.FailPayment("eve"), s.Subscribe("eve", ""),
		s.Subscribe("auth0|fay", "Fay"), s.FailPayment("auth0|fay"), s.Cancel("auth0|fay"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// emitted is how many events populate brings about, of every type.
var emitted = map[string]int{
	"customer.created": 6, "checkout.session.completed": 7, "customer.subscription.created": 7,
	"customer.subscription.updated": 4, "customer.subscription.deleted": 3, "invoice.paid": 8, "invoice.payment_failed": 3,
}

// deliveries waits for all events.
func (w *world) deliveries(t *testing.T) []delivery {
	t.Helper()
	count := 0
	for _, n := range emitted {
		count += n
	}
	var all []delivery
	for range count {
		select {
		case d := <-w.events:
			all = append(all, d)
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d events came", len(all), count)
		}
	}
	return all
}

// get asks with a key and reads the answer.
func (w *world) get(t *testing.T, address, key string) (status int, body any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(key, "")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return response.StatusCode, body
}

// ids are those of all objects in a list.
func (w *world) ids(t *testing.T, address string) []string {
	t.Helper()
	_, body := w.get(t, address, apiKey)
	var all []string
	list, _ := body.(map[string]any)["data"].([]any)
	for _, one := range list {
		all = append(all, one.(map[string]any)["id"].(string))
	}
	if len(all) == 0 {
		t.Fatalf("%s is empty", address)
	}
	return all
}
