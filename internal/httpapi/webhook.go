package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"

	"stagedoor"
)

// maxEventBytes is the largest webhook that is taken.
const maxEventBytes = 1 << 20

// webhook serves one address for another program's events. The body is handed
// on byte for byte: what proves it was computed over just these.
func webhook(take func(ctx context.Context, body []byte, proof string) error, header string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		proofs := r.Header.Values(header)
		if len(proofs) != 1 {
			refuse(w, r, stagedoor.Refuse(stagedoor.InvalidSignature, "send one "+header+" header"))
			return
		}
		body, err := eventBody(w, r)
		if err == nil {
			err = take(r.Context(), body, proofs[0])
		}
		if err != nil {
			refuse(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]bool{"received": true})
	}
}

// eventBody reads a webhook's body. Errors: BodyTooLarge, InvalidEvent.
func eventBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := stagedoor.Refuse(stagedoor.BodyTooLarge, "an event may have at most 1 MiB")
	if r.ContentLength > maxEventBytes {
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	recordOf(r.Context()).bodyRead = true
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEventBytes))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, tooLarge
	case err != nil:
		return nil, &stagedoor.Error{Kind: stagedoor.InvalidEvent, Detail: "the body did not arrive whole", Err: reasonOf(err)}
	}
	return body, nil
}
