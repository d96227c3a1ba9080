package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stagedoor"
)

// taker is what an event ends in.
type taker struct {
	body  []byte
	proof string
	err   error
}

func (k *taker) take(_ context.Context, body []byte, proof string) error {
	k.body, k.proof = body, proof
	return k.err
}

func TestWebhooksHandOnTheRawBytes(t *testing.T) {
	for path, header := range map[string]string{"/webhooks/stripe": "Stripe-Signature", "/webhooks/livekit": "Authorization"} {
		k := &taker{}
		h := newHarness(func(o *Options) { o.StripeEvent, o.LiveKitEvent = k.take, k.take })
		// Neither valid JSON nor UTF-8: what proves the body was computed over just these bytes.
		raw := "{\"a\" :1,\xff\r\n \"a\":2}"
		resp := h.do(t, request{path: path, body: raw, header: map[string]string{header: "proof", "Content-Type": "application/webhook+json"}})
		if resp.StatusCode != http.StatusOK || string(k.body) != raw || k.proof != "proof" {
			t.Errorf("%s: %d %q %q", path, resp.StatusCode, k.body, k.proof)
		}
		for name, c := range map[string]struct {
			err    error
			status int
			code   string
		}{
			"a wrong signature": {stagedoor.Refuse(stagedoor.InvalidSignature, "no"), 400, "invalid_signature"},
			"no event":          {stagedoor.Refuse(stagedoor.InvalidEvent, "no"), 400, "invalid_event"},
			"TestEventThatIsNotKeptIsNotAcknowledged": {errors.New("disk full"), 500, "internal"},
		} {
			k.err = c.err
			body := mustRefuse(t, h.do(t, request{path: path, body: "{}", header: map[string]string{header: "proof"}}), c.status, c.code)
			if strings.Contains(body["error"].(string), "disk") {
				t.Errorf("%s: %v", name, body)
			}
		}
		mustRefuse(t, h.do(t, request{path: path, method: http.MethodGet}), 405, "method_not_allowed")
		mustRefuse(t, h.do(t, request{path: path, body: "{}", header: map[string]string{header: ""}}), 400, "invalid_signature")
		mustRefuse(t, newHarness(nil).do(t, request{path: path, body: "{}"}), 404, "not_found")
	}
}

func TestTwoProofsAreRefused(t *testing.T) {
	k := &taker{}
	h := newHarness(func(o *Options) { o.StripeEvent = k.take })
	req := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", strings.NewReader("{}"))
	req.Header["Stripe-Signature"] = []string{"good", "bad"}
	rec := httptest.NewRecorder()
	h.api.ServeHTTP(rec, req)
	if rec.Code != http.StatusBadRequest || k.body != nil {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// One byte over 1 MiB, with its length said and not said; and one that breaks off.
func TestHugeEventsAreRefused(t *testing.T) {
	k := &taker{}
	h := newHarness(func(o *Options) { o.StripeEvent = k.take })
	for _, size := range []int{1 << 20, 1<<20 + 1} {
		for _, length := range []int64{int64(size), -1} {
			k.body = nil
			req := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", bytes.NewReader(make([]byte, size)))
			req.ContentLength = length
			req.Header.Set("Stripe-Signature", "x")
			rec := httptest.NewRecorder()
			h.api.ServeHTTP(rec, req)
			want := http.StatusOK
			if size > 1<<20 {
				want = http.StatusRequestEntityTooLarge
			}
			if rec.Code != want || len(k.body) != map[int]int{200: size}[rec.Code] {
				t.Errorf("%d bytes, length %d: %d", size, length, rec.Code)
			}
		}
	}
	req := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", io.MultiReader(strings.NewReader("{"), brokenReader{}))
	req.Header.Set("Stripe-Signature", "x")
	rec := httptest.NewRecorder()
	h.api.ServeHTTP(rec, req)
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "invalid_event") || strings.Contains(h.log.String(), "canary") {
		t.Errorf("%d %s\n%s", rec.Code, rec.Body, h.log)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("canary") }

// What made an event fail may hold bytes of its sender's.
func TestEventCannotSteerATerminal(t *testing.T) {
	k := &taker{err: errors.New("no key \x1b[2J\u202e\u009b31m named " + strings.Repeat("x", 1<<12) + "canary")}
	h := newHarness(func(o *Options) { o.StripeEvent, o.LiveKitEvent = k.take, k.take })
	for path, header := range map[string]string{"/webhooks/stripe": "Stripe-Signature", "/webhooks/livekit": "Authorization"} {
		mustRefuse(t, h.do(t, request{path: path, body: "{}", header: map[string]string{header: "secret-proof"}}), 500, "internal")
	}
	for _, bad := range []string{"\x1b", "\\u001b", "\u202e", "\u009b", "canary", "secret-proof"} {
		if strings.Contains(h.log.String(), bad) {
			t.Errorf("the log has %q: %.300s", bad, h.log)
		}
	}
}

// A body that is announced as too large is not waited for.
func TestAnnouncedHugeEventIsNotRead(t *testing.T) {
	k := &taker{}
	h := newHarness(func(o *Options) { o.StripeEvent = k.take })
	body := &counted{}
	req := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", body)
	req.ContentLength = 1<<20 + 1
	req.Header.Set("Stripe-Signature", "x")
	resp := serve(h, req)
	mustRefuse(t, resp, http.StatusRequestEntityTooLarge, "body_too_large")
	if body.reads != 0 || resp.Header.Get("Connection") != "close" {
		t.Errorf("%d reads, Connection %q", body.reads, resp.Header.Get("Connection"))
	}
}

// counted is a body without end.
type counted struct{ reads int }

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return len(p), nil
}
