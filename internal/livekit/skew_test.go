package livekit

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

// Who is refused because of a clock must not look for another key.
func TestRefusedKey_NamesTheClockThatMayBeTheReason(t *testing.T) {
	for name, c := range map[string]struct {
		ahead time.Duration
		want  string
	}{
		"clocks that agree": {0, "LiveKit refuses the door's key"},
		"ahead":             {95 * time.Second, "LiveKit refuses the door's key: this machine's clock is 95 s ahead of LiveKit's"},
		"behind":            {-3 * time.Hour, "LiveKit refuses the door's key: this machine's clock is 3 h behind LiveKit's"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", now.Add(-c.ahead).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusUnauthorized)
		}))
		s := &RoomService{URL: server.URL, Key: "APIkey", Secret: testSigner().Secret, Now: func() time.Time { return now }}
		_, err := s.Rooms(t.Context())
		server.Close()
		var refused *stagedoor.Error
		if !errors.As(err, &refused) || !errors.Is(err, ErrKeyRefused) || refused.Err.Error() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRefusedEvent_NamesTheClocks(t *testing.T) {
	for name, c := range map[string]struct {
		change jwt.MapClaims
		want   string
	}{
		"early": {jwt.MapClaims{"nbf": now.Add(95 * time.Second).Unix()}, "token is not valid yet, for 95 s more: the clock of LiveKit or of this server is wrong"},
		"late":  {jwt.MapClaims{"exp": now.Add(-2 * time.Hour).Unix()}, "token is expired, 2 h ago: it came late, or the clock of LiveKit or of this server is wrong"},
	} {
		_, err := verifier().Verify(signedHS256(t, with(c.change)), []byte(joined))
		var refused *stagedoor.Error
		if !errors.As(err, &refused) || refused.Kind != stagedoor.InvalidSignature || !strings.Contains(refused.Err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
