package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"stagedoor/internal/inflight"

	"stagedoor"
)

// maxEventBytes is the largest webhook that is taken.
const maxEventBytes = 1 << 20

// Until a body is read whole nothing is proved, so strangers must not make the
// door hold many large ones: beyond usualEventBytes, more than nearly every
// event has, only a few are read at once.
const (
	usualEventBytes = 64 << 10
	maxLargeEvents  = 16
)

// webhook serves one address for another program's events. The body is handed
// on byte for byte: what proves it was computed over just these.
func (a *api) webhook(take func(ctx context.Context, body []byte, proof string) error, header string) http.HandlerFunc {
	large := make(chan struct{}, maxLargeEvents)
	return func(w http.ResponseWriter, r *http.Request) {
		proofs := r.Header.Values(header)
		if len(proofs) != 1 {
			a.refuseEvent(w, r, stagedoor.Refuse(stagedoor.InvalidSignature, "send one "+header+" header"))
			return
		}
		body, err := eventBody(w, r, large)
		if err == nil {
			err = take(r.Context(), body, proofs[0])
		}
		if err != nil {
			a.refuseEvent(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]bool{"received": true})
	}
}

// refuseEvent answers an event that is not taken. One that nothing proves is
// some stranger's, and counts in the limit of the address it comes from.
func (a *api) refuseEvent(w http.ResponseWriter, r *http.Request, err error) {
	if stagedoor.KindOf(err) == stagedoor.InvalidSignature && a.Limits.Address != nil {
		rec := recordOf(r.Context())
		if q := a.Limits.Address(rec.address()); !q.Allowed {
			err = rec.spend(q, rec.client)
		}
	}
	refuse(w, r, err)
}

// eventBody reads a webhook's body; large has a place for each large one that
// is being read. Errors: BodyTooLarge, InvalidEvent, Unavailable.
func eventBody(w http.ResponseWriter, r *http.Request, large chan struct{}) ([]byte, error) {
	tooLarge := stagedoor.Refuse(stagedoor.BodyTooLarge, "an event may have at most 1 MiB")
	if r.ContentLength > maxEventBytes {
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	recordOf(r.Context()).bodyRead = true
	resume := inflight.Yield(r.Context())
	defer resume()
	source := http.MaxBytesReader(w, r.Body, maxEventBytes)
	body, err := io.ReadAll(io.LimitReader(source, usualEventBytes))
	if err == nil && len(body) == usualEventBytes {
		select {
		case large <- struct{}{}:
			defer func() { <-large }()
		default:
			return nil, &stagedoor.Error{Kind: stagedoor.Unavailable, Detail: "too many large events at once", RetryAfter: time.Second}
		}
		var rest []byte
		rest, err = io.ReadAll(source)
		body = append(body, rest...)
	}
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, tooLarge
	case err != nil:
		return nil, &stagedoor.Error{Kind: stagedoor.InvalidEvent, Detail: "the body did not arrive whole", Err: reasonOf(err)}
	}
	return body, nil
}
