package store

import (
	"testing"
	"time"

	"stagedoor"
)

// queue returns everything in the queue by object, and when each is due.
func (f *fixture) queue() (map[string]stagedoor.Pending, map[string]time.Time) {
	f.t.Helper()
	all, due := map[string]stagedoor.Pending{}, map[string]time.Time{}
	f.must(f.reads.each(f.t.Context(), "SELECT object, generation, since, due, attempts, priority FROM dirty", nil, func(scan scan) error {
		var p stagedoor.Pending
		var since, at int64
		err := scan(&p.Object, &p.Generation, &since, &at, &p.Attempts, &p.Priority)
		p.Since = fromMillis(since)
		all[p.Object], due[p.Object] = p, fromMillis(at)
		return err
	}))
	return all, due
}

func TestSaveEventIsAllOrNothingAndOnce(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	event := stagedoor.BillingEvent{ID: "evt_1", Type: "checkout.session.completed", Created: f.clock(), Objects: []string{"cus_1", "", "sub_1"},
		Link: stagedoor.Link{Reference: "ann", Customer: "cus_1", Source: "checkout"}}
	first := f.clock()
	fresh, err := f.SaveEvent(ctx, event, first)
	if !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	pending, due := f.queue()
	if len(pending) != 2 || !pending["cus_1"].Since.Equal(first) || !due["cus_1"].Equal(first) || pending["cus_1"].Attempts != 0 {
		t.Errorf("queue %+v, due %v", pending, due)
	}
	f.must(f.Settle(ctx, pending["cus_1"], time.Time{}))
	event.Objects = append(event.Objects, "cus_2")
	event.Link.Reference = "bob"
	fresh, err = f.SaveEvent(ctx, event, f.pass(time.Second))
	if again, _ := f.queue(); fresh || err != nil || len(again) != 1 {
		t.Errorf("a duplicate changed something: %v %v %+v", fresh, err, again)
	}
	links, err := f.Links(ctx, []string{"ann", "bob"})
	f.must(err)
	equal(t, "links", links, []stagedoor.Link{{Reference: "ann", Customer: "cus_1", Source: "checkout"}})
	if _, err := f.SaveEvent(ctx, stagedoor.BillingEvent{}, first); err == nil {
		t.Error("an event without an ID was kept")
	}
	fresh, err = f.SaveEvent(ctx, stagedoor.BillingEvent{ID: "evt_2"}, first)
	if !fresh || err != nil {
		t.Errorf("an event about nothing: %v %v", fresh, err)
	}
}

func TestHintsAddUp(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	first := f.clock()
	f.must(f.MarkDirty(ctx, first, "cus_1"))
	one, _ := f.queue()
	f.must(f.Postpone(ctx, one["cus_1"], f.clock().Add(time.Minute)))
	second := f.pass(time.Second)
	f.must(f.MarkDirty(ctx, second, "cus_1"))
	two, due := f.queue()
	if got := two["cus_1"]; got.Generation <= one["cus_1"].Generation || !got.Since.Equal(first) || got.Attempts != 0 || !due["cus_1"].Equal(second) {
		t.Errorf("%+v, due %v", got, due)
	}
	f.must(f.Settle(ctx, two["cus_1"], second.Add(time.Minute)))
	third := f.pass(time.Second)
	f.must(f.MarkDirty(ctx, third, "cus_1"))
	if three, _ := f.queue(); !three["cus_1"].Since.Equal(third) {
		t.Errorf("after an answer a hint counts from when it came: %+v", three)
	}
	f.must(f.MarkDirty(ctx, third)) // nothing
}

func TestSettle(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	later := now.Add(time.Minute)
	for name, c := range map[string]struct {
		hint  bool // while the object is asked for
		again time.Time
		kept  bool
		since time.Time
		due   time.Time
	}{
		"answered":                          {false, time.Time{}, false, time.Time{}, time.Time{}},
		"to be asked once more":             {false, later, true, time.Time{}, later},
		"TestAHintWhileAskingIsNotLost":     {true, time.Time{}, true, now, now},
		"nor when it is to be asked anyway": {true, later, true, now, now},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ctx := t.Context()
			f.must(f.MarkDirty(ctx, now, "cus_1"))
			asked, _, err := f.PendingDue(ctx, now, 1)
			if err != nil || len(asked) != 1 {
				t.Fatal(asked, err)
			}
			if c.hint {
				f.must(f.MarkDirty(ctx, now.Add(time.Second), "cus_1"))
			}
			f.must(f.Settle(ctx, asked[0], c.again))
			all, due := f.queue()
			got, kept := all["cus_1"]
			if kept != c.kept || !got.Since.Equal(c.since) || !due["cus_1"].Equal(c.due) {
				t.Errorf("%+v, due %v", all, due)
			}
		})
	}
}

func TestALateWorkerDoesNotSettleAHintItHasNotSeen(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.MarkDirty(ctx, f.clock(), "cus_1"))
	seen, _ := f.queue()
	f.must(f.Settle(ctx, seen["cus_1"], time.Time{})) // gone from the queue …
	f.must(f.MarkDirty(ctx, f.clock(), "cus_1"))      // … and back
	f.must(f.Settle(ctx, seen["cus_1"], time.Time{}))
	if all, _ := f.queue(); len(all) != 1 {
		t.Error("a hint is lost")
	}
}

func TestPostpone(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	now := f.clock()
	f.must(f.MarkDirty(ctx, now, "cus_1"))
	p, _ := f.queue()
	f.must(f.Postpone(ctx, p["cus_1"], now.Add(time.Second)))
	f.must(f.Postpone(ctx, p["cus_1"], now.Add(2*time.Second)))
	all, due := f.queue()
	if all["cus_1"].Attempts != 2 || !due["cus_1"].Equal(now.Add(2*time.Second)) || !all["cus_1"].Since.Equal(now) {
		t.Errorf("%+v, due %v", all, due)
	}
	f.must(f.MarkDirty(ctx, now.Add(time.Second), "cus_1"))
	f.must(f.Postpone(ctx, p["cus_1"], now.Add(time.Hour)))
	all, due = f.queue()
	if !due["cus_1"].Equal(now.Add(time.Second)) || all["cus_1"].Attempts != 1 {
		t.Errorf("a hint that came while asking waits: %+v, due %v", all, due)
	}
}

func TestTouchDue(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	now := f.clock()
	f.must(f.TouchDue(ctx, now, stagedoor.PriorityRest, "new", "new2"))
	f.must(f.MarkDirty(ctx, now, "echoed", "failing", "due"))
	all, _ := f.queue()
	f.must(f.Settle(ctx, all["echoed"], now.Add(time.Minute)))
	f.must(f.Postpone(ctx, all["failing"], now.Add(time.Minute)))
	before, _ := f.queue()
	f.must(f.TouchDue(ctx, now.Add(time.Second), stagedoor.PriorityRest, "echoed", "failing", "due"))
	after, due := f.queue()
	equal(t, "hints and failures", after, before)
	for object, want := range map[string]time.Time{"new": now, "new2": now, "due": now, "echoed": now.Add(time.Second), "failing": now.Add(time.Minute)} {
		if !due[object].Equal(want) {
			t.Errorf("%s is due at %v, want %v", object, due[object], want)
		}
	}
	if !after["new"].Since.IsZero() {
		t.Error("a hint was made up")
	}
	count, oldest, err := f.PendingCount(ctx)
	if count != 2 || !oldest.Equal(now) || err != nil {
		t.Errorf("%d hints wait since %v, %v", count, oldest, err)
	}
}

func TestPendingDue(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	now := f.clock()
	due, next, err := f.PendingDue(ctx, now, 10)
	if len(due) != 0 || !next.IsZero() || err != nil {
		t.Errorf("of nothing: %v %v %v", due, next, err)
	}
	if count, oldest, err := f.PendingCount(ctx); count != 0 || !oldest.IsZero() || err != nil {
		t.Errorf("of nothing: %v %v %v", count, oldest, err)
	}
	for i, object := range []string{"c", "b", "a"} {
		f.must(f.MarkDirty(ctx, now.Add(time.Duration(i)*time.Second), object))
	}
	due, next, err = f.PendingDue(ctx, now.Add(time.Second), 10)
	if err != nil || len(due) != 2 || due[0].Object != "c" || due[1].Object != "b" || !next.Equal(now.Add(2*time.Second)) {
		t.Errorf("%+v %v %v", due, next, err)
	}
	due, next, err = f.PendingDue(ctx, now.Add(time.Hour), 2)
	if err != nil || len(due) != 2 || !next.IsZero() {
		t.Errorf("%+v %v %v", due, next, err)
	}
	// A part of a millisecond must not make a worker spin.
	_, next, err = f.PendingDue(ctx, now.Add(2*time.Second-time.Microsecond), 10)
	if err != nil || !next.After(now.Add(2*time.Second-time.Microsecond)) {
		t.Errorf("next %v %v", next, err)
	}
}
