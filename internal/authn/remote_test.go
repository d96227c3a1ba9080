package authn

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

func claimsOf(p *idp) map[string]any { return with(map[string]any{"iss": p.URL, "aud": "door"}) }

func TestRotatedKeyIsTakenWithoutRestart(t *testing.T) {
	k1, k2, sameKid := newSigner(t, "ES256", "k1"), newSigner(t, "RS256", "k2"), newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))

	p.publish(k1, k2)
	mustAccept(t, a, k2.sign(t, claimsOf(p), nil))
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))

	c.advance(refreshEvery)
	p.publish(k2, sameKid) // a new key under the old id: seen as a bad signature
	mustAccept(t, a, sameKid.sign(t, claimsOf(p), nil))
	mustRefuse(t, a, k1.sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
}

func TestRemovedKeyIsRefusedAfterTheNextRefresh(t *testing.T) {
	k1, k2 := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k2")
	p, c := newIDP(t, k1, k2), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))
	p.publish(k2)
	_ = load(a.issuers[0].live)
	mustRefuse(t, a, k1.sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
	mustAccept(t, a, k2.sign(t, claimsOf(p), nil))
}

func TestUnknownKeyIDsCannotStormTheIssuer(t *testing.T) {
	k1, evil := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	before := p.asked.Load()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			header := map[string]any{"kid": strings.Repeat("x", i+1)}
			if i%2 == 0 {
				header = nil // a bad signature under a known id
			}
			mustRefuse(t, a, evil.sign(t, claimsOf(p), header), stagedoor.InvalidToken)
		})
	}
	all.Wait()
	if n := p.asked.Load() - before; n != 1 {
		t.Errorf("the issuer was asked %d times in one window, want 1", n)
	}
	c.advance(refreshEvery - time.Second)
	mustRefuse(t, a, evil.sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
	if n := p.asked.Load() - before; n != 1 {
		t.Errorf("asked again within the window: %d", n)
	}
	c.advance(time.Second)
	mustRefuse(t, a, evil.sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
	if n := p.asked.Load() - before; n != 2 {
		t.Errorf("asked %d times after the window, want 2", n)
	}
}

func TestSlowIssuerHoldsNobodyLongerThan1500ms(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p := newIDP(t, k1)
	a := newAuth(t, newClock(), remoteIssuer(p))
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	p.answer(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	begin := time.Now()
	mustRefuse(t, a, k1.sign(t, claimsOf(p), map[string]any{"kid": "new"}), stagedoor.Unavailable)
	if took := time.Since(begin); took < refreshWait || took > refreshWait+700*time.Millisecond {
		t.Errorf("held for %v", took)
	}
	begin = time.Now()
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))
	if took := time.Since(begin); took > 200*time.Millisecond {
		t.Errorf("a known key waited %v for the slow issuer", took)
	}
}

func TestStaleKeysCountFor24Hours(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	p.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	long := with(map[string]any{"iss": p.URL, "aud": "door", "exp": start.Add(48 * time.Hour).Unix()})
	_ = load(a.issuers[0].live)
	c.advance(maxStale)
	mustAccept(t, a, k1.sign(t, long, nil))
	c.advance(time.Second)
	mustRefuse(t, a, k1.sign(t, long, nil), stagedoor.Unavailable)
	if a.Ready() == nil {
		t.Error("ready with keys of yesterday")
	}
	p.answer(nil)
	_ = load(a.issuers[0].live)
	mustAccept(t, a, k1.sign(t, long, nil))
	if err := a.Ready(); err != nil {
		t.Error(err)
	}
}

func TestBeforeTheFirstLoadItIsUnavailable(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p := newIDP(t, k1)
	p.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	a := newAuth(t, newClock(), remoteIssuer(p), secretIssuer())
	_, err := a.Authenticate(t.Context(), stagedoor.NewCredential(k1.sign(t, claimsOf(p), nil)))
	var e *stagedoor.Error
	if !errors.As(err, &e) || e.Kind != stagedoor.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("%+v", err)
	}
	if a.Ready() != nil || !slices.Equal(a.Degraded(), []string{p.URL}) {
		t.Errorf("callers with a shared secret can be served: %v; degraded is %v", a.Ready(), a.Degraded())
	}
	if alone := newAuth(t, newClock(), remoteIssuer(p)); alone.Ready() == nil {
		t.Error("ready without any keys")
	}
	mustAccept(t, a, shared("HS256").sign(t, with(nil), nil))
}

func TestBackgroundLoopLoadsAndEnds(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p := newIDP(t, k1)
	a, err := New(Options{Issuers: []Issuer{remoteIssuer(p)}, Now: time.Now, Log: quiet(), PlainHTTP: onLoopback})
	if err != nil {
		t.Fatal(err)
	}
	stop := runInBackground(t, a)
	waitFor(t, 5*time.Second, func() bool { return a.Ready() == nil })
	stop()
}

func TestMovedKeysAreFoundAgain(t *testing.T) {
	k1, k2 := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k2")
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jwksOf(k2)) }))
	defer moved.Close()
	p, c := newIDP(t, k1), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	p.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	before := p.asked.Load()
	mustRefuse(t, a, k2.sign(t, claimsOf(p), nil), stagedoor.Unavailable)
	if n := p.asked.Load() - before; n != 1 {
		t.Errorf("keys that are gone were asked for %d times", n)
	}
	p.discovery["jwks_uri"] = moved.URL
	c.advance(refreshEvery)
	mustAccept(t, a, k2.sign(t, claimsOf(p), nil))
}

// The background's second try after a caller's question went wrong counts
// with the callers' own: a flood must not get two questions into one window.
func TestBackgroundDoesNotDoubleTheCallersQuestions(t *testing.T) {
	p, c := newIDP(t), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	s := a.issuers[0].live
	s.refresh(t.Context())
	before := p.asked.Load()
	if f := s.begin(true); f != nil {
		t.Error("asked again at once")
	}
	c.advance(refreshEvery)
	f := s.begin(true)
	if f == nil {
		t.Fatal("never asked again")
	}
	<-f.done
	s.refresh(t.Context())
	if n := p.asked.Load() - before; n != 1 {
		t.Errorf("asked %d times in one window", n)
	}
}

// One empty answer to a caller's question must not last until the
// background's next turn.
func TestEmptyKeySet_HealsByItself(t *testing.T) {
	t.Parallel()
	k1, k2 := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k2")
	p := newIDP(t, k1)
	a, err := New(Options{Issuers: []Issuer{remoteIssuer(p)}, Now: time.Now, PlainHTTP: onLoopback, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	stop := runInBackground(t, a)
	waitFor(t, 5*time.Second, func() bool { return a.Ready() == nil })
	p.answer(emptySet)
	claims := map[string]any{"iss": p.URL, "aud": "door", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}
	mustRefuse(t, a, k2.sign(t, claims, nil), stagedoor.Unavailable)
	mustAccept(t, a, k1.sign(t, claims, nil))
	p.answer(nil)
	p.publish(k1, k2)
	waitFor(t, refreshEvery+20*time.Second, func() bool { return len(a.Degraded()) == 0 })
	mustAccept(t, a, k2.sign(t, claims, nil))
	stop()
}

// runInBackground runs the background loop; stop waits for its end.
func runInBackground(t *testing.T, a *Authenticator) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		a.Run(ctx)
		close(ended)
	}()
	return func() {
		cancel()
		<-ended
	}
}

func waitFor(t testing.TB, within time.Duration, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !what(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v", within)
		}
	}
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

// Write appends under the lock.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func TestWhatGoesWrongWithAnIssuerIsSaid(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	var log bytes.Buffer
	s := newKeySource(p.URL, "", newFetcher(p.URL, "", onLoopback, nil), c.now, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	broken := errors.New("no route")
	wait := time.Second
	for i, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if got := s.report(broken, &wait); got != want*time.Second {
			t.Errorf("attempt %d pauses %v", i, got)
		}
	}
	_ = load(s)
	if got := s.report(nil, &wait); got < backgroundEvery*9/10 || got > backgroundEvery*11/10 {
		t.Errorf("pauses %v when all is well", got)
	}
	if got := s.report(broken, &wait); got != retryEvery {
		t.Errorf("pauses %v while the issuer is down", got)
	}
	for _, want := range []string{"its callers are refused", "issuer keys loaded", "the last ones count for 24 h", "no route"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

// How old an issuer's keys are, and how many count, is known; of shared
// secrets there is nothing to know.
func TestStateOfTheKeysIsKnown(t *testing.T) {
	p, c := newIDP(t, newSigner(t, "ES256", "k1"), newSigner(t, "RS256", "k2")), newClock()
	a := newAuth(t, c, remoteIssuer(p), secretIssuer())
	loaded := c.now()
	c.advance(time.Hour)
	if keys := a.Keys(); len(keys) != 1 || keys[0] != (Keys{Issuer: p.URL, Usable: 2, ConfirmedAt: loaded}) {
		t.Errorf("%+v", keys)
	}
	c.advance(maxStale)
	if keys := a.Keys(); keys[0].Usable != 0 || !keys[0].ConfirmedAt.Equal(loaded) {
		t.Errorf("a day later: %+v", keys)
	}
}
