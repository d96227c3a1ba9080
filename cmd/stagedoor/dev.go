package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"stagedoor"
	"stagedoor/client"
	"stagedoor/docs"
	"stagedoor/internal/clockskew"
	"stagedoor/internal/config"
	"stagedoor/internal/devserver"
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
	d, started, err := developmentServer(a, cfg, listeners[0].Addr().String())
	switch {
	case err != nil && a.ctx.Err() != nil:
		return nil // interrupted during the start
	case err != nil:
		return err
	}
	// A terminal that is closed ends the demo, and what it made for itself.
	hangup, release := signal.NotifyContext(a.ctx, syscall.SIGHUP)
	defer release()
	ctx, cancel := context.WithCancelCause(hangup)
	defer cancel(nil)
	if started != nil {
		defer started.Stop()
		go func() {
			<-started.Done()
			cancel(errLiveKitEnded)
		}()
	}
	if err := c.serve(ctx, a, cfg, d, listeners, log); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), errLiveKitEnded) {
		return fmt.Errorf("the LiveKit server ended by itself:\n%s", started.Output())
	}
	return nil
}

var errLiveKitEnded = errors.New("the LiveKit server ended")

// serve opens the door for the demo callers and for those the configuration names.
func (c *devCmd) serve(ctx context.Context, a *app, cfg *config.Config, d deployment, listeners []*net.TCPListener, log *slog.Logger) error {
	a.clocks = clockskew.NewMonitor(a.now, log)
	rules, err := a.openPolicy(cfg, demoPolicy, log)
	if err != nil {
		return err
	}
	issuers := issuersFrom(cfg, rules.Issuers())
	configured, err := a.newAuthenticator(cfg, issuers, d.key, log)
	if err != nil {
		return failure{exitUsage, err}
	}
	address := listeners[0].Addr().(*net.TCPAddr)
	stripeConfig, double, end, err := developmentStripe(cfg, address.String(), a.now, log)
	if err != nil {
		return err
	}
	defer end()
	demo := &httpapi.Demo{Page: web.Page(), Version: version, LiveKitURL: d.url, Room: "demo", Callers: devserver.Callers()}
	h, err := newHouse(context.Background(), a, cfg, d, devserver.Authenticator{Callers: demo.Callers, Configured: configured}, rules, issuersOf(issuers, devserver.Issuer), stripeConfig, io.Discard, log)
	if err != nil {
		return err
	}
	defer h.close()
	if double != nil {
		demo.Plans = double.Plans(demo.Callers[:2]) // the guide's caller has none
		// Alice's plan is known before her first request.
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
		Degraded:    configured.Degraded,
		StripeEvent: seen.events("stripe", h.takeStripeEvent()), LiveKitEvent: seen.events("livekit", h.takeLiveKitEvent(cfg.LiveKitWebhooks)), Watch: seen.watch,
		Invitations: h.store.InvitationsBy, InviteURL: text(cfg.InviteURL), DefaultRoom: rules.DefaultRoom,
		Limits: *limits, AllowedOrigins: cfg.AllowedOrigins, AuthCookie: cfg.AuthCookie, Helper: client.Helper, Spec: docs.OpenAPI, Demo: demo,
	})
	screen{a.out, coloured(a.out, a.environ), fmt.Sprintf("http://localhost:%d", address.Port), operators[0].Addr().String(), cfg.PolicyFile, d.url, cfg.LiveKitAPIKey == "", demo}.print()
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

// developmentStripe starts a Stripe double unless the configuration names an
// account, and makes a database for this run unless it names one. end removes
// both; it is not nil.
func developmentStripe(cfg *config.Config, address string, now func() time.Time, log *slog.Logger) (p plans, double *devserver.Stripe, end func(), err error) {
	p = plansOf(cfg)
	end = func() {}
	if p.database == "" {
		dir, err := os.MkdirTemp("", "stagedoor-dev-")
		if err != nil {
			return p, nil, end, err
		}
		end = func() { _ = os.RemoveAll(dir) }
		p.database = filepath.Join(dir, "stagedoor.db")
	}
	if !p.key.Empty() {
		return p, nil, end, nil
	}
	webhookURL := "http://" + address + "/webhooks/stripe"
	double, err = devserver.StartStripe(webhookURL, stagedoor.Feature(cfg.PublishFeature), now, log)
	if err != nil {
		end()
		return p, nil, func() {}, err
	}
	p.key, p.url, p.secrets = double.Key, double.URL, []stagedoor.Secret{double.WebhookSecret}
	removeDatabase := end
	return p, double, func() { double.Stop(); removeDatabase() }, nil
}

// developmentServer returns the LiveKit deployment that LIVEKIT_* names, or
// starts a LiveKit server for this run, which the caller must stop.
func developmentServer(a *app, cfg *config.Config, address string) (deployment, *devserver.LiveKit, error) {
	if cfg.LiveKitAPIKey != "" {
		named := deployment{url: cfg.ClientURL(), api: cfg.APIURL(), key: cfg.LiveKitAPIKey, secret: cfg.LiveKitAPISecret}
		return named, nil, nil
	}
	binary, err := devserver.FindLiveKit(a.ctx, a.err, terminal(a.err))
	if err != nil {
		return deployment{}, nil, err
	}
	started, err := devserver.StartLiveKit(a.ctx, binary, "http://"+address+"/webhooks/livekit")
	if err != nil {
		return deployment{}, nil, err
	}
	return deployment{url: started.URL, api: started.APIURL, key: started.Key, secret: started.Secret}, started, nil
}
