package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryFaultHasItsPlaceAndRemedy has one file a fault: what a typo in
// each place is answered with.
func TestEveryFaultHasItsPlaceAndRemedy(t *testing.T) {
	for _, c := range slices.Concat(shapeFaults(), conditionFaults()) {
		if got := faultsOf(t, c.source); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.source, got, c.want)
		}
	}
}

// faulty is a file and what is said of it.
type faulty struct{ source, want string }

// shapeFaults are those of everything but conditions.
func shapeFaults() []faulty {
	return []faulty{
		// The file.
		{"", "policy.yaml: is empty — a policy file has rules under rooms:; docs/policy.md explains them"},
		{"# nothing\n", "policy.yaml: is empty — a policy file has rules under rooms:; docs/policy.md explains them"},
		{"- room: a\n", "policy.yaml:1:1: must hold key: value pairs, and is a list"},
		{"rooms: []\n", "policy.yaml:1:1: rooms: holds no rule: nobody could join any room — write at least one"},
		{"issuers: []\n", "policy.yaml:1:1: has no rooms — write at least one rule under rooms:"},
		{"rooms: {room: a}\n", "policy.yaml:1:8: rooms: must be a list, and is a mapping — begin every entry with '- '"},
		{"room:\n  - room: a\nrooms:\n  - room: a\n", "policy.yaml:1:1: room: there is no such key — did you mean 'rooms'?"},
		{"rooms:\n  - room: a\n---\nrooms: []\n", "policy.yaml:4:1: is a second document — keep one; every rule stands under rooms:"},
		{"default_room: ' a'\n" + one("room: a"), "policy.yaml:1:15: default_room: is no room name: it must not begin or end with white space"},
		// Keys.
		{one("room: a", "publsh: \"true\""), "policy.yaml:3:5: rooms[0].publsh: there is no such key — did you mean 'publish'?"},
		{one("room: a", "when: \"true\""), "policy.yaml:3:5: rooms[0].when: there is no such key — known are name, room, join, publish, sources, data, moderate, invite, agents, metadata, attributes, max_participants, max_session, ttl, devices, refuse_second, remove_for, examples"},
		{one("room: a", "join: \"true\"", "join: \"false\""), "policy.yaml:4:5: rooms[0].join: is there twice, first in line 3 — keep one of them"},
		{one("name: x"), `policy.yaml:2:5: rooms[0]: has no room — write room: "team-{team}"`},
		// Patterns.
		{one("room: \"\""), "policy.yaml:2:11: rooms[0].room: is empty"},
		{one("room:"), "policy.yaml:2:11: rooms[0].room: must be text, and is empty"},
		{one("room: 12"), `policy.yaml:2:11: rooms[0].room: must be text, and is a number — write it in quotes: "12"`},
		{one("room: 'a-{b'"), "policy.yaml:2:11: rooms[0].room: has a '{' without its '}'"},
		{one("room: 'a-{name}'"), "policy.yaml:2:11: rooms[0].room: has a segment {name}, a name that is taken"},
		{one("room: 'a-{Team}'"), "policy.yaml:2:11: rooms[0].room: has a segment {Team}: its name must be lower-case letters, digits and underscores"},
		{one("room: '{a}-{a}'"), "policy.yaml:2:11: rooms[0].room: has two segments {a}"},
		{one("room: '{a...}-b'"), "policy.yaml:2:11: rooms[0].room: has something behind {a...}, which takes all that follows"},
		{one("room: \"e\u0301\""), "policy.yaml:2:11: rooms[0].room: is not in NFC, as room names are"},
		{one("room: 'a-{b} '"), "policy.yaml:2:11: rooms[0].room: can match no room, whose name must not begin or end with white space"},
		{"rooms:\n  - room: 'a-{b}'\n  - room: 'a-{c}'\n", "policy.yaml:3:11: rooms[1].room: can never match: the rule in line 2 is about the same rooms — put the narrower pattern first, or join the two"},
		{"rooms:\n  - room: '{all...}'\n  - room: b\n", "policy.yaml:3:11: rooms[1].room: can never match: the rule in line 2 takes every room that it could — put the narrower pattern first, or join the two"},
		{"rooms:\n  - room: 'a-{b}'\n    name: x\n  - room: c\n    name: x\n", "policy.yaml:4:5: rooms[1].name: another rule has this name already, in line 2 — choose another: explanations and records tell rules apart by it"},
		// Everything else.
		{one("room: a", "sources: [camera, screenshare]"), "policy.yaml:3:23: rooms[0].sources[1]: 'screenshare' is not one of camera, microphone, screen_share, screen_share_audio — did you mean 'screen_share'?"},
		{one("room: a", "sources: {camra: \"true\"}"), "policy.yaml:3:15: rooms[0].sources.camra: there is no such source — did you mean 'camera'?"},
		{one("room: a", "sources: []"), "policy.yaml:3:14: rooms[0].sources: names no source — leave it out to allow all, or write publish: \"false\""},
		{one("room: a", "sources: [camera, camera]"), "policy.yaml:3:23: rooms[0].sources[1]: 'camera' is there twice"},
		{one("room: a", "max_session: 90"), "policy.yaml:3:18: rooms[0].max_session: has no unit — write 90s, 90m or 90h"},
		{one("room: a", "ttl: 1m"), "policy.yaml:3:10: rooms[0].ttl: must be from 2m to 24h"},
		{one("room: a", "ttl: 2 hours"), "policy.yaml:3:10: rooms[0].ttl: '2 hours' is not a duration — write a number with its unit, such as 90s, 15m or 2h"},
		{one("room: a", "max_participants: 0"), "policy.yaml:3:23: rooms[0].max_participants: must be a whole number from 1 to 100000"},
		{one("room: a", "max_participants: \"5\""), "policy.yaml:3:23: rooms[0].max_participants: must be a whole number, and is text — write 5 without quotes"},
		{one("room: a", "metadata: yes"), "policy.yaml:3:15: rooms[0].metadata: must be true or false, and is text — write true for yes and false for no"},
		{one("room: a", "attributes: [guest]"), "policy.yaml:3:18: rooms[0].attributes: 'guest' is how a request says which device or guest it is for, and is never set — leave it out"},
		{one("room: a", "attributes: [lk.agent.state]"), "policy.yaml:3:18: rooms[0].attributes: 'lk.agent.state' is LiveKit's own — choose a name that does not begin with lk."},
		{one("room: a", "devices: several"), "policy.yaml:3:14: rooms[0].devices: 'several' is not one of one, many"},
		{one("room: a", "devices: many", "refuse_second: true"), "policy.yaml:3:14: rooms[0].refuse_second: has no meaning with devices: many — leave one of them out"},
	}
}

// conditionFaults are those of conditions.
func conditionFaults() []faulty {
	return []faulty{
		{one("room: a", "join: \"claim.x == 1\""), "policy.yaml:3:12: rooms[0].join: undeclared reference to 'claim' — did you mean 'claims'?"},
		{one("room: 'a-{team}'", "join: \"room.taem in claims.teams\""), "policy.yaml:3:12: rooms[0].join: undeclared reference to 'room.taem' — did you mean 'room.team'?"},
		{one("room: a", "join: \"principal.subjct == 'x'\""), "policy.yaml:3:12: rooms[0].join: undeclared reference to 'principal.subjct' — did you mean 'principal.subject'?"},
		{one("room: a", "join: \"room == 'x'\""), "policy.yaml:3:12: rooms[0].join: undeclared reference to 'room' — known are room.name"},
		{one("room: a", "publish: \"request.ip == 'x'\""), "policy.yaml:3:15: rooms[0].publish: request.ip is known in join alone — those who are in the room already make no request"},
		{one("room: a", "publish: feature"), "policy.yaml:3:14: rooms[0].publish: undeclared reference to 'feature' — did you mean 'features'?"},
		{one("room: a", "publish: claims.x"), "policy.yaml:3:14: rooms[0].publish: may be anything, not only true or false — compare it: claims.x == true"},
		{one("room: a", "publish: room.name"), "policy.yaml:3:14: rooms[0].publish: is of type string; a condition is true or false"},
		{one("room: a", "publish: yes"), "policy.yaml:3:14: rooms[0].publish: undeclared reference to 'yes' — write \"true\" for yes"},
		{one("room: a", "publish: \"features == 'publish'\""), "policy.yaml:3:24: rooms[0].publish: found no matching overload for '==' applied to '(list(string), string)' — a list holds a value when: 'value' in features"},
		{one("room: a", "publish: \"claims.a == 1 and claims.b == 2\""), "policy.yaml:3:29: rooms[0].publish: is no condition: mismatched input 'and' expecting <EOF> — write && for and"},
		{one("room: a", "publish: \"room.name.startWith('x')\""), "policy.yaml:3:34: rooms[0].publish: there is no function 'startWith' — did you mean 'startsWith'?"},
		{one("room: a", "publish: \"room.name.matches('(')\""), "policy.yaml:3:33: rooms[0].publish: the regular expression cannot be read: error parsing regexp: missing closing ): `(`"},
		{one("room: a", "publish: \"room.name.matches(claims.re)\""), "policy.yaml:3:39: rooms[0].publish: the regular expression of matches must be a text in quotes: one that a caller chose could be costly"},
		{one("room: a", "publish: \"now.getHours('Europe/Berln') > 3\""), "policy.yaml:3:28: rooms[0].publish: there is no time zone 'Europe/Berln'; one is written as 'Europe/Berlin', 'UTC' or '+02:00'"},
		{one("room: a", "publish: |", "  'publish' in features &&", "    clams.x == 1"), "policy.yaml:5:9: rooms[0].publish: undeclared reference to 'clams' — did you mean 'claims'?"},
		{one("room: a", "publish: >-", "  'publish' in features &&", "  clams.x == 1"), "policy.yaml:5:7: rooms[0].publish: undeclared reference to 'clams' — did you mean 'claims'?"},
		{one("room: a", "publish: '''ä'' in features && clams.x == 1'"), "policy.yaml:3:36: rooms[0].publish: undeclared reference to 'clams' — did you mean 'claims'?"},
		{one("room: a", `publish: "\"ä\" in features && clams.x == 1"`), "policy.yaml:3:36: rooms[0].publish: undeclared reference to 'clams' — did you mean 'claims'?"},
		{one("room: a", "publish: room.name == 'x' &&", "  clams.x == 1"), "policy.yaml:4:7: rooms[0].publish: undeclared reference to 'clams' — did you mean 'claims'?"},
		{one("room: a", "publish: [x]"), "policy.yaml:3:14: rooms[0].publish: must be a condition, and is a list"},
	}
}

func TestExamplesThatSayNothingAreFaults(t *testing.T) {
	example := func(lines, e string) string {
		return "rooms:\n  - room: 'a-{b}'\n" + lines + "    examples:\n      - " + e + "\n  - room: b\n"
	}
	for _, c := range []struct{ lines, example, want string }{
		{"", "{expect: {join: true}}", "policy.yaml:4:9: rooms[0].examples[0]: has no room — name a room that this rule decides"},
		{"", "{room: a-b}", "policy.yaml:4:9: rooms[0].examples[0]: has no expect — write expect: {join: true, publish: false}"},
		{"", "{room: a-b, expect: {}}", "policy.yaml:4:29: rooms[0].examples[0].expect: expects nothing — write expect: {join: true, publish: false}"},
		{"", "{room: c, expect: {join: true}}", "policy.yaml:4:16: rooms[0].examples[0].room: 'c' is a room that no rule is about — this rule's is a-{b}"},
		{"", "{room: b, expect: {join: true}}", "policy.yaml:4:16: rooms[0].examples[0].room: 'b' is decided by the rule in line 5 — move the example there, or name a room that this rule decides"},
		{"", "{room: a-b, expect: {join: true, denid: policy}}", "policy.yaml:4:42: rooms[0].examples[0].expect.denid: there is no such key — did you mean 'denied'?"},
		{"", "{room: a-b, expect: {denied: no_subscrption}}", "policy.yaml:4:38: rooms[0].examples[0].expect.denied: 'no_subscrption' is not one of no_subscription, subscription_inactive, feature_not_in_plan, billing_unavailable, policy — did you mean 'no_subscription'?"},
		{"", "{claims: {sub: a, sub: b}, room: a-b, expect: {join: true}}", "policy.yaml:4:27: rooms[0].examples[0].claims.sub: is there twice, first in line 4 — keep one of them"},
		{"", "{claims: {sub: 3}, room: a-b, expect: {join: true}}", "policy.yaml:4:9: rooms[0].examples[0].claims.sub: must be text"},
		{"    join: \"now > timestamp('2026-01-01T00:00:00Z')\"\n", "{room: a-b, expect: {join: true}}", "policy.yaml:5:9: rooms[0].examples[0]: does not say when, and the condition join reads now — write now: 2026-01-31T20:00:00Z"},
		{"    join: \"request.ip == '::1'\"\n", "{room: a-b, expect: {join: true}}", "policy.yaml:5:9: rooms[0].examples[0]: does not say from where, and join reads request.ip — write ip: 192.0.2.1"},
		{"", "{room: a-b, now: monday, expect: {join: true}}", "policy.yaml:4:26: rooms[0].examples[0].now: is not a point in time — write it as 2026-01-31T20:00:00Z"},
		{"", "{room: a-b, ip: localhost, expect: {join: true}}", "policy.yaml:4:25: rooms[0].examples[0].ip: is not an IP address"},
	} {
		if got := faultsOf(t, example(c.lines, c.example)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.example, got, c.want)
		}
	}
}

func TestAllFaultsAreListedInOrder(t *testing.T) {
	got := faultsOf(t, one("room: 'a-{b}'", "ttl: 10", "join: claim.x == room.c", "publish: \"true\"", "max_sesion: 1h"))
	want := []string{"3:10: rooms[0].ttl", "4:11: rooms[0].join", "4:22: rooms[0].join", "6:5: rooms[0].max_sesion"}
	lines := strings.Split(got, "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d faults:\n%s", len(lines), got)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], "policy.yaml:"+want[i]) {
			t.Errorf("%s\nwant %s", lines[i], want[i])
		}
	}
}

func TestWindowsLinesAndByteOrderMark(t *testing.T) {
	f := parse(t, "\ufeff"+strings.ReplaceAll(designExample, "\n", "\r\n"))
	if len(f.Test()) != 3 {
		t.Error("examples were lost")
	}
}

func TestIssuers(t *testing.T) {
	const rooms = "rooms:\n  - room: a\n"
	f := parse(t, "issuers:\n  - issuer: https://a.example/\n    audiences: [x]\n  - {issuer: http://localhost:8080, jwks_url: 'http://localhost/keys?x=1', authorized_parties: [web], identity_prefix: b, identity_claim: email, name_claim: nick}\n"+rooms)
	got := f.Issuers()
	if len(got) != 2 || got[0].Issuer != "https://a.example/" || got[0].Audiences[0] != "x" || got[1].JWKSURL != "http://localhost/keys?x=1" ||
		got[1].IdentityPrefix != "b" || got[1].IdentityClaim != "email" || got[1].NameClaim != "nick" || got[1].AuthorizedParties[0] != "web" || got[1].Line != 4 {
		t.Errorf("%+v", got)
	}
	for source, want := range map[string]string{
		"{audiences: [x]}":                                                                             "issuers[0]: has no issuer",
		"{issuer: https://a.example}":                                                                  "issuers[0]: has neither audiences nor authorized_parties: tokens made for any other application would be accepted",
		"{issuer: https://a.example, audiences: []}":                                                   "issuers[0]: has neither audiences nor authorized_parties",
		"{issuer: http://a.example, audiences: [x]}":                                                   "issuers[0].issuer: would take keys in clear text",
		"{issuer: a.example, audiences: [x]}":                                                          "issuers[0].issuer: must begin with https://",
		"{issuer: 'https://u:p@a.example', audiences: [x]}":                                            "issuers[0].issuer: must not hold a user name or password",
		"{issuer: 'https://a.example?x=1', audiences: [x]}":                                            "issuers[0].issuer: must not have a query",
		"{issuer: 'https://a.example#x', audiences: [x]}":                                              "issuers[0].issuer: must not have a fragment",
		"{issuer: 'https://:443', audiences: [x]}":                                                     "issuers[0].issuer: has no valid host name or port",
		"{issuer: https://a.example, audiences: [x], jwks_url: http://b.example}":                      "issuers[0].jwks_url: would take keys in clear text",
		"{issuer: https://a.example, audiences: [x], identity_prefix: guest}":                          "issuers[0].identity_prefix: is reserved for participants who come by invitation",
		"{issuer: https://a.example, audiences: [x], identity_prefix: b64}":                            "issuers[0].identity_prefix: is reserved for encoded subjects",
		"{issuer: https://a.example, audiences: [x], identity_prefix: 'a:b'}":                          "issuers[0].identity_prefix: must be at most 64 lower-case letters, digits and hyphens",
		"{issuer: https://a.example, audiences: [x], name_claim: 'a b'}":                               "issuers[0].name_claim: must not contain white space",
		"{issuer: https://a.example, audience: [x]}":                                                   "issuers[0].audience: there is no such key — did you mean 'audiences'?",
		"{issuer: https://a.example, audiences: [x]}\n  - {issuer: https://b.example, audiences: [x]}": "issuers[1]: has no identity_prefix, like the issuer in line 2",
		"{issuer: https://a.example, audiences: [x], identity_prefix: p}\n  - {issuer: https://b.example, audiences: [x], identity_prefix: p}": "issuers[1].identity_prefix: equals that of the issuer in line 2",
		"{issuer: https://a.example, audiences: [x]}\n  - {issuer: https://a.example, audiences: [x], identity_prefix: p}":                     "issuers[1].issuer: is that of the issuer in line 2",
	} {
		if got := faultsOf(t, "issuers:\n  - "+source+"\n"+rooms); !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func TestZeroLimitsFailClosed(t *testing.T) {
	f, err := Parse("p", []byte("rooms:\n  - room: a\n"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Decide(who("a", nil, "", "publish"))
	if err != nil || d.Grants.Publish || d.TTL != 0 {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := Parse("p", []byte("issuers: [{issuer: http://localhost, audiences: [x]}]\nrooms:\n  - room: a\n"), Limits{TTL: time.Hour}); err == nil {
		t.Error("clear text was taken to a host that nobody called private")
	}
}
