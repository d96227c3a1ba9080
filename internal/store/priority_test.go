package store

import (
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// inCall puts a principal into a room.
func (f *fixture) inCall(p stagedoor.Principal, identity stagedoor.Identity) {
	f.t.Helper()
	_, err := f.Remember(f.t.Context(), p)
	f.must(err)
	f.must(f.Minted(f.t.Context(), stagedoor.Mint{Room: "stage", Identity: identity, Principal: p.Key()}))
	f.must(f.Arrive(f.t.Context(), stagedoor.Participant{
		Room: "stage", Identity: identity, SID: "PA_" + string(identity), JoinedAt: f.clock(), Standard: true,
	}))
}

// order returns what is due, the first to be asked for first.
func (f *fixture) order() string {
	f.t.Helper()
	due, _, err := f.PendingDue(f.t.Context(), f.clock(), 100)
	f.must(err)
	var objects []string
	for _, p := range due {
		objects = append(objects, p.Object)
	}
	return strings.Join(objects, " ")
}

func TestHint_IsUrgentWhenItsCustomerIsInACall(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	for _, id := range []string{"claim", "sub", "checkout", "metadata", "host", "away", "nobody"} {
		subscriptions := []stagedoor.Subscription{{ID: "sub_" + id}}
		_, err := f.SaveCustomer(ctx, stagedoor.Customer{ID: "cus_" + id, Subscriptions: subscriptions})
		f.must(err)
	}
	_, err := f.SaveCustomer(ctx, stagedoor.Customer{ID: "cus_metadata", Reference: "meta", Generation: 1})
	f.must(err)
	caller := func(subject string, claims stagedoor.Claims) stagedoor.Principal {
		return stagedoor.Principal{Issuer: "i", Subject: subject, Handle: subject, Claims: claims}
	}
	f.inCall(caller("a", stagedoor.Claims{"stripe_customer_id": "cus_claim"}), "a")
	f.inCall(caller("b", stagedoor.Claims{"app": map[string]any{"subscriptionId": "sub_sub"}}), "b")
	f.inCall(caller("c", stagedoor.Claims{"app": map[string]any{"subscriptionId": "sub_unseen"}}), "c")
	f.inCall(caller("paid", nil), "paid")
	f.inCall(caller("meta", nil), "meta")
	f.inCall(caller("left", stagedoor.Claims{"stripe_customer_id": "cus_away"}), "left")
	f.must(f.Leave(ctx, stagedoor.Participant{Room: "stage", Identity: "left", SID: "PA_left"}, f.clock()))
	_, err = f.SaveCatalogItem(ctx, stagedoor.CatalogItem{ID: "prod_used", AskedAt: f.clock()})
	f.must(err)

	// The event itself says who paid.
	_, err = f.SaveEvent(ctx, stagedoor.BillingEvent{ID: "evt_1", Objects: []string{"cus_checkout"},
		Link: stagedoor.Link{Reference: "paid", Customer: "cus_checkout", Source: "checkout"}}, f.clock())
	f.must(err)
	f.must(f.MarkDirty(ctx, f.clock(), "cus_claim", "cus_sub", "sub_sub", "sub_unseen", "cus_metadata", "cus_away",
		"sub_nobody", "cus_unseen", "cs_1", "prod_used", "prod_other", "price/gold"))

	all, _ := f.queue()
	for object, want := range map[string]stagedoor.Priority{
		"cus_checkout": stagedoor.PriorityInCall, "cus_claim": stagedoor.PriorityInCall, "cus_sub": stagedoor.PriorityInCall,
		"sub_sub": stagedoor.PriorityInCall, "sub_unseen": stagedoor.PriorityInCall, "cus_metadata": stagedoor.PriorityInCall,
		"prod_used": stagedoor.PriorityInCall, "cus_away": stagedoor.PriorityHint, "sub_nobody": stagedoor.PriorityHint,
		"cus_unseen": stagedoor.PriorityNew, "cs_1": stagedoor.PriorityNew, "prod_other": stagedoor.PriorityHint,
		"price/gold": stagedoor.PriorityHint,
	} {
		if got := all[object].Priority; got != want {
			t.Errorf("%s has priority %d, want %d", object, got, want)
		}
	}
}

func TestHint_IsUrgentWhenAGuestOfItsCustomerIsInACall(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	invitation, _ := f.invites(1)
	_, err := f.AddLink(ctx, stagedoor.Link{Reference: "host", Customer: "cus_host", Source: "checkout"})
	f.must(err)
	key := guestOf(invitation, "g")
	f.must(f.Admit(ctx, invitation.ID, key))
	guest := stagedoor.Principal{Issuer: key.Issuer, Subject: key.Subject, Handle: key.Subject, Invitation: invitation.ID}
	f.inCall(guest, "guest")

	f.must(f.MarkDirty(ctx, f.clock(), "cus_host"))

	if all, _ := f.queue(); all["cus_host"].Priority != stagedoor.PriorityInCall {
		t.Errorf("priority %d", all["cus_host"].Priority)
	}
}

func TestQueue_GivesTheMostUrgentFirstAndKeepsPlaces(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	for _, id := range []string{"cus_1", "cus_2", "cus_3"} {
		subscriptions := []stagedoor.Subscription{{ID: "sub" + id[3:]}}
		_, err := f.SaveCustomer(ctx, stagedoor.Customer{ID: id, Subscriptions: subscriptions})
		f.must(err)
	}
	f.must(f.TouchDue(ctx, f.clock(), stagedoor.PriorityRest, "cus_old"))
	for _, object := range []string{"cus_1", "cus_2", "sub_3", "cus_new"} {
		f.must(f.MarkDirty(ctx, f.pass(time.Second), object))
	}
	f.must(f.MarkDirty(ctx, f.pass(time.Second), "cus_1")) // another hint
	if got := f.order(); got != "cus_new cus_1 cus_2 sub_3 cus_old" {
		t.Errorf("order %s", got)
	}

	f.must(f.Hasten(ctx, stagedoor.PriorityInCall, "cus_3"))
	f.must(f.Hasten(ctx, stagedoor.PriorityInCall, "cus_unheard"))
	f.must(f.TouchDue(ctx, f.clock(), stagedoor.PriorityJoin, "cus_old"))
	f.must(f.TouchDue(ctx, f.clock(), stagedoor.PriorityRest, "sub_3"))
	if got := f.order(); got != "sub_3 cus_old cus_new cus_1 cus_2" {
		t.Errorf("order %s", got)
	}

	// A second look is not urgent any more.
	all, _ := f.queue()
	f.must(f.Settle(ctx, all["sub_3"], f.clock()))
	if got := f.order(); got != "cus_old cus_new cus_1 cus_2 sub_3" {
		t.Errorf("order %s", got)
	}
}

func TestResume_EndsEveryPause(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.MarkDirty(ctx, f.clock(), "cus_failing", "cus_settled"))
	all, _ := f.queue()
	f.must(f.Postpone(ctx, all["cus_failing"], f.clock().Add(time.Minute)))
	f.must(f.Settle(ctx, all["cus_settled"], f.clock().Add(time.Minute)))

	f.must(f.Resume(ctx, f.clock()))

	if got := f.order(); got != "cus_failing" {
		t.Errorf("due: %s", got)
	}
	if again, _ := f.queue(); again["cus_failing"].Attempts != 1 {
		t.Errorf("failures are forgotten: %+v", again["cus_failing"])
	}
}
