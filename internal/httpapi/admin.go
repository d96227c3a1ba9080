package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"stagedoor"
)

// BanList are the bans in force.
type BanList interface {
	List(key stagedoor.PrincipalKey) []stagedoor.Ban
	Add(ctx context.Context, ban stagedoor.Ban) (stagedoor.Ban, error)
	Remove(ctx context.Context, id string) (stagedoor.Ban, bool, error)
}

// Admin is the operators' API. Bans, Now, Find and Explain must be set. With an
// empty Token it answers everybody who reaches it, so that it may only be
// served on loopback.
type Admin struct {
	// Token and TokenPrevious open the API.
	Token, TokenPrevious stagedoor.Secret
	Bans                 BanList
	// Audit keeps a record of what operators do; nil: nothing is recorded.
	Audit func(ctx context.Context, record stagedoor.AuditRecord) error
	// Now is the clock.
	Now func() time.Time
	// Find returns the one principal that user names, as subject or identity;
	// issuer may be empty. Errors: InvalidRequest.
	Find func(ctx context.Context, user, issuer string) (stagedoor.PrincipalKey, error)
	// HasTokens reports whether a principal has a token that can still be used, as
	// far as the database knows; nil does not ask.
	HasTokens func(ctx context.Context, key stagedoor.PrincipalKey) (bool, error)
	// Explain says why somebody may or may not come in or publish.
	Explain func(ctx context.Context, user, issuer string, room stagedoor.Room) (stagedoor.Explanation, error)
	// Forget deletes what is kept of somebody; nil makes the address not found.
	// Errors: InvalidRequest.
	Forget func(ctx context.Context, e stagedoor.Erasure) (stagedoor.Erased, error)
	// Live and Billing return what is going on; nil makes the address not found.
	Live, Billing func(ctx context.Context) (any, error)
	// Metrics answers Prometheus at /metrics, on the admin listener alone; nil
	// makes the address not found.
	Metrics http.Handler
	// Profiles answers at /debug/pprof/, on the admin listener alone; nil makes
	// the address not found.
	Profiles http.Handler
	// Sync compares with Stripe and tells how far it is; nil: there is no Stripe.
	Sync func(ctx context.Context, progress func(doing string, seen int)) (any, error)
}

// Wrong tokens that are answered 401 in a row, and one more every so often.
const (
	adminFailures = 10
	adminRecovery = 6 * time.Second
)

// NewAdmin builds the handler of the admin listener. Without a token it
// answers on this machine's own names only.
func NewAdmin(o Options) *API {
	a := &api{Options: o}
	var handler http.Handler = o.Admin.routes(true)
	if o.Admin.Token.Empty() {
		handler = loopbackOnly(handler)
	}
	return &API{Handler: a.observe(handler), draining: &a.draining, believes: a.trusts}
}

// routes names every route of the operators'. The public listener has none
// that tells about the process itself: those are for the admin listener alone.
func (m *Admin) routes(adminListener bool) http.Handler {
	mux := http.NewServeMux()
	if adminListener && m.Metrics != nil {
		mux.Handle("/metrics", only(m.Metrics.ServeHTTP, http.MethodGet, http.MethodHead))
	}
	if adminListener && m.Profiles != nil {
		mux.Handle("/debug/pprof/", only(m.Profiles.ServeHTTP, http.MethodGet))
	}
	mux.Handle("/api/bans", only(m.bans, http.MethodGet, http.MethodPost, http.MethodDelete))
	mux.Handle("/api/bans/{id}", only(m.liftBan, http.MethodDelete))
	mux.Handle("/api/explain", only(m.explain, http.MethodGet))
	if m.Live != nil {
		mux.Handle("/api/live", only(report(m.Live), http.MethodGet))
	}
	if m.Billing != nil {
		mux.Handle("/api/billing", only(report(m.Billing), http.MethodGet))
	}
	if m.Forget != nil {
		mux.Handle("/api/forget", only(m.forget, http.MethodPost))
	}
	mux.Handle("/api/sync", only(m.sync, http.MethodPost))
	mux.HandleFunc("/", notFound)
	// A page in an operator's browser must not ask in the operator's name.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, stagedoor.Refuse(stagedoor.OriginNotAllowed, "the operators' API takes no requests from other pages"))
	}))
	top := http.NewServeMux()
	top.HandleFunc("/{$}", m.index)
	top.Handle("/", guard.Handler(m.authorize(mux)))
	return oneSpelling(top)
}

// authorize lets the token's holders in. A wrong token, or none, costs from a
// budget that everybody shares; a right one costs nothing.
func (m *Admin) authorize(next http.Handler) http.Handler {
	failures := rate.NewLimiter(rate.Every(adminRecovery), adminFailures)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.Token.Empty() {
			next.ServeHTTP(w, r)
			return
		}
		credential, err := bearer(r)
		switch {
		case err == nil && (sameToken(credential.Secret, m.Token) || sameToken(credential.Secret, m.TokenPrevious)):
			next.ServeHTTP(w, r)
		case !failures.Allow():
			rec := recordOf(r.Context())
			err := rec.spend(Quota{Name: "admin", Limit: adminFailures, Window: adminFailures * adminRecovery, Reset: adminRecovery, RetryAfter: adminRecovery}, "")
			refuse(w, r, err)
		case err == nil && credential.Empty():
			refuse(w, r, stagedoor.Refuse(stagedoor.MissingToken, "send Authorization: Bearer and ADMIN_TOKEN"))
		default:
			refuse(w, r, stagedoor.Refuse(stagedoor.InvalidToken, "this is not ADMIN_TOKEN"))
		}
	})
}

// sameToken compares without telling by its time how much is right.
func sameToken(sent, want stagedoor.Secret) bool {
	a, b := sha256.Sum256([]byte(sent.Reveal())), sha256.Sum256([]byte(want.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && !want.Empty()
}

// index says what there is.
func (m *Admin) index(w http.ResponseWriter, _ *http.Request) {
	asPage(w.Header(), plainContent, noPermissions)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	var text strings.Builder
	text.WriteString("stagedoor, for operators\n\n" +
		"GET    /api/explain?user=U&room=R      why may this person, or why not\n" +
		"GET    /api/bans                       who is kept out\n" +
		"POST   /api/bans                       keep somebody out: {\"user\": \"…\", \"room\": \"…\", \"for\": \"24h\", \"reason\": \"…\"}\n" +
		"DELETE /api/bans/{id}, /api/bans?user=U[&room=R]   let them in again\n")
	if m.Forget != nil {
		text.WriteString("POST   /api/forget                     delete what is kept of somebody: {\"user\": \"…\", \"dryRun\": true}\n")
	}
	if m.Live != nil {
		text.WriteString("GET    /api/live                       who is in which room\n")
	}
	if m.Billing != nil {
		text.WriteString("GET    /api/billing                    how Stripe is followed\n")
	}
	if m.Metrics != nil {
		text.WriteString("GET    /metrics                        for Prometheus, on this listener alone\n")
	}
	if m.Profiles != nil {
		text.WriteString("GET    /debug/pprof/                   Go's profiles, on this listener alone\n")
	}
	if m.Sync != nil {
		text.WriteString("POST   /api/sync                       compare everything with Stripe now\n")
	}
	_, _ = w.Write([]byte(text.String()))
}

// report answers with what a function returns.
func report(tell func(context.Context) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := tell(r.Context())
		if err != nil {
			refuse(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, value)
	}
}

// explain serves GET /api/explain.
func (m *Admin) explain(w http.ResponseWriter, r *http.Request) {
	query, err := queryOf(r, "user", "issuer", "room")
	if err == nil && query.Get("user") == "" {
		err = stagedoor.Refuse(stagedoor.InvalidRequest, "name the user: ?user=…&room=…")
	}
	var room stagedoor.Room
	if err == nil {
		room, err = roomOf(query)
	}
	if err != nil {
		refuse(w, r, err)
		return
	}
	explanation, err := m.Explain(r.Context(), query.Get("user"), query.Get("issuer"), room)
	if err != nil {
		refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, explanation)
}

// queryOf reads the query, each of the known names once at most and none
// beside them: what is dropped as malformed or misspelt is a room or an issuer
// that somebody meant, and without it every ban of a person would be lifted.
// Errors: InvalidRequest.
func queryOf(r *http.Request, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, stagedoor.Refuse(stagedoor.InvalidRequest, "the query is malformed")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return nil, stagedoor.Refuse(stagedoor.InvalidRequest, "the query may have "+strings.Join(known, ", ")+" and nothing else")
		case len(values) > 1:
			return nil, stagedoor.Refuse(stagedoor.InvalidRequest, name+" is in the query more than once")
		case !utf8.ValidString(values[0]):
			return nil, stagedoor.Refuse(stagedoor.InvalidRequest, name+" must be UTF-8")
		}
	}
	return query, nil
}

// roomOf returns the query's room, which may be absent. An empty one is a
// mistake, not every room. Errors: InvalidRoom.
func roomOf(query url.Values) (stagedoor.Room, error) {
	if !query.Has("room") {
		return "", nil
	}
	return stagedoor.ParseRoom(nfc(query.Get("room")))
}
