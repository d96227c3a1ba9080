package prometheus

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
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

	"stagedoor"
	"stagedoor/internal/demostripe"
)

const (
	callerSecret = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY-caller"
	adminToken   = "iT4oP6aS8dF1gH3jK5lZ7xC9vB2nM4qW-admin"
	stripeKey    = "sk_test_door"
	eventSecret  = "whsec_7kP2mQ9rT4vX8zB3nL6wY1cF5hJ0dG"
)

// output collects what a program prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs a program until the test ends.
func start(t *testing.T, dir string, environment []string, file string, args ...string) *output {
	t.Helper()
	out := &output{}
	command := exec.Command(file, args...)
	command.Dir, command.Stdout, command.Stderr = dir, out, out
	command.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
	return out
}

// freeAddress is one on loopback that is free now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// certificate writes one for loopback.
func certificate(t *testing.T, dir string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// stripe is stagedoor dev's.
func stripe(t *testing.T) string {
	t.Helper()
	s := demostripe.New(demostripe.Options{Key: stagedoor.NewSecret(stripeKey), WebhookSecret: stagedoor.NewSecret(eventSecret), WebhookURL: func() string { return "" }})
	if err := s.Subscribe("ann", "Ann"); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(s)
	t.Cleanup(api.Close)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return api.URL
}

// issuer publishes one key.
func issuer(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32))) }
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`, encode(key.X), encode(key.Y))
	}))
	t.Cleanup(idp.Close)
	return idp.URL
}

// door is a real one, with everything on that has metrics.
type door struct {
	public, admin string
	log           *output
	client        *http.Client
}

// sourcesAreSeen opens the program's sources, so that go test does not answer
// from its cache when one has changed.
func sourcesAreSeen(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"testdata/cmd/", "testdata/internal/"} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".go") {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func startDoor(t *testing.T) *door {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "stagedoor")
	build := exec.Command("go", "build", "-o", binary, "./cmd/stagedoor")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sourcesAreSeen(t)
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(collector.Close)
	certFile, keyFile := certificate(t, dir)
	d := &door{public: freeAddress(t), admin: freeAddress(t)}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // its own, of a minute ago
	d.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	d.log = start(t, dir, []string{"LISTEN_ADDR=" + d.public, "ADMIN_ADDR=" + d.admin, "ADMIN_TOKEN=" + adminToken, "LIVEKIT_URL=ws://127.0.0.1:1",
		"LIVEKIT_API_KEY=APIkey", "LIVEKIT_API_SECRET=Zu5qkW3vB1xM9rT7yL0pN8sD6fG4hJ2c-livekit", "JWT_SECRET=" + callerSecret,
		"OIDC_ISSUER=https://idp.example/", "OIDC_AUDIENCE=door", "OIDC_JWKS_URL=" + issuer(t), "TLS_CERT_FILE=" + certFile, "TLS_KEY_FILE=" + keyFile,
		"STRIPE_SECRET_KEY=" + stripeKey, "STRIPE_WEBHOOK_SECRET=" + eventSecret, "STRIPE_API_URL=" + stripe(t),
		"DATABASE_URL=sqlite:" + filepath.Join(dir, "door.db"), "DRAIN_DELAY=0s", "OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL}, binary, "serve")
	d.until(t, "the door is ready", func() bool {
		resp, err := d.client.Get("https://" + d.public + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return d
}

// until waits for something to become true.
func (d *door) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s\n%s", what, d.log)
		}
	}
}

// join asks for a token and returns the status.
func (d *door) join(t *testing.T, token string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "https://"+d.public+"/api/join", strings.NewReader(`{"room":"r"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode
}

func callerToken(t *testing.T) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(callerSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// scrape asks as Prometheus does.
func (d *door) scrape(t *testing.T, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+d.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := d.client.Do(req)
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
