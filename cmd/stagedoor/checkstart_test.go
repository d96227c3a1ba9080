package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"stagedoor/internal/check"
)

// occupied is an address that somebody else listens on.
func occupied(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// TestCheckFailsWhereServeDies: every variable is well written, and what it
// names cannot be used.
func TestCheckFailsWhereServeDies(t *testing.T) {
	dir := t.TempDir()
	nonsense, missing := filepath.Join(dir, "nonsense.pem"), filepath.Join(dir, "nodir", "file")
	if err := os.WriteFile(nonsense, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, id string
		environ  []string
		texts    []string
	}{
		{"no certificate", "config:TLS_CERT_FILE", []string{"TLS_CERT_FILE=" + missing, "TLS_KEY_FILE=" + nonsense}, []string{missing, "TLS_KEY_FILE, both PEM"}},
		{"a key that does not fit", "config:TLS_CERT_FILE", []string{"TLS_CERT_FILE=" + nonsense, "TLS_KEY_FILE=" + nonsense}, []string{"cannot be used", "the private key that belongs to it"}},
		{"no directory", "config:AUDIT_LOG", []string{"AUDIT_LOG=" + missing}, []string{"nodir", "name a file in a directory that is there"}},
		{"a directory", "config:AUDIT_LOG", []string{"AUDIT_LOG=" + dir}, []string{"is not a file"}},
		{"a file for a directory", "config:AUDIT_LOG", []string{"AUDIT_LOG=" + filepath.Join(nonsense, "audit.log")}, []string{"nonsense.pem"}},
		{"no policy", "config:POLICY_FILE", []string{"POLICY_FILE=" + missing}, []string{"is not taken: " + missing, "stagedoor policy test"}},
		{"a taken port", "config:LISTEN_ADDR", []string{"LISTEN_ADDR=" + occupied(t)}, []string{"address already in use", "stop what has it"}},
		{"a taken port for operators", "config:ADMIN_ADDR", []string{"ADMIN_ADDR=" + occupied(t)}, []string{"address already in use"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, status := checked(t, c.environ)
			saysOf(t, r, c.id, check.Fail, c.texts...)
			if status != exitFailed {
				t.Errorf("status %d", status)
			}
		})
	}
	log := filepath.Join(dir, "audit.log")
	r, _ := checked(t, []string{"AUDIT_LOG=" + log, "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "JWT_AUDIENCE=door"})
	for _, got := range r.Checks {
		if got.ID == "config:AUDIT_LOG" || got.ID == "config:LISTEN_ADDR" || got.ID == "config:ADMIN_ADDR" {
			t.Errorf("what serve starts with fails: %+v", got)
		}
	}
	if _, err := os.Stat(log); !os.IsNotExist(err) {
		t.Errorf("a check has made the audit log: %v", err)
	}
	// Somebody else's machine has that port.
	r, _ = checked(t, []string{"LISTEN_ADDR=" + occupied(t), "ADMIN_URL=http://127.0.0.1:1"})
	for _, got := range r.Checks {
		if got.ID == "config:LISTEN_ADDR" {
			t.Errorf("a port is tried though ADMIN_URL names a door: %+v", got)
		}
	}
}
