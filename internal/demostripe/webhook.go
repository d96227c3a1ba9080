package demostripe

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"time"
)

const (
	// attempts is how often one event is sent at most; Stripe gives a sandbox
	// three retries over hours, which nobody watches.
	attempts = 5
	// firstPause is between the first two, and doubles.
	firstPause = 100 * time.Millisecond
	// addressPause is between two looks whether the address is known.
	addressPause    = 50 * time.Millisecond
	deliveryTimeout = 5 * time.Second
	// maxReply bounds what is read of an answer, so that its connection can be used again.
	maxReply = 64 << 10
)

// outcome is how an event's delivery went.
type outcome uint8

const (
	outcomePending outcome = iota
	outcomeDelivered
	outcomeGivenUp
)

// emit records an event and lets Run send it. before is the object as it was,
// nil where the event says nothing of that. The caller holds mu.
//
// SPEC: docs.stripe.com/api/events/object; previous_attributes has what changed.
func (s *Server) emit(now time.Time, kind string, is, before object) {
	happened := &event{id: newID("evt_1", 23), kind: kind, created: now, object: marshal(is)}
	if before != nil {
		changed := object{}
		for name, value := range is {
			if !reflect.DeepEqual(value, before[name]) {
				changed[name] = before[name]
			}
		}
		happened.previous = marshal(changed)
	}
	s.events = append(s.events, happened)
	select {
	case s.wake <- struct{}{}:
	default: // Run will look anyway
	}
}

// marshal turns an object into JSON. Every value in it is a string, a number,
// a boolean, null, or a list or object of those, which JSON always has words for.
func marshal(o object) json.RawMessage {
	text, err := json.Marshal(o)
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

func (e *event) render() object {
	waiting := 0
	if e.outcome == outcomePending {
		waiting = 1
	}
	data := object{"object": e.object}
	if e.previous != nil {
		data["previous_attributes"] = e.previous
	}
	return object{
		"object": "event", "id": e.id, "type": e.kind, "api_version": apiVersion, "created": e.created.Unix(),
		"livemode": false, "pending_webhooks": waiting, "data": data,
		"request": object{"id": nil, "idempotency_key": nil},
	}
}

// Run sends events one after another, in the order in which they happened,
// until ctx ends. What is not answered with 2xx is sent again a few times and
// then given up; the list of events still has it. Run must not run twice at once.
func (s *Server) Run(ctx context.Context) {
	if s.options.WebhookSecret.Empty() {
		// An empty key would sign as well, and anybody could do the same.
		s.options.Log.Warn("demo Stripe has no webhook secret and sends no events")
		return
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport: transport, Timeout: deliveryTimeout,
		// SPEC: docs.stripe.com/webhooks: a redirect is a failed delivery.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for ctx.Err() == nil {
		next := s.undelivered()
		if next == nil {
			select {
			case <-ctx.Done():
			case <-s.wake:
			}
			continue
		}
		s.deliver(ctx, client, next)
	}
}

// undelivered is the oldest event that waits, or nil.
func (s *Server) undelivered() *event {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.outcome == outcomePending {
			return e
		}
	}
	return nil
}

// deliver sends one event until it arrives, is given up or ctx ends.
func (s *Server) deliver(ctx context.Context, client *http.Client, e *event) {
	s.mu.Lock()
	payload := marshal(e.render())
	s.mu.Unlock()
	log := s.options.Log.With("event", e.id, "type", e.kind)
	pause := firstPause
	for attempt := 1; ; {
		url := s.options.WebhookURL()
		if url == "" {
			if !sleep(ctx, addressPause) {
				return
			}
			continue
		}
		err := s.post(ctx, client, url, payload)
		switch {
		case err == nil:
			log.Debug("demo Stripe delivered an event")
			s.conclude(e, outcomeDelivered)
			return
		case ctx.Err() != nil:
			return
		case attempt == attempts:
			log.Warn("demo Stripe gives up on an event", "attempts", attempts, "error", err)
			s.conclude(e, outcomeGivenUp)
			return
		}
		log.Info("demo Stripe will send an event again", slog.Int("attempt", attempt), slog.Any("error", err))
		if !sleep(ctx, pause) {
			return
		}
		attempt++
		pause *= 2
	}
}

// post sends a payload once, signed now: each attempt has its own signature.
func (s *Server) post(ctx context.Context, client *http.Client, url string, payload []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	request.Header.Set("Stripe-Signature", s.signature(payload, s.options.Now()))
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxReply))
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("answered with status %d", response.StatusCode)
	}
	return nil
}

// signature signs a payload.
//
// SPEC: docs.stripe.com/webhooks#verify-manually.
func (s *Server) signature(payload []byte, at time.Time) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(s.options.WebhookSecret.Reveal()))
	_, _ = mac.Write([]byte(stamp + "."))
	_, _ = mac.Write(payload)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func (s *Server) conclude(e *event, how outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.outcome = how
}

// sleep waits, and reports whether ctx let it.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
