package billing

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"stagedoor"
)

// FuzzSignature: a header proves a body only when its one time is within five
// minutes and one of its v1 is the HMAC of both, found here by hand. The
// placeholders @NOW and @SIG stand for a time and its signature.
func FuzzSignature(f *testing.F) {
	for _, seed := range []string{
		"t=@NOW,v1=@SIG", "t=@NOW,v1=00,v1=@SIG", " t=@NOW , v1=@SIG ", "t=@NOW,t=@NOW,v1=@SIG", "t=@NOW,v0=@SIG", "v1=@SIG", "t=@NOW", "", "t=@NOW,v1=@SIG,v1=", "t= @NOW,v1=@SIG",
		"t=+@NOW,v1=@SIG", "t=0@NOW,v1=@SIG", "T=@NOW,V1=@SIG", "t=@NOW,v1=@SIG=", "t=@NOW;v1=@SIG", "t=99999999999999999999,v1=@SIG",
	} {
		f.Add([]byte(`{"id":"evt_1"}`), seed, int16(0), false)
		for _, away := range []int16{0, 299, 301, -300, -301} {
			f.Add([]byte(`{"id":"evt_1"}`), seed, away, true)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, header string, away int16, known bool) {
		secret := signing
		if !known {
			secret = "whsec_of_a_stranger_0123456789"
		}
		at := noon.Add(time.Duration(away) * time.Second)
		mac := func(seconds, secret string) string {
			m := hmac.New(sha256.New, []byte(secret))
			fmt.Fprintf(m, "%s.%s", seconds, payload)
			return hex.EncodeToString(m.Sum(nil))
		}
		seconds := strconv.FormatInt(at.Unix(), 10)
		header = strings.NewReplacer("@NOW", seconds, "@SIG", mac(seconds, secret)).Replace(header)
		err := verify(payload, header, []stagedoor.Secret{stagedoor.NewSecret(""), stagedoor.NewSecret(signing)}, noon)
		if err != nil {
			if stagedoor.KindOf(err) != stagedoor.InvalidSignature || strings.Contains(err.Error(), header) && len(header) > 8 {
				t.Fatalf("%q: %v", header, err)
			}
			return
		}
		var times, good int
		for pair := range strings.SplitSeq(header, ",") {
			switch name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); {
			case name == "t":
				times++
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil || time.Unix(n, 0).Sub(noon).Abs() > tolerance {
					t.Fatalf("accepted at %q: %q", value, header)
				}
				seconds = strconv.FormatInt(n, 10)
			}
		}
		for pair := range strings.SplitSeq(header, ",") {
			if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); name == "v1" && strings.EqualFold(value, mac(seconds, signing)) {
				good++
			}
		}
		if times != 1 || good == 0 {
			t.Fatalf("accepted %q", header)
		}
	})
}

// script answers each of Stripe's addresses as the fuzzer says.
type script struct {
	status int
	body   []byte
}

// RoundTrip answers a list of subscriptions with the body, all else with an
// error that is none of the objects'.
func (s script) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := s.status, s.body
	if strings.Contains(r.URL.Path, "/v1/subscription_items") || r.URL.Query().Get("starting_after") != "" {
		status, body = 200, []byte(emptyList)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Body: io.NopCloser(bytes.NewReader(body))}, nil
}

// FuzzAnswers: an answer of Stripe's is read as what it says or not at all.
// One that is garbage must never read as "no subscription", which would take
// away what somebody paid for.
func FuzzAnswers(f *testing.F) {
	const item = `{"id":"si_1","object":"subscription_item","current_period_start":1,"current_period_end":2,"price":{"id":"price_1","object":"price","metadata":{"features":"publish"},"product":"prod_1"}}`
	subscription := func(id, customer, items string) string {
		return `{"id":"` + id + `","object":"subscription","status":"active","customer":` + customer + `,"items":{"object":"list","data":[` + items + `],"has_more":false}}`
	}
	for _, status := range []int{200, 404, 500} {
		for _, seed := range []string{
			emptyList, apiError, `{}`, `null`, `[]`, `<html>`, ``, `{"error":{"code":"resource_missing"}}`, `{"object":"list","data":[null],"has_more":false}`, `{"object":"list","data":{},"has_more":false}`,
			`{"object":"list","has_more":false,"data":[` + subscription("sub_1", `"cus_1"`, item) + `]}`,
			`{"object":"list","has_more":false,"data":[` + subscription("sub_1", `{"id":"cus_1","object":"customer","metadata":{"user_id":"ann"}}`, item+","+item) + `]}`,
			`{"object":"list","has_more":false,"data":[` + subscription("sub_1", `{"id":"cus_1","object":"customer","deleted":true}`, `{"plan":{"id":"gold","product":"p"}}`) + `]}`,
			`{"object":"list","has_more":false,"data":[` + subscription("sub_1", `"cus_2"`, item) + `]}`,
			`{"object":"list","has_more":true,"data":[` + subscription("sub_1", `"cus_1"`, item) + `]}`,
			`{"object":"list","has_more":false,"data":[` + subscription("sub_1", `"cus_1"`, `null`) + `]}`,
			`{"object":"list","has_more":false,"data":[` + subscription("sub_1", `"cus_1"`, item) + "," + subscription("sub_1", `"cus_1"`, item) + `]}`,
			`{"object":"customer","id":"cus_1","data":[],"has_more":false}`,
		} {
			f.Add(status, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		a := newAsker(stagedoor.NewSecret("sk_test_canary"), "http://127.0.0.1:1", script{status, body}, func() time.Time { return noon })
		a.gate.budget.limit = rate.NewLimiter(rate.Inf, 1)
		got, err := a.customer(t.Context(), "cus_1", stagedoor.Customer{}, false)
		if err != nil {
			if text := err.Error(); strings.ContainsAny(text, "\n\x1b") || strings.Contains(text, "sk_test_canary") || len(text) > 512 || len(got.customer.Subscriptions) > 0 {
				t.Fatalf("%d %q: %+v %q", status, body, got, text)
			}
			return
		}
		if got.customer.ID != "cus_1" || !got.customer.AskedAt.Equal(noon) {
			t.Fatalf("%d %q: %+v", status, body, got.customer)
		}
		if got.customer.Missing && len(got.customer.Subscriptions) == 0 {
			if bytes.Contains(body, []byte("resource_missing")) || bytes.Contains(bytes.ToLower(body), []byte("deleted")) || bytes.Contains(body, []byte(`\u`)) {
				return
			}
			t.Fatalf("%d %q is taken as no such customer", status, body)
		}
		checkSubscriptions(t, status, body, got)
	})
}

// checkSubscriptions holds what was read to what an independent reader finds.
func checkSubscriptions(t *testing.T, status int, body []byte, got answer) {
	t.Helper()
	var list struct {
		Object string
		Data   []struct{ ID, Status string }
	}
	if status != http.StatusOK || json.Unmarshal(body, &list) != nil || list.Object != "list" || len(list.Data) != len(got.customer.Subscriptions) {
		t.Fatalf("%d %q is taken as %+v", status, body, got.customer)
	}
	seen := map[string]bool{}
	for i, s := range got.customer.Subscriptions {
		if s.ID == "" || s.Status == "" || seen[s.ID] || s.ID != list.Data[i].ID || s.Status != list.Data[i].Status {
			t.Fatalf("%q is taken as %+v", body, s)
		}
		seen[s.ID] = true
		for _, item := range s.Items {
			if item.Price == "" {
				t.Fatalf("%q has an item without a price: %+v", body, s)
			}
		}
	}
}
