package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// flakyIssuer is an OIDC issuer whose key set tests replace.
type flakyIssuer struct {
	*httptest.Server
	body  atomic.Pointer[string]
	asked atomic.Int32
	key   *ecdsa.PrivateKey
}

func newFlakyIssuer(t *testing.T) *flakyIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f := &flakyIssuer{key: key}
	encode := base64.RawURLEncoding.EncodeToString
	f.answers(fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","x":%q,"y":%q}]}`,
		encode(point[1:33]), encode(point[33:])))
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, f.URL, f.URL+"/keys")
			return
		}
		f.asked.Add(1)
		_, _ = io.WriteString(w, *f.body.Load())
	}))
	t.Cleanup(f.Close)
	return f
}

// answers replaces the body of the key set.
func (f *flakyIssuer) answers(body string) { f.body.Store(&body) }

// token is a caller's token that names the key.
func (f *flakyIssuer) token(t *testing.T, kid string, key *ecdsa.PrivateKey) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": f.URL, "aud": "door", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"] = kid
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// readiness returns the status and the body of /readyz.
func readiness(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// awaitIssuers waits until every issuer has given its keys.
func awaitIssuers(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, body := readiness(t, url)
		if status == http.StatusOK && !strings.Contains(body, "degraded") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d %s", status, body)
		}
	}
}

// awaitStoredKeys waits until the database holds a key set.
func awaitStoredKeys(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		count := 0
		if err := db.QueryRow("SELECT COUNT(*) FROM key_sets").Scan(&count); err == nil && count == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no key set was stored")
		}
	}
}

// TestKeySets_OneBadAnswerAndARestartShutNobodyOut goes through an issuer's bad
// day with the real program.
func TestKeySets_OneBadAnswerAndARestartShutNobodyOut(t *testing.T) {
	t.Parallel()
	issuer := newFlakyIssuer(t)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(t.TempDir(), "stagedoor.db")
	settings := []string{"JWT_SECRET=", "DRAIN_DELAY=0s", "DATABASE_URL=sqlite:" + database,
		"OIDC_ISSUER=" + issuer.URL, "OIDC_AUDIENCE=door"}
	good, forged := issuer.token(t, "k1", issuer.key), issuer.token(t, "k2", stranger)
	join := func(url, token string, want int) {
		t.Helper()
		if status, answer := ask(t, url, token, `{"room":"r"}`, nil); status != want {
			t.Errorf("%d %v, want %d", status, answer, want)
		}
	}

	cmd, url, _ := startServe(t, settings...) // ready: the issuer has answered
	join(url, good, http.StatusOK)
	awaitStoredKeys(t, database)
	whole := *issuer.body.Load()
	issuer.answers(`{"keys":[]}`)
	before := issuer.asked.Load()
	for range 5 {
		join(url, forged, http.StatusServiceUnavailable)
		join(url, good, http.StatusOK)
	}
	if n := issuer.asked.Load() - before; n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
	if status, body := readiness(t, url); status != http.StatusOK || !strings.Contains(body, `"degraded":["`+issuer.URL+`"]`) {
		t.Errorf("%d %s", status, body)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	issuer.answers(whole)
	cmd, url, _ = startServe(t, settings...)
	join(url, good, http.StatusOK)
	join(url, forged, http.StatusUnauthorized) // the issuer answers, and has no such key
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	issuer.Close() // and it stays down
	cmd, url, _ = startServe(t, settings...)
	join(url, good, http.StatusOK)
	join(url, forged, http.StatusServiceUnavailable)
	if status, body := readiness(t, url); status != http.StatusOK || !strings.Contains(body, issuer.URL) {
		t.Errorf("%d %s", status, body)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	// Another address of the keys is another configuration. JWT_SECRET's callers
	// are served beside it.
	_, url, _ = startServe(t, append(settings, "OIDC_JWKS_URL="+issuer.URL+"/other", "JWT_SECRET="+callerSecret)...)
	join(url, good, http.StatusServiceUnavailable)
	join(url, signedWith(t, callerSecret, jwt.MapClaims{"sub": "bob"}), http.StatusOK)
	if status, body := readiness(t, url); status != http.StatusOK || !strings.Contains(body, "degraded") {
		t.Errorf("%d %s", status, body)
	}
}
