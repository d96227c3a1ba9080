package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// keepMints is as the program has it.
const keepMints = 50 * time.Hour

// anySize has every file written anew.
const anySize = 1 << 40

// settle fills every table with something of a person whose every text holds
// the mark, and gives their key.
func (f *fixture) settle(mark string) stagedoor.PrincipalKey {
	f.t.Helper()
	ctx := f.t.Context()
	key := stagedoor.PrincipalKey{Issuer: "i", Subject: mark}
	p := stagedoor.Principal{Issuer: "i", Subject: mark, Handle: mark, Name: "Name " + mark,
		Claims: stagedoor.Claims{"stripe_customer_id": "cus_" + mark, "team": "team " + mark}}
	_, err := f.Remember(ctx, p)
	f.must(err)
	here := f.session("r", "PA_"+mark)
	here.Identity = stagedoor.Identity(mark)
	copied := here
	copied.SID, copied.Identity = "PA_copy"+mark, here.Identity+"#wh"
	f.must(f.Minted(ctx, stagedoor.Mint{Room: "r", Identity: here.Identity, Principal: key, Seats: 1000, SeatFor: time.Hour}))
	f.must(f.Minted(ctx, stagedoor.Mint{Room: "capped", Identity: here.Identity, Principal: key, Seats: 1000, SeatFor: time.Hour}))
	f.must(f.Arrive(ctx, here))
	f.must(f.Arrive(ctx, copied))
	f.must(f.Leave(ctx, here, f.clock()))
	// A version before this one kept copies that had left.
	f.exec("UPDATE presence SET left_at = $2 WHERE sid = $1", copied.SID, millis(f.clock()))
	v, _, err := f.AddInvitation(ctx, stagedoor.Invitation{Room: "r", By: key, Name: "guest of " + mark, Uses: 3, Expires: f.clock().Add(day)})
	f.must(err)
	guest := stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer, Subject: nameOfGuest(mark)}
	f.must(f.Admit(ctx, v.ID, guest))
	f.must(f.Minted(ctx, stagedoor.Mint{Room: "r", Identity: stagedoor.Identity("guest:" + guest.Subject), Principal: guest}))
	for _, c := range []stagedoor.Customer{
		{ID: "cus_" + mark, Reference: mark, Subscriptions: []stagedoor.Subscription{{ID: "sub_" + mark}}, AskedAt: f.clock()},
	} {
		_, err = f.SaveCustomer(ctx, c)
		f.must(err)
	}
	_, err = f.AddLink(ctx, stagedoor.Link{Reference: mark, Customer: "cus_checkout" + mark, Source: "checkout"})
	f.must(err)
	f.must(f.MarkDirty(ctx, f.clock(), "cus_"+mark, "sub_"+mark))
	f.must(f.AddBan(ctx, stagedoor.Ban{ID: "ended" + mark, Principal: key, Until: f.clock().Add(time.Minute)}))
	f.must(f.AddBan(ctx, stagedoor.Ban{ID: "set by " + fmt.Sprint(rand.Uint64()), Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "rude"}, Reason: stagedoor.RemovedBy(key)}))
	return key
}

// nameOfGuest names a guest, who is a person of their own.
func nameOfGuest(mark string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(mark))) }

// everything is every row of every table that holds a text.
func (f *fixture) everything() string {
	f.t.Helper()
	var tables []string
	f.must(f.reads.each(f.t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table'", nil, func(scan scan) error {
		var name string
		err := scan(&name)
		tables = append(tables, name)
		return err
	}))
	var all strings.Builder
	for _, table := range tables {
		rows, err := f.reads.db.QueryContext(f.t.Context(), "SELECT * FROM "+table)
		f.must(err)
		columns, err := rows.Columns()
		f.must(err)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			f.must(rows.Scan(values...))
			for _, v := range values {
				_, _ = fmt.Fprintf(&all, "%s|%v\n", table, *(v.(*any)))
			}
		}
		f.must(rows.Close())
	}
	return all.String()
}

func (f *fixture) forget(e stagedoor.Erasure) stagedoor.Erased {
	f.t.Helper()
	erased, _, err := f.Forget(f.t.Context(), e, keepMints, anySize)
	f.must(err)
	return erased
}

func TestForgetLeavesNothing(t *testing.T) {
	f := newFixture(t)
	key := f.settle("qqannqq")
	f.settle("qqbobqq")
	before := f.everything()
	if n := strings.Count(before, "qqannqq"); n < 20 {
		t.Fatalf("%d traces prove little", n)
	}
	f.pass(keepMints + time.Hour)
	want := stagedoor.Erased{Issuer: "i", Subject: "qqannqq", DryRun: true, Principals: 1, Mints: 2, Presence: 2, Seats: 1, Sessions: 1,
		Invitations: 1, Guests: 1, Links: 2, Customers: 1, Bans: 1, Reasons: 1}
	if got := f.forget(stagedoor.Erasure{Principal: key, DryRun: true}); got != want {
		t.Errorf("%+v", got)
	}
	if f.everything() != before {
		t.Error("TestDryRunDeletesNothing: it did")
	}
	want.DryRun, want.Rewritten = false, true
	erased, guests, err := f.Forget(t.Context(), stagedoor.Erasure{Principal: key}, keepMints, anySize)
	if err != nil || erased != want || len(guests) != 1 || guests[0].Subject != nameOfGuest("qqannqq") {
		t.Errorf("%+v %v %v", erased, guests, err)
	}
	for _, line := range strings.Split(f.everything(), "\n") {
		if strings.Contains(line, "qqannqq") {
			t.Error("left: " + line)
		}
	}
	if left := strings.Count(f.everything(), "qqbobqq"); left != strings.Count(before, "qqbobqq") {
		t.Errorf("TestForgetTouchesNobodyElse: %d traces of somebody else are left", left)
	}
	if again := f.forget(stagedoor.Erasure{Principal: key}); again != (stagedoor.Erased{Issuer: "i", Subject: "qqannqq", Rewritten: true}) {
		t.Errorf("there was more: %+v", again)
	}
}

// Without the mark of a token that still works, whoever comes with it would
// be nobody's, and no ban and no end of a plan would reach them.
func TestForgettingIsNoWayAroundABan(t *testing.T) {
	f := newFixture(t)
	key := f.settle("ann")
	f.must(f.AddBan(t.Context(), stagedoor.Ban{ID: "for good", Principal: key}))
	f.pass(time.Hour)
	e := f.forget(stagedoor.Erasure{Principal: key})
	if e.Mints != 0 || e.MintsKept != 2 || !e.MintsUntil.Equal(f.clock().Add(keepMints-time.Hour)) || e.BansKept != 1 || e.Bans != 1 {
		t.Errorf("%+v", e)
	}
	if _, ours, err := f.Mint(t.Context(), "r", "ann"); err != nil || !ours {
		t.Error("who comes with the old token is not the door's any more")
	}
	before, err := f.BansVersion(t.Context())
	f.must(err)
	if e = f.forget(stagedoor.Erasure{Principal: key, Bans: true}); e.Bans != 1 || e.BansKept != 0 {
		t.Errorf("%+v", e)
	}
	if after, err := f.BansVersion(t.Context()); err != nil || after == before {
		t.Error("a door that runs goes on keeping them out")
	}
	f.pass(keepMints)
	f.must(f.Purge(t.Context(), f.clock(), keepMints))
	if f.count("SELECT COUNT(*) FROM mints WHERE subject = 'ann'") != 0 {
		t.Error("the mark stays for good")
	}
}

func TestNobodyIsForgottenInACall(t *testing.T) {
	f := newFixture(t)
	key := f.settle("ann")
	here := f.session("r", "PA_2")
	here.Identity = "ann"
	f.must(f.Arrive(t.Context(), here))
	before := f.everything()
	if _, _, err := f.Forget(t.Context(), stagedoor.Erasure{Principal: key}, keepMints, anySize); stagedoor.KindOf(err) != stagedoor.InvalidRequest {
		t.Errorf("%v", err)
	}
	if f.everything() != before {
		t.Error("something was deleted all the same")
	}
	f.must(f.Leave(t.Context(), here, f.clock()))
	if e := f.forget(stagedoor.Erasure{Principal: key}); e.Presence != 3 {
		t.Errorf("%+v", e)
	}
}

func TestLargeFileIsNotRewrittenWhileADoorRuns(t *testing.T) {
	f := newFixture(t)
	e, _, err := f.Forget(t.Context(), stagedoor.Erasure{Principal: f.settle("ann")}, keepMints, 4096)
	if err != nil || e.Principals != 1 || e.Rewritten {
		t.Errorf("%+v %v", e, err)
	}
}

// Customers that a token names are found without any link.
func TestForgetFollowsClaims(t *testing.T) {
	f := newFixture(t)
	_, err := f.Remember(t.Context(), stagedoor.Principal{Issuer: "i", Subject: "ann", Handle: "ann",
		Claims: stagedoor.Claims{"stripe_customer_id": "cus_1", "app": map[string]any{"subscriptionId": "sub_2"}}})
	f.must(err)
	f.save(stagedoor.Customer{ID: "cus_1", AskedAt: f.clock()}, true)
	f.save(stagedoor.Customer{ID: "cus_2", AskedAt: f.clock(), Subscriptions: []stagedoor.Subscription{{ID: "sub_2"}}}, true)
	f.save(stagedoor.Customer{ID: "cus_3", AskedAt: f.clock(), Subscriptions: []stagedoor.Subscription{{ID: "sub_3"}}}, true)
	if e := f.forget(stagedoor.Erasure{Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}}); e.Customers != 2 {
		t.Errorf("%+v", e)
	}
	if f.count("SELECT COUNT(*) FROM customers") != 1 || f.count("SELECT COUNT(*) FROM subscriptions") != 1 {
		t.Error("not those customers, or more")
	}
}

func TestForgetKeepsASharedCustomer(t *testing.T) {
	f := newFixture(t)
	key := f.settle("qqannqq")
	_, err := f.Remember(t.Context(), stagedoor.Principal{Issuer: "i", Subject: "bob", Handle: "bob", Claims: stagedoor.Claims{"stripe_customer_id": "cus_qqannqq"}})
	f.must(err)
	if e := f.forget(stagedoor.Erasure{Principal: key}); e.Customers != 0 || e.CustomersKept != 1 {
		t.Errorf("%+v", e)
	}
	c, known, err := f.Customer(t.Context(), "cus_qqannqq")
	if err != nil || !known || c.Reference != "" || len(c.Subscriptions) != 1 {
		t.Errorf("%+v %v %v", c, known, err)
	}
	if data, err := json.Marshal(c); err != nil || strings.Contains(string(data), `"reference"`) {
		t.Errorf("%s", data)
	}
}

// A guest who is kept out closes their invitation: so they must stay its guest.
func TestForgetOpensNoInvitation(t *testing.T) {
	f := newFixture(t)
	f.settle("ann")
	guest := stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer, Subject: nameOfGuest("ann")}
	f.must(f.AddBan(t.Context(), stagedoor.Ban{ID: "b", Principal: guest}))
	invitation := func() (id string) {
		all, err := f.InvitationsBy(t.Context(), stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"})
		f.must(err)
		if left := all[0].Uses - all[0].Used; left != 2 {
			t.Errorf("%d uses are left", left)
		}
		return all[0].ID
	}
	if e := f.forget(stagedoor.Erasure{Principal: guest}); e.Admissions != 0 || e.BansKept != 1 {
		t.Errorf("%+v", e)
	}
	if err := f.Admit(t.Context(), invitation(), stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer, Subject: "next"}); stagedoor.KindOf(err) != stagedoor.Banned {
		t.Errorf("%v", err)
	}
	if e := f.forget(stagedoor.Erasure{Principal: guest, Bans: true}); e.Admissions != 1 {
		t.Errorf("%+v", e)
	}
	invitation()
}

// What is forgotten, and what is purged, is in none of the database's files.
func TestForgottenBytesAreGone(t *testing.T) {
	f := newFixture(t)
	const people = 16
	keys := make([]stagedoor.PrincipalKey, people)
	for i := range keys {
		keys[i] = f.settle(fmt.Sprintf("mark-%d-%d-%s", i, rand.Uint64(), strings.Repeat("x", rand.IntN(120))))
	}
	f.pass(keepMints + time.Hour)
	rand.Shuffle(people, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for i, key := range keys[:people/2] {
		f.forget(stagedoor.Erasure{Principal: key})
		if i%5 == 0 { // pages are written anew meanwhile
			f.settle(fmt.Sprint("other-", i))
			f.pass(keepMints + time.Hour)
		}
	}
	files, err := filepath.Glob(f.path + "*")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	found := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		f.must(err)
		for _, key := range keys[:people/2] {
			if n := bytes.Count(data, []byte(key.Subject)); n > 0 {
				t.Errorf("%s has %d traces of %.10s…", filepath.Base(name), n, key.Subject)
			}
		}
		for _, key := range keys[people/2:] {
			found += bytes.Count(data, []byte(key.Subject))
		}
	}
	if found < people {
		t.Errorf("%d traces of those who stay: this looks in the wrong place", found)
	}
}
