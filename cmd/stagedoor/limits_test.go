package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor/internal/config"
	"stagedoor/internal/inflight"
)

// joinAs asks the door at url for a room in somebody's name.
func joinAs(t *testing.T, url, subject, secret string) *http.Response {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": subject, "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, url+"/api/join", bytes.NewReader([]byte(`{"room":"r"}`)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// spend asks until the answer is 429, and returns that and how often it was
// another one.
func spend(t *testing.T, most int, ask func() *http.Response) (*http.Response, int) {
	t.Helper()
	for n := range most {
		if resp := ask(); resp.StatusCode == http.StatusTooManyRequests {
			return resp, n
		}
	}
	t.Fatalf("none of %d was refused", most)
	return nil, 0
}

// The real program with the limits of the configuration: a caller is held, and
// so is who guesses tokens; nobody else behind the same address is.
func TestLimitsHoldWhoAsksTooOften(t *testing.T) {
	t.Parallel()
	door, url, log := startServe(t, "RATE_LIMIT_USER=20/h", "RATE_LIMIT_FAILURES=5/h", "RATE_LIMIT_IP=100/h")
	first := joinAs(t, url, "ann", callerSecret)
	if got := first.Header.Get("RateLimit"); first.StatusCode != 200 || got != `"user";r=19;t=180` || first.Header.Get("RateLimit-Policy") != `"user";q=20;w=3600` {
		t.Errorf("the first: %s %s", first.Status, got)
	}
	refused, served := spend(t, 30, func() *http.Response { return joinAs(t, url, "ann", callerSecret) })
	if served != 19 || refused.Header.Get("Retry-After") == "" || refused.Header.Get("RateLimit-Policy") != `"user";q=20;w=3600` {
		t.Errorf("ann: refused after %d: %v", served, refused.Header)
	}
	guess := func() *http.Response { return joinAs(t, url, "mallory", "another-"+callerSecret) }
	if refused, served = spend(t, 10, guess); served != 5 || refused.Header.Get("RateLimit-Policy") != `"failures";q=5;w=3600` {
		t.Errorf("mallory: refused after %d: %v", served, refused.Header)
	}
	if resp := joinAs(t, url, "bob", callerSecret); resp.StatusCode != 200 {
		t.Errorf("bob, behind the same address: %s", resp.Status)
	}
	refused, _ = spend(t, 100, func() *http.Response { resp := guess(); return address(resp) })
	if refused.Header.Get("RateLimit-Policy") != `"address";q=100;w=3600` {
		t.Errorf("the address: %v", refused.Header)
	}
	if resp, err := http.Get(url + "/healthz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("a probe: %v %v", resp, err)
	}
	_ = door.Process.Kill()
	_ = door.Wait()
	for _, limit := range []string{"user", "failures", "address"} {
		if lines := strings.Count(log.String(), `"limit":"`+limit+`"`); lines != 1 {
			t.Errorf("%d lines of the log are of the limit %s:\n%s", lines, limit, log)
		}
	}
}

// address is the answer, but one of another limit than the address's counts as served.
func address(resp *http.Response) *http.Response {
	if !strings.HasPrefix(resp.Header.Get("RateLimit-Policy"), `"address"`) {
		resp.StatusCode = 0
	}
	return resp
}

func TestGuestsOfOneNetworkAreOne(t *testing.T) {
	for address, want := range map[string]string{
		"": "inv_1", "192.0.2.1": "inv_1\x00192.0.2.1/32", "::ffff:192.0.2.1": "inv_1\x00192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6": "inv_1\x002001:db8:1:2::/64", "fe80::1%eth0": "inv_1\x00fe80::/64",
	} {
		from, _ := netip.ParseAddr(address)
		if got := limited("inv_1", from); got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
}

// One stranger has a budget of lines, all together have one, and what was not
// logged is counted.
func TestStrangersHaveABudgetOfLines(t *testing.T) {
	l := newLines()
	written, last := 0, 0
	ask := func(address string) {
		if b := l.worth(netip.MustParseAddr(address)); b.Log {
			written, last = written+1, b.Unlogged
		}
	}
	for range 100 {
		ask("192.0.2.1")
	}
	if written != strangersLines {
		t.Errorf("one address wrote %d lines", written)
	}
	if ask("192.0.2.2"); written != strangersLines+1 || last != 100-strangersLines {
		t.Errorf("another wrote %d, and told of %d", written-strangersLines, last)
	}
	for i := range 20_000 {
		ask(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String())
	}
	if written > 2*linesAtOnce || len(l.of) > mostNetworks+1 {
		t.Errorf("%d lines, %d networks", written, len(l.of))
	}
}

// The real program writes no line for every guess.
func TestGuessesDoNotFillTheLogOfTheProgram(t *testing.T) {
	t.Parallel()
	door, url, log := startServe(t)
	for range 2 * strangersLines {
		if resp := joinAs(t, url, "mallory", "another-"+callerSecret); resp.StatusCode != 401 {
			t.Fatal(resp.Status)
		}
	}
	_ = door.Process.Kill()
	_ = door.Wait()
	if lines := strings.Count(log.String(), `"status":401`); lines != strangersLines {
		t.Errorf("%d lines of %d guesses", lines, 2*strangersLines)
	}
}

func TestInFlightBounds_AreThoseOfTheConfiguration(t *testing.T) {
	rate := config.Rate{Count: 1, Per: time.Minute}
	for configured, want := range map[int]int{0: inFlightPerProcessor * runtime.GOMAXPROCS(0), 7: 7} {
		cfg := &config.Config{
			RateLimitUser: rate, RateLimitIP: rate, RateLimitFailures: rate,
			MaxInFlight: configured, QueueTimeout: 3 * time.Second,
		}
		l, err := newLimits(cfg, slog.New(slog.DiscardHandler))
		if err != nil || l.InFlight != (inflight.Options{Running: want, Waiting: maxWaiting, QueueTimeout: 3 * time.Second}) {
			t.Errorf("%d: %+v, %v", configured, l.InFlight, err)
		}
	}
}
