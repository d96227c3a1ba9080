package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is what holds at one moment. A zero time or nil pointer makes its
// metrics absent: nothing is known, which is not the same as 0.
type State struct {
	Now time.Time
	// Ready is nil until it was first looked.
	Ready *bool
	// Issuers have published keys; there are as many as are configured.
	Issuers []IssuerKeys
	// Stripe is nil without billing.
	Stripe *Stripe
	// Counts is nil until the database was first asked.
	Counts *Counts
	// Bans in force.
	Bans int
	// PolicyLoaded is when the rules in force were read, PolicyRefused how many
	// files were not taken since the start.
	PolicyLoaded  time.Time
	PolicyRefused int64
	// CertificateExpiry is when the door's own TLS certificate ends.
	CertificateExpiry time.Time
	// ClockSkew is how far this machine's clock is ahead of a peer's: of
	// livekit, issuer or stripe, where it is known.
	ClockSkew map[string]time.Duration
	// Spans is nil where traces are not sent.
	Spans *Spans
}

// IssuerKeys are what one issuer of callers' tokens publishes.
type IssuerKeys struct {
	// Issuer is its name in the configuration.
	Issuer string
	Keys   int
	// ConfirmedAt is when it last gave them.
	ConfirmedAt time.Time
	// Failures is how many questions brought no usable key since the start.
	Failures int64
}

// Stripe is how it is followed.
type Stripe struct {
	Succeeded, Failed int64
	LastSuccess       time.Time
	// BreakerOpen is set while it is left alone.
	BreakerOpen bool
	// EventsReadAt and ComparedAt are when its list of events was last read to
	// the end, and when everything was last compared.
	EventsReadAt, ComparedAt time.Time
}

// Counts are what the database said when it was last asked.
type Counts struct {
	// Pending are customers and others to be asked Stripe for, OldestHint since when.
	Pending, Customers int
	OldestHint         time.Time
	// Participants and Rooms are present in calls.
	Participants, Rooms int
	// DatabaseBytes is what the files take, DiskFreeBytes what is left there;
	// negative: not known.
	DatabaseBytes, DiskFreeBytes int64
}

// Spans are how many spans of traces there were.
type Spans struct{ Exported, Dropped, Failed int64 }

// stateCollector asks for the state at each scrape.
type stateCollector struct {
	state func() State
	descs map[string]*prometheus.Desc
}

// stateMetrics are the names, their label or "", and what they say.
var stateMetrics = [][3]string{
	{"ready", "", "1 when callers can be served, as /readyz says; looked at every ten seconds."},
	{"jwks_age_seconds", "issuer", "Time since an issuer last gave its keys. They count for 24 hours."},
	{"jwks_keys", "issuer", "Usable keys that an issuer gave."},
	{"jwks_failures_total", "issuer", "Questions to an issuer that brought no usable key."},
	{"stripe_requests_total", "outcome", "Requests to Stripe. Not those that the breaker kept back."},
	{"stripe_last_success_timestamp_seconds", "", "When Stripe last answered."},
	{"stripe_breaker_open", "", "1 while Stripe is left alone after failures in a row."},
	{"stripe_events_read_timestamp_seconds", "", "When Stripe's list of events was last read to its end. Facts count for 24 hours from then."},
	{"stripe_compared_timestamp_seconds", "", "When everything known was last compared with Stripe."},
	{"stripe_customers", "", "Customers of whom something is known."},
	{"stripe_customers_pending", "", "Customers and others that are to be asked for, since a hint said that they may have changed."},
	{"stripe_oldest_hint_age_seconds", "", "For how long the oldest of them has been waiting."},
	{"participants", "", "Participants present in calls."},
	{"rooms", "", "Rooms with participants present."},
	{"bans", "", "Bans in force."},
	{"database_size_bytes", "", "What the database's files take on the disk."},
	{"database_disk_free_bytes", "", "What is free where the database is."},
	{"policy_loaded_timestamp_seconds", "", "When the policy in force was read."},
	{"policy_reload_failures_total", "", "Policy files that were not taken since the start; the rules in force stayed."},
	{"tls_certificate_expiry_timestamp_seconds", "", "When the door's own TLS certificate ends."},
	{"clock_skew_seconds", "peer", "How far this machine's clock is ahead of another server's, as of its latest answer."},
	{"trace_spans_total", "outcome", "Spans of traces: exported, dropped because too many were waiting, failed because nobody took them."},
}

func newStateCollector(state func() State) *stateCollector {
	c := &stateCollector{state: state, descs: map[string]*prometheus.Desc{}}
	for _, m := range stateMetrics {
		var labels []string
		if m[1] != "" {
			labels = []string{m[1]}
		}
		c.descs[m[0]] = prometheus.NewDesc("stagedoor_"+m[0], m[2], labels, nil)
	}
	return c
}

// Describe is prometheus.Collector's.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range stateMetrics {
		out <- c.descs[m[0]]
	}
}

// Collect is prometheus.Collector's. Safe for concurrent use.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	s := c.state()
	send := func(kind prometheus.ValueType, name string, value float64, label ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[name], kind, value, label...)
	}
	gauge := func(name string, value float64, label ...string) { send(prometheus.GaugeValue, name, value, label...) }
	count := func(name string, value int64, label ...string) {
		send(prometheus.CounterValue, name, float64(value), label...)
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			gauge(name, float64(t.UnixMilli())/1000)
		}
	}
	if s.Ready != nil {
		gauge("ready", flag(*s.Ready))
	}
	for _, i := range s.Issuers {
		gauge("jwks_keys", float64(i.Keys), i.Issuer)
		count("jwks_failures_total", i.Failures, i.Issuer)
		if !i.ConfirmedAt.IsZero() {
			gauge("jwks_age_seconds", max(s.Now.Sub(i.ConfirmedAt), 0).Seconds(), i.Issuer)
		}
	}
	if p := s.Stripe; p != nil {
		count("stripe_requests_total", p.Succeeded, "succeeded")
		count("stripe_requests_total", p.Failed, "failed")
		at("stripe_last_success_timestamp_seconds", p.LastSuccess)
		gauge("stripe_breaker_open", flag(p.BreakerOpen))
		at("stripe_events_read_timestamp_seconds", p.EventsReadAt)
		at("stripe_compared_timestamp_seconds", p.ComparedAt)
	}
	if s.Counts != nil {
		sendCounts(*s.Counts, s, gauge)
	}
	gauge("bans", float64(s.Bans))
	at("policy_loaded_timestamp_seconds", s.PolicyLoaded)
	count("policy_reload_failures_total", s.PolicyRefused)
	at("tls_certificate_expiry_timestamp_seconds", s.CertificateExpiry)
	for _, peer := range peers {
		if skew, known := s.ClockSkew[peer]; known {
			gauge("clock_skew_seconds", skew.Seconds(), peer)
		}
	}
	if s.Spans != nil {
		count("trace_spans_total", s.Spans.Exported, "exported")
		count("trace_spans_total", s.Spans.Dropped, "dropped")
		count("trace_spans_total", s.Spans.Failed, "failed")
	}
}

// sendCounts sends what the database said.
func sendCounts(n Counts, s State, gauge func(string, float64, ...string)) {
	if s.Stripe != nil {
		gauge("stripe_customers", float64(n.Customers))
		gauge("stripe_customers_pending", float64(n.Pending))
		age := time.Duration(0)
		if !n.OldestHint.IsZero() {
			age = max(s.Now.Sub(n.OldestHint), 0)
		}
		gauge("stripe_oldest_hint_age_seconds", age.Seconds())
	}
	gauge("participants", float64(n.Participants))
	gauge("rooms", float64(n.Rooms))
	if n.DatabaseBytes >= 0 {
		gauge("database_size_bytes", float64(n.DatabaseBytes))
	}
	if n.DiskFreeBytes >= 0 {
		gauge("database_disk_free_bytes", float64(n.DiskFreeBytes))
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
