package store

import (
	"testing"
	"time"
)

func TestKeySets_OneForEachIssuerAndSource(t *testing.T) {
	f := newFixture(t)
	ctx, at := t.Context(), f.clock()
	f.must(f.SaveKeys(ctx, "https://a", "one", []byte("old"), at.Add(time.Hour))) // by a clock that was fast
	f.must(f.SaveKeys(ctx, "https://a", "one", []byte("new"), at))
	f.must(f.SaveKeys(ctx, "https://b", "one", []byte("other"), at))
	for _, c := range []struct{ issuer, source, want string }{
		{"https://a", "one", "new"}, {"https://b", "one", "other"}, {"https://a", "two", ""}, {"https://c", "one", ""},
	} {
		body, fetched, err := f.LoadKeys(ctx, c.issuer, c.source)
		f.must(err)
		if string(body) != c.want || (body == nil) != (c.want == "") || body != nil && !fetched.Equal(at) {
			t.Errorf("%s of %s: %q %v", c.issuer, c.source, body, fetched)
		}
	}
	f.must(f.SaveKeys(ctx, "https://a", "two", []byte("moved"), at))
	if body, _, err := f.LoadKeys(ctx, "https://a", "one"); err != nil || body != nil {
		t.Errorf("the set of the address before is still there: %q %v", body, err)
	}
	f.must(f.Purge(ctx, at.Add(keepKeySets), time.Hour))
	if n := f.count("SELECT COUNT(*) FROM key_sets"); n != 2 {
		t.Errorf("%d sets after a day, want 2", n)
	}
	f.must(f.Purge(ctx, at.Add(keepKeySets+time.Second), time.Hour))
	if n := f.count("SELECT COUNT(*) FROM key_sets"); n != 0 {
		t.Errorf("%d sets when none counts any more", n)
	}
}
