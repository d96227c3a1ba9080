package tlscert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// reloadEvery is how often the certificate files are read.
const reloadEvery = 10 * time.Second

// keyPair is a certificate chain and its key in files that may be replaced
// while the server runs. Reading current is safe for concurrent use.
type keyPair struct {
	cert, key string
	now       func() time.Time
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	// lastProblem is the last problem logged, so that it is logged once.
	lastProblem string
}

// FilesRemedy says what to do about files that CheckFiles refuses.
const FilesRemedy = "name the certificate chain in TLS_CERT_FILE and the private key that belongs to it " +
	"in TLS_KEY_FILE, both PEM"

// CheckFiles says why New would refuse the certificate files at the time now;
// nil when it would use them.
func CheckFiles(certFile, keyFile string, now time.Time) error {
	pair := &keyPair{cert: certFile, key: keyFile, now: func() time.Time { return now }}
	return pair.load()
}

func newFromFiles(o Options) (*Source, error) {
	pair := &keyPair{cert: o.CertFile, key: o.KeyFile, now: o.Now, log: o.Log}
	if err := pair.load(); err != nil {
		return nil, fmt.Errorf("TLS_CERT_FILE, TLS_KEY_FILE: %w; %s", err, FilesRemedy)
	}
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.current.Load(), nil },
	}
	return &Source{config: config, files: pair}, nil
}

// load reads the files. An error says what is wrong and quotes nothing of the key.
func (k *keyPair) load() error {
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	switch now := k.now(); {
	case err != nil:
		return err
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate is valid only from %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
		return errors.New("the certificate names no host that a client would accept (no subjectAltName)")
	}
	pair.Leaf = leaf
	k.current.Store(&pair)
	return nil
}

// reload reads the files again. The two files are rarely replaced in one step,
// so a pair that does not match is logged once and tried again.
func (k *keyPair) reload() {
	before := k.current.Load()
	if err := k.load(); err != nil {
		if k.lastProblem != err.Error() {
			k.lastProblem = err.Error()
			k.log.Error("certificate reload failed, keeping the current certificate",
				"expires", before.Leaf.NotAfter, "err", err)
		}
		return
	}
	k.lastProblem = ""
	if after := k.current.Load(); !after.Leaf.Equal(before.Leaf) {
		k.log.Info("certificate reloaded", "hosts", after.Leaf.DNSNames, "expires", after.Leaf.NotAfter)
	}
}
