package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"stagedoor"
	"stagedoor/internal/authn"
	"stagedoor/internal/config"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/metrics"
	"stagedoor/internal/traces"
)

// observers are told what the door does: Prometheus, when it asks, and a
// collector of traces, where one is configured. They change nothing.
type observers struct {
	metrics *metrics.Metrics
	traces  *traces.Tracer // nil: none are sent
	house   *house
	callers *authn.Authenticator
	now     func() time.Time
	log     *slog.Logger

	expiry func() time.Time
	counts atomic.Pointer[metrics.Counts]
	ready  atomic.Pointer[bool]
}

// attach gives a house its limits and its observers.
func attach(cfg *config.Config, h *house, callers *authn.Authenticator, expiry func() time.Time) (*httpapi.Limits, *observers, error) {
	limits, err := newLimits(cfg, h.log)
	if err != nil {
		return nil, nil, err
	}
	h.door.Limiter = &limits
	seen, err := observe(cfg, h, callers, expiry)
	return &limits, seen, err
}

// observe has the house's parts tell what they do. It must be called before
// the house runs. expiry, which may be nil, is when the door's certificate ends.
func observe(cfg *config.Config, h *house, callers *authn.Authenticator, expiry func() time.Time) (*observers, error) {
	o := &observers{house: h, callers: callers, expiry: expiry, now: h.now, log: h.log}
	if endpoint := cfg.TracesURL(); endpoint != nil {
		var err error
		o.traces, err = traces.New(context.Background(), traces.Options{Endpoint: endpoint, Version: version, Log: h.log})
		if err != nil {
			return nil, err
		}
	}
	o.metrics = metrics.New(metrics.Options{Version: version, Commit: commit, Routes: httpapi.Routes(), State: o.state, Log: h.log})
	o.stages(h.door)
	h.admin.Metrics = o.metrics.Handler()
	h.store.Wrote = func(acknowledged bool, took time.Duration, err error) {
		var refused *stagedoor.Error // an answer, not a failure
		o.metrics.Written(acknowledged, took, err != nil && !errors.As(err, &refused) && !errors.Is(err, context.Canceled))
	}
	h.enforcer.Told = o.metrics.Enforced
	h.received = func(created time.Time) { o.metrics.EventLag("livekit", o.now().Sub(created)) }
	if h.billing != nil {
		h.billing.Received = func(created time.Time) { o.metrics.EventLag("stripe", o.now().Sub(created)) }
	}
	return o, nil
}

// watch is told of every request of the public listener.
func (o *observers) watch(r *http.Request, route string) (context.Context, string, func(httpapi.Answer)) {
	ended := o.metrics.Begun()
	ctx, trace, end := o.traces.Request(r, route)
	if httpapi.IsJoin(route) {
		ctx = context.WithValue(ctx, joinKey{}, true)
	}
	return ctx, trace, func(a httpapi.Answer) {
		ended()
		code := ""
		if a.Refused {
			code = a.Kind.String()
		}
		o.metrics.Request(route, a.Status, a.Limit)
		end(a.Status, code, a.RequestID)
		// A preflight asks for nothing.
		if !httpapi.IsJoin(route) || r.Method == http.MethodOptions {
			return
		}
		switch {
		case a.Refused:
			o.metrics.Join(metrics.Refused, code, a.Took)
		case a.Publish:
			o.metrics.Join(metrics.Published, "", a.Took)
		default:
			o.metrics.Join(metrics.WatchOnly, a.Denied, a.Took)
		}
	}
}

// events counts another program's events on their way to who takes them.
func (o *observers) events(source string, take func(context.Context, []byte, string) error) func(context.Context, []byte, string) error {
	if take == nil {
		return nil
	}
	return func(ctx context.Context, body []byte, proof string) error {
		err := take(ctx, body, proof)
		o.metrics.Event(source, err)
		return err
	}
}

// lookAgainEvery is how often the database is asked what scrapes then show.
const lookAgainEvery = 10 * time.Second

// run looks at what a scrape must not wait for, until ctx ends.
func (o *observers) run(ctx context.Context) {
	ticker := time.NewTicker(lookAgainEvery)
	defer ticker.Stop()
	for {
		o.look(ctx)
		select {
		case <-ctx.Done():
			o.traces.Close()
			return
		case <-ticker.C:
		}
	}
}

// look asks the database, and whether callers can be served.
func (o *observers) look(ctx context.Context) {
	ready := errors.Join(o.callers.Ready(), o.house.reachable(ctx)) == nil
	n := metrics.Counts{}
	var err, second error
	n.Participants, n.Rooms, err = o.house.store.PresentCount(ctx)
	if o.house.billing != nil {
		n.Pending, n.OldestHint, second = o.house.store.PendingCount(ctx)
		err = errors.Join(err, second)
		n.Customers, second = o.house.store.CustomerCount(ctx)
		err = errors.Join(err, second)
	}
	n.DatabaseBytes, n.DiskFreeBytes = o.house.store.Size()
	if ctx.Err() != nil {
		return
	}
	o.ready.Store(&ready)
	if err != nil {
		// What was true once is not shown for ever.
		o.counts.Store(nil)
		o.log.Warn("metrics: the database does not say how much there is", "err", err)
		return
	}
	o.counts.Store(&n)
}

// state is what holds now. It waits for nobody.
func (o *observers) state() metrics.State {
	now := o.now()
	s := metrics.State{Now: now, Ready: o.ready.Load(), Counts: o.counts.Load(), Bans: len(o.house.bans.List(stagedoor.PrincipalKey{}))}
	s.PolicyLoaded, s.PolicyRefused = o.house.rules.Loaded()
	for _, k := range o.callers.Keys() {
		s.Issuers = append(s.Issuers, metrics.IssuerKeys{Issuer: k.Issuer, Keys: k.Usable,
			ConfirmedAt: k.ConfirmedAt, Failures: k.Failures})
	}
	if o.house.billing != nil {
		b := o.house.billing.Standing()
		s.Stripe = &metrics.Stripe{Succeeded: b.Stripe.Calls - b.Stripe.Failures, Failed: b.Stripe.Failures, LastSuccess: b.Stripe.LastSuccess,
			BreakerOpen: b.Stripe.OpenUntil.After(now), EventsReadAt: b.EventsReadAt, ComparedAt: b.ComparedAt}
	}
	s.ClockSkew = o.house.clocks.Skews()
	if o.expiry != nil {
		s.CertificateExpiry = o.expiry()
	}
	if o.traces != nil {
		exported, dropped, failed := o.traces.Counts()
		s.Spans = &metrics.Spans{Exported: exported, Dropped: dropped, Failed: failed}
	}
	return s
}
