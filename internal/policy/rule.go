package policy

import (
	"errors"
	"slices"
	"strings"
	"time"

	"stagedoor"

	"golang.org/x/text/unicode/norm"
)

const (
	// cappedTTL is how long a token for a capped room lives: a seat is held
	// for it until its holder arrives.
	cappedTTL = 2 * time.Minute
	// defaultRemoveFor is how long a moderator's removal lasts.
	defaultRemoveFor = time.Hour
	// defaultInvite is who may invite guests.
	defaultInvite stagedoor.Feature = "invite"
)

// rule is one rule, compiled. The zero value matches no room.
type rule struct {
	name     string
	path     string // rooms[1]
	at       place
	roomAt   place
	pattern  pattern
	segments []string

	join, publish, moderate, invite compiled
	data                            *compiled // nil follows publish
	sources                         []source  // nil: all, without a limit

	// fixed is what the rule grants whoever joins, whatever its conditions say.
	fixed stagedoor.Decision

	claims    []string
	allClaims bool
	examples  []example
}

// source is one kind of track that may be published.
type source struct {
	name stagedoor.Source
	when compiled
}

// parseRoom checks a room's name as requests are checked.
func parseRoom(name string) (stagedoor.Room, error) {
	if !norm.NFC.IsNormalString(name) {
		return "", errors.New("is not in NFC, as room names are")
	}
	if err := stagedoor.CheckText(name); err != nil {
		return "", errors.New("is no room name: it " + err.Error())
	}
	return stagedoor.Room(name), nil
}

// rule compiles one rule and reports everything wrong with it.
func (r *reader) rule(spec *ruleSpec, path string, d *dialect, o Limits) *rule {
	made := &rule{path: path, at: spec.At, roomAt: spec.Room.at, name: spec.Name.value}
	if spec.Room.given {
		var err error
		if made.pattern, err = parsePattern(spec.Room.value); err != nil {
			r.add(spec.Room.at, path+".room", err.Error(), "")
			made.pattern = pattern{}
		} else if what, remedy := checkForeign(spec.Room.value); what != "" {
			r.add(spec.Room.at, path+".room", what, remedy)
		}
		if made.name == "" {
			made.name = spec.Room.value
		}
	}
	if err := stagedoor.CheckText(made.name); err != nil && spec.Name.given {
		r.add(spec.Name.at, path+".name", err.Error(), "")
	}
	made.segments = made.pattern.names()
	r.conditions(made, spec, d, o)
	r.fixed(made, spec, path, o)
	for _, c := range made.conditions() {
		made.claims = append(made.claims, c.reads.claims...)
		made.allClaims = made.allClaims || c.reads.all
	}
	slices.Sort(made.claims)
	made.claims = slices.Compact(made.claims)
	for i := range spec.Examples {
		made.examples = append(made.examples, example{spec: &spec.Examples[i], rule: made, path: indexed(path+".examples", i)})
	}
	return made
}

// conditions compiles the rule's conditions, given or not.
func (r *reader) conditions(made *rule, spec *ruleSpec, d *dialect, o Limits) {
	c := &compiler{reader: r, dialect: d, segments: made.segments, path: made.path}
	or := func(given condition, otherwise string) condition {
		if given.given {
			return given
		}
		return condition{text{value: otherwise, at: spec.At}}
	}
	publish := "false"
	if o.PublishFeature != "" {
		publish = asksFor(o.PublishFeature)
	}
	made.join = c.compile("join", or(spec.Join, "true"), true)
	made.publish = c.compile("publish", or(spec.Publish, publish), false)
	made.moderate = c.compile("moderate", or(spec.Moderate, "false"), false)
	made.invite = c.compile("invite", or(spec.Invite, asksFor(defaultInvite)), false)
	if spec.Data.given {
		data := c.compile("data", spec.Data, false)
		made.data = &data
	}
	for _, name := range stagedoor.AllSources() {
		if when, ok := spec.Sources.conditions[name]; ok {
			made.sources = append(made.sources, source{name, c.compile("sources."+string(name), or(when, "true"), false)})
		}
	}
}

// fixed fills in what does not depend on who asks.
func (r *reader) fixed(made *rule, spec *ruleSpec, path string, o Limits) {
	made.fixed = stagedoor.Decision{
		Grants:          stagedoor.Grants{Subscribe: true},
		Rule:            made.name,
		TTL:             o.TTL,
		Agents:          spec.Agents.strings(),
		Metadata:        spec.Metadata.on,
		Attributes:      spec.Attributes.strings(),
		MaxParticipants: spec.MaxParticipants.value,
		MaxSession:      spec.MaxSession.value,
		ManyDevices:     spec.Devices.value == "many",
		RefuseSecond:    spec.RefuseSecond.on,
		RemoveFor:       defaultRemoveFor,
	}
	if spec.TTL.value > 0 {
		made.fixed.TTL = spec.TTL.value
	}
	if made.fixed.MaxParticipants > 0 {
		made.fixed.TTL = min(made.fixed.TTL, cappedTTL)
	}
	if spec.RemoveFor.value > 0 {
		made.fixed.RemoveFor = spec.RemoveFor.value
	}
	if made.fixed.ManyDevices && made.fixed.RefuseSecond {
		r.add(spec.Devices.at, path+".refuse_second", "has no meaning with devices: many", "leave one of them out")
	}
	for _, name := range spec.Agents.values {
		if err := stagedoor.CheckText(name.value); err != nil {
			r.add(name.at, path+".agents", "an agent's name "+err.Error(), "")
		}
	}
	for _, name := range spec.Attributes.values {
		r.attribute(name, path+".attributes")
	}
}

// attribute refuses names that mean something to the door or to LiveKit.
//
// SPEC: attributes that begin with "lk." are LiveKit's own, such as an agent's state.
func (r *reader) attribute(name text, path string) {
	switch {
	case name.value == "device" || name.value == "guest":
		r.add(name.at, path, "'"+name.value+"' is how a request says which device or guest it is for, and is never set", "leave it out")
	case strings.HasPrefix(name.value, "lk."):
		r.add(name.at, path, "'"+name.value+"' is LiveKit's own", "choose a name that does not begin with lk.")
	default:
		if err := stagedoor.CheckText(name.value); err != nil {
			r.add(name.at, path, "an attribute's name "+err.Error(), "")
		}
	}
}

// conditions lists all of the rule's conditions.
func (r *rule) conditions() []*compiled {
	all := []*compiled{&r.join, &r.publish}
	for i := range r.sources {
		all = append(all, &r.sources[i].when)
	}
	if r.data != nil {
		all = append(all, r.data)
	}
	return append(all, &r.moderate, &r.invite)
}
