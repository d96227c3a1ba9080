package livekit

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
	"stagedoor/internal/livekit"
)

// plain is an admission with nothing wrong in it, for tests to spoil.
func plain() stagedoor.Admission {
	return stagedoor.Admission{Room: "test-room", Identity: "user-1", Name: "Alice", TTL: time.Hour,
		Grants: stagedoor.Grants{Subscribe: true, Publish: true, Sources: []stagedoor.Source{stagedoor.Camera}}}
}

// sign returns the token of an admission that must be signed.
func sign(t *testing.T, signer *livekit.Signer, a stagedoor.Admission) string {
	t.Helper()
	token, err := signer.Sign(a)
	if err != nil {
		t.Fatalf("%s: %v", label(a), err)
	}
	return token.Reveal()
}

// TestTimes holds the times of a token to the clock, at the second's edges too.
func TestTimes(t *testing.T) {
	second := time.Now().Truncate(time.Second)
	for _, offset := range []time.Duration{0, 1, 499 * time.Millisecond, time.Second - 1} {
		for _, ttl := range []time.Duration{time.Second, 1500 * time.Millisecond, 2 * time.Minute, time.Hour, 24 * time.Hour} {
			now, a := second.Add(offset), plain()
			a.TTL = ttl
			judge(t, signerAt(now), a, now)
			// A clock of another zone is the same clock.
			judge(t, signerAt(now.In(time.FixedZone("far", 14*3600))), a, now)
		}
	}
}

// TestLiveKitRefuses proves that the oracle can say no: otherwise its yes is worth nothing.
func TestLiveKitRefuses(t *testing.T) {
	now := time.Now()
	good := sign(t, signerAt(now), plain())
	if err := refused(good, apiSecret); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	short := plain()
	short.TTL = time.Second
	// LiveKit allows a minute of leeway on both ends.
	expired := sign(t, signerAt(now.Add(-63*time.Second)), short)
	early := sign(t, signerAt(now.Add(90*time.Second)), plain())
	cases := map[string]struct {
		token, secret string
		want          error
	}{
		"a wrong secret":      {good, apiSecret + "x", jwt.ErrTokenSignatureInvalid},
		"an empty secret":     {good, "", nil},
		"an expired token":    {expired, apiSecret, jwt.ErrTokenExpired},
		"a token of tomorrow": {early, apiSecret, jwt.ErrTokenNotValidYet},
		"a changed payload":   {tampered(t, good, `"canPublishData":false`, `"canPublishData":true`), apiSecret, jwt.ErrTokenSignatureInvalid},
		"another room":        {tampered(t, good, `test-room`, `best-room`), apiSecret, jwt.ErrTokenSignatureInvalid},
		"no signature":        {good[:strings.LastIndexByte(good, '.')+1], apiSecret, jwt.ErrTokenSignatureInvalid},
		"a cut token":         {good[:len(good)-2], apiSecret, jwt.ErrTokenMalformed},
		"a header of none":    {swapHeader(good, `{"alg":"none","typ":"JWT"}`), apiSecret, jwt.ErrTokenSignatureInvalid},
		"a header of HS512":   {swapHeader(good, `{"alg":"HS512","typ":"JWT"}`), apiSecret, jwt.ErrTokenSignatureInvalid},
	}
	for name, c := range cases {
		err := refused(c.token, c.secret)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// tampered rewrites the payload of a token and keeps its signature.
func tampered(t *testing.T, token, from, to string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !strings.Contains(string(payload), from) {
		t.Fatalf("the payload %s has no %s: %v", payload, from, err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), from, to, 1)))
	return strings.Join(parts, ".")
}

func swapHeader(token, header string) string {
	_, rest, _ := strings.Cut(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}

// TestInconsistentAdmissionsAreNotSigned spoils an admission in one way at a
// time: each would be read by LiveKit as more, or as something else, than was meant.
func TestInconsistentAdmissionsAreNotSigned(t *testing.T) {
	all := stagedoor.AllSources()
	spoil := map[string]func(*stagedoor.Admission){
		"nothing at all":      func(a *stagedoor.Admission) { *a = stagedoor.Admission{} },
		"no room":             func(a *stagedoor.Admission) { a.Room = "" },
		"no identity":         func(a *stagedoor.Admission) { a.Identity = "" },
		"no TTL":              func(a *stagedoor.Admission) { a.TTL = 0 },
		"a negative TTL":      func(a *stagedoor.Admission) { a.TTL = -time.Hour },
		"a TTL under 1 s":     func(a *stagedoor.Admission) { a.TTL = time.Second - 1 },
		"an empty list":       func(a *stagedoor.Admission) { a.Grants.Sources = []stagedoor.Source{} },
		"an emptied list":     func(a *stagedoor.Admission) { a.Grants.Sources = all[:0] },
		"an unknown source":   func(a *stagedoor.Admission) { a.Grants.Sources = []stagedoor.Source{"unknown"} },
		"a source in capital": func(a *stagedoor.Admission) { a.Grants.Sources = []stagedoor.Source{"CAMERA"} },
		"a nameless source":   func(a *stagedoor.Admission) { a.Grants.Sources = []stagedoor.Source{stagedoor.Camera, ""} },
		"a spaced source":     func(a *stagedoor.Admission) { a.Grants.Sources = []stagedoor.Source{"camera "} },
		"an unknown source not published": func(a *stagedoor.Admission) {
			a.Grants.Publish, a.Grants.Sources = false, []stagedoor.Source{"hologram"}
		},
		// JSON has no such text: it would be signed as U+FFFD, so that two
		// identities become one and a room becomes another.
		"a room that is not UTF-8":       func(a *stagedoor.Admission) { a.Room = "room\xff" },
		"an identity that is not UTF-8":  func(a *stagedoor.Admission) { a.Identity = "user\xfe" },
		"a name that is not UTF-8":       func(a *stagedoor.Admission) { a.Name = "Al\xc3" },
		"an identity of half a sequence": func(a *stagedoor.Admission) { a.Identity = "\xed\xa0\x80" },
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			a := plain()
			change(&a)
			wantUnsigned(t, signerAt(time.Now()), a)
		})
	}
}

// TestSignerWithoutKeyDoesNotSign: an empty HMAC key is a key that everybody has.
func TestSignerWithoutKeyDoesNotSign(t *testing.T) {
	spoil := map[string]func(*livekit.Signer){
		"no key":    func(s *livekit.Signer) { s.Key = "" },
		"no secret": func(s *livekit.Signer) { s.Secret = stagedoor.Secret{} },
		"neither":   func(s *livekit.Signer) { s.Key, s.Secret = "", stagedoor.Secret{} },
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			signer := signerAt(time.Now())
			change(signer)
			wantUnsigned(t, signer, plain())
		})
	}
	if token, err := new(livekit.Signer).Sign(plain()); err == nil || !token.Empty() {
		t.Error("the zero signer signs")
	}
}
