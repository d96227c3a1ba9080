package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"

	"stagedoor"
	"stagedoor/client"
	"stagedoor/docs"
	"stagedoor/internal/authn"
	"stagedoor/internal/config"
	"stagedoor/internal/httpapi"
	"stagedoor/web"
)

type devCmd struct{}

// Run runs everything on this machine until the process is told to end.
func (c *devCmd) Run(a *app) error {
	cfg, report, err := a.configure(config.Dev)
	if err != nil {
		return err
	}
	if err := report.Format(a.err, coloured(a.err, a.environ)); err != nil {
		return err
	}
	log := newLogger(cfg, a.err)
	// The port is taken first: it is what most often fails, and fails at once.
	listeners, err := listenLoopback(cfg.ListenAddr)
	if err != nil {
		return err
	}
	d, err := developmentServer(a, cfg)
	switch {
	case err != nil && a.ctx.Err() != nil:
		return nil // told to end before it began
	case err != nil:
		return err
	}
	ctx, cancel := context.WithCancelCause(a.ctx)
	defer cancel(nil)
	if d.child != nil {
		defer d.child.stop()
		go func() {
			<-d.child.done
			cancel(errLiveKitEnded)
		}()
	}
	if err := c.serve(ctx, a, cfg, d, listeners, log); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), errLiveKitEnded) {
		return fmt.Errorf("the LiveKit server ended by itself:\n%s", d.child.tail.String())
	}
	return nil
}

var errLiveKitEnded = errors.New("the LiveKit server ended")

// serve opens the door for the demo callers and for those the configuration names.
func (c *devCmd) serve(ctx context.Context, a *app, cfg *config.Config, d *deployment, listeners []*net.TCPListener, log *slog.Logger) error {
	configured, err := newAuthenticator(cfg, d.key, a.now, log)
	if err != nil {
		return failure{exitUsage, err}
	}
	defer background(context.Background(), configured.Run)()
	demo := &httpapi.Demo{Page: web.Page(), Version: version, LiveKitURL: d.url, Room: "demo", Callers: demoCallers()}
	callers := demoDoor{demo.Callers, configured, stagedoor.Feature(cfg.PublishFeature)}
	door := newDoor(cfg, *d, callers, configured.Prefixes(), io.Discard, a.now)
	door.Entitlements = callers
	api := httpapi.New(httpapi.Options{
		Door: door, LiveKitURL: d.url, Ready: configured.Ready, Now: a.now, Log: log,
		AllowedOrigins: cfg.AllowedOrigins, Helper: client.Helper, Spec: docs.OpenAPI, Demo: demo,
	})
	address := listeners[0].Addr().(*net.TCPAddr)
	screen{a.out, coloured(a.out, a.environ), fmt.Sprintf("http://localhost:%d", address.Port), d, demo.Callers}.print()
	if err := httpapi.Serve(ctx, api, listeners, 0, log); err != nil {
		return err
	}
	log.Info("stagedoor has ended")
	return nil
}

// listenLoopback listens on both of localhost's addresses, at the port of
// address: browsers and curl try either.
func listenLoopback(address string) ([]*net.TCPListener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	first, err := listen("127.0.0.1:" + port)
	if err != nil {
		return nil, err
	}
	second := fmt.Sprintf("[::1]:%d", first[0].Addr().(*net.TCPAddr).Port)
	l, err := net.Listen("tcp", second)
	switch {
	case err == nil:
		return append(first, l.(*net.TCPListener)), nil
	case errors.Is(err, syscall.EADDRINUSE):
		_ = first[0].Close()
		return nil, listenError(second, err)
	}
	return first, nil // this machine has no IPv6
}

// developmentServer is the deployment that LIVEKIT_* names, else a LiveKit
// server started for this run.
func developmentServer(a *app, cfg *config.Config) (*deployment, error) {
	if cfg.LiveKitAPIKey != "" {
		return &deployment{url: cfg.ClientURL(), key: cfg.LiveKitAPIKey, secret: cfg.LiveKitAPISecret}, nil
	}
	binary, err := findLiveKit(a.ctx, a.err)
	if err != nil {
		return nil, err
	}
	return startLiveKit(a.ctx, binary)
}

// demoIssuer is the issuer of the demo's callers.
const demoIssuer = "demo"

// demoCallers are the callers that stagedoor dev knows.
func demoCallers() []httpapi.DemoCaller {
	return []httpapi.DemoCaller{
		{ID: "alice", Name: "Alice", Token: "alice-token", Pays: true, About: "Has a plan: may watch and publish."},
		{ID: "bob", Name: "Bob", Token: "bob-token", About: "Has no plan: may watch."},
		{ID: "user-id", Name: "Guide", Token: "stub-token", About: "A setup guide's stub-token: has no plan, may watch."},
	}
}

// demoDoor authenticates the demo's callers and knows who of them pays;
// everybody else is left to the configured issuers. It exists in dev alone.
type demoDoor struct {
	callers    []httpapi.DemoCaller
	configured *authn.Authenticator
	plan       stagedoor.Feature // what the paying ones have paid for
}

// Authenticate takes a demo caller's token, or asks the configured issuers.
func (d demoDoor) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	for _, caller := range d.callers {
		if c.Reveal() == caller.Token {
			return stagedoor.Principal{Issuer: demoIssuer, Subject: caller.ID, Handle: caller.ID, Name: caller.Name}, nil
		}
	}
	principal, err := d.configured.Authenticate(ctx, c)
	var refused *stagedoor.Error
	if errors.As(err, &refused) && refused.Kind == stagedoor.InvalidToken && !strings.Contains(c.Reveal(), ".") {
		hint := *refused
		hint.Detail = "not a token of this demo; use alice-token, bob-token or stub-token"
		return principal, &hint
	}
	return principal, err
}

// Entitlement entitles the demo's paying callers to publish.
func (d demoDoor) Entitlement(_ context.Context, p stagedoor.Principal) (stagedoor.Entitlement, error) {
	for _, caller := range d.callers {
		if p.Issuer == demoIssuer && p.Subject == caller.ID && caller.Pays {
			return stagedoor.Entitlement{Features: []stagedoor.Feature{d.plan}}, nil
		}
	}
	return stagedoor.Entitlement{}, nil
}
