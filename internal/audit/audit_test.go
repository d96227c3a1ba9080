package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func TestRecord(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, func() time.Time { return time.Unix(1795348800, 0) }, func(context.Context) string { return "req-1" })
	granted := stagedoor.AuditRecord{
		Principal: stagedoor.Principal{Issuer: "https://idp.example", Subject: "ann\n{}"},
		Request:   stagedoor.Request{Room: "r"},
		Admission: stagedoor.Admission{Identity: "ann", TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true}, PublishDenied: stagedoor.NoSubscription, Token: stagedoor.NewToken("canary")},
	}
	refused := granted
	refused.Admission, refused.Err = stagedoor.Admission{}, stagedoor.Refuse(stagedoor.RoomForbidden, "no")
	for _, r := range []stagedoor.AuditRecord{granted, refused} {
		if err := log.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || strings.Contains(out.String(), "canary") {
		t.Fatalf("%q", out.String())
	}
	var first, second map[string]any
	if json.Unmarshal([]byte(lines[0]), &first) != nil || json.Unmarshal([]byte(lines[1]), &second) != nil {
		t.Fatal("not JSON")
	}
	for name, want := range map[string]any{"outcome": "granted", "subject": "ann\\u{a}{}", "room": "r", "identity": "ann", "requestId": "req-1", "canPublish": false, "ttl": 3600.0,
		// printf canary | sha256sum
		"tokenSha256": "e100fbce008c04ec40637af0af91fb2f05aeedc23f856a2d3c0b1580625d755e"} {
		if first[name] != want {
			t.Errorf("%s is %v", name, first[name])
		}
	}
	if second["outcome"] != "room_forbidden" || second["tokenSha256"] != nil {
		t.Errorf("%v", second)
	}
}

// record is the line of one decision.
func record(t *testing.T, r stagedoor.AuditRecord) string {
	t.Helper()
	var out bytes.Buffer
	if err := New(&out, func() time.Time { return time.Unix(1795348800, 0) }, func(context.Context) string { return "req-1" }).Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRecordSaysOnWhatTheDecisionStands(t *testing.T) {
	now := time.Unix(1795348800, 0)
	grounds := stagedoor.Entitlement{Features: []stagedoor.Feature{"publish", "hd"}, ConfirmedAt: now.Add(-90 * time.Second)}
	line := record(t, stagedoor.AuditRecord{Admission: stagedoor.Admission{Rule: "team rooms", Entitlement: grounds, Moderate: true,
		Grants: stagedoor.Grants{Subscribe: true, Publish: true, PublishData: true, Sources: []stagedoor.Source{"microphone"}}}})
	for _, want := range []string{`"rule":"team rooms"`, `"features":["publish","hd"]`, `"factsAgeSeconds":90`, `"canPublishSources":["microphone"]`, `"canPublishData":true`, `"moderate":true`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	refused := record(t, stagedoor.AuditRecord{Admission: stagedoor.Admission{Rule: "team rooms", Entitlement: grounds}, Err: stagedoor.Refuse(stagedoor.RoomForbidden, "no")})
	if !strings.Contains(refused, `"features":["publish","hd"],"factsAgeSeconds":90`) || strings.Contains(refused, "canPublishSources") {
		t.Error(refused)
	}
	if line := record(t, stagedoor.AuditRecord{}); strings.Contains(line, "factsAge") {
		t.Errorf("TestUnknownAgeIsNotZero: %s", line)
	}
}

// Whatever a caller puts where, a line is written at once, with the token in
// none of it.
func TestNoRecordHoldsAToken(t *testing.T) {
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2VjcmV0LWNhbmFyeS1zaWduYXR1cmU"
	for _, r := range []stagedoor.AuditRecord{
		{Admission: stagedoor.Admission{Token: stagedoor.NewToken(token)}},
		{Admission: stagedoor.Admission{Token: stagedoor.NewToken(token)}, Err: stagedoor.Refuse(stagedoor.Internal, token)},
		{Action: "invite", Request: stagedoor.Request{Metadata: token, Attributes: map[string]string{"a": token}, Guest: token}, Err: errors.New(token)},
		{Principal: stagedoor.Principal{Claims: stagedoor.Claims{"token": token}}, Request: stagedoor.Request{Agents: []stagedoor.Agent{{Name: "a", Metadata: token}}}},
	} {
		line := record(t, r)
		for _, part := range strings.Split(token, ".") {
			if strings.Contains(line, part) {
				t.Errorf("%s", line)
			}
		}
	}
}

func TestLongRecordIsWrittenAtOnce(t *testing.T) {
	long := strings.Repeat("\u2028é\"", 2000)
	features := make([]stagedoor.Feature, 500)
	for i := range features {
		features[i] = "a feature of many"
	}
	line := record(t, stagedoor.AuditRecord{Principal: stagedoor.Principal{Issuer: long, Subject: long}, Target: long, Request: stagedoor.Request{Room: "room"},
		Admission: stagedoor.Admission{Identity: stagedoor.Identity(strings.Repeat("\x01", 5000)), Rule: strings.Repeat("<", 5000), Entitlement: stagedoor.Entitlement{Features: features}}})
	var e Entry
	if err := json.Unmarshal([]byte(line), &e); err != nil || len(line) > maxLine || !e.Cut || e.Room != "room" || !strings.HasSuffix(e.Subject, "…") {
		t.Errorf("%v: %d bytes, %s", err, len(line), line)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestLostRecordIsAnError(t *testing.T) {
	log := New(broken{}, time.Now, func(context.Context) string { return "" })
	if log.Record(t.Context(), stagedoor.AuditRecord{}) == nil {
		t.Error("nobody would know")
	}
}

// stuck is a pipe that nobody reads.
type stuck struct{ release chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.release
	return len(p), nil
}

func TestStuckLogLetsNobodyInAndNobodyWait(t *testing.T) {
	out := stuck{make(chan struct{})}
	log := New(out, time.Now, func(context.Context) string { return "" })
	begin := time.Now()
	results := make(chan error)
	for range 20 {
		go func() { results <- log.Record(t.Context(), stagedoor.AuditRecord{}) }()
	}
	for range 20 {
		if err := <-results; err == nil {
			t.Error("a record was taken for written")
		}
	}
	if took := time.Since(begin); took > patience+time.Second {
		t.Errorf("held for %v", took)
	}
	close(out.release)
	if err := log.Record(t.Context(), stagedoor.AuditRecord{}); err != nil {
		t.Errorf("the log does not come back: %v", err)
	}
}
