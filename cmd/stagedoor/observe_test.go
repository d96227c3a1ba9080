package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// scraped is what the admin listener tells Prometheus.
func scraped(t *testing.T, admin string) string {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What the real program does is counted where it belongs, its spans are sent
// when it ends at the latest, and its log names the trace.
func TestWhatTheDoorDoesIsCountedAndTraced(t *testing.T) {
	t.Parallel()
	var batches atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && len(body) > 0 && r.URL.Path == "/v1/traces" {
			batches.Add(1)
		}
	}))
	t.Cleanup(collector.Close)
	admin := freeAddress(t)
	cmd, url, log := startServe(t, "DRAIN_DELAY=0s", "ADMIN_ADDR="+admin, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	header := map[string]string{"traceparent": "00-" + trace + "-00f067aa0ba902b7-01"}
	for token, want := range map[string]int{callerToken(t): 200, "": 401, signedWith(t, callerSecret, jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}): 401} {
		if status, answer := ask(t, url, token, `{"room":"r"}`, header); status != want {
			t.Fatalf("%d %v", status, answer)
		}
	}
	if resp, err := http.Post(url+"/webhooks/livekit", "application/webhook+json", strings.NewReader("{}")); err != nil || resp.StatusCode != 400 {
		t.Fatalf("%v %v", resp, err)
	}
	text := scraped(t, admin)
	for _, line := range []string{
		`stagedoor_joins_total{kind="no_subscription",outcome="watch_only"} 1`, `stagedoor_joins_total{kind="missing_token",outcome="refused"} 1`,
		`stagedoor_joins_total{kind="expired_token",outcome="refused"} 1`, `stagedoor_requests_total{code="401",route="/api/join"} 2`,
		`stagedoor_join_duration_seconds_count{stage="total"} 3`, `stagedoor_join_duration_seconds_count{stage="authenticate"} 3`,
		`stagedoor_join_duration_seconds_count{stage="remember"} 1`, `stagedoor_join_duration_seconds_count{stage="mark"} 1`,
		`stagedoor_join_duration_seconds_count{stage="decide"} 1`, `stagedoor_join_duration_seconds_count{stage="sign"} 1`, `stagedoor_join_duration_seconds_count{stage="audit"} 1`,
		`stagedoor_audit_records_total{result="written"} 1`, `stagedoor_requests_in_flight 0`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("not there: %s", line)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if batches.Load() == 0 || !strings.Contains(log.String(), `"traceId":"`+trace+`"`) {
		t.Errorf("%d batches of spans came:\n%s", batches.Load(), log)
	}
}

// Strangers with names of their own, and the series are those
// that were there after a few.
func TestStrangersMakeNoSeries(t *testing.T) {
	t.Parallel()
	admin := freeAddress(t)
	_, url, _ := startServe(t, "DRAIN_DELAY=0s", "ADMIN_ADDR="+admin, "RATE_LIMIT_IP=1000000/m", "RATE_LIMIT_USER=1000000/m", "RATE_LIMIT_FAILURES=1000000/m")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: 10 * time.Second}
	send := func(method, path, token, body string) {
		req, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("s%d", i)
			switch i % 5 {
			case 0:
				send(http.MethodPost, "/api/join", signedWith(t, callerSecret, jwt.MapClaims{"sub": name}), `{"room":"`+name+`","username":"`+name+`"}`)
			case 1:
				send(http.MethodGet, "/"+name+"/x", name, "")
			case 2:
				send("M"+strings.ToUpper(name), "/api/join", name, "")
			case 3: // an issuer of its own
				claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://` + name + `.example","sub":"x","exp":9999999999}`))
				send(http.MethodPost, "/api/join", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"`+name+`"}`))+"."+claims+".AAAA", `{"room":"r"}`)
			case 4:
				send(http.MethodDelete, "/api/invites/"+name, name, "")
			}
		}
	}
	series := func() int {
		return len(regexp.MustCompile(`(?m)^stagedoor_`).FindAllString(scraped(t, admin), -1))
	}
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(scraped(t, admin), "\nstagedoor_participants 0\n"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the database was never asked")
		}
	}
	flood(0, 10)
	before := series()
	flood(10, 2000)
	if after := series(); after != before {
		t.Errorf("%d series, and %d after the flood", before, after)
	}
}

// An event's lag is told once, however often the event comes, and from when
// Stripe made it.
func TestLagOfAnEventIsToldOnce(t *testing.T) {
	a := paying(t, "ann")
	var made []time.Time
	a.Received = func(created time.Time) { made = append(made, created) }
	for range 3 {
		if err := a.deliver(t, eventOf("evt_1", "customer.updated", `{"id":"cus_1","object":"customer"}`, false)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.deliver(t, eventOf("evt_2", "customer.updated", `{"id":"cus_1","object":"customer"}`, true)); err != nil {
		t.Fatal(err)
	}
	if len(made) != 1 || !made[0].Equal(time.Unix(1, 0)) {
		t.Errorf("told of %v", made)
	}
}

// freeAddress is one on loopback that is free now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
