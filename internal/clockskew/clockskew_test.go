package clockskew

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func headerOf(at time.Time, age string) http.Header {
	h := http.Header{"Date": {at.UTC().Format(http.TimeFormat)}}
	if age != "" {
		h.Set("Age", age)
	}
	return h
}

func TestOf_AllowsForWholeSecondsAndTheRequestsTime(t *testing.T) {
	for name, c := range map[string]struct {
		date           time.Time
		age            string
		sent, received time.Time
		ahead, within  time.Duration
	}{
		"the same moment":      {noon, "", noon.Add(500 * time.Millisecond), noon.Add(500 * time.Millisecond), 0, 500 * time.Millisecond},
		"a second's end":       {noon, "", noon.Add(990 * time.Millisecond), noon.Add(990 * time.Millisecond), 490 * time.Millisecond, 500 * time.Millisecond},
		"a slow answer":        {noon, "", noon, noon.Add(9 * time.Second), 4 * time.Second, 5 * time.Second},
		"ahead":                {noon, "", noon.Add(time.Minute), noon.Add(time.Minute), 59500 * time.Millisecond, 500 * time.Millisecond},
		"behind":               {noon, "", noon.Add(-time.Minute), noon.Add(-time.Minute), -60500 * time.Millisecond, 500 * time.Millisecond},
		"an answer of a cache": {noon.Add(-10 * time.Minute), "600", noon, noon, -500 * time.Millisecond, time.Second},
		"a malformed age":      {noon, "soon", noon, noon, -500 * time.Millisecond, 500 * time.Millisecond},
	} {
		got, ok := Of(headerOf(c.date, c.age), c.sent, c.received)
		if !ok || got.Ahead != c.ahead || got.Within != c.within {
			t.Errorf("%s: %+v %t, want %v ± %v", name, got, ok, c.ahead, c.within)
		}
	}
	for _, date := range []string{"", "yesterday", "1796126400"} {
		if _, ok := Of(http.Header{"Date": {date}}, noon, noon); ok {
			t.Errorf("Date %q was read", date)
		}
	}
}

func TestSkew_SaysItInWords(t *testing.T) {
	for want, ahead := range map[string]time.Duration{"40 s ahead of Stripe's": 40 * time.Second, "95 s behind Stripe's": -95 * time.Second,
		"3 h behind Stripe's": -3 * time.Hour, "15 min ahead of Stripe's": 15 * time.Minute, "3 days ahead of Stripe's": 75 * time.Hour} {
		if got := (Skew{Ahead: ahead}).Against("Stripe's"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// A log line for each change of state, whatever the number of answers.
func TestMonitor_LogsChangesOnly(t *testing.T) {
	var log bytes.Buffer
	now, server := noon, noon
	m := NewMonitor(func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
	dated := true
	client := m.Transport("livekit", answering(func(*http.Request) (*http.Response, error) {
		header := http.Header{}
		if dated {
			header = headerOf(server, "")
		}
		return &http.Response{Header: header}, nil
	}))
	ask := func(host string, ahead time.Duration) {
		t.Helper()
		server = now.Add(-ahead)
		if _, err := client.RoundTrip(&http.Request{URL: &url.URL{Host: host}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		ask("a", 0)
	}
	if log.Len() != 0 {
		t.Errorf("clocks that agree: %s", log.String())
	}
	for range 5 {
		ask("a", 40*time.Second)
		ask("a", 5*time.Second) // not certain to be right again
	}
	ask("b", -10*time.Second)
	if n := strings.Count(log.String(), "clock skew: "); n != 2 || !strings.Contains(log.String(), "peer=livekit host=a") {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
	ask("a", 40*time.Second)
	if got := m.Skews()["livekit"]; got < 39*time.Second || got > 41*time.Second {
		t.Errorf("of two hosts %v", got)
	}
	for range 3 {
		ask("a", 0)
	}
	if n := strings.Count(log.String(), "clock skew is over"); n != 1 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
	dated = false
	ask("a", time.Hour)
	if got := m.Skews()["livekit"]; got > -9*time.Second || got < -11*time.Second {
		t.Errorf("an answer without a Date says %v", got)
	}
	now = now.Add(forgetAfter + time.Second)
	if got := m.Skews(); len(got) != 0 {
		t.Errorf("after an hour of silence %v", got)
	}
}

func TestMonitor_NilObservesNothing(t *testing.T) {
	var m *Monitor
	if m.Transport("livekit", http.DefaultTransport) != http.DefaultTransport || len(m.Skews()) != 0 {
		t.Error("a nil monitor does something")
	}
}
