package traces

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver takes OTLP over HTTP, read by the official messages.
type receiver struct {
	url   string
	mu    sync.Mutex
	got   []*spans.Span
	about string
	fault string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var source io.Reader = req.Body
		if req.Header.Get("Content-Encoding") == "gzip" {
			source, _ = gzip.NewReader(req.Body)
		}
		body, err := io.ReadAll(source)
		var message collector.ExportTraceServiceRequest
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil || proto.Unmarshal(body, &message) != nil || req.URL.Path != "/base/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
			r.fault = fmt.Sprintf("%s %s %v", req.URL.Path, req.Header, err)
		}
		for _, resource := range message.GetResourceSpans() {
			r.about = resource.GetResource().String()
			for _, scope := range resource.GetScopeSpans() {
				r.got = append(r.got, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL + "/base"
	return r
}

func tracer(t *testing.T, endpoint string, log io.Writer) *Tracer {
	t.Helper()
	at, err := url.Parse(endpoint + "/v1/traces")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := New(t.Context(), Options{Endpoint: at, Version: "1.2.3", Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

const (
	parentTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentSpan  = "00f067aa0ba902b7"
	parent      = "00-" + parentTrace + "-" + parentSpan + "-01"
)

func request(headers ...string) *http.Request {
	r := httptest.NewRequest("POST", "/api/join?token=sEcReT", strings.NewReader(`{"room":"sEcReT-room"}`))
	r.Header.Set("Authorization", "Bearer sEcReT")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// A request and its stages come to the collector in the caller's trace, with
// nothing in them that the caller said.
func TestRequestAndStagesReachTheCollector(t *testing.T) {
	to := newReceiver(t)
	tr := tracer(t, to.url, io.Discard)
	ctx, id, end := tr.Request(request("Traceparent", parent, "Tracestate", "vendor=sEcReT", "Baggage", "user=sEcReT"), "/api/join")
	_, over := tr.Stage(ctx, "authenticate")
	over("expired_token")
	end(401, "expired_token", "REQ1")
	_, _, odd := tr.Request(httptest.NewRequest("SECRET", "/x", nil), "other")
	odd(500, "internal", "REQ2")
	tr.Close()
	if to.fault != "" || len(to.got) != 3 || id != parentTrace {
		t.Fatalf("%q, %d spans, trace %s", to.fault, len(to.got), id)
	}
	stage, whole, other := to.got[0], to.got[1], to.got[2]
	if whole.GetName() != "POST /api/join" || whole.GetKind() != spans.Span_SPAN_KIND_SERVER || hex.EncodeToString(whole.GetTraceId()) != parentTrace || hex.EncodeToString(whole.GetParentSpanId()) != parentSpan {
		t.Errorf("the request: %v", whole)
	}
	if stage.GetName() != "authenticate" || !bytes.Equal(stage.GetParentSpanId(), whole.GetSpanId()) || !bytes.Equal(stage.GetTraceId(), whole.GetTraceId()) {
		t.Errorf("the stage: %v", stage)
	}
	if other.GetName() != "_OTHER other" || len(other.GetParentSpanId()) != 0 || other.GetStatus().GetCode() != spans.Status_STATUS_CODE_ERROR {
		t.Errorf("the other one: %v", other)
	}
	attributes := map[string]string{}
	for _, a := range whole.GetAttributes() {
		attributes[a.GetKey()] = a.GetValue().GetStringValue()
		if a.GetKey() == "http.response.status_code" {
			attributes[a.GetKey()] = fmt.Sprint(a.GetValue().GetIntValue())
		}
	}
	if want := "map[error.type:expired_token http.request.method:POST http.response.status_code:401 http.route:/api/join stagedoor.request_id:REQ1]"; fmt.Sprint(attributes) != want {
		t.Errorf("attributes are %v", attributes)
	}
	for _, s := range to.got {
		if strings.Contains(strings.ToLower(s.String()), "secret") {
			t.Errorf("what the caller said is in a span: %v", s)
		}
	}
	if !strings.Contains(to.about, "stagedoor") || !strings.Contains(to.about, "1.2.3") {
		t.Errorf("the service is %s", to.about)
	}
	if exported, dropped, failed := tr.Counts(); exported != 3 || dropped != 0 || failed != 0 {
		t.Errorf("%d exported, %d dropped, %d failed", exported, dropped, failed)
	}
}

// What is no traceparent begins a trace of its own; one that is not sampled is
// followed and not sent.
func TestMalformedParentIsIgnored(t *testing.T) {
	to := newReceiver(t)
	tr := tracer(t, to.url, io.Discard)
	for _, headers := range [][]string{
		{"Traceparent", strings.ToUpper(parent)},
		{"Traceparent", "ff-" + parentTrace + "-" + parentSpan + "-01"},
		{"Traceparent", "00-" + strings.Repeat("0", 32) + "-" + parentSpan + "-01"},
		{"Traceparent", "00-" + parentTrace + "-" + strings.Repeat("0", 16) + "-01"},
		{"Traceparent", parent + "-extra"}, {"Traceparent", parent[:54]}, {"Traceparent", ""},
		{"Traceparent", parent, "Traceparent", parent},
	} {
		_, id, end := tr.Request(request(headers...), "/api/join")
		end(200, "", "")
		if id == parentTrace || len(id) != 32 {
			t.Errorf("%q: the trace is %s", headers, id)
		}
	}
	ctx, id, end := tr.Request(request("Traceparent", parent[:53]+"00"), "/api/join")
	_, over := tr.Stage(ctx, "authenticate")
	over("")
	end(200, "", "")
	tr.Close()
	if len(to.got) != 8 || id != parentTrace {
		t.Errorf("%d spans were sent; the unsampled request's trace is %s", len(to.got), id)
	}
}

// A collector that takes nothing holds nobody up: spans beyond those that may
// wait are dropped and counted, and the end of the door does not wait for it.
func TestStuckCollectorHoldsNobodyUp(t *testing.T) {
	release := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release); stuck.Close() })
	tr := tracer(t, stuck.URL, io.Discard)
	began := time.Now()
	const count = 3 * maxQueued
	for range count {
		_, _, end := tr.Request(request(), "/api/join")
		end(200, "", "")
	}
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("%d requests took %v", count, took)
	}
	if _, dropped, _ := tr.Counts(); dropped != count-maxQueued {
		t.Errorf("%d dropped of %d", dropped, count)
	}
	closing := time.Now()
	tr.Close()
	if took := time.Since(closing); took > closeTimeout+2*time.Second {
		t.Errorf("closed after %v", took)
	}
}

// What nobody takes is counted and logged once a minute, in Stagedoor's log.
func TestRefusedSpansAreCountedAndLogged(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(refuses.Close)
	var log bytes.Buffer
	tr := tracer(t, refuses.URL, &log)
	for range 3 {
		_, _, end := tr.Request(request(), "/api/join")
		end(200, "", "")
		if err := tr.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tr.Close()
	if _, _, failed := tr.Counts(); failed != 3 || strings.Count(log.String(), "OTLP export failed") != 1 {
		t.Errorf("%d failed:\n%s", failed, log.String())
	}
}

// Without an endpoint nothing is traced.
func TestNoTracerTracesNothing(t *testing.T) {
	var tr *Tracer
	r := request("Traceparent", parent)
	ctx, id, end := tr.Request(r, "/api/join")
	end(200, "", "")
	ctx, over := tr.Stage(ctx, "authenticate")
	over("")
	tr.Close()
	if ctx != r.Context() || id != "" {
		t.Errorf("trace %q", id)
	}
	// A stage of no request is nobody's.
	to := newReceiver(t)
	tr = tracer(t, to.url, io.Discard)
	_, over = tr.Stage(context.Background(), "look_up")
	over("")
	tr.Close()
	if len(to.got) != 0 {
		t.Errorf("%d spans", len(to.got))
	}
}
