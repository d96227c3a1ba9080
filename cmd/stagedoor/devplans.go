package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/demostripe"
	"stagedoor/internal/httpapi"
)

// demoBilling is what dev bills with: the operator's Stripe, or the demo's own.
type demoBilling struct {
	plans
	stripe *demostripe.Server // nil with the operator's
}

// developmentPlans starts the demo's Stripe, unless the configuration names an
// account, and makes a database for this run, unless it names one. end stops
// and removes what was made.
func developmentPlans(cfg *config.Config, door string, now func() time.Time, log *slog.Logger) (_ demoBilling, end func(), err error) {
	b := demoBilling{plans: plansOf(cfg)}
	var ends []func()
	end = func() {
		for i := len(ends) - 1; i >= 0; i-- {
			ends[i]()
		}
	}
	if b.database == "" {
		dir, err := os.MkdirTemp("", "stagedoor-dev-")
		if err != nil {
			return b, end, err
		}
		ends = append(ends, func() { _ = os.RemoveAll(dir) })
		b.database = filepath.Join(dir, "stagedoor.db")
	}
	if !b.key.Empty() {
		return b, end, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		end()
		return b, end, err
	}
	b.key, b.url = stagedoor.NewSecret("sk_test_"+rand.Text()), "http://"+listener.Addr().String()
	b.secrets = []stagedoor.Secret{stagedoor.NewSecret("whsec_" + rand.Text())}
	b.stripe = demostripe.New(demostripe.Options{
		Key: b.key, WebhookSecret: b.secrets[0], WebhookURL: func() string { return "http://" + door + "/webhooks/stripe" },
		Feature: stagedoor.Feature(cfg.PublishFeature), Now: now, Log: log,
	})
	server := &http.Server{Handler: b.stripe, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	ends = append(ends, func() { _ = server.Close() }, background(context.Background(), b.stripe.Run))
	return b, end, b.stripe.Subscribe("alice", "Alice")
}

// demoPlans are the demo callers' subscriptions at the demo's Stripe.
type demoPlans struct {
	stripe  *demostripe.Server
	callers []httpapi.DemoCaller
}

// All returns every caller's plan.
func (p demoPlans) All() []httpapi.DemoPlan {
	var all []httpapi.DemoPlan
	for _, caller := range p.callers {
		all = append(all, httpapi.DemoPlan{User: caller.ID, Name: caller.Name, Status: p.stripe.Plan(caller.ID).Status})
	}
	return all
}

// Act changes a caller's plan. Errors: InvalidRequest.
func (p demoPlans) Act(user, action string) error {
	for _, caller := range p.callers {
		if caller.ID != user {
			continue
		}
		err := errors.New("there is subscribe, fail and cancel")
		switch action {
		case "subscribe":
			err = p.stripe.Subscribe(caller.ID, caller.Name)
		case "fail":
			err = p.stripe.FailPayment(caller.ID)
		case "cancel":
			err = p.stripe.Cancel(caller.ID)
		}
		if err != nil {
			return stagedoor.Refuse(stagedoor.InvalidRequest, err.Error())
		}
		return nil
	}
	return stagedoor.Refuse(stagedoor.InvalidRequest, "there is no such caller in the demo")
}
