package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"stagedoor"
)

func subscriptionsOf(ids ...string) []stagedoor.Subscription {
	var all []stagedoor.Subscription
	for _, id := range ids {
		all = append(all, stagedoor.Subscription{ID: id, Status: "active"})
	}
	return all
}

func (f *fixture) save(c stagedoor.Customer, want bool) {
	f.t.Helper()
	if written, err := f.SaveCustomer(f.t.Context(), c); err != nil || written != want {
		f.t.Fatalf("written %v, want %v; %v", written, want, err)
	}
}

func TestCustomerComesBackWhole(t *testing.T) {
	f := newFixture(t)
	at := f.clock().Add(123456789)
	want := stagedoor.Customer{ID: "cus_1", Reference: "ann", Entitlements: []stagedoor.Feature{"x"}, EntitlementsAt: at, AskedAt: at,
		Subscriptions: []stagedoor.Subscription{{ID: "sub_1", Status: "past_due", Items: []stagedoor.SubscriptionItem{{Price: "price_1", Product: "prod_1", PeriodStart: at, PeriodEnd: at}},
			EndedAt: at, CancelAt: at, CancelAtPeriodEnd: true, Paused: true, PastDueSince: at}}}
	f.save(want, true)
	got, ok, err := f.Customer(t.Context(), "cus_1")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	equal(t, "customer", got, want)
	if got, ok, err := f.Customer(t.Context(), "cus_2"); ok || err != nil || got.ID != "" {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	if _, err := f.SaveCustomer(t.Context(), stagedoor.Customer{}); err == nil {
		t.Error("a customer without an ID was kept")
	}
}

func TestOlderAnswerDoesNotReplaceANewerOne(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	at := f.clock()
	f.save(stagedoor.Customer{ID: "cus_1", Generation: 7, AskedAt: at, Reference: "ann", Subscriptions: subscriptionsOf("sub_new")}, true)
	for _, stale := range []int64{6, 0} {
		// Its clock may say that it was asked for later.
		f.save(stagedoor.Customer{ID: "cus_1", Generation: stale, AskedAt: at.Add(time.Hour), Reference: "bob",
			Subscriptions: subscriptionsOf("sub_old")}, false)
	}
	got, _, err := f.Customer(ctx, "cus_1")
	f.must(err)
	owner, err := f.CustomerOf(ctx, "sub_old")
	f.must(err)
	links, err := f.Links(ctx, []string{"bob"})
	f.must(err)
	if got.Reference != "ann" || owner != "" || len(links) != 0 {
		t.Errorf("a stale answer left %+v %q %v", got, owner, links)
	}
	f.save(stagedoor.Customer{ID: "cus_1", Generation: 8, AskedAt: at.Add(-time.Hour), Missing: true}, true)
	if got, _, err := f.Customer(ctx, "cus_1"); err != nil || !got.Missing || got.Reference != "" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestSubscriptionsFollowTheCustomer(t *testing.T) {
	f := newFixture(t)
	at := f.clock()
	owners := func(want map[string]string) {
		t.Helper()
		for id, customer := range want {
			if got, err := f.CustomerOf(t.Context(), id); err != nil || got != customer {
				t.Errorf("%s is %q's, want %q; %v", id, got, customer, err)
			}
		}
	}
	f.save(stagedoor.Customer{ID: "cus_1", Generation: 1, AskedAt: at, Subscriptions: subscriptionsOf("sub_1", "sub_2", "")}, true)
	owners(map[string]string{"sub_1": "cus_1", "sub_2": "cus_1", "sub_3": "", "": ""})
	f.save(stagedoor.Customer{ID: "cus_1", Generation: 2, AskedAt: at.Add(1), Subscriptions: subscriptionsOf("sub_2", "sub_3")}, true)
	owners(map[string]string{"sub_1": "", "sub_2": "cus_1", "sub_3": "cus_1"})
	f.save(stagedoor.Customer{ID: "cus_2", AskedAt: at, Subscriptions: subscriptionsOf("sub_3")}, true)
	owners(map[string]string{"sub_2": "cus_1", "sub_3": "cus_2"})
}

func TestMetadataLinkIsReplacedAndOthersAreKept(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	at := f.clock()
	checkout := stagedoor.Link{Reference: "ann", Customer: "cus_1", Source: "checkout"}
	if added, err := f.AddLink(ctx, checkout); !added || err != nil {
		t.Fatal(added, err)
	}
	if added, err := f.AddLink(ctx, checkout); added || err != nil {
		t.Errorf("added twice: %v %v", added, err)
	}
	for _, void := range []stagedoor.Link{{}, {Reference: "x"}, {Customer: "x"}} {
		if added, err := f.AddLink(ctx, void); added || err != nil {
			t.Errorf("%+v: %v %v", void, added, err)
		}
	}
	for i, reference := range []string{"ann", "ann", "bob", ""} {
		f.save(stagedoor.Customer{ID: "cus_1", Generation: int64(i + 1), AskedAt: at, Reference: reference}, true)
		want := []stagedoor.Link{checkout}
		switch reference {
		case "ann":
			want = []stagedoor.Link{{Reference: "ann", Customer: "cus_1", Source: "metadata"}, checkout}
		case "bob":
			want = []stagedoor.Link{{Reference: "bob", Customer: "cus_1", Source: "metadata"}, checkout}
		}
		got, err := f.Links(ctx, []string{"ann", "bob"})
		f.must(err)
		equal(t, fmt.Sprintf("links after %q", reference), got, want)
	}
	if got, err := f.Links(ctx, nil); len(got) != 0 || err != nil {
		t.Errorf("nobody's links: %v %v", got, err)
	}
	if got, err := f.Links(ctx, []string{"", "ann", "x"}); len(got) != 1 || err != nil {
		t.Errorf("%v %v", got, err)
	}
}

func TestStrangersLinksDoNotCrowdOutOnesOwn(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	own := stagedoor.Link{Reference: "ann", Customer: "cus_zz", Source: "checkout"}
	_, err := f.AddLink(ctx, own)
	f.must(err)
	f.pass(time.Second)
	for i := range 2 * maxLinks {
		_, err := f.AddLink(ctx, stagedoor.Link{Reference: "ann", Customer: fmt.Sprintf("cus_%03d", i), Source: "checkout"})
		f.must(err)
	}
	f.save(stagedoor.Customer{ID: "cus_z", Reference: "b64_YW5u", AskedAt: f.clock()}, true)
	links, err := f.Links(ctx, []string{"b64_YW5u", "ann"})
	f.must(err)
	if len(links) != maxLinks || links[0].Customer != "cus_z" || links[1] != own {
		t.Errorf("%d links, first %+v", len(links), links[:2])
	}
}

func TestPrincipalsOf(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	claiming := func(subject, prefix string, claims stagedoor.Claims) stagedoor.PrincipalKey {
		t.Helper()
		p := stagedoor.Principal{Issuer: "i" + prefix, Subject: subject, Handle: subject, IdentityPrefix: prefix, Claims: claims}
		_, err := f.Remember(ctx, p)
		f.must(err)
		return p.Key()
	}
	team := stagedoor.Claims{"stripe_customer_id": "cus_team"}
	a, b := claiming("a", "", team), claiming("b", "", team)
	c := claiming("c", "", stagedoor.Claims{"app": map[string]any{"subscriptionId": "sub_team"}})
	pipe := claiming("auth0|123", "", nil)
	okta := claiming("x", "okta", nil)
	confused := claiming("okta_x", "", nil) // could pass for the one above
	claiming("stranger", "", nil)
	expect := func(customer string, want ...stagedoor.PrincipalKey) {
		t.Helper()
		got, err := f.PrincipalsOf(ctx, customer)
		f.must(err)
		equal(t, customer, got, want)
	}
	expect("cus_team", a, b)
	expect("sub_team", c) // stands in for its customer until that is known
	f.save(stagedoor.Customer{ID: "cus_team", AskedAt: f.clock(), Subscriptions: subscriptionsOf("sub_team")}, true)
	expect("cus_team", a, b, c)
	for reference, customer := range map[string]string{
		"b64_YXV0aDB8MTIz": "cus_pipe", "okta_x": "cus_okta", "b64_b2t0YV94": "cus_confused", "okta_b64_eA": "cus_okta64", "a": "cus_team",
	} {
		_, err := f.AddLink(ctx, stagedoor.Link{Reference: reference, Customer: customer, Source: "checkout"})
		f.must(err)
	}
	expect("cus_pipe", pipe)
	expect("cus_okta", okta)
	expect("cus_okta64", okta)
	expect("cus_confused", confused)
	expect("cus_team", a, b, c) // a twice over
	expect("cus_nobody")
	expect("")
	claiming("a", "", stagedoor.Claims{"stripe_customer_id": "cus_own"}) // a newer token names another
	expect("cus_own", a)
	claiming("b", "", nil)
	expect("cus_team", a, c)
}

func TestDirtySinceCountsWhateverLeadsToTheCustomer(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	at := f.clock()
	f.save(stagedoor.Customer{ID: "cus_1", AskedAt: at, Subscriptions: subscriptionsOf("sub_1", "sub_2")}, true)
	since := func(want time.Time) {
		t.Helper()
		got, _, err := f.Customer(ctx, "cus_1")
		f.must(err)
		var each stagedoor.Customer
		f.must(f.EachCustomer(ctx, func(c stagedoor.Customer) error { each = c; return nil }))
		if !got.DirtySince.Equal(want) || !each.DirtySince.Equal(want) {
			t.Errorf("dirty since %v and %v, want %v", got.DirtySince, each.DirtySince, want)
		}
	}
	since(time.Time{})
	f.must(f.TouchDue(ctx, at, stagedoor.PriorityRest, "cus_1", "sub_1"))
	since(time.Time{})
	f.must(f.MarkDirty(ctx, at.Add(3*time.Second), "sub_2"))
	since(at.Add(3 * time.Second))
	f.must(f.MarkDirty(ctx, at.Add(2*time.Second), "cus_1"))
	since(at.Add(2 * time.Second))
	f.must(f.MarkDirty(ctx, at.Add(time.Second), "sub_1"))
	since(at.Add(time.Second))
	all, _ := f.queue()
	for _, p := range all {
		f.must(f.Settle(ctx, p, at.Add(time.Minute)))
	}
	since(time.Time{})
}

func TestEachCustomerSeesAllAndMayWrite(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	const n = 2*page + 1
	for i := range n {
		f.save(stagedoor.Customer{ID: fmt.Sprintf("cus_%05d", i), AskedAt: f.clock()}, true)
	}
	if count, err := f.CustomerCount(ctx); count != n || err != nil {
		t.Errorf("%d customers, %v", count, err)
	}
	seen := 0
	f.must(f.EachCustomer(ctx, func(c stagedoor.Customer) error {
		if want := fmt.Sprintf("cus_%05d", seen); c.ID != want {
			t.Fatalf("got %s, want %s", c.ID, want)
		}
		seen++
		if seen%page == 0 {
			return f.MarkDirty(ctx, f.clock(), c.ID)
		}
		return nil
	}))
	if seen != n {
		t.Errorf("saw %d of %d", seen, n)
	}
	enough := errors.New("enough")
	if err := f.EachCustomer(ctx, func(stagedoor.Customer) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("it ended with %v", err)
	}
}

func TestCatalog(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	at := f.clock().Add(1)
	plan := stagedoor.CatalogItem{ID: "gold", Malformed: true, Generation: 2, AskedAt: at}
	price := stagedoor.CatalogItem{ID: "price_1", Features: []stagedoor.Feature{"publish", "screen"}, Generation: 2, AskedAt: at}
	for _, item := range []stagedoor.CatalogItem{price, plan} {
		if written, err := f.SaveCatalogItem(ctx, item); !written || err != nil {
			t.Fatal(written, err)
		}
	}
	stale := stagedoor.CatalogItem{ID: "price_1", Generation: 1, AskedAt: at.Add(time.Hour)}
	if written, err := f.SaveCatalogItem(ctx, stale); written || err != nil {
		t.Errorf("a stale item was written: %v", err)
	}
	f.must(f.MarkDirty(ctx, f.clock(), "price/gold", "prod_other"))
	plan.DirtySince = f.clock()
	items, err := f.Catalog(ctx)
	f.must(err)
	equal(t, "catalog", items, []stagedoor.CatalogItem{plan, price})
	if _, err := f.SaveCatalogItem(ctx, stagedoor.CatalogItem{}); err == nil {
		t.Error("an item without an ID was kept")
	}
}

func TestProgress(t *testing.T) {
	f := newFixture(t)
	got, err := f.Progress(t.Context())
	f.must(err)
	equal(t, "at first", got, stagedoor.BillingProgress{})
	want := stagedoor.BillingProgress{ChainStart: f.clock().Add(1), ConfirmedAt: f.clock().Add(2)}
	f.must(f.SaveProgress(t.Context(), want))
	got, err = f.Progress(t.Context())
	f.must(err)
	equal(t, "progress", got, want)
}
