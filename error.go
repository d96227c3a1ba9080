package stagedoor

import (
	"errors"
	"time"
)

// Kind says what went wrong, in the words of the API. The zero value is
// Internal, so an error nobody classified tells a stranger nothing.
type Kind uint8

// The kinds of failure a request can meet, in the order of docs/api.md.
// internal/httpapi/problem.go alone turns a Kind into an HTTP status.
const (
	Internal Kind = iota
	InvalidJSON
	UnknownField
	RoomRequired
	InvalidRoom
	InvalidUsername
	InvalidSignature
	InvalidEvent
	InvalidRequest
	MissingToken
	InvalidToken
	ExpiredToken
	RoomForbidden
	RoomFull
	SessionOver
	Banned
	FieldNotAllowed
	IdentityNotAllowed
	HTTPSRequired
	OriginNotAllowed
	AlreadyInRoom
	NotFound
	MethodNotAllowed
	BodyTooLarge
	UnsupportedMediaType
	RateLimited
	Unavailable
	numKinds
)

var kindCodes = [numKinds]string{
	Internal:             "internal",
	InvalidJSON:          "invalid_json",
	UnknownField:         "unknown_field",
	RoomRequired:         "room_required",
	InvalidRoom:          "invalid_room",
	InvalidUsername:      "invalid_username",
	InvalidSignature:     "invalid_signature",
	InvalidEvent:         "invalid_event",
	InvalidRequest:       "invalid_request",
	MissingToken:         "missing_token",
	InvalidToken:         "invalid_token",
	ExpiredToken:         "expired_token",
	RoomForbidden:        "room_forbidden",
	RoomFull:             "room_full",
	SessionOver:          "session_over",
	Banned:               "banned",
	FieldNotAllowed:      "field_not_allowed",
	IdentityNotAllowed:   "identity_not_allowed",
	HTTPSRequired:        "https_required",
	OriginNotAllowed:     "origin_not_allowed",
	AlreadyInRoom:        "already_in_room",
	NotFound:             "not_found",
	MethodNotAllowed:     "method_not_allowed",
	BodyTooLarge:         "body_too_large",
	UnsupportedMediaType: "unsupported_media_type",
	RateLimited:          "rate_limited",
	Unavailable:          "unavailable",
}

// String returns the code that API answers, logs and audit records carry,
// such as "expired_token". A Kind outside the list reads "internal".
func (k Kind) String() string {
	if k >= numKinds {
		return kindCodes[Internal]
	}
	return kindCodes[k]
}

// Kinds returns every Kind in order, so that a table keyed by Kind can be
// tested for completeness.
func Kinds() []Kind {
	all := make([]Kind, numKinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Error is the one error type that crosses the rooms of the house.
// Its zero value is an Internal error without detail.
type Error struct {
	Kind Kind
	// Detail is shown to the caller. It never holds a secret, a credential
	// or bytes of the caller's that were not validated. Internal errors show none.
	Detail string
	// RetryAfter is how long the caller should wait; 0 means no advice.
	RetryAfter time.Duration
	// Err is the private cause: logged, never shown.
	Err error
}

// Error returns the code, the detail and the private cause, for logs only.
func (e *Error) Error() string {
	text := e.Kind.String()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the private cause, or nil.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the Kind of the first *Error in err's chain, and Internal
// for every other error, nil included.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Refuse builds an *Error of the given kind with a detail fit to be shown.
func Refuse(kind Kind, detail string) *Error { return &Error{Kind: kind, Detail: detail} }
