package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"stagedoor"
)

// statuses turns every Kind into its HTTP status, here and nowhere else.
//
// SPEC: RFC 9110 §15; docs/api.md has the same table for people.
var statuses = map[stagedoor.Kind]int{
	stagedoor.Internal:             http.StatusInternalServerError,
	stagedoor.InvalidJSON:          http.StatusBadRequest,
	stagedoor.UnknownField:         http.StatusBadRequest,
	stagedoor.RoomRequired:         http.StatusBadRequest,
	stagedoor.InvalidRoom:          http.StatusBadRequest,
	stagedoor.InvalidUsername:      http.StatusBadRequest,
	stagedoor.InvalidSignature:     http.StatusBadRequest,
	stagedoor.InvalidEvent:         http.StatusBadRequest,
	stagedoor.InvalidRequest:       http.StatusBadRequest,
	stagedoor.MissingToken:         http.StatusUnauthorized,
	stagedoor.InvalidToken:         http.StatusUnauthorized,
	stagedoor.ExpiredToken:         http.StatusUnauthorized,
	stagedoor.RoomForbidden:        http.StatusForbidden,
	stagedoor.RoomFull:             http.StatusForbidden,
	stagedoor.SessionOver:          http.StatusForbidden,
	stagedoor.Banned:               http.StatusForbidden,
	stagedoor.FieldNotAllowed:      http.StatusForbidden,
	stagedoor.IdentityNotAllowed:   http.StatusForbidden,
	stagedoor.HTTPSRequired:        http.StatusForbidden,
	stagedoor.OriginNotAllowed:     http.StatusForbidden,
	stagedoor.AlreadyInRoom:        http.StatusConflict,
	stagedoor.NotFound:             http.StatusNotFound,
	stagedoor.MethodNotAllowed:     http.StatusMethodNotAllowed,
	stagedoor.BodyTooLarge:         http.StatusRequestEntityTooLarge,
	stagedoor.UnsupportedMediaType: http.StatusUnsupportedMediaType,
	stagedoor.RateLimited:          http.StatusTooManyRequests,
	stagedoor.Unavailable:          http.StatusServiceUnavailable,
}

const (
	realm         = `Bearer realm="stagedoor"`
	internalError = "internal error"
)

// problem is the body of every refusal. It shares no key with a success: some
// client SDKs read a body before they look at the status.
type problem struct {
	Error     string `json:"error"`
	Code      string `json:"code"`
	RequestID string `json:"requestId"`
}

// refuse answers with an error and notes it for the request's log line. An
// error that is not a *stagedoor.Error says nothing but "internal error".
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		// Nobody is there to read it, and nothing else is wrong: whoever hangs up
		// in the middle must not fill the log with faults.
		err = &stagedoor.Error{Kind: stagedoor.InvalidRequest, Detail: "the caller left before the answer"}
	}
	var e *stagedoor.Error
	if !errors.As(err, &e) {
		e = &stagedoor.Error{Kind: stagedoor.Internal, Err: err}
	}
	status, known := statuses[e.Kind]
	if !known {
		status = http.StatusInternalServerError
	}
	text := internalError
	if status != http.StatusInternalServerError {
		text = http.StatusText(status) + ": " + e.Detail
	}
	header := w.Header()
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", challenge(e))
	}
	if e.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	rec := recordOf(r.Context())
	rec.kind, rec.err = e.Kind, e
	writeJSON(w, status, problem{Error: text, Code: e.Kind.String(), RequestID: rec.id})
}

// challenge says how to authenticate and, when a token came, what is wrong
// with it. Details of authentication errors are fixed texts without quotes.
//
// SPEC: RFC 6750 §3, §3.1: no error code when no token came.
func challenge(e *stagedoor.Error) string {
	if e.Kind == stagedoor.MissingToken {
		return realm
	}
	return realm + `, error="invalid_token", error_description="` + e.Detail + `"`
}

// writeJSON answers with one JSON value.
func writeJSON(w http.ResponseWriter, status int, value any) {
	header := w.Header()
	body, err := json.Marshal(value)
	if err != nil {
		// The request's id has no character that JSON would escape.
		status, body = http.StatusInternalServerError, []byte(`{"error":"`+internalError+`","code":"internal","requestId":"`+header.Get("X-Request-Id")+`"}`)
	}
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
