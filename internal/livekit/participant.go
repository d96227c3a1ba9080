package livekit

import (
	"slices"
	"time"

	"stagedoor"
)

// standardKind is the kind of everybody who is not an agent, a recorder, …
//
// SPEC: livekit/protocol protobufs/livekit_models.proto ParticipantInfo.Kind.
const standardKind = "STANDARD"

// audioTrack is the kind of track that carries sound.
const audioTrack = "AUDIO"

// trackTypes lists LiveKit's names of the kinds of tracks by their numbers.
//
// SPEC: livekit/protocol protobufs/livekit_models.proto TrackType.
func trackTypes() []string { return []string{audioTrack, "VIDEO", "DATA"} }

// sourceNames lists LiveKit's names of the sources by their numbers.
//
// SPEC: livekit/protocol protobufs/livekit_models.proto TrackSource.
func sourceNames() []string {
	return []string{"UNKNOWN", "CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"}
}

// numberOf returns the place of each source in sourceNames.
func numberOf(source stagedoor.Source) int {
	return slices.Index([]stagedoor.Source{"", stagedoor.Camera, stagedoor.Microphone, stagedoor.ScreenShare, stagedoor.ScreenShareAudio}, source)
}

// permission is everything LiveKit lets a participant be given. Each is
// written out, and what Grants has no word for is false: an update replaces all.
//
// SPEC: livekit/protocol protobufs/livekit_models.proto ParticipantPermission.
type permission struct {
	CanSubscribe          bool     `json:"can_subscribe"`
	CanPublish            bool     `json:"can_publish"`
	CanPublishData        bool     `json:"can_publish_data"`
	CanPublishSources     []string `json:"can_publish_sources"`
	Hidden                bool     `json:"hidden"`
	Recorder              bool     `json:"recorder"`
	CanUpdateMetadata     bool     `json:"can_update_metadata"`
	Agent                 bool     `json:"agent"`
	CanSubscribeMetrics   bool     `json:"can_subscribe_metrics"`
	CanManageAgentSession bool     `json:"can_manage_agent_session"`
}

// permissionOf writes grants that passed checkSources in LiveKit's words.
func permissionOf(g stagedoor.Grants) permission {
	p := permission{
		CanSubscribe: g.Subscribe, CanPublish: g.Publish, CanPublishData: g.PublishData,
		CanUpdateMetadata: g.UpdateOwnMetadata, CanPublishSources: []string{},
	}
	if g.Publish {
		for _, source := range g.Sources {
			p.CanPublishSources = append(p.CanPublishSources, sourceNames()[numberOf(source)])
		}
	}
	return p
}

// readParticipant reads a ParticipantInfo.
func readParticipant(m *message, room stagedoor.Room) stagedoor.Participant {
	p := stagedoor.Participant{
		Room: room, Identity: stagedoor.Identity(m.text("identity")), SID: m.text("sid"),
		Standard: m.enum("kind", []string{standardKind}) == standardKind,
		Grants:   readPermission(m.object("permission")),
	}
	for _, track := range m.messages("tracks") {
		p.Tracks = append(p.Tracks, stagedoor.Track{
			SID: track.text("sid"), Audio: track.enum("type", trackTypes()) == audioTrack, Muted: track.boolean("muted"),
		})
	}
	// Both times say the same; older servers know seconds alone.
	seconds, milliseconds := m.integer("joinedAt"), m.integer("joinedAtMs")
	switch {
	case milliseconds > 0:
		p.JoinedAt = time.UnixMilli(milliseconds).UTC()
	case seconds > 0:
		p.JoinedAt = time.Unix(seconds, 0).UTC()
	}
	return p
}

// readPermission reads a ParticipantPermission. One that is not there allows nothing.
func readPermission(m *message) stagedoor.Grants {
	if m == nil {
		return stagedoor.Grants{}
	}
	return stagedoor.Grants{
		Subscribe: m.boolean("canSubscribe"), Publish: m.boolean("canPublish"),
		PublishData: m.boolean("canPublishData"), UpdateOwnMetadata: m.boolean("canUpdateMetadata"),
		Sources: readSources(m.enums("canPublishSources", sourceNames())),
	}
}

// readSources turns LiveKit's names into the token's. No name means every
// source. Names that the door does not know are dropped, and the list stays a
// list: without any that it knows, it is empty rather than nil.
func readSources(names []string) []stagedoor.Source {
	if len(names) == 0 {
		return nil
	}
	sources := []stagedoor.Source{}
	for _, source := range stagedoor.AllSources() {
		if slices.Contains(names, sourceNames()[numberOf(source)]) {
			sources = append(sources, source)
		}
	}
	return sources
}
