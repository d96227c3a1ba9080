package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"stagedoor"
)

// Answer is what became of a request. Nothing in it but RequestID is a
// stranger's word.
type Answer struct {
	// Route is one of Routes.
	Route     string
	RequestID string
	Status    int
	// Kind says why it was refused, when Refused is set.
	Refused bool
	Kind    stagedoor.Kind
	// Limit is which limit refused it; empty: none did.
	Limit string
	Took  time.Duration
	// Publish says whether the token that was handed out may publish, Denied
	// why not.
	Publish bool
	Denied  string
}

// Watch is told of every request of the public listener. It returns the
// context to answer it with, the id of its trace for the log, empty without
// one, and what is told of the end.
type Watch func(r *http.Request, route string) (ctx context.Context, trace string, end func(Answer))

// otherRoute stands for every address that is not a route.
const otherRoute = "other"

// exactRoutes are the routes of the public listener without a part that
// callers choose.
func exactRoutes() []string {
	return []string{"/", "/api/join", "/api/token", "/api/moderate", "/api/invites", "/webhooks/stripe", "/webhooks/livekit",
		"/healthz", "/readyz", "/livekit-join.js", "/openapi.yaml", "/demo/config.json", "/demo/plans"}
}

// wideRoutes are the others, by how they begin.
func wideRoutes() [][2]string {
	return [][2]string{{"/api/invites/", "/api/invites/{id}"}, {"/admin/api/", "/admin/api/"}, {"/assets/", "/assets/"}}
}

// Routes are all that an Answer's Route may be.
func Routes() []string {
	all := append(exactRoutes(), otherRoute)
	for _, wide := range wideRoutes() {
		all = append(all, wide[1])
	}
	return all
}

// routing returns the function that names a path's route.
func routing() func(path string) string {
	exact, wide := exactRoutes(), wideRoutes()
	return func(path string) string {
		if slices.Contains(exact, path) {
			return path
		}
		for _, w := range wide {
			if strings.HasPrefix(path, w[0]) {
				return w[1]
			}
		}
		return otherRoute
	}
}

// IsJoin reports whether a route hands out tokens.
func IsJoin(route string) bool { return route == "/api/join" || route == "/api/token" }

// watched begins to tell of a request; done is to be called when its record is whole.
func (a *api) watched(r *http.Request, rec *record, route func(string) string) (_ *http.Request, done func(took time.Duration)) {
	if a.Watch == nil {
		return r, func(time.Duration) {}
	}
	name := route(r.URL.Path)
	ctx, trace, end := a.Watch(r, name)
	rec.trace = trace
	return r.WithContext(ctx), func(took time.Duration) {
		end(Answer{Route: name, RequestID: rec.id, Status: rec.status, Refused: rec.status >= http.StatusBadRequest, Kind: rec.kind, Limit: rec.limit, Took: took,
			Publish: rec.mayPublish, Denied: rec.publishDenied})
	}
}
