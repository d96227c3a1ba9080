package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"stagedoor"
)

// offers are the demo's plans without a Stripe.
type offers struct {
	plans []DemoPlan
	acts  []string
}

func (o *offers) All() []DemoPlan { return slices.Clone(o.plans) }

func (o *offers) Act(user, action string) error {
	o.acts = append(o.acts, user+" "+action)
	switch {
	case action == "break":
		return errors.New("a bug")
	case user != o.plans[0].User || action != "cancel":
		return stagedoor.Refuse(stagedoor.InvalidRequest, "there is no such thing")
	}
	o.plans[0].Status = "canceled"
	return nil
}

// newDemo is stagedoor dev with Alice, who subscribed, and Bob.
func newDemo(plans DemoPlans) *harness {
	return newHarness(func(o *Options) {
		o.Demo = &Demo{Room: "demo", Plans: plans, Callers: []DemoCaller{{ID: "alice", Token: "alice-token", Pays: true}, {ID: "bob", Token: "bob-token"}}}
	})
}

func (h *harness) demo(t *testing.T, method, body string, header map[string]string) *http.Response {
	t.Helper()
	all := map[string]string{"Authorization": "", "Host": "localhost:3000"}
	for name, value := range header {
		all[name] = value
	}
	return h.do(t, request{method: method, path: "/demo/plans", body: body, header: all})
}

// statusOf is what an answer of /demo/plans says of the first caller.
func statusOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	var answer struct{ Plans []DemoPlan }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK || len(answer.Plans) != 2 || answer.Plans[0].Name != "Alice" {
		t.Fatalf("%d %+v %v", resp.StatusCode, answer, err)
	}
	return answer.Plans[0].Status
}

func newOffers() *offers {
	return &offers{plans: []DemoPlan{{"alice", "Alice", "active"}, {"bob", "Bob", "none"}}}
}

func TestDemoPlansChangeAndAreTold(t *testing.T) {
	o := newOffers()
	h := newDemo(o)
	if got := statusOf(t, h.demo(t, "GET", "", nil)); got != "active" {
		t.Errorf("before: %s", got)
	}
	if got := statusOf(t, h.demo(t, "POST", `{"user":"alice","action":"cancel"}`, nil)); got != "canceled" {
		t.Errorf("after: %s", got)
	}
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"another action":     {`{"user":"alice","action":"steal"}`, 400, "invalid_request"},
		"another user":       {`{"user":"eve","action":"cancel"}`, 400, "invalid_request"},
		"a user of no text":  {`{"user":{},"action":"cancel"}`, 400, "invalid_request"},
		"no object":          {`[]`, 400, "invalid_json"},
		"TestDoubledKey":     {`{"user":"bob","user":"alice","action":"cancel"}`, 400, "invalid_json"},
		"what nobody caught": {`{"user":"alice","action":"break"}`, 500, "internal"},
	} {
		t.Run(name, func(t *testing.T) { mustRefuse(t, h.demo(t, "POST", c.body, nil), c.status, c.code) })
	}
	mustRefuse(t, h.demo(t, "PUT", "{}", nil), 405, "method_not_allowed")
}

// Nobody is asked for a token here, so that only this machine's own page may
// change a plan: a form of another page cannot send JSON.
func TestPagesElsewhereCannotChangeDemoPlans(t *testing.T) {
	o := newOffers()
	h := newDemo(o)
	const cancel = `{"user":"alice","action":"cancel"}`
	mustRefuse(t, h.demo(t, "POST", cancel, map[string]string{"Content-Type": "text/plain", "Origin": "https://attacker.example"}), 415, "unsupported_media_type")
	mustRefuse(t, h.demo(t, "POST", cancel, map[string]string{"Content-Type": ""}), 415, "unsupported_media_type")
	mustRefuse(t, h.demo(t, "POST", cancel, map[string]string{"Host": "attacker.example"}), 403, "origin_not_allowed")
	asked := map[string]string{"Origin": "https://attacker.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
	if allowed := h.demo(t, "OPTIONS", "", asked).Header.Get("Access-Control-Allow-Origin"); allowed != "" {
		t.Errorf("the browser is told that %q may", allowed)
	}
	if len(o.acts) != 0 {
		t.Errorf("done: %q", o.acts)
	}
}

func TestDemoSaysWhoPaysNow(t *testing.T) {
	pays := func(h *harness) (plans any, paying []any) {
		body := bodyOf(t, h.do(t, request{method: "GET", path: "/demo/config.json", header: map[string]string{"Host": "localhost:3000"}}))
		for _, caller := range body["callers"].([]any) {
			paying = append(paying, caller.(map[string]any)["pays"])
		}
		return body["plans"], paying
	}
	o := newOffers()
	h := newDemo(o)
	for _, status := range []string{"active", "past_due", "canceled", "none", "active"} {
		o.plans[0].Status = status
		if plans, paying := pays(h); plans != true || !slices.Equal(paying, []any{status == "active", false}) {
			t.Errorf("%s: plans %v, paying %v", status, plans, paying)
		}
	}
	// Requests come at once: what they share is not written to.
	shared := &Demo{Plans: o, Callers: []DemoCaller{{ID: "alice", Pays: true}}}
	o.plans[0].Status = "canceled"
	shared.config(httptest.NewRecorder(), nil)
	if !shared.Callers[0].Pays {
		t.Error("an answer changed the callers of all answers")
	}
	// With a Stripe of the operator's own nothing can be bought here.
	own := newDemo(nil)
	if plans, paying := pays(own); plans != false || !slices.Equal(paying, []any{true, false}) {
		t.Errorf("plans %v, paying %v", plans, paying)
	}
	mustRefuse(t, own.demo(t, "GET", "", nil), 404, "not_found")
	mustRefuse(t, newHarness(nil).demo(t, "GET", "", nil), 404, "not_found")
}
