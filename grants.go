package stagedoor

import (
	"slices"
	"time"
)

// Source is a kind of track, in the spelling of a LiveKit token.
//
// SPEC: livekit/protocol auth/grants.go compares these exactly.
type Source string

// The sources LiveKit knows.
const (
	Camera           Source = "camera"
	Microphone       Source = "microphone"
	ScreenShare      Source = "screen_share"
	ScreenShareAudio Source = "screen_share_audio"
)

// AllSources returns every source in the order answers list them.
func AllSources() []Source {
	return []Source{Camera, Microphone, ScreenShare, ScreenShareAudio}
}

// Grants is everything a participant may do in one room. The zero value
// allows nothing. There is deliberately no field for roomAdmin, roomCreate,
// hidden, recorder, agent or any other privilege: what cannot be said cannot
// be minted.
type Grants struct {
	Subscribe         bool
	Publish           bool
	PublishData       bool
	UpdateOwnMetadata bool
	// Sources limits what may be published; nil means every source. It has
	// no meaning unless Publish is true.
	Sources []Source
}

// EffectiveSources returns the sources that may really be published: all of
// them when unlimited, none (never nil) when publishing is denied.
func (g Grants) EffectiveSources() []Source {
	switch {
	case !g.Publish:
		return []Source{}
	case g.Sources == nil:
		return AllSources()
	default:
		return g.Sources
	}
}

// Rights are what LiveKit lets a participant do, as a set of bits. The zero
// value is nothing; AllRights is everything that Grants can say.
type Rights int64

// The bits of Rights.
const (
	rightSubscribe Rights = 1 << iota
	rightPublishData
	rightUpdateOwnMetadata
	rightCamera
	rightMicrophone
	rightScreenShare
	rightScreenShareAudio

	// AllRights is every right.
	AllRights = rightScreenShareAudio<<1 - 1
)

// Rights returns the grants as a set, with a right to publish for each source.
func (g Grants) Rights() Rights {
	var r Rights
	for right, granted := range map[Rights]bool{
		rightSubscribe: g.Subscribe, rightPublishData: g.PublishData, rightUpdateOwnMetadata: g.UpdateOwnMetadata,
	} {
		if granted {
			r |= right
		}
	}
	for _, source := range g.EffectiveSources() {
		r |= map[Source]Rights{
			Camera: rightCamera, Microphone: rightMicrophone,
			ScreenShare: rightScreenShare, ScreenShareAudio: rightScreenShareAudio,
		}[source]
	}
	return r
}

// Feature is one thing a plan includes, such as "publish".
type Feature string

// Denial says why publishing is withheld, in the words of the API.
// The zero value means that it is not.
type Denial string

// The reasons for withholding publishing.
const (
	NoSubscription       Denial = "no_subscription"
	SubscriptionInactive Denial = "subscription_inactive"
	FeatureNotInPlan     Denial = "feature_not_in_plan"
	BillingUnavailable   Denial = "billing_unavailable"
	DeniedByPolicy       Denial = "policy"
)

// Entitlement is the set of features a principal has now. The zero value is
// nothing paid for.
type Entitlement struct {
	Features []Feature
	// Withheld says why a feature is missing; the zero value reads as NoSubscription.
	Withheld Denial
	// Until is when the features change by themselves, at a known end; zero:
	// no such time is known.
	Until time.Time
	// ConfirmedAt is when Stripe last confirmed what this stands on, the oldest
	// fact of it; zero: it stands on no fact of Stripe's.
	ConfirmedAt time.Time
}

// Has reports whether the entitlement includes f.
func (e Entitlement) Has(f Feature) bool {
	for _, have := range e.Features {
		if have == f && f != "" {
			return true
		}
	}
	return false
}

// Decision is what the policy says of one principal in one room.
// The zero value grants nothing and cannot be signed, since its TTL is 0.
type Decision struct {
	Grants Grants
	// TTL is how long the token may be used to connect.
	TTL time.Duration
	// PublishDenied is set exactly when Grants.Publish is false.
	PublishDenied Denial
	// Until is when the decision is to be taken again by itself; zero: no such time is known.
	Until time.Time
	// Rule names the rule that decided; empty where no policy file is.
	Rule string
	// Entitlement is what was known of what the principal paid for. The door
	// sets it, and Rule where it is known, beside a refusal too: for the record.
	Entitlement Entitlement
	// Moderate lets the principal mute and remove others in this room, through the door.
	Moderate bool
	// Invite lets the principal invite guests to this room.
	Invite bool
	// Agents are the names of agents that a caller may ask for.
	Agents []string
	// Metadata lets a caller set their participant's metadata, Attributes the
	// attributes of these names.
	Metadata   bool
	Attributes []string
	// MaxParticipants caps the room's connections; 0: no cap.
	MaxParticipants int
	// MaxSession is how long the principal may be in the room, counted since the
	// first join until the room finishes; 0: no limit.
	MaxSession time.Duration
	// SessionEnds is when that is over; zero while it has not begun.
	SessionEnds time.Time
	// ManyDevices gives each device of the principal an identity of its own.
	// Without it one device takes the place of the other, or, with
	// RefuseSecond, the second is refused.
	ManyDevices, RefuseSecond bool
	// RemoveFor is how long somebody stays out whom a moderator removed.
	RemoveFor time.Duration
}

// Situation is everything that a decision is about. The zero value is nobody
// in no room.
type Situation struct {
	Principal   Principal
	Room        Room
	Entitlement Entitlement
	// Now is the moment of the decision.
	Now time.Time
	// ClientIP is the caller's address; empty for those who are in the room already.
	ClientIP string
}

// allows refuses what a caller asks for of their own participant and may not
// have. Errors: FieldNotAllowed.
func (d Decision) allows(r Request) error {
	if r.Device != "" && !d.ManyDevices {
		return Refuse(FieldNotAllowed, "this room's rules give a caller one place for all devices; leave device out")
	}
	for _, agent := range r.Agents {
		if !slices.Contains(d.Agents, agent.Name) {
			return Refuse(FieldNotAllowed, "room_config asks for an agent that this room's rules do not allow")
		}
	}
	if r.Metadata != "" && !d.Metadata {
		return Refuse(FieldNotAllowed, "participant_metadata may not be set by the caller; leave it out")
	}
	for name := range r.Attributes {
		if !slices.Contains(d.Attributes, name) {
			return Refuse(FieldNotAllowed, "participant_attributes has one that may not be set by the caller; leave it out")
		}
	}
	return nil
}

// watchOnly is the decision without anything but watching.
func (d Decision) watchOnly() Decision {
	if d.Grants.Publish {
		d.PublishDenied = BillingUnavailable
	}
	d.Grants = Grants{Subscribe: d.Grants.Subscribe}
	d.Moderate, d.Invite, d.Agents, d.Metadata, d.Attributes = false, false, nil, false, nil
	return d
}

// Same reports whether two sets of grants allow the same.
func (g Grants) Same(other Grants) bool {
	if g.Subscribe != other.Subscribe || g.Publish != other.Publish || g.PublishData != other.PublishData || g.UpdateOwnMetadata != other.UpdateOwnMetadata {
		return false
	}
	for _, source := range AllSources() {
		if slices.Contains(g.EffectiveSources(), source) != slices.Contains(other.EffectiveSources(), source) {
			return false
		}
	}
	return true
}
