package livekit

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	lkproto "github.com/livekit/protocol/livekit"
	"github.com/pion/webrtc/v4"
	"golang.org/x/net/websocket"
	"google.golang.org/protobuf/proto"

	"stagedoor"
)

// patience is how long a test waits for what the server does by itself.
const patience = 15 * time.Second

// client is a participant that stays: it speaks LiveKit's signal protocol,
// and WebRTC as far as the connection that counts as having joined.
type client struct {
	join *lkproto.JoinResponse
	conn *websocket.Conn
	peer *webrtc.PeerConnection
	gone chan struct{}

	mu sync.Mutex
	// info is the participant itself as the server last told it.
	info *lkproto.ParticipantInfo
	// refreshed is the last token that the server handed out, in place of the first.
	refreshed string
	left      *lkproto.LeaveRequest
	fault     error
}

// enter joins and stays until the test ends or the server ends it. With
// media it becomes active, which needs the right to subscribe.
func (s *server) enter(t *testing.T, token string, media bool) *client {
	t.Helper()
	query := url.Values{"access_token": {token}, "protocol": {"15"}, "sdk": {"go"}, "auto_subscribe": {"0"}}
	conn, err := websocket.Dial("ws://"+s.host+"/rtc?"+query.Encode(), "", "http://"+s.host)
	if err != nil {
		t.Fatal(err)
	}
	conn.PayloadType = websocket.BinaryFrame
	c := &client{conn: conn, gone: make(chan struct{})}
	t.Cleanup(c.leave)
	first, err := c.receive()
	if err != nil || first.GetJoin() == nil {
		t.Fatalf("the server's first message is no join: %v %v", first, err)
	}
	c.join, c.info = first.GetJoin(), first.GetJoin().GetParticipant()
	if media {
		settings := webrtc.SettingEngine{}
		settings.SetIncludeLoopbackCandidate(true)
		if c.peer, err = webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{}); err != nil {
			t.Fatal(err)
		}
	}
	go c.listen()
	return c
}

// leave breaks the connection as a closed laptop does; twice is fine.
func (c *client) leave() {
	_ = c.conn.Close()
	if c.peer != nil {
		_ = c.peer.Close()
	}
}

func (c *client) receive() (*lkproto.SignalResponse, error) {
	var frame []byte
	if err := websocket.Message.Receive(c.conn, &frame); err != nil {
		return nil, err
	}
	message := &lkproto.SignalResponse{}
	return message, proto.Unmarshal(frame, message)
}

// listen keeps what the server says until it says no more.
func (c *client) listen() {
	defer close(c.gone)
	for {
		message, err := c.receive()
		if err != nil {
			return
		}
		c.mu.Lock()
		for _, info := range message.GetUpdate().GetParticipants() {
			if info.GetSid() == c.info.GetSid() {
				c.info = info
			}
		}
		if token := message.GetRefreshToken(); token != "" {
			c.refreshed = token
		}
		if leave := message.GetLeave(); leave != nil {
			c.left = leave
		}
		c.fault = errors.Join(c.fault, c.connect(message))
		c.mu.Unlock()
	}
}

// connect answers the server's WebRTC offer.
func (c *client) connect(message *lkproto.SignalResponse) error {
	if c.peer == nil {
		return nil
	}
	if trickle := message.GetTrickle(); trickle.GetTarget() == lkproto.SignalTarget_SUBSCRIBER && trickle != nil {
		var candidate webrtc.ICECandidateInit
		return errors.Join(json.Unmarshal([]byte(trickle.GetCandidateInit()), &candidate), c.peer.AddICECandidate(candidate))
	}
	offer := message.GetOffer()
	if offer == nil {
		return nil
	}
	if err := c.peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer.GetSdp()}); err != nil {
		return err
	}
	answer, err := c.peer.CreateAnswer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(c.peer)
	if err := c.peer.SetLocalDescription(answer); err != nil {
		return err
	}
	<-gathered
	frame, err := proto.Marshal(&lkproto.SignalRequest{Message: &lkproto.SignalRequest_Answer{
		Answer: &lkproto.SessionDescription{Type: "answer", Sdp: c.peer.LocalDescription().SDP, Id: offer.GetId()}}})
	if err != nil {
		return err
	}
	return websocket.Message.Send(c.conn, frame)
}

// seen returns what the server told the participant so far.
func (c *client) seen() (info *lkproto.ParticipantInfo, refreshed string, left *lkproto.LeaveRequest, fault error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info, c.refreshed, c.left, c.fault
}

// await polls until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// wantSameParticipant compares what we read with what LiveKit's own code does.
func wantSameParticipant(ours stagedoor.Participant, theirs *lkproto.ParticipantInfo, room string) error {
	at := time.UnixMilli(theirs.GetJoinedAtMs())
	switch {
	case theirs.GetJoinedAtMs() == 0 && theirs.GetJoinedAt() == 0:
		at = time.Time{}
	case theirs.GetJoinedAtMs() == 0:
		at = time.Unix(theirs.GetJoinedAt(), 0)
	}
	if string(ours.Room) != room || ours.SID != theirs.GetSid() || string(ours.Identity) != theirs.GetIdentity() || !ours.JoinedAt.Equal(at) ||
		ours.Standard != (theirs.GetKind() == lkproto.ParticipantInfo_STANDARD) {
		return fmt.Errorf("ours %+v, LiveKit's %v", ours, theirs)
	}
	return wantSamePermission(ours.Grants, theirs.GetPermission())
}

func wantSamePermission(ours stagedoor.Grants, theirs *lkproto.ParticipantPermission) error {
	want := stagedoor.Grants{Subscribe: theirs.GetCanSubscribe(), Publish: theirs.GetCanPublish(),
		PublishData: theirs.GetCanPublishData(), UpdateOwnMetadata: theirs.GetCanUpdateMetadata()}
	if len(theirs.GetCanPublishSources()) > 0 {
		want.Sources = []stagedoor.Source{}
	}
	for _, listed := range theirs.GetCanPublishSources() {
		for source, number := range trackSources {
			if number == listed {
				want.Sources = append(want.Sources, source)
			}
		}
	}
	if !ours.Same(want) || (ours.Sources == nil) != (want.Sources == nil) {
		return fmt.Errorf("our grants %+v, LiveKit's %v", ours, theirs)
	}
	return nil
}
