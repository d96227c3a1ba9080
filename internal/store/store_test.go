package store

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// fixture is a store on a real file with a clock that tests move.
type fixture struct {
	*Store
	t    testing.TB
	path string

	mu  sync.Mutex
	now time.Time
}

var testIndex = Index{CustomerClaim: "stripe_customer_id", SubscriptionClaim: "app.subscriptionId", Prefixes: []string{"okta"}}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, path: filepath.Join(t.TempDir(), "stagedoor.db"), now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	f.Store = mustOpen(t, f.path)
	f.Store.Now = f.clock
	return f
}

func mustOpen(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, testIndex)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) pass(d time.Duration) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	return f.now
}

// count returns what a query of one number says.
func (f *fixture) count(query string, args ...any) int {
	f.t.Helper()
	var n int
	if _, err := f.reads.row(f.t.Context(), query, args, &n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestClaimedTakesOnlyWhatCouldBeStripes(t *testing.T) {
	for name, c := range map[string]struct {
		claims                 stagedoor.Claims
		customer, subscription string
	}{
		"both":               {stagedoor.Claims{"stripe_customer_id": "cus_1", "app": map[string]any{"subscriptionId": "sub_A_2"}}, "cus_1", "sub_A_2"},
		"a dotted key":       {stagedoor.Claims{"app.subscriptionId": "sub_1"}, "", "sub_1"},
		"none":               {nil, "", ""},
		"not text":           {stagedoor.Claims{"stripe_customer_id": 7.0}, "", ""},
		"of the other kind":  {stagedoor.Claims{"stripe_customer_id": "sub_1", "app.subscriptionId": "cus_1"}, "", ""},
		"nothing behind it":  {stagedoor.Claims{"stripe_customer_id": "cus_"}, "", ""},
		"a path":             {stagedoor.Claims{"stripe_customer_id": "cus_1/../x"}, "", ""},
		"another alphabet":   {stagedoor.Claims{"stripe_customer_id": "cus_é"}, "", ""},
		"as long as allowed": {stagedoor.Claims{"stripe_customer_id": "cus_" + strings.Repeat("x", 251)}, "cus_" + strings.Repeat("x", 251), ""},
		"too long":           {stagedoor.Claims{"stripe_customer_id": "cus_" + strings.Repeat("x", 252)}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			customer, subscription := testIndex.Claimed(c.claims)
			if customer != c.customer || subscription != c.subscription {
				t.Errorf("got %q %q", customer, subscription)
			}
		})
	}
	if customer, _ := (Index{}).Claimed(stagedoor.Claims{"": "cus_1"}); customer != "" {
		t.Errorf("an index without paths found %q", customer)
	}
}

func TestTimesComeBackAsTheyWere(t *testing.T) {
	for _, at := range []time.Time{{}, time.UnixMilli(1), time.Date(2026, 11, 24, 1, 2, 3, 4_000_000, time.UTC)} {
		if !fromMillis(millis(at)).Equal(at) || !fromNanos(nanos(at)).Equal(at) {
			t.Errorf("%v became %v and %v", at, fromMillis(millis(at)), fromNanos(nanos(at)))
		}
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	f := newFixture(t)
	f.must(f.Close())
	if _, err := f.Bans(t.Context()); err == nil {
		t.Error("a closed store was read")
	}
	if err := f.AddBan(t.Context(), stagedoor.Ban{ID: "b"}); err == nil {
		t.Error("a closed store was written")
	}
	if f.Ping(t.Context()) == nil {
		t.Error("a closed store is fine")
	}
}

func TestAnEndedContextWritesNothing(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.AddBan(ctx, stagedoor.Ban{ID: "b"}); err == nil || f.count("SELECT COUNT(*) FROM bans") != 0 {
		t.Errorf("err %v", err)
	}
	if _, _, err := f.Customer(ctx, "cus_1"); err == nil {
		t.Error("read for nobody")
	}
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	f := newFixture(t)
	b := stagedoor.Ban{ID: "b", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "s"}}
	f.must(f.AddBan(t.Context(), b))
	if f.AddBan(t.Context(), b) == nil {
		t.Fatal("an ID was taken twice")
	}
	version, err := f.BansVersion(t.Context())
	if err != nil || version != 1 {
		t.Errorf("version %d, %v", version, err)
	}
	b.ID = "one more"
	f.must(f.AddBan(t.Context(), b)) // the connection is not stuck in the transaction
	_, _, err = f.RemoveBan(t.Context(), b.ID)
	f.must(err)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_ = f.write(t.Context(), retold, "panic", func(t tx) error {
			if _, err := t.exec("DELETE FROM bans"); err != nil {
				return err
			}
			panic("in a transaction")
		})
	}()
	b.ID = "another"
	f.must(f.AddBan(t.Context(), b))
	if bans, err := f.Bans(t.Context()); err != nil || len(bans) != 2 {
		t.Errorf("after a panic: %v %v", bans, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	const rounds = 40
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range rounds {
				key := stagedoor.PrincipalKey{Issuer: "i", Subject: "s" + string(rune('a'+(g+i)%8))}
				p := stagedoor.Principal{Issuer: key.Issuer, Subject: key.Subject, Handle: key.Subject, Claims: stagedoor.Claims{"n": float64(i)}}
				check := func(err error) {
					if err != nil {
						t.Error(err)
					}
				}
				_, err := f.Remember(ctx, p)
				check(err)
				check(f.Minted(ctx, stagedoor.Mint{Room: "r", Identity: stagedoor.Identity(key.Subject), Principal: key}))
				check(f.Arrive(ctx, stagedoor.Participant{Room: "r", Identity: stagedoor.Identity(key.Subject), SID: "PA_" + key.Subject}))
				_, err = f.SaveEvent(ctx, stagedoor.BillingEvent{ID: "evt_" + string(rune('a'+i)), Objects: []string{"cus_1"}}, f.clock())
				check(err)
				_, err = f.SaveCustomer(ctx, stagedoor.Customer{ID: "cus_1", AskedAt: f.pass(time.Millisecond), Subscriptions: []stagedoor.Subscription{{ID: "sub_1"}}})
				check(err)
				_, err = f.PresentOf(ctx, key)
				check(err)
				due, _, err := f.PendingDue(ctx, f.clock(), 10)
				check(err)
				for _, each := range due {
					check(f.Settle(ctx, each, time.Time{}))
				}
				check(f.Ping(ctx))
			}
		})
	}
	group.Wait()
	if n := f.count("SELECT COUNT(*) FROM events"); n != rounds {
		t.Errorf("%d events, each once, want %d", n, rounds)
	}
}
