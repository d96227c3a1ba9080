// Package traces sends the spans of requests and of their stages to an
// OpenTelemetry collector. Spans hold nothing that callers send, except the
// trace id of a valid traceparent.
package traces

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

const (
	// maxQueued is how many spans may wait to be sent; more are dropped.
	maxQueued = 2048
	// batchSize is how many spans are sent at once, at the latest after batchDelay.
	batchSize  = 512
	batchDelay = 2 * time.Second
	// exportTimeout bounds all tries to send one batch. OTEL_EXPORTER_OTLP_TIMEOUT bounds one try.
	exportTimeout = 30 * time.Second
	// closeTimeout is how long Close waits for the last batch.
	closeTimeout = 2 * time.Second
	// logInterval is the least time between two log lines about failed exports.
	logInterval = time.Minute
	// maxLoggedError is how many bytes of an error are logged: it holds the collector's answer.
	maxLoggedError = 500
)

// Options are what New needs.
type Options struct {
	// Endpoint is the URL that spans are posted to, with its path.
	Endpoint *url.URL
	// Version is the program's version.
	Version string
	// Log gets failed exports and broken OTEL_ variables.
	Log *slog.Logger
}

// Tracer records spans and sends them. It never blocks a request: spans that
// cannot be sent in time are dropped and counted. A nil Tracer does nothing.
// Safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	queue    *queue
}

// New returns a Tracer for o.Endpoint. It does not connect, so the collector
// may start later. Headers, certificates, compression, timeout and protocol
// come from the environment. Certificates for an http:// endpoint are an error.
//
// SPEC: OpenTelemetry Protocol Exporter, "Configuration Options".
func New(ctx context.Context, o Options) (*Tracer, error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		o.Log.Warn("OpenTelemetry SDK failed", "err", err)
	}))
	otel.SetLogger(logr.New(sdkLog{log: o.Log}))
	// The endpoint is given here and wins over the environment, because the configuration has checked it.
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(o.Endpoint.String()))
	if err != nil {
		return nil, fmt.Errorf("create OTLP exporter: %w", err)
	}
	// WithFromEnv comes last: OTEL_SERVICE_NAME wins.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "stagedoor"),
		attribute.String("service.version", o.Version),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return newTracer(exporter, about, o.Log), nil
}

func newTracer(exporter sdk.SpanExporter, about *resource.Resource, log *slog.Logger) *Tracer {
	q := &queue{exporter: exporter, log: log, logged: &rate.Sometimes{Interval: logInterval}}
	q.next = sdk.NewBatchSpanProcessor(outlet{q}, sdk.WithMaxQueueSize(maxQueued),
		sdk.WithMaxExportBatchSize(batchSize), sdk.WithBatchTimeout(batchDelay), sdk.WithExportTimeout(exportTimeout))
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(q), sdk.WithResource(about))
	return &Tracer{provider: provider, queue: q, tracer: provider.Tracer("stagedoor")}
}

// sdkLog passes the SDK's errors to Stagedoor's log without their values: one
// of them is the text of OTEL_EXPORTER_OTLP_HEADERS, which holds a key.
type sdkLog struct{ log *slog.Logger }

// Init implements logr.LogSink.
func (sdkLog) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink: only errors are logged.
func (sdkLog) Enabled(int) bool { return false }

// Info implements logr.LogSink.
func (sdkLog) Info(int, string, ...any) {}

// Error implements logr.LogSink.
func (s sdkLog) Error(err error, msg string, _ ...any) {
	s.log.Warn("OpenTelemetry setting ignored", "step", msg, "err", err)
}

// WithValues implements logr.LogSink.
func (s sdkLog) WithValues(...any) logr.LogSink { return s }

// WithName implements logr.LogSink.
func (s sdkLog) WithName(string) logr.LogSink { return s }

// Request starts the span of a request in the trace that its traceparent names.
// It ignores a malformed or repeated traceparent, and every tracestate, because
// callers can write anything there. id is the trace's id, empty for a nil
// Tracer. The caller must call end once, with the status, the error's code (may
// be empty) and the request's id.
//
// SPEC: W3C Trace Context §3.2, §4.3.
func (t *Tracer) Request(r *http.Request, route string) (ctx context.Context, id string, end func(status int, code, requestID string)) {
	ctx = r.Context()
	if t == nil {
		return ctx, "", func(int, string, string) {}
	}
	if len(r.Header.Values("Traceparent")) == 1 {
		parent := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(r.Header)))
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent.WithTraceState(trace.TraceState{}))
	}
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "_OTHER" // SPEC: OpenTelemetry semantic conventions, http.request.method
	}
	ctx, span := t.tracer.Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route)))
	return ctx, span.SpanContext().TraceID().String(), func(status int, code, requestID string) {
		span.SetAttributes(attribute.Int("http.response.status_code", status), attribute.String("stagedoor.request_id", requestID))
		if code != "" {
			span.SetAttributes(attribute.String("error.type", code))
		}
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Stage starts the span of one stage of a request. Outside a sampled request it
// does nothing. The caller must call end once, with the error's code or "".
func (t *Tracer) Stage(ctx context.Context, name string) (_ context.Context, end func(code string)) {
	if t == nil || !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, func(string) {}
	}
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, func(code string) {
		if code != "" {
			span.SetAttributes(attribute.String("error.type", code))
		}
		span.End()
	}
}

// Counts returns how many spans the collector accepted, how many were dropped
// because the queue was full, and how many could not be exported.
func (t *Tracer) Counts() (exported, dropped, failed int64) {
	return t.queue.exported.Load(), t.queue.dropped.Load(), t.queue.failed.Load()
}

// Close sends the queued spans and gives up after two seconds.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx)
}

// queue counts spans before the SDK's own queue, and outlet behind it: the SDK
// does not report what it drops.
type queue struct {
	next     sdk.SpanProcessor
	exporter sdk.SpanExporter
	log      *slog.Logger
	logged   *rate.Sometimes

	queued, exported, dropped, failed atomic.Int64
}

// OnStart implements sdk.SpanProcessor.
func (q *queue) OnStart(ctx context.Context, s sdk.ReadWriteSpan) { q.next.OnStart(ctx, s) }

// OnEnd queues a span, or drops it when the queue is full.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.queued.Add(1) > maxQueued {
		q.queued.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.next.OnEnd(s)
}

// ForceFlush implements sdk.SpanProcessor.
func (q *queue) ForceFlush(ctx context.Context) error { return q.next.ForceFlush(ctx) }

// Shutdown sends the queued spans.
func (q *queue) Shutdown(ctx context.Context) error { return q.next.Shutdown(ctx) }

// outlet is the exporter that the SDK's queue calls.
type outlet struct{ *queue }

// ExportSpans sends a batch. It counts and logs an error itself and returns
// nil, because the SDK would log every one.
func (o outlet) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := o.exporter.ExportSpans(ctx, spans)
	o.queued.Add(-int64(len(spans)))
	if err == nil {
		o.exported.Add(int64(len(spans)))
		return nil
	}
	o.failed.Add(int64(len(spans)))
	o.logged.Do(func() {
		text := err.Error()
		o.log.Warn("OTLP export failed", "spans", len(spans), "err", text[:min(len(text), maxLoggedError)])
	})
	return nil
}

// Shutdown closes the exporter.
func (o outlet) Shutdown(ctx context.Context) error { return o.exporter.Shutdown(ctx) }
