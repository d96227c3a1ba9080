package evasion

import (
	"encoding/json"
	"net/url"
	"sync"
	"time"

	lkproto "github.com/livekit/protocol/livekit"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"golang.org/x/net/websocket"
	"google.golang.org/protobuf/proto"
)

// kind is how a client connects. LiveKit reports an arrival when the primary
// connection is up: the subscriber's in protocol 15, the publisher's in
// protocol 2. Each kind but the ordinary one leaves it down.
type kind struct {
	name     string
	protocol string
	// publish and subscribe say which connections the client brings up.
	publish, subscribe bool
}

var kinds = []kind{
	{name: "ordinary", protocol: "15", publish: true, subscribe: true},
	{name: "publisher only", protocol: "15", publish: true},
	{name: "subscriber only", protocol: "2", subscribe: true},
	{name: "signalling alone", protocol: "15"},
}

// client is a participant in a room.
type client struct {
	kind kind
	conn *websocket.Conn
	// gone is closed when the server has ended the session.
	gone                  chan struct{}
	publisher, subscriber *webrtc.PeerConnection

	mu        sync.Mutex
	refreshed string
}

// enter connects with a token. The error is the server's refusal.
func enter(serverURL, token string, k kind) (*client, error) {
	query := url.Values{"access_token": {token}, "protocol": {k.protocol}, "sdk": {"go"}, "auto_subscribe": {"1"}}
	conn, err := websocket.Dial(serverURL+"/rtc?"+query.Encode(), "", "http://127.0.0.1")
	if err != nil {
		return nil, err
	}
	conn.PayloadType = websocket.BinaryFrame
	c := &client{kind: k, conn: conn, gone: make(chan struct{})}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	if k.publish {
		if c.publisher, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
			return nil, err
		}
	}
	if k.subscribe {
		if c.subscriber, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
			return nil, err
		}
	}
	go c.listen()
	if k.publish {
		_ = c.offer() // fails when the server has ended the session already
	}
	return c, nil
}

// offer offers a track and a data channel, and sends sound from then on.
func (c *client) offer() error {
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "sound", "sound")
	if err != nil {
		return err
	}
	if _, err = c.publisher.AddTrack(track); err != nil {
		return err
	}
	if _, err = c.publisher.CreateDataChannel("_reliable", nil); err != nil {
		return err
	}
	if err := c.send(&lkproto.SignalRequest{Message: &lkproto.SignalRequest_AddTrack{AddTrack: &lkproto.AddTrackRequest{
		Cid: track.ID(), Name: "sound", Type: lkproto.TrackType_AUDIO, Source: lkproto.TrackSource_MICROPHONE,
	}}}); err != nil {
		return err
	}
	description, err := c.publisher.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(c.publisher)
	if err := c.publisher.SetLocalDescription(description); err != nil {
		return err
	}
	<-gathered
	go func() {
		for {
			select {
			case <-c.gone:
				return
			case <-time.After(20 * time.Millisecond):
				_ = track.WriteSample(media.Sample{Data: []byte{0xf8, 0xff, 0xfe}, Duration: 20 * time.Millisecond})
			}
		}
	}()
	return c.send(&lkproto.SignalRequest{Message: &lkproto.SignalRequest_Offer{Offer: &lkproto.SessionDescription{
		Type: "offer", Sdp: c.publisher.LocalDescription().SDP,
	}}})
}

func (c *client) send(request *lkproto.SignalRequest) error {
	frame, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	return websocket.Message.Send(c.conn, frame)
}

// listen answers the server until it ends the session.
func (c *client) listen() {
	defer close(c.gone)
	defer c.leave()
	for {
		var frame []byte
		if err := websocket.Message.Receive(c.conn, &frame); err != nil {
			return
		}
		message := &lkproto.SignalResponse{}
		if err := proto.Unmarshal(frame, message); err != nil {
			return
		}
		if token := message.GetRefreshToken(); token != "" {
			c.mu.Lock()
			c.refreshed = token
			c.mu.Unlock()
		}
		if message.GetLeave() != nil {
			return
		}
		c.answer(message)
	}
}

// answer brings up the connections that this kind of client has.
func (c *client) answer(message *lkproto.SignalResponse) {
	if trickle := message.GetTrickle(); trickle != nil {
		peer := c.publisher
		if trickle.GetTarget() == lkproto.SignalTarget_SUBSCRIBER {
			peer = c.subscriber
		}
		var candidate webrtc.ICECandidateInit
		if peer != nil && json.Unmarshal([]byte(trickle.GetCandidateInit()), &candidate) == nil {
			_ = peer.AddICECandidate(candidate)
		}
	}
	if answer := message.GetAnswer(); answer != nil && c.publisher != nil {
		_ = c.publisher.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.GetSdp()})
	}
	offer := message.GetOffer()
	if offer == nil || c.subscriber == nil {
		return
	}
	_ = c.subscriber.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer.GetSdp()})
	answer, err := c.subscriber.CreateAnswer(nil)
	if err != nil {
		return
	}
	gathered := webrtc.GatheringCompletePromise(c.subscriber)
	_ = c.subscriber.SetLocalDescription(answer)
	<-gathered
	_ = c.send(&lkproto.SignalRequest{Message: &lkproto.SignalRequest_Answer{Answer: &lkproto.SessionDescription{
		Type: "answer", Sdp: c.subscriber.LocalDescription().SDP, Id: offer.GetId(),
	}}})
}

// leave breaks every connection.
func (c *client) leave() {
	_ = c.conn.Close()
	for _, peer := range []*webrtc.PeerConnection{c.publisher, c.subscriber} {
		if peer != nil {
			_ = peer.Close()
		}
	}
}

// token is the last token that the server handed out, or the first one.
func (c *client) token(first string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refreshed != "" {
		return c.refreshed
	}
	return first
}
