package livekit

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/check"
	"stagedoor/internal/livekit"
)

// deployment is the server as stagedoor check is told of it, with a pair and
// a clock that may be off.
func (s *server) deployment(key string, secret stagedoor.Secret, off time.Duration) check.Target {
	now := func() time.Time { return time.Now().Add(off) }
	clock := func(ahead time.Duration) func() time.Time { return func() time.Time { return now().Add(ahead) } }
	return check.Target{Now: now, LiveKit: check.LiveKit{
		URL: "http://" + s.host, API: "http://" + s.host, Key: key, Secret: secret, Webhooks: true,
		Sign: func(room stagedoor.Room, identity stagedoor.Identity, ahead time.Duration) (stagedoor.Token, error) {
			signer := &livekit.Signer{Key: key, Secret: secret, Now: clock(ahead)}
			return signer.Sign(stagedoor.Admission{Room: room, Identity: identity, TTL: time.Minute})
		},
		Rooms: func(ctx context.Context, ahead time.Duration) (int, error) {
			rooms, err := (&livekit.RoomService{URL: "http://" + s.host, Key: key, Secret: secret, Now: clock(ahead)}).Rooms(ctx)
			if errors.Is(err, livekit.ErrKeyRefused) {
				err = check.ErrKeyRefused
			}
			return len(rooms), err
		},
	}}
}

// TestCheckNamesWhatIsWrongWithTheKey: the real server's answers, told apart.
func TestCheckNamesWhatIsWrongWithTheKey(t *testing.T) {
	s := startServer(t)
	key, secret := s.signer.Key, s.signer.Secret
	for _, c := range []struct {
		name       string
		target     check.Target
		id         string
		state      check.State
		says       string
		autocreate check.State
	}{
		{"good", s.deployment(key, secret, 0), "livekit.credentials", check.Pass, key, check.Warn},
		{"swapped", s.deployment(secret.Reveal(), stagedoor.NewSecret(key), 0), "livekit.credentials", check.Fail, "are swapped", check.Skip},
		{"wrong secret", s.deployment(key, stagedoor.NewSecret(apiSecret), 0), "livekit.credentials", check.Fail, "LIVEKIT_API_SECRET is not its secret", check.Skip},
		{"wrong key", s.deployment("APIstranger", secret, 0), "livekit.credentials", check.Fail, "does not know the key APIstranger", check.Skip},
		{"clock behind", s.deployment(key, secret, -2*time.Minute), "livekit.clock", check.Fail, "2 min behind", check.Warn},
		{"clock ahead", s.deployment(key, secret, 2*time.Minute), "livekit.clock", check.Fail, "2 min ahead", check.Warn},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := check.Run(t.Context(), c.target)
			for _, found := range r.Checks {
				switch {
				case found.ID == c.id && (found.State != c.state || !strings.Contains(found.Seen, c.says)):
					t.Errorf("%+v", found)
				case found.ID == "livekit.autocreate" && found.State != c.autocreate:
					t.Errorf("%+v", found)
				case found.ID == "livekit.credentials" && strings.HasPrefix(c.name, "clock") && found.State != check.Pass:
					t.Errorf("a clock is taken for a wrong secret: %+v", found)
				case found.ID == "livekit.api" && c.autocreate == check.Warn && found.State != check.Pass:
					t.Errorf("%+v", found)
				}
			}
			if printed, err := json.Marshal(r); err != nil || strings.Contains(string(printed), secret.Reveal()) || strings.Contains(string(printed), "eyJ") {
				t.Errorf("a secret or token is printed: %s %v", printed, err)
			}
		})
	}
	// Being looked at has created nothing.
	rooms, err := (&livekit.RoomService{URL: "http://" + s.host, Key: key, Secret: secret, Now: time.Now}).Rooms(t.Context())
	if err != nil || len(rooms) != 0 {
		t.Errorf("%v %v", rooms, err)
	}
}
