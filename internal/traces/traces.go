// Package traces sends what requests did, and how long each stage of them
// took, to an OpenTelemetry collector. Nothing that callers say is in a span
// but the ids of a trace that the request is part of.
package traces

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

const (
	// waiting is how many spans may wait to be sent; more are dropped.
	waiting = 2048
	// batch is how many are sent at once, at the latest after batchAfter.
	batch      = 512
	batchAfter = 2 * time.Second
	// sendPatience bounds one try to send a batch, givenUp all tries of it.
	sendPatience = 5 * time.Second
	givenUp      = 30 * time.Second
	// closePatience is how long the end of the door waits for the last batch.
	closePatience = 2 * time.Second
)

// Options are what New needs.
type Options struct {
	// Endpoint is a collector's base address; /v1/traces is appended.
	Endpoint *url.URL
	// Version is the program's.
	Version string
	Log     *slog.Logger
}

// Tracer makes and sends spans. It never blocks a request: what cannot be sent
// in time is dropped, and counted. nil traces nothing. Safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	queue    *queue
}

// New prepares the sending; the collector need not answer yet.
//
// SPEC: OpenTelemetry Protocol Exporter, "Endpoint URLs for OTLP/HTTP".
func New(ctx context.Context, o Options) (*Tracer, error) {
	exporter, err := otlptrace.New(ctx, newUploader(o.Endpoint.JoinPath("v1/traces").String()))
	if err != nil {
		return nil, err
	}
	// What the environment says of the service (OTEL_SERVICE_NAME) wins.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attribute.String("service.name", "stagedoor"), attribute.String("service.version", o.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Log.Warn("traces: the collector complains", "err", err) }))
	return newTracer(exporter, about, o.Log), nil
}

func newTracer(exporter sdk.SpanExporter, about *resource.Resource, log *slog.Logger) *Tracer {
	q := &queue{exporter: exporter, log: log, logged: &rate.Sometimes{Interval: time.Minute}}
	q.next = sdk.NewBatchSpanProcessor(outlet{q}, sdk.WithMaxQueueSize(waiting), sdk.WithMaxExportBatchSize(batch), sdk.WithBatchTimeout(batchAfter), sdk.WithExportTimeout(givenUp))
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(q), sdk.WithResource(about))
	return &Tracer{provider: provider, queue: q, tracer: provider.Tracer("stagedoor")}
}

// Request begins a request's span, in the trace that its traceparent names.
// One that is malformed, or sent more than once, is ignored, and so is
// tracestate, in which anybody could write anything. trace is the trace's id;
// end takes what became of the request.
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

// Stage begins the span of one stage of a request; outside a traced request
// there is none. code is the error's, empty without one.
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

// Counts returns how many spans were taken by the collector, dropped because
// too many were waiting, and given up because nobody took them.
func (t *Tracer) Counts() (exported, dropped, failed int64) {
	return t.queue.exported.Load(), t.queue.dropped.Load(), t.queue.failed.Load()
}

// Close sends what is waiting, for two seconds at most.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = t.provider.Shutdown(ctx)
}

// queue stands before the SDK's own, and outlet behind it, and they count: the
// SDK tells nobody what it drops.
type queue struct {
	next     sdk.SpanProcessor
	exporter sdk.SpanExporter
	log      *slog.Logger
	logged   *rate.Sometimes

	held, exported, dropped, failed atomic.Int64
}

// OnStart is sdk.SpanProcessor's.
func (q *queue) OnStart(ctx context.Context, s sdk.ReadWriteSpan) { q.next.OnStart(ctx, s) }

// OnEnd takes a span to be sent, unless too many are waiting.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.held.Add(1) > waiting {
		q.held.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.next.OnEnd(s)
}

// ForceFlush is sdk.SpanProcessor's.
func (q *queue) ForceFlush(ctx context.Context) error { return q.next.ForceFlush(ctx) }

// Shutdown sends what is waiting.
func (q *queue) Shutdown(ctx context.Context) error { return q.next.Shutdown(ctx) }

// outlet is the queue's other end.
type outlet struct{ *queue }

// ExportSpans sends a batch. Its error is counted and logged here, once a
// minute: the SDK would write it past the log.
func (o outlet) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := o.exporter.ExportSpans(ctx, spans)
	o.held.Add(-int64(len(spans)))
	if err == nil {
		o.exported.Add(int64(len(spans)))
		return nil
	}
	o.failed.Add(int64(len(spans)))
	o.logged.Do(func() {
		o.log.Warn("traces could not be sent to OTEL_EXPORTER_OTLP_ENDPOINT", "spans", len(spans), "err", err)
	})
	return nil
}

// Shutdown ends the sending.
func (o outlet) Shutdown(ctx context.Context) error { return o.exporter.Shutdown(ctx) }
