package stagedoor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// stage is a door with rules, seats, sessions, invitations and moderators that
// a test sets.
type stage struct {
	*parts
	*notes
	principal  Principal
	decide     func(Situation) (Decision, error)
	since      time.Time
	sinceErr   error
	invitation Invitation
	maker      Principal
	inviteErr  error
	admitted   []PrincipalKey
	admitErr   error
	revoked    string
	made       []Invitation
	did        []string
	now        time.Time
	asked      []Situation
}

func (s *stage) Authenticate(context.Context, Credential) (Principal, error) {
	return s.principal, nil
}

func (s *stage) Decide(situation Situation) (Decision, error) {
	s.asked = append(s.asked, situation)
	return s.decide(situation)
}

func (s *stage) Since(context.Context, PrincipalKey, Room) (time.Time, error) {
	return s.since, s.sinceErr
}

func (s *stage) Invitation(context.Context, string) (Invitation, Principal, error) {
	return s.invitation, s.maker, s.inviteErr
}

func (s *stage) Admit(_ context.Context, _ string, guest PrincipalKey) error {
	s.admitted = append(s.admitted, guest)
	return s.admitErr
}

func (s *stage) Add(_ context.Context, v Invitation) (Invitation, Secret, error) {
	s.made = append(s.made, v)
	v.ID = "inv_1"
	return v, NewSecret("invite_x"), nil
}

func (s *stage) Revoke(_ context.Context, by PrincipalKey, id string) error {
	s.revoked = by.Subject + " " + id
	return nil
}

func (s *stage) Mute(_ context.Context, room Room, identity Identity) (int, error) {
	s.did = append(s.did, "mute "+string(room)+" "+string(identity))
	return 2, nil
}

func (s *stage) Remove(_ context.Context, room Room, identity Identity, by PrincipalKey, until time.Time) error {
	s.did = append(s.did, "remove "+string(room)+" "+string(identity)+" for "+by.Subject+" "+until.Sub(s.now).String())
	return nil
}

// full is what a rule grants to somebody who may do everything.
func full() Decision {
	return Decision{TTL: time.Hour, Grants: Grants{Subscribe: true, Publish: true, PublishData: true, Sources: []Source{Camera}}, Rule: "rooms",
		Moderate: true, Invite: true, Agents: []string{"scribe"}, Metadata: true, Attributes: []string{"hand"}, RemoveFor: time.Hour}
}

func newStage() (*stage, *Door) {
	s := &stage{parts: good(), notes: &notes{kept: Claims{}}, now: time.Unix(1795348800, 0)}
	s.principal = Principal{Issuer: "i", Subject: "ann", Handle: "ann", Name: "Ann"}
	s.decide = func(Situation) (Decision, error) { return full(), nil }
	s.invitation = Invitation{ID: "inv_1", By: PrincipalKey{"i", "ann"}, Room: "r", Publish: true}
	s.maker = s.principal
	return s, &Door{Authenticator: s, Signer: s, AuditLog: s, Policy: s, Memory: s, Bans: s, Sessions: s, Invitations: s, InvitationBook: s, Moderators: s,
		NameFromRequest: true, Now: func() time.Time { return s.now }}
}

func (s *stage) guest() {
	s.principal = Principal{Issuer: GuestIssuer, Subject: "inv_1", Handle: "inv_1", Invitation: "inv_1"}
}

func enter(d *Door, r Request) (Admission, error) {
	r.ClientIP = "192.0.2.1"
	return d.Join(context.Background(), NewCredential("c"), func(Principal) (Request, error) { return r, nil })
}

func mustKind(t *testing.T, what string, err error, want Kind) {
	t.Helper()
	if err == nil || KindOf(err) != want {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

const tab = "guest-of-one-tab-1"

// A rule that asks for the address is not asked where there is none.
func TestJoinWithoutAnAddressIsRefused(t *testing.T) {
	s, d := newStage()
	_, err := d.Join(context.Background(), NewCredential("c"), func(Principal) (Request, error) { return Request{Room: "r"}, nil })
	mustKind(t, "join", err, Internal)
	_, _, err = d.Invite(context.Background(), NewCredential("c"), "", func(Principal) (Invitation, error) { return Invitation{Room: "r"}, nil })
	mustKind(t, "invite", err, Internal)
	_, err = d.Moderate(context.Background(), NewCredential("c"), func(Principal) (Motion, error) { return Motion{Room: "r", Action: Mute}, nil })
	mustKind(t, "moderate", err, Internal)
	if len(s.asked) != 0 {
		t.Error("decided")
	}
}

func TestSeatIsAskedForAndRefused(t *testing.T) {
	s, d := newStage()
	s.decide = func(Situation) (Decision, error) {
		f := full()
		f.TTL, f.MaxParticipants, f.RefuseSecond = 2*time.Minute, 50, true
		return f, nil
	}
	got, err := enter(d, Request{Room: "r"})
	if err != nil || got.MaxParticipants != 50 || s.mint.Seats != 50 || s.mint.SeatFor != 3*time.Minute || !s.mint.Alone {
		t.Errorf("%+v %+v %v", got, s.mint, err)
	}
	for _, kind := range []Kind{RoomFull, AlreadyInRoom, RateLimited} {
		s.minted = Refuse(kind, "no")
		got, err = enter(d, Request{Room: "r"})
		mustKind(t, "seat", err, kind)
		if !got.Token.Empty() {
			t.Error("a token all the same")
		}
	}
	// A seat that is not kept is no seat, not even to watch from.
	for _, breakIt := range []func(){func() { s.minted = errors.New("disk full") }, func() { s.minted, s.notes.remember = nil, errors.New("disk full") }, func() { d.Memory = nil }} {
		breakIt()
		got, err = enter(d, Request{Room: "r"})
		mustKind(t, "broken", err, Unavailable)
		if !got.Token.Empty() {
			t.Error("a token all the same")
		}
	}
}

func TestSessionIsOverHoweverOftenTheTokenIsRefreshed(t *testing.T) {
	s, d := newStage()
	s.decide = func(Situation) (Decision, error) {
		f := full()
		f.MaxSession = 30 * time.Minute
		return f, nil
	}
	for after, want := range map[time.Duration]time.Duration{-1: 30 * time.Minute, 0: 30 * time.Minute, 10*time.Minute + 300*time.Millisecond: 20*time.Minute - time.Second, 30*time.Minute - time.Second: time.Second} {
		s.since = s.now.Add(-after)
		if after < 0 { // not there yet
			s.since = time.Time{}
		}
		got, err := enter(d, Request{Room: "r"})
		if err != nil || got.SessionLeft != want || got.TTL != min(want, time.Hour) {
			t.Errorf("%v: %v %v %v", after, got.SessionLeft, got.TTL, err)
		}
		decided, err := d.Decide(context.Background(), s.principal, "r")
		if err != nil || after >= 0 && !decided.Until.Equal(s.since.Add(30*time.Minute)) {
			t.Errorf("%v: %+v %v", after, decided, err)
		}
	}
	s.since = s.now.Add(-30 * time.Minute)
	_, err := enter(d, Request{Room: "r", Device: ""})
	mustKind(t, "join", err, SessionOver)
	_, err = d.Decide(context.Background(), s.principal, "r")
	mustKind(t, "mid-call", err, SessionOver)
	_, err = d.Moderate(context.Background(), NewCredential("c"), func(Principal) (Motion, error) {
		return Motion{Room: "r", Identity: "bob", Action: Mute, ClientIP: "192.0.2.1"}, nil
	})
	mustKind(t, "moderate", err, SessionOver)
	s.since = s.now.Add(-30*time.Minute + 500*time.Millisecond)
	_, err = enter(d, Request{Room: "r"})
	mustKind(t, "less than a second", err, SessionOver)
	s.sinceErr = errors.New("the database is away")
	_, err = enter(d, Request{Room: "r"})
	mustKind(t, "not known", err, Unavailable)
	d.Sessions = nil
	_, err = enter(d, Request{Room: "r"})
	mustKind(t, "nothing keeps sessions", err, Internal)
}

func TestDeviceIsAnIdentityWhereManyCount(t *testing.T) {
	s, d := newStage()
	_, err := enter(d, Request{Room: "r", Device: "tablet"})
	mustKind(t, "one place", err, FieldNotAllowed)
	s.decide = func(Situation) (Decision, error) {
		f := full()
		f.ManyDevices = true
		return f, nil
	}
	for _, asked := range []string{"", "ann", "ann:tablet"} {
		got, err := enter(d, Request{Room: "r", Device: "tablet", Identity: asked})
		if err != nil || got.Identity != "ann:tablet" || s.mint.Identity != "ann:tablet" || s.mint.Principal.Subject != "ann" {
			t.Errorf("%q: %+v %v", asked, got, err)
		}
	}
	if got, err := enter(d, Request{Room: "r"}); err != nil || got.Identity != "ann" {
		t.Errorf("%+v %v", got, err)
	}
	for _, asked := range []string{"ann:phone", "bob", "ann:tablet:x"} {
		_, err = enter(d, Request{Room: "r", Device: "tablet", Identity: asked})
		mustKind(t, asked, err, IdentityNotAllowed)
	}
	for _, device := range []string{"a:b", "a#b", "ü", strings.Repeat("x", 33), " "} {
		_, err = enter(d, Request{Room: "r", Device: device})
		mustKind(t, device, err, IdentityNotAllowed)
	}
	s.principal.Handle = strings.Repeat("h", MaxTextBytes-3)
	_, err = enter(d, Request{Room: "r", Device: "abc"})
	mustKind(t, "too long together", err, IdentityNotAllowed)
}

// No choice of device escapes a ban: bans know principals.
func TestBanCoversEveryDevice(t *testing.T) {
	s, d := newStage()
	s.banned = Refuse(Banned, "out")
	_, err := enter(d, Request{Room: "r", Device: "tablet"})
	mustKind(t, "device", err, Banned)
}

// The identity is the one that the newest token gives, as mid-call.
func TestOlderTokensHandleDoesNotCount(t *testing.T) {
	s, d := newStage()
	d.Memory = renamed{s}
	if got, err := enter(d, Request{Room: "r"}); err != nil || got.Identity != "ann-of-today" || s.mint.Identity != "ann-of-today" {
		t.Errorf("%+v %v", got, err)
	}
}

// renamed remembers a newer token.
type renamed struct{ *stage }

func (r renamed) Remember(ctx context.Context, p Principal) (Principal, error) {
	p, err := r.notes.Remember(ctx, p)
	p.Handle = "ann-of-today"
	return p, err
}

// A handle that is a prefix, and a device's name, would together be another
// issuer's caller, or a guest.
func TestDeviceCannotMakeAnotherIssuersIdentity(t *testing.T) {
	s, d := newStage()
	d.IdentityPrefixes = []string{"staff"}
	s.decide = func(Situation) (Decision, error) {
		f := full()
		f.ManyDevices = true
		return f, nil
	}
	for _, handle := range []string{"staff", "guest"} {
		s.principal.Handle = handle
		_, err := enter(d, Request{Room: "r", Device: "ann"})
		mustKind(t, handle, err, IdentityNotAllowed)
		if got, err := enter(d, Request{Room: "r"}); err != nil || string(got.Identity) != handle {
			t.Errorf("%+v %v", got, err)
		}
	}
	s.principal.Handle, s.principal.IdentityPrefix = "staff", "okta"
	if got, err := enter(d, Request{Room: "r", Device: "ann"}); err != nil || got.Identity != "okta:staff:ann" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestNothingButWatchingIsGrantedWithoutAMark(t *testing.T) {
	s, d := newStage()
	s.minted = errors.New("disk full")
	_, err := enter(d, Request{Room: "r", Metadata: "x"})
	mustKind(t, "metadata", err, Unavailable)
	if got, err := enter(d, Request{Room: "r"}); err != nil || got.Grants.Publish {
		t.Errorf("%+v %v", got, err)
	}
}

// flaky remembers at the second try, with these claims.
type flaky struct {
	*stage
	tries  int
	claims Claims
}

func (f *flaky) Remember(ctx context.Context, p Principal) (Principal, error) {
	if f.tries++; f.tries == 1 {
		return p, errors.New("busy")
	}
	p.Claims = f.claims
	return p, nil
}

// A seat is worth a second try; what it is granted on must be what is kept.
func TestSecondTryDoesNotSeatAnOlderToken(t *testing.T) {
	for _, same := range []bool{true, false} {
		s, d := newStage()
		s.principal.Claims = Claims{"role": "host"}
		memory := &flaky{stage: s, claims: Claims{"role": "host"}}
		if !same {
			memory.claims = Claims{"role": "gone"}
		}
		d.Memory = memory
		s.decide = func(Situation) (Decision, error) {
			f := full()
			f.MaxParticipants = 9
			return f, nil
		}
		got, err := enter(d, Request{Room: "r"})
		if same && (err != nil || !got.Grants.Publish) || !same && KindOf(err) != Unavailable {
			t.Errorf("same claims %t: %+v %v", same, got, err)
		}
	}
}
