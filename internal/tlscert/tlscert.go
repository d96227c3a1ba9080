// Package tlscert provides the server's own TLS certificate: from files that
// are reloaded when they change, or from an ACME certificate authority.
package tlscert

import (
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Options say where the certificate comes from: either CertFile and KeyFile, or
// Domains with CacheDir. With neither, the server has no TLS of its own.
type Options struct {
	// CertFile is the certificate chain, KeyFile the private key that belongs to
	// it, both PEM.
	CertFile, KeyFile string
	// Domains are the host names for which a certificate is obtained by ACME.
	Domains []string
	// CacheDir keeps obtained certificates over restarts.
	CacheDir string
	// DirectoryURL is the certificate authority; empty means Let's Encrypt.
	DirectoryURL string
	// Now is the clock by which certificate files are judged.
	Now func() time.Time
	// Log gets one line for each change and for each new problem.
	Log *slog.Logger
}

// Source provides a certificate. A nil Source means that the server has no TLS
// of its own; every method may be called on it. Safe for concurrent use.
type Source struct {
	config *tls.Config
	files  *keyPair // nil when certificates are obtained
	// obtainedUntil is the Unix time at which the obtained certificate expires;
	// 0 before there is one.
	obtainedUntil atomic.Int64
}

// New returns the Source that the options ask for, and nil when they ask for
// none. An error names the certificate files and what is wrong with them.
//
// SPEC: RFC 8555 (ACME); RFC 8737 (tls-alpn-01: on the listener itself, which
// the certificate authority reaches at port 443).
func New(o Options) (*Source, error) {
	switch {
	case len(o.Domains) > 0:
		manager := &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			HostPolicy: autocert.HostWhitelist(o.Domains...),
			Cache:      autocert.DirCache(o.CacheDir),
		}
		if o.DirectoryURL != "" {
			manager.Client = &acme.Client{DirectoryURL: o.DirectoryURL, UserAgent: "stagedoor"}
		}
		return newObtained(manager.TLSConfig()), nil
	case o.CertFile != "":
		return newFromFiles(o)
	}
	return nil, nil
}

// newObtained wraps an ACME configuration and records when the certificates
// that clients get expire. The certificate with which tls-alpn-01 proves the
// domain is not one of them.
func newObtained(config *tls.Config) *Source {
	s := &Source{config: config}
	obtain := config.GetCertificate
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		certificate, err := obtain(hello)
		if err == nil && certificate.Leaf != nil && !slices.Contains(hello.SupportedProtos, acme.ALPNProto) {
			s.obtainedUntil.Store(certificate.Leaf.NotAfter.Unix())
		}
		return certificate, err
	}
	return s
}

// Config returns the TLS configuration for a listener, or nil.
func (s *Source) Config() *tls.Config {
	if s == nil {
		return nil
	}
	return s.config
}

// Expiry returns when the certificate in use expires; zero when there is none.
func (s *Source) Expiry() time.Time {
	switch {
	case s == nil:
		return time.Time{}
	case s.files != nil:
		return s.files.current.Load().Leaf.NotAfter
	}
	if at := s.obtainedUntil.Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// Run reloads certificate files when they change, until ctx ends. It returns at
// once when there are no files.
func (s *Source) Run(ctx context.Context) {
	if s == nil || s.files == nil {
		return
	}
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.Reload()
		}
	}
}

// Reload reads the certificate files now. Files that cannot be used leave the
// current certificate in use, and are logged once. Only one goroutine may call
// it, and not beside Run.
func (s *Source) Reload() {
	if s != nil && s.files != nil {
		s.files.reload()
	}
}
