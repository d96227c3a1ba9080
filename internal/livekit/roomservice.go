package livekit

import (
	"context"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"stagedoor"
)

// RoomService asks a LiveKit deployment who is in which room, and changes
// what they may do there. The zero value refuses every call. Safe for
// concurrent use.
//
// Every call takes at most three seconds unless ctx has a deadline of its
// own, and signs a token that is good for that call alone. Errors of every
// method: Unavailable when LiveKit does not do what was asked, with
// ErrKeyRefused in the chain when it does not take the key; Internal when the
// call cannot be made. No error holds a token or text of LiveKit's answer.
//
// SPEC: livekit/protocol protobufs/livekit_room.proto service RoomService, as
// Twirp JSON: POST /twirp/livekit.RoomService/<Method>.
type RoomService struct {
	// URL is the deployment's base, http:// or https://, without a slash at the end.
	URL string
	// Key and Secret are an API key of the deployment.
	Key    string
	Secret stagedoor.Secret
	// Now is the clock.
	Now func() time.Time
	// Client makes the calls; nil for net/http's own. Its CheckRedirect is
	// not used: nobody else is sent the door's token.
	Client *http.Client
}

// participantRef is LiveKit's RoomParticipantIdentity.
type participantRef struct {
	Room     string `json:"room"`
	Identity string `json:"identity"`
	// RevokeTokenTS is in seconds since 1970, in RemoveParticipant only.
	RevokeTokenTS int64 `json:"revoke_token_ts,string,omitempty"`
}

// Rooms returns the rooms that there are. Empty is what LiveKit reports, which
// refreshes the number of participants every five seconds, so that a room may
// be called empty that long after its first participant.
func (s *RoomService) Rooms(ctx context.Context) ([]stagedoor.OpenRoom, error) {
	return s.listRooms(ctx, struct{}{})
}

// OpenRooms returns which of the rooms there are, as Rooms does. No rooms at
// all are none of them.
func (s *RoomService) OpenRooms(ctx context.Context, rooms []stagedoor.Room) ([]stagedoor.OpenRoom, error) {
	if len(rooms) == 0 {
		return nil, nil // no names would list every room
	}
	request := struct {
		Names []stagedoor.Room `json:"names"`
	}{rooms}
	return s.listRooms(ctx, request)
}

func (s *RoomService) listRooms(ctx context.Context, request any) ([]stagedoor.OpenRoom, error) {
	reply, _, err := s.call(ctx, "ListRooms", adminGrant{RoomList: true}, request)
	if err != nil {
		return nil, err
	}
	rooms := []stagedoor.OpenRoom{}
	for _, room := range reply.messages("rooms") {
		name := room.text("name")
		if name == "" {
			continue
		}
		open := stagedoor.OpenRoom{Room: stagedoor.Room(name), Empty: room.has("numParticipants") && room.integer("numParticipants") == 0}
		// Both times say the same; older servers know seconds alone.
		if milliseconds := room.integer("creationTimeMs"); milliseconds > 0 {
			open.CreatedAt = time.UnixMilli(milliseconds).UTC()
		} else if seconds := room.integer("creationTime"); seconds > 0 {
			open.CreatedAt = time.Unix(seconds, 0).UTC()
		}
		rooms = append(rooms, open)
	}
	if err := reply.failure(); err != nil {
		return nil, noAnswer(err)
	}
	return rooms, nil
}

// Participants returns everybody in a room, agents and recorders included. A
// room that is not there is an empty list.
func (s *RoomService) Participants(ctx context.Context, room stagedoor.Room) ([]stagedoor.Participant, error) {
	if err := checkNames(string(room)); err != nil {
		return nil, err
	}
	request := struct {
		Room string `json:"room"`
	}{string(room)}
	reply, found, err := s.call(ctx, "ListParticipants", adminOf(room), request)
	if err != nil {
		return nil, err
	}
	participants := []stagedoor.Participant{}
	if !found {
		return participants, nil
	}
	for _, item := range reply.messages("participants") {
		participants = append(participants, readParticipant(item, room))
	}
	if err := reply.failure(); err != nil {
		return nil, noAnswer(err)
	}
	return participants, nil
}

// Participant returns one participant; false when there is none.
func (s *RoomService) Participant(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (stagedoor.Participant, bool, error) {
	return s.one(ctx, "GetParticipant", room, identity, participantRef{Room: string(room), Identity: string(identity)})
}

// UpdatePermission makes the grants the participant's whole permission and
// changes nothing else of it. What is no longer allowed is unpublished at
// once, and LiveKit hands the participant a token that says the same. The
// result is what LiveKit reports afterwards; false when there is no such
// participant. Grants that allow publishing of no source at all, or of an
// unknown one, are refused as Internal, as by Signer.
func (s *RoomService) UpdatePermission(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity, grants stagedoor.Grants) (stagedoor.Participant, bool, error) {
	if err := checkSources(grants); err != nil {
		return stagedoor.Participant{}, false, &stagedoor.Error{Kind: stagedoor.Internal, Err: err}
	}
	// Name, metadata and attributes are not there: LiveKit leaves alone what is empty.
	request := struct {
		Room       string     `json:"room"`
		Identity   string     `json:"identity"`
		Permission permission `json:"permission"`
	}{string(room), string(identity), permissionOf(grants)}
	return s.one(ctx, "UpdateParticipant", room, identity, request)
}

// Remove puts a participant out; false when there is none. LiveKit Cloud also
// refuses every token that became valid before now, so that the participant
// cannot come back with an old one; one that the door signs within the next
// ten seconds is refused as well, since tokens are valid from ten seconds before
// they were signed. Other deployments (v1.13.5) ignore that: whoever must stay out
// has to be put out again on arrival.
//
// SPEC: livekit/protocol protobufs/livekit_room.proto revoke_token_ts, in seconds.
func (s *RoomService) Remove(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity) (bool, error) {
	if err := checkNames(string(room), string(identity)); err != nil {
		return false, err
	}
	if err := s.check(); err != nil {
		return false, err
	}
	request := participantRef{Room: string(room), Identity: string(identity), RevokeTokenTS: s.Now().Unix()}
	_, found, err := s.call(ctx, "RemoveParticipant", adminOf(room), request)
	return found, err
}

// Mute mutes one track of a participant; they may unmute it themselves. false
// when there is no such participant or track.
func (s *RoomService) Mute(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity, track string) (bool, error) {
	if err := checkNames(string(room), string(identity), track); err != nil {
		return false, err
	}
	request := struct {
		Room     string `json:"room"`
		Identity string `json:"identity"`
		Track    string `json:"track_sid"`
		Muted    bool   `json:"muted"`
	}{string(room), string(identity), track, true}
	_, found, err := s.call(ctx, "MutePublishedTrack", adminOf(room), request)
	return found, err
}

// Send sends a data message to one participant, reliably, under a topic.
// Nobody is told whether it arrived; false when the room is not there.
//
// SPEC: livekit/protocol protobufs/livekit_room.proto SendDataRequest.
func (s *RoomService) Send(ctx context.Context, room stagedoor.Room, identity stagedoor.Identity, topic string, data []byte) (bool, error) {
	if err := checkNames(string(room), string(identity), topic); err != nil {
		return false, err
	}
	request := struct {
		Room       string   `json:"room"`
		Data       []byte   `json:"data"`
		Kind       string   `json:"kind"`
		Identities []string `json:"destination_identities"`
		Topic      string   `json:"topic"`
	}{string(room), data, "RELIABLE", []string{string(identity)}, topic}
	_, found, err := s.call(ctx, "SendData", adminOf(room), request)
	return found, err
}

// one makes a call that answers with the participant it was about.
func (s *RoomService) one(ctx context.Context, method string, room stagedoor.Room, identity stagedoor.Identity, request any) (stagedoor.Participant, bool, error) {
	if err := checkNames(string(room), string(identity)); err != nil {
		return stagedoor.Participant{}, false, err
	}
	reply, found, err := s.call(ctx, method, adminOf(room), request)
	if err != nil || !found {
		return stagedoor.Participant{}, false, err
	}
	participant := readParticipant(reply, room)
	if err := reply.failure(); err != nil {
		return stagedoor.Participant{}, false, noAnswer(err)
	}
	if participant.Identity != identity {
		return stagedoor.Participant{}, false, noAnswer(errors.New("LiveKit's answer is not the participant that was asked for"))
	}
	return participant, true, nil
}

// adminOf is the right to administer one room.
func adminOf(room stagedoor.Room) adminGrant {
	return adminGrant{RoomAdmin: true, Room: string(room)}
}

// checkNames refuses what would name somebody else once it is encoded.
func checkNames(names ...string) error {
	for _, name := range names {
		if name == "" || !utf8.ValidString(name) {
			return &stagedoor.Error{Kind: stagedoor.Internal, Err: errors.New("a room or identity that is empty or not UTF-8")}
		}
	}
	return nil
}
