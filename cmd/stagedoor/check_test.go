package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
	"stagedoor/internal/check"
	"stagedoor/internal/config"
	"stagedoor/internal/demostripe"
	"stagedoor/internal/httpapi"
)

const (
	checkStripeKey = "rk_test_51HxGyTrEwQzAsDfGhJkLmNb"
	checkHook      = "whsec_aZ3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1x"
)

// checked runs stagedoor check --json in an environment of its own.
func checked(t *testing.T, environ []string, args ...string) (check.Report, int) {
	t.Helper()
	t.Chdir(t.TempDir())
	base := []string{"LIVEKIT_URL=ws://127.0.0.1:1", "LIVEKIT_API_KEY=APIkeykeykey", "LIVEKIT_API_SECRET=Zu5qkW3vB1xM9rT7yL0pN8sD6fG4hJ2c-livekit",
		"JWT_SECRET=aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY-caller", "LISTEN_ADDR=127.0.0.1:3000", "ADMIN_ADDR=127.0.0.1:1"}
	var out, errs bytes.Buffer
	status := run(t.Context(), append([]string{"check", "--json"}, args...), append(environ, base...), stdio{&out, &errs})
	var r check.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s %s", err, out.String(), errs.String())
	}
	for _, secret := range append(base[2:4], "="+checkStripeKey, "="+checkHook) {
		if _, value, _ := strings.Cut(secret, "="); strings.Contains(out.String(), value) {
			t.Errorf("a secret is printed: %s", out.String())
		}
	}
	return r, status
}

// saysOf asserts what is said under an id.
func saysOf(t *testing.T, r check.Report, id string, state check.State, texts ...string) {
	t.Helper()
	for _, c := range r.Checks {
		if c.ID != id {
			continue
		}
		said := c.Seen + " → " + c.Remedy
		for _, text := range texts {
			if !strings.Contains(said, text) {
				t.Errorf("%s does not say %q: %s", id, text, said)
			}
		}
		if c.State != state {
			t.Errorf("%s: %s, want %s: %s", id, c.State, state, said)
		}
		return
	}
	t.Errorf("nothing is said of %s", id)
}

// TestCheckAsksStripeAsTheDoorDoes: the whole command, and a Stripe that
// answers in Stripe's shapes.
func TestCheckAsksStripeAsTheDoorDoes(t *testing.T) {
	hook := ""
	stripe := httptest.NewServer(demostripe.New(demostripe.Options{Key: stagedoor.NewSecret(checkStripeKey), WebhookSecret: stagedoor.NewSecret(checkHook),
		Feature: "publish", WebhookURL: func() string { return hook }}))
	defer stripe.Close()
	environ := []string{"STRIPE_SECRET_KEY=" + checkStripeKey, "STRIPE_WEBHOOK_SECRET=" + checkHook, "STRIPE_API_URL=" + stripe.URL}
	r, status := checked(t, environ)
	saysOf(t, r, "billing.key", check.Warn, "test mode, a restricted key")
	saysOf(t, r, "billing.rights", check.Pass)
	saysOf(t, r, "billing.webhook", check.Fail, "no endpoint is registered", "STRIPE_WEBHOOK_SECRET")
	saysOf(t, r, "billing.clock", check.Pass)
	if status != exitFailed || r.OK {
		t.Errorf("status %d, ok %t", status, r.OK)
	}
	hook = "https://door.example.com/webhooks/stripe"
	r, _ = checked(t, environ)
	saysOf(t, r, "billing.webhook", check.Pass, hook)
	// On a platform a test key is a mistake.
	r, _ = checked(t, append(environ, "FLY_APP_NAME=door"))
	saysOf(t, r, "billing.key", check.Fail, "hosting platform", "REQUIRE_LIVE_BILLING")
	r, _ = checked(t, append(environ, "RAILWAY_PROJECT_ID=x", "LISTEN_ADDR=:3000"))
	saysOf(t, r, "store.durable", check.Fail, "no volume")
	r, _ = checked(t, append([]string{"STRIPE_SECRET_KEY=rk_test_anotherKeyOfSomebody"}, environ...))
	saysOf(t, r, "billing.key", check.Fail, "does not take the key")
}

// TestCheckNamesAProxyThatIsNotTrusted: the real door behind a proxy that ends TLS.
func TestCheckNamesAProxyThatIsNotTrusted(t *testing.T) {
	for _, trusted := range [][]netip.Prefix{nil, {netip.MustParsePrefix("127.0.0.1/32")}} {
		door := httptest.NewServer(httpapi.New(httpapi.Options{Door: &stagedoor.Door{Authenticator: nobody{}, Now: time.Now}, Now: time.Now, Log: unheard(), RequireHTTPS: true,
			TrustedProxies: trusted, Ready: func(context.Context) error { return nil }}))
		defer door.Close()
		target, err := url.Parse(door.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		}})
		proxy.Config.ErrorLog = log.New(io.Discard, "", 0) // plain HTTP is tried on purpose
		proxy.StartTLS()
		defer proxy.Close()
		cfg := &config.Config{TrustedProxies: trusted, AdminAddr: "127.0.0.1:1"}
		d := doorOf(&app{now: time.Now}, cfg)
		d.URL = proxy.URL
		r := check.Run(t.Context(), check.Target{Now: time.Now, Transport: proxy.Client().Transport, Door: d})
		if trusted == nil {
			saysOf(t, r, "door.proxy", check.Fail, "TRUSTED_PROXIES")
			continue
		}
		saysOf(t, r, "door.proxy", check.Pass, "127.0.0.1/32")
		saysOf(t, r, "door.auth", check.Pass)
		saysOf(t, r, "door.https", check.Pass, "HSTS")
		saysOf(t, r, "door.cors", check.Pass)
	}
}

// nobody authenticates nobody.
type nobody struct{}

func (nobody) Authenticate(_ context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.MissingToken, "send a token")
}

// TestCheckNamesTheIssuersSlash: discovery as the command does it.
func TestCheckNamesTheIssuersSlash(t *testing.T) {
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"keys":[]}`, issuer.URL+"/", issuer.URL+"/keys")
	}))
	defer issuer.Close()
	r, _ := checked(t, []string{"OIDC_ISSUER=" + issuer.URL, "OIDC_AUDIENCE=door"})
	saysOf(t, r, "callers.issuer", check.Fail, "lacks the slash at the end", "set OIDC_ISSUER to exactly "+issuer.URL+"/")
	r, _ = checked(t, []string{"OIDC_ISSUER=" + issuer.URL + "/", "OIDC_AUDIENCE=door"})
	saysOf(t, r, "callers.issuer", check.Pass)
	saysOf(t, r, "callers.keys", check.Fail, "no key that the door can use")
	r, _ = checked(t, []string{"OIDC_ISSUER=" + issuer.URL + "/"})
	saysOf(t, r, "config:OIDC_AUDIENCE", check.Fail, "set OIDC_AUDIENCE")
}

func TestCheckNamesADatabaseThatCannotBeMade(t *testing.T) {
	r, _ := checked(t, []string{"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "nowhere", "door.db")})
	saysOf(t, r, "store.database", check.Fail, "does not exist: create it", "DATABASE_URL")
}

func TestCheckNamesADoorThatDoesNotAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	r, _ := checked(t, []string{"ADMIN_URL=http://" + address})
	saysOf(t, r, "door.running", check.Fail, "does not answer", "ADMIN_URL")
	saysOf(t, r, "store.database", check.Skip, "ADMIN_URL")
}

// TestCheckTokenAgainstAnIssuersKeys: the issuer gives its keys and is not
// shown the token.
func TestCheckTokenAgainstAnIssuersKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		t.Fatal(err)
	}
	half := base64.RawURLEncoding.EncodeToString
	var asked strings.Builder
	var mu sync.Mutex
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dump, _ := httputil.DumpRequest(r, true)
		mu.Lock()
		defer mu.Unlock()
		asked.Write(dump)
		if r.URL.Path == "/keys" {
			_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","alg":"ES256","x":%q,"y":%q}]}`, half(public[1:33]), half(public[33:]))
			return
		}
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer.URL, issuer.URL+"/keys")
	}))
	defer issuer.Close()
	tokenOf := func(iss, kid string) string {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": iss, "aud": "door", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
		token.Header["kid"] = kid
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	environ := []string{"OIDC_ISSUER=" + issuer.URL, "OIDC_AUDIENCE=door", "JWT_IDENTITY_PREFIX=app"}
	r, status := checked(t, environ, "--token", tokenOf(issuer.URL, "k1"))
	saysOf(t, r, "token.signature", check.Pass)
	saysOf(t, r, "token.verdict", check.Pass)
	if status != exitOK {
		t.Errorf("status %d: %+v", status, r.Checks)
	}
	r, status = checked(t, environ, "--token", tokenOf(issuer.URL+"/", "k1"))
	saysOf(t, r, "token.issuer", check.Fail, "lacks the slash at the end")
	if status != exitFailed {
		t.Errorf("status %d", status)
	}
	r, _ = checked(t, environ, "--token", tokenOf(issuer.URL, "k2"))
	saysOf(t, r, "token.key", check.Fail, "not among the 1 key")
	saysOf(t, r, "token.verdict", check.Fail, "could not be verified")
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(asked.String(), "eyJ") || !strings.Contains(asked.String(), "/keys") {
		t.Errorf("the issuer was sent %s", asked.String())
	}
}
