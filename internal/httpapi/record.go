package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"stagedoor"
)

// record collects what the one log line of a request says.
type record struct {
	id, client                      string
	https                           bool
	status                          int
	kind                            stagedoor.Kind
	err                             error
	issuer, subject, room, identity string
	mayPublish                      bool
	publishDenied                   string
	// foreignOrigin is the Origin of a page that may not read the answer.
	foreignOrigin string
	// bodyRead is set once the body was asked for.
	bodyRead bool
	// header is the answer's.
	header http.Header
	// doubt is why the client is not known.
	doubt string
	// trace is the id of the request's trace; empty without one.
	trace string
	// limit names the limit that refused the request, limited whom it refused.
	limit, limited string
}

type recordKey struct{}

// recordOf returns the request's record; outside a request an empty one.
func recordOf(ctx context.Context) *record {
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		return rec
	}
	return &record{}
}

// RequestID returns the id that the request's answer, log line and audit
// record share; empty outside a request.
func RequestID(ctx context.Context) string { return recordOf(ctx).id }

// statusWriter notes the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes and sends the status.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends, with status 200 when none was sent.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and http.MaxBytesReader reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// safeID is what a trusted proxy's request id may look like; anything else
// is replaced, so that no log is written by a stranger.
var safeID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// observe gives every request an id, turns a panic into a 500 and writes the
// one log line.
func (a *api) observe(next http.Handler) http.Handler {
	route := routing()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.Now()
		from := a.origin(r)
		rec := &record{id: rand.Text(), client: from.client, https: from.https, doubt: from.doubt}
		if id := r.Header.Get("X-Request-Id"); from.trusted && safeID.MatchString(id) {
			rec.id = id
		}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
		r, done := a.watched(r, rec, route)
		sw := &statusWriter{ResponseWriter: w}
		header := w.Header()
		rec.header = header
		header.Set("X-Request-Id", rec.id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		if a.draining.Load() || doubtful(r) {
			header.Set("Connection", "close")
		}
		defer func() {
			if rec.status = sw.status; rec.status == 0 {
				rec.status = http.StatusOK // net/http's own, when nothing was written
			}
			if cause := recover(); cause != nil {
				a.recovered(sw, r, cause)
			}
			took := a.Now().Sub(start)
			done(took)
			a.logRequest(r, rec, took)
		}()
		next.ServeHTTP(sw, r)
		if r.ContentLength != 0 && !rec.bodyRead {
			// net/http sends a small answer only when it has read, or given up on,
			// the rest of the body: who withholds one would hold the connection.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadGrace))
		}
	})
}

// doubtful reports whether a proxy in front may see another end of this
// request than net/http does, which takes Content-Length and Transfer-Encoding
// together, drops Transfer-Encoding from HTTP/1.0, and tells neither. What
// follows on the connection is then nobody's request: it ends with the answer.
// A POST without any framing may have hidden it, in a folded line for one.
//
// SPEC: RFC 9112 §6.1, §6.3, §11.2.
func doubtful(r *http.Request) bool {
	if r.ProtoMajor != 1 {
		return false
	}
	return r.ProtoMinor == 0 || len(r.TransferEncoding) > 0 || r.Method == http.MethodPost && len(r.Header["Content-Length"]) == 0
}

// unreadGrace is how long a body that nobody asked for may take to pass by.
const unreadGrace = 100 * time.Millisecond

// recovered answers a panic like any other internal error. http.ErrAbortHandler
// keeps its meaning.
func (a *api) recovered(sw *statusWriter, r *http.Request, cause any) {
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	a.Log.Error("panic", "requestId", RequestID(r.Context()), "cause", cause, "stack", string(debug.Stack()))
	if sw.status == 0 {
		refuse(sw, r, errors.New("panic"))
	}
	recordOf(r.Context()).status = http.StatusInternalServerError
}

// logRequest writes the canonical line. Probes are logged at debug level when
// all is well: platforms send one every few seconds.
func (a *api) logRequest(r *http.Request, rec *record, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case rec.status >= http.StatusInternalServerError && rec.kind == stagedoor.Internal:
		level = slog.LevelError
	case rec.status < http.StatusBadRequest && (isProbe(r) || r.Method == http.MethodOptions):
		level = slog.LevelDebug
	}
	burst := a.worthALine(rec)
	if !burst.Log {
		return
	}
	attrs := []slog.Attr{
		slog.String("requestId", rec.id), slog.String("method", plainMethod(r.Method)), slog.String("path", clip(briefPath(r.URL.Path))),
		slog.Int("status", rec.status), slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("client", rec.client),
	}
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, clip(value)))
		}
	}
	if rec.err != nil {
		add("code", rec.kind.String())
		add("err", rec.err.Error())
	}
	add("clientUnknown", rec.doubt)
	add("traceId", rec.trace)
	add("limit", rec.limit)
	if burst.Unlogged > 0 {
		attrs = append(attrs, slog.Int("unlogged", burst.Unlogged))
	}
	if burst.Shared {
		attrs = append(attrs, slog.Bool("manyOthersToo", true))
	}
	if rec.foreignOrigin != "" {
		add("cors", "the page's origin is not in ALLOWED_ORIGINS")
		add("origin", plainOrigin(rec.foreignOrigin))
	}
	add("issuer", rec.issuer)
	add("subject", rec.subject)
	add("room", rec.room)
	add("identity", rec.identity)
	if rec.identity != "" {
		attrs = append(attrs, slog.Bool("mayPublish", rec.mayPublish))
		add("publishDenied", rec.publishDenied)
	}
	a.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// worthALine says whether a request is logged: strangers, whom nothing else
// bounds, must not fill the disk.
func (a *api) worthALine(rec *record) Burst {
	refused := rec.status >= http.StatusBadRequest && rec.status < http.StatusInternalServerError
	switch {
	case rec.limit != "" && a.Limits.Burst != nil:
		return a.Limits.Burst(rec.limit, rec.limited)
	case refused && rec.subject == "" && a.Limits.Stranger != nil:
		return a.Limits.Stranger(rec.address())
	}
	return Burst{Log: true}
}

// longSegment is longer than any part of a path that the door knows, and no
// longer than a secret may be: somebody may have pasted one into the address.
const longSegment = 32

// longPath is longer than any path that the door knows.
const longPath = 80

// briefPath is a path without what may be a secret in it, which may have
// slashes of its own.
func briefPath(path string) string {
	parts := strings.Split(path, "/")
	if len(path) > longPath {
		parts = append(parts[:min(len(parts), 3)], "…")
	}
	for i, part := range parts {
		if len(part) >= longSegment {
			parts[i] = "…"
		}
	}
	return strings.Join(parts, "/")
}

// plainMethod is a method that there is; another may be anything.
func plainMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "another"
}

// browserOrigin is how browsers write an origin: everything in lower case.
//
// SPEC: html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin.
var browserOrigin = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]-]+$`)

// plainOrigin is an Origin that a browser may have written; what else comes in
// that header may be anything, a secret too.
func plainOrigin(origin string) string {
	if origin == "null" || browserOrigin.MatchString(origin) {
		return origin
	}
	return "not a browser's"
}

// maxLogged is the most that one value can put into a line, in bytes.
const maxLogged = 256

// clip bounds what a stranger can put into one line, and makes it harmless.
func clip(s string) string {
	if len(s) > maxLogged {
		s = s[:maxLogged] + "…"
	}
	return stagedoor.Printable(s)
}
