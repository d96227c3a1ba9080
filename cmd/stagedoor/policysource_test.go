package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/devserver"
	"stagedoor/internal/policy"
)

// noPolicy is the policy of a server without a policy file.
func noPolicy(t *testing.T) *policy.Source {
	t.Helper()
	source, err := policy.Open(policy.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A policy change reaches participants by their stored claims, without a request of theirs.
func TestChangedRulesReachThoseInTheRoom(t *testing.T) {
	var removed atomic.Int32
	media := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		const ann = `{"sid":"PA_1","identity":"ann","state":"ACTIVE","joinedAt":"1","kind":"STANDARD","permission":{"canSubscribe":true}}`
		switch filepath.Base(r.URL.Path) {
		case "ListRooms":
			_, _ = io.WriteString(w, `{"rooms":[{"sid":"RM_1","name":"hall","numParticipants":1}]}`)
		case "ListParticipants":
			_, _ = io.WriteString(w, `{"participants":[`+ann+`]}`)
		case "RemoveParticipant":
			removed.Add(1)
			_, _ = io.WriteString(w, `{}`)
		default:
			_, _ = io.WriteString(w, ann)
		}
	}))
	defer media.Close()
	const hosts = "rooms:\n  - room: hall\n    join: \"claims.role == 'host'\"\n    publish: \"false\"\n"
	var logs bytes.Buffer
	cfg := &config.Config{
		TokenTTL:     time.Hour,
		DatabasePath: filepath.Join(t.TempDir(), "door.db"),
		PolicyFile:   filepath.Join(t.TempDir(), "policy.yaml"),
	}
	writeFile(t, cfg.PolicyFile, hosts)
	source, err := (&app{stdio: stdio{err: &logs}}).openPolicy(cfg, "", slog.New(slog.NewTextHandler(&logs, nil)))
	if err != nil {
		t.Fatal(err, logs.String())
	}
	h, err := newHouse(t.Context(), &app{ctx: t.Context(), now: time.Now}, cfg, deployment{api: media.URL, key: "APIkey", secret: stagedoor.NewSecret(strings.Repeat("s", 32))},
		nil, source, issuers{}, plans{database: cfg.DatabasePath}, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	ann, err := h.door.Memory.Remember(t.Context(), stagedoor.Principal{Issuer: "i", Subject: "ann", Handle: "ann", Claims: stagedoor.Claims{"role": "host", "email": "a@acme.example"}})
	if err != nil || len(ann.Claims) != 1 {
		t.Fatalf("%v %v", ann.Claims, err)
	}
	if err := h.door.Memory.Minted(t.Context(), stagedoor.Mint{Room: "hall", Identity: "ann", Principal: ann.Key(), At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := h.store.Arrive(t.Context(), stagedoor.Participant{Room: "hall", SID: "PA_1", Identity: "ann", JoinedAt: time.Now(), Standard: true}); err != nil {
		t.Fatal(err)
	}
	defer background(t.Context(), h.run)()
	defer background(t.Context(), func(ctx context.Context) { source.Watch(ctx, nil, 5*time.Millisecond, h.policyChanged) })()
	writeFile(t, cfg.PolicyFile, hosts+"    moderate: \"true\"\n") // hosts may still join
	time.Sleep(200 * time.Millisecond)
	if removed.Load() != 0 {
		t.Fatal("a host was removed")
	}
	writeFile(t, cfg.PolicyFile, strings.Replace(hosts, "'host'", "'judge'", 1))
	for deadline := time.Now().Add(10 * time.Second); removed.Load() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nobody was removed:\n%s", logs.String())
		}
	}
}

// The demo's policy passes its own examples whatever the feature is called.
func TestDemoRulesAreFit(t *testing.T) {
	for _, feature := range []stagedoor.Feature{"publish", "speak"} {
		f, err := policy.Compile("demo-policy.yaml", []byte(demoPolicy), limitsOf(&config.Config{PublishFeature: string(feature), TokenTTL: time.Hour}))
		if err != nil {
			t.Fatal(err)
		}
		for subject, may := range map[string]bool{"alice": true, "bob": false} {
			d, err := f.Decide(stagedoor.Situation{Principal: stagedoor.Principal{Issuer: devserver.Issuer, Subject: subject}, Room: "any", Entitlement: stagedoor.Entitlement{Features: []stagedoor.Feature{feature}}})
			if err != nil || d.Moderate != may || d.Invite != may || !d.Grants.Publish || d.RemoveFor != time.Minute {
				t.Errorf("%s: %+v %v", subject, d, err)
			}
		}
		d, _ := f.Decide(stagedoor.Situation{Principal: stagedoor.Principal{Issuer: "https://login.example.com", Subject: "alice"}, Room: "any"})
		if d.Moderate || d.Invite || d.Grants.Publish {
			t.Errorf("another issuer's alice: %+v", d)
		}
	}
}
