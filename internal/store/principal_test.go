package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

var ann = stagedoor.PrincipalKey{Issuer: "https://idp", Subject: "ann"}

func person(key stagedoor.PrincipalKey, role string, issued time.Time) stagedoor.Principal {
	return stagedoor.Principal{Issuer: key.Issuer, Subject: key.Subject, Handle: key.Subject, Name: "A", Claims: stagedoor.Claims{"role": role}, IssuedAt: issued}
}

func TestRememberLetsTheNewestTokenCount(t *testing.T) {
	at := func(second int) time.Time {
		if second == 0 {
			return time.Time{}
		}
		return time.Unix(1_800_000_000+int64(second), 0)
	}
	type token struct {
		second int
		role   string
		want   string
	}
	for name, tokens := range map[string][]token{
		"a newer one replaces":                           {{100, "host", "host"}, {200, "guest", "guest"}},
		"TestAnOlderTokenDoesNotUndoANewerOne":           {{200, "guest", "guest"}, {100, "host", "guest"}},
		"one of the same second replaces":                {{100, "host", "host"}, {100, "guest", "guest"}},
		"one without a time replaces":                    {{100, "host", "host"}, {0, "guest", "guest"}},
		"and is replaced":                                {{0, "host", "host"}, {100, "guest", "guest"}},
		"neither has a time":                             {{0, "host", "host"}, {0, "guest", "guest"}},
		"TestANewerTokenThatSaysTheSameStillOutdates":    {{100, "guest", "guest"}, {200, "guest", "guest"}, {150, "host", "guest"}},
		"TestATokenWithoutATimeDoesNotOpenTheWayToOlder": {{200, "guest", "guest"}, {0, "viewer", "viewer"}, {150, "host", "viewer"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			for i, token := range tokens {
				got, err := f.Remember(t.Context(), person(ann, token.role, at(token.second)))
				f.must(err)
				if got.Claims["role"] != token.want || got.Key() != ann || got.Handle != "ann" {
					t.Errorf("token %d: counts as %v", i, got)
				}
				kept, ok, err := f.Principal(t.Context(), ann)
				if err != nil || !ok || kept.Claims["role"] != token.want {
					t.Errorf("token %d: kept %+v %v %v", i, kept, ok, err)
				}
			}
		})
	}
}

func TestRememberKeepsWhatItIsGiven(t *testing.T) {
	f := newFixture(t)
	p := stagedoor.Principal{Issuer: "i", Subject: "s", Handle: "h", IdentityPrefix: "okta", Name: "N\u00e9", IssuedAt: time.Unix(1_800_000_000, 0).UTC(),
		Claims: stagedoor.Claims{"a": []any{"x", 1.5, nil, true}, "b": map[string]any{"c": "d\x00"}}}
	got, err := f.Remember(t.Context(), p)
	f.must(err)
	equal(t, "returned", got, p)
	kept, ok, err := f.Principal(t.Context(), p.Key())
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	equal(t, "kept", kept, p)
	if _, ok, err := f.Principal(t.Context(), ann); ok || err != nil {
		t.Errorf("a stranger is known: %v %v", ok, err)
	}
	for _, nobody := range []stagedoor.Principal{{}, {Issuer: "i"}, {Subject: "s"}} {
		if _, err := f.Remember(t.Context(), nobody); err == nil {
			t.Errorf("%+v was remembered", nobody)
		}
		if err := f.Minted(t.Context(), stagedoor.Mint{Room: "r", Identity: "x", Principal: nobody.Key()}); err == nil {
			t.Errorf("%+v got a mint", nobody)
		}
	}
}

// changes counts the writes of the writing connection.
func (f *fixture) changes() int {
	f.t.Helper()
	var n int
	if err := f.writes.conn.QueryRowContext(context.Background(), "SELECT total_changes()").Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func TestRememberWritesOnlyWhatDiffers(t *testing.T) {
	f := newFixture(t)
	issued := time.Unix(1_800_000_000, 0)
	first := person(ann, "host", issued)
	_, err := f.Remember(t.Context(), first)
	f.must(err)
	for name, c := range map[string]struct {
		change func(*stagedoor.Principal)
		wait   time.Duration
		writes bool
	}{
		"nothing":                  {func(*stagedoor.Principal) {}, 0, false},
		"no time":                  {func(p *stagedoor.Principal) { p.IssuedAt = time.Time{} }, 0, false},
		"claims":                   {func(p *stagedoor.Principal) { p.Claims = stagedoor.Claims{"role": "x"} }, 0, true},
		"handle":                   {func(p *stagedoor.Principal) { p.Handle = "x" }, 0, true},
		"prefix":                   {func(p *stagedoor.Principal) { p.IdentityPrefix = "okta" }, 0, true},
		"name":                     {func(p *stagedoor.Principal) { p.Name = "B" }, 0, true},
		"a newer token":            {func(p *stagedoor.Principal) { p.IssuedAt = issued.Add(time.Second) }, 0, true},
		"an older one":             {func(p *stagedoor.Principal) { p.IssuedAt = issued.Add(-time.Hour) }, 0, false},
		"a day later":              {func(*stagedoor.Principal) {}, 25 * time.Hour, true},
		"an older one a day later": {func(p *stagedoor.Principal) { p.IssuedAt = issued.Add(-time.Hour) }, 25 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			_, err := f.Remember(t.Context(), first)
			f.must(err)
			p := first
			c.change(&p)
			f.pass(c.wait)
			before := f.changes()
			for range 3 {
				_, err = f.Remember(t.Context(), p)
				f.must(err)
			}
			if wrote := f.changes() - before; (wrote == 1) != c.writes || wrote > 1 {
				t.Errorf("%d writes", wrote)
			}
		})
	}
}

func TestTheIndexFollowsItsSettings(t *testing.T) {
	f := newFixture(t)
	p := person(ann, "host", time.Time{})
	p.Claims["cust"] = "cus_9"
	_, err := f.Remember(t.Context(), p)
	f.must(err)
	f.index.CustomerClaim = "cust" // as after a restart with another setting
	_, err = f.Remember(t.Context(), p)
	f.must(err)
	keys, err := f.PrincipalsOf(t.Context(), "cus_9")
	f.must(err)
	equal(t, "principals", keys, []stagedoor.PrincipalKey{ann})
}

func TestRacingTokensLeaveTheNewest(t *testing.T) {
	f := newFixture(t)
	done := make(chan error, 16)
	for i := range cap(done) {
		go func() {
			_, err := f.Remember(context.Background(), person(ann, "role"+string(rune('a'+i)), time.Unix(1_800_000_000+int64(i), 0)))
			done <- err
		}()
	}
	for range cap(done) {
		f.must(<-done)
	}
	kept, _, err := f.Principal(t.Context(), ann)
	if err != nil || kept.Claims["role"] != "rolep" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	// One that loses between reading and writing is told the winner's claims.
	given, err := f.rowOf(person(ann, "late", time.Unix(1_800_000_000, 0)))
	f.must(err)
	newest, err := f.keepPrincipal(t.Context(), ann, given)
	if err != nil || !strings.Contains(newest.claims, "rolep") {
		t.Errorf("newest %+v, %v", newest, err)
	}
}

func TestFindPrincipals(t *testing.T) {
	f := newFixture(t)
	for _, p := range []stagedoor.Principal{
		{Issuer: "a", Subject: "ann", Handle: "ann"},
		{Issuer: "b", Subject: "00u1", Handle: "ann", IdentityPrefix: "okta", Claims: stagedoor.Claims{"x": "y"}},
		{Issuer: "c", Subject: "bob", Handle: "bob", IdentityPrefix: "clerk"},
		{Issuer: "d", Subject: "z", Handle: "okta:ann"},
	} {
		_, err := f.Remember(t.Context(), p)
		f.must(err)
		f.pass(time.Second)
	}
	for user, want := range map[string]string{
		"ann": "b a", "okta:ann": "d b", "00u1": "b", "clerk:bob": "c", "bob": "c", "okta:bob": "", ":bob": "", "": "", "nobody": "",
	} {
		found, err := f.FindPrincipals(t.Context(), user, 10)
		f.must(err)
		var issuers []string
		for _, p := range found {
			issuers = append(issuers, p.Issuer)
		}
		if got := strings.Join(issuers, " "); got != want {
			t.Errorf("%q: found %q, want %q", user, got, want)
		}
	}
	found, err := f.FindPrincipals(t.Context(), "ann", 1)
	if err != nil || len(found) != 1 || found[0].Claims["x"] != "y" {
		t.Errorf("the last one seen: %+v, %v", found, err)
	}
}

func TestMints(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	bob := stagedoor.PrincipalKey{Issuer: "i", Subject: "bob"}
	mint := stagedoor.Mint{Room: "r", Identity: "ann", Principal: ann}
	start := f.clock()
	f.must(f.Minted(ctx, mint))
	before := f.changes()
	f.pass(59 * time.Minute)
	f.must(f.Minted(ctx, mint))
	if f.changes() != before {
		t.Error("written within the hour")
	}
	got, ok, err := f.Mint(ctx, "r", "ann")
	if err != nil || !ok || !got.At.Equal(start) || got.Principal != ann || got.Room != "r" || got.Identity != "ann" {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	later := f.pass(2 * time.Minute)
	f.must(f.Minted(ctx, mint))
	if got, _, _ := f.Mint(ctx, "r", "ann"); !got.At.Equal(later) {
		t.Errorf("after an hour %+v", got)
	}
	// TestIdentityOfAnotherIsNotTakenOver: not while a token may live, nor while somebody is there with it.
	mint.Principal = bob
	refused := func(when string) {
		t.Helper()
		if err := f.Minted(ctx, mint); stagedoor.KindOf(err) != stagedoor.IdentityNotAllowed {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused("at once")
	here := stagedoor.Participant{Room: "r", Identity: "ann", SID: "PA_1", JoinedAt: f.clock(), Standard: true}
	f.must(f.Arrive(ctx, here))
	f.pass(identityKept)
	refused("while present")
	f.must(f.Leave(ctx, here, f.clock()))
	f.must(f.Minted(ctx, mint))
	later = f.clock()
	if got, _, _ := f.Mint(ctx, "r", "ann"); got.Principal != bob {
		t.Errorf("when nothing of the other's is left: %+v", got)
	}
	for _, other := range []stagedoor.Mint{{Room: "r2", Identity: "ann"}, {Room: "r", Identity: "bob"}, {Room: "R", Identity: "ann"}} {
		if _, ok, err := f.Mint(ctx, other.Room, other.Identity); ok || err != nil {
			t.Errorf("%+v: %v %v", other, ok, err)
		}
	}
	f.must(f.Minted(ctx, stagedoor.Mint{Room: "r3", Identity: "bob", Principal: bob, At: later.Add(time.Minute)}))
	f.must(f.Minted(ctx, stagedoor.Mint{Room: "r4", Identity: "bob", Principal: bob, At: later.Add(-time.Minute)}))
	for limit, want := range map[int]string{10: "r3 r", 1: "r3"} {
		mints, err := f.MintsOf(ctx, bob, later, limit)
		f.must(err)
		var rooms []string
		for _, m := range mints {
			rooms = append(rooms, string(m.Room))
		}
		if got := strings.Join(rooms, " "); got != want {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
}

// Of two tokens the newest counts, in everything that it says.
func TestOlderTokenChangesNothingOfThePrincipal(t *testing.T) {
	f := newFixture(t)
	newer := stagedoor.Principal{Issuer: "i", Subject: "ann", Handle: "member", Name: "Ann", Claims: stagedoor.Claims{"role": "member"}, ClaimNames: []string{"role"}, IssuedAt: f.clock()}
	_, err := f.Remember(t.Context(), newer)
	f.must(err)
	older := stagedoor.Principal{Issuer: "i", Subject: "ann", Handle: "boss", Name: "Boss", IdentityPrefix: "x", Claims: stagedoor.Claims{"role": "boss"}, ClaimNames: []string{"role", "level"}, IssuedAt: f.clock().Add(-time.Minute)}
	got, err := f.Remember(t.Context(), older)
	f.must(err)
	equal(t, "remembered", got, newer)
	kept, _, err := f.Principal(t.Context(), newer.Key())
	f.must(err)
	equal(t, "kept", kept, newer)
	newer.ClaimNames, newer.IssuedAt = nil, f.pass(time.Minute)
	_, err = f.Remember(t.Context(), newer)
	f.must(err)
	kept, _, err = f.Principal(t.Context(), newer.Key())
	f.must(err)
	equal(t, "all claims", kept, newer)
}
