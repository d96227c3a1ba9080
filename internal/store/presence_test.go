package store

import (
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func (f *fixture) session(room, sid string) stagedoor.Participant {
	return stagedoor.Participant{Room: stagedoor.Room(room), SID: sid, Identity: stagedoor.Identity("id-" + sid), JoinedAt: f.clock(), Standard: true}
}

// sids lists the sessions of participants.
func sids(all []stagedoor.Participant, err error) string {
	if err != nil {
		return err.Error()
	}
	var list []string
	for _, p := range all {
		list = append(list, p.SID)
	}
	return strings.Join(list, " ")
}

func TestPresenceInAnyOrder(t *testing.T) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		events string // a: arrive, l: leave
		want   string
	}{
		"came":                         {"a", "PA_1"},
		"told twice":                   {"aa", "PA_1"},
		"left":                         {"al", ""},
		"TestLeaveBeforeArrivalStands": {"la", ""},
		"arrival told again later":     {"ala", ""},
		"leave told again":             {"all", ""},
		"never heard of":               {"l", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			p := f.session("r", "PA_1")
			for _, e := range c.events {
				if e == 'a' {
					f.must(f.Arrive(ctx, p))
				} else {
					f.must(f.Leave(ctx, p, f.clock()))
				}
				f.pass(time.Second)
			}
			if got := sids(f.Present(ctx)); got != c.want {
				t.Errorf("present %q, want %q", got, c.want)
			}
		})
	}
}

func TestPresentIn(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	agent := f.session("a", "PA_1")
	agent.Standard = false
	agent.Grants = stagedoor.Grants{Publish: true}
	f.must(f.Arrive(ctx, agent))
	agent.Grants = stagedoor.Grants{} // not kept: LiveKit tells
	f.pass(time.Second)
	f.must(f.Arrive(ctx, f.session("b", "PA_2")))
	f.must(f.Arrive(ctx, f.session("a", "PA_3")))
	f.must(f.Leave(ctx, f.session("b", "PA_1"), time.Time{})) // the same SID in another room is another
	all, err := f.PresentIn(ctx, "a")
	f.must(err)
	equal(t, "present", all, []stagedoor.Participant{agent, f.session("a", "PA_3")})
	if got := sids(f.Present(ctx)); got != "PA_1 PA_3 PA_2" {
		t.Errorf("present %q", got)
	}
}

func TestPresentOfFollowsMints(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Arrive(ctx, f.session("r", "PA_1")))
	f.must(f.Arrive(ctx, f.session("r2", "PA_1")))
	f.must(f.Arrive(ctx, f.session("r", "PA_2")))
	f.must(f.Arrive(ctx, f.session("r", "PA_3")))
	f.must(f.Leave(ctx, f.session("r", "PA_3"), f.clock()))
	for _, identity := range []stagedoor.Identity{"id-PA_1", "id-PA_3"} {
		f.must(f.Minted(ctx, stagedoor.Mint{Room: "r", Identity: identity, Principal: ann}))
	}
	f.must(f.Minted(ctx, stagedoor.Mint{Room: "r", Identity: "id-PA_2", Principal: stagedoor.PrincipalKey{Issuer: "other", Subject: "ann"}}))
	all, err := f.PresentOf(ctx, ann)
	f.must(err)
	equal(t, "present", all, []stagedoor.Participant{f.session("r", "PA_1")})
}

func TestReconcileBelievesLiveKit(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	stays, gone, returned := f.session("r", "PA_stays"), f.session("r", "PA_gone"), f.session("r", "PA_returned")
	for _, p := range []stagedoor.Participant{stays, gone, returned, f.session("other", "PA_other")} {
		f.must(f.Arrive(ctx, p))
	}
	f.must(f.Leave(ctx, returned, f.clock())) // an event that was wrong
	clock := f.session("r", "PA_clock")       // came, by LiveKit's clock, after it will be asked
	clock.JoinedAt = f.clock().Add(time.Hour)
	f.must(f.Arrive(ctx, clock))
	f.pass(time.Second)
	asked := f.pass(time.Second)
	f.pass(time.Millisecond)
	late := f.session("r", "PA_late") // came while LiveKit was asked
	late.JoinedAt = asked.Add(-time.Hour)
	f.must(f.Arrive(ctx, late))
	fresh := f.session("r", "PA_fresh") // no event told of it
	f.must(f.Reconcile(ctx, "r", []stagedoor.Participant{stays, returned, fresh}, asked))
	if got := sids(f.PresentIn(ctx, "r")); got != "PA_late PA_returned PA_stays PA_fresh PA_clock" {
		t.Errorf("present %q", got)
	}
	if got := sids(f.PresentIn(ctx, "other")); got != "PA_other" {
		t.Errorf("another room has %q", got)
	}
	f.must(f.Arrive(ctx, gone)) // told late
	if got := sids(f.PresentIn(ctx, "r")); strings.Contains(got, "gone") {
		t.Errorf("present %q", got)
	}
}

func TestReconcileDoesNotUndoALaterLeave(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	p := f.session("r", "PA_1")
	f.must(f.Arrive(ctx, p))
	asked := f.pass(time.Second)
	f.pass(time.Millisecond)
	f.must(f.Leave(ctx, p, f.clock())) // while the answer was under way
	f.must(f.Reconcile(ctx, "r", []stagedoor.Participant{p}, asked))
	if got := sids(f.Present(ctx)); got != "" {
		t.Errorf("present %q", got)
	}
}

func TestReconcileWritesOnlyWhatDiffers(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	p := f.session("r", "PA_1")
	f.must(f.Reconcile(ctx, "r", []stagedoor.Participant{p}, f.pass(time.Second)))
	before := f.changes()
	f.must(f.Reconcile(ctx, "r", []stagedoor.Participant{p}, f.pass(time.Second)))
	if n := f.changes() - before; n != 0 {
		t.Errorf("%d writes for nothing new", n)
	}
	p.Standard = false
	f.must(f.Reconcile(ctx, "r", []stagedoor.Participant{p}, f.pass(time.Second)))
	all, err := f.PresentIn(ctx, "r")
	f.must(err)
	equal(t, "present", all, []stagedoor.Participant{p})
}
