package httpapi

import (
	"net/http"
	"net/http/pprof"
	"time"
)

// Profiles returns a handler for Go's profiles under /debug/pprof/, to be set
// as [Admin.Profiles]. It checks no token. Safe for concurrent use.
//
// SPEC: pkg.go.dev/net/http/pprof.
func Profiles() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A CPU profile takes 30 s by default, longer than the server's read timeout.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		switch r.URL.Path {
		case "/debug/pprof/profile":
			pprof.Profile(w, r)
		case "/debug/pprof/trace":
			pprof.Trace(w, r)
		case "/debug/pprof/symbol":
			pprof.Symbol(w, r)
		case "/debug/pprof/cmdline":
			pprof.Cmdline(w, r)
		default:
			pprof.Index(w, r)
		}
	})
}
