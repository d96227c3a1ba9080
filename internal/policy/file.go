package policy

import (
	"reflect"
	"slices"
	"strconv"
	"time"

	"stagedoor"

	"cel.dev/cel-go/common/cost"
)

// Limits are what a file inherits from the environment. The zero value lets
// nobody publish without a condition that says so, makes tokens without a
// lifetime, which cannot be signed, and takes no URL without TLS.
type Limits struct {
	// PublishFeature is the feature that opens publishing where a rule does not say.
	PublishFeature stagedoor.Feature
	// TTL is how long a token may be used to connect where a rule does not say.
	TTL time.Duration
	// PrivateHost says to which hosts an issuer's URL may lead without TLS; nil means none.
	PrivateHost func(host string) bool
}

// File is a policy file, compiled. The zero value opens no room. Safe for
// concurrent use: nothing of it changes once it is parsed.
type File struct {
	name        string
	rules       []*rule
	issuers     []Issuer
	defaultRoom stagedoor.Room
	budget      *cost.Tracker
}

// Parse reads, checks and compiles a policy file: at most 1 MiB of YAML whose
// conditions are CEL. name is what faults call it. The error is Faults and
// lists every one; a file with a fault is not returned.
func Parse(name string, data []byte, o Limits) (*File, error) {
	r := &reader{report: report{file: name}}
	body := r.tree(data)
	if body == nil {
		return nil, r.err()
	}
	var spec fileSpec
	r.fill("", body, reflect.ValueOf(&spec).Elem(), "")
	dialect, err := newDialect()
	if err != nil {
		return nil, err
	}
	budget, err := newBudget()
	if err != nil {
		return nil, err
	}
	f := &File{name: name, budget: budget}
	f.issuers = r.issuers(spec.Issuers, o.PrivateHost)
	f.defaultRoom = r.room("default_room", spec.DefaultRoom)
	for i := range spec.Rooms {
		f.rules = append(f.rules, r.rule(&spec.Rooms[i], "rooms["+strconv.Itoa(i)+"]", dialect, o))
	}
	if len(spec.Rooms) == 0 && len(r.faults) == 0 {
		r.add(spec.At, "rooms", "holds no rule: nobody could join any room", "write at least one")
	}
	r.shadows(f.rules)
	if len(r.faults) == 0 { // only a whole file can say what decides
		r.fallback(f, spec.DefaultRoom)
		r.examples(f)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// room checks a room's name.
func (r *reader) room(path string, t text) stagedoor.Room {
	if !t.given {
		return ""
	}
	room, err := parseRoom(t.value)
	if err != nil {
		r.add(t.at, path, err.Error(), "")
	}
	return room
}

// fallback reports a default room that opens for nobody.
func (r *reader) fallback(f *File, t text) {
	if rule, _ := f.match(f.defaultRoom); !t.given || rule != nil {
		return
	}
	r.add(t.at, "default_room", "is a room that no rule is about: whoever names no room would be refused"+f.nearly(f.defaultRoom), "name a room that one of the rules is about")
}

// shadows reports rules that can never decide, and names that two rules share.
func (r *reader) shadows(rules []*rule) {
	for i, later := range rules {
		for _, earlier := range rules[:i] {
			if earlier.name == later.name && earlier.name != "" && earlier.pattern.text != later.pattern.text {
				r.add(later.at, later.path+".name", "another rule has this name already, in line "+strconv.Itoa(earlier.at.line), "choose another: explanations and records tell rules apart by it")
			}
			if len(later.pattern.parts) == 0 || len(earlier.pattern.parts) == 0 || !earlier.pattern.covers(&later.pattern) {
				continue
			}
			what := "can never match: the rule in line " + strconv.Itoa(earlier.at.line) + " takes every room that it could"
			if later.pattern.covers(&earlier.pattern) {
				what = "can never match: the rule in line " + strconv.Itoa(earlier.at.line) + " is about the same rooms"
			}
			r.add(later.roomAt, later.path+".room", what, "put the narrower pattern first, or join the two")
			break
		}
	}
}

// Claims returns the names of the top-level claims that any condition can
// read, sorted. all reports that a condition can read any claim, since it uses
// them as a whole (size(claims), claims[x]); then the names are not enough.
func (f *File) Claims() (names []string, all bool) {
	for _, rule := range f.rules {
		names = append(names, rule.claims...)
		all = all || rule.allClaims
	}
	slices.Sort(names)
	return slices.Compact(names), all
}

// Rules returns how many rules the file has.
func (f *File) Rules() int { return len(f.rules) }

// Unpaid returns the names of the rules that can let somebody publish without
// asking for a feature by its name, in the file's order.
func (f *File) Unpaid() []string {
	var names []string
	for _, rule := range f.rules {
		if p := &rule.publish; len(p.reads.features) == 0 && (p.program != nil || p.constant) {
			names = append(names, rule.name)
		}
	}
	return names
}

// Issuers returns the file's issuers, in its order.
func (f *File) Issuers() []Issuer { return slices.Clone(f.issuers) }

// DefaultRoom returns the room of a request that names none; empty: there is none.
func (f *File) DefaultRoom() stagedoor.Room { return f.defaultRoom }
