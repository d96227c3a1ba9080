package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/audit"
	"stagedoor/internal/authn"
	"stagedoor/internal/enforce"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/livekit"
	"stagedoor/internal/policy"
	"stagedoor/internal/store"
)

// The worlds with rules, in which callers moderate and invite: the database,
// the policy file, the guests' authenticator and the moderator are the real
// ones. LiveKit, who is in its rooms and what is done to them, is made up.
const (
	hosted  world = "a database and a policy file"
	deaf    world = "a database, a policy file, and LiveKit out of reach"
	unheard world = "a database, a policy file, and no disk for records"
	locked  world = "seam: a policy file, and a database that somebody locks"
)

// The holders of invitations. Each one's token is an invitation's secret.
const (
	guest     caller = "guest"
	named     caller = "named"     // whose invitation says their name
	performer caller = "performer" // whose invitation lets them publish
	crowd     caller = "crowd"     // whose invitation is used up
	tardy     caller = "tardy"     // whose invitation has expired
	dropped   caller = "dropped"   // whose invitation was taken back
	barred    caller = "barred"    // of whose invitation somebody was put out
	lost      caller = "lost"      // whose inviter may not come in
	unasked   caller = "unasked"   // with a secret that nobody handed out
)

// tab is the id that a guest's page keeps.
const tab = "tab_1234567890-ABC"

// rules are the policy file of those worlds.
const rules = `default_room: lobby
rooms:
  - {room: lobby}
  - {room: test-room, publish: "true", moderate: "principal.subject == 'ann'", invite: "principal.subject == 'ann'", max_session: 2h}
  - {room: full, max_participants: 1}
  - {room: alone, refuse_second: true}
  - {room: over, max_session: 1m, moderate: "true", invite: "true"}
  - {room: audience, publish: "false", invite: "true"}
  - {room: closed, join: "false", moderate: "true", invite: "true"}
  - {room: "{rest...}", devices: many, metadata: true, attributes: [role], agents: [scribe]}
`

// secretOf is what a guest sends. The database makes secrets up itself: the
// world that it is sent to knows for which of them each of these stands.
func secretOf(c caller) string { return stagedoor.InvitationPrefix + string(c) }

// book is the book of invitations as the program has it, but that nobody is
// put out. ids and secrets stand for those that the database has made up.
type book struct {
	*store.Store
	ids, secrets map[string]string
}

func (b book) Add(ctx context.Context, v stagedoor.Invitation) (stagedoor.Invitation, stagedoor.Secret, error) {
	return b.AddInvitation(ctx, v)
}

func (b book) Revoke(ctx context.Context, by stagedoor.PrincipalKey, id string) error {
	if made := b.ids[id]; made != "" {
		id = made
	}
	_, err := b.RevokeInvitation(ctx, by, id)
	return err
}

func (b book) find(ctx context.Context, secret stagedoor.Secret) (stagedoor.Invitation, bool, error) {
	if made := b.secrets[secret.Reveal()]; made != "" {
		secret = stagedoor.NewSecret(made)
	}
	return b.InvitationOf(ctx, secret)
}

// liveKit is a LiveKit with four participants in every room. What else it
// could do is not asked of it.
type liveKit struct {
	rest
	restOfMedia
}

type (
	rest        = enforce.Rooms
	restOfMedia = enforce.Media
)

func (liveKit) Participant(_ context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Participant, bool, error) {
	p := stagedoor.Participant{Room: room, Identity: identity, SID: "PA_1", Standard: true,
		Tracks: []stagedoor.Track{{SID: "TR_1", Audio: true}, {SID: "TR_2", Audio: true, Muted: true}, {SID: "TR_3"}}}
	switch identity {
	case "ann", "bob", "cara", "passer-by":
		return p, true, nil
	}
	return stagedoor.Participant{}, false, nil
}

func (liveKit) Mute(context.Context, stagedoor.Room, stagedoor.Identity, string) (bool, error) {
	return true, nil
}

func (liveKit) Remove(context.Context, stagedoor.Room, stagedoor.Identity) (bool, error) {
	return true, nil
}

// withRules gives a door the worlds' rules and all that they need.
func withRules(t *testing.T, o *httpapi.Options, w world) {
	t.Helper()
	kept, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "stagedoor.db"), store.Index{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	file, err := policy.Parse("policy.yaml", []byte(rules), policy.Limits{PublishFeature: publishFeature, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	bans, err := enforce.LoadBans(t.Context(), kept, time.Now, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	invitations := book{kept, map[string]string{}, map[string]string{}}
	furnish(t, invitations, bans)

	var rooms enforce.Rooms = liveKit{}
	var media enforce.Media = liveKit{}
	if w == deaf {
		away := &livekit.RoomService{URL: "http://livekit.example.com", Key: liveKitKey, Secret: stagedoor.NewSecret(liveKitSecret), Now: time.Now,
			Client: &http.Client{Transport: failing{}}}
		rooms, media = away, away
	}
	enforcer := enforce.New(enforce.Options{People: kept, Presence: kept, Places: kept, Rooms: rooms, Media: media, Now: time.Now, Log: quiet})
	door := o.Door
	door.Authenticator = authn.Guests{Find: invitations.find, Others: door.Authenticator, Now: time.Now}
	door.Memory, door.Bans, door.Policy, door.Now = kept, bans, file, time.Now
	door.Sessions, door.Invitations, door.InvitationBook = kept, kept, invitations
	door.Moderators = enforce.Moderator{Enforcer: enforcer, Ban: bans.Add}
	if w == unheard {
		door.AuditLog = audit.New(failing{}, time.Now, httpapi.RequestID)
	}
	o.Invitations, o.DefaultRoom = kept.InvitationsBy, file.DefaultRoom
	if w == locked {
		door.Memory = lockedMemory{kept}
		o.Invitations = func(context.Context, stagedoor.PrincipalKey) ([]stagedoor.Invitation, error) { return nil, errLocked }
	}
}

// lockedMemory knows people and cannot take anybody's seat.
type lockedMemory struct{ *store.Store }

var errLocked = errors.New("locked")

func (lockedMemory) Minted(context.Context, stagedoor.Mint) error { return errLocked }

// furnish puts people, invitations and bans into a database.
func furnish(t *testing.T, b book, bans *enforce.Bans) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	arrive := func(room stagedoor.Room, identity stagedoor.Identity, at time.Time) {
		must(b.Arrive(ctx, stagedoor.Participant{Room: room, Identity: identity, SID: "PA_1", JoinedAt: at, Standard: true}))
	}
	for _, who := range []string{"ann", "bob", "cara"} {
		_, err := b.Remember(ctx, stagedoor.Principal{Issuer: authn.SharedSecretIssuer, Subject: who, Handle: who})
		must(err)
		for _, room := range []stagedoor.Room{"test-room", "over", "alone"} {
			must(b.Minted(ctx, stagedoor.Mint{Room: room, Identity: stagedoor.Identity(who), Principal: keyOf(who)}))
		}
	}
	arrive("full", "bob", now)
	arrive("alone", "ann", now)
	arrive("over", "ann", now.Add(-time.Hour))
	_, err := bans.Add(ctx, stagedoor.Ban{Principal: keyOf(string(outcast))})
	must(err)

	for who, v := range map[caller]stagedoor.Invitation{
		guest: {Uses: 1000}, named: {Uses: 1000, Name: "Gus"}, performer: {Uses: 1000, Publish: true}, crowd: {Uses: 1}, dropped: {Uses: 1},
		tardy: {Uses: 1, Expires: now.Add(-time.Minute)}, barred: {Uses: 9}, lost: {Uses: 9, Room: "closed"},
	} {
		v.By = keyOf("ann")
		if v.Room == "" {
			v.Room = "test-room"
		}
		if v.Expires.IsZero() {
			v.Expires = now.Add(time.Hour)
		}
		made, secret, err := b.AddInvitation(ctx, v)
		must(err)
		b.ids["inv_"+string(who)], b.secrets[secretOf(who)] = made.ID, secret.Reveal()
	}
	first := stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer, Subject: "the first guest"}
	_, err = bans.Add(ctx, stagedoor.Ban{Principal: first, Room: "test-room"})
	must(err, b.Revoke(ctx, keyOf("ann"), "inv_dropped"), b.Admit(ctx, b.ids["inv_crowd"], stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer, Subject: "another"}))
	// Who is kept out was let in before: the ban does not undo that.
	must(b.Admit(ctx, b.ids["inv_barred"], first))
}
