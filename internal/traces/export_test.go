package traces

import (
	"bytes"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sendOne sends one span and returns when it was exported or has failed.
func sendOne(t *testing.T, tr *Tracer) {
	t.Helper()
	_, _, end := tr.Request(request(), "/api/join")
	end(200, "", "")
	if err := tr.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr.Close()
}

func TestExport_SendsTheHeadersAndCompressionOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x,x-team = blue")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	var got http.Header
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	t.Cleanup(collector.Close)

	sendOne(t, tracer(t, collector.URL, io.Discard))

	for name, want := range map[string]string{"Authorization": "Bearer x", "X-Team": "blue", "Content-Encoding": "gzip", "Content-Type": "application/x-protobuf"} {
		if got.Get(name) != want {
			t.Errorf("%s: %q", name, got.Get(name))
		}
	}
}

func TestExport_TrustsTheCertificateOfTheEnvironment(t *testing.T) {
	collector := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	collector.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(collector.Close)
	file := filepath.Join(t.TempDir(), "collector.pem")
	block := pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(&block), 0o600); err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer
	without := tracer(t, collector.URL, &log)
	sendOne(t, without)
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", file)
	with := tracer(t, collector.URL, io.Discard)
	sendOne(t, with)

	if _, _, failed := without.Counts(); failed != 1 || !strings.Contains(log.String(), "OTLP export failed") {
		t.Errorf("without the certificate %d spans failed:\n%s", failed, log.String())
	}
	if exported, _, _ := with.Counts(); exported != 1 {
		t.Errorf("with the certificate %d spans were exported", exported)
	}
}

// The configuration has checked the endpoint, so no other variable may change it.
func TestExport_IgnoresEndpointAndInsecureOfTheEnvironment(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("spans were sent to another address") }))
	t.Cleanup(other.Close)
	to := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", other.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_INSECURE", "false")

	tr := tracer(t, to.url, io.Discard)
	sendOne(t, tr)

	if exported, _, _ := tr.Counts(); exported != 1 {
		t.Errorf("%d spans were exported", exported)
	}
}

func TestNew_LogsABrokenHeaderVariableWithoutItsValue(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Bearer sEcReT,x-key=sEcReT%zz,bad name sEcReT=1")
	var log bytes.Buffer

	tracer(t, "http://127.0.0.1:1", &log).Close()

	if n := strings.Count(log.String(), "OpenTelemetry setting ignored"); n != 3 || strings.Contains(log.String(), "sEcReT") {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

func TestNew_FailsForACertificateWithoutTLS(t *testing.T) {
	collector := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(collector.Close)
	file := filepath.Join(t.TempDir(), "collector.pem")
	block := pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(&block), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", file)

	_, err := New(t.Context(), Options{Endpoint: &url.URL{Scheme: "http", Host: "localhost:4318"}, Log: slog.New(slog.DiscardHandler)})

	if err == nil || !strings.Contains(err.Error(), "create OTLP exporter: ") {
		t.Errorf("New returns %v", err)
	}
}

// A collector's page of text must not fill the log.
func TestExport_LogsTheBeginningOfALongAnswer(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	}))
	t.Cleanup(refuses.Close)
	var log bytes.Buffer

	sendOne(t, tracer(t, refuses.URL, &log))

	if n := log.Len(); n < maxLoggedError || n > 2*maxLoggedError || !strings.Contains(log.String(), "403") {
		t.Errorf("%d bytes were logged", n)
	}
}
