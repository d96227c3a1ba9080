package billing

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stagedoor"
)

// double is a Stripe that answers as a test says.
type double struct {
	*httptest.Server
	answer atomic.Pointer[func(http.ResponseWriter, *http.Request)]
	calls  atomic.Int64
}

func newDouble(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *double {
	t.Helper()
	d := &double{}
	d.answer.Store(&answer)
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.calls.Add(1)
		(*d.answer.Load())(w, r)
	}))
	t.Cleanup(func() {
		d.CloseClientConnections()
		d.Close()
	})
	return d
}

// answering writes one body with a status.
func answering(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const (
	emptyList = `{"object":"list","data":[],"has_more":false,"url":"/v1/x"}`
	apiError  = `{"error":{"type":"api_error","message":"sk_test_canary went wrong"}}`
)

func (d *double) asker(now func() time.Time) *asker {
	return newAsker(stagedoor.NewSecret("sk_test_canary"), d.URL, http.DefaultTransport, now)
}

// An answer that is not one of the API's must never read as "no subscription".
func TestGarbageIsNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"TestEmptyObjectIsNotAnEmptyList": {200, `{}`},
		"HTML":                            {200, "<html>maintenance</html>"},
		"HTML with 503":                   {503, "<html>maintenance</html>"},
		"empty":                           {200, ""},
		"null":                            {200, "null"},
		"a list without data":             {200, `{"object":"list","has_more":false}`},
		"a list that never ends":          {200, `{"object":"list","data":[],"has_more":true}`},
		"TestNullInAListEndsNothing":      {200, `{"object":"list","data":[null],"has_more":false}`},
		"a null among the items":          {200, `{"object":"list","has_more":false,"data":[{"id":"sub_1","object":"subscription","status":"active","customer":"cus_1","items":{"object":"list","data":[null],"has_more":false}}]}`},
		"a list that repeats itself":      {200, `{"object":"list","has_more":true,"data":[{"id":"sub_1","object":"subscription","status":"active","customer":"cus_1","items":{"object":"list","data":[],"has_more":false}}]}`},
		"404 of the address":              {404, apiError},
		"cut short":                       {200, emptyList[:30]},
		"an error with 200":               {200, apiError},
		"a redirect":                      {302, ""},
		"a customer instead of a list":    {200, `{"object":"customer","id":"cus_1"}`},
		"another customer's subscription": {200, `{"object":"list","has_more":false,"data":[{"id":"sub_1","object":"subscription","status":"active","customer":"cus_2","items":{"object":"list","data":[],"has_more":false}}]}`},
		"a subscription without status":   {200, `{"object":"list","has_more":false,"data":[{"id":"sub_1","object":"subscription","customer":"cus_1","items":{"object":"list","data":[],"has_more":false}}]}`},
		"a subscription without items":    {200, `{"object":"list","has_more":false,"data":[{"id":"sub_1","object":"subscription","status":"active","customer":"cus_1"}]}`},
		"401":                             {401, apiError},
		"403":                             {403, apiError},
		"429":                             {429, apiError},
		"500":                             {500, apiError},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDouble(t, answering(c.status, c.body))
			got, err := d.asker(time.Now).customer(t.Context(), "cus_1", stagedoor.Customer{}, false)
			if err == nil || errors.Is(err, errNothing) {
				t.Errorf("read as %+v, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("TestStripeErrorsLeakNoKey: %v", err)
			}
		})
	}
}

func TestOnlyNotFoundMeansNothing(t *testing.T) {
	d := newDouble(t, answering(404, `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such customer"}}`))
	got, err := d.asker(time.Now).customer(t.Context(), "cus_1", stagedoor.Customer{}, true)
	if err != nil || !got.customer.Missing || got.customer.ID != "cus_1" {
		t.Errorf("%+v %v", got, err)
	}
}

// What was read of Stripe's entitlements stays when the key loses the right to
// read them, and when they are not asked for because of that.
func TestForbiddenEntitlementsKeepWhatWasRead(t *testing.T) {
	d := newDouble(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "entitlements"):
			answering(403, apiError)(w, r)
		case strings.Contains(r.URL.Path, "/customers/"):
			answering(200, `{"id":"cus_1","object":"customer","metadata":{"user_id":"ann"}}`)(w, r)
		default:
			answering(200, emptyList)(w, r)
		}
	})
	known := stagedoor.Customer{Entitlements: []stagedoor.Feature{"publish"}, EntitlementsAt: noon}
	a := d.asker(time.Now)
	for _, entitled := range []bool{true, false} {
		got, err := a.customer(t.Context(), "cus_1", known, entitled)
		if err != nil || texts(got.customer.Entitlements) != "publish" || !got.customer.EntitlementsAt.Equal(noon) || got.customer.Reference != "ann" {
			t.Errorf("asked for: %t, %+v %v", entitled, got.customer, err)
		}
	}
	if h := a.gate.Health(); len(h.Forbidden) != 1 || h.Forbidden[0] != "entitlements" || h.InARow != 0 {
		t.Errorf("%+v", h)
	}
	if _, err := a.hasEntitlements(t.Context()); !forbidden(err) {
		t.Errorf("a key that may not ask is told: %v", err)
	}
	allowed := answering(200, emptyList)
	d.answer.Store(&allowed)
	if _, err := a.hasEntitlements(t.Context()); err != nil || len(a.gate.Health().Forbidden) != 0 {
		t.Errorf("%v %+v", err, a.gate.Health())
	}
}

// Answers about one object or one endpoint are no outage.
func TestRefusalsOfOneObjectDoNotOpenTheBreaker(t *testing.T) {
	for _, status := range []int{400, 403, 404} {
		d := newDouble(t, answering(status, apiError))
		a := d.asker(time.Now)
		for range 3 * breakerAfter {
			if _, err := a.customerOf(t.Context(), "sub_1"); errors.Is(err, errBreakerOpen) {
				t.Fatalf("HTTP %d opened it", status)
			}
		}
	}
}

func TestHangingStripeIsLeftAfterThreeSeconds(t *testing.T) {
	release := make(chan struct{})
	d := newDouble(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	began := time.Now()
	_, err := d.asker(time.Now).customerOf(t.Context(), "sub_1")
	if took := time.Since(began); err == nil || took < callTimeout-time.Second || took > callTimeout+2*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// A caller who hangs up says nothing about Stripe.
func TestCancelledCallerIsNoFailureOfStripes(t *testing.T) {
	release := make(chan struct{})
	d := newDouble(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	a := d.asker(time.Now)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := a.customerOf(ctx, "sub_1")
	if h := a.gate.Health(); err == nil || h.InARow != 0 {
		t.Errorf("%v %+v", err, h)
	}
}
