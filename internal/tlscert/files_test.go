package tlscert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"stagedoor/internal/tlscert/tlscerttest"
)

func writePair(t *testing.T, dir, host string, until time.Time) {
	t.Helper()
	if err := tlscerttest.WritePair(dir, host, until); err != nil {
		t.Fatal(err)
	}
}

func optionsFor(dir string, log io.Writer) Options {
	return Options{
		CertFile: filepath.Join(dir, "cert.pem"),
		KeyFile:  filepath.Join(dir, "key.pem"),
		Now:      time.Now,
		Log:      slog.New(slog.NewTextHandler(log, nil)),
	}
}

func TestReload_TakesNewFilesAndKeepsTheOldOnesUntilBothMatch(t *testing.T) {
	dir, log := t.TempDir(), &bytes.Buffer{}
	writePair(t, dir, "one.test", time.Now().Add(time.Minute))
	o := optionsFor(dir, log)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	wantHost := func(host string) {
		t.Helper()
		if got := s.files.current.Load().Leaf.DNSNames[0]; got != host {
			t.Errorf("in use is %s, want %s", got, host)
		}
	}
	s.Reload()
	wantHost("one.test")

	oldKey, _ := os.ReadFile(o.KeyFile)
	writePair(t, dir, "two.test", time.Now().Add(time.Minute))
	newKey, _ := os.ReadFile(o.KeyFile)
	_ = os.WriteFile(o.KeyFile, oldKey, 0o600) // the certificate is new, the key not yet
	s.Reload()
	s.Reload()
	wantHost("one.test")
	if n := strings.Count(log.String(), "certificate reload failed"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, log)
	}
	if strings.Contains(log.String(), strings.Split(string(oldKey), "\n")[1]) {
		t.Error("the key is in the log")
	}

	_ = os.WriteFile(o.KeyFile, newKey, 0o600)
	s.Reload()
	wantHost("two.test")
	if !strings.Contains(log.String(), "certificate reloaded") {
		t.Error(log)
	}
	for _, file := range []string{o.KeyFile, o.CertFile} {
		_ = os.Remove(file)
		s.Reload()
		wantHost("two.test")
	}
}

func TestNew_UnusableFilesAreRefusedWithTheReason(t *testing.T) {
	for name, c := range map[string]struct {
		host  string
		until time.Duration
		want  string
	}{
		"expired":       {"door.test", -time.Minute, "expired"},
		"not yet valid": {"door.test", 2 * time.Hour, "valid only from"},
		"names no host": {"", time.Minute, "subjectAltName"},
	} {
		dir := t.TempDir()
		writePair(t, dir, c.host, time.Now().Add(c.until))
		_, err := New(optionsFor(dir, io.Discard))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "TLS_CERT_FILE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(optionsFor(t.TempDir(), io.Discard)); err == nil {
		t.Error("missing files were accepted")
	}
}

func TestSource_NilHasNoCertificate(t *testing.T) {
	s, err := New(Options{})
	if err != nil || s != nil || s.Config() != nil || !s.Expiry().IsZero() {
		t.Errorf("%v %v %v", s, s.Config(), err)
	}
	s.Run(t.Context())
	s.Reload()
}

// The certificate of tls-alpn-01 proves the domain; clients never get it.
func TestExpiry_OfObtainedCertificateIsThatWhichClientsGet(t *testing.T) {
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	s := newObtained(&tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "" {
			return nil, errors.New("no certificate")
		}
		return &tls.Certificate{Leaf: &x509.Certificate{NotAfter: expires}}, nil
	}})
	for _, hello := range []*tls.ClientHelloInfo{{}, {ServerName: "door", SupportedProtos: []string{acme.ALPNProto}}} {
		_, _ = s.Config().GetCertificate(hello)
		if !s.Expiry().IsZero() {
			t.Errorf("%+v: expires at %v", hello, s.Expiry())
		}
	}
	if _, err := s.Config().GetCertificate(&tls.ClientHelloInfo{ServerName: "door"}); err != nil || !s.Expiry().Equal(expires) {
		t.Errorf("expires at %v, %v", s.Expiry(), err)
	}
}
