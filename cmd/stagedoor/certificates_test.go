package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stagedoor/internal/config"
	"stagedoor/internal/httpapi"
)

// issue writes a certificate for a host and its key.
func issue(t *testing.T, dir, host string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: until.Add(-time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	if host != "" {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func pairIn(dir string, log io.Writer) *keyPair {
	return &keyPair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), now: time.Now, log: slog.New(slog.NewTextHandler(log, nil))}
}

func TestCertificateIsReplacedWhileTheDoorRuns(t *testing.T) {
	dir, log := t.TempDir(), &bytes.Buffer{}
	issue(t, dir, "one.test", time.Now().Add(time.Minute))
	k := pairIn(dir, log)
	if err := k.load(); err != nil {
		t.Fatal(err)
	}
	in := func(host string) {
		t.Helper()
		if got := k.current.Load().Leaf.DNSNames[0]; got != host {
			t.Errorf("in use is %s, want %s", got, host)
		}
	}
	k.look()
	in("one.test")
	key, _ := os.ReadFile(k.key)
	issue(t, dir, "two.test", time.Now().Add(time.Minute))
	newKey, _ := os.ReadFile(k.key)
	_ = os.WriteFile(k.key, key, 0o600) // the certificate is new, the key not yet
	k.look()
	k.look()
	in("one.test")
	if n := strings.Count(log.String(), "is not taken"); n != 1 {
		t.Errorf("complained %d times:\n%s", n, log)
	}
	if strings.Contains(log.String(), strings.Split(string(key), "\n")[1]) {
		t.Error("the key stands in the log")
	}
	_ = os.WriteFile(k.key, newKey, 0o600)
	k.look()
	in("two.test")
	if !strings.Contains(log.String(), "a new certificate is in use") {
		t.Error(log)
	}
	for _, gone := range []string{k.key, k.cert} {
		_ = os.Remove(gone)
		k.look()
		in("two.test")
	}
}

func TestUnfitCertificateStopsTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		host  string
		until time.Duration
		want  string
	}{
		"expired":       {"door.test", -time.Minute, "expired"},
		"not yet":       {"door.test", 2 * time.Hour, "valid from"},
		"names no host": {"", time.Minute, "subjectAltName"},
	} {
		dir := t.TempDir()
		issue(t, dir, c.host, time.Now().Add(c.until))
		_, err := newCertificates(&config.Config{TLSCertFile: filepath.Join(dir, "cert.pem"), TLSKeyFile: filepath.Join(dir, "key.pem")}, time.Now, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "TLS_CERT_FILE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := newCertificates(&config.Config{TLSCertFile: "nowhere.pem", TLSKeyFile: "nowhere.pem"}, time.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("missing files were taken")
	}
}

// The door's own TLS counts as HTTPS: no header of a client's can say so.
func TestOwnTLSIsServed(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir, "door.test", time.Now().Add(time.Minute))
	own, err := newCertificates(&config.Config{TLSCertFile: filepath.Join(dir, "cert.pem"), TLSKeyFile: filepath.Join(dir, "key.pem")}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	api := httpapi.New(httpapi.Options{TLS: own.tls, RequireHTTPS: true, Now: time.Now, Log: slog.New(slog.DiscardHandler), Ready: func(context.Context) error { return nil }})
	go func() { ended <- httpapi.Serve(ctx, api, listeners, 0, slog.New(slog.DiscardHandler)) }()
	address := listeners[0].Addr().String()
	pool := x509.NewCertPool()
	chain, _ := os.ReadFile(filepath.Join(dir, "cert.pem"))
	pool.AppendCertsFromPEM(chain)
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1"} {
		transport := &http.Transport{ForceAttemptHTTP2: protocol == "HTTP/2.0", TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "door.test"},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}}
		response, err := (&http.Client{Transport: transport}).Get("https://door.test/openapi.yaml")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		transport.CloseIdleConnections()
		if response.Proto != protocol || response.StatusCode != 200 || response.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s %d %v", response.Proto, response.StatusCode, response.Header)
		}
	}
	old := &tls.Config{RootCAs: pool, ServerName: "door.test", MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", address, old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was spoken")
	}
	plain, err := http.Get("http://" + address + "/openapi.yaml")
	if err != nil || plain.StatusCode != 400 {
		t.Errorf("plain HTTP: %v %v", plain, err)
	}
	_ = plain.Body.Close()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
