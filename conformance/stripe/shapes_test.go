package stripe

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// addresses lists what can be asked in a populated world: every route, every
// object, every expansion. status says how each is answered.
func (w *world) addresses(t *testing.T) map[string]int {
	t.Helper()
	all := map[string]int{
		"/v1/subscriptions":            200,
		"/v1/subscriptions?status=all": 200,
		"/v1/subscriptions?status=all&limit=2&expand[]=data.customer&expand[]=data.latest_invoice.customer": 200,
		"/v1/subscriptions?status=trialing":                                        200,
		"/v1/subscriptions?created[gte]=1&created[lt]=9999999999":                  200,
		"/v1/customers?limit=100":                                                  200,
		"/v1/checkout/sessions?status=complete&limit=100":                          200,
		"/v1/checkout/sessions?status=open":                                        200,
		"/v1/events?limit=100":                                                     200,
		"/v1/products?limit=1":                                                     200,
		"/v1/prices?limit=1":                                                       200,
		"/v1/webhook_endpoints?limit=100":                                          200,
		"/v1/webhook_endpoints/we_none":                                            404,
		"/v1/events?types[]=customer.created&created[gte]=1&delivery_success=true": 200,
		"/v1/events?type=invoice.*":                                                200,
		"/v1/subscriptions?status=bogus":                                           400,
		"/v1/subscriptions?limit=0":                                                400,
		"/v1/subscriptions?customer=cus_none":                                      400,
		"/v1/subscriptions?expand[]=data.items.data.price.product":                 400,
		"/v1/entitlements/active_entitlements":                                     400,
		"/v1/subscriptions/sub_none":                                               404,
		"/v1/customers/cus_none":                                                   404,
		"/v1/products/prod_none":                                                   404,
		"/v1/prices/price_none":                                                    404,
		"/v1/checkout/sessions/cs_test_none":                                       404,
		"/v1/events/evt_none":                                                      404,
		"/v1/events?starting_after=evt_none":                                       400,
		"/v1/events?types[]=a&type=b":                                              400,
	}
	for _, id := range w.ids(t, "/v1/subscriptions?status=all&limit=100") {
		all["/v1/subscriptions/"+id] = 200
		all["/v1/subscriptions/"+id+"?expand[]=items.data.price.product&expand[]=customer"] = 200
		all["/v1/checkout/sessions?subscription="+id] = 200
	}
	for _, id := range w.ids(t, "/v1/customers?limit=100") {
		all["/v1/customers/"+id] = 200
		all["/v1/subscriptions?customer="+id] = 200
		all["/v1/entitlements/active_entitlements?customer="+id] = 200
		all["/v1/entitlements/active_entitlements?expand[]=data.feature&customer="+id] = 200
	}
	for _, id := range w.ids(t, "/v1/webhook_endpoints?limit=100") {
		all["/v1/webhook_endpoints/"+id] = 200
	}
	for _, id := range w.ids(t, "/v1/checkout/sessions?limit=100") {
		all["/v1/checkout/sessions/"+id] = 200
		all["/v1/checkout/sessions/"+id+"?expand[]=customer&expand[]=subscription&expand[]=invoice"] = 200
	}
	for _, id := range w.ids(t, "/v1/events?limit=100") {
		all["/v1/events/"+id] = 200
	}
	product, price := w.plan(t)
	all["/v1/products/"+product], all["/v1/products/"+product+"?expand[]=default_price"] = 200, 200
	all["/v1/prices/"+price], all["/v1/prices/"+price+"?expand[]=product"] = 200, 200
	return all
}

// plan is the product and the price of the first subscription.
func (w *world) plan(t *testing.T) (product, price string) {
	t.Helper()
	_, body := w.get(t, "/v1/subscriptions", apiKey)
	var list struct {
		Data []struct {
			Items struct {
				Data []struct{ Price struct{ ID, Product string } }
			}
		}
	}
	text, err := json.Marshal(body)
	if err != nil || json.Unmarshal(text, &list) != nil || len(list.Data) == 0 || len(list.Data[0].Items.Data) == 0 {
		t.Fatalf("%v", body)
	}
	return list.Data[0].Items.Data[0].Price.Product, list.Data[0].Items.Data[0].Price.ID
}

// TestEveryAnswerIsAsDescribed holds all answers to Stripe's description: the
// bodies, and that each address and each parameter is one of Stripe's.
func TestEveryAnswerIsAsDescribed(t *testing.T) {
	w, d := newWorld(t), read(t)
	w.populate(t)
	w.deliveries(t)
	visited, kinds := map[string]bool{}, map[string]int{}
	for address, want := range w.addresses(t) {
		parsed, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		path, o := d.find(parsed)
		if o == nil {
			t.Errorf("%s: Stripe has no such address", address)
			continue
		}
		faults := checkQuery(o, parsed)
		if want == 400 {
			faults = nil // what is refused need not be Stripe's
		}
		status, body := w.get(t, address, apiKey)
		if status != want {
			t.Errorf("%s: %d %v", address, status, body)
		}
		for _, fault := range append(faults, d.checkAnswer(o, strconv.Itoa(status), body)...) {
			t.Errorf("%s: %s", address, fault)
		}
		if status == 200 {
			visited[path] = true
		}
		count(body, kinds)
	}
	status, body := w.get(t, "/v1/customers", "sk_test_wrong")
	if faults := d.check(body, d.Components.Schemas["error"], "error"); status != 401 || faults != nil {
		t.Errorf("%d %v", status, faults)
	}
	status, body = w.get(t, "/v1/nothing", apiKey)
	if faults := d.check(body, d.Components.Schemas["error"], "error"); status != 404 || faults != nil {
		t.Errorf("%d %v", status, faults)
	}
	for _, kind := range []string{"subscription", "subscription_item", "customer", "price", "product", "invoice", "line_item", "list",
		"checkout.session", "event", "entitlements.active_entitlement", "entitlements.feature"} {
		if kinds[kind] == 0 {
			t.Errorf("no answer has a %s", kind)
		}
	}
	everyRoute(t, visited)
}

// count counts the objects within a body by kind.
func count(body any, kinds map[string]int) {
	switch value := body.(type) {
	case map[string]any:
		if kind, ok := value["object"].(string); ok {
			kinds[kind]++
		}
		for _, inner := range value {
			count(inner, kinds)
		}
	case []any:
		for _, inner := range value {
			count(inner, kinds)
		}
	}
}

// everyRoute compares the routes in the source with those that answered.
func everyRoute(t *testing.T, visited map[string]bool) {
	t.Helper()
	source, err := os.ReadFile("../../internal/demostripe/api.go")
	if err != nil {
		t.Fatal(err)
	}
	routes := regexp.MustCompile(`\badd\("([^"]+)"`).FindAllSubmatch(source, -1)
	if len(routes) < 11 {
		t.Fatalf("the source has %d routes", len(routes))
	}
	bare := map[string]bool{}
	for path := range visited {
		bare[regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "{id}")] = true
	}
	for _, route := range routes {
		if !bare[string(route[1])] {
			t.Errorf("%s was not asked with success", route[1])
		}
	}
	if len(bare) != len(routes) {
		t.Errorf("asked %d routes of %d", len(bare), len(routes))
	}
}

// TestEveryEventIsAsDescribed holds what is sent to the description.
func TestEveryEventIsAsDescribed(t *testing.T) {
	w, d := newWorld(t), read(t)
	w.populate(t)
	seen := map[string]int{}
	for _, sent := range w.deliveries(t) {
		var event map[string]any
		if err := json.Unmarshal(sent.payload, &event); err != nil {
			t.Fatal(err)
		}
		kind := event["type"].(string)
		seen[kind]++
		for _, fault := range d.checkEvent(event) {
			t.Errorf("%s: %s", kind, fault)
		}
	}
	if !maps.Equal(seen, emitted) {
		t.Errorf("%v", seen)
	}
}

// TestEveryBreakIsSeen breaks every value of every kind of answer in turn, by
// another type and by a property that nobody knows, and takes away what is
// required: the checks above must fail on each.
func TestEveryBreakIsSeen(t *testing.T) {
	w, d := newWorld(t), read(t)
	w.populate(t)
	w.deliveries(t)
	breaks := 0
	for _, address := range []string{
		"/v1/subscriptions?limit=1&expand[]=data.customer&expand[]=data.latest_invoice",
		"/v1/subscriptions/" + w.ids(t, "/v1/subscriptions?status=past_due")[0] + "?expand[]=items.data.price.product",
		"/v1/subscriptions/" + w.ids(t, "/v1/subscriptions?status=canceled")[0],
		"/v1/customers?limit=1",
		"/v1/checkout/sessions?limit=1",
		"/v1/events?limit=1&types[]=customer.subscription.updated",
		"/v1/events?limit=1&type=invoice.paid",
		"/v1/entitlements/active_entitlements?customer=" + w.ids(t, "/v1/customers")[1],
		"/v1/subscriptions?status=bogus",
	} {
		parsed, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		_, o := d.find(parsed)
		status, body := w.get(t, address, apiKey)
		if faults := d.checkAnswer(o, strconv.Itoa(status), body); faults != nil {
			t.Fatalf("%s: %v", address, faults)
		}
		each(body, "answer", func(where string) {
			breaks++
			if d.checkAnswer(o, strconv.Itoa(status), body) == nil {
				t.Errorf("%s: nobody sees that %s is broken", address, where)
			}
		})
	}
	if breaks < 1000 {
		t.Errorf("broke %d values only", breaks)
	}
	for _, c := range []struct{ kind, name string }{
		{"subscription", "status"}, {"subscription", "customer"}, {"subscription", "items"}, {"subscription_item", "price"},
		{"subscription_item", "current_period_end"}, {"customer", "id"}, {"price", "metadata"}, {"product", "metadata"},
		{"event", "type"}, {"event", "livemode"}, {"checkout.session", "payment_status"}, {"invoice", "total"},
	} {
		if !slices.Contains(d.Components.Schemas[c.kind].Required, c.name) {
			t.Errorf("the description does not require %s of %s", c.name, c.kind)
		}
	}
}

// each breaks one value after another, calls seen, and mends it.
func each(value any, where string, seen func(where string)) {
	switch value := value.(type) {
	case map[string]any:
		value["an unknown property"] = []any{[]any{}}
		seen(where + " with a property of another version")
		delete(value, "an unknown property")
		for _, name := range slices.Sorted(maps.Keys(value)) {
			inner := where + "." + name
			was := value[name]
			value[name] = []any{[]any{}}
			if !strings.HasSuffix(inner, "previous_attributes") {
				seen(inner)
			}
			value[name] = was
			each(was, inner, seen)
		}
	case []any:
		for i, was := range value {
			value[i] = []any{[]any{}}
			seen(fmt.Sprintf("%s[%d]", where, i))
			value[i] = was
			each(was, where+"[]", seen)
		}
	}
}
