package livekit

import (
	"net/url"
	"strings"
	"testing"
	"time"

	lkproto "github.com/livekit/protocol/livekit"
	"golang.org/x/net/websocket"
	"google.golang.org/protobuf/proto"

	"stagedoor"
	"stagedoor/internal/livekit"
)

// samples are admissions of each kind of grant, in each place and under each name.
func samples() []stagedoor.Admission {
	var list []stagedoor.Admission
	for i, grants := range everyGrants() {
		if unsignable(grants) {
			continue
		}
		// Every combination once; places and names change along the way.
		p, name := places()[i%len(places())], names()[i%len(names())]
		list = append(list, stagedoor.Admission{Room: p.room, Identity: p.identity, Name: name, Grants: grants, TTL: time.Hour})
	}
	for _, p := range places() {
		for _, name := range names() {
			list = append(list, stagedoor.Admission{Room: p.room, Identity: p.identity, Name: name, TTL: 2 * time.Minute})
		}
	}
	return list
}

// TestRealServer lets a real LiveKit server judge the tokens.
func TestRealServer(t *testing.T) {
	s := startServer(t)
	t.Run("accepts", func(t *testing.T) {
		if len(samples()) < 400 {
			t.Fatalf("%d samples", len(samples()))
		}
		for _, a := range samples() {
			if status, body := s.validate(t, sign(t, s.signer, a)); status != 200 || body != "success" {
				t.Fatalf("%s: %d %s", label(a), status, body)
			}
		}
		t.Logf("%d tokens", len(samples()))
	})
	t.Run("refuses", s.testRefuses)
	t.Run("grants", s.testGrants)
}

// testRefuses: the server says no to what is not ours or no longer counts.
func (s *server) testRefuses(t *testing.T) {
	at := func(offset time.Duration) *livekit.Signer {
		signer := *s.signer
		signer.Now = func() time.Time { return time.Now().Add(offset) }
		return &signer
	}
	other, stranger := at(0), at(0)
	other.Secret = stagedoor.NewSecret(apiSecret)
	stranger.Key = "APIstranger"
	good := sign(t, s.signer, plain())
	short, long := plain(), plain()
	short.TTL = time.Second
	long.Identity = stagedoor.Identity(strings.Repeat("é", 129))
	wide := plain()
	wide.Room = stagedoor.Room(strings.Repeat("r", stagedoor.MaxTextBytes+1))
	cases := []struct {
		name, token, body string
		status            int
	}{
		{"an expired token", sign(t, at(-63*time.Second), short), "invalid token: ", 401},
		{"a token of tomorrow", sign(t, at(90*time.Second), plain()), "invalid token: ", 401},
		{"a wrong secret", sign(t, other, plain()), "invalid token: ", 401},
		{"an unknown key", sign(t, stranger, plain()), "invalid API key", 401},
		{"more than was granted", tampered(t, good, `"canPublishData":false`, `"canPublishData":true`), "invalid token: ", 401},
		{"another room", tampered(t, good, "test-room", "best-room"), "invalid token: ", 401},
		{"another name in front", tampered(t, good, `"sub":"user-1"`, `"sub":"user-2"`), "invalid token: ", 401},
		{"no signature", good[:strings.LastIndexByte(good, '.')+1], "invalid token: ", 401},
		{"no algorithm", swapHeader(good, `{"alg":"none","typ":"JWT"}`), "invalid token: ", 401},
		{"nothing", "", "", 401},
		{"an identity of 258 bytes", sign(t, s.signer, long), "participant identity length exceeds limits", 400},
		{"a room of 257 bytes", sign(t, s.signer, wide), "room name length exceeds limits", 400},
	}
	for _, c := range cases {
		if status, body := s.validate(t, c.token); status != c.status || !strings.HasPrefix(body, c.body) {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
}

// testGrants joins for real and compares the permission that the server gives
// the participant with the admission.
func (s *server) testGrants(t *testing.T) {
	joined := 0
	for i, grants := range everyGrants() {
		if unsignable(grants) || len(grants.Sources) > 2 && i%4 != 0 {
			continue
		}
		p := places()[i%len(places())]
		a := stagedoor.Admission{Room: p.room, Identity: p.identity, Name: names()[i%len(names())], Grants: grants, TTL: time.Hour}
		join := s.join(t, sign(t, s.signer, a))
		got, who := join.GetParticipant().GetPermission(), join.GetParticipant()
		want := officialGrant(a).ToPermission()
		if !proto.Equal(got, want) || got.GetCanPublish() != grants.Publish || got.GetCanSubscribe() != grants.Subscribe ||
			got.GetCanPublishData() != grants.PublishData || got.GetCanUpdateMetadata() != grants.UpdateOwnMetadata {
			t.Fatalf("%s: the server permits %v, want %v", label(a), got, want)
		}
		if who.GetIdentity() != string(a.Identity) || who.GetName() != a.Name || join.GetRoom().GetName() != string(a.Room) ||
			who.GetKind() != lkproto.ParticipantInfo_STANDARD || who.GetMetadata() != "" || len(who.GetAttributes()) != 0 {
			t.Fatalf("%s: the server lets in %v to %v", label(a), who, join.GetRoom())
		}
		joined++
	}
	if joined < 200 {
		t.Errorf("%d joined", joined)
	}
	t.Logf("%d joined", joined)
}

// join opens the signal connection as a client does and returns the server's
// first message. The connection is closed at once.
func (s *server) join(t *testing.T, token string) *lkproto.JoinResponse {
	t.Helper()
	query := url.Values{"access_token": {token}, "protocol": {"15"}, "sdk": {"go"}, "auto_subscribe": {"0"}}
	conn, err := websocket.Dial("ws://"+s.host+"/rtc?"+query.Encode(), "", "http://"+s.host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var frame []byte
	if err := websocket.Message.Receive(conn, &frame); err != nil {
		t.Fatal(err)
	}
	var message lkproto.SignalResponse
	if err := proto.Unmarshal(frame, &message); err != nil {
		t.Fatal(err)
	}
	if message.GetJoin() == nil {
		t.Fatalf("the server's first message is no join: %v", &message)
	}
	return message.GetJoin()
}
