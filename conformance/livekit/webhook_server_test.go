package livekit

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	"stagedoor"
	"stagedoor/internal/livekit"
)

// delivery is one request of the real server's.
type delivery struct {
	header http.Header
	body   []byte
}

// inbox takes what the server sends.
type inbox struct {
	mu   sync.Mutex
	list []delivery
}

func (in *inbox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.list = append(in.list, delivery{r.Header.Clone(), body})
}

func (in *inbox) all() []delivery {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.list)
}

// TestWebhooksOfTheRealServer joins, changes, removes and ends, and holds
// every event that the server sends to what LiveKit's own code reads in it.
func TestWebhooksOfTheRealServer(t *testing.T) {
	in := &inbox{}
	receiver := httptest.NewServer(in)
	t.Cleanup(receiver.Close)
	s := startServer(t, receiver.URL)
	verifier := &livekit.WebhookVerifier{Keys: map[string]stagedoor.Secret{s.signer.Key: s.signer.Secret}, Now: time.Now}
	// event waits for the first event of the name about the identity.
	event := func(name string, identity stagedoor.Identity) stagedoor.LiveKitEvent {
		t.Helper()
		var found stagedoor.LiveKitEvent
		await(t, name+" "+string(identity), func() bool {
			return slices.ContainsFunc(in.all(), func(d delivery) bool {
				e, err := verifier.Verify(d.header.Get("Authorization"), d.body)
				found = e
				return err == nil && e.Name == name && e.Participant.Identity == identity
			})
		})
		return found
	}
	s.testJoined(t, event)
	s.testLeft(t, event)
	s.deleteRoom(t, "hall")
	if e := event("room_finished", ""); e.Room != "hall" || e.Participant.SID != "" {
		t.Errorf("%+v", e)
	}
	ids := map[string]bool{}
	for _, d := range in.all() {
		if err := wantSameEvent(d.header.Get("Authorization"), d.body, verifier, auth.NewSimpleKeyProvider(s.signer.Key, s.signer.Secret.Reveal())); err != nil {
			t.Error(err)
		}
		if d.header.Get("Content-Type") != "application/webhook+json" {
			t.Errorf("sent as %q", d.header.Get("Content-Type"))
		}
		e, err := verifier.Verify(d.header.Get("Authorization"), d.body)
		if err != nil || ids[e.ID] || time.Since(e.CreatedAt).Abs() > time.Minute {
			t.Errorf("%+v %v", e, err)
		}
		ids[e.ID] = true
		// Another door's key.
		if _, err := webhookVerifier().Verify(d.header.Get("Authorization"), d.body); stagedoor.KindOf(err) != stagedoor.InvalidSignature {
			t.Error(err)
		}
	}
	t.Logf("%d events", len(ids))
}

// testJoined: an arrival is reported with the permission that the token gave.
func (s *server) testJoined(t *testing.T, event func(string, stagedoor.Identity) stagedoor.LiveKitEvent) {
	for i, grants := range []stagedoor.Grants{
		{Subscribe: true},
		{Subscribe: true, Publish: true, PublishData: true, UpdateOwnMetadata: true},
		{Subscribe: true, Publish: true, Sources: []stagedoor.Source{stagedoor.Camera, stagedoor.ScreenShareAudio}},
	} {
		identity := stagedoor.Identity([]string{"watcher", "speaker", "camera"}[i])
		a := stagedoor.Admission{Room: "hall", Identity: identity, TTL: time.Hour, Grants: grants}
		c := s.enter(t, sign(t, s.signer, a), true)
		got := event("participant_joined", identity).Participant
		info := s.get(t, "hall", identity)
		if !got.Grants.Same(grants) || got.SID != c.join.GetParticipant().GetSid() || got.Room != "hall" || !got.Standard || got.JoinedAt.IsZero() {
			t.Errorf("%+v joined, granted %+v", got, grants)
		}
		if err := wantSameParticipant(got, info, "hall"); err != nil {
			t.Error(err)
		}
	}
	agent, err := auth.NewAccessToken(s.signer.Key, s.signer.Secret.Reveal()).SetIdentity("robot").SetKind(lkproto.ParticipantInfo_AGENT).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: "hall", Agent: true}).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	s.enter(t, agent, true)
	if e := event("participant_joined", "robot"); e.Participant.Standard {
		t.Errorf("an agent passes for a person: %+v", e.Participant)
	}
	if e := event("room_started", ""); e.Room != "hall" {
		t.Errorf("%+v", e)
	}
}

// testLeft: departures carry the session and what it was allowed at the end.
func (s *server) testLeft(t *testing.T, event func(string, stagedoor.Identity) stagedoor.LiveKitEvent) {
	door := s.service()
	last := stagedoor.Grants{Subscribe: true, PublishData: true}
	before, found, err := door.UpdatePermission(t.Context(), "hall", "speaker", last)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	if found, err := door.Remove(t.Context(), "hall", "speaker"); err != nil || !found {
		t.Fatal(found, err)
	}
	if got := event("participant_left", "speaker").Participant; got.SID != before.SID || !got.Grants.Same(last) {
		t.Errorf("%+v left, was %+v", got, before)
	}
	// One that never became active, and is put out.
	a := stagedoor.Admission{Room: "hall", Identity: "shadow", TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true}}
	c := s.enter(t, sign(t, s.signer, a), false)
	await(t, "the shadow", func() bool { return s.get(t, "hall", "shadow") != nil })
	if found, err := door.Remove(t.Context(), "hall", "shadow"); err != nil || !found {
		t.Fatal(found, err)
	}
	if got := event("participant_connection_aborted", "shadow").Participant; got.SID != c.join.GetParticipant().GetSid() {
		t.Errorf("%+v was aborted", got)
	}
}

// deleteRoom ends a room with LiveKit's own client: the door has no such call.
func (s *server) deleteRoom(t *testing.T, room string) {
	t.Helper()
	token, err := auth.NewAccessToken(s.signer.Key, s.signer.Secret.Reveal()).SetVideoGrant(&auth.VideoGrant{RoomCreate: true}).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := twirp.WithHTTPRequestHeaders(t.Context(), http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	deleted, err := lkproto.NewRoomServiceProtobufClient("http://"+s.host, http.DefaultClient).DeleteRoom(ctx, &lkproto.DeleteRoomRequest{Room: room})
	if err != nil || proto.Size(deleted) != 0 {
		t.Fatal(deleted, err)
	}
}
