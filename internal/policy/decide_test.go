package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func TestDesignExample(t *testing.T) {
	f := parse(t, designExample)
	d, err := f.Decide(who("team-red", stagedoor.Claims{"sub": "ann", "teams": []any{"blue", "red"}, "role": "host"}, "publish"))
	want := stagedoor.Decision{
		Grants: stagedoor.Grants{Subscribe: true, Publish: true, PublishData: true, Sources: stagedoor.AllSources()},
		TTL:    2 * time.Minute, Rule: "team rooms", Moderate: true, Agents: []string{"scribe"},
		MaxParticipants: 50, MaxSession: 2 * time.Hour, RemoveFor: time.Hour,
	}
	if err != nil || !reflect.DeepEqual(d, want) {
		t.Errorf("\n got %+v %v\nwant %+v", d, err, want)
	}
	for _, o := range f.Test() {
		if !o.OK {
			t.Errorf("%+v", o)
		}
	}
	if names, all := f.Claims(); !slices.Equal(names, []string{"role", "teams"}) || all {
		t.Errorf("claims: %v %v", names, all)
	}
}

// TestBareRuleEqualsNoFile holds a file with one rule for all rooms and
// nothing else against the policy without a file.
func TestBareRuleEqualsNoFile(t *testing.T) {
	f := parse(t, one("room: '{all...}'"))
	for _, features := range [][]stagedoor.Feature{nil, {"publish"}, {"other"}} {
		for _, withheld := range []stagedoor.Denial{"", stagedoor.SubscriptionInactive, stagedoor.BillingUnavailable} {
			s := who("any room", nil, features...)
			s.Entitlement.Withheld = withheld
			d, err := f.Decide(s)
			paid := slices.Contains(features, "publish")
			reason := withheld
			switch {
			case paid:
				reason = ""
			case withheld == "":
				reason = stagedoor.NoSubscription
			}
			if err != nil || !d.Grants.Same(stagedoor.Grants{Subscribe: true, Publish: paid, PublishData: paid}) || d.PublishDenied != reason ||
				d.TTL != limits().TTL || d.Moderate || d.Grants.Sources != nil || !d.Until.IsZero() {
				t.Errorf("%v %q: %+v %v", features, withheld, d, err)
			}
		}
	}
}

func TestWhyPublishingIsDenied(t *testing.T) {
	const lapsed = stagedoor.SubscriptionInactive
	for _, c := range []struct {
		lines    string
		features []stagedoor.Feature
		want     stagedoor.Denial
	}{
		{`publish: "'publish' in features"`, nil, lapsed},
		{`publish: "'publish' in features && claims.role == 'host'"`, nil, lapsed},
		{`publish: "'publish' in features && claims.role == 'host'"`, []stagedoor.Feature{"publish"}, stagedoor.DeniedByPolicy},
		{`publish: "claims.role == 'host'"`, nil, stagedoor.DeniedByPolicy},
		{`publish: "claims.missing == 'host'"`, nil, stagedoor.DeniedByPolicy},
		{`publish: "false"`, nil, stagedoor.DeniedByPolicy},
		{`publish: "!('banned' in features)"`, []stagedoor.Feature{"banned"}, stagedoor.DeniedByPolicy},
		{`sources: {camera: "'video' in features"}`, []stagedoor.Feature{"publish"}, lapsed},
		{`sources: {camera: "claims.role == 'host'"}`, []stagedoor.Feature{"publish"}, stagedoor.DeniedByPolicy},
		{`sources: {camera: "claims.role == 'host'", microphone: "'audio' in features"}`, []stagedoor.Feature{"publish"}, lapsed},
		// The sources' features are no excuse while publish itself says no.
		{"publish: \"claims.role == 'host'\"\n    sources: {camera: \"'video' in features\"}", nil, stagedoor.DeniedByPolicy},
	} {
		s := who("a", stagedoor.Claims{"role": "guest"}, c.features...)
		s.Entitlement.Withheld = lapsed
		d, err := parse(t, one("room: a", c.lines)).Decide(s)
		if err != nil || d.Grants.Publish || d.Grants.Sources != nil || d.PublishDenied != c.want {
			t.Errorf("%s: %+v %v", c.lines, d, err)
		}
	}
}

func TestSourcesFollowThePlan(t *testing.T) {
	f := parse(t, one("room: a", `publish: "true"`, `sources: {screen_share: "'publish:screen' in features", microphone: "'publish' in features", camera: "'publish' in features"}`))
	for _, c := range []struct {
		features []stagedoor.Feature
		want     []stagedoor.Source
	}{
		{nil, []stagedoor.Source{}},
		{[]stagedoor.Feature{"publish"}, []stagedoor.Source{"camera", "microphone"}},
		{[]stagedoor.Feature{"publish:screen"}, []stagedoor.Source{"screen_share"}},
		{[]stagedoor.Feature{"publish:screen", "publish"}, []stagedoor.Source{"camera", "microphone", "screen_share"}},
	} {
		d, err := f.Decide(who("a", nil, c.features...))
		if err != nil || !slices.Equal(d.Grants.EffectiveSources(), c.want) || d.Grants.Publish != (len(c.want) > 0) || d.Grants.PublishData != d.Grants.Publish {
			t.Errorf("%v: %+v %v", c.features, d, err)
		}
	}
}

func TestSettingsOfARule(t *testing.T) {
	f := parse(t, one("room: a", "ttl: 5m", "devices: many", "remove_for: 10m", "metadata: true", "attributes: [a, b]", "data: \"false\"", "invite: \"true\"", "publish: \"true\""))
	d, err := f.Decide(who("a", nil))
	if err != nil || d.TTL != 5*time.Minute || !d.ManyDevices || d.RemoveFor != 10*time.Minute || !d.Metadata || !slices.Equal(d.Attributes, []string{"a", "b"}) ||
		d.Grants.PublishData || !d.Invite || !d.Grants.Publish || d.Grants.UpdateOwnMetadata || d.Rule != "a" {
		t.Errorf("%+v %v", d, err)
	}
	d, err = parse(t, one("room: a", "devices: one", "refuse_second: true")).Decide(who("a", nil, "invite"))
	if err != nil || d.ManyDevices || !d.RefuseSecond || !d.Invite {
		t.Errorf("%+v %v", d, err)
	}
}

// TestConditionsRead covers every variable, and what people write with it.
func TestConditionsRead(t *testing.T) {
	s := who("x-red-1", stagedoor.Claims{"sub": "ann", "level": 3.0, "email": "ann@Example.com", "scope": "a b", "org": map[string]any{"role": "admin"},
		"https://app.example/roles": []any{"host"}, "nothing": nil, "teams": []any{map[string]any{"name": "red"}}}, "publish")
	s.Principal.IdentityPrefix, s.Principal.Name = "oidc", "Ann"
	for condition, want := range map[string]bool{
		"claims.level >= 3 && claims.level == 3 && claims.level < 3.5":               true,
		"claims.org.role == 'admin'":                                                 true,
		"'host' in claims['https://app.example/roles']":                              true,
		"has(claims.nothing) && claims.nothing == null":                              true,
		"has(claims.other)":                                                          false,
		"'sub' in claims":                                                            true,
		"claims.email.lowerAscii().endsWith('@example.com')":                         true,
		"claims.email.matches('^[a-z]+@')":                                           true,
		"matches(claims.email, '^b')":                                                false,
		"'b' in claims.scope.split(' ')":                                             true,
		"claims.teams.exists(t, t.name == room.team)":                                true,
		"principal.issuer == 'https://issuer.example' && principal.subject == 'ann'": true,
		"principal.identity == 'oidc:ann' && principal.name == 'Ann'":                true,
		"room.name == 'x-red-1' && room.team == 'red' && room.n == '1'":              true,
		"features.exists(f, f.startsWith('pub')) && size(features) == 1":             true,
		"now == timestamp('2026-03-02T10:00:00Z')":                                   true,
		"now.getHours('Europe/Berlin') == 11 && now.getHours() == 10":                true,
		"now.getHours('+05:30') == 15 && now.getMinutes('+05:30') == 30":             true,
		"now.getDayOfWeek('America/New_York') == 1":                                  true,
		"request.ip == '192.0.2.1'":                                                  true,
		"claims.level == 4 || claims.missing == 1 || claims.level == 3":              true, // an error beside a true
		"claims.missing != 'x'":                                                      false,
		"!(claims.missing == 'x')":                                                   false,
		"claims.org && true":                                                         false,
		"claims.teams.exists(room, room.name == 'red')":                              true, // the list's own name goes first
	} {
		f := parse(t, one("room: 'x-{team}-{n}'", "join: |", "  "+condition))
		if _, err := f.Decide(s); (err == nil) != want || err != nil && !isRefusal(err) {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

func TestClaimsThatConditionsRead(t *testing.T) {
	for condition, want := range map[string]string{
		"claims.a == 1 && claims.b.c == 2":                     "a b",
		"has(claims.a) && 'b' in claims && claims['c d'] == 1": "a b c d",
		"claims.a.exists(x, x == claims.b)":                    "a b",
		"true":                                                 "",
		"features.exists(f, f == claims.a)":                    "a",
		"size(claims) == 3":                                    "all",
		"claims[room.name] == 1":                               "all",
		"claims.exists(k, k == 'x')":                           "all",
		"room.name in claims":                                  "all",
		"[claims].exists(c, c.a == 1)":                         "all",
		"claims == {'a': 1}":                                   "all",
		"{'x': claims}.x.a == 1":                               "all",
		"(room.name == 'a' ? claims : {'a': 1}).a == 1":        "all",
		"dyn(claims).a == 1":                                   "all",
		".claims.a == 1":                                       "a",
	} {
		f := parse(t, one("room: a", "moderate: |", "  "+condition))
		names, all := f.Claims()
		got := strings.Join(names, " ")
		if all {
			got = "all"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", condition, got, want)
		}
	}
}

func TestExplainSaysWhatDecideDoes(t *testing.T) {
	f := parse(t, designExample)
	text := func(s stagedoor.Situation) string {
		var lines []string
		for _, step := range f.Explain(s) {
			lines = append(lines, string(step.Mark)+" "+step.Name+": "+step.Text)
		}
		return strings.Join(lines, "\n")
	}
	if got, want := text(who("team-red", stagedoor.Claims{"teams": []any{"red"}})), `note rule: policy.yaml, line 2: rule "team rooms", room team-{team}, room.team = "red"
yes join: room.team in claims.teams → true
no publish: 'publish' in features → false
yes data: true → true
no moderate: claims.role == 'host' → cannot be evaluated, which grants nothing: no such key: role
no invite: 'invite' in features → false
no publishing: denied: no_subscription`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := text(who("team-red", stagedoor.Claims{"teams": []any{}})); !strings.HasSuffix(got, "no join: room.team in claims.teams → false") {
		t.Error(got)
	}
	if got := text(who("lobby", nil)); got != "no rule: refused: no rule of the policy file is about this room" {
		t.Error(got)
	}
}

func TestOutcomesNameWhatDiffers(t *testing.T) {
	f := parse(t, one("room: a", "examples:", "  - {claims: {sub: ann}, room: a, expect: {join: false, publish: true, sources: [camera], denied: policy, invite: false}}"))
	var got []string
	for _, o := range f.Test() {
		if o.Rule != "a" || o.Line != 4 {
			t.Errorf("%+v", o)
		}
		if !o.OK {
			got = append(got, o.What+": "+o.Want+"/"+o.Got)
		}
	}
	want := []string{"ann in a: join: false/true", "ann in a: publish: true/false", "ann in a: sources: camera/none", "ann in a: denied: policy/no_subscription"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Inside nobody's address is known. What would let nobody in, whatever the
// address, must not hold.
func TestAddressIsSupposedOfItselfAlone(t *testing.T) {
	for condition, holds := range map[string]bool{
		"request.ip.startsWith('10.') ? claims.staff == true : claims.vip == true":      false,
		"!(request.ip.startsWith('10.') ? claims.staff == false : claims.vip == false)": false,
		"request.ip.startsWith('10.') ? claims.no == true : claims.yes == true":         true,
		"claims.staff == true ? request.ip == 'a' : claims.vip == true":                 false,
		"claims.yes == true ? request.ip == 'a' : claims.vip == true":                   true,
		"request.ip == '10.0.0.1' && claims.staff == true":                              false,
		"request.ip in ['10.0.0.1'] && claims.yes == true":                              true,
		"claims.ips.exists(i, i == request.ip) && claims.staff == true":                 false,
		"claims.ips.exists(i, i == request.ip) && claims.yes == true":                   true,
		"!(request.ip == '10.0.0.1') && claims.staff == true":                           false,
	} {
		f := parse(t, one("room: a", "join: \""+condition+"\""))
		s := who("a", stagedoor.Claims{"staff": false, "vip": false, "yes": true, "no": false, "ips": []any{"192.0.2.9"}})
		s.ClientIP = ""
		if _, err := f.Decide(s); (err == nil) != holds {
			t.Errorf("%s: %v", condition, err)
		}
	}
	for _, condition := range []string{
		"(request.ip == '10.0.0.1' && claims.staff == true) == true", "[request.ip == '10.0.0.1' && claims.staff == true].exists(x, x)",
		"(claims.staff == true && request.ip == '10.0.0.1') ? true : false", "(request.ip == '10.0.0.1' ? claims.staff : claims.vip) == true",
		"{'a': request.ip == 'x' && now < timestamp('2026-12-24T18:00:00Z')}.a == true",
	} {
		if _, err := Parse("p.yaml", []byte(one("room: a", "join: \""+condition+"\"")), limits()); err == nil || !strings.Contains(err.Error(), "request.ip") {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

// TestRefusalNamesItsRule: the record says by which rule, and grants nothing.
func TestRefusalNamesItsRule(t *testing.T) {
	f, err := Parse("p.yaml", []byte("rooms:\n  - name: nobody\n    room: \"red\"\n    join: \"false\"\n"), Limits{PublishFeature: "publish", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for room, rule := range map[stagedoor.Room]string{"red": "nobody", "blue": ""} {
		d, err := f.Decide(stagedoor.Situation{Principal: stagedoor.Principal{Issuer: "i", Subject: "ann"}, Room: room})
		if err == nil || !reflect.DeepEqual(d, stagedoor.Decision{Rule: rule}) {
			t.Errorf("%s: %+v %v", room, d, err)
		}
	}
}
