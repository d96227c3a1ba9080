package clockskew

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// wrong is how far apart clocks must be to be reported, right how close they
	// must be again: callers' tokens have a leeway of 30 s, LiveKit's of a minute.
	wrong, right = 5 * time.Second, 3 * time.Second
	// forgetAfter is how long a measurement counts: an issuer is asked every ten minutes.
	forgetAfter = time.Hour
)

// Monitor remembers the latest skew against each peer, and logs once when one
// becomes wrong or right. A nil Monitor observes nothing. Safe for concurrent use.
type Monitor struct {
	now func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	hosts map[[2]string]measurement // by peer and host
}

type measurement struct {
	skew  Skew
	at    time.Time
	wrong bool
}

// NewMonitor returns a Monitor that measures by the clock now.
func NewMonitor(now func() time.Time, log *slog.Logger) *Monitor {
	return &Monitor{now: now, log: log, hosts: map[[2]string]measurement{}}
}

// Transport returns next, whose answers tell how a peer's clock differs. A peer
// may have several hosts. next must not be nil.
func (m *Monitor) Transport(peer string, next http.RoundTripper) http.RoundTripper {
	if m == nil {
		return next
	}
	return transport{m, peer, next}
}

type transport struct {
	monitor *Monitor
	peer    string
	next    http.RoundTripper
}

// RoundTrip sends the request and looks at the answer's Date.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now() // a clock that is set meanwhile does not count as time that passed
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return response, err
	}
	received := t.monitor.now()
	if skew, ok := Of(response.Header, received.Add(-time.Since(began)), received); ok {
		t.monitor.note(t.peer, r.URL.Host, skew, received)
	}
	return response, nil
}

// note remembers a measurement, and logs a change between right and wrong.
func (m *Monitor) note(peer, host string, skew Skew, at time.Time) {
	m.mu.Lock()
	key := [2]string{peer, host}
	was := m.hosts[key].wrong
	is := skew.Exceeds(wrong) || was && skew.Exceeds(right)
	m.hosts[key] = measurement{skew: skew, at: at, wrong: is}
	m.mu.Unlock()
	switch {
	case is && !was:
		m.log.Warn("clock skew: set this machine's clock by NTP, or the peer's", "peer", peer, "host", host,
			"ahead_seconds", skew.Ahead.Seconds(), "within_seconds", skew.Within.Seconds())
	case was && !is:
		m.log.Info("clock skew is over", "peer", peer, "host", host)
	}
}

// Skews returns the latest skew against each peer that answered within the last
// hour; of several hosts the largest.
func (m *Monitor) Skews() map[string]time.Duration {
	all := map[string]time.Duration{}
	if m == nil {
		return all
	}
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, measured := range m.hosts {
		largest, known := all[key[0]]
		// A clock that was set makes older measurements wrong in either direction.
		if now.Sub(measured.at).Abs() <= forgetAfter && (!known || measured.skew.Ahead.Abs() > largest.Abs()) {
			all[key[0]] = measured.skew.Ahead
		}
	}
	return all
}
