package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// doorDouble serves over TLS and answers a join as told.
func doorDouble(t *testing.T, join http.HandlerFunc) (*httptest.Server, Target) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			_, _ = io.WriteString(w, "ready\n")
			return
		}
		join(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // plain HTTP is tried on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, Target{Now: time.Now, Transport: server.Client().Transport, Door: Door{URL: server.URL, Limits: "30/m", Proxies: []string{"10.0.0.5/32"}}}
}

func refuseWith(status int, code string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":"no","code":%q}`, code)
	}
}

func TestProxyThatIsNotTrustedIsNamed(t *testing.T) {
	_, target := doorDouble(t, refuseWith(http.StatusForbidden, "https_required"))
	r := Run(t.Context(), target)
	want(t, r, "door.proxy", Fail, "takes requests over https for plain http", "this configuration trusts 10.0.0.5/32; the running door may have another", "TRUSTED_PROXIES")
	want(t, r, "door.auth", Skip)
	want(t, r, "door.ready", Pass)
}

func TestDoorInOrderPasses(t *testing.T) {
	_, target := doorDouble(t, refuseWith(http.StatusUnauthorized, "missing_token", "Strict-Transport-Security", "max-age=1", "RateLimit-Policy", `"failures";q=30;w=60`))
	r := Run(t.Context(), target)
	for _, id := range []string{"door.ready", "door.auth", "door.proxy", "door.https", "door.limits", "door.cors"} {
		want(t, r, id, Pass)
	}
	want(t, r, "door.proxy", Pass, "this configuration trusts 10.0.0.5/32; the running door may have another")
}

func TestHTTPSThatLoopbackLeavesOffIsAskedFor(t *testing.T) {
	_, target := doorDouble(t, refuseWith(http.StatusUnauthorized, "missing_token"))
	target.Door.Loopback = true
	want(t, Run(t.Context(), target), "door.https", Warn, "set REQUIRE_HTTPS=true: on loopback it is off unless asked for")
	target.Door.Loopback = false
	want(t, Run(t.Context(), target), "door.https", Warn, "unset REQUIRE_HTTPS")
}

func TestDoorThatStandsOpenIsNamed(t *testing.T) {
	_, target := doorDouble(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"token":"eyJ"}`)
	})
	want(t, Run(t.Context(), target), "door.auth", Fail, "without any token was answered HTTP 200")
	_, target = doorDouble(t, refuseWith(http.StatusNotFound, ""))
	want(t, Run(t.Context(), target), "door.auth", Fail, "HTTP 404")
	_, target = doorDouble(t, refuseWith(http.StatusUnauthorized, "missing_token", "Access-Control-Allow-Origin", foreign))
	r := Run(t.Context(), target)
	want(t, r, "door.cors", Fail, "a page of any origin may call", "ALLOWED_ORIGINS")
	want(t, r, "door.https", Warn, "Strict-Transport-Security")
	want(t, r, "door.limits", Warn, "RATE_LIMIT_IP")
}

func TestPlainHTTPIsNamed(t *testing.T) {
	plain := httptest.NewServer(refuseWith(http.StatusUnauthorized, "missing_token"))
	defer plain.Close()
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{URL: plain.URL}}), "door.https", Fail, "in the clear")
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{URL: plain.URL, Loopback: true}}), "door.https", Skip)
	// The same door served over both.
	_, target := doorDouble(t, refuseWith(http.StatusUnauthorized, "missing_token", "Strict-Transport-Security", "max-age=1"))
	secure := target.Transport
	target.Transport = through(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme == "http" {
			r = r.Clone(r.Context())
			r.URL.Host = strings.TrimPrefix(plain.URL, "http://")
			return http.DefaultTransport.RoundTrip(r)
		}
		return secure.RoundTrip(r)
	})
	want(t, Run(t.Context(), target), "door.https", Fail, "served over plain http")
}

func TestDegradedIssuerOfARunningServer_IsWarnedOf(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"ready","degraded":["https://idp.example\u001b[31m"]}`)
	}))
	defer server.Close()
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{URL: server.URL}}), "door.ready", Warn, `"https://idp.example?[31m"`, "callers.keys")
}

func TestDoorThatIsNotReadyIsNamed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":"Unavailable: not ready","code":"unavailable"}`)
	}))
	defer server.Close()
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{URL: server.URL}}), "door.ready", Fail, "not ready")
}

func TestPublishingWithoutPaymentIsNamed(t *testing.T) {
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{Feature: "publish"}}), "door.publish", Warn, "POLICY_FILE")
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{PolicyFile: "p.yaml", Rules: 2, Unpaid: []string{"lobby"}}}), "door.publish", Warn, "lobby")
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{PolicyFile: "p.yaml", Rules: 2}}), "door.publish", Pass, "2 rules")
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{Broken: errors.New("p.yaml:3: no")}}), "door.publish", Fail, "p.yaml:3")
}

func TestDoorThatSomebodyNamedMustAnswer(t *testing.T) {
	down := func(context.Context) error { return errors.New("the door at http://x does not answer") }
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{Admin: down, Named: true}}), "door.running", Fail, "ADMIN_URL")
	want(t, Run(t.Context(), Target{Now: time.Now, Door: Door{Admin: down}}), "door.running", Skip)
}
