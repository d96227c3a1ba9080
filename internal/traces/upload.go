package traces

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// uploader posts spans to a collector. The SDK's own would bring gRPC, which
// it never speaks, into the binary: docs/adr/0008-metrics-and-traces.md.
type uploader struct {
	address string
	headers http.Header
	client  *http.Client
	// pause is how long it waits before the second try, and twice as long each time, up to most.
	pause, most time.Duration
}

func newUploader(address string) *uploader {
	return &uploader{
		address: address, headers: headersOf(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS") + "," + os.Getenv("OTEL_EXPORTER_OTLP_HEADERS")),
		client: &http.Client{Timeout: sendPatience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		pause:  time.Second, most: 5 * time.Second,
	}
}

// headersOf reads NAME=VALUE pairs, the values escaped as in URLs. The first of
// a name counts.
//
// SPEC: OpenTelemetry Protocol Exporter, "Specifying headers via environment variables".
func headersOf(list string) http.Header {
	headers := http.Header{}
	for pair := range strings.SplitSeq(list, ",") {
		name, value, ok := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); ok && err == nil && name != "" && headers.Get(name) == "" {
			headers.Set(name, plain)
		}
	}
	return headers
}

// Start is otlptrace.Client's; the collector need not answer yet.
func (*uploader) Start(context.Context) error { return nil }

// Stop is otlptrace.Client's.
func (u *uploader) Stop(context.Context) error {
	u.client.CloseIdleConnections()
	return nil
}

// errLater means that the collector may take the spans another time.
var errLater = errors.New("the collector does not take spans now")

// UploadTraces sends spans, and tries again for as long as ctx lasts where
// that may help.
//
// SPEC: opentelemetry.io/docs/specs/otlp, "OTLP/HTTP": retryable are 429, 502, 503 and 504.
func (u *uploader) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// On the wire TracesData is what ExportTraceServiceRequest is.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, givenUp)
	defer cancel()
	for pause := u.pause; ; pause = min(2*pause, u.most) {
		if err = u.post(ctx, body); !errors.Is(err, errLater) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// post sends once.
func (u *uploader) post(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = u.headers.Clone()
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := u.client.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errLater, err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w: %s", errLater, response.Status)
	}
	if response.StatusCode/100 != 2 {
		return errors.New("the collector answers " + response.Status)
	}
	return nil
}
