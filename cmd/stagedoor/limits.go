package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stagedoor/internal/config"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/inflight"
	"stagedoor/internal/ratelimit"
)

// How many requests run at once, per processor, and how many more may wait.
// Measured: docs/adr/0007-limits.md.
const (
	inFlightPerProcessor = 4
	maxWaiting           = 4096
)

// newLimits builds the public listener's limits from the configuration.
func newLimits(cfg *config.Config, log *slog.Logger) (httpapi.Limits, error) {
	address, err := newLimiter("address", cfg.RateLimitIP, true)
	if err != nil {
		return httpapi.Limits{}, err
	}
	failures, err := newLimiter("failures", cfg.RateLimitFailures, true)
	if err != nil {
		return httpapi.Limits{}, err
	}
	user, err := newLimiter("user", cfg.RateLimitUser, false)
	if err != nil {
		return httpapi.Limits{}, err
	}
	bursts := ratelimit.NewBursts(ratelimit.BurstLines, ratelimit.BurstQuiet, nil)
	spend := func(l *ratelimit.Memory, key ratelimit.Key) httpapi.Quota {
		d, err := l.Take(context.Background(), key, 1)
		if err != nil {
			log.Error("a limit could not be looked up", "err", err)
		}
		return httpapi.Quota{Name: d.Policy, Allowed: d.Allowed, Limit: d.Limit, Remaining: d.Remaining, Window: d.Window, Reset: d.Reset, RetryAfter: d.RetryAfter}
	}
	return httpapi.Limits{
		InFlight: inflight.Options{
			Running:      cmp.Or(cfg.MaxInFlight, inFlightPerProcessor*runtime.GOMAXPROCS(0)),
			Waiting:      maxWaiting,
			QueueTimeout: cfg.QueueTimeout,
		},
		Address: func(addr netip.Addr) httpapi.Quota { return spend(address, ratelimit.Address(addr)) },
		Failure: func(addr netip.Addr) httpapi.Quota { return spend(failures, ratelimit.Address(addr)) },
		Caller: func(issuer, subject string, guest netip.Addr) httpapi.Quota {
			return spend(user, ratelimit.Principal(issuer, limited(subject, guest)))
		},
		Stranger: newLines().worth,
		Burst: func(limit, who string) httpapi.Burst {
			if addr, err := netip.ParseAddr(who); err == nil {
				who = limited("", addr)
			}
			b := bursts.Refused(ratelimit.Principal(limit, who+" "))
			return httpapi.Burst{Log: b.Begins, Unlogged: b.Refused - 1 + b.Untold, Shared: b.Shared}
		},
	}, nil
}

// Lines of the log that refusals of people who are not known may cause: of one
// network in a minute, and of all together.
const (
	strangersLines = 60
	linesASecond   = 5
	linesAtOnce    = 300
	// mostNetworks is how many are told apart in a minute; the others are one.
	mostNetworks = 4096
)

// lines says of each refusal whether it is logged, in memory that does not
// grow. Safe for concurrent use.
type lines struct {
	all *rate.Limiter

	mu       sync.Mutex
	minute   time.Time
	of       map[string]int
	unlogged int
}

func newLines() *lines {
	return &lines{all: rate.NewLimiter(linesASecond, linesAtOnce), of: map[string]int{}}
}

func (l *lines) worth(addr netip.Addr) httpapi.Burst {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.minute) >= time.Minute {
		l.minute = time.Now()
		clear(l.of)
	}
	from := limited("", addr)
	if _, known := l.of[from]; !known && len(l.of) >= mostNetworks {
		from = ""
	}
	if l.of[from]++; l.of[from] > strangersLines || !l.all.Allow() {
		l.unlogged++
		return httpapi.Burst{}
	}
	b := httpapi.Burst{Log: true, Unlogged: l.unlogged}
	l.unlogged = 0
	return b
}

// newLimiter builds one limit; wide also bounds an IPv6 /48 as a whole.
func newLimiter(name string, rate config.Rate, wide bool) (*ratelimit.Memory, error) {
	c := ratelimit.Config{Policy: ratelimit.Policy{Name: name, Count: rate.Count, Per: rate.Per}}
	if wide {
		c.Network = c.Policy.Network()
	}
	return ratelimit.New(c)
}

// limited is whom a caller's limit counts: guests of one invitation share a
// credential, so that those of each address (IPv6: each /64) have their own.
func limited(subject string, guest netip.Addr) string {
	guest = guest.Unmap().WithZone("")
	if !guest.IsValid() {
		return subject
	}
	bits := 32
	if guest.Is6() {
		bits = 64
	}
	network, _ := guest.Prefix(bits)
	return subject + "\x00" + network.String()
}
