package livekit

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	"stagedoor"
	"stagedoor/internal/livekit"
)

// service is the door's way to the server.
func (s *server) service() *livekit.RoomService {
	return &livekit.RoomService{URL: "http://" + s.host, Key: s.signer.Key, Secret: s.signer.Secret, Now: time.Now}
}

// official is LiveKit's own client, with a token that its own library signed.
func (s *server) official(t *testing.T, room string) (lkproto.RoomService, context.Context) {
	t.Helper()
	token, err := auth.NewAccessToken(s.signer.Key, s.signer.Secret.Reveal()).
		SetVideoGrant(&auth.VideoGrant{RoomAdmin: true, RoomList: true, Room: room}).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := twirp.WithHTTPRequestHeaders(t.Context(), http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	return lkproto.NewRoomServiceProtobufClient("http://"+s.host, http.DefaultClient), ctx
}

// get is the participant as LiveKit's own client sees it; nil when there is none.
func (s *server) get(t *testing.T, room stagedoor.Room, identity stagedoor.Identity) *lkproto.ParticipantInfo {
	t.Helper()
	client, ctx := s.official(t, string(room))
	info, err := client.GetParticipant(ctx, &lkproto.RoomParticipantIdentity{Room: string(room), Identity: string(identity)})
	var refusal twirp.Error
	if errors.As(err, &refusal) && refusal.Code() == twirp.NotFound {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestRoomService lets a real server answer the door's calls.
func TestRoomService(t *testing.T) {
	s := startServer(t)
	t.Run("nobody", s.testNobody)
	t.Run("lists", s.testLists)
	t.Run("permissions", s.testPermissions)
	t.Run("removes", s.testRemoves)
	t.Run("refused", s.testRefused)
}

// testNobody: what is not there is no error.
func (s *server) testNobody(t *testing.T) {
	door, ctx := s.service(), t.Context()
	if rooms, err := door.Rooms(ctx); err != nil || rooms == nil || len(rooms) != 0 {
		t.Error(rooms, err)
	}
	if list, err := door.Participants(ctx, "nowhere"); err != nil || list == nil || len(list) != 0 {
		t.Error(list, err)
	}
	if p, found, err := door.Participant(ctx, "nowhere", "nobody"); err != nil || found {
		t.Error(p, found, err)
	}
	if p, found, err := door.UpdatePermission(ctx, "nowhere", "nobody", stagedoor.Grants{Publish: true}); err != nil || found {
		t.Error(p, found, err)
	}
	if found, err := door.Remove(ctx, "nowhere", "nobody"); err != nil || found {
		t.Error(found, err)
	}
}

// testLists joins every place, and lists each room as LiveKit's own client does.
func (s *server) testLists(t *testing.T) {
	door, ctx := s.service(), t.Context()
	entered := time.Now()
	for i, p := range places() {
		for _, identity := range []stagedoor.Identity{p.identity, "second"} {
			a := stagedoor.Admission{Room: p.room, Identity: identity, Name: names()[i], TTL: time.Hour,
				Grants: stagedoor.Grants{Subscribe: true, Publish: i%2 == 0, Sources: []stagedoor.Source{stagedoor.Microphone}}}
			s.enter(t, sign(t, s.signer, a), false)
		}
	}
	for _, p := range places() {
		client, official := s.official(t, string(p.room))
		var theirs *lkproto.ListParticipantsResponse
		await(t, "both in "+p.label, func() bool {
			var err error
			if theirs, err = client.ListParticipants(official, &lkproto.ListParticipantsRequest{Room: string(p.room)}); err != nil {
				t.Fatal(err)
			}
			return len(theirs.GetParticipants()) == 2
		})
		ours, err := door.Participants(ctx, p.room)
		if err != nil || len(ours) != 2 {
			t.Fatal(ours, err)
		}
		for _, info := range theirs.GetParticipants() {
			at := slices.IndexFunc(ours, func(o stagedoor.Participant) bool { return string(o.Identity) == info.GetIdentity() })
			if at < 0 {
				t.Fatalf("%q is not in %v", info.GetIdentity(), ours)
			}
			if err := wantSameParticipant(ours[at], info, string(p.room)); err != nil {
				t.Error(err)
			}
			one, found, err := door.Participant(ctx, p.room, ours[at].Identity)
			if err != nil || !found || wantSameParticipant(one, info, string(p.room)) != nil {
				t.Error(one, found, err)
			}
		}
	}
	want := []stagedoor.Room{}
	for _, p := range places() {
		want = append(want, p.room)
	}
	slices.Sort(want)
	await(t, "all rooms", func() bool {
		rooms, err := door.Rooms(ctx)
		if err != nil {
			t.Fatal(err)
		}
		names := []stagedoor.Room{}
		for _, room := range rooms {
			if age := time.Since(room.CreatedAt); age < -time.Minute || age > 10*time.Minute {
				t.Errorf("%s was created %v ago", room.Room, age)
			}
			if !room.Empty {
				names = append(names, room.Room)
			}
		}
		slices.Sort(names)
		return slices.Equal(names, want)
	})
	t.Logf("all rooms are listed %v after the first join", time.Since(entered).Round(time.Millisecond))
}

// testPermissions gives one participant every combination of grants in turn.
func (s *server) testPermissions(t *testing.T) {
	const room, identity = "permissions", "ann"
	door := s.service()
	a := stagedoor.Admission{Room: room, Identity: identity, Name: "Ann", TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true}}
	c := s.enter(t, sign(t, s.signer, a), true)
	await(t, "ann to be active", func() bool { return s.get(t, room, identity).GetState() == lkproto.ParticipantInfo_ACTIVE })
	before, given := s.get(t, room, identity), 0
	for _, grants := range everyGrants() {
		if unsignable(grants) {
			if _, _, err := door.UpdatePermission(t.Context(), room, identity, grants); stagedoor.KindOf(err) != stagedoor.Internal {
				t.Fatalf("%+v: %v", grants, err)
			}
			continue
		}
		a.Grants = grants
		ours, found, err := door.UpdatePermission(t.Context(), room, identity, grants)
		if err != nil || !found {
			t.Fatalf("%+v: %t %v", grants, found, err)
		}
		if !ours.Grants.Same(grants) {
			t.Fatalf("asked %+v, reported %+v", grants, ours.Grants)
		}
		info := s.get(t, room, identity)
		want := officialGrant(a).ToPermission()
		if !proto.Equal(info.GetPermission(), want) {
			t.Fatalf("%+v: the server permits %v, want %v", grants, info.GetPermission(), want)
		}
		if err := wantSameParticipant(ours, info, room); err != nil {
			t.Fatal(err)
		}
		if info.GetSid() != before.GetSid() || info.GetName() != "Ann" || info.GetMetadata() != "" || len(info.GetAttributes()) != 0 {
			t.Fatalf("more than the permission changed: %v", info)
		}
		given++
	}
	if given != len(everyGrants())-8 {
		t.Errorf("%d permissions given", given)
	}
	s.wantTold(t, c, stagedoor.Grants{Subscribe: true, Publish: true, Sources: []stagedoor.Source{stagedoor.ScreenShare}})
	t.Logf("%d permissions given", given)
}

// wantTold changes the permission once more, and waits until the participant
// knows and holds a token of the server's that says the same.
func (s *server) wantTold(t *testing.T, c *client, grants stagedoor.Grants) {
	t.Helper()
	info, _, _, _ := c.seen()
	begun := time.Now()
	if _, found, err := s.service().UpdatePermission(t.Context(), "permissions", stagedoor.Identity(info.GetIdentity()), grants); err != nil || !found {
		t.Fatal(found, err)
	}
	want := officialGrant(stagedoor.Admission{Grants: grants}).ToPermission()
	await(t, "the participant to be told", func() bool {
		info, _, _, fault := c.seen()
		if fault != nil {
			t.Fatal(fault)
		}
		return proto.Equal(info.GetPermission(), want)
	})
	t.Logf("the participant is told after %v", time.Since(begun).Round(100*time.Microsecond))
	await(t, "a token that says the same", func() bool {
		_, token, _, _ := c.seen()
		parsed, err := auth.ParseAPIToken(token)
		if err != nil {
			return false
		}
		_, claims, err := parsed.Verify(s.signer.Secret.Reveal())
		return err == nil && proto.Equal(claims.Video.ToPermission(), want) && !claims.Video.RoomAdmin
	})
}

// testRemoves puts a participant out, who can come back here: this server
// revokes nothing.
func (s *server) testRemoves(t *testing.T) {
	const room, identity = "removes", "ann"
	door := s.service()
	token := sign(t, s.signer, stagedoor.Admission{Room: room, Identity: identity, TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true}})
	c := s.enter(t, token, true)
	await(t, "ann to be there", func() bool { return s.get(t, room, identity).GetState() == lkproto.ParticipantInfo_ACTIVE })
	if found, err := door.Remove(t.Context(), room, identity); err != nil || !found {
		t.Fatal(found, err)
	}
	await(t, "the goodbye", func() bool { _, _, left, _ := c.seen(); return left != nil })
	if _, _, left, _ := c.seen(); left.GetReason() != lkproto.DisconnectReason_PARTICIPANT_REMOVED {
		t.Errorf("ann is told %v", left)
	}
	await(t, "ann to be gone", func() bool { return s.get(t, room, identity) == nil })
	if found, err := door.Remove(t.Context(), room, identity); err != nil || found {
		t.Errorf("removed twice: %t %v", found, err)
	}
	again := s.enter(t, token, false)
	if again.join.GetParticipant().GetSid() == c.join.GetParticipant().GetSid() {
		t.Error("the same session came back")
	}
}

// testRefused: a key that the server does not take is told apart from everything else.
func (s *server) testRefused(t *testing.T) {
	for name, change := range map[string]func(*livekit.RoomService){
		"another secret": func(d *livekit.RoomService) { d.Secret = stagedoor.NewSecret(apiSecret) },
		"an unknown key": func(d *livekit.RoomService) { d.Key = "APIstranger" },
		"a clock behind": func(d *livekit.RoomService) { d.Now = func() time.Time { return time.Now().Add(-3 * time.Minute) } },
		"a clock ahead":  func(d *livekit.RoomService) { d.Now = func() time.Time { return time.Now().Add(3 * time.Minute) } },
	} {
		door := s.service()
		change(door)
		if _, err := door.Rooms(t.Context()); !errors.Is(err, livekit.ErrKeyRefused) || stagedoor.KindOf(err) != stagedoor.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := door.Participant(t.Context(), "r", "ann"); !errors.Is(err, livekit.ErrKeyRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	door := s.service()
	door.URL += "/elsewhere"
	if list, err := door.Participants(t.Context(), "r"); err == nil || errors.Is(err, livekit.ErrKeyRefused) {
		t.Errorf("a wrong path: %v %v", list, err)
	}
}
