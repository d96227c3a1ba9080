package httpapi

import (
	"errors"
	"net/http"

	"stagedoor"
	"stagedoor/internal/inflight"
)

// releasing releases the slot when the answer begins: the work is done, and a
// client that reads slowly keeps nobody else waiting.
type releasing struct {
	http.ResponseWriter
	slot *inflight.Slot
}

// WriteHeader releases the slot and sends the status.
func (w *releasing) WriteHeader(status int) {
	w.slot.Release()
	w.ResponseWriter.WriteHeader(status)
}

// Write releases the slot and sends.
func (w *releasing) Write(p []byte) (int, error) {
	w.slot.Release()
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and http.MaxBytesReader reach the connection.
func (w *releasing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// limitInFlight has requests wait for a slot, and refuses those that would wait
// too long. Webhooks have slots of their own, so that callers never delay them.
func (a *api) limitInFlight(next http.Handler) http.Handler {
	if a.Limits.InFlight.Running <= 0 {
		return next
	}
	callers, events := inflight.New(a.Limits.InFlight), inflight.New(a.Limits.InFlight)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProbe(r) {
			next.ServeHTTP(w, r)
			return
		}
		limiter := callers
		if a.isWebhook(r) {
			limiter = events
		}
		slot, err := limiter.Acquire(r.Context(), recordOf(r.Context()).address())
		if err != nil {
			a.refuseInFlight(w, r, err)
			return
		}
		defer slot.Release()
		r = r.WithContext(inflight.WithSlot(r.Context(), slot))
		next.ServeHTTP(&releasing{ResponseWriter: w, slot: slot}, r)
	})
}

// refuseInFlight answers a request that got no slot.
func (a *api) refuseInFlight(w http.ResponseWriter, r *http.Request, err error) {
	var refused *inflight.Refused
	if errors.As(err, &refused) {
		recordOf(r.Context()).limit = "in flight"
		err = &stagedoor.Error{
			Kind:       stagedoor.Unavailable,
			Detail:     "the server is busy; try again as Retry-After says",
			RetryAfter: refused.RetryAfter,
		}
	}
	refuse(w, r, err)
}

// isWebhook reports whether a request is an event of Stripe's or LiveKit's,
// where these are accepted.
func (a *api) isWebhook(r *http.Request) bool {
	switch r.URL.Path {
	case "/webhooks/stripe":
		return a.StripeEvent != nil && r.Method == http.MethodPost
	case "/webhooks/livekit":
		return a.LiveKitEvent != nil && r.Method == http.MethodPost
	}
	return false
}
