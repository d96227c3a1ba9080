package authn

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"stagedoor/internal/inflight"
)

const (
	// backgroundEvery is how often an issuer is asked without a reason, ± a tenth.
	backgroundEvery = 10 * time.Minute
	// retryEvery is the same while the issuer does not answer.
	retryEvery = 30 * time.Second
	// refreshEvery is how often callers' tokens can make the door ask an issuer.
	refreshEvery = 10 * time.Second
	// refreshWait is how long a caller's request waits for the answer.
	refreshWait = 1500 * time.Millisecond
	// loadRetryAfter is what a caller is told while there are no keys.
	loadRetryAfter = 5 * time.Second
	// maxStale is how long keys count without the issuer confirming them.
	maxStale = 24 * time.Hour
)

// keyFetcher asks an issuer for its keys. discover false allows it to reuse
// the address that an earlier call discovered.
type keyFetcher interface {
	fetch(ctx context.Context, discover bool) (KeySet, error)
}

// keySource holds one issuer's keys and decides when to ask for them again.
// Reading them takes no lock. Safe for concurrent use.
type keySource struct {
	issuer  string
	source  string // of the keys, as KeyStore takes it
	fetcher keyFetcher
	store   KeyStore // nil: keys are not stored
	now     func() time.Time
	log     *slog.Logger

	saving   sync.Mutex // held while a set is stored
	current  atomic.Pointer[snapshot]
	failures atomic.Int64 // questions without a usable answer

	// wake tells the background that a caller's question went wrong: to say so,
	// and to ask again long before its next turn.
	wake chan struct{}

	mu      sync.Mutex
	asked   time.Time // when a caller's token last made us ask
	running *flight   // the question under way, nil when none
	answers bool      // whether the last question had a usable answer
}

// snapshot is what the issuer said, and when.
type snapshot struct {
	keys KeySet
	at   time.Time
}

// flight is one question to the issuer, shared by all who wait for it.
type flight struct {
	done chan struct{}
	err  error
}

func newKeySource(issuer, jwksURL string, f keyFetcher, now func() time.Time, log *slog.Logger) *keySource {
	return &keySource{issuer: issuer, source: source(jwksURL), fetcher: f, now: now, log: log,
		wake: make(chan struct{}, 1)}
}

// keys returns the issuer's keys; false when there are none that count.
func (s *keySource) keys() (KeySet, bool) {
	snap := s.current.Load()
	if snap == nil || snap.keys.Len() == 0 || s.now().Sub(snap.at) > maxStale {
		return KeySet{}, false
	}
	return snap.keys, true
}

// refresh asks the issuer again on behalf of a caller whose token did not
// verify, unless that was done within refreshEvery, and waits no longer than
// refreshWait. It reports whether the issuer's last answer was a usable one: if
// not, nobody knows whether the token is good.
func (s *keySource) refresh(ctx context.Context) (answers bool) {
	s.mu.Lock()
	f := s.running
	if f == nil {
		if now := s.now(); s.asked.IsZero() || now.Sub(s.asked) >= refreshEvery {
			s.asked = now
			f = s.startLocked(false)
		}
	}
	answers = s.answers
	s.mu.Unlock()
	if f == nil {
		return answers
	}
	defer inflight.Yield(ctx)()
	timer := time.NewTimer(refreshWait)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.err == nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// failing reports whether the last question had no usable answer.
func (s *keySource) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.answers && s.failures.Load() > 0
}

// startLocked begins a question to the issuer. It outlives the request that
// caused it; the fetcher has its own deadline.
func (s *keySource) startLocked(discover bool) *flight {
	f := &flight{done: make(chan struct{})}
	s.running = f
	go s.fly(f, discover)
	return f
}

// fly asks, and lets everybody who waits go on before it stores the answer.
func (s *keySource) fly(f *flight, discover bool) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	keys, err := s.fetcher.fetch(ctx, discover)
	f.err = err
	good := &snapshot{keys: keys, at: s.now()}
	if err == nil {
		s.current.Store(good)
	} else {
		s.failures.Add(1)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	s.mu.Lock()
	s.answers = err == nil
	s.running = nil
	s.mu.Unlock()
	close(f.done)
	if err == nil {
		s.save(good)
	}
}

// run asks the issuer now, quickly again until it has answered once, then in
// the background, until ctx ends.
func (s *keySource) run(ctx context.Context) {
	wait := time.Second
	for woken := false; ; {
		pause := refreshEvery
		if f := s.begin(woken); f != nil {
			select {
			case <-f.done:
			case <-ctx.Done():
				return
			}
			select {
			case <-s.wake: // it is of the question just answered
			default:
			}
			pause, woken = s.report(f.err, &wait), false
		} else {
			s.log.Warn("the issuer gave no usable keys when a caller's token made us ask", "issuer", s.issuer)
		}
		wake := s.wake
		if pause <= refreshEvery {
			wake = nil // soon enough by itself
		}
		select {
		case <-time.After(pause):
			continue
		case <-wake:
			woken = true
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(min(pause, refreshEvery)):
		case <-ctx.Done():
			return
		}
	}
}

// begin starts the background's question, or joins the one under way. Woken by
// a caller's question that went wrong, it keeps to one in refreshEvery together
// with the callers', and returns nil when they asked too recently.
func (s *keySource) begin(woken bool) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return s.running
	}
	if woken {
		now := s.now()
		if now.Sub(s.asked) < refreshEvery {
			return nil
		}
		s.asked = now
	}
	return s.startLocked(true)
}

// report logs how the question went and returns how long to wait before the next.
func (s *keySource) report(err error, wait *time.Duration) time.Duration {
	_, usable := s.keys()
	switch {
	case err == nil:
		s.log.Debug("issuer keys loaded", "issuer", s.issuer, "keys", s.current.Load().keys.Len())
		return backgroundEvery - backgroundEvery/10 + rand.N(backgroundEvery/5)
	case usable:
		s.log.Warn("the issuer does not give its keys; the last ones count for 24 h", "issuer", s.issuer,
			"age", s.now().Sub(s.current.Load().at).Round(time.Second).String(), "err", err)
	default:
		s.log.Error("the issuer does not give its keys; its callers are refused", "issuer", s.issuer, "err", err)
	}
	if usable {
		return retryEvery
	}
	pause := *wait
	*wait = min(2*pause, refreshEvery)
	return pause
}
