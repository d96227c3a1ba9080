package policy

import (
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

func TestMisspeltClaimRefuses(t *testing.T) {
	f := parse(t, one("room: a", "join: \"claims.rolle == 'host'\"", "moderate: \"claims.rolle != 'guest'\""))
	if _, err := f.Decide(who("a", stagedoor.Claims{"role": "host"})); !isRefusal(err) {
		t.Error(err)
	}
}

func TestEvaluationErrorRefuses(t *testing.T) {
	for _, condition := range []string{"claims.n / 0 == 1", "int(claims.s) == 1", "claims.list[7] == 'x'", "claims.s.x == 1", "claims.s && true", "claims.nothing.x == 1",
		"timestamp(claims.s) < now", "claims.s > 3", "claims.s.exists(x, true)", "size(claims.n) == 1"} {
		f := parse(t, one("room: a", "join: \""+condition+"\""))
		if _, err := f.Decide(who("a", stagedoor.Claims{"n": 1.0, "s": "text", "list": []any{"x"}, "nothing": nil})); !isRefusal(err) {
			t.Errorf("%s: %v", condition, err)
		}
		f = parse(t, one("room: a", "join: \"true\"", "publish: \""+condition+"\"", "data: \""+condition+"\"", "moderate: \""+condition+"\"", "invite: \""+condition+"\""))
		d, err := f.Decide(who("a", stagedoor.Claims{"n": 1.0, "s": "text", "list": []any{"x"}, "nothing": nil}, "publish", "invite"))
		if err != nil || d.Grants.Publish || d.Grants.PublishData || d.Moderate || d.Invite {
			t.Errorf("%s: %+v %v", condition, d, err)
		}
	}
}

func TestMissingPolicyMatchRefuses(t *testing.T) {
	f := parse(t, designExample)
	for _, room := range []string{"", "team", "team-", "Team-red", "team-red-blue", "lobby", "xteam-red", "team-red ", "\u0000", "team-re\u200bd-"} {
		if _, err := f.Decide(who(room, stagedoor.Claims{"teams": []any{"red", "", "red-blue"}})); !isRefusal(err) {
			t.Errorf("%q: %v", room, err)
		}
	}
	if _, err := (&File{}).Decide(who("a", nil)); !isRefusal(err) {
		t.Error("the zero file opened a room")
	}
}

func TestNobodyIsRefused(t *testing.T) {
	f := parse(t, one("room: a"))
	for _, p := range []stagedoor.Principal{{}, {Issuer: "i"}, {Subject: "s"}} {
		if _, err := f.Decide(stagedoor.Situation{Principal: p, Room: "a"}); !isRefusal(err) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestFirstMatchAloneDecides(t *testing.T) {
	f := parse(t, "rooms:\n  - {room: stage-green, join: \"false\"}\n  - {room: 'stage-{rest...}', publish: \"true\"}\n")
	if _, err := f.Decide(who("stage-green", nil)); !isRefusal(err) {
		t.Error("the wider rule let in whom the first one refused")
	}
}

func TestRefusalTellsTheCallerNothing(t *testing.T) {
	f := parse(t, designExample)
	for _, s := range []stagedoor.Situation{who("lobby", nil), who("team-red", nil), who("team-red", stagedoor.Claims{"teams": []any{"blue"}})} {
		_, err := f.Decide(s)
		refusal, ok := err.(*stagedoor.Error)
		if !ok || refusal.Detail != refused || refusal.Err == nil {
			t.Errorf("%v", err)
		}
	}
}

func TestTokensNeverLetParticipantsChangeThemselves(t *testing.T) {
	f := parse(t, one("room: a", "metadata: true", "attributes: [x]", "moderate: \"true\"", "publish: \"true\""))
	if d, _ := f.Decide(who("a", nil)); d.Grants.UpdateOwnMetadata {
		t.Error("canUpdateOwnMetadata")
	}
}

func TestYAMLBombsAreRefused(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	for name, c := range map[string]struct{ source, want string }{
		"billion laughs":  {bomb + "rooms: *i\n", "anchors (&), aliases (*)"},
		"merge":           {"base: {room: a}\nrooms:\n  - <<: {room: a}\n", "merges (<<)"},
		"tag":             {"rooms:\n  - room: !!binary YQ==\n", "tags (!)"},
		"directive":       {"%YAML 1.1\n---\nrooms: []\n", "directives (%)"},
		"flow nesting":    {"rooms: " + strings.Repeat("[", 100000), "nested deeper"},
		"map nesting":     {"rooms: " + strings.Repeat("{a: ", 100000), "nested deeper"},
		"entries in line": {strings.Repeat("- ", 100000) + "a", "nested deeper"},
		"keys in line":    {strings.Repeat("a: ", 100000) + "a", ""},
		"many keys":       {strings.Repeat("a: b\n", 200000), "keys in a row"},
		"question marks":  {strings.Repeat("? ", 100000) + "a", "without '?'"},
		"too large":       {one("room: a") + "#" + strings.Repeat(" ", 1<<20), "larger than 1 MiB"},
		"too many rules":  {"rooms:\n" + strings.Repeat("  - room: a\n", 1001), "more than 1000 entries"},
		"not UTF-8":       {"rooms: \xff\n", "not UTF-8"},
		"control":         {"rooms:\n  - room: a\x00b\n", "policy.yaml:2:12: has a control character"},
		"long condition":  {one("room: a", "join: \"'"+strings.Repeat("x", 5000)+"' == 'x'\""), "size exceeds limit"},
		"deep condition":  {one("room: a", "join: \""+strings.Repeat("(", 200)+"true"+strings.Repeat(")", 200)+"\""), "recursion"},
		"huge regex":      {one("room: a", "join: \"room.name.matches('(((a{9}){9}){9})')\""), "too large"},
	} {
		start := workDone(t)
		got := faultsOf(t, c.source)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %.200s", name, got)
		}
		if took := workDone(t) - start; took > 10*time.Second {
			t.Errorf("%s took %v of work", name, took)
		}
		if len(got) > 64<<10 {
			t.Errorf("%s: a report of %d bytes", name, len(got))
		}
	}
}

func TestDuplicateKeysAreRefused(t *testing.T) {
	for _, source := range []string{
		one("room: a", "join: \"false\"", "join: \"true\""),
		one("room: a", "join: \"false\"", "\"join\": \"true\""),
		"rooms:\n  - {room: a, join: \"false\", join: \"true\"}\n",
		"rooms: [{room: a}]\nrooms: [{room: b}]\n",
		one("room: a", "sources: {camera: \"false\", camera: \"true\"}"),
	} {
		if got := faultsOf(t, source); !strings.Contains(got, "is there twice") {
			t.Errorf("%s: %s", source, got)
		}
	}
}

func TestFaultsDoNotSteerATerminal(t *testing.T) {
	got := faultsOf(t, "rooms:\n  - room: \"a\\e[31m\"\n    \"\\e]0;x\\a\": 1\n    join: \"'\\e[2J' in claims && x\"\n")
	if strings.ContainsAny(got, "\x1b\a\u202e") {
		t.Errorf("%q", got)
	}
}

// TestConcurrentDecisions is for the race detector.
func TestConcurrentDecisions(t *testing.T) {
	f := parse(t, designExample)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				team := []any{"red", "blue"}[i%2]
				_, err := f.Decide(who("team-red", stagedoor.Claims{"teams": []any{team}, "role": "host"}, "publish"))
				if (err == nil) != (i%2 == 0) {
					t.Errorf("%v: %v", team, err)
				}
			}
		})
	}
	all.Wait()
}

// TestNobodyIsPutOutForAnAddress decides about people who are in the room:
// they have no address any more, and everything else is asked as ever.
func TestNobodyIsPutOutForAnAddress(t *testing.T) {
	host, guest := stagedoor.Claims{"role": "host"}, stagedoor.Claims{"role": "guest"}
	for _, c := range []struct {
		condition                string
		claims                   stagedoor.Claims
		there, elsewhere, inside bool
	}{
		{"request.ip.startsWith('192.0.2.')", host, true, false, true},
		{"request.ip.startsWith('192.0.2.') && claims.role == 'host'", host, true, false, true},
		{"request.ip.startsWith('192.0.2.') && claims.role == 'host'", guest, false, false, false},
		{"request.ip.startsWith('192.0.2.') && claims.role == 'host'", nil, false, false, false},
		{"request.ip == '192.0.2.1' || claims.role == 'host'", guest, true, false, true},
		{"!(request.ip == '203.0.113.1')", guest, true, false, true},
		{"!(request.ip != '192.0.2.1' || claims.role != 'host')", host, true, false, true},
		{"!(request.ip != '192.0.2.1' || claims.role != 'host')", guest, false, false, false},
		{"claims.role == 'host' ? request.ip == '192.0.2.1' : false", guest, false, false, false},
		{"request.ip == '192.0.2.1' ? claims.role == 'host' : true", host, true, true, true},
		{"['192.0.2.1'].exists(a, a == request.ip) && has(claims.role)", host, true, false, true},
	} {
		f := parse(t, one("room: a", "join: |", "  "+c.condition))
		for ip, want := range map[string]bool{"192.0.2.1": c.there, "203.0.113.1": c.elsewhere, "": c.inside} {
			s := who("a", c.claims)
			s.ClientIP = ip
			if _, err := f.Decide(s); (err == nil) != want {
				t.Errorf("%s with %v from %q: %v", c.condition, c.claims, ip, err)
			}
		}
	}
}
