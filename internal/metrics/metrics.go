// Package metrics counts what the door does, for Prometheus. Every label's
// values are of a closed set: whatever strangers send, no series comes to be
// that was not foreseen.
package metrics

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stagedoor"
)

// other stands for every value that is not of a label's closed set.
const other = "other"

// Outcomes of a join.
const (
	// Published is a token that may publish.
	Published = "published"
	// WatchOnly is a token that may not.
	WatchOnly = "watch_only"
	// Refused is no token.
	Refused = "refused"
)

// The closed sets that are this package's own; those of routes and of errors'
// codes are the door's.
var (
	outcomes    = []string{Published, WatchOnly, Refused}
	denials     = []string{"", "no_subscription", "subscription_inactive", "feature_not_in_plan", "billing_unavailable", "policy"}
	stages      = []string{"authenticate", "remember", "look_up", "decide", "mark", "sign", "audit", "total"}
	sources     = []string{"stripe", "livekit"}
	received    = []string{"accepted", "refused", "failed"}
	causes      = []string{"billing", "ban", "policy", "invitation", "joined", "pass", "known_end"}
	corrections = []string{"update", "remove", "failed"}
	limits      = []string{"address", "failures", "user"}
	peers       = []string{"livekit", "issuer", "stripe"}
	writes      = []string{"acknowledged", "retold"}
)

// quick are the buckets of what takes microseconds to seconds, slow of what
// waits for others; in seconds.
var (
	quick = []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	slow  = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
)

// Options are what New needs.
type Options struct {
	// Version and Commit are the program's.
	Version, Commit string
	// Routes are all that a request's route may be.
	Routes []string
	// State is asked at every scrape what holds now; it must not wait. nil: nothing is known.
	State func() State
	// Log takes what goes wrong at a scrape; nil: nobody is told.
	Log *slog.Logger
}

// Metrics counts. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger
	routes   []string
	codes    []string

	requests      *prometheus.CounterVec
	inFlight      prometheus.Gauge
	inFlightOver  prometheus.Counter
	limited       *prometheus.CounterVec
	joins         *prometheus.CounterVec
	join          *prometheus.HistogramVec
	audited       *prometheus.CounterVec
	events        *prometheus.CounterVec
	eventLag      *prometheus.HistogramVec
	enforced      *prometheus.HistogramVec
	corrections   *prometheus.CounterVec
	written       *prometheus.HistogramVec
	writeFailures *prometheus.CounterVec
}

// New builds the metrics, with a registry of their own.
func New(o Options) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), log: o.Log, routes: o.Routes, codes: codes()}
	m.requests = m.counter("requests_total", "Requests answered on the public listener, by route and HTTP status.", "route", "code")
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "stagedoor_requests_in_flight", Help: "Requests being answered on the public listener now."})
	m.inFlightOver = prometheus.NewCounter(prometheus.CounterOpts{Name: "stagedoor_in_flight_refused_total", Help: "Requests refused because the queue for a slot was full or too slow."})
	m.registry.MustRegister(m.inFlight, m.inFlightOver)
	m.limited = m.counter("rate_limited_total", "Requests refused by a rate limit.", "limit")
	m.joins = m.counter("joins_total", "Answers to /api/join and /api/token. kind is the error's code where it was refused, and why publishing is withheld where it is watch_only.", "outcome", "kind")
	m.join = m.histogram("join_duration_seconds", "Time that joins take, by stage; total is from the request's first byte to the answer's last.", quick, "stage")
	m.audited = m.counter("audit_records_total", "Audit records of decisions, by whether they could be written. What cannot be recorded is not handed out.", "result")
	m.events = m.counter("webhook_events_total", "Webhooks received, by who sent them and what became of them.", "source", "outcome")
	m.eventLag = m.histogram("webhook_event_lag_seconds", "Time from when an event was made at its source to its arrival here.", slow, "source")
	m.enforced = m.histogram("enforcement_duration_seconds", "Time from when a change was known to LiveKit's answer that it holds.", slow, "cause")
	m.corrections = m.counter("enforcement_corrections_total", "Changes to participants in running calls: update and remove that LiveKit took, and tries that failed and are tried again.", "kind")
	m.written = m.histogram("store_write_duration_seconds", "Time that writes to the database take, their wait for one another included. acknowledged ones are on the disk then.", quick, "durability")
	m.writeFailures = m.counter("store_write_failures_total", "Writes to the database that failed.", "durability")
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "stagedoor_build_info", Help: "1; the labels say which program this is.", ConstLabels: prometheus.Labels{"version": o.Version, "commit": o.Commit}})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o.State != nil {
		m.registry.MustRegister(newStateCollector(o.State))
	}
	m.begin()
	return m
}

// begin makes every series whose first increase an alert has to see: what
// appears with 1 has never increased.
func (m *Metrics) begin() {
	for _, outcome := range []string{"written", "failed"} {
		m.audited.WithLabelValues(outcome)
	}
	for _, source := range sources {
		m.eventLag.WithLabelValues(source)
		for _, outcome := range received {
			m.events.WithLabelValues(source, outcome)
		}
	}
	for _, stage := range stages {
		m.join.WithLabelValues(stage)
	}
	for _, kind := range corrections {
		m.corrections.WithLabelValues(kind)
	}
	for _, cause := range causes {
		m.enforced.WithLabelValues(cause)
	}
	for _, limit := range limits {
		m.limited.WithLabelValues(limit)
	}
	for _, durability := range writes {
		m.written.WithLabelValues(durability)
		m.writeFailures.WithLabelValues(durability)
	}
	m.joins.WithLabelValues(Published, "")
	for _, denial := range denials[1:] {
		m.joins.WithLabelValues(WatchOnly, denial)
	}
	for _, kind := range stagedoor.Kinds() {
		m.joins.WithLabelValues(Refused, kind.String())
	}
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stagedoor_" + name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) histogram(name, help string, buckets []float64, label string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "stagedoor_" + name, Help: help, Buckets: buckets}, []string{label})
	m.registry.MustRegister(h)
	return h
}

// Handler answers scrapes. One that comes while four are answered is refused.
func (m *Metrics) Handler() http.Handler {
	o := promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError}
	if m.log != nil {
		o.ErrorLog = slog.NewLogLogger(m.log.Handler(), slog.LevelError)
	}
	return promhttp.HandlerFor(m.registry, o)
}

// Begun counts a request as being answered until ended is called.
func (m *Metrics) Begun() (ended func()) {
	m.inFlight.Inc()
	return m.inFlight.Dec
}

// Request counts an answer. limit is what refused it; empty: nothing did.
func (m *Metrics) Request(route string, status int, limit string) {
	m.requests.WithLabelValues(known(route, m.routes), code(status)).Inc()
	switch limit {
	case "":
	case "in flight":
		m.inFlightOver.Inc()
	default:
		m.limited.WithLabelValues(known(limit, limits)).Inc()
	}
}

// Join counts an answer to one who asked for a token. kind is the error's
// code, or why publishing is withheld.
func (m *Metrics) Join(outcome, kind string, took time.Duration) {
	ofKind := denials
	if outcome == Refused {
		ofKind = m.codes
	}
	m.joins.WithLabelValues(known(outcome, outcomes), known(kind, ofKind)).Inc()
	m.Stage("total", took)
}

// Stage counts how long one stage of a join took.
func (m *Metrics) Stage(stage string, took time.Duration) {
	m.join.WithLabelValues(known(stage, stages)).Observe(took.Seconds())
}

// Audited counts an audit record.
func (m *Metrics) Audited(err error) {
	result := "written"
	if err != nil {
		result = "failed"
	}
	m.audited.WithLabelValues(result).Inc()
}

// Event counts a webhook: who sent it, and the error it was answered with.
func (m *Metrics) Event(source string, err error) {
	outcome := "failed"
	switch kind := stagedoor.KindOf(err); {
	case err == nil:
		outcome = "accepted"
	case kind == stagedoor.InvalidSignature || kind == stagedoor.InvalidEvent:
		outcome = "refused"
	}
	m.events.WithLabelValues(known(source, sources), outcome).Inc()
}

// EventLag counts how long an event was under way. A clock that is ahead makes it none.
func (m *Metrics) EventLag(source string, lag time.Duration) {
	m.eventLag.WithLabelValues(known(source, sources)).Observe(max(lag, 0).Seconds())
}

// Enforced counts a change in a running call: update, remove, or failed, which
// has no time of its own.
func (m *Metrics) Enforced(kind, cause string, took time.Duration) {
	kind = known(kind, corrections)
	m.corrections.WithLabelValues(kind).Inc()
	if cause == "a known end" {
		cause = "known_end"
	}
	if kind != "failed" {
		m.enforced.WithLabelValues(known(cause, causes)).Observe(took.Seconds())
	}
}

// Written counts a write to the database.
func (m *Metrics) Written(acknowledged bool, took time.Duration, failed bool) {
	durability := "retold"
	if acknowledged {
		durability = "acknowledged"
	}
	m.written.WithLabelValues(durability).Observe(took.Seconds())
	if failed {
		m.writeFailures.WithLabelValues(durability).Inc()
	}
}

// known is a value of a closed set, other for any that is not in it.
func known(value string, set []string) string {
	if slices.Contains(set, value) {
		return value
	}
	return other
}

// code is an HTTP status; what is none that net/http knows is other.
func code(status int) string {
	if http.StatusText(status) == "" {
		return other
	}
	return strconv.Itoa(status)
}

// codes are all codes of errors.
func codes() []string {
	var all []string
	for _, kind := range stagedoor.Kinds() {
		all = append(all, kind.String())
	}
	return all
}
