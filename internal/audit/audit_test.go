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
