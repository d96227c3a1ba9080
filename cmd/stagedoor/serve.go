package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"stagedoor/client"
	"stagedoor/docs"
	"stagedoor/internal/clockskew"
	"stagedoor/internal/config"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/policy"
	"stagedoor/internal/tlscert"
)

type serveCmd struct{}

// Run serves until the process is told to end.
func (*serveCmd) Run(a *app) error {
	cfg, report, err := a.configure(config.Serve)
	if err != nil {
		return err
	}
	log := newLogger(cfg, a.err)
	warn(log, report)
	d := deployment{url: cfg.ClientURL(), api: cfg.APIURL(), key: cfg.LiveKitAPIKey, secret: cfg.LiveKitAPISecret}
	a.clocks = clockskew.NewMonitor(a.now, log)
	rules, err := a.openPolicy(cfg, "", log)
	if err != nil {
		return err
	}
	hangups, release := reloadSignals(rules)
	defer release()
	issuers := issuersFrom(cfg, rules.Issuers())
	if len(issuers) == 0 { // the policy file might have named one
		_ = (&config.Report{Problems: []config.Problem{config.NoCallers()}}).Format(a.err, coloured(a.err, a.environ))
		return failure{status: exitUsage}
	}
	certificate, err := tlscert.New(tlsOptions(cfg, a.now, log))
	if err != nil {
		return failure{exitUsage, err}
	}
	callers, err := a.newAuthenticator(cfg, issuers, d.key, log)
	if err != nil {
		return failure{exitUsage, err}
	}
	kept, err := openRecords(cfg, a.out, a.now, log)
	if err != nil {
		return err
	}
	defer kept.close()
	h, err := newHouse(context.Background(), a, cfg, d, callers, rules, issuersOf(issuers), plansOf(cfg), kept, log)
	if err != nil {
		return err
	}
	defer h.close()
	callers.UseKeyStore(context.Background(), h.store)
	limits, seen, err := attach(cfg, h, callers, certificate.Expiry)
	if err != nil {
		return err
	}
	listeners, operators, err := listenBoth(cfg)
	if err != nil {
		return err
	}
	defer background(context.Background(), callers.Run)()
	defer background(context.Background(), seen.run)()
	defer background(context.Background(), h.run)()
	defer background(context.Background(), certificate.Run)()
	defer background(context.Background(), func(ctx context.Context) { rules.Watch(ctx, hangups, policy.PollEvery, h.policyChanged) })()
	defer background(context.Background(), func(ctx context.Context) { serveOperators(ctx, h.admin, operators, a.now, log) })()
	log.Info("stagedoor is listening", "address", listeners[0].Addr().String(), "version", version, "livekit", d.url)
	if err := httpapi.Serve(a.ctx, httpapi.New(publicOptions(a, cfg, h, seen, certificate.Config(), *limits, kept.ready, log)), listeners, cfg.DrainDelay, log); err != nil {
		return err
	}
	log.Info("stagedoor has ended")
	return nil
}

// publicOptions are what the public listener serves with.
func publicOptions(a *app, cfg *config.Config, h *house, seen *observers, tlsConfig *tls.Config, limits httpapi.Limits, recorded func() error, log *slog.Logger) httpapi.Options {
	options := httpapi.Options{
		Door: h.door, LiveKitURL: cfg.ClientURL(), Now: a.now, Log: log,
		Ready: func(ctx context.Context) error {
			return errors.Join(seen.callers.Ready(), h.reachable(ctx), recorded())
		},
		Degraded:    seen.callers.Degraded,
		StripeEvent: seen.events("stripe", h.takeStripeEvent()), LiveKitEvent: seen.events("livekit", h.takeLiveKitEvent(cfg.LiveKitWebhooks)), Watch: seen.watch,
		Invitations: h.store.InvitationsBy, InviteURL: text(cfg.InviteURL), DefaultRoom: h.rules.DefaultRoom,
		TLS: tlsConfig, Limits: limits, RequireHTTPS: cfg.RequireHTTPS, PublicHost: cfg.PublicHost,
		TrustedProxies: cfg.TrustedProxies, ClientIPHeader: cfg.ClientIPHeader, AllowedOrigins: cfg.AllowedOrigins, AuthCookie: cfg.AuthCookie,
		Helper: client.Helper, Spec: docs.OpenAPI,
	}
	if cfg.AdminOnPublic {
		options.Admin = h.admin
	}
	return options
}

// tlsOptions says where the server's own certificate comes from.
func tlsOptions(cfg *config.Config, now func() time.Time, log *slog.Logger) tlscert.Options {
	return tlscert.Options{
		CertFile: cfg.TLSCertFile, KeyFile: cfg.TLSKeyFile, Domains: cfg.TLSDomains,
		CacheDir:     filepath.Join(filepath.Dir(cfg.DatabasePath), "certificates"),
		DirectoryURL: text(cfg.TLSACMEURL), Now: now, Log: log,
	}
}

// listenBoth opens the public and the admin listener.
func listenBoth(cfg *config.Config) (public, operators []*net.TCPListener, err error) {
	if public, err = listen(cfg.ListenAddr); err == nil {
		operators, err = listenAdmin(cfg.AdminAddr)
	}
	return public, operators, err
}

// listenAdmin opens the admin listener.
func listenAdmin(address string) ([]*net.TCPListener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, listenError(address, "with ADMIN_ADDR: this is the operators' listener", err)
	}
	return []*net.TCPListener{l.(*net.TCPListener)}, nil
}

// serveOperators serves the admin listener until ctx ends.
func serveOperators(ctx context.Context, admin *httpapi.Admin, listeners []*net.TCPListener, now func() time.Time, log *slog.Logger) {
	api := httpapi.NewAdmin(httpapi.Options{Admin: admin, Now: now, Log: log})
	log.Info("operators are served", "address", listeners[0].Addr().String())
	if err := httpapi.Serve(ctx, api, listeners, 0, log); err != nil {
		log.Error("the admin listener has ended", "err", err)
	}
}

// warn logs what the configuration leaves open.
func warn(log *slog.Logger, report *config.Report) {
	for _, w := range report.Warnings {
		attrs := []any{"name", w.Name}
		if w.Remedy != "" {
			attrs = append(attrs, "remedy", w.Remedy)
		}
		log.Warn("configuration: "+w.Name+" "+w.What, attrs...)
	}
}

// listen opens every address, or none and says what to do.
func listen(addresses ...string) ([]*net.TCPListener, error) {
	var listeners []*net.TCPListener
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, listenError(address, publicPort, err)
		}
		listeners = append(listeners, l.(*net.TCPListener))
	}
	return listeners, nil
}

// publicPort is how the public listener's port is chosen.
const publicPort = "with PORT, or with LISTEN_ADDR if that is set"

// listenError says in words why an address cannot be listened on, and how
// another is chosen.
func listenError(address, how string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %s is taken by another program. Stop that one, or choose another port %s", port, how)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("port %s may not be used by this user. Choose one above 1023 %s", port, how)
	}
	return fmt.Errorf("cannot listen on %s: %w", address, err)
}
