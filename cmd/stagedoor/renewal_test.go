package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What is renewed without a restart, and what a restart on one port costs.

// An identity provider's new key is taken by a running door.
func TestRotationOfIssuersKeys(t *testing.T) {
	t.Parallel()
	keys := map[string]*ecdsa.PrivateKey{}
	for _, kid := range []string{"old", "new"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[kid] = key
	}
	var mu sync.Mutex
	published := []string{"old"}
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var list []string
		for _, kid := range published {
			point, _ := keys[kid].PublicKey.Bytes()
			list = append(list, fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q}`, kid, base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])))
		}
		_, _ = fmt.Fprintf(w, `{"keys":[%s]}`, strings.Join(list, ","))
	}))
	defer idp.Close()
	const issuer = "https://idp.acme.example/"
	signedBy := func(kid string) string {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": issuer, "aud": "door", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
		token.Header["kid"] = kid
		signed, err := token.SignedString(keys[kid])
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + signed
	}
	_, url, _ := startServe(t, "DRAIN_DELAY=0s", "JWT_SECRET=", "OIDC_ISSUER="+issuer, "OIDC_JWKS_URL="+idp.URL, "OIDC_AUDIENCE=door")
	mustAnswer(t, "the old key before", 200, url+"/api/join", `{"room":"r"}`, signedBy("old"), nil)
	mu.Lock()
	published = []string{"new", "old"}
	mu.Unlock()
	mustAnswer(t, "the new key at once", 200, url+"/api/join", `{"room":"r"}`, signedBy("new"), nil)
	mustAnswer(t, "the old key beside it", 200, url+"/api/join", `{"room":"r"}`, signedBy("old"), nil)
}

// New connections get the new certificate; those that are open stay so.
func TestRotationOfCertificate(t *testing.T) {
	dir := t.TempDir()
	own := certificateIn(t, dir, "old.test")
	listener, err := tls.Listen("tcp", "127.0.0.1:0", own.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn) }()
		}
	}()
	connect := func() (*tls.Conn, string) {
		t.Helper()
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		return conn, conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	before, host := connect()
	defer func() { _ = before.Close() }()
	if host != "old.test" {
		t.Errorf("before: %s", host)
	}
	writeCertificate(t, dir, "new.test")
	own.Reload()
	after, host := connect()
	_ = after.Close()
	if host != "new.test" {
		t.Errorf("afterwards: %s", host)
	}
	echo := make([]byte, 4)
	if _, err := before.Write([]byte("ping")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(before, echo); err != nil || string(echo) != "ping" {
		t.Errorf("the open connection: %q %v", echo, err)
	}
}

// On one machine and one port the new door cannot listen before the old one is
// gone: connections are refused for a moment. Who tries again after a refusal,
// as the browser helper does, loses no request.
func TestRestartOnOnePortLosesNoRequest(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "door.db")
	door, url, _ := startServe(t, "DRAIN_DELAY=0s", "DATABASE_URL=sqlite:"+database)
	address := strings.TrimPrefix(url, "http://")
	crowd := newCrowd(t, url, signedWith(t, callerSecret, nil))
	crowd.joinsAtLeast(20)
	began := time.Now()
	if err := door.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := door.Wait(); err != nil {
		t.Error(err)
	}
	var log bytes.Buffer
	again := exec.Command("stagedoor", "serve")
	again.Dir, again.Env, again.Stderr = door.Dir, append(door.Env, "LISTEN_ADDR="+address), &log
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = again.Process.Signal(os.Interrupt)
		_ = again.Wait()
	})
	joins, refusals := crowd.so()
	crowd.joinsAtLeast(joins + 20)
	t.Logf("joining again %v after the signal, %d refusals before", time.Since(began), refusals)
	crowd.end()
}

// crowd are callers who join all the time and try again after a refused
// connection; any other failure is a lost request.
type crowd struct {
	t               *testing.T
	mu              sync.Mutex
	joins, refusals int
	stop            chan struct{}
	group           sync.WaitGroup
}

func newCrowd(t *testing.T, url, token string) *crowd {
	c := &crowd{t: t, stop: make(chan struct{})}
	for range 4 {
		c.group.Go(func() {
			for {
				c.note(post(url+"/api/join", `{"room":"r"}`, "Bearer "+token, nil))
				select {
				case <-c.stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
	}
	return c
}

func (c *crowd) note(status int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var refused *net.OpError
	switch {
	case err == nil && status == http.StatusOK:
		c.joins++
	case errors.As(err, &refused) && refused.Op == "dial":
		c.refusals++
	default:
		c.t.Errorf("a request was lost: %d %v", status, err)
	}
}

func (c *crowd) so() (joins, refusals int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.joins, c.refusals
}

// joinsAtLeast waits for so many joins.
func (c *crowd) joinsAtLeast(n int) {
	c.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if joins, _ := c.so(); joins >= n {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("not %d joins within 10 s", n)
		}
	}
}

func (c *crowd) end() {
	close(c.stop)
	c.group.Wait()
}
