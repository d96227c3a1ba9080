package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

const callersSecret = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY-caller"

// ringOf is what a door with everything configured has.
func ringOf() Keyring {
	return Keyring{
		Secrets: []NamedSecret{{livekitSecret, stagedoor.NewSecret(goodSecret)}, {"LIVEKIT_API_SECRET_PREVIOUS", stagedoor.NewSecret("previous-livekit-secret-of-some-length")},
			{jwtSecret, stagedoor.NewSecret(callersSecret)}, {"STRIPE_SECRET_KEY", stagedoor.NewSecret(rightsKey)}},
		LiveKitKeys: map[string]string{goodKey: livekitSecret, "APIprevious": "LIVEKIT_API_SECRET_PREVIOUS"},
		Verify: func(token stagedoor.Secret, set []byte) error {
			if bytes.Contains(set, []byte(`"good"`)) {
				return nil
			}
			return errors.New("the signature does not fit")
		},
	}
}

// nowhere fails a test whose token makes somebody be asked.
func nowhere(t *testing.T) http.RoundTripper {
	return through(func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s is asked", r.URL)
		return nil, errors.New("nobody is to be asked")
	})
}

// walked runs a token against a door that takes JWT_SECRET.
func walked(t *testing.T, token string, change func(*Target)) Report {
	t.Helper()
	target := Target{Now: time.Now, Transport: nowhere(t), Shared: Shared{Configured: true, Audiences: []string{"door"}}}
	if change != nil {
		change(&target)
	}
	r := Token(t.Context(), target, ringOf(), stagedoor.NewSecret(token))
	for _, c := range r.Checks {
		for _, secret := range []string{goodSecret, callersSecret, rightsKey} {
			if strings.Contains(c.Seen+c.Remedy, secret) {
				t.Errorf("a secret is printed: %+v", c)
			}
		}
		if len(token) > 40 && strings.Contains(c.Seen+c.Remedy, token) {
			t.Errorf("the token is printed: %+v", c)
		}
	}
	return r
}

// callers is a good caller's token's claims with some changed; nil leaves one out.
func callers(change map[string]any) map[string]any {
	now := time.Now().Unix()
	claims := map[string]any{"sub": "ann", "aud": "door", "exp": now + 600, "iat": now, "email": "ann@example.com"}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func TestGoodCallersTokenPasses(t *testing.T) {
	r := walked(t, "Bearer "+sign(callersSecret, callers(nil)).Reveal()+"\n", nil)
	if !r.OK {
		t.Errorf("%+v", r.Checks)
	}
	want(t, r, "token.signature", Pass, "JWT_SECRET")
	want(t, r, "token.claims", Pass, "email")
	for _, c := range r.Checks {
		if strings.Contains(c.Seen, "ann@example.com") {
			t.Errorf("a claim's value is printed: %s", c.Seen)
		}
	}
}

func TestWrongAudienceOfATokenIsNamed(t *testing.T) {
	want(t, walked(t, sign(callersSecret, callers(map[string]any{"aud": "other"})).Reveal(), nil), "token.audience", Fail, `aud is "other"`, `JWT_AUDIENCE is "door"`)
	want(t, walked(t, sign(callersSecret, callers(map[string]any{"aud": []string{"door/"}})).Reveal(), nil), "token.audience", Fail, "lacks the slash")
	want(t, walked(t, sign(callersSecret, callers(map[string]any{"aud": nil})).Reveal(), nil), "token.audience", Fail, "it has no aud")
	open := func(target *Target) { target.Shared.Audiences = nil }
	want(t, walked(t, sign(callersSecret, callers(nil)).Reveal(), open), "token.audience", Fail, "JWT_AUDIENCE is not set")
	want(t, walked(t, sign(callersSecret, callers(map[string]any{"aud": 7})).Reveal(), nil), "token.audience", Fail, "neither a string")
}

func TestTokenWithAnInexactNumber_IsWarnedOf(t *testing.T) {
	fine := map[string]any{"course": json.Number("1234567890123456789"), "share": 0.5}
	want(t, walked(t, sign(callersSecret, callers(fine)).Reveal(), nil), "token.claims", Pass, "course, email, share")
	large := map[string]any{"courses": []any{json.Number("18446744073709551615")}, "org": map[string]any{"id": json.Number("1e30")}, "level": 3}
	want(t, walked(t, sign(callersSecret, callers(large)).Reveal(), nil), "token.claims", Warn, "too large to be exact in courses, org:", "issued as text")
	want(t, walked(t, sign(callersSecret, callers(map[string]any{"sub": 42})).Reveal(), nil), "token.subject", Fail, "sub is a number")
}

func TestTokenSignedWithAnotherSecretIsNamed(t *testing.T) {
	want(t, walked(t, sign("some-other-secret-of-thirty-two-bytes!", callers(nil)).Reveal(), nil), "token.signature", Fail, "not signed with JWT_SECRET", "no line end")
	want(t, walked(t, sign(goodSecret, callers(nil)).Reveal(), nil), "token.signature", Fail, "signed with LIVEKIT_API_SECRET, not with JWT_SECRET")
}

func TestTokenOutOfItsTimeIsNamed(t *testing.T) {
	now := time.Now().Unix()
	for _, c := range []struct {
		change map[string]any
		says   string
	}{
		{map[string]any{"exp": now - 180}, "it expired 3 min ago"},
		{map[string]any{"nbf": now + 180}, "valid in 3 min only"},
		{map[string]any{"iat": now + 180}, "3 min from now"},
		{map[string]any{"exp": nil}, "no exp"},
		{map[string]any{"exp": now*1000 + 1}, "milliseconds"},
		{map[string]any{"exp": "soon"}, "not a number"},
		{map[string]any{"exp": json.Number("9223372036854775808")}, "not a number of seconds"},
		{map[string]any{"exp": json.Number("1e400")}, "not a number of seconds"},
		{map[string]any{"exp": math.MinInt64}, "no time in seconds"},
	} {
		want(t, walked(t, sign(callersSecret, callers(c.change)).Reveal(), nil), "token.time", Fail, c.says)
	}
	want(t, walked(t, sign(callersSecret, callers(map[string]any{"exp": now - 20})).Reveal(), nil), "token.time", Pass)
}

func TestIssuerOfATokenIsComparedByCharacter(t *testing.T) {
	keys := provider(t, "", `{"keys":[{"kid":"good"},{"kid":"other"}]}`)
	token := func(iss, kid string) string {
		return signAs(map[string]any{"alg": "RS256", "kid": kid}, "x", callers(map[string]any{"iss": iss})).Reveal()
	}
	with := func(target *Target) {
		target.Transport = onlyTo(keys)
		target.Issuers = []Issuer{issuerNamed(keys.URL)}
	}
	r := walked(t, token(keys.URL, "good"), with)
	want(t, r, "token.issuer", Pass, keys.URL)
	want(t, r, "token.key", Pass, `"good"`)
	want(t, r, "token.signature", Pass)
	want(t, walked(t, token(keys.URL+"/", "good"), with), "token.issuer", Fail, "lacks the slash at the end", "OIDC_ISSUER")
	want(t, walked(t, token(keys.URL, "rotated"), with), "token.key", Fail, "not among the 2 keys")
	// Nobody is asked for the keys of an issuer that only the token names.
	want(t, walked(t, token("https://evil.example", "good"), func(target *Target) { target.Issuers = []Issuer{issuerNamed(keys.URL)} }), "token.issuer", Fail, "evil.example")
	off := func(target *Target) {
		with(target)
		target.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	}
	want(t, walked(t, token(keys.URL, "good"), off), "token.clock", Fail, "2 min ahead of")
}

func TestWhatIsNoTokenIsNamed(t *testing.T) {
	for given, says := range map[string]string{
		rightsKey:           "STRIPE_SECRET_KEY itself",
		"sk_live_something": "a Stripe key (sk_",
		"whsec_abc":         "a Stripe key (whsec_",
		callersSecret:       "the value of JWT_SECRET itself",
		"a.b.c.d.e":         "a JWE",
		"opaque-token":      "it has 1 part, a",
		"APIabcdefgh":       "a LiveKit API key",
		"\"a.b.c\"":         "quotation marks",
		"a.b .c":            "white space",
		"a%2Eb.c.d":         "percent-encoded",
		"a+b.c.d":           "base64url",
		"":                  "nothing was given",
		"aa.bb.cc":          "not a JSON object",
		"!!.bb.cc":          "not base64url",
	} {
		r := walked(t, given, nil)
		want(t, r, "token.form", Fail, says)
		if len(given) > 6 && strings.Contains(r.Checks[0].Seen+r.Checks[0].Remedy, given) {
			t.Errorf("%q is printed", given)
		}
	}
	whole := sign(callersSecret, callers(nil)).Reveal()
	want(t, walked(t, whole[:strings.LastIndex(whole, ".")+1], nil), "token.form", Fail, "the end was cut off")
	none := signAs(map[string]any{"alg": "none"}, "x", callers(nil)).Reveal()
	want(t, walked(t, none, nil), "token.algorithm", Fail, `not signed: its header says alg "none"`)
	// As libraries write it: nothing behind the second dot.
	want(t, walked(t, none[:strings.LastIndex(none, ".")+1], nil), "token.form", Fail, `not signed: its header says alg "none"`, "JWT_SECRET")
	want(t, walked(t, whole[:strings.LastIndex(whole, ".")+1+32], nil), "token.form", Fail, "the signature has 24 bytes, HS256's has 32: the end was cut off")
}

// walked looks for secrets in what is printed.
func TestSecretsInATokenAreNotPrinted(t *testing.T) {
	for _, name := range []string{"sub", "iss", "aud"} {
		walked(t, sign(callersSecret, callers(map[string]any{name: "x" + goodSecret})).Reveal(), func(target *Target) { target.Shared.Issuer = "app" })
	}
	want(t, walked(t, sign(callersSecret, callers(map[string]any{"sub": goodSecret})).Reveal(), nil), "token.subject", Pass, "(the value of LIVEKIT_API_SECRET)")
}

func TestDoorsOwnVerdictIsTheLastWord(t *testing.T) {
	ring := ringOf()
	ring.Accept = func(context.Context, stagedoor.Secret) error { return errors.New("the session is pending") }
	r := Token(t.Context(), Target{Now: time.Now, Transport: nowhere(t), Shared: Shared{Configured: true, Audiences: []string{"door"}}}, ring, sign(callersSecret, callers(nil)).Secret)
	want(t, Report{Checks: r.Checks[len(r.Checks)-1:]}, "token.verdict", Fail, "the session is pending")
}

// video is a LiveKit token with a grant.
func video(t *testing.T, change, grant map[string]any) Report {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{"iss": goodKey, "sub": "ann", "nbf": now, "exp": now + 600, "video": grant}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return walked(t, sign(goodSecret, claims).Reveal(), nil)
}

func TestLiveKitTokenIsWalkedThrough(t *testing.T) {
	written := map[string]any{"room": "red", "roomJoin": true, "canPublish": false, "canSubscribe": true, "canPublishData": false}
	with := func(change map[string]any) map[string]any {
		grant := maps.Clone(written)
		maps.Copy(grant, change)
		maps.DeleteFunc(grant, func(_ string, v any) bool { return v == nil })
		return grant
	}
	r := video(t, nil, written)
	if !r.OK || r.Warned > 0 {
		t.Errorf("a good token: %+v", r.Checks)
	}
	now := time.Now().Unix()
	for _, c := range []struct {
		name   string
		change map[string]any
		grant  map[string]any
		id     string
		state  State
		says   string
	}{
		{"unset publish", nil, with(map[string]any{"canPublish": nil}), "token.grants.canPublish", Warn, "takes that for granted"},
		{"unset data", nil, with(map[string]any{"canPublishData": nil}), "token.grants.canPublishData", Pass, "follows canPublish"},
		{"quoted", nil, with(map[string]any{"canPublish": "true"}), "token.grants.canPublish", Fail, "not true or false"},
		{"admin", nil, with(map[string]any{"roomAdmin": true}), "token.grants.roomAdmin", Warn, "give himself every right back"},
		{"create", nil, with(map[string]any{"roomCreate": true}), "token.grants.roomCreate", Warn, "delete any room"},
		{"no room", nil, with(map[string]any{"room": nil}), "token.grants.join", Fail, "no room name"},
		{"roomName", nil, with(map[string]any{"room": nil, "roomName": "red"}), "token.grants.join", Fail, "called roomName"},
		{"no join", nil, with(map[string]any{"roomJoin": nil}), "token.grants.join", Fail, "roomJoin is not true"},
		{"sources", nil, with(map[string]any{"canPublishSources": []string{"CAMERA"}}), "token.grants.sources", Warn, "lower case"},
		{"no sources", nil, with(map[string]any{"canPublishSources": []string{}}), "token.grants.sources", Warn, "every source"},
		{"long", map[string]any{"exp": now + 30*86400}, written, "token.validity", Warn, "30 days"},
		{"no exp", map[string]any{"exp": nil}, written, "token.time", Fail, "no exp"},
		{"nobody", map[string]any{"sub": nil}, written, "token.subject", Fail, "identity cannot be empty"},
		{"kind", map[string]any{"kind": "agent"}, written, "token.grants.kind", Warn, "agent"},
		{"attributes", map[string]any{"attributes": map[string]any{"n": 1}}, written, "token.attributes", Fail, "not a string"},
		{"no grant", nil, nil, "token.grants", Fail, "no video grant"},
		{"minute of leeway", map[string]any{"exp": now - 45}, written, "token.time", Pass, ""},
		{"other project", map[string]any{"iss": "APIelsewhere"}, written, "token.key", Fail, "not LIVEKIT_API_KEY"},
		{"swapped", map[string]any{"iss": goodSecret}, written, "token.key", Fail, "were swapped"},
		{"previous key", map[string]any{"iss": "APIprevious"}, written, "token.signature", Fail, "not that key's secret"},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, video(t, c.change, c.grant), c.id, c.state, c.says) })
	}
	other := sign("another-secret-altogether-0123456789ab", map[string]any{"iss": goodKey, "sub": "a", "exp": now + 60, "video": written}).Reveal()
	want(t, walked(t, other, nil), "token.signature", Fail, "not signed with LIVEKIT_API_SECRET", "401")
}

func TestSubjectThatIsNoTextIsNamed(t *testing.T) {
	for says, sub := range map[string]any{"sub is a number: write it as text": 42, "its sub is empty": "", "no sub that is a string": []string{"ann"}} {
		want(t, walked(t, sign(callersSecret, callers(map[string]any{"sub": sub})).Reveal(), nil), "token.subject", Fail, says)
	}
	want(t, walked(t, sign(callersSecret, callers(map[string]any{"sub": nil})).Reveal(), nil), "token.subject", Fail, "no sub")
}
