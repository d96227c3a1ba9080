package httpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/client"
	"stagedoor/docs"
	"stagedoor/internal/audit"
	"stagedoor/internal/authn"
	"stagedoor/internal/enforce"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/inflight"
	"stagedoor/internal/livekit"
	"stagedoor/internal/policy"
)

const (
	allowedOrigin  = "https://app.example.com"
	ownOrigin      = "https://" + publicHost
	foreignOrigin  = "https://evil.example.net"
	publicHost     = "door.example.com"
	cookieName     = "__Host-session" // as openapi.yaml calls it
	remoteIssuer   = "https://issuer.example.com"
	callerSecret   = "a caller's secret of more than 32 bytes"
	publishFeature = stagedoor.Feature("publish")
)

// world is a door, named for what is not as in production. All its parts are
// the real ones but for the shelf, which stands for the database, what
// operators are told, and the seams below, without which the contract has
// words that no request could bring about at will.
type world string

const (
	production  world = "production"
	development world = "stagedoor dev"
	noNames     world = "NAME_FROM_REQUEST=false"
	noHost      world = "no public host name"
	noKey       world = "no LiveKit key to sign with"
	fullDisk    world = "a disk on which nothing can be written"
	noIssuer    world = "an issuer that gives no keys"
	noClaim     world = "an identity claim that tokens lack"
	draining    world = "draining"
	cookies     world = "AUTH_COOKIE"
	alone       world = "neither Stripe nor LiveKit's events"
	closed      world = "seam: a policy that lets nobody in"
	mute        world = "seam: a policy that lets nobody publish"
	paid        world = "seam: paid for"
	lapsed      world = "seam: a lapsed subscription"
	small       world = "seam: a plan without publishing"
	unknown     world = "seam: payments that cannot be asked"
	broken      world = "seam: a bug"
	flooded     world = "seam: an address that asks too often"
	hasty       world = "seam: a caller who asks too often"
	guessing    world = "seam: an address that fails too often"
)

// payments is what was paid for.
type payments struct {
	entitlement stagedoor.Entitlement
	err         error
}

func (p payments) Entitlement(context.Context, stagedoor.Principal) (stagedoor.Entitlement, error) {
	return p.entitlement, p.err
}

// rule is a policy other than the default.
type rule struct {
	decision stagedoor.Decision
	err      error
}

func (r rule) Decide(stagedoor.Situation) (stagedoor.Decision, error) {
	return r.decision, r.err
}

// limits have room in every world but those of which it is the point that
// they have none.
func limits(w world) httpapi.Limits {
	quota := func(name string, spent world) httpapi.Quota {
		q := httpapi.Quota{Name: name, Allowed: w != spent, Limit: 60, Window: time.Minute, Reset: 19 * time.Second}
		if q.Allowed {
			q.Remaining = 41
		} else {
			q.RetryAfter = 19 * time.Second
		}
		return q
	}
	return httpapi.Limits{
		InFlight: inflight.Options{Running: 64, Waiting: 64, QueueTimeout: time.Second},
		Address:  func(netip.Addr) httpapi.Quota { return quota("address", flooded) },
		Failure:  func(netip.Addr) httpapi.Quota { return quota("failures", guessing) },
		Caller:   func(string, string, netip.Addr) httpapi.Quota { return quota("user", hasty) },
	}
}

type bug struct{}

func (bug) Authenticate(context.Context, stagedoor.Credential) (stagedoor.Principal, error) {
	panic("a bug")
}

// failing is a disk that is full and an issuer that cannot be reached.
type failing struct{}

func (failing) Write([]byte) (int, error)                       { return 0, errors.New("full") }
func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

// open starts the door of one world on loopback, which stands for the proxy
// in front: what comes from there says itself whether it came over HTTPS.
func open(t *testing.T, w world) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler(t, w))
	t.Cleanup(server.Close)
	return server
}

// handler is the door of one world.
func handler(t *testing.T, w world) http.Handler {
	t.Helper()
	api := httpapi.New(options(t, w))
	if w == draining {
		api.Drain()
	}
	return api
}

func options(t *testing.T, w world) httpapi.Options {
	t.Helper()
	callers := authenticator(t, w)
	kept := &shelf{full: w == fullDisk, bans: bansKept()}
	bans, err := enforce.LoadBans(t.Context(), kept, time.Now, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	door := &stagedoor.Door{
		Authenticator:    callers,
		Bans:             bans,
		Policy:           policy.Default{PublishFeature: publishFeature, TTL: time.Hour},
		Signer:           &livekit.Signer{Key: liveKitKey, Secret: stagedoor.NewSecret(liveKitSecret), Now: time.Now},
		AuditLog:         audit.New(io.Discard, time.Now, httpapi.RequestID),
		IdentityPrefixes: callers.Prefixes(),
		NameFromRequest:  w != noNames,
	}
	o := httpapi.Options{
		Door: door, LiveKitURL: "wss://livekit.example.com", Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Ready:       func(context.Context) error { return errors.Join(callers.Ready(), kept.failure()) },
		Degraded:    callers.Degraded,
		StripeEvent: stripeEvents(t, kept), LiveKitEvent: liveKitEvents(kept), Admin: operators(w, bans, kept),
		RequireHTTPS: true, PublicHost: publicHost, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		AllowedOrigins: []string{allowedOrigin, ownOrigin}, Helper: client.Helper, Spec: docs.OpenAPI,
	}
	switch w {
	case development:
		o.RequireHTTPS, o.PublicHost, o.Demo = false, "", &httpapi.Demo{}
	case cookies:
		o.AuthCookie = cookieName
	case noHost:
		o.PublicHost = ""
	case alone:
		o.StripeEvent, o.LiveKitEvent, o.Admin.Billing, o.Admin.Sync = nil, nil, nil, nil
	case noKey:
		door.Signer = &livekit.Signer{Now: time.Now}
	case fullDisk:
		door.AuditLog = audit.New(failing{}, time.Now, httpapi.RequestID)
	case hosted, deaf, unheard, locked:
		withRules(t, &o, w)
	}
	o.Limits = limits(w)
	door.Limiter = &o.Limits
	useSeam(door, w)
	return o
}

// useSeam puts in what is not real.
func useSeam(door *stagedoor.Door, w world) {
	switch w {
	case closed:
		door.Policy = rule{err: stagedoor.Refuse(stagedoor.RoomForbidden, "this room is not for you")}
	case mute:
		door.Policy = rule{decision: stagedoor.Decision{TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true}, PublishDenied: stagedoor.DeniedByPolicy}}
	case paid:
		door.Entitlements = payments{entitlement: stagedoor.Entitlement{Features: []stagedoor.Feature{publishFeature}}}
	case lapsed:
		door.Entitlements = payments{entitlement: stagedoor.Entitlement{Withheld: stagedoor.SubscriptionInactive}}
	case small:
		door.Entitlements = payments{entitlement: stagedoor.Entitlement{Withheld: stagedoor.FeatureNotInPlan}}
	case unknown:
		door.Entitlements = payments{err: errors.New("no answer")}
	case broken:
		door.Authenticator = bug{}
	}
}

// authenticator knows the callers' shared secret and, in one world, an issuer
// whose keys never come.
func authenticator(t *testing.T, w world) *authn.Authenticator {
	t.Helper()
	shared := authn.Issuer{Secrets: []stagedoor.Secret{stagedoor.NewSecret(callerSecret)}, NameClaim: "name"}
	if w == noClaim {
		shared.IdentityClaim = "employee"
	}
	issuers := []authn.Issuer{shared}
	if w == noIssuer {
		issuers = append(issuers, authn.Issuer{ID: remoteIssuer, Remote: true, JWKSURL: remoteIssuer + "/keys", Audiences: []string{"door"}})
	}
	a, err := authn.New(authn.Options{Issuers: issuers, Now: time.Now, Transport: failing{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
