package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// seams is a door's surroundings with callers "ann" (pays) and "bob".
type seams struct {
	mu     sync.Mutex
	err    error // what Authenticate fails with, when set
	policy error
	panics bool
}

func (s *seams) Authenticate(_ context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics {
		panic("a bug with " + c.Reveal()[:1])
	}
	switch {
	case s.err != nil:
		return stagedoor.Principal{}, s.err
	case c.Empty():
		return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.MissingToken, "no token")
	case c.Reveal() != "ann" && c.Reveal() != "bob":
		return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.InvalidToken, "the token could not be verified")
	}
	return stagedoor.Principal{Issuer: "test", Subject: c.Reveal(), Handle: c.Reveal(), Name: "From claim"}, nil
}

func (s *seams) Decide(about stagedoor.Situation) (stagedoor.Decision, error) {
	if about.Principal.Subject == "ann" {
		return stagedoor.Decision{TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true, Publish: true, PublishData: true}}, s.policy
	}
	return stagedoor.Decision{TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true}, PublishDenied: stagedoor.NoSubscription}, s.policy
}

func (s *seams) Sign(a stagedoor.Admission) (stagedoor.Token, error) {
	return stagedoor.NewToken("minted-for-" + string(a.Identity)), nil
}

func (s *seams) Record(context.Context, stagedoor.AuditRecord) error { return nil }

// harness is an API over seams with its log.
type harness struct {
	*seams
	api *API
	log *bytes.Buffer
}

func newHarness(change func(*Options)) *harness {
	h := &harness{seams: &seams{}, log: &bytes.Buffer{}}
	o := Options{
		Door:       &stagedoor.Door{Authenticator: h, Policy: h, Signer: h, AuditLog: h, NameFromRequest: true},
		LiveKitURL: "wss://livekit.example", Ready: func(context.Context) error { return nil }, Now: time.Now,
		Log:    slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Helper: []byte("export {}"), Spec: []byte("openapi: 3.0.3"),
	}
	if change != nil {
		change(&o)
	}
	h.api = New(o)
	return h
}

// newTestLog writes where the harness looks.
func newTestLog(h *harness) *slog.Logger {
	return slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// request is a good POST /api/join of ann's with changes.
type request struct {
	method, path, body string
	header             map[string]string
	remote             string
}

func (h *harness) do(t *testing.T, r request) *http.Response {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.path == "" {
		r.path = "/api/join"
	}
	if r.body == "" && r.method == http.MethodPost {
		r.body = `{"room":"test-room"}`
	}
	req := httptest.NewRequest(r.method, "http://door.example/", strings.NewReader(r.body))
	req.URL.Path = r.path
	if path, query, ok := strings.Cut(r.path, "?"); ok {
		req.URL.Path, req.URL.RawQuery = path, query
	}
	req.Header.Set("Authorization", "Bearer ann")
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.header {
		if value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	if r.remote != "" {
		req.RemoteAddr = r.remote
	}
	rec := httptest.NewRecorder()
	h.api.ServeHTTP(rec, req)
	return rec.Result()
}

func bodyOf(t *testing.T, resp *http.Response) map[string]any {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatalf("%d %q: %v", resp.StatusCode, data, err)
	}
	return body
}

// mustRefuse checks status, code, shape and headers of a refusal.
func mustRefuse(t *testing.T, resp *http.Response, status int, code string) map[string]any {
	t.Helper()
	body := bodyOf(t, resp)
	if resp.StatusCode != status || body["code"] != code {
		t.Errorf("got %d %v, want %d %s", resp.StatusCode, body, status, code)
	}
	if len(body) != 3 || body["error"] == "" || body["requestId"] == "" || body["requestId"] != resp.Header.Get("X-Request-Id") {
		t.Errorf("body %v", body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Type": "application/json; charset=utf-8"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	return body
}
