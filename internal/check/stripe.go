package check

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// right is one kind of objects that a restricted key must be allowed to read.
type right struct {
	path, name string
	// needed is set where the door asks for it; without the others only this
	// command sees less.
	needed bool
}

// rights are what the door asks Stripe for, and what a check asks for beside.
func rights() []right {
	return []right{
		{"/v1/subscriptions", "subscriptions", true},
		{"/v1/customers", "customers", true},
		{"/v1/products", "products", true},
		{"/v1/prices", "prices", true},
		{"/v1/checkout/sessions", "Checkout sessions", true},
		{"/v1/events", "events", true},
		{"/v1/entitlements/features", "entitlements", true},
		{"/v1/webhook_endpoints", "webhook endpoints", false},
	}
}

// vital are the events without which a change waits for the next poll; the
// other ones that the door takes only make it sooner.
func vital() []string {
	return []string{"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted", "checkout.session.completed"}
}

// page is a list of Stripe's API.
type page struct {
	Object string `json:"object"`
	Data   []struct {
		ID       string   `json:"id"`
		Object   string   `json:"object"`
		Created  int64    `json:"created"`
		Livemode bool     `json:"livemode"`
		URL      string   `json:"url"`
		Status   string   `json:"status"`
		Events   []string `json:"enabled_events"`
		Version  string   `json:"api_version"`
	} `json:"data"`
	HasMore bool `json:"has_more"`
}

// reply is what Stripe said of one right.
type reply struct {
	right  right
	answer answer
	page   page
	err    error
}

// billing asks Stripe with the door's own key. The key goes to Stripe's API alone.
func (t *Target) billing(ctx context.Context, f *findings) {
	all := []string{"billing.rights", "billing.webhook", "billing.events", "billing.clock"}
	if t.Stripe.Key.Empty() {
		f.add("billing.key", Warn, "STRIPE_SECRET_KEY is not set: nobody is entitled by payment", "set it to a restricted key (rk_live_…), unless your rules let people publish without payment")
		f.skip("there is no Stripe key", all...)
		return
	}
	replies := make([]reply, len(rights()))
	var undelivered reply
	var asking sync.WaitGroup
	for i, r := range rights() {
		asking.Go(func() { replies[i] = t.read(ctx, r, either(r.needed, "limit=1", "limit=100")) })
	}
	asking.Go(func() { undelivered = t.read(ctx, right{path: "/v1/events"}, "limit=100&delivery_success=false") })
	asking.Wait()
	first := replies[0]
	switch {
	case first.err != nil:
		seen, remedy := trouble(first.err, t.Stripe.API, "STRIPE_API_URL")
		f.add("billing.key", Fail, seen, remedy)
		f.skip("Stripe cannot be asked", all...)
		return
	case first.answer.status == http.StatusUnauthorized:
		f.add("billing.key", Fail, "Stripe does not take the key: it is not one of its keys, was revoked or has expired", "set STRIPE_SECRET_KEY to a key from Stripe, Developers, API keys")
		f.skip("the key is refused", all...)
		return
	case !first.stripes():
		f.add("billing.key", Fail, fmt.Sprintf("what answers at %s (HTTP %d) is not Stripe", t.Stripe.API, first.answer.status), "correct STRIPE_API_URL, or see which proxy of this machine (HTTPS_PROXY) stands in between; then make a new key: it has been sent there")
		f.skip("something else answers", all...)
		return
	}
	f.clock("billing.clock", first.answer, "Stripe's")
	t.mode(f)
	missing(f, replies)
	t.endpoint(f, replies[len(replies)-1])
	t.events(ctx, f, replies[5], undelivered)
}

// read asks for a list.
func (t *Target) read(ctx context.Context, r right, query string) reply {
	out := reply{right: r}
	out.answer, out.err = t.ask(ctx, question{url: t.Stripe.API + r.path + "?" + query, bearer: t.Stripe.Key})
	if out.err == nil && out.answer.status == http.StatusOK {
		if json.Unmarshal(out.answer.body, &out.page) != nil || out.page.Object != "list" {
			out.page.Object = ""
		}
	}
	return out
}

// stripes reports whether the answer is one of Stripe's API: a list, or an
// error in its form.
func (r reply) stripes() bool {
	var body struct {
		Error *json.RawMessage `json:"error"`
	}
	return r.answer.status == http.StatusOK && r.page.Object == "list" || json.Unmarshal(r.answer.body, &body) == nil && body.Error != nil
}

// mode judges whether the key is a live one where it must be.
func (t *Target) mode(f *findings) {
	live := strings.Contains(t.Stripe.Key.Reveal(), "_live_")
	restricted := strings.HasPrefix(t.Stripe.Key.Reveal(), "rk_")
	kind := either(live, "live", "test") + " mode, " + either(restricted, "a restricted key", "a secret key with every right")
	switch {
	case !live && t.Stripe.MustBeLive:
		f.add("billing.key", Fail, kind+", and REQUIRE_LIVE_BILLING is set", "set STRIPE_SECRET_KEY to the live key")
	case !live && t.Stripe.Platform:
		f.add("billing.key", Fail, kind+", on a hosting platform: anybody with a test card may publish", "set STRIPE_SECRET_KEY to the live key, and REQUIRE_LIVE_BILLING=true")
	case !live:
		f.add("billing.key", Warn, kind+": test cards pay", "in production set STRIPE_SECRET_KEY to the live key, and REQUIRE_LIVE_BILLING=true")
	case !restricted:
		f.add("billing.key", Warn, kind, "the door only reads: a restricted key (rk_live_…) loses less when it is lost")
	default:
		f.pass("billing.key", kind)
	}
}

// either is one of two.
func either[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// permission is how Stripe names the right that a key lacks.
var permission = regexp.MustCompile(`\brak_[a-z_]{1,64}\b`)

// missing names every right that Stripe refused.
//
// SPEC: docs.stripe.com/keys/restricted-api-keys; docs.stripe.com/api/errors.
func missing(f *findings, replies []reply) {
	lacking, unclear, optional := []string{}, []string{}, []string{}
	for _, r := range replies {
		switch {
		case r.err == nil && r.answer.status == http.StatusForbidden && !r.right.needed:
			optional = append(optional, r.right.name)
		case r.err == nil && r.answer.status == http.StatusForbidden:
			name := r.right.name
			if said := permission.FindString(string(r.answer.body)); said != "" {
				name += " (" + said + ")"
			}
			lacking = append(lacking, name)
		case r.err == nil && r.answer.status == http.StatusNotFound && strings.HasPrefix(r.right.path, "/v1/entitlements/") && r.stripes():
			// An API without Entitlements, as the door takes it: nothing to lack.
		case (r.err != nil || r.page.Object != "list") && r.right.needed:
			unclear = append(unclear, r.right.name)
		}
	}
	switch {
	case len(lacking) > 0:
		f.add("billing.rights", Fail, "the key may not read "+strings.Join(lacking, ", "), "in Stripe, Developers, API keys, edit the restricted key of STRIPE_SECRET_KEY: Read for "+strings.Join(lacking, ", "))
	case len(unclear) > 0:
		f.add("billing.rights", Warn, "Stripe did not say whether the key may read "+strings.Join(unclear, ", "), "run it again")
	case len(optional) > 0:
		f.pass("billing.rights", "it may read everything that the door asks for; not webhook endpoints, which only this check would read")
	default:
		f.pass("billing.rights", "it may read everything that is asked for")
	}
}

const hook = "/webhooks/stripe"

// endpoint looks for the door's webhook among those that are registered.
//
// SPEC: docs.stripe.com/api/webhook_endpoints/object.
func (t *Target) endpoint(f *findings, r reply) {
	const id = "billing.webhook"
	want := "https://<your door>" + hook
	if t.Door.URL != "" {
		want = t.Door.URL + hook
	}
	register := "in Stripe, Developers, Webhooks, add an endpoint for " + want + " with " + strings.Join(vital(), ", ") + ", and set STRIPE_WEBHOOK_SECRET to its signing secret"
	switch {
	case r.err == nil && r.answer.status == http.StatusForbidden:
		f.add(id, Skip, "the key may not read webhook endpoints", "give the restricted key Read for webhook endpoints, or look in Stripe, Developers, Webhooks")
		return
	case r.err != nil || r.page.Object != "list":
		f.skip("Stripe did not list the webhook endpoints", id)
		return
	case !t.Stripe.Webhook:
		f.add(id, Warn, "STRIPE_WEBHOOK_SECRET is not set: "+hook+" is closed, and a change is noticed within two minutes instead of at once", register)
		return
	}
	at, near := -1, ""
	for i, e := range r.page.Data {
		u, err := url.Parse(e.URL)
		switch {
		case err != nil:
		case t.Door.URL == "" && u.Path == hook, t.Door.URL != "" && strings.EqualFold(e.URL, want):
			at = i
		case strings.HasPrefix(u.Path, "/webhook") || t.Door.URL != "" && strings.HasPrefix(e.URL, t.Door.URL):
			near = e.URL
		}
	}
	if at < 0 {
		seen := fmt.Sprintf("none of the %s leads to %s", count(len(r.page.Data), "registered endpoint", "registered endpoints"), want)
		if len(r.page.Data) == 0 {
			seen = "no endpoint is registered in this account and mode"
		} else if near != "" {
			seen += "; there is " + clip(near)
		}
		f.add(id, Fail, seen, register)
		return
	}
	e := r.page.Data[at]
	lacking := slices.DeleteFunc(vital(), func(name string) bool { return slices.Contains(e.Events, name) || slices.Contains(e.Events, "*") })
	unheard := slices.DeleteFunc(slices.Clone(t.Stripe.Events), func(name string) bool { return slices.Contains(e.Events, name) || slices.Contains(e.Events, "*") })
	switch {
	case e.Status != "enabled":
		f.add(id, Fail, clip(e.URL)+" is "+clip(cmp.Or(e.Status, "not enabled")), "enable it in Stripe, Developers, Webhooks; Stripe disables an endpoint that fails for days")
	case len(lacking) > 0:
		f.add(id, Fail, clip(e.URL)+" is not told of "+strings.Join(lacking, ", "), "add these events to it in Stripe, Developers, Webhooks")
	case len(unheard) > 0:
		f.add(id, Pass, fmt.Sprintf("%s, with the events that matter; not told of %s", clip(e.URL), strings.Join(unheard, ", ")), "")
	default:
		f.pass(id, clip(e.URL)+", "+count(len(e.Events), "kind of event", "kinds of events"))
	}
}

// events compares what Stripe sent with what the door took in.
func (t *Target) events(ctx context.Context, f *findings, newest, undelivered reply) {
	const id = "billing.events"
	if newest.err != nil || newest.page.Object != "list" {
		f.skip("Stripe did not list its events", id)
		return
	}
	seen := "Stripe made none in 30 days"
	var made time.Time
	if len(newest.page.Data) > 0 {
		made = time.Unix(newest.page.Data[0].Created, 0)
		seen = "Stripe's newest is " + said(max(t.Now().Sub(made), 0)) + " old"
	}
	kept, err := t.kept(ctx)
	known := err == nil && t.Store.Inspect != nil && !kept.Missing
	if known && kept.StripeEvent.IsZero() {
		seen += ", the door has taken none yet"
	} else if known {
		seen += ", the door took its newest " + said(max(t.Now().Sub(kept.StripeEvent), 0)) + " ago"
	}
	lost := len(undelivered.page.Data)
	switch {
	case lost > 0 && t.Stripe.Webhook:
		more := either(undelivered.page.HasMore, " or more", "")
		f.add(id, Warn, fmt.Sprintf("%s; %d%s were not delivered to some endpoint", seen, lost, more), "see why in Stripe, Developers, Webhooks: a wrong STRIPE_WEBHOOK_SECRET is answered 400. The door reads them by polling meanwhile")
	case known && !made.IsZero() && kept.StripeEvent.IsZero() && t.Now().Sub(made) > 10*time.Minute:
		f.add(id, Warn, seen, "start the door; if it runs, see GET /api/billing of its operators' API, and STRIPE_WEBHOOK_SECRET")
	default:
		f.pass(id, seen)
	}
}
