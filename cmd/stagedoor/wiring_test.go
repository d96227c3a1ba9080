package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// ask sends one POST /api/join and returns status and body.
func ask(t *testing.T, url, token, body string, header map[string]string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url+"/api/join", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func signedWith(t *testing.T, secret string, changes jwt.MapClaims) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range changes {
		claims[name] = value
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Every setting reaches the part that it is for: in one program behind a proxy.
func TestSettingsReachTheDoor(t *testing.T) {
	t.Parallel()
	const previous = "oLd3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY-caller"
	cmd, url, log := startServe(t, "DRAIN_DELAY=0s", "JWT_SECRET_PREVIOUS="+previous, "JWT_IDENTITY_PREFIX=app", "JWT_AUDIENCE=door",
		"NAME_FROM_REQUEST=false", "NAME_CLAIM=profile.nick", "IDENTITY_CLAIM=uid", "TOKEN_TTL=5m", "REQUIRE_HTTPS=true",
		"TRUSTED_PROXIES=127.0.0.1", "CLIENT_IP_HEADER=X-Real-IP", "AUTH_COOKIE=__Host-session", "ALLOWED_ORIGINS=https://app.example.com", "LIVEKIT_API_KEY_PREVIOUS=APIold",
		"LIVEKIT_API_SECRET_PREVIOUS=pR3vqkW3vB1xM9rT7yL0pN8sD6fG4hJ2c-livekit")
	https := map[string]string{"X-Forwarded-Proto": "https", "X-Real-IP": "198.51.100.7"}
	good := jwt.MapClaims{"uid": "u1", "aud": "door", "profile": map[string]any{"nick": "Annie"}}
	cookieFrom := func(origin string) map[string]string {
		return map[string]string{"Authorization": "", "Cookie": "__Host-session=" + signedWith(t, callerSecret, good), "Origin": origin,
			"X-Forwarded-Proto": "https", "X-Real-IP": "198.51.100.7"}
	}
	for name, c := range map[string]struct {
		token, body string
		header      map[string]string
		status      int
		code        string
	}{
		"current secret":           {signedWith(t, callerSecret, good), `{"room":"r"}`, https, 200, ""},
		"previous secret":          {signedWith(t, previous, good), `{"room":"r"}`, https, 200, ""},
		"a cookie":                 {"", `{"room":"r"}`, cookieFrom("https://app.example.com"), 200, ""},
		"a cookie from elsewhere":  {"", `{"room":"r"}`, cookieFrom("https://evil.example.com"), 403, "origin_not_allowed"},
		"two client addresses":     {signedWith(t, callerSecret, good), `{"room":"r"}`, map[string]string{"X-Forwarded-Proto": "https", "X-Real-IP": "1.1.1.1, 2.2.2.2"}, 400, "invalid_request"},
		"no audience":              {signedWith(t, callerSecret, jwt.MapClaims{"uid": "u1"}), `{"room":"r"}`, https, 401, "invalid_token"},
		"a name in the request":    {signedWith(t, callerSecret, good), `{"room":"r","username":"X"}`, https, 403, "field_not_allowed"},
		"plain HTTP":               {signedWith(t, callerSecret, good), `{"room":"r"}`, nil, 403, "https_required"},
		"another's prefix":         {signedWith(t, callerSecret, jwt.MapClaims{"uid": "app:u1", "aud": "door"}), `{"room":"r"}`, https, 403, "identity_not_allowed"},
		"the previous LiveKit key": {signedWith(t, callerSecret, jwt.MapClaims{"uid": "u1", "aud": "door", "iss": "APIold"}), `{"room":"r"}`, https, 401, "invalid_token"},
	} {
		status, answer := ask(t, url, c.token, c.body, c.header)
		if status != c.status || (c.code != "" && answer["code"] != c.code) {
			t.Errorf("%s: %d %v", name, status, answer)
		}
		if status != http.StatusOK {
			continue
		}
		minted := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(answer["token"].(string), minted); err != nil {
			t.Fatal(err)
		}
		if answer["identity"] != "app:u1" || answer["ttl"] != 300.0 || minted["name"] != "Annie" || minted["iss"] != "APIkey" {
			t.Errorf("%s: %v %v", name, answer, minted)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // only now is the log all there
	if !strings.Contains(log.String(), `"client":"198.51.100.7"`) {
		t.Errorf("the client's address is not the proxy's word:\n%s", log)
	}
}

// provider is an identity provider: where its keys are, and tokens it signs.
func provider(t *testing.T) (keys string, sign func(jwt.MapClaims) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	coordinate := func(c interface{ FillBytes([]byte) []byte }) string {
		return base64.RawURLEncoding.EncodeToString(c.FillBytes(make([]byte, 32)))
	}
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`, coordinate(key.X), coordinate(key.Y))
	}))
	t.Cleanup(idp.Close)
	return idp.URL, func(changes jwt.MapClaims) string {
		t.Helper()
		claims := jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}
		for k, v := range changes {
			claims[k] = v
		}
		token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		token.Header["kid"] = "k"
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
}

// An issuer's published keys, its audience and its authorized parties.
func TestIssuerSettingsReachTheDoor(t *testing.T) {
	t.Parallel()
	keys, sign := provider(t)
	const issuer = "https://idp.acme.example/"
	_, url, _ := startServe(t, "DRAIN_DELAY=0s", "OIDC_ISSUER="+issuer, "OIDC_JWKS_URL="+keys, "OIDC_AUDIENCE=door,door2",
		"OIDC_AUTHORIZED_PARTIES=web", "JWT_ISSUER=https://app.acme.example")
	awaitIssuers(t, url)
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		status int
	}{
		"all is right":        {jwt.MapClaims{"iss": issuer, "aud": "door2", "azp": "web"}, 200},
		"another audience":    {jwt.MapClaims{"iss": issuer, "aud": "x", "azp": "web"}, 401},
		"another party":       {jwt.MapClaims{"iss": issuer, "aud": "door", "azp": "x"}, 401},
		"the issuer's prefix": {jwt.MapClaims{"iss": issuer, "aud": "door", "azp": "web", "sub": "oidc:ann"}, 403},
	} {
		status, answer := ask(t, url, sign(c.claims), `{"room":"r"}`, nil)
		if status != c.status || (status == 200 && answer["identity"] != "oidc:ann") {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	if status, answer := ask(t, url, signedWith(t, callerSecret, jwt.MapClaims{"iss": "https://app.acme.example"}), `{"room":"r"}`, nil); status != 200 || answer["identity"] != "ann" {
		t.Errorf("the other issuer's caller: %d %v", status, answer)
	}
}

// The policy file's issuers come beside those of the environment, each with
// its own settings, and with the environment's where it has none.
func TestIssuersOfThePolicyFileReachTheDoor(t *testing.T) {
	t.Parallel()
	keys, sign := provider(t)
	otherKeys, otherSign := provider(t)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	writeFile(t, file, `
issuers:
  - {issuer: "https://login.example.com", jwks_url: "`+keys+`", audiences: [calls], identity_prefix: staff, identity_claim: uid, name_claim: nick}
  - {issuer: "https://partner.example.com", jwks_url: "`+otherKeys+`", authorized_parties: [web], identity_prefix: partner}
rooms: [{room: "{all...}", publish: "principal.issuer == 'https://login.example.com'"}]
`)
	_, url, _ := startServe(t, "DRAIN_DELAY=0s", "POLICY_FILE="+file, "NAME_CLAIM=title", "IDENTITY_CLAIM=id")
	awaitIssuers(t, url)
	const staff, partner = "https://login.example.com", "https://partner.example.com"
	for name, c := range map[string]struct {
		token          string
		status         int
		identity, name string
		publish        bool
	}{
		"of the file":             {sign(jwt.MapClaims{"iss": staff, "aud": "calls", "uid": "u7", "nick": "Annie", "id": "x", "title": "y"}), 200, "staff:u7", "Annie", true},
		"with the environment's":  {otherSign(jwt.MapClaims{"iss": partner, "azp": "web", "id": "p7", "title": "Dr"}), 200, "partner:p7", "Dr", false},
		"of the environment":      {signedWith(t, callerSecret, jwt.MapClaims{"id": "ann", "title": "Ann"}), 200, "ann", "Ann", false},
		"another audience":        {sign(jwt.MapClaims{"iss": staff, "aud": "x", "uid": "u7"}), 401, "", "", false},
		"another party":           {otherSign(jwt.MapClaims{"iss": partner, "azp": "x", "id": "p7"}), 401, "", "", false},
		"the other one's key":     {otherSign(jwt.MapClaims{"iss": staff, "aud": "calls", "uid": "u7"}), 401, "", "", false},
		"the shared secret's key": {signedWith(t, callerSecret, jwt.MapClaims{"iss": staff, "aud": "calls", "uid": "u7"}), 401, "", "", false},
		"the file's prefix":       {signedWith(t, callerSecret, jwt.MapClaims{"id": "staff:u7"}), 403, "", "", false},
	} {
		status, answer := ask(t, url, c.token, `{"room":"r"}`, nil)
		if status != c.status {
			t.Errorf("%s: %d %v", name, status, answer)
		}
		if status != 200 {
			continue
		}
		minted := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(answer["token"].(string), minted); err != nil {
			t.Fatal(err)
		}
		if permissions := answer["permissions"].(map[string]any); answer["identity"] != c.identity || minted["name"] != c.name || permissions["canPublish"] != c.publish {
			t.Errorf("%s: %v %v", name, answer, minted)
		}
	}
}

// A caller who hangs up in the middle of a join says nothing of the database.
func TestCallerWhoLeftIsNotTheDatabasesFault(t *testing.T) {
	var log strings.Builder
	m := memory{log: slog.New(slog.NewTextHandler(&log, nil)), logged: rate.NewLimiter(rate.Inf, 1)}
	gone, leave := context.WithCancel(t.Context())
	leave()
	m.note(gone, context.Canceled)
	if log.Len() > 0 {
		t.Error(log.String())
	}
	m.note(t.Context(), context.DeadlineExceeded)
	if !strings.Contains(log.String(), "downgraded to subscribe-only") {
		t.Error("a database that does not answer is not said")
	}
}
