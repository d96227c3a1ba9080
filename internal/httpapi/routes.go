// Package httpapi is the door itself: every route, every status, every header.
package httpapi

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/cors"

	"stagedoor"
)

// Options are what the doors need. Door, Now, Log and Ready must be set.
type Options struct {
	Door *stagedoor.Door
	// LiveKitURL is the ws or wss address that answers carry.
	LiveKitURL string
	// Ready says why callers cannot be served now; nil when they can.
	Ready func(context.Context) error
	// Degraded names the issuers whose callers cannot be served, or may not be
	// for long, though others can; nil: there are no issuers.
	Degraded func() []string
	Now      func() time.Time
	Log      *slog.Logger
	// TLS is the door's own; nil leaves it to a proxy.
	TLS *tls.Config
	// Limits are how often what may be asked; the zero value limits nothing.
	Limits Limits
	// Watch is told of every request; nil: nobody is.
	Watch Watch
	// RequireHTTPS refuses plain HTTP but for the probes.
	RequireHTTPS bool
	// PublicHost is where a plain GET is redirected to; empty refuses it.
	PublicHost string
	// TrustedProxies may speak X-Forwarded-*; nobody by default.
	TrustedProxies []netip.Prefix
	// ClientIPHeader is where they name the client, if not X-Forwarded-For.
	ClientIPHeader string
	// AllowedOrigins are the exact browser origins that may call the API.
	AllowedOrigins []string
	// AuthCookie is the cookie from which the token of a caller without an
	// Authorization header is read; empty: cookies are not looked at.
	AuthCookie string
	// StripeEvent and LiveKitEvent take webhooks as they came: the body's raw
	// bytes and the header that proves them. nil makes the address not found.
	// A nil answer means that the event is kept.
	StripeEvent, LiveKitEvent func(ctx context.Context, body []byte, proof string) error
	// Admin is also served under /admin/api/ when it is set and has a Token:
	// without one it would be open to everybody.
	Admin *Admin
	// DefaultRoom is the room of a /api/token request that names none; empty, or
	// nil, refuses it.
	DefaultRoom func() stagedoor.Room
	// Invitations lists what a principal has made; nil: there are none.
	Invitations func(ctx context.Context, by stagedoor.PrincipalKey) ([]stagedoor.Invitation, error)
	// InviteURL is the page that invitations lead to; empty: the page that
	// asked for one, at the root of its origin.
	InviteURL string
	// Helper is client/livekit-join.js, Spec is docs/openapi.yaml.
	Helper, Spec []byte
	// Demo is the demo room of stagedoor dev; nil in production.
	Demo *Demo
}

// API serves the routes. Safe for concurrent use.
type API struct {
	http.Handler
	draining *atomic.Bool
	tls      *tls.Config
	// believes reports whether an address is a trusted proxy's.
	believes func(netip.Addr) bool
}

// Drain makes /readyz say 503 and asks clients to use other connections.
// Requests are still served.
func (a *API) Drain() { a.draining.Store(true) }

type api struct {
	Options
	draining atomic.Bool
	guard    *http.CrossOriginProtection
}

// New builds the handler.
func New(o Options) *API {
	a := &api{Options: o, guard: crossOriginGuard(o.AllowedOrigins)}
	var handler http.Handler = a.routes()
	if o.Demo != nil {
		handler = loopbackOnly(handler)
	}
	handler = a.crossOrigin(a.requireHTTPS(a.limitInFlight(a.limitAddress(handler))))
	return &API{Handler: a.observe(handler), draining: &a.draining, tls: o.TLS, believes: a.trusts}
}

// routes names every route.
func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	post := func(h http.HandlerFunc) http.Handler { return only(h, http.MethodPost) }
	get := func(h http.HandlerFunc) http.Handler { return only(h, http.MethodGet, http.MethodHead) }
	mux.Handle("/api/join", post(a.join))
	mux.Handle("/api/token", post(a.token))
	mux.Handle("/api/moderate", post(a.moderate))
	mux.Handle("/api/invites", only(a.invites, http.MethodGet, http.MethodHead, http.MethodPost))
	mux.Handle("/api/invites/{id}", only(a.revokeInvite, http.MethodDelete))
	if a.StripeEvent != nil {
		mux.Handle("/webhooks/stripe", post(a.webhook(a.StripeEvent, "Stripe-Signature")))
	}
	if a.LiveKitEvent != nil {
		mux.Handle("/webhooks/livekit", post(a.webhook(a.LiveKitEvent, "Authorization")))
	}
	if a.Admin != nil && !a.Admin.Token.Empty() {
		mux.Handle("/admin/api/", http.StripPrefix("/admin", a.Admin.routes(false)))
		mux.HandleFunc("/admin/api", notFound)
	}
	mux.Handle("/healthz", get(a.healthz))
	mux.Handle("/readyz", get(a.readyz))
	mux.Handle("/livekit-join.js", get(public("text/javascript; charset=utf-8", a.Helper)))
	mux.Handle("/openapi.yaml", get(public("application/yaml; charset=utf-8", a.Spec)))
	if a.Demo != nil {
		mux.Handle("/demo/config.json", get(a.Demo.config))
		if a.Demo.Plans != nil {
			mux.Handle("/demo/plans", only(a.Demo.plans, http.MethodGet, http.MethodHead, http.MethodPost))
		}
		mux.Handle("/assets/", get(a.Demo.asset))
		mux.Handle("/{$}", get(a.Demo.page))
	}
	mux.HandleFunc("/", notFound)
	return oneSpelling(mux)
}

// oneSpelling keeps the mux from redirecting to a tidied path, from reading
// needless escapes and from answering for "*" itself: no path has a second
// spelling here, so that what a proxy in front forbids by its path stays forbidden.
func oneSpelling(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// RawPath is empty unless the path was sent in another spelling than its own.
		p := r.URL.Path
		tidy := p == "/" || path.Clean(p) == strings.TrimSuffix(p, "/") && !strings.Contains(p, "//")
		if r.URL.RawPath != "" || !strings.HasPrefix(p, "/") || !tidy {
			notFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isProbe tells what platforms ask, which no limit and no need of HTTPS refuses.
func isProbe(r *http.Request) bool {
	return r.URL.RawPath == "" && (r.URL.Path == "/healthz" || r.URL.Path == "/readyz") && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// only refuses other methods and says which there are.
//
// SPEC: RFC 9110 §15.5.6.
func only(next http.HandlerFunc, methods ...string) http.Handler {
	allow := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", allow)
			refuse(w, r, stagedoor.Refuse(stagedoor.MethodNotAllowed, "this address takes "+allow))
			return
		}
		next(w, r)
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	refuse(w, r, stagedoor.Refuse(stagedoor.NotFound, "there is nothing at this address"))
}

// crossOrigin lets the configured origins' pages read every answer, refusals
// included, and answers their preflights.
//
// SPEC: fetch.spec.whatwg.org §3.3 (CORS protocol).
func (a *api) crossOrigin(next http.Handler) http.Handler {
	rules := cors.New(cors.Options{
		// A list left empty would mean every origin.
		AllowOriginFunc: func(origin string) bool { return slices.Contains(a.AllowedOrigins, origin) },
		// Methods that no address takes are among them, so that a page can read the 405.
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Traceparent", "Tracestate"},
		ExposedHeaders: []string{"X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate"},
		// Without a cookie to read there is nothing that a browser would add.
		AllowCredentials: a.AuthCookie != "",
		MaxAge:           600,
	}).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if _, host, _ := strings.Cut(origin, "://"); origin != "" && host != r.Host && !slices.Contains(a.AllowedOrigins, origin) {
			// The browser only says that it failed; here is why.
			recordOf(r.Context()).foreignOrigin = origin
		}
		rules.ServeHTTP(w, r)
	})
}

// public serves bytes that any page may use.
func public(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", contentType)
		header.Set("Access-Control-Allow-Origin", "*")
		header.Del("Access-Control-Allow-Credentials") // nobody's in particular
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
		header.Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(body)
	}
}

// healthz says that the process runs.
func (a *api) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readiness is the body of /readyz.
type readiness struct {
	Status   string   `json:"status"`
	Degraded []string `json:"degraded,omitempty"`
}

// readyz says whether callers can be served: there is an issuer whose keys are
// known, the store answers and the server is not draining. It names the issuers
// that fail. It asks neither LiveKit nor Stripe.
func (a *api) readyz(w http.ResponseWriter, r *http.Request) {
	err := a.Ready(r.Context())
	switch {
	case a.draining.Load():
		refuse(w, r, &stagedoor.Error{Kind: stagedoor.Unavailable, Detail: "draining", RetryAfter: time.Second})
	case err != nil:
		refuse(w, r, &stagedoor.Error{Kind: stagedoor.Unavailable, Detail: "callers cannot be served now", RetryAfter: 5 * time.Second, Err: err})
	default:
		answer := readiness{Status: "ready"}
		if a.Degraded != nil {
			answer.Degraded = a.Degraded()
		}
		writeJSON(w, http.StatusOK, answer)
	}
}
