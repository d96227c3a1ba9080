package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"stagedoor/internal/config"
)

// certificatesEvery is how often the certificate's files are looked at.
const certificatesEvery = 10 * time.Second

// certificates give the door its own TLS. Where nothing is configured, tls is
// nil: a proxy in front speaks it.
type certificates struct {
	tls *tls.Config
	// watch takes files that change, and look takes them as they are now; nil
	// where there are none.
	watch func(context.Context)
	look  func()
	// expiry is when the certificate in use ends, zero before there is one; nil
	// without TLS.
	expiry func() time.Time
}

// newCertificates reads the certificate that the configuration names, or
// prepares to obtain one.
//
// SPEC: RFC 8555 (ACME), RFC 8737 (tls-alpn-01: on the listener itself, which
// the certificate authority reaches at port 443).
func newCertificates(cfg *config.Config, now func() time.Time, log *slog.Logger) (certificates, error) {
	switch {
	case len(cfg.TLSDomains) > 0:
		manager := &autocert.Manager{
			Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(cfg.TLSDomains...),
			Cache: autocert.DirCache(filepath.Join(filepath.Dir(cfg.DatabasePath), "certificates")),
		}
		if cfg.TLSACMEURL != nil {
			manager.Client = &acme.Client{DirectoryURL: cfg.TLSACMEURL.String(), UserAgent: "stagedoor"}
		}
		return obtained(manager.TLSConfig()), nil
	case cfg.TLSCertFile != "":
		pair := &keyPair{cert: cfg.TLSCertFile, key: cfg.TLSKeyFile, now: now, log: log}
		if err := pair.load(); err != nil {
			return certificates{}, failure{exitUsage, fmt.Errorf("TLS_CERT_FILE, TLS_KEY_FILE: %w; %s", err, fittingPair)}
		}
		return certificates{watch: pair.watch, look: pair.look, expiry: func() time.Time { return pair.current.Load().Leaf.NotAfter }, tls: &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.current.Load(), nil },
		}}, nil
	}
	return certificates{}, nil
}

// fittingPair is what to do about files that cannot be used.
const fittingPair = "name the certificate chain in TLS_CERT_FILE and the private key that belongs to it in TLS_KEY_FILE, both PEM"

// obtained notes when the certificates that are handed out end: those of the
// proof of a domain, which tls-alpn-01 asks for, are none.
func obtained(config *tls.Config) certificates {
	var ends atomic.Int64
	obtain := config.GetCertificate
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		certificate, err := obtain(hello)
		if err == nil && certificate.Leaf != nil && !slices.Contains(hello.SupportedProtos, acme.ALPNProto) {
			ends.Store(certificate.Leaf.NotAfter.Unix())
		}
		return certificate, err
	}
	return certificates{tls: config, expiry: func() time.Time {
		if at := ends.Load(); at != 0 {
			return time.Unix(at, 0)
		}
		return time.Time{}
	}}
}

// keyPair is a certificate chain and its key in files that may be replaced
// while the door runs. Safe for concurrent use once it is loaded; watch is one
// goroutine's.
type keyPair struct {
	cert, key string
	now       func() time.Time
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	refused   string // the last complaint, told once
}

// load reads the files. Errors say what is wrong and hold nothing of the key.
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
		return fmt.Errorf("the certificate is valid from %s on", leaf.NotBefore.UTC().Format(time.RFC3339))
	case len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
		return errors.New("the certificate names no host that a client would accept (no subjectAltName)")
	}
	pair.Leaf = leaf
	k.current.Store(&pair)
	return nil
}

// watch takes new files until ctx ends. Files that do not fit leave the old
// certificate, loudly; the two are not replaced in one step, so that a
// mismatch is complained about only when it lasts.
func (k *keyPair) watch(ctx context.Context) {
	ticker := time.NewTicker(certificatesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.look()
		}
	}
}

// look takes the files as they are now.
func (k *keyPair) look() {
	before := k.current.Load()
	if err := k.load(); err != nil {
		if k.refused == err.Error() {
			return
		}
		if k.refused = err.Error(); before != nil {
			k.log.Error("the new certificate is not taken, and the old one stays", "until", before.Leaf.NotAfter, "err", err)
		}
		return
	}
	k.refused = ""
	if after := k.current.Load(); !after.Leaf.Equal(before.Leaf) {
		k.log.Info("a new certificate is in use", "hosts", after.Leaf.DNSNames, "until", after.Leaf.NotAfter)
	}
}
