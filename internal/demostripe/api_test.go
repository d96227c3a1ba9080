package demostripe

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"stagedoor"
)

func TestOnlyTheKeyOpens(t *testing.T) {
	_, _, url := newServer(t, nil)
	_, _, closed := newServer(t, func(o *Options) { o.Key = stagedoor.Secret{} })
	for name, c := range map[string]struct {
		url    string
		prove  func(*http.Request)
		status int
	}{
		"bearer":          {url, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+testKey) }, 200},
		"basic":           {url, func(r *http.Request) { r.SetBasicAuth(testKey, "") }, 200},
		"nothing":         {url, func(*http.Request) {}, 401},
		"another key":     {url, func(r *http.Request) { r.Header.Set("Authorization", "Bearer sk_test_other") }, 401},
		"no scheme":       {url, func(r *http.Request) { r.Header.Set("Authorization", testKey) }, 401},
		"password":        {url, func(r *http.Request) { r.SetBasicAuth("", testKey) }, 401},
		"both":            {url, func(r *http.Request) { r.SetBasicAuth(testKey, testKey) }, 401},
		"empty, closed":   {closed, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401},
		"empty basic":     {closed, func(r *http.Request) { r.SetBasicAuth("", "") }, 401},
		"nothing, closed": {closed, func(*http.Request) {}, 401},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1/customers", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.prove(request)
		status, body := send(t, request)
		if status != c.status {
			t.Errorf("%s: %d %v", name, status, body)
		}
		if status == 401 && at(t, body, "error", "type") != "invalid_request_error" {
			t.Errorf("%s: %v", name, body)
		}
	}
}

func TestRefusals(t *testing.T) {
	s, _, url := newServer(t, nil)
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	sub := s.subscriptions[0].id
	many := ""
	for i := range 21 {
		many += fmt.Sprintf("&types[]=t%d", i)
	}
	for address, want := range map[string]struct {
		status      int
		code, param any
	}{
		"/v1/subscriptions/sub_none":                {404, "resource_missing", "id"},
		"/v1/subscriptions/" + s.customers[0].id:    {404, "resource_missing", "id"},
		"/v1/customers/cus_none":                    {404, "resource_missing", "id"},
		"/v1/products/prod_none":                    {404, "resource_missing", "id"},
		"/v1/prices/price_none":                     {404, "resource_missing", "id"},
		"/v1/events/evt_none":                       {404, "resource_missing", "id"},
		"/v1/checkout/sessions/cs_test_none":        {404, "resource_missing", "id"},
		"/v1/charges":                               {404, nil, nil},
		"/v1/customers/":                            {404, nil, nil},
		"/":                                         {404, nil, nil},
		"/v1/subscriptions?customer=cus_none":       {400, "resource_missing", "customer"},
		"/v1/subscriptions?customer=":               {400, "parameter_invalid_empty", "customer"},
		"/v1/subscriptions?customer[]=x":            {400, nil, "customer"},
		"/v1/subscriptions?status=bogus":            {400, nil, "status"},
		"/v1/subscriptions?bogus=1":                 {400, "parameter_unknown", "bogus"},
		"/v1/subscriptions?limit[=1":                {400, "parameter_unknown", "limit["},
		"/v1/subscriptions?limit=0":                 {400, "parameter_invalid_integer", "limit"},
		"/v1/subscriptions?limit=101":               {400, "parameter_invalid_integer", "limit"},
		"/v1/subscriptions?limit=ten":               {400, "parameter_invalid_integer", "limit"},
		"/v1/subscriptions?starting_after=sub_none": {400, "resource_missing", "starting_after"},
		"/v1/subscriptions?ending_before=sub_none":  {400, "resource_missing", "ending_before"},
		"/v1/subscriptions?starting_after=" + sub + "&ending_before=" + sub:      {400, "parameters_exclusive", "ending_before"},
		"/v1/subscriptions?created[gte]=yesterday":                               {400, "parameter_invalid_integer", "created"},
		"/v1/subscriptions?created[since]=1":                                     {400, "parameter_unknown", "created[since]"},
		"/v1/subscriptions?expand[]=customer":                                    {400, nil, "expand"},
		"/v1/subscriptions?expand[]=data.items.data.price.product":               {400, nil, "expand"},
		"/v1/subscriptions?expand[]=data.status":                                 {400, nil, "expand"},
		"/v1/subscriptions?expand[]=data.status.more":                            {400, nil, "expand"},
		"/v1/subscriptions?expand=data.customer":                                 {400, nil, "expand"},
		"/v1/subscriptions/" + sub + "?expand[]=items.data.price.product.object": {400, nil, "expand"},
		"/v1/subscriptions/" + sub + "?limit=1":                                  {400, "parameter_unknown", "limit"},
		"/v1/entitlements/active_entitlements":                                   {400, "parameter_missing", "customer"},
		"/v1/entitlements/active_entitlements?customer=cus_none":                 {400, "resource_missing", "customer"},
		"/v1/checkout/sessions?status=paid":                                      {400, nil, "status"},
		"/v1/events?type=x&types[]=y":                                            {400, "parameters_exclusive", "types"},
		"/v1/events?types[x]=y":                                                  {400, nil, "types"},
		"/v1/events?delivery_success=maybe":                                      {400, nil, "delivery_success"},
		"/v1/events?" + many[1:]:                                                 {400, nil, "types"},
	} {
		status, body := get(t, url+address)
		if status != want.status || at(t, body, "error", "code") != want.code || at(t, body, "error", "param") != want.param ||
			at(t, body, "error", "type") != "invalid_request_error" || at(t, body, "error", "message") == "" {
			t.Errorf("%s: %d %v", address, status, body)
		}
	}
}

func TestNothingIsWritten(t *testing.T) {
	s, _, url := newServer(t, nil)
	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodPatch} {
		request, err := http.NewRequestWithContext(t.Context(), method, url+"/v1/customers", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth(testKey, "")
		if status, _ := send(t, request); status != 404 || len(s.customers) != 0 {
			t.Errorf("%s: %d", method, status)
		}
	}
}

// ids are those of a list's objects.
func ids(t *testing.T, list map[string]any) []string {
	t.Helper()
	all := []string{}
	for i := range at(t, list, "data").([]any) {
		all = append(all, at(t, list, "data", i, "id").(string))
	}
	return all
}

func TestPagination(t *testing.T) {
	s, _, url := newServer(t, nil)
	var newest []string
	for i := range 23 {
		if err := s.Subscribe(fmt.Sprintf("user%d", i), ""); err != nil {
			t.Fatal(err)
		}
		newest = slices.Insert(newest, 0, s.customers[i].id)
	}
	page := func(query string) ([]string, bool) {
		status, list := get(t, url+"/v1/customers?"+query)
		if status != 200 || list["url"] != "/v1/customers" {
			t.Fatalf("%s: %d %v", query, status, list)
		}
		return ids(t, list), list["has_more"].(bool)
	}
	for query, want := range map[string]struct {
		ids  []string
		more bool
	}{
		"":                                    {newest[:10], true},
		"limit=22":                            {newest[:22], true},
		"limit=23":                            {newest, false},
		"limit=100":                           {newest, false},
		"starting_after=" + newest[9]:         {newest[10:20], true},
		"starting_after=" + newest[19]:        {newest[20:], false},
		"starting_after=" + newest[22]:        {nil, false},
		"ending_before=" + newest[22]:         {newest[12:22], true},
		"ending_before=" + newest[3]:          {newest[:3], false},
		"limit=1&ending_before=" + newest[22]: {newest[21:22], true},
		"ending_before=" + newest[0]:          {nil, false},
	} {
		if got, more := page(query); !slices.Equal(got, want.ids) || more != want.more {
			t.Errorf("%s: %d ids, more %v", query, len(got), more)
		}
	}
}

// TestCursorOutlivesItsFilter pages from a subscription that the filter no
// longer keeps, as somebody does whose page was canceled meanwhile.
func TestCursorOutlivesItsFilter(t *testing.T) {
	s, _, url := newServer(t, nil)
	for _, user := range []string{"ann", "bob", "cem"} {
		if err := s.Subscribe(user, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Cancel("bob"); err != nil {
		t.Fatal(err)
	}
	_, list := get(t, url+"/v1/subscriptions?starting_after="+s.subscriptions[1].id)
	if got := ids(t, list); len(got) != 1 || got[0] != s.subscriptions[0].id {
		t.Errorf("%v", got)
	}
}

func TestFilters(t *testing.T) {
	s, clock, url := newServer(t, nil)
	act := func(errs ...error) {
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	act(s.Subscribe("ann", ""))
	clock.set(start.Add(time.Minute))
	act(s.Subscribe("bob", ""), s.FailPayment("bob"), s.Subscribe("cem", ""), s.Cancel("cem"))
	ann, bob, cem := s.subscriptions[0].id, s.subscriptions[1].id, s.subscriptions[2].id
	second := start.Unix()
	for query, want := range map[string][]string{
		"":                                     {bob, ann},
		"status=all":                           {cem, bob, ann},
		"status=active":                        {ann},
		"status=past_due":                      {bob},
		"status=canceled":                      {cem},
		"status=ended":                         {cem},
		"status=trialing":                      {},
		"customer=" + s.customers[0].id:        {ann},
		"customer=" + s.customers[2].id:        {},
		"price=price_none":                     {},
		"price=" + s.product.price:             {bob, ann},
		fmt.Sprintf("created=%d", second):      {ann},
		fmt.Sprintf("created[gt]=%d", second):  {bob},
		fmt.Sprintf("created[gte]=%d", second): {bob, ann},
		fmt.Sprintf("created[lt]=%d", second):  {},
		fmt.Sprintf("created[lte]=%d", second): {ann},
		"status=all&customer=" + s.customers[2].id + "&expand[0]=data.customer": {cem},
	} {
		status, list := get(t, url+"/v1/subscriptions?"+query)
		if got := ids(t, list); status != 200 || !slices.Equal(got, want) {
			t.Errorf("%s: %v", query, got)
		}
	}
	for query, want := range map[string]int{
		"types[]=customer.created": 3, "types[0]=customer.created&types[1]=invoice.paid": 6, "type=customer.*": 8,
		"type=invoice.payment_failed": 1, "type=[": 0, "delivery_success=true": 0, "delivery_success=false": 15,
		fmt.Sprintf("created[lte]=%d", second): 4,
	} {
		status, list := get(t, url+"/v1/events?limit=100&"+query)
		if got := ids(t, list); status != 200 || len(got) != want {
			t.Errorf("%s: %d events", query, len(got))
		}
	}
	for user, want := range map[int]int{0: 1, 1: 1, 2: 0} {
		_, list := get(t, url+"/v1/entitlements/active_entitlements?customer="+s.customers[user].id)
		if got := ids(t, list); len(got) != want {
			t.Errorf("customer %d: %v", user, got)
		}
	}
}

func TestExpansions(t *testing.T) {
	s, _, url := newServer(t, nil)
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	sub, session := s.subscriptions[0].id, s.sessions[0].id
	for address, want := range map[string]struct {
		path []any
		kind string
	}{
		"/v1/subscriptions?expand[]=data.customer":                                                 {[]any{"data", 0, "customer"}, "customer"},
		"/v1/subscriptions?expand[0]=data.latest_invoice":                                          {[]any{"data", 0, "latest_invoice"}, "invoice"},
		"/v1/subscriptions/" + sub + "?expand[]=items.data.price.product":                          {[]any{"items", "data", 0, "price", "product"}, "product"},
		"/v1/subscriptions/" + sub + "?expand[]=latest_invoice.customer":                           {[]any{"latest_invoice", "customer"}, "customer"},
		"/v1/products/" + s.product.id + "?expand[]=default_price":                                 {[]any{"default_price"}, "price"},
		"/v1/prices/" + s.product.price + "?expand[]=product":                                      {[]any{"product"}, "product"},
		"/v1/checkout/sessions/" + session + "?expand[]=subscription":                              {[]any{"subscription"}, "subscription"},
		"/v1/entitlements/active_entitlements?expand[]=data.feature&customer=" + s.customers[0].id: {[]any{"data", 0, "feature"}, "entitlements.feature"},
	} {
		status, body := get(t, url+address)
		if status != 200 || at(t, body, append(want.path, "object")...) != want.kind {
			t.Errorf("%s: %d %v", address, status, body)
		}
	}
	_, product := get(t, url+"/v1/products/"+s.product.id)
	if at(t, product, "metadata", "features") != "publish" {
		t.Errorf("%v", product)
	}
	if _, plain := get(t, url+"/v1/subscriptions/"+sub); at(t, plain, "customer") != s.customers[0].id || at(t, plain, "items", "data", 0, "price", "product") != s.product.id {
		t.Error("expanded without being asked")
	}
}
