package httpapi

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"time"

	"stagedoor/internal/inflight"

	"stagedoor"
)

// Quota is what is left to somebody of a number of requests in a time. The
// zero value allows nothing.
type Quota struct {
	// Name is the limit's: address, failures or user.
	Name    string
	Allowed bool
	// Limit is how many requests there are in a Window, Remaining how many are left.
	Limit, Remaining int
	Window           time.Duration
	// Reset is when all are there again, RetryAfter when the next one is.
	Reset, RetryAfter time.Duration
}

// Burst is what to log of a refusal. The zero value is: nothing.
type Burst struct {
	Log bool
	// Unlogged is how many refusals were not logged since the last line.
	Unlogged int
	// Shared is set when the line stands for many, and not for whom it names.
	Shared bool
}

// Limits are how often what may be asked. A nil function limits nothing. Safe
// for concurrent use when its functions are.
type Limits struct {
	// InFlight bounds how many requests run at once, and how many wait; webhooks
	// have the same bounds for themselves. The zero value is no bound.
	InFlight inflight.Options
	// Address counts a request of an address, before anything is looked at.
	Address func(netip.Addr) Quota
	// Failure counts a failed authentication of an address.
	Failure func(netip.Addr) Quota
	// Caller counts a request of an authenticated caller; of guests, who share
	// one credential, with the address they come from.
	Caller func(issuer, subject string, guest netip.Addr) Quota
	// Burst says whether a refusal by a limit is to be logged, Stranger the same
	// of any other refusal of who is not known; nil logs every one.
	Burst    func(limit, who string) Burst
	Stranger func(netip.Addr) Burst
}

// Allow counts one request of an authenticated caller, and shows in the
// answer what is left. Errors: RateLimited. It is the door's Limiter.
func (l *Limits) Allow(ctx context.Context, p stagedoor.Principal) error {
	if l.Caller == nil {
		return nil
	}
	rec, from := recordOf(ctx), netip.Addr{}
	rec.issuer, rec.subject = p.Issuer, p.Subject
	if p.Invitation != "" {
		from = rec.address()
	}
	return rec.spend(l.Caller(p.Issuer, p.Subject, from), p.Issuer+" "+p.Subject)
}

// address is the client's; the zero value where it is not known.
func (rec *record) address() netip.Addr {
	addr, _ := netip.ParseAddr(rec.client)
	return addr
}

// spend shows a quota in the answer. Errors: RateLimited, when it is used up.
//
// SPEC: draft-ietf-httpapi-ratelimit-headers-11 §3, §4.
func (rec *record) spend(q Quota, who string) error {
	if rec.header != nil {
		rec.header.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", q.Name, q.Limit, seconds(q.Window)))
		rec.header.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", q.Name, max(q.Remaining, 0), seconds(q.Reset)))
	}
	if q.Allowed {
		return nil
	}
	rec.limit, rec.limited = q.Name, who
	return &stagedoor.Error{Kind: stagedoor.RateLimited, Detail: "too many requests; wait as Retry-After says", RetryAfter: max(q.RetryAfter, time.Second)}
}

// seconds rounds up to whole seconds.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// limitAddress counts every request but the probes', which platforms send,
// and webhooks, which prove themselves and come from a few addresses. What is
// left is not told: callers heed their own limit, which is shown later.
func (a *api) limitAddress(next http.Handler) http.Handler {
	if a.Limits.Address == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isProbe(r) && !a.isWebhook(r) {
			rec := recordOf(r.Context())
			if q := a.Limits.Address(rec.address()); !q.Allowed {
				refuse(w, r, rec.spend(q, rec.client))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// refuseCaller answers a caller's failed request. A failed authentication is
// counted; whoever has spent these is told to wait, and nobody else.
func (a *api) refuseCaller(w http.ResponseWriter, r *http.Request, err error) {
	kind := stagedoor.KindOf(err)
	rec := recordOf(r.Context())
	nobody := statuses[kind] == http.StatusUnauthorized || kind == stagedoor.IdentityNotAllowed && rec.subject == ""
	if nobody && a.Limits.Failure != nil {
		if spent := rec.spend(a.Limits.Failure(rec.address()), rec.client); spent != nil {
			err = spent
		}
	}
	refuse(w, r, err)
}
