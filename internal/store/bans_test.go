package store

import (
	"testing"
	"time"

	"stagedoor"
)

func TestBans(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	other := mustOpen(t, f.path) // another process
	version := func(s *Store) int64 {
		t.Helper()
		v, err := s.BansVersion(ctx)
		f.must(err)
		return v
	}
	start := version(other)
	a := stagedoor.Ban{ID: "ban_a", Principal: ann, CreatedAt: f.clock()}
	b := stagedoor.Ban{ID: "ban_b", Principal: ann, Room: "r", Until: f.clock().Add(time.Hour), Reason: "noise", CreatedAt: f.pass(time.Second)}
	f.must(f.AddBan(ctx, a))
	if version(other) == start {
		t.Error("another process does not notice a ban")
	}
	f.must(f.AddBan(ctx, b))
	all, err := other.Bans(ctx)
	f.must(err)
	equal(t, "bans", all, []stagedoor.Ban{a, b})

	before := version(other)
	if got, ok, err := f.RemoveBan(ctx, "ban_x"); ok || err != nil || got != (stagedoor.Ban{}) || version(other) != before {
		t.Errorf("lifted a ban that is not there: %+v %v %v", got, ok, err)
	}
	got, ok, err := f.RemoveBan(ctx, "ban_b")
	if !ok || err != nil || version(other) == before {
		t.Errorf("%v %v, version %d", ok, err, version(other))
	}
	equal(t, "lifted", got, b)
	all, err = other.Bans(ctx)
	f.must(err)
	equal(t, "bans left", all, []stagedoor.Ban{a})
}
