package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stagedoor/internal/config"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/tlscert"
	"stagedoor/internal/tlscert/tlscerttest"
)

// writeCertificate writes a certificate for host, and its key, to dir.
func writeCertificate(t *testing.T, dir, host string) {
	t.Helper()
	if err := tlscerttest.WritePair(dir, host, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
}

// certificateIn makes a certificate for host in dir and takes it as serve does.
func certificateIn(t *testing.T, dir, host string) *tlscert.Source {
	t.Helper()
	writeCertificate(t, dir, host)
	cfg := &config.Config{TLSCertFile: filepath.Join(dir, "cert.pem"), TLSKeyFile: filepath.Join(dir, "key.pem")}
	source, err := tlscert.New(tlsOptions(cfg, time.Now, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// The server's own TLS counts as HTTPS; no header that a client sends does.
func TestOwnTLSIsServed(t *testing.T) {
	dir := t.TempDir()
	own := certificateIn(t, dir, "door.test")
	listeners, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	api := httpapi.New(httpapi.Options{
		TLS: own.Config(), RequireHTTPS: true, Now: time.Now, Log: log,
		Ready: func(context.Context) error { return nil },
	})
	go func() { ended <- httpapi.Serve(ctx, api, listeners, 0, log) }()
	address := listeners[0].Addr().String()
	pool := x509.NewCertPool()
	chain, _ := os.ReadFile(filepath.Join(dir, "cert.pem"))
	pool.AppendCertsFromPEM(chain)
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1"} {
		transport := &http.Transport{
			ForceAttemptHTTP2: protocol == "HTTP/2.0",
			TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: "door.test"},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		}
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
