package main

import (
	"context"
	"crypto/subtle"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"strings"
	"syscall"

	"stagedoor"
	"stagedoor/client"
	"stagedoor/docs"
	"stagedoor/internal/authn"
	"stagedoor/internal/config"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/policy"
	"stagedoor/web"
)

type devCmd struct{}

// demoPolicy is what is decided by where no policy file is named.
//
//go:embed demo-policy.yaml
var demoPolicy string

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
	d, err := developmentServer(a, cfg, listeners[0].Addr().String())
	switch {
	case err != nil && a.ctx.Err() != nil:
		return nil // told to end before it began
	case err != nil:
		return err
	}
	// A terminal that is closed ends the demo, and what it made for itself.
	hangup, release := signal.NotifyContext(a.ctx, syscall.SIGHUP)
	defer release()
	ctx, cancel := context.WithCancelCause(hangup)
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
	rules, err := a.openPolicy(cfg, demoPolicy, log)
	if err != nil {
		return err
	}
	issuers := issuersFrom(cfg, rules.Issuers())
	configured, err := newAuthenticator(cfg, issuers, d.key, a.now, log)
	if err != nil {
		return failure{exitUsage, err}
	}
	address := listeners[0].Addr().(*net.TCPAddr)
	p, end, err := developmentPlans(cfg, address.String(), a.now, log)
	if err != nil {
		return err
	}
	defer end()
	demo := &httpapi.Demo{Page: web.Page(), Version: version, LiveKitURL: d.url, Room: "demo", Callers: demoCallers()}
	h, err := newHouse(context.Background(), a, cfg, *d, demoDoor{demo.Callers, configured}, rules, issuersOf(issuers, demoIssuer), p.plans, io.Discard, log)
	if err != nil {
		return err
	}
	defer h.close()
	if p.stripe != nil {
		demo.Plans = demoPlans{p.stripe, demo.Callers[:2]} // the guide's caller stays without one
		// Alice's plan is known before she can ask.
		if _, err := h.billing.Sync(ctx, nil); err != nil {
			return err
		}
	}
	limits, seen, err := attach(cfg, h, configured, nil)
	if err != nil {
		return err
	}
	operators, err := listenAdmin(cfg.AdminAddr)
	if err != nil {
		// Another door may run on this machine; the demo can do with any port.
		if operators, err = listenAdmin("127.0.0.1:0"); err != nil {
			return err
		}
	}
	defer background(context.Background(), configured.Run)()
	defer background(context.Background(), seen.run)()
	defer background(context.Background(), h.run)()
	defer background(context.Background(), func(ctx context.Context) { rules.Watch(ctx, nil, policy.PollEvery, h.policyChanged) })()
	defer background(context.Background(), func(ctx context.Context) { serveOperators(ctx, h.admin, operators, a.now, log) })()
	api := httpapi.New(httpapi.Options{
		Door: h.door, LiveKitURL: d.url, Now: a.now, Log: log,
		Ready:       func(ctx context.Context) error { return errors.Join(configured.Ready(), h.reachable(ctx)) },
		StripeEvent: seen.events("stripe", h.takeStripeEvent()), LiveKitEvent: seen.events("livekit", h.takeLiveKitEvent(cfg.LiveKitWebhooks)), Watch: seen.watch,
		Invitations: h.store.InvitationsBy, InviteURL: text(cfg.InviteURL), DefaultRoom: rules.DefaultRoom,
		Limits: *limits, AllowedOrigins: cfg.AllowedOrigins, AuthCookie: cfg.AuthCookie, Helper: client.Helper, Spec: docs.OpenAPI, Demo: demo,
	})
	screen{a.out, coloured(a.out, a.environ), fmt.Sprintf("http://localhost:%d", address.Port), operators[0].Addr().String(), cfg.PolicyFile, d, demo}.print()
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
		return nil, listenError(second, publicPort, err)
	}
	return first, nil // this machine has no IPv6
}

// developmentServer is the deployment that LIVEKIT_* names, else a LiveKit
// server started for this run.
func developmentServer(a *app, cfg *config.Config, door string) (*deployment, error) {
	if cfg.LiveKitAPIKey != "" {
		return &deployment{url: cfg.ClientURL(), api: cfg.APIURL(), key: cfg.LiveKitAPIKey, secret: cfg.LiveKitAPISecret}, nil
	}
	binary, err := findLiveKit(a.ctx, a.err)
	if err != nil {
		return nil, err
	}
	return startLiveKit(a.ctx, binary, "http://"+door+"/webhooks/livekit")
}

// demoIssuer is the issuer of the demo's callers.
const demoIssuer = "demo"

// demoCallers are the callers that stagedoor dev knows.
func demoCallers() []httpapi.DemoCaller {
	return []httpapi.DemoCaller{
		{ID: "alice", Name: "Alice", Token: "alice-token", About: "Has a plan: may watch and publish."},
		{ID: "bob", Name: "Bob", Token: "bob-token", About: "Has no plan: may watch."},
		{ID: "user-id", Name: "Guide", Token: "stub-token", About: "A setup guide's stub-token: has no plan, may watch."},
	}
}

// demoDoor authenticates the demo's callers; everybody else is left to the
// configured issuers. It exists in dev alone.
type demoDoor struct {
	callers    []httpapi.DemoCaller
	configured *authn.Authenticator
}

// Authenticate takes a demo caller's token, or asks the configured issuers.
func (d demoDoor) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	for _, caller := range d.callers {
		if subtle.ConstantTimeCompare([]byte(c.Reveal()), []byte(caller.Token)) == 1 {
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
