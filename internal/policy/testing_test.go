package policy

import (
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// designExample is the file of the design, as it stands there.
const designExample = `rooms:
  - name: team rooms
    room: "team-{team}"                       # {team}: one segment without '-', bound as room.team; {rest...}, last, takes all that follows
    join: "room.team in claims.teams"
    publish: "'publish' in features"
    sources: [camera, microphone, screen_share, screen_share_audio]
    data: "true"
    moderate: "claims.role == 'host'"         # may mute and remove through POST /api/moderate
    agents: [scribe]
    max_participants: 50
    max_session: 2h                           # put out when it is over, however often the token was refreshed
    ttl: 10m
    examples:
      - {claims: {sub: ann, teams: [red]}, features: [publish], room: team-red, expect: {join: true, publish: true}}
      - {claims: {sub: bob}, room: team-red, expect: {join: false}}
`

// limits are what the tests' files inherit.
func limits() Limits {
	return Limits{PublishFeature: "publish", TTL: time.Hour, PrivateHost: func(host string) bool { return host == "localhost" }}
}

// parse compiles a file that must be fine.
func parse(t testing.TB, source string) *File {
	t.Helper()
	f, err := Parse("policy.yaml", []byte(source), limits())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// one wraps the keys of one rule, one a line.
func one(lines ...string) string {
	return "rooms:\n  - " + strings.Join(lines, "\n    ") + "\n"
}

// faultsOf parses a file that must have faults.
func faultsOf(t testing.TB, source string) string {
	t.Helper()
	f, err := Parse("policy.yaml", []byte(source), limits())
	if err == nil {
		t.Fatalf("no fault in:\n%s", source)
	}
	if f != nil {
		t.Error("a file with faults was returned")
	}
	return err.Error()
}

// who builds a situation: a caller with claims and features in a room.
func who(room string, claims stagedoor.Claims, features ...stagedoor.Feature) stagedoor.Situation {
	subject, _ := claims["sub"].(string)
	if subject == "" {
		subject = "ann"
	}
	return stagedoor.Situation{
		Principal:   stagedoor.Principal{Issuer: "https://issuer.example", Subject: subject, Handle: subject, Claims: claims},
		Room:        stagedoor.Room(room),
		Entitlement: stagedoor.Entitlement{Features: features},
		Now:         time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
		ClientIP:    "192.0.2.1",
	}
}

// isRefusal reports whether err is the refusal that Decide promises.
func isRefusal(err error) bool {
	return err != nil && stagedoor.KindOf(err) == stagedoor.RoomForbidden
}
