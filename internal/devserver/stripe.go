package devserver

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"stagedoor"
	"stagedoor/internal/demostripe"
	"stagedoor/internal/httpapi"
)

// Stripe is a Stripe double that runs on loopback, with keys made for it.
type Stripe struct {
	// URL is the API's address.
	URL           string
	Key           stagedoor.Secret
	WebhookSecret stagedoor.Secret

	double *demostripe.Server
	stop   func()
}

// StartStripe starts a Stripe double whose products grant the feature, with a
// subscription for Alice. It sends its webhooks to webhookURL. Stop must be called.
func StartStripe(webhookURL string, feature stagedoor.Feature, now func() time.Time, log *slog.Logger) (*Stripe, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Stripe{
		URL:           "http://" + listener.Addr().String(),
		Key:           stagedoor.NewSecret("sk_test_" + rand.Text()),
		WebhookSecret: stagedoor.NewSecret("whsec_" + rand.Text()),
	}
	s.double = demostripe.New(demostripe.Options{
		Key: s.Key, WebhookSecret: s.WebhookSecret, WebhookURL: func() string { return webhookURL },
		Feature: feature, Now: now, Log: log,
	})
	server := &http.Server{Handler: s.double, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.double.Run(ctx)
	}()
	s.stop = func() {
		cancel()
		<-done
		_ = server.Close()
	}
	if err := s.double.Subscribe("alice", "Alice"); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the double.
func (s *Stripe) Stop() { s.stop() }

// Plans returns the callers' subscriptions, for the demo page.
func (s *Stripe) Plans(callers []httpapi.DemoCaller) httpapi.DemoPlans {
	return plans{s.double, callers}
}

// plans are the demo callers' subscriptions at the Stripe double.
type plans struct {
	stripe  *demostripe.Server
	callers []httpapi.DemoCaller
}

// All returns every caller's plan.
func (p plans) All() []httpapi.DemoPlan {
	var all []httpapi.DemoPlan
	for _, caller := range p.callers {
		status := p.stripe.Plan(caller.ID).Status
		all = append(all, httpapi.DemoPlan{User: caller.ID, Name: caller.Name, Status: status})
	}
	return all
}

// Act changes a caller's plan. Errors: InvalidRequest.
func (p plans) Act(user, action string) error {
	for _, caller := range p.callers {
		if caller.ID != user {
			continue
		}
		if err := p.act(caller, action); err != nil {
			return stagedoor.Refuse(stagedoor.InvalidRequest, err.Error())
		}
		return nil
	}
	return stagedoor.Refuse(stagedoor.InvalidRequest, "the demo has no such caller")
}

func (p plans) act(caller httpapi.DemoCaller, action string) error {
	switch action {
	case "subscribe":
		return p.stripe.Subscribe(caller.ID, caller.Name)
	case "fail":
		return p.stripe.FailPayment(caller.ID)
	case "cancel":
		return p.stripe.Cancel(caller.ID)
	}
	return errors.New("action must be subscribe, fail or cancel")
}
