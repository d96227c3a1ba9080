// Package acme has the built door obtain its certificate from Pebble, the
// ACME server that Let's Encrypt tests with.
package acme

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const host = "door.test"

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

// build compiles a program of a module of this repository.
func build(t *testing.T, module, program string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(program))
	command := exec.Command("go", "build", "-o", binary, program)
	command.Dir, command.Env = module, append(os.Environ(), "CGO_ENABLED=0") // as make build does, from its cache
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// run starts a program until stop is called or the test ends.
func run(t *testing.T, dir string, environment []string, file string, args ...string) (out *output, stop func()) {
	t.Helper()
	out = &output{}
	command := exec.Command(file, args...)
	command.Dir, command.Stdout, command.Stderr = dir, out, out
	command.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
	t.Cleanup(stop)
	return out, stop
}

// ports returns addresses on loopback that are free now.
func ports(t *testing.T, count int) []int {
	t.Helper()
	var all []int
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		all = append(all, l.Addr().(*net.TCPAddr).Port)
	}
	return all
}

// ownCertificate is what Pebble's own listeners show; it names loopback.
func ownCertificate(t *testing.T, dir string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, pool = filepath.Join(dir, "pebble.pem"), filepath.Join(dir, "pebble.key"), x509.NewCertPool()
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return certFile, keyFile, pool
}

// authority is a running Pebble.
type authority struct {
	directory, certFile string
	roots               *x509.CertPool
	stop                func()
}

// startAuthority starts Pebble, which looks for the host on loopback, at the door's port.
func startAuthority(t *testing.T, dir string, door int) authority {
	t.Helper()
	tools := filepath.Join("..", "..", "tools", "pebble")
	server := build(t, tools, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	names := build(t, tools, "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv")
	free := ports(t, 4)
	certFile, keyFile, pool := ownCertificate(t, dir)
	settings, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprint("127.0.0.1:", free[0]), "managementListenAddress": fmt.Sprint("127.0.0.1:", free[1]),
		"certificate": certFile, "privateKey": keyFile, "httpPort": free[3], "tlsPort": door,
		"profiles": map[string]any{"default": map[string]any{"description": "the default", "validityPeriod": 7776000}},
	}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "pebble.json"), settings, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	dns := fmt.Sprint("127.0.0.1:", free[2])
	resolver, _ := run(t, dir, nil, names, "-dnsserver", dns, "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", "")
	said, stop := run(t, dir, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"}, server, "-config", "pebble.json", "-dnsserver", dns, "-strict")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, Timeout: time.Second}
	roots := x509.NewCertPool()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		response, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d/roots/0", free[1]))
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if roots.AppendCertsFromPEM(body) {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatal("Pebble does not answer: ", err, "\n", said, resolver)
		}
	}
	return authority{fmt.Sprintf("https://127.0.0.1:%d/dir", free[0]), certFile, roots, stop}
}

// handshake connects to the door as a client of the host.
func handshake(address, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name}}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// The door obtains a certificate at the first request for its host, keeps it,
// and asks for no other host's.
func TestCertificateIsObtained(t *testing.T) {
	dir := t.TempDir()
	port := ports(t, 1)[0]
	ca := startAuthority(t, dir, port)
	door := build(t, filepath.Join("..", ".."), "./cmd/stagedoor")
	address := fmt.Sprint("127.0.0.1:", port)
	start := func() (*output, func()) {
		out, stop := run(t, dir, []string{"LISTEN_ADDR=" + address, "ADMIN_ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:door.db", "REQUIRE_HTTPS=true", "DRAIN_DELAY=0s", "LOG_FORMAT=json",
			"TLS_DOMAINS=" + host, "TLS_ACME_URL=" + ca.directory, "SSL_CERT_FILE=" + ca.certFile,
			"LIVEKIT_URL=ws://127.0.0.1:7880", "LIVEKIT_API_KEY=APIconformance", "LIVEKIT_API_SECRET=conformance-only-7Qw2Er9Ty4Ui6Op1As3Df5",
			"JWT_SECRET=conformance-only-callers-8Zx2Cv4Bn6Mq1We3Rt5"}, door, "serve")
		for end := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), "stagedoor is listening"); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the door does not start:\n", out)
			}
		}
		return out, stop
	}
	out, stop := start()
	begun := time.Now()
	certificate, err := handshake(address, host, ca.roots)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("a certificate of %s after %v", certificate.Issuer, time.Since(begun).Round(time.Millisecond))
	if again, err := handshake(address, host, ca.roots); err != nil || !again.Equal(certificate) {
		t.Errorf("the second client got another certificate: %v", err)
	}
	for _, other := range []string{"other.test", "www." + host} {
		if _, err := handshake(address, other, ca.roots); err == nil {
			t.Errorf("a certificate for %s", other)
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.roots, ServerName: host}}}
	response, err := client.Get("https://" + address + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	kept, err := os.ReadDir(filepath.Join(dir, "certificates"))
	if err != nil || len(kept) == 0 {
		t.Fatal("nothing is kept for the next start: ", err)
	}
	for _, file := range kept {
		if info, err := file.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others", file.Name())
		}
	}
	// The next start needs nobody: certificates are rationed.
	stop()
	ca.stop()
	start()
	if again, err := handshake(address, host, ca.roots); err != nil || !again.Equal(certificate) {
		t.Errorf("after a restart: %v", err)
	}
}
