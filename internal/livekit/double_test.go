package livekit

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

// double stands in for LiveKit: it answers each call as told and keeps what it was asked.
type double struct {
	status      int
	contentType string
	reply       string

	mu     sync.Mutex
	path   string
	body   map[string]any
	claims jwt.MapClaims
	token  string
	calls  int
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	d.path = r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type")
	d.body, d.claims = nil, jwt.MapClaims{}
	_ = json.Unmarshal(body, &d.body)
	d.token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, _ = jwt.NewParser(jwt.WithoutClaimsValidation()).ParseWithClaims(d.token, d.claims,
		func(*jwt.Token) (any, error) { return []byte(testSigner().Secret.Reveal()), nil })
	if d.contentType != "" {
		w.Header().Set("Content-Type", d.contentType)
	}
	w.WriteHeader(d.status)
	_, _ = io.WriteString(w, strings.ReplaceAll(d.reply, "{{token}}", d.token))
}

// start serves a handler in LiveKit's place.
func start(t *testing.T, handler http.Handler) *RoomService {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	signer := testSigner()
	return &RoomService{URL: server.URL, Key: signer.Key, Secret: signer.Secret, Now: signer.Now, Client: server.Client()}
}

// everyCall names each method with what it returns besides its error.
func everyCall(t *testing.T, s *RoomService) map[string]func() (any, error) {
	ctx := t.Context()
	return map[string]func() (any, error){
		"Rooms":        func() (any, error) { return s.Rooms(ctx) },
		"Participants": func() (any, error) { return s.Participants(ctx, "r") },
		"Participant": func() (any, error) {
			p, found, err := s.Participant(ctx, "r", "ann")
			return answered{p, found}, err
		},
		"UpdatePermission": func() (any, error) {
			p, found, err := s.UpdatePermission(ctx, "r", "ann", stagedoor.Grants{})
			return answered{p, found}, err
		},
		"Mute":   func() (any, error) { return s.Mute(ctx, "r", "ann", "TR_1") },
		"Send":   func() (any, error) { return s.Send(ctx, "r", "ann", "stagedoor", []byte("{}")) },
		"Remove": func() (any, error) { return s.Remove(ctx, "r", "ann") },
	}
}

type answered struct {
	participant stagedoor.Participant
	found       bool
}
