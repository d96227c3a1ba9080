package ratelimit

import (
	"strconv"
	"time"
)

// Decision is what a limiter said, and what to tell the caller of it. The zero
// value is a refusal. A value, free to be copied.
type Decision struct {
	// Allowed is whether the units were there.
	Allowed bool
	// Limit is the policy's Count: so many units in each Window.
	Limit int
	// Remaining is how many units are left now, never negative.
	Remaining int
	// Reset is how long until all units are back; where none is left until the
	// next one is, and of a refusal RetryAfter, so that nobody waits for longer
	// than they must.
	Reset time.Duration
	// RetryAfter is how long until what was refused would be allowed, if
	// nobody took any before; 0 when it was allowed.
	RetryAfter time.Duration
	// Policy is the name of the policy that decided: of two, the one that
	// refused or has fewer units left.
	Policy string
	// Window is the policy's Per.
	Window time.Duration
}

// RateLimit is the value of the RateLimit field: `"user";r=41;t=19`. Those of
// several decisions are joined by ", ".
//
// SPEC: draft-ietf-httpapi-ratelimit-headers-11 §4: a List of Strings with r,
// what is left, and t, for how many seconds; §6: Retry-After is not before t.
func (d Decision) RateLimit() string {
	field := make([]byte, 0, 64)
	field = append(field, '"')
	field = append(field, d.Policy...)
	field = append(field, `";r=`...)
	field = strconv.AppendInt(field, int64(d.Remaining), 10)
	field = append(field, ";t="...)
	return string(strconv.AppendInt(field, seconds(d.Reset), 10))
}

// RateLimitPolicy is the value of the RateLimit-Policy field:
// `"user";q=60;w=60`. Those of several decisions are joined by ", ".
//
// SPEC: draft-ietf-httpapi-ratelimit-headers-11 §3: q units in w seconds.
func (d Decision) RateLimitPolicy() string {
	field := make([]byte, 0, 64)
	field = append(field, '"')
	field = append(field, d.Policy...)
	field = append(field, `";q=`...)
	field = strconv.AppendInt(field, int64(d.Limit), 10)
	field = append(field, ";w="...)
	return string(strconv.AppendInt(field, seconds(d.Window), 10))
}

// RetryAfterSeconds is the value of the Retry-After field of a refusal, in
// seconds: rounded up and at least 1, so that nobody who obeys is refused
// again. Empty of what was allowed.
//
// SPEC: RFC 9110 §10.2.3.
func (d Decision) RetryAfterSeconds() string {
	if d.Allowed {
		return ""
	}
	return strconv.FormatInt(max(1, seconds(d.RetryAfter)), 10)
}

// seconds rounds up.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
