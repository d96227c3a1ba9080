package check

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// billed runs the checks against a Stripe.
func billed(t *testing.T, api string, change func(*Target)) Report {
	t.Helper()
	target := Target{Now: time.Now, Stripe: Stripe{Key: stagedoor.NewSecret(rightsKey), API: api, Webhook: true, Events: append(vital(), "invoice.paid")},
		Door: Door{URL: ""}, Store: Store{Path: "x.db", Inspect: func(context.Context) (Kept, error) { return Kept{StripeEvent: time.Now().Add(-2 * time.Minute)}, nil }}}
	if change != nil {
		change(&target)
	}
	return Run(t.Context(), target)
}

const doorHook = "https://door.example.com/webhooks/stripe"

func TestWebhookThatIsNotRegisteredIsNamed(t *testing.T) {
	none := stripeDouble(t, "", "")
	want(t, billed(t, none.URL, nil), "billing.webhook", Fail, "no endpoint is registered", "/webhooks/stripe", "customer.subscription.updated", "STRIPE_WEBHOOK_SECRET")
	elsewhere := stripeDouble(t, endpointJSON("https://old.example.com/webhook", "enabled", "*"), "")
	want(t, billed(t, elsewhere.URL, nil), "billing.webhook", Fail, "there is https://old.example.com/webhook")
	other := stripeDouble(t, endpointJSON("https://old.example.com/webhooks/stripe", "enabled", "*"), "")
	r := Run(t.Context(), Target{Now: time.Now, Stripe: Stripe{Key: stagedoor.NewSecret(rightsKey), API: other.URL, Webhook: true}, Transport: onlyTo(other),
		Door: Door{URL: "https://door.example.com"}})
	want(t, r, "billing.webhook", Fail, "none of the 1 registered endpoint leads to "+doorHook)
}

// onlyTo lets questions through to one server alone.
func onlyTo(server *httptest.Server) http.RoundTripper {
	return through(func(r *http.Request) (*http.Response, error) {
		if "http://"+r.Host != server.URL {
			return nil, io.ErrUnexpectedEOF
		}
		return http.DefaultTransport.RoundTrip(r)
	})
}

type through func(*http.Request) (*http.Response, error)

func (f through) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWebhookWithoutTheEventsIsNamed(t *testing.T) {
	few := stripeDouble(t, endpointJSON(doorHook, "enabled", "customer.subscription.created", "invoice.paid"), "")
	want(t, billed(t, few.URL, nil), "billing.webhook", Fail, "not told of customer.subscription.updated, customer.subscription.deleted, checkout.session.completed")
	off := stripeDouble(t, endpointJSON(doorHook, "disabled", "*"), "")
	want(t, billed(t, off.URL, nil), "billing.webhook", Fail, "is disabled")
	least := stripeDouble(t, endpointJSON(doorHook, "enabled", vital()...), "")
	want(t, billed(t, least.URL, nil), "billing.webhook", Pass, "not told of invoice.paid")
	all := stripeDouble(t, endpointJSON(doorHook, "enabled", "*"), "")
	want(t, billed(t, all.URL, nil), "billing.webhook", Pass, doorHook)
	want(t, billed(t, all.URL, func(target *Target) { target.Stripe.Webhook = false }), "billing.webhook", Warn, "STRIPE_WEBHOOK_SECRET is not set")
}

func TestRightThatTheKeyLacksIsNamed(t *testing.T) {
	for _, r := range rights() {
		server := stripeDouble(t, endpointJSON(doorHook, "enabled", "*"), r.path)
		report := billed(t, server.URL, nil)
		if r.needed {
			want(t, report, "billing.rights", Fail, "may not read "+r.name+" (rak_subscription_read)", "STRIPE_SECRET_KEY")
		} else {
			want(t, report, "billing.rights", Pass, "not webhook endpoints")
			want(t, report, "billing.webhook", Skip, "may not read webhook endpoints")
		}
		for _, c := range report.Checks {
			if strings.Contains(c.Seen+c.Remedy, "rk_live_*") {
				t.Errorf("Stripe's message is shown, which quotes the key: %s", c.Seen)
			}
		}
	}
	whole := stripeDouble(t, endpointJSON(doorHook, "enabled", "*"), "")
	want(t, billed(t, whole.URL, nil), "billing.rights", Pass)
	want(t, billed(t, whole.URL, nil), "billing.key", Pass, "live mode, a restricted key")
}

func TestKeyThatStripeDoesNotTakeIsNamed(t *testing.T) {
	server := stripeDouble(t, "", "")
	other := func(key string) func(*Target) {
		return func(target *Target) { target.Stripe.Key = stagedoor.NewSecret(key) }
	}
	want(t, billed(t, server.URL, other("rk_live_another")), "billing.key", Fail, "does not take the key", "STRIPE_SECRET_KEY")
	// What is no Stripe must not pass for one without entitlements.
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	defer page.Close()
	want(t, billed(t, page.URL, nil), "billing.key", Fail, "is not Stripe")
	page.Close()
	want(t, billed(t, page.URL, nil), "billing.key", Fail, "nothing listens")
}

func TestTestKeyWhereALiveOneBelongs(t *testing.T) {
	for _, c := range []struct {
		key            string
		must, platform bool
		state          State
	}{
		{"rk_test_x", false, false, Warn}, {"rk_test_x", true, false, Fail}, {"rk_test_x", false, true, Fail},
		{"rk_live_x", true, true, Pass}, {"sk_live_x", true, true, Warn},
	} {
		f := &findings{results: map[string][]Result{}}
		target := Target{Stripe: Stripe{Key: stagedoor.NewSecret(c.key), MustBeLive: c.must, Platform: c.platform}}
		target.mode(f)
		if got := f.results["billing.key"][0]; got.State != c.state {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

func TestEventsThatDoNotArriveAreNamed(t *testing.T) {
	server := stripeDouble(t, endpointJSON(doorHook, "enabled", "*"), "")
	want(t, billed(t, server.URL, nil), "billing.events", Pass, "Stripe's newest is 3 min old, the door took its newest 2 min ago")
	lost := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("delivery_success") == "false" {
			_, _ = io.WriteString(w, `{"object":"list","has_more":true,"data":[{"id":"evt_1"},{"id":"evt_2"}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"object":"list","has_more":false,"data":[]}`)
	}))
	defer lost.Close()
	want(t, billed(t, lost.URL, nil), "billing.events", Warn, "2 or more were not delivered", "STRIPE_WEBHOOK_SECRET")
}

func TestClockOffFromStripeIsNamed(t *testing.T) {
	server := stripeDouble(t, "", "")
	want(t, billed(t, server.URL, func(target *Target) { target.Now = func() time.Time { return time.Now().Add(-2 * time.Minute) } }), "billing.clock", Fail, "2 min behind Stripe's")
}
