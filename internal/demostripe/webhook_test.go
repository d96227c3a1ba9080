package demostripe

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// delivery is one request that a receiver got.
type delivery struct {
	signature string
	payload   []byte
}

func (d delivery) kind(t *testing.T) string {
	t.Helper()
	var e struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(d.payload, &e); err != nil {
		t.Fatal(err)
	}
	return e.Type
}

// receiver takes deliveries and answers each as told, then with 200.
type receiver struct {
	got chan delivery
	url string
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{got: make(chan delivery, 100)}
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		payload, err := io.ReadAll(request.Body)
		if err != nil || request.Method != http.MethodPost {
			t.Errorf("%s %v", request.Method, err)
		}
		mu.Lock()
		status := http.StatusOK
		if len(statuses) > 0 {
			status, statuses = statuses[0], statuses[1:]
		}
		mu.Unlock()
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		r.got <- delivery{request.Header.Get("Stripe-Signature"), payload}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// next waits for deliveries.
func (r *receiver) next(t *testing.T, count int) []delivery {
	t.Helper()
	var all []delivery
	for range count {
		select {
		case d := <-r.got:
			all = append(all, d)
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d deliveries came", len(all), count)
		}
	}
	return all
}

// run delivers until the test ends.
func run(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// verify checks a signature by what Stripe publishes, sharing no code with
// the one that made it.
func verify(t *testing.T, d delivery, secret string) (stamp string, ok bool) {
	t.Helper()
	parts := map[string]string{}
	for _, part := range strings.Split(d.signature, ",") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", parts["t"], d.payload)
	given, err := hex.DecodeString(parts["v1"])
	return parts["t"], err == nil && len(given) > 0 && hmac.Equal(given, mac.Sum(nil))
}

func TestDeliveriesAreSignedAndInOrder(t *testing.T) {
	r := newReceiver(t)
	s, _, url := newServer(t, func(o *Options) { o.WebhookURL = func() string { return r.url } })
	run(t, s)
	if s.Subscribe("ann", "Ann") != nil || s.FailPayment("ann") != nil || s.Subscribe("ann", "") != nil || s.Cancel("ann") != nil {
		t.Fatal("refused")
	}
	want := kinds(s)
	if len(want) != 9 {
		t.Fatalf("%q", want)
	}
	var got []string
	for _, d := range r.next(t, len(want)) {
		got = append(got, d.kind(t))
		if stamp, ok := verify(t, d, testSecret); !ok || stamp != fmt.Sprint(start.Unix()) {
			t.Errorf("signature %q", d.signature)
		}
		if _, ok := verify(t, d, "whsec_other"); ok {
			t.Error("any secret verifies")
		}
		changed := delivery{d.signature, append([]byte(" "), d.payload...)}
		if _, ok := verify(t, changed, testSecret); ok {
			t.Error("the payload is not signed")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	settle(t, url, "delivery_success=true", 9)
}

// settle waits until a filter of the events' list keeps a number of them.
func settle(t *testing.T, url, query string, want int) {
	t.Helper()
	for range 400 {
		if _, list := get(t, url+"/v1/events?limit=100&"+query); len(ids(t, list)) == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s is never %d events", query, want)
}

// TestRetries fails the first event's deliveries in every way an answer can,
// and looks that nothing overtakes it.
func TestRetries(t *testing.T) {
	r := newReceiver(t, 500, 302, 404)
	s, _, url := newServer(t, func(o *Options) { o.WebhookURL = func() string { return r.url } })
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	got := r.next(t, 7)
	for i, d := range got[:4] {
		if !bytes.Equal(d.payload, got[0].payload) || d.kind(t) != "customer.created" {
			t.Errorf("attempt %d is of another event", i)
		}
	}
	for i, want := range kinds(s) {
		if kind := got[3+i].kind(t); kind != want {
			t.Errorf("%s instead of %s", kind, want)
		}
	}
	settle(t, url, "delivery_success=true", 4)
}

func TestAnEventIsGivenUp(t *testing.T) {
	var log bytes.Buffer
	r := newReceiver(t, 500, 500, 500, 500, 500)
	s, _, url := newServer(t, func(o *Options) {
		o.WebhookURL = func() string { return r.url }
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	t.Run("deliver", func(t *testing.T) {
		run(t, s)
		got := r.next(t, attempts+3)
		if got[attempts-1].kind(t) != "customer.created" || got[attempts].kind(t) != "checkout.session.completed" {
			t.Error("the next event does not follow")
		}
		settle(t, url, "delivery_success=true", 3)
		settle(t, url, "delivery_success=false", 1)
	})
	if text := log.String(); !strings.Contains(text, "gives up") || strings.Contains(text, testSecret) || strings.Contains(text, testKey) {
		t.Errorf("log: %s", text)
	}
}

func TestEventsWaitForTheAddress(t *testing.T) {
	r := newReceiver(t)
	var mu sync.Mutex
	address := ""
	asked := make(chan struct{}, 100)
	s, _, url := newServer(t, func(o *Options) {
		o.WebhookURL = func() string {
			mu.Lock()
			defer mu.Unlock()
			select {
			case asked <- struct{}{}:
			default:
			}
			return address
		}
	})
	run(t, s)
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	for range attempts + 2 {
		<-asked
	}
	settle(t, url, "delivery_success=false", 4)
	mu.Lock()
	address = r.url
	mu.Unlock()
	if first := r.next(t, 4)[0].kind(t); first != "customer.created" {
		t.Errorf("%s came first", first)
	}
}

// TestWithoutSecretNothingIsSent: an empty key signs as well as any.
func TestWithoutSecretNothingIsSent(t *testing.T) {
	r := newReceiver(t)
	s, _, _ := newServer(t, func(o *Options) {
		o.WebhookSecret, o.WebhookURL = stagedoor.Secret{}, func() string { return r.url }
	})
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	s.Run(ctx)
	if ctx.Err() != nil || len(r.got) != 0 {
		t.Errorf("%d events were sent", len(r.got))
	}
}

func TestStopsWhileNobodyListens(t *testing.T) {
	s, _, _ := newServer(t, func(o *Options) { o.WebhookURL = func() string { return "http://127.0.0.1:1" } })
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s.Run(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events[0].outcome != outcomePending {
		t.Error("an event that was not delivered is gone")
	}
}

func TestManyAtOnce(t *testing.T) {
	r := newReceiver(t)
	s, _, url := newServer(t, func(o *Options) { o.WebhookURL = func() string { return r.url } })
	run(t, s)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			user := fmt.Sprintf("user%d", i)
			if s.Subscribe(user, "") != nil || s.FailPayment(user) != nil || s.Cancel(user) != nil || s.Plan(user).Status != "canceled" {
				t.Errorf("%s was refused", user)
			}
			get(t, url+"/v1/subscriptions?status=all&expand[]=data.customer&expand[]=data.latest_invoice")
		})
	}
	all.Wait()
	r.next(t, 8*7)
	settle(t, url, "delivery_success=true", 56)
}
