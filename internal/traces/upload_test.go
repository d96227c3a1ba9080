package traces

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collectorOf answers with one status after the other, the last one for ever.
func collectorOf(t *testing.T, statuses ...int) (*uploader, *atomic.Int32, *http.Request) {
	t.Helper()
	var asked atomic.Int32
	last := &http.Request{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1))
		body, _ := io.ReadAll(r.Body)
		var sent tracepb.TracesData
		if err := proto.Unmarshal(body, &sent); err != nil || len(sent.ResourceSpans) != 1 {
			t.Errorf("%v: %d bytes", err, len(body))
		}
		*last = *r
		w.WriteHeader(statuses[min(n, len(statuses))-1])
	}))
	t.Cleanup(server.Close)
	u := newUploader(server.URL + "/v1/traces")
	u.pause, u.most = time.Millisecond, time.Millisecond
	return u, &asked, last
}

var someSpans = []*tracepb.ResourceSpans{{SchemaUrl: "s"}}

func TestUploadIsTriedAgainWhereThatMayHelp(t *testing.T) {
	for _, c := range []struct {
		statuses []int
		asked    int32
		ok       bool
	}{
		{[]int{200}, 1, true}, {[]int{503, 429, 502, 504, 202}, 5, true}, {[]int{400}, 1, false}, {[]int{401}, 1, false}, {[]int{500}, 1, false}, {[]int{307}, 1, false},
	} {
		u, asked, _ := collectorOf(t, c.statuses...)
		if err := u.UploadTraces(t.Context(), someSpans); (err == nil) != c.ok || asked.Load() != c.asked {
			t.Errorf("%v: %v after %d", c.statuses, err, asked.Load())
		}
	}
}

func TestUploadEndsWithItsContext(t *testing.T) {
	u, asked, _ := collectorOf(t, 503)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := u.UploadTraces(ctx, someSpans); err == nil || asked.Load() < 2 {
		t.Errorf("%v after %d", err, asked.Load())
	}
}

func TestUploadSendsTheHeadersOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, x-team = blue ,broken,=y,bad=%zz,content-type=text/plain")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-team=red")
	u, _, last := collectorOf(t, 200)
	if err := u.UploadTraces(t.Context(), someSpans); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Authorization": "Bearer x", "X-Team": "red", "Bad": "", "Content-Type": "application/x-protobuf"} {
		if got := last.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
