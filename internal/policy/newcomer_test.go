package policy

import (
	"strings"
	"testing"
)

const uuid = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

// TestSegmentsThatEndAtHyphens is what is said of ids that hold '-'.
func TestSegmentsThatEndAtHyphens(t *testing.T) {
	for room, pattern := range map[string]string{
		"user-" + uuid:             "user-{id}",
		"coach-" + uuid + "-bob":   "coach-{coach}-{client}",
		"advice:" + uuid + ":bob":  "advice:{a}:{b}",
		"visit-" + uuid + "-queue": "visit-{id}-queue",
	} {
		f := parse(t, one("room: \""+pattern+"\""))
		if steps := f.Explain(who(room, nil)); !strings.Contains(steps[0].Text, "line 2, "+pattern+", is not: a segment ends at '-': {x...} takes the rest") {
			t.Errorf("%s: %+v", room, steps)
		}
		example := "examples: [{room: '" + room + "', expect: {join: true}}]"
		for _, more := range []string{"", "  - room: '{all...}'\n"} {
			if got := faultsOf(t, one("room: \""+pattern+"\"", example)+more); !strings.HasSuffix(got, "is no room of this rule, "+pattern+" — a segment ends at '-': {x...} takes the rest") {
				t.Errorf("%s: %s", room, got)
			}
		}
	}
	f := parse(t, one("room: \"coach-{coach}-{client}\""))
	for _, room := range []string{"lobby", "coach-ann", "Coach-a-b-c"} {
		if steps := f.Explain(who(room, nil)); steps[0].Text != "refused: no rule of the policy file is about this room" {
			t.Errorf("%s: %+v", room, steps)
		}
	}
}

// TestPatternsOfOtherPrograms are refused, and say what to write.
func TestPatternsOfOtherPrograms(t *testing.T) {
	for pattern, want := range map[string]string{
		"course-*":   "holds '*' — '*' is literal here: write course-{id} or course-{rest...}",
		"t-<id>":     "holds '<id>' — '<id>' is literal here: write t-{id} or t-{rest...}",
		"s-:id":      "holds ':id' — ':id' is literal here: write s-{id} or s-{rest...}",
		"^o-.*$":     "holds '^' — '^' is literal here: write o-{id} or o-{rest...}",
		"o-.*":       "holds '.*' — '.*' is literal here: write o-{id} or o-{rest...}",
		"^o":         "holds '^' — '^' is literal here: write o{id} or o{rest...}",
		"o$":         "holds '$' — '$' is literal here: write o{id} or o{rest...}",
		"a-{b}-*":    "holds '*' — '*' is literal here: write a-{b}-{id} or a-{b}-{rest...}",
		":room":      "holds ':room' — ':room' is literal here: write {id} or {rest...}",
		"calls/:day": "holds ':day' — ':day' is literal here: write calls/{id} or calls/{rest...}",
	} {
		if got := faultsOf(t, one("room: \""+pattern+"\"")); got != "policy.yaml:2:11: rooms[0].room: "+want {
			t.Errorf("%s: %s", pattern, got)
		}
	}
	for _, pattern := range []string{"advice:{a}:{b}", "urn:x", "a<b", "a > b", "us$-{x}", "a^b", "a.b", "{x}", "12:30"} {
		parse(t, one("room: \""+pattern+"\""))
	}
}

func TestDefaultRoomNeedsARule(t *testing.T) {
	got := faultsOf(t, "default_room: hall\n"+one("room: lobby"))
	if got != "policy.yaml:1:15: default_room: is a room that no rule is about: whoever names no room would be refused — name a room that one of the rules is about" {
		t.Error(got)
	}
	if f := parse(t, "default_room: lobby\n"+one("room: lobby")); f.DefaultRoom() != "lobby" {
		t.Error(f.DefaultRoom())
	}
}

// TestExamplesHaveAddressesAsRequests: mapped ones are IPv4, and zones are gone.
func TestExamplesHaveAddressesAsRequests(t *testing.T) {
	for given, want := range map[string]string{"::ffff:10.1.2.3": "10.1.2.3", "10.1.2.3": "10.1.2.3", "fe80::1%eth0": "fe80::1"} {
		f := parse(t, one("room: a", "join: \"request.ip == '"+want+"'\"", "examples: [{room: a, ip: \""+given+"\", expect: {join: true}}]"))
		if o := f.Test(); !o[0].OK {
			t.Errorf("%s: %+v", given, o)
		}
	}
}

// The parser's own words are not compared: they may change with its version.
func TestYAMLSyntaxError_NamesPlaceAndRemedy(t *testing.T) {
	const (
		tabs   = "indent with spaces, not tabs"
		quotes = `put the whole value in double quotes, and use single quotes in it: publish: "'publish' in features"`
		check  = "check the indentation and the quotes of this line and of those before it"
	)
	for source, want := range map[string][2]string{
		"rooms:\n\t- room: a\n":                                   {"2:1", tabs},
		"rooms:\n  - room: a\n\tjoin: \"true\"\n":                 {"3:1", tabs},
		"rooms:\n  - room: a\n    examples:\n    \t- {room: a}\n": {"4:5", tabs},
		"rooms:\n  - room: a\n   join: \"true\"\n":                {"3:4", check},
		one("room: a", "join", "data: true"):                      {"3:5", check},
		one("room: a", "agents: [a"):                              {"3:13", check},
		one("room: a", "publish: 'publish' in features"):          {"3:24", quotes},
		one("room: a", `join: "a \|\| b"`):                        {"3:15", check},
		one("room: a", `join: "claims.role == "host""`):           {"3:28", quotes},
		one("room: a", "join: claims.x ? true : false"):           {"3:11", quotes},
		one("room: {a}-{b}"):                                      {"2:14", quotes},
		one("room: a", `join: "claims.x == 1`, `publish: "true"`): {"4:15", check},
		one("room: a", `join: "claims.x == 1`, "data: 'true'"):    {"3:11", quotes},
	} {
		got := faultsOf(t, source)
		if !strings.HasPrefix(got, "policy.yaml:"+want[0]+": is not YAML: ") || !strings.HasSuffix(got, " — "+want[1]) {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

// TestMoreRemedies are those for values of another kind, and for names in conditions.
func TestMoreRemedies(t *testing.T) {
	for line, want := range map[string]string{
		"devices: true": "must be one of one, many, and is true or false",
		"examples: [{room: a, expect: {denied: true}}]": "must be one of no_subscription, subscription_inactive, feature_not_in_plan, billing_unavailable, policy, and is true or false",
		"sources: camera":                                   "must be a list, and is text — write [camera]",
		"agents: \"a, b\"":                                  "must be a list, and is text — write [one, another]",
		"room: {rest...}":                                   "must be text, and is a mapping — put the pattern in double quotes",
		"max_participants: \"25\"":                          "must be a whole number, and is text — write 25 without quotes",
		"max_session: 1d":                                   "'1d' is not a duration: there is no unit for days — write 24h",
		"join: \"claims.my-role == 'x'\"":                   "undeclared reference to 'role' — write claims['my-role']",
		"join: \"claims.org.my-own-role == 1\"":             "undeclared reference to 'own' — write claims.org['my-own-role']",
		"join: \"role == 'host'\"":                          "undeclared reference to 'role' — did you mean claims.role, or the text 'role'?",
		"join: \"claims.role == host\"":                     "undeclared reference to 'host' — did you mean claims.host, or the text 'host'?",
		"join: \"claims.https://example.com/roles == 'x'\"": "write claims['https://example.com/roles']",
	} {
		source := one("name: x", line, "room: a")
		if strings.HasPrefix(line, "room:") {
			source = one("name: x", line)
		}
		if got := faultsOf(t, source); !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
}

// TestFailedExamplesSayWhy names the conditions that an expectation depends on.
func TestFailedExamplesSayWhy(t *testing.T) {
	f := parse(t, one("room: a", "join: \"claims.role == 'x' || claims.level == 2\"", "publish: \"true\"",
		"sources: {camera: \"'cam' in features\", microphone: \"'mic' in features\"}", "moderate: \"claims.boss == true\"", "examples:",
		"  - {room: a, claims: {level: 1}, expect: {join: true, publish: true}}",
		"  - {room: a, claims: {role: x, level: 1}, features: [mic], expect: {join: false, sources: [camera], data: false, moderate: true, invite: true}}",
		"  - {room: a, claims: {role: x}, expect: {publish: true, join: true}}"))
	const join = "join: claims.role == 'x' || claims.level == 2 → "
	const sources = "publish: true → true; sources.camera: 'cam' in features → "
	want := []string{
		join + "cannot be evaluated, which grants nothing: no such key: role, and no other side of || is true",
		join + "cannot be evaluated, which grants nothing: no such key: role, and no other side of || is true",
		join + "true",
		sources + "false; sources.microphone: 'mic' in features → true",
		sources + "false; sources.microphone: 'mic' in features → true",
		"moderate: claims.boss == true → cannot be evaluated, which grants nothing: no such key: boss",
		"invite: 'invite' in features → false",
		"",
		sources + "false; sources.microphone: 'mic' in features → false",
	}
	outcomes := f.Test()
	if len(outcomes) != len(want) {
		t.Fatalf("%d outcomes", len(outcomes))
	}
	for i, o := range outcomes {
		if o.Why != want[i] || o.OK != (want[i] == "") {
			t.Errorf("%d: %s: %q\nwant %q", i, o.What, o.Why, want[i])
		}
	}
}

// TestNumbersInClaimsAndRooms is what docs/policy.md says of them.
func TestNumbersInClaimsAndRooms(t *testing.T) {
	const list = "claims: {courses: [101, 1234567, 99000000]}"
	for _, join := range []string{"int(room.x) in claims.courses", "claims.courses.exists(c, string(int(c)) == room.x)"} {
		f := parse(t, one("room: 'c-{x}'", "join: \""+join+"\"", "examples:", "  - {"+list+", room: c-101, expect: {join: true}}",
			"  - {"+list+", room: c-1234567, expect: {join: true}}", "  - {"+list+", room: c-99000000, expect: {join: true}}",
			"  - {"+list+", room: c-102, expect: {join: false}}", "  - {"+list+", room: c-ten, expect: {join: false}}"))
		for _, o := range f.Test() {
			if !o.OK {
				t.Errorf("%+v", o)
			}
		}
	}
	f := parse(t, one("room: 'c-{x}'", "join: \"claims.courses.exists(c, string(c) == room.x)\""))
	for room, want := range map[string]bool{"c-999999": true, "c-1000000": false, "c-1e+06": true} {
		if _, err := f.Decide(who(room, map[string]any{"courses": []any{999999.0, 1000000.0}})); (err == nil) != want {
			t.Errorf("%s: %v", room, err)
		}
	}
	if d, err := parse(t, one("room: 'c-{x}'", "join: \"room.x in claims.courses\"")).Decide(who("c-101", map[string]any{"courses": []any{101.0}})); err == nil {
		t.Errorf("text equals a number: %+v", d)
	}
}
