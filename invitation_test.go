package stagedoor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGuestIsOneOfManyAndAlwaysTheSame(t *testing.T) {
	s, d := newStage()
	s.guest()
	first, err := enter(d, Request{Guest: tab, Name: "Gus"})
	again, second := enter(d, Request{Room: "r", Guest: tab})
	other, third := enter(d, Request{Room: "r", Guest: tab + "2"})
	if err != nil || second != nil || third != nil || first.Identity != again.Identity || first.Identity == other.Identity || first.Name != "Gus" || first.Room != "r" {
		t.Fatalf("%+v %+v %+v %v %v %v", first, again, other, err, second, third)
	}
	if !strings.HasPrefix(string(first.Identity), "guest:") || strings.Contains(string(first.Identity), tab) {
		t.Errorf("identity %s: others in the room see it, and could be that guest", first.Identity)
	}
	if len(s.admitted) != 3 || s.admitted[0] != s.admitted[1] || s.admitted[0].Issuer != GuestIssuer || s.mint.Principal != s.admitted[2] {
		t.Errorf("admitted %v, mint %+v", s.admitted, s.mint)
	}
	s.invitation.ID = "inv_2"
	if elsewhere, _ := enter(d, Request{Room: "r", Guest: tab}); elsewhere.Identity == first.Identity {
		t.Error("two invitations' guests are one participant")
	}
}

func TestGuestMayDoNoMoreThanTheInviter(t *testing.T) {
	paid, unpaid := full(), full()
	unpaid.Grants, unpaid.PublishDenied = Grants{Subscribe: true, PublishData: true}, SubscriptionInactive
	uninviting := full()
	uninviting.Invite = false
	for name, c := range map[string]struct {
		inviter Decision
		publish bool
		want    Grants
		denied  Denial
	}{
		"both":                      {paid, true, paid.Grants, ""},
		"watch only":                {paid, false, Grants{Subscribe: true}, DeniedByPolicy},
		"inviter's plan is over":    {unpaid, true, Grants{Subscribe: true}, SubscriptionInactive},
		"that is nobody's business": {unpaid, false, Grants{Subscribe: true}, DeniedByPolicy},
		"inviter may not invite":    {uninviting, true, Grants{Subscribe: true}, DeniedByPolicy},
	} {
		s, d := newStage()
		s.guest()
		s.invitation.Publish = c.publish
		s.decide = func(Situation) (Decision, error) { return c.inviter, nil }
		got, err := enter(d, Request{Guest: tab})
		if err != nil || !got.Grants.Same(c.want) || got.PublishDenied != c.denied || got.Moderate || got.Invite {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		guest := s.invitation.guest(tab)
		decided, err := d.Decide(context.Background(), guest, "r")
		if err != nil || !decided.Grants.Same(c.want) || decided.Moderate || decided.Invite || decided.Metadata || decided.Agents != nil || decided.Attributes != nil || decided.ManyDevices {
			t.Errorf("%s mid-call: %+v %v", name, decided, err)
		}
		for _, asked := range s.asked {
			if asked.Principal.Subject != "ann" {
				t.Errorf("%s: the rule was asked about %+v", name, asked.Principal)
			}
		}
	}
}

func TestGuestIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		breakIt func(*stage)
		request Request
		want    Kind
	}{
		"without an id":            {func(*stage) {}, Request{}, InvalidRequest},
		"in another room":          {func(*stage) {}, Request{Room: "other", Guest: tab}, RoomForbidden},
		"with a device":            {func(*stage) {}, Request{Guest: tab, Device: "x"}, FieldNotAllowed},
		"by another name":          {func(s *stage) { s.invitation.Name = "Gus" }, Request{Guest: tab, Name: "Dr. Smith"}, FieldNotAllowed},
		"with metadata":            {func(*stage) {}, Request{Guest: tab, Metadata: "x"}, FieldNotAllowed},
		"with an agent":            {func(*stage) {}, Request{Guest: tab, Agents: []Agent{{Name: "scribe"}}}, FieldNotAllowed},
		"as somebody else":         {func(*stage) {}, Request{Guest: tab, Identity: "ann"}, IdentityNotAllowed},
		"after it was revoked":     {func(s *stage) { s.inviteErr = Refuse(RoomForbidden, "gone") }, Request{Guest: tab}, RoomForbidden},
		"when no use is left":      {func(s *stage) { s.admitErr = Refuse(RoomForbidden, "used up") }, Request{Guest: tab}, RoomForbidden},
		"when that cannot be told": {func(s *stage) { s.admitErr = errors.New("disk full") }, Request{Guest: tab}, Internal},
		"when they were put out":   {func(s *stage) { s.banned = Refuse(Banned, "out") }, Request{Guest: tab}, Banned},
		"when the inviter may not": {func(s *stage) {
			s.decide = func(Situation) (Decision, error) { return Decision{}, Refuse(RoomForbidden, "no") }
		}, Request{Guest: tab}, RoomForbidden},
		"when a rule is not decided": {func(s *stage) { s.decide = func(Situation) (Decision, error) { return Decision{}, nil } }, Request{Guest: tab}, Internal},
	} {
		s, d := newStage()
		s.guest()
		c.breakIt(s)
		got, err := enter(d, c.request)
		mustKind(t, name, err, c.want)
		if !got.Token.Empty() || len(s.records) != 1 || s.records[0].Err == nil {
			t.Errorf("%s: %+v %+v", name, got, s.records)
		}
	}
	_, d := newStage()
	_, err := enter(d, Request{Room: "r", Guest: tab})
	mustKind(t, "who is no guest", err, FieldNotAllowed)
	_, err = enter(d, Request{})
	mustKind(t, "no room", err, RoomRequired)
	s, d := newStage()
	s.guest()
	s.invitation.Name = "Gus"
	if got, err := enter(d, Request{Guest: tab, Name: "Gus"}); err != nil || got.Name != "Gus" {
		t.Errorf("%+v %v", got, err)
	}
}

// A ban on who invited ends the invitation, and does not tell the guest why.
func TestBannedInvitersGuestsAreRefused(t *testing.T) {
	s, d := newStage()
	s.guest()
	d.Bans = bannedHost{}
	_, err := enter(d, Request{Guest: tab})
	mustKind(t, "join", err, RoomForbidden)
	_, err = d.Decide(context.Background(), s.invitation.guest(tab), "r")
	mustKind(t, "mid-call", err, RoomForbidden)
}

type bannedHost struct{}

func (bannedHost) Check(p Principal, _ Room) error {
	if p.Subject == "ann" {
		return Refuse(Banned, "you are kept out")
	}
	return nil
}

func TestWhoMayInvite(t *testing.T) {
	invite := func(d *Door, v Invitation) (Invitation, error) {
		got, _, err := d.Invite(context.Background(), NewCredential("c"), "192.0.2.1", func(Principal) (Invitation, error) { return v, nil })
		return got, err
	}
	s, d := newStage()
	got, err := invite(d, Invitation{Room: "r", Publish: true, By: PrincipalKey{"i", "somebody else"}})
	if err != nil || got.ID != "inv_1" || s.made[0].By.Subject != "ann" || s.records[0].Action != "invite" || s.records[0].Target != "inv_1" {
		t.Errorf("%+v %v %+v", s.made, err, s.records)
	}
	for name, c := range map[string]struct {
		change func(*stage, *Decision)
		want   Kind
	}{
		"rule":                      {func(_ *stage, f *Decision) { f.Invite = false }, RoomForbidden},
		"cannot publish":            {func(_ *stage, f *Decision) { f.Grants.Publish = false }, FieldNotAllowed},
		"banned":                    {func(s *stage, _ *Decision) { s.banned = Refuse(Banned, "out") }, Banned},
		"a guest":                   {func(s *stage, _ *Decision) { s.guest() }, RoomForbidden},
		"what it stands on is lost": {func(s *stage, _ *Decision) { s.notes.remember = errors.New("disk full") }, Unavailable},
	} {
		s, d := newStage()
		f := full()
		c.change(s, &f)
		s.decide = func(Situation) (Decision, error) { return f, nil }
		_, err := invite(d, Invitation{Room: "r", Publish: true})
		mustKind(t, name, err, c.want)
		if len(s.made) != 0 || len(s.records) != 1 {
			t.Errorf("%s: made %v records %v", name, s.made, s.records)
		}
	}
	s, d = newStage()
	s.auditErr = errors.New("full")
	if _, err := invite(d, Invitation{Room: "r"}); KindOf(err) != Internal || err == nil || s.revoked != "ann inv_1" {
		t.Errorf("without a record: %v, revoked %q", err, s.revoked)
	}
	s, d = newStage()
	if err := d.Revoke(context.Background(), NewCredential("c"), func(Principal) string { return "inv_1" }); err != nil || s.revoked != "ann inv_1" || s.records[0].Action != "revoke" {
		t.Errorf("%v %v", s.revoked, err)
	}
}

func TestWhoMayModerate(t *testing.T) {
	moderate := func(d *Door, action Action) (Moderation, error) {
		return d.Moderate(context.Background(), NewCredential("c"), func(Principal) (Motion, error) {
			return Motion{Room: "r", Identity: "bob", Action: action, ClientIP: "192.0.2.1"}, nil
		})
	}
	s, d := newStage()
	muted, err := moderate(d, Mute)
	removed, second := moderate(d, Remove)
	if err != nil || second != nil || muted.Muted != 2 || !removed.Until.Equal(s.now.Add(time.Hour)) || strings.Join(s.did, ", ") != "mute r bob, remove r bob for ann 1h0m0s" {
		t.Errorf("%+v %+v %v %v %v", muted, removed, err, second, s.did)
	}
	if len(s.records) != 2 || s.records[1].Action != "remove" || s.records[1].Target != "bob" || s.records[1].Principal.Subject != "ann" {
		t.Errorf("%+v", s.records)
	}
	for name, c := range map[string]struct {
		change func(*stage, *Decision)
		want   Kind
	}{
		"rule":      {func(_ *stage, f *Decision) { f.Moderate = false }, RoomForbidden},
		"banned":    {func(s *stage, _ *Decision) { s.banned = Refuse(Banned, "out") }, Banned},
		"a guest":   {func(s *stage, _ *Decision) { s.guest() }, RoomForbidden},
		"not known": {func(s *stage, _ *Decision) { s.notes.remember = errors.New("disk full") }, Unavailable},
	} {
		s, d := newStage()
		f := full()
		c.change(s, &f)
		s.decide = func(Situation) (Decision, error) { return f, nil }
		for _, action := range []Action{Mute, Remove} {
			_, err := moderate(d, action)
			mustKind(t, name, err, c.want)
		}
		if len(s.did) != 0 || len(s.records) != 2 {
			t.Errorf("%s: did %v", name, s.did)
		}
	}
	s, d = newStage()
	s.auditErr = errors.New("full")
	for _, action := range []Action{Mute, Remove} {
		_, err := moderate(d, action)
		mustKind(t, "without a record", err, Internal)
	}
	if len(s.did) != 0 {
		t.Errorf("done without a record: %v", s.did)
	}
	_, d = newStage()
	_, err = moderate(d, "promote")
	mustKind(t, "another action", err, InvalidRequest)
}

// A participant who could not be marked is given nothing beyond watching.
func TestUnmarkedParticipantCannotModerate(t *testing.T) {
	s, d := newStage()
	s.minted = errors.New("disk full")
	if got, err := enter(d, Request{Room: "r"}); err != nil || got.Moderate || got.Invite || got.Grants.Publish {
		t.Errorf("%+v %v", got, err)
	}
}

func TestInviterWithoutTimeLeftHasNoGuests(t *testing.T) {
	s, d := newStage()
	s.guest()
	s.decide = func(Situation) (Decision, error) {
		f := full()
		f.MaxSession = time.Hour
		return f, nil
	}
	s.since = s.now.Add(-time.Hour)
	_, err := enter(d, Request{Guest: tab})
	mustKind(t, "join", err, RoomForbidden)
	_, err = d.Decide(context.Background(), s.invitation.guest(tab), "r")
	mustKind(t, "mid-call", err, RoomForbidden)
}

// Who was known before an issuer was taken out of the configuration is nobody
// now, and so are their guests.
func TestRemovedIssuersPeopleAreRefused(t *testing.T) {
	s, d := newStage()
	d.Issuers = []string{"another"}
	_, err := d.Decide(context.Background(), s.maker, "r")
	mustKind(t, "mid-call", err, RoomForbidden)
	s.guest()
	_, err = enter(d, Request{Guest: tab})
	mustKind(t, "a guest", err, RoomForbidden)
	d.Issuers = []string{"another", "i"}
	if _, err := enter(d, Request{Guest: tab}); err != nil {
		t.Error(err)
	}
}

// One secret makes any number of guests: those who are refused must not fill
// what the door remembers people in.
func TestRefusedGuestsLeaveNothingBehind(t *testing.T) {
	for name, breakIt := range map[string]func(*stage){
		"no use is left":      func(s *stage) { s.admitErr = Refuse(RoomForbidden, "used up") },
		"another was put out": func(s *stage) { s.admitErr = Refuse(Banned, "closed") },
		"they were put out":   func(s *stage) { s.banned = Refuse(Banned, "out") },
		"the inviter may not": func(s *stage) {
			s.decide = func(Situation) (Decision, error) { return Decision{}, Refuse(RoomForbidden, "no") }
		},
	} {
		s, d := newStage()
		s.guest()
		breakIt(s)
		if _, err := enter(d, Request{Guest: tab}); err == nil || slices.Contains(s.order, "remember") || slices.Contains(s.order, "minted") {
			t.Errorf("%s: %v, wrote %v", name, err, s.order)
		}
	}
	s, d := newStage()
	s.guest()
	if got, err := enter(d, Request{Guest: tab}); err != nil || !got.Grants.Publish || strings.Join(s.order, " ") != "bans bans remember minted" {
		t.Errorf("who is let in: %+v %v %v", got, err, s.order)
	}
	s.notes.remember = errors.New("disk full")
	if got, err := enter(d, Request{Guest: tab}); err != nil || got.Grants.Publish || !got.Grants.Subscribe {
		t.Errorf("who is not remembered: %+v %v", got, err)
	}
}
