package demostripe

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

const (
	testKey    = "sk_test_of_the_demo"
	testSecret = "whsec_of_the_demo"
)

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// newServer is a server that tests reach through its address.
func newServer(t *testing.T, change func(*Options)) (*Server, *clock, string) {
	t.Helper()
	at := &clock{at: start}
	options := Options{
		Key: stagedoor.NewSecret(testKey), WebhookSecret: stagedoor.NewSecret(testSecret),
		Feature: "publish", Now: at.now,
	}
	if change != nil {
		change(&options)
	}
	s := New(options)
	api := httptest.NewServer(s)
	t.Cleanup(api.Close)
	return s, at, api.URL
}

// get asks with the key and reads the answer.
func get(t *testing.T, address string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+testKey)
	return send(t, request)
}

func send(t *testing.T, request *http.Request) (int, map[string]any) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if !strings.HasPrefix(response.Header.Get("Request-Id"), "req_") {
		t.Errorf("%s: no request id", request.URL)
	}
	var body map[string]any
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// at finds a value in nested objects and lists: numbers index lists.
func at(t *testing.T, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			inner, ok := value.(map[string]any)
			if !ok {
				t.Fatalf("%v: %v is no object", path, value)
			}
			value = inner[step]
		case int:
			inner, ok := value.([]any)
			if !ok || step >= len(inner) {
				t.Fatalf("%v: no element %d", path, step)
			}
			value = inner[step]
		}
	}
	return value
}

// kinds are the types of all events, oldest first.
func kinds(s *Server) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, e := range s.events {
		all = append(all, e.kind)
	}
	return all
}

func TestStates(t *testing.T) {
	born := []string{"customer.created"}
	bought := []string{"checkout.session.completed", "customer.subscription.created", "invoice.paid"}
	failed := []string{"invoice.payment_failed", "customer.subscription.updated"}
	healed := []string{"customer.subscription.updated", "invoice.paid"}
	ended := []string{"customer.subscription.deleted"}
	subscribe := func(s *Server) error { return s.Subscribe("ann", "Ann") }
	fail := func(s *Server) error { return s.FailPayment("ann") }
	cancel := func(s *Server) error { return s.Cancel("ann") }
	type action = func(*Server) error
	for name, c := range map[string]struct {
		before  []action
		action  action
		plan    string
		events  []string
		refused string
	}{
		"none, subscribe":     {nil, subscribe, "active", slices.Concat(born, bought), ""},
		"none, fail":          {nil, fail, "none", nil, "no subscription"},
		"none, cancel":        {nil, cancel, "none", nil, "no subscription"},
		"active, subscribe":   {[]action{subscribe}, subscribe, "active", nil, "already"},
		"active, fail":        {[]action{subscribe}, fail, "past_due", failed, ""},
		"active, cancel":      {[]action{subscribe}, cancel, "canceled", ended, ""},
		"past due, subscribe": {[]action{subscribe, fail}, subscribe, "active", healed, ""},
		"past due, fail":      {[]action{subscribe, fail}, fail, "past_due", nil, "already"},
		"past due, cancel":    {[]action{subscribe, fail}, cancel, "canceled", ended, ""},
		"canceled, subscribe": {[]action{subscribe, cancel}, subscribe, "active", bought, ""},
		"canceled, fail":      {[]action{subscribe, cancel}, fail, "canceled", nil, "no subscription"},
		"canceled, cancel":    {[]action{subscribe, cancel}, cancel, "canceled", nil, "no subscription"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := newServer(t, nil)
			for _, do := range c.before {
				if err := do(s); err != nil {
					t.Fatal(err)
				}
			}
			seen := len(kinds(s))
			err := c.action(s)
			if (err != nil) != (c.refused != "") || (err != nil && !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("error %v", err)
			}
			if err != nil && stagedoor.KindOf(err) != stagedoor.InvalidRequest {
				t.Errorf("kind %v", stagedoor.KindOf(err))
			}
			if got := s.Plan("ann").Status; got != c.plan {
				t.Errorf("plan %q", got)
			}
			if got := kinds(s)[seen:]; !slices.Equal(got, c.events) {
				t.Errorf("events %q", got)
			}
			if s.Plan("bob").Status != "none" {
				t.Error("bob has what is ann's")
			}
		})
	}
}

func TestSubscriptionFollowsItsState(t *testing.T) {
	s, at0, url := newServer(t, nil)
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	read := func() map[string]any {
		_, list := get(t, url+"/v1/subscriptions?status=all")
		return at(t, list, "data", 0).(map[string]any)
	}
	period := func(sub map[string]any) (from, to time.Time) {
		item := at(t, sub, "items", "data", 0)
		return time.Unix(int64(at(t, item, "current_period_start").(float64)), 0).UTC(), time.Unix(int64(at(t, item, "current_period_end").(float64)), 0).UTC()
	}
	february := time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC)
	if from, to := period(read()); from != start || to != february {
		t.Errorf("period %v to %v", from, to)
	}
	at0.set(february)
	if from, to := period(read()); from != february || to != time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC) {
		t.Errorf("renewed for %v to %v", from, to)
	}
	paid := at(t, read(), "latest_invoice")
	if err := s.FailPayment("ann"); err != nil {
		t.Fatal(err)
	}
	if sub := read(); sub["status"] != "past_due" || sub["latest_invoice"] == paid || sub["ended_at"] != nil {
		t.Errorf("%v", sub)
	}
	ended := february.Add(time.Hour)
	at0.set(ended)
	if err := s.Cancel("ann"); err != nil {
		t.Fatal(err)
	}
	at0.set(ended.AddDate(1, 0, 0))
	sub := read()
	if sub["status"] != "canceled" || sub["ended_at"] != float64(ended.Unix()) || sub["canceled_at"] != float64(ended.Unix()) {
		t.Errorf("%v", sub)
	}
	if from, _ := period(sub); from != february {
		t.Errorf("an ended subscription renews: %v", from)
	}
	if _, plan := sub["plan"]; plan || at(t, sub, "items", "data", 0).(map[string]any)["plan"] != nil || sub["current_period_end"] != nil {
		t.Error("shapes of old")
	}
}

func TestPreviousAttributes(t *testing.T) {
	s, at0, url := newServer(t, nil)
	if s.Subscribe("ann", "Ann") != nil || s.FailPayment("ann") != nil {
		t.Fatal("refused")
	}
	at0.set(start.Add(time.Minute))
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	_, list := get(t, url+"/v1/events?type=customer.subscription.updated")
	healed, failed := at(t, list, "data", 0, "data"), at(t, list, "data", 1, "data")
	if at(t, healed, "previous_attributes", "status") != "past_due" || at(t, healed, "object", "status") != "active" {
		t.Errorf("%v", healed)
	}
	if before := at(t, healed, "previous_attributes").(map[string]any); len(before) != 1 {
		t.Errorf("more changed than the status: %v", before)
	}
	if at(t, failed, "previous_attributes", "status") != "active" || at(t, failed, "object", "status") != "past_due" {
		t.Errorf("%v", failed)
	}
}

func TestReferences(t *testing.T) {
	for user, want := range map[string][2]string{
		"ann":                    {"ann", "ann"},
		"A-z_09":                 {"A-z_09", "A-z_09"},
		"auth0|ann":              {"b64_YXV0aDB8YW5u", "auth0|ann"},
		"ännchen":                {"b64_w6RubmNoZW4", "ännchen"},
		"b64_YW5u":               {"b64_YjY0X1lXNXU", "b64_YjY0X1lXNXU"}, // not ann's
		strings.Repeat("a", 200): {strings.Repeat("a", 200), strings.Repeat("a", 200)},
	} {
		s, _, url := newServer(t, nil)
		if err := s.Subscribe(user, "Ann"); err != nil {
			t.Errorf("%s: %v", user, err)
			continue
		}
		_, sessions := get(t, url+"/v1/checkout/sessions?status=complete")
		_, customers := get(t, url+"/v1/customers")
		session, metadata := at(t, sessions, "data", 0, "client_reference_id"), at(t, customers, "data", 0, "metadata", "user_id")
		if session != want[0] || metadata != want[1] {
			t.Errorf("%s is %v and %v", user, session, metadata)
		}
		// What the names say must be what the door looks for.
		p := stagedoor.Principal{Issuer: "i", Subject: user}
		if all := p.References(nil); !slices.Contains(all, session.(string)) || !slices.Contains(all, metadata.(string)) {
			t.Errorf("the door does not look for %v or %v", session, metadata)
		}
	}
	for _, user := range []string{"", strings.Repeat("a", 201), strings.Repeat("ä", 100)} {
		s, _, _ := newServer(t, nil)
		if s.Subscribe(user, "Ann") == nil || len(kinds(s)) != 0 {
			t.Errorf("%.20q was taken", user)
		}
	}
}
