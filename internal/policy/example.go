package policy

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"stagedoor"
)

// exampleIssuer is who issued an example's token where nothing says so.
const exampleIssuer = "https://issuer.example"

// Outcome is what one expectation of an example came to. The zero value is a
// failure that names nothing.
type Outcome struct {
	// Rule is the rule's name, Line the example's.
	Rule string
	Line int
	// What is looked at, such as "ann in team-red: publish".
	What      string
	Want, Got string
	OK        bool
	// Why is what the conditions that it depends on gave, as Explain says it;
	// empty where OK.
	Why string
}

// example is one example of a rule.
type example struct {
	spec *exampleSpec
	rule *rule
	path string
}

func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// examples reports examples that say nothing, or nothing about their rule.
func (r *reader) examples(f *File) {
	for _, rule := range f.rules {
		for _, e := range rule.examples {
			r.example(f, &e)
		}
	}
}

// example checks one.
func (r *reader) example(f *File, e *example) {
	room := r.room(e.path+".room", e.spec.Room)
	if room == "" {
		return
	}
	hyphens := e.rule.pattern.butForHyphens(string(room))
	switch decides, _ := f.match(room); {
	case decides != e.rule && hyphens:
		r.add(e.spec.Room.at, e.path+".room", "'"+e.spec.Room.value+"' is no room of this rule, "+e.rule.pattern.text, hyphenHint)
	case decides == nil:
		r.add(e.spec.Room.at, e.path+".room", "'"+e.spec.Room.value+"' is a room that no rule is about", "this rule's is "+e.rule.pattern.text)
	case decides != e.rule:
		r.add(e.spec.Room.at, e.path+".room", "'"+e.spec.Room.value+"' is decided by the rule in line "+strconv.Itoa(decides.at.line),
			"move the example there, or name a room that this rule decides")
	}
	for _, c := range e.rule.conditions() {
		if c.reads.now && !e.spec.Now.given {
			r.add(e.spec.At, e.path, "does not say when, and the condition "+c.key+" reads now", "write now: 2026-01-31T20:00:00Z")
			break
		}
	}
	if e.rule.join.reads.ip && e.spec.IP.value == "" {
		r.add(e.spec.At, e.path, "does not say from where, and join reads request.ip", "write ip: 192.0.2.1")
	}
	x := &e.spec.Expect
	if !x.Join.given && !x.Publish.given && !x.Sources.given && !x.Data.given && !x.Moderate.given && !x.Invite.given && !x.Denied.given {
		r.add(x.At, e.path+".expect", "expects nothing", "write expect: {join: true, publish: false}")
	}
	if subject, ok := e.spec.Claims.claims["sub"]; ok {
		if text, isText := subject.(string); !isText || text == "" {
			r.add(e.spec.At, e.path+".claims.sub", "must be text", "")
		}
	}
}

// situation is what the example is about. issuers are the file's.
func (e *example) situation(issuers []Issuer) stagedoor.Situation {
	claims := stagedoor.Claims{"sub": "example"}
	maps.Copy(claims, e.spec.Claims.claims)
	subject, _ := claims["sub"].(string)
	p := stagedoor.Principal{Subject: subject, Handle: subject, Claims: claims}
	p.Issuer, _ = claims["iss"].(string)
	p.Issuer = cmp.Or(e.spec.Issuer.value, p.Issuer)
	nameClaim := "name"
	for _, i := range issuers {
		if p.Issuer != "" && p.Issuer != i.Issuer {
			continue
		}
		p.Issuer, p.IdentityPrefix, nameClaim = i.Issuer, i.IdentityPrefix, cmp.Or(i.NameClaim, nameClaim)
		if i.IdentityClaim != "" {
			value, _ := claims.At(i.IdentityClaim)
			p.Handle, _ = value.(string)
		}
		break
	}
	p.Issuer = cmp.Or(p.Issuer, exampleIssuer)
	name, _ := claims.At(nameClaim)
	p.Name, _ = name.(string)
	s := stagedoor.Situation{Principal: p, Room: stagedoor.Room(e.spec.Room.value), Now: e.spec.Now.value, ClientIP: e.spec.IP.value}
	for _, feature := range e.spec.Features.strings() {
		s.Entitlement.Features = append(s.Entitlement.Features, stagedoor.Feature(feature))
	}
	s.Entitlement.Withheld = stagedoor.NoSubscription
	if len(s.Entitlement.Features) > 0 {
		s.Entitlement.Withheld = stagedoor.FeatureNotInPlan
	}
	return s
}

// Test runs the examples of all rules, in the order of the file: one Outcome
// for each thing expected. A file without examples gives none.
func (f *File) Test() []Outcome {
	var all []Outcome
	for _, rule := range f.rules {
		for _, e := range rule.examples {
			all = append(all, e.run(f)...)
		}
	}
	return all
}

// run compares one example with what Decide says.
func (e *example) run(f *File) []Outcome {
	s := e.situation(f.issuers)
	var steps []stagedoor.Step
	d, err := f.decide(&s, func(c *compiled, holds bool, err error) { steps = append(steps, outcome(c, holds, err)) })
	var outcomes []Outcome
	look := func(given bool, what, want, got string) {
		if !given {
			return
		}
		if err != nil && what != "join" {
			got = "refused"
			if want == "false" { // who is refused may do nothing
				got = "false"
			}
		}
		o := Outcome{Rule: e.rule.name, Line: e.spec.At.line, What: stagedoor.Printable(s.Principal.Subject + " in " + string(s.Room) + ": " + what),
			Want: want, Got: got, OK: want == got}
		if !o.OK {
			o.Why = why(what, steps, err)
		}
		outcomes = append(outcomes, o)
	}
	x := &e.spec.Expect
	look(x.Join.given, "join", strconv.FormatBool(x.Join.on), strconv.FormatBool(err == nil))
	look(x.Publish.given, "publish", strconv.FormatBool(x.Publish.on), strconv.FormatBool(d.Grants.Publish))
	look(x.Sources.given, "sources", list(x.Sources.strings()), list(d.Grants.EffectiveSources()))
	look(x.Data.given, "data", strconv.FormatBool(x.Data.on), strconv.FormatBool(d.Grants.PublishData))
	look(x.Moderate.given, "moderate", strconv.FormatBool(x.Moderate.on), strconv.FormatBool(d.Moderate))
	look(x.Invite.given, "invite", strconv.FormatBool(x.Invite.on), strconv.FormatBool(d.Invite))
	look(x.Denied.given, "denied", x.Denied.value, cmp.Or(string(d.PublishDenied), "nothing"))
	return outcomes
}

// why picks the steps that say how an expectation came out.
func why(what string, steps []stagedoor.Step, err error) string {
	if len(steps) == 0 { // not even join was asked
		return stagedoor.Printable(err.Error())
	}
	named := func(name string) bool {
		return slices.ContainsFunc(steps, func(s stagedoor.Step) bool { return s.Name == name })
	}
	switch {
	case err != nil:
		what = "join"
	case !named(what): // sources, denied, and data where it follows publish
		what = "publish"
	}
	var words []string
	for _, s := range steps {
		if s.Name == what || what == "publish" && strings.HasPrefix(s.Name, "sources.") {
			words = append(words, s.Name+": "+s.Text)
		}
	}
	return strings.Join(words, "; ")
}

// list words names in an order of their own.
func list[T ~string](names []T) string {
	sorted := slices.Sorted(slices.Values(names))
	words := make([]string, len(sorted))
	for i, name := range sorted {
		words[i] = string(name)
	}
	return cmp.Or(strings.Join(words, ", "), "none")
}
