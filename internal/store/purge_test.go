package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func TestPurge(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	start := f.clock()
	const keepMints = 26 * time.Hour
	for i := range chunk + 1 {
		_, err := f.SaveEvent(ctx, stagedoor.BillingEvent{ID: fmt.Sprintf("evt_%d", i)}, start)
		f.must(err)
	}
	f.must(f.AddBan(ctx, stagedoor.Ban{ID: "for_ever", Principal: ann}))
	f.must(f.AddBan(ctx, stagedoor.Ban{ID: "short", Principal: ann, Until: start.Add(day)}))
	f.must(f.Arrive(ctx, f.session("r", "PA_stays")))
	f.must(f.Leave(ctx, f.session("r", "PA_left"), start))
	for _, identity := range []string{"id-PA_stays", "id-PA_left", "alone"} {
		key := stagedoor.PrincipalKey{Issuer: "i", Subject: identity}
		_, err := f.Remember(ctx, person(key, "x", time.Time{}))
		f.must(err)
		f.must(f.Minted(ctx, stagedoor.Mint{Room: "r", Identity: stagedoor.Identity(identity), Principal: key}))
	}
	_, err := f.Remember(ctx, person(ann, "x", time.Time{})) // never minted
	f.must(err)

	list := func(query string) string {
		t.Helper()
		var all []string
		f.must(f.reads.each(ctx, query, nil, func(scan scan) error {
			var each string
			err := scan(&each)
			all = append(all, each)
			return err
		}))
		return strings.Join(all, " ")
	}
	for _, c := range []struct {
		after                           time.Duration
		events                          int
		bans, sessions, minted, persons string
	}{
		{0, chunk + 1, "for_ever short", "PA_left PA_stays", "alone id-PA_left id-PA_stays", "alone ann id-PA_left id-PA_stays"},
		{keepMints + time.Second, chunk + 1, "for_ever short", "PA_left PA_stays", "id-PA_left id-PA_stays", "alone ann id-PA_left id-PA_stays"},
		{keepPresence + time.Second, chunk + 1, "for_ever short", "PA_stays", "id-PA_stays", "alone ann id-PA_left id-PA_stays"},
		{keepEvents + time.Second, 0, "for_ever short", "PA_stays", "id-PA_stays", "alone ann id-PA_left id-PA_stays"},
		{keepBans + day + time.Second, 0, "for_ever", "PA_stays", "id-PA_stays", "alone ann id-PA_left id-PA_stays"},
		{keepPrincipals + time.Second, 0, "for_ever", "PA_stays", "id-PA_stays", "id-PA_stays"},
	} {
		before, err := f.BansVersion(ctx)
		f.must(err)
		bans := list("SELECT id FROM bans ORDER BY id")
		f.must(f.Purge(ctx, start.Add(c.after), keepMints))
		after, err := f.BansVersion(ctx)
		f.must(err)
		if n := f.count("SELECT COUNT(*) FROM events"); n != c.events {
			t.Errorf("after %v: %d events, want %d", c.after, n, c.events)
		}
		if got := list("SELECT id FROM bans ORDER BY id"); got != c.bans || (got != bans) != (after != before) {
			t.Errorf("after %v: bans %q, want %q; version %d to %d", c.after, got, c.bans, before, after)
		}
		for query, want := range map[string]string{
			"SELECT sid FROM presence ORDER BY sid": c.sessions, "SELECT identity FROM mints ORDER BY identity": c.minted, "SELECT subject FROM principals ORDER BY subject": c.persons,
		} {
			if got := list(query); got != want {
				t.Errorf("after %v: %s: %q, want %q", c.after, query, got, want)
			}
		}
	}
}
