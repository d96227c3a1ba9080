package billing

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v86"

	"stagedoor"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func usual() Rules { return Rules{Statuses: []string{"active", "trialing"}} }

func catalogOf(entries ...string) map[string]stagedoor.CatalogItem {
	catalog := map[string]stagedoor.CatalogItem{}
	for _, entry := range entries {
		id, value, _ := strings.Cut(entry, "=")
		catalog[id] = named(id, map[string]string{"features": value}, stagedoor.CatalogItem{})
	}
	return catalog
}

func sub(status string, change func(*stagedoor.Subscription), items ...stagedoor.SubscriptionItem) stagedoor.Subscription {
	if items == nil {
		items = []stagedoor.SubscriptionItem{{Price: "price_1", Product: "prod_1", PeriodStart: noon.Add(-24 * time.Hour), PeriodEnd: noon.Add(24 * time.Hour)}}
	}
	s := stagedoor.Subscription{ID: "sub_1", Status: status, Items: items}
	if change != nil {
		change(&s)
	}
	return s
}

func item(price, product string) stagedoor.SubscriptionItem {
	return stagedoor.SubscriptionItem{Price: price, Product: product}
}

func texts(features []stagedoor.Feature) string {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = string(f)
	}
	return strings.Join(names, " ")
}

func TestFeatures(t *testing.T) {
	plain := catalogOf("price_1=", "prod_1=publish")
	for name, c := range map[string]struct {
		rules        Rules
		subs         []stagedoor.Subscription
		catalog      map[string]stagedoor.CatalogItem
		entitlements []stagedoor.Feature
		want         string
		until        time.Time
		unknown      bool
	}{
		"nothing":                             {catalog: plain},
		"active":                              {subs: []stagedoor.Subscription{sub("active", nil)}, catalog: plain, want: "publish"},
		"trialing":                            {subs: []stagedoor.Subscription{sub("trialing", nil)}, catalog: plain, want: "publish"},
		"incomplete":                          {subs: []stagedoor.Subscription{sub("incomplete", nil)}, catalog: plain},
		"incomplete_expired":                  {subs: []stagedoor.Subscription{sub("incomplete_expired", nil)}, catalog: plain},
		"unpaid":                              {subs: []stagedoor.Subscription{sub("unpaid", nil)}, catalog: plain},
		"canceled":                            {subs: []stagedoor.Subscription{sub("canceled", nil)}, catalog: plain},
		"the status paused":                   {subs: []stagedoor.Subscription{sub("paused", nil)}, catalog: plain},
		"a status of the future":              {subs: []stagedoor.Subscription{sub("reactivating", nil)}, catalog: plain},
		"collection paused, which is another": {subs: []stagedoor.Subscription{sub("active", func(s *stagedoor.Subscription) { s.Paused = true })}, catalog: plain, want: "publish"},
		"no rules count nothing":              {rules: Rules{Statuses: []string{}}, subs: []stagedoor.Subscription{sub("active", nil)}, catalog: plain},
		"past_due without grace":              {subs: []stagedoor.Subscription{sub("past_due", func(s *stagedoor.Subscription) { s.PastDueSince = noon })}, catalog: plain},
		"past_due within grace": {rules: Rules{Statuses: usual().Statuses, Grace: time.Hour}, catalog: plain, want: "publish", until: noon.Add(30 * time.Minute),
			subs: []stagedoor.Subscription{sub("past_due", func(s *stagedoor.Subscription) { s.PastDueSince = noon.Add(-30 * time.Minute) })}},
		"grace is over to the moment": {rules: Rules{Statuses: usual().Statuses, Grace: time.Hour}, catalog: plain,
			subs: []stagedoor.Subscription{sub("past_due", func(s *stagedoor.Subscription) { s.PastDueSince = noon.Add(-time.Hour) })}},
		"past_due since nobody knows when":              {rules: Rules{Statuses: usual().Statuses, Grace: time.Hour}, catalog: plain, subs: []stagedoor.Subscription{sub("past_due", nil)}},
		"past_due as a status that counts":              {rules: Rules{Statuses: []string{"past_due"}}, catalog: plain, want: "publish", subs: []stagedoor.Subscription{sub("past_due", nil)}},
		"TestKnownEndClosesWithoutAskingStripe":         {subs: []stagedoor.Subscription{sub("active", func(s *stagedoor.Subscription) { s.CancelAt = noon })}, catalog: plain},
		"an end to come":                                {subs: []stagedoor.Subscription{sub("active", func(s *stagedoor.Subscription) { s.CancelAt = noon.Add(time.Second) })}, catalog: plain, want: "publish", until: noon.Add(time.Second)},
		"ended, whatever the status says":               {subs: []stagedoor.Subscription{sub("active", func(s *stagedoor.Subscription) { s.EndedAt = noon.Add(-time.Second) })}, catalog: plain},
		"the period's end of one that renews is no end": {subs: []stagedoor.Subscription{sub("active", nil, stagedoor.SubscriptionItem{Price: "price_1", Product: "prod_1", PeriodEnd: noon.Add(-time.Hour)})}, catalog: plain, want: "publish"},
		"the period's end of one that does not": {subs: []stagedoor.Subscription{sub("active", func(s *stagedoor.Subscription) { s.CancelAtPeriodEnd = true },
			stagedoor.SubscriptionItem{Price: "price_1", Product: "prod_1", PeriodEnd: noon.Add(-time.Hour)})}, catalog: plain},
		"of mixed periods the last counts": {subs: []stagedoor.Subscription{sub("active", func(s *stagedoor.Subscription) { s.CancelAtPeriodEnd = true },
			stagedoor.SubscriptionItem{Price: "price_1", Product: "prod_1", PeriodEnd: noon.Add(-time.Hour)}, stagedoor.SubscriptionItem{Price: "price_1", PeriodEnd: noon.Add(time.Hour)})},
			catalog: plain, want: "publish", until: noon.Add(time.Hour)},
		"grace does not outlast a known end": {rules: Rules{Statuses: usual().Statuses, Grace: time.Hour}, catalog: plain, want: "publish", until: noon.Add(time.Minute),
			subs: []stagedoor.Subscription{sub("past_due", func(s *stagedoor.Subscription) { s.PastDueSince, s.CancelAt = noon, noon.Add(time.Minute) })}},
		"the union over items": {subs: []stagedoor.Subscription{sub("active", nil, item("price_1", "prod_1"), item("price_2", "prod_2"))},
			catalog: catalogOf("price_1=", "prod_1=screen", "price_2=record", "prod_2=publish,screen"), want: "publish record screen"},
		"the union over subscriptions, never the first": {subs: []stagedoor.Subscription{sub("canceled", nil), sub("active", nil, item("price_2", "prod_2"))},
			catalog: catalogOf("price_1=", "prod_1=gone", "price_2=", "prod_2=publish"), want: "publish"},
		"legacy plan metadata as a list":                 {subs: []stagedoor.Subscription{sub("active", nil, item("gold", ""))}, catalog: catalogOf(`gold=["publish"]`), want: "publish"},
		"legacy plan metadata with commas":               {subs: []stagedoor.Subscription{sub("active", nil, item("gold", ""))}, catalog: catalogOf("gold= publish, screen ,,"), want: "publish screen"},
		"a list that is broken names nothing":            {subs: []stagedoor.Subscription{sub("active", nil, item("gold", ""))}, catalog: catalogOf(`gold=["publish"`)},
		"a list of other things":                         {subs: []stagedoor.Subscription{sub("active", nil, item("gold", ""))}, catalog: catalogOf(`gold=["publish", 1]`)},
		"TestUnknownProductGrantsNothing":                {subs: []stagedoor.Subscription{sub("active", nil)}, catalog: catalogOf("price_1="), unknown: true},
		"entitlements beside a subscription that counts": {subs: []stagedoor.Subscription{sub("active", nil)}, catalog: plain, entitlements: []stagedoor.Feature{"record", "publish"}, want: "publish record"},
		"TestEntitlementsOfPausedSubscriptionDoNotCount": {subs: []stagedoor.Subscription{sub("paused", nil)}, catalog: plain, entitlements: []stagedoor.Feature{"publish"}},
		"entitlements without any subscription":          {catalog: plain, entitlements: []stagedoor.Feature{"publish"}},
	} {
		t.Run(name, func(t *testing.T) {
			rules := c.rules
			if rules.Statuses == nil {
				rules = usual()
			}
			got := rules.Features(noon, c.subs, c.catalog, c.entitlements)
			if texts(got.Features) != c.want || !got.Until.Equal(c.until) || got.Unknown != c.unknown {
				t.Errorf("%q until %v unknown %v, want %q %v %v", texts(got.Features), got.Until, got.Unknown, c.want, c.until, c.unknown)
			}
		})
	}
}

// Over random facts: what counts only ever adds, order does not matter, and
// nothing changes before the moment that is named.
func TestFeaturesProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	statuses := []string{"active", "trialing", "past_due", "incomplete", "incomplete_expired", "unpaid", "paused", "canceled", ""}
	catalog := catalogOf("price_0=a", "price_1=", "price_2=b,c", "prod_0=publish", "prod_1=", `prod_2=["d"]`)
	one := func() stagedoor.Subscription {
		s := stagedoor.Subscription{ID: fmt.Sprint("sub_", random.Int()), Status: statuses[random.IntN(len(statuses))], CancelAtPeriodEnd: random.IntN(3) == 0, Paused: random.IntN(4) == 0}
		moment := func() time.Time { return noon.Add(time.Duration(random.IntN(240)-120) * time.Minute) }
		if random.IntN(4) == 0 {
			s.CancelAt = moment()
		}
		if random.IntN(6) == 0 {
			s.EndedAt = moment()
		}
		if s.Status == "past_due" {
			s.PastDueSince = moment()
		}
		for range random.IntN(3) + 1 {
			s.Items = append(s.Items, stagedoor.SubscriptionItem{Price: fmt.Sprint("price_", random.IntN(4)), Product: fmt.Sprint("prod_", random.IntN(4)), PeriodEnd: moment()})
		}
		return s
	}
	counted := 0
	for range 20_000 {
		rules := Rules{Statuses: []string{"active", "trialing"}, Grace: time.Duration(random.IntN(3)) * time.Hour}
		var subs []stagedoor.Subscription
		for range random.IntN(4) {
			subs = append(subs, one())
		}
		entitlements := []stagedoor.Feature{"publish", "e"}[:random.IntN(3)]
		got := rules.Features(noon, subs, catalog, entitlements)
		if got.Counts {
			counted++
		}
		// Order does not matter, and neither does asking twice.
		mixed := slices.Clone(subs)
		random.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if again := rules.Features(noon, mixed, catalog, entitlements); texts(again.Features) != texts(got.Features) || !again.Until.Equal(got.Until) {
			t.Fatalf("order matters: %+v", subs)
		}
		// It is exactly the union of each subscription alone, and only of what counts.
		var union []stagedoor.Feature
		for i := range subs {
			alone := rules.Features(noon, subs[i:i+1], catalog, entitlements)
			union = append(union, alone.Features...)
			if !alone.Counts && len(alone.Features) > 0 {
				t.Fatalf("what does not count grants %v: %+v", alone.Features, subs[i])
			}
			if !slices.Contains([]string{"active", "trialing", "past_due"}, subs[i].Status) && alone.Counts {
				t.Fatalf("status %s counts", subs[i].Status)
			}
		}
		slices.Sort(union)
		if texts(slices.Compact(union)) != texts(got.Features) {
			t.Fatalf("union %v, got %v of %+v", union, got.Features, subs)
		}
		// Between now and Until nothing changes; without facts changing, time only ever takes away.
		later := noon.Add(4 * time.Hour)
		if !got.Until.IsZero() {
			later = got.Until.Add(-time.Nanosecond)
			after := rules.Features(got.Until, subs, catalog, entitlements)
			for _, f := range after.Features {
				if !slices.Contains(got.Features, f) {
					t.Fatalf("time alone granted %s: %+v", f, subs)
				}
			}
		}
		if same := rules.Features(later, subs, catalog, entitlements); texts(same.Features) != texts(got.Features) {
			t.Fatalf("changed before %v without notice: %+v", got.Until, subs)
		}
	}
	if counted < 2_000 {
		t.Fatalf("only %d of the random cases counted", counted)
	}
}

func FuzzParseFeatures(f *testing.F) {
	for _, seed := range []string{"", "publish", "publish,screen", `["publish"]`, `["a",1]`, "[", ",,", " a , b ", `["a","a"]`, "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		features, ok := ParseFeatures(value)
		if !ok && len(features) > 0 || len(features) > maxFeatures {
			t.Errorf("%q: %v %v", value, features, ok)
		}
		for _, feature := range features {
			if strings.TrimSpace(string(feature)) != string(feature) || feature == "" {
				t.Errorf("%q names %q", value, feature)
			}
		}
	})
}

// Grace begins once: when the change was first seen, or, where the door was
// not there to see it, at the period's start.
func TestGraceBeginsOnce(t *testing.T) {
	start := noon.Add(-48 * time.Hour)
	late := stagedoor.Subscription{ID: "sub_1", Status: "past_due", Items: []stagedoor.SubscriptionItem{{PeriodStart: start.Add(-time.Hour)}, {PeriodStart: start}}}
	before := func(status string, since time.Time) stagedoor.Customer {
		return stagedoor.Customer{Subscriptions: []stagedoor.Subscription{{ID: "sub_0", Status: "past_due"}, {ID: "sub_1", Status: status, PastDueSince: since}}}
	}
	for name, c := range map[string]struct {
		known stagedoor.Customer
		want  time.Time
	}{
		"never seen":           {stagedoor.Customer{}, start},
		"seen to change":       {before("active", time.Time{}), noon},
		"past due ever since":  {before("past_due", noon.Add(-time.Hour)), noon.Add(-time.Hour)},
		"another subscription": {stagedoor.Customer{Subscriptions: []stagedoor.Subscription{{ID: "sub_0", Status: "active"}}}, start},
	} {
		if got := pastDueSince(late, c.known, noon); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	late.Status = "active"
	if !pastDueSince(late, before("past_due", noon), noon).IsZero() {
		t.Error("who has paid is past due no more")
	}
}

func TestOnlyCompletedSessionsLink(t *testing.T) {
	session := func(change func(*stripe.CheckoutSession)) *stripe.CheckoutSession {
		s := &stripe.CheckoutSession{ID: "cs_1", Status: stripe.CheckoutSessionStatusComplete, ClientReferenceID: "ann", Customer: &stripe.Customer{ID: "cus_1"}}
		if change != nil {
			change(s)
		}
		return s
	}
	if link, customer := linkOf(session(nil)); link != (stagedoor.Link{Reference: "ann", Customer: "cus_1", Source: "checkout"}) || customer != "cus_1" {
		t.Errorf("%+v %s", link, customer)
	}
	for name, change := range map[string]func(*stripe.CheckoutSession){
		"TestOpenSessionIsNoLink": func(s *stripe.CheckoutSession) { s.Status = stripe.CheckoutSessionStatusOpen },
		"expired":                 func(s *stripe.CheckoutSession) { s.Status = stripe.CheckoutSessionStatusExpired },
		"no customer":             func(s *stripe.CheckoutSession) { s.Customer = nil },
		"no reference":            func(s *stripe.CheckoutSession) { s.ClientReferenceID = "" },
		"an endless reference":    func(s *stripe.CheckoutSession) { s.ClientReferenceID = strings.Repeat("a", 600) },
	} {
		if link, _ := linkOf(session(change)); link.Reference != "" {
			t.Errorf("%s: %+v", name, link)
		}
	}
}
