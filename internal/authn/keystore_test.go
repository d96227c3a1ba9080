package authn

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// emptySet is how an issuer answers without any key.
func emptySet(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }

// down is how an issuer answers that cannot be reached.
func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }

// shelf is a KeyStore in memory.
type shelf struct {
	mu     sync.Mutex
	rows   map[string]shelved
	broken error
	saves  int
}

type shelved struct {
	source string
	body   []byte
	at     time.Time
}

func (s *shelf) LoadKeys(_ context.Context, issuer, source string) ([]byte, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[issuer]
	if s.broken != nil || row.source != source {
		return nil, time.Time{}, s.broken
	}
	return row.body, row.at.Round(0), nil // a database keeps no monotonic clock
}

func (s *shelf) SaveKeys(_ context.Context, issuer, source string, body []byte, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	if s.rows == nil {
		s.rows = map[string]shelved{}
	}
	s.rows[issuer] = shelved{source: source, body: body, at: at}
	s.saves++
	return nil
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saves
}

func (s *shelf) of(issuer string) shelved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[issuer]
}

// restarted is an authenticator of a new process with the store of the old one.
// Its issuers were asked once.
func restarted(t testing.TB, c *clock, kept *shelf, issuers ...Issuer) *Authenticator {
	t.Helper()
	a, err := New(Options{Issuers: issuers, Now: c.now, Log: quiet(), PlainHTTP: onLoopback})
	if err != nil {
		t.Fatal(err)
	}
	a.UseKeyStore(t.Context(), kept)
	for _, i := range a.issuers {
		saves := kept.count()
		if load(i.live) == nil {
			waitFor(t, 10*time.Second, func() bool { return kept.count() > saves })
		}
	}
	return a
}

// longClaims are claims that outlive every key.
func longClaims(p *idp) map[string]any {
	return with(map[string]any{"iss": p.URL, "aud": "door", "iat": nil, "exp": start.Add(72 * time.Hour).Unix()})
}

func TestKnownKeys_CountWhateverTheIssuerAnswers(t *testing.T) {
	k1, forged := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "nobody's")
	for name, answer := range map[string]http.HandlerFunc{"no keys": emptySet, "nothing": down,
		"HTML": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }} {
		t.Run(name, func(t *testing.T) {
			p, c := newIDP(t, k1), newClock()
			a := newAuth(t, c, remoteIssuer(p))
			p.answer(answer)
			before := p.asked.Load()
			for range 20 {
				mustRefuse(t, a, forged.sign(t, longClaims(p), nil), stagedoor.Unavailable)
				mustAccept(t, a, k1.sign(t, longClaims(p), nil))
			}
			if n := p.asked.Load() - before; n != 1 {
				t.Errorf("a forged token had the issuer asked %d times", n)
			}
			keys := a.Keys()[0]
			if !keys.Failing || keys.Failures == 0 || keys.Usable != 1 || !keys.ConfirmedAt.Equal(start) {
				t.Errorf("%+v", keys)
			}
			if a.Ready() != nil || len(a.Degraded()) != 1 {
				t.Errorf("%v %+v", a.Ready(), keys)
			}
			c.advance(maxStale)
			mustAccept(t, a, k1.sign(t, longClaims(p), nil))
			c.advance(time.Second)
			mustRefuse(t, a, k1.sign(t, longClaims(p), nil), stagedoor.Unavailable)
		})
	}
}

// TestUnknownKey_IsUnavailableOnlyWhileTheIssuerIs: and no refusal tells whether
// a key is known or a signature almost held.
func TestUnknownKey_IsUnavailableOnlyWhileTheIssuerIs(t *testing.T) {
	k1, stranger := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	a := newAuth(t, c, remoteIssuer(p))
	bad := []string{stranger.sign(t, claimsOf(p), map[string]any{"kid": "k2"}), stranger.sign(t, claimsOf(p), nil),
		tamper(k1.sign(t, claimsOf(p), nil))}
	for _, token := range bad {
		mustRefuse(t, a, token, stagedoor.InvalidToken)
	}
	p.answer(down)
	c.advance(refreshEvery)
	texts := map[string]bool{}
	for _, token := range bad {
		_, err := a.Authenticate(t.Context(), stagedoor.NewCredential(token))
		var e *stagedoor.Error
		if !errors.As(err, &e) || e.Kind != stagedoor.Unavailable || e.RetryAfter < time.Second {
			t.Errorf("%+v", err)
			continue
		}
		texts[e.Detail] = true
	}
	if len(texts) != 1 {
		t.Errorf("the refusals differ: %v", texts)
	}
	p.answer(nil)
	c.advance(refreshEvery)
	for _, token := range bad {
		mustRefuse(t, a, token, stagedoor.InvalidToken)
	}
}

func TestStoredKeys_ServeAfterARestartFor24Hours(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c, kept := newIDP(t, k1), newClock(), &shelf{}
	restarted(t, c, kept, remoteIssuer(p))
	p.answer(down)

	c.advance(maxStale - time.Minute)
	a := restarted(t, c, kept, remoteIssuer(p))
	mustAccept(t, a, k1.sign(t, longClaims(p), nil))
	if keys := a.Keys()[0]; keys.Usable != 1 || !keys.Failing || !keys.ConfirmedAt.Equal(start) || a.Ready() != nil {
		t.Errorf("%+v %v", keys, a.Ready())
	}
	c.advance(time.Minute)
	mustAccept(t, a, k1.sign(t, longClaims(p), nil))
	c.advance(time.Second)
	mustRefuse(t, a, k1.sign(t, longClaims(p), nil), stagedoor.Unavailable)
	a = restarted(t, c, kept, remoteIssuer(p))
	mustRefuse(t, a, k1.sign(t, longClaims(p), nil), stagedoor.Unavailable)
	if a.Ready() == nil {
		t.Error("ready with stored keys of yesterday")
	}
}

func TestStoredKeys_OfTheFutureDoNotCount(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c, kept := newIDP(t, k1), newClock(), &shelf{}
	restarted(t, c, kept, remoteIssuer(p))
	p.answer(down)
	c.advance(-2 * time.Hour)
	a := restarted(t, c, kept, remoteIssuer(p))
	mustRefuse(t, a, k1.sign(t, longClaims(p), nil), stagedoor.Unavailable)

	p.answer(nil) // a good answer replaces the set, though its time is older
	restarted(t, c, kept, remoteIssuer(p))
	p.answer(down)
	mustAccept(t, restarted(t, c, kept, remoteIssuer(p)), k1.sign(t, longClaims(p), nil))
}

func TestRemovedKey_LeavesTheStoreWithTheNextGoodAnswer(t *testing.T) {
	k1, k2 := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k2")
	p, c, kept := newIDP(t, k1, k2), newClock(), &shelf{}
	restarted(t, c, kept, remoteIssuer(p))
	p.publish(k2)
	restarted(t, c, kept, remoteIssuer(p))
	p.answer(emptySet)
	a := restarted(t, c, kept, remoteIssuer(p))
	mustAccept(t, a, k2.sign(t, claimsOf(p), nil))
	mustRefuse(t, a, k1.sign(t, claimsOf(p), nil), stagedoor.Unavailable)
}

func TestStoredKeys_OfAnotherAddressDoNotCount(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c, kept := newIDP(t, k1), newClock(), &shelf{}
	restarted(t, c, kept, remoteIssuer(p))
	p.answer(down)
	moved := remoteIssuer(p)
	moved.JWKSURL = p.URL + "/keys?api_key=canary"
	mustRefuse(t, restarted(t, c, kept, moved), k1.sign(t, claimsOf(p), nil), stagedoor.Unavailable)
	p.answer(nil)
	restarted(t, c, kept, moved)
	if row := kept.of(p.URL); strings.Contains(row.source, "canary") {
		t.Error("the address's query is stored")
	}
	p.answer(down)
	mustAccept(t, restarted(t, c, kept, moved), k1.sign(t, claimsOf(p), nil))
	mustRefuse(t, restarted(t, c, kept, remoteIssuer(p)), k1.sign(t, claimsOf(p), nil), stagedoor.Unavailable)
	another := remoteIssuer(p)
	another.ID = "https://another.example"
	claims := with(map[string]any{"iss": another.ID, "aud": "door"})
	mustRefuse(t, restarted(t, c, kept, another), k1.sign(t, claims, nil), stagedoor.Unavailable)
}

func TestStoredKeys_AreJudgedAgain(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	p.answer(down)
	for name, body := range map[string][]byte{
		"not JSON": []byte("x"), "no keys": []byte(`{"keys":[]}`), "a symmetric key": []byte(`{"keys":[{"kty":"oct","kid":"k1","k":"AAAA"}]}`), "empty": {},
		"too large": append(jwksOf(k1), bytes.Repeat([]byte(" "), maxFetchBytes)...), "two documents": append(jwksOf(k1), jwksOf(k1)...),
	} {
		kept := &shelf{rows: map[string]shelved{p.URL: {source: source(""), body: body, at: start}}}
		if a := restarted(t, c, kept, remoteIssuer(p)); a.Ready() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, at := range []time.Time{{}, start.Add(time.Nanosecond), start.Add(-maxStale - time.Nanosecond)} {
		kept := &shelf{rows: map[string]shelved{p.URL: {source: source(""), body: jwksOf(k1), at: at}}}
		if a := restarted(t, c, kept, remoteIssuer(p)); a.Ready() == nil {
			t.Errorf("fetched at %v: taken", at)
		}
	}
}

// TestStoredKeys_ArePublicKeysAlone: an issuer that publishes a private or a
// symmetric key by mistake does not get it into the database.
func TestStoredKeys_ArePublicKeysAlone(t *testing.T) {
	signers := []signer{newSigner(t, "ES256", "e"), newSigner(t, "RS256", "r"), newSigner(t, "EdDSA", "d"), newSigner(t, "ES384", "f")}
	var keys []map[string]any
	for _, s := range signers {
		keys = append(keys, change(s.jwk(), map[string]any{"x5c": []string{"canary"}, "note": "canary"}))
	}
	keys = append(keys, change(newSigner(t, "ES256", "p").jwk(), map[string]any{"d": "canary"}), map[string]any{"kty": "oct", "k": "canary"})
	set := setOf(t, keys...)
	body, err := set.encode()
	if err != nil || bytes.Contains(body, []byte("canary")) {
		t.Fatalf("%s %v", body, err)
	}
	again, err := ParseJWKS(body)
	if err != nil || again.Len() != len(signers) {
		t.Fatalf("%d keys of %s: %v", again.Len(), body, err)
	}
	for _, s := range signers {
		j, err := ParseJWS(s.sign(t, with(nil), nil))
		if err != nil || again.Verify(j) != nil {
			t.Errorf("%s is lost: %v", s.kid, err)
		}
	}
}

func TestBrokenKeyStore_CostsNoCallerAnything(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c, kept := newIDP(t, k1), newClock(), &shelf{broken: errors.New("disk full")}
	var log syncBuffer
	a, err := New(Options{Issuers: []Issuer{remoteIssuer(p)}, Now: c.now, PlainHTTP: onLoopback,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	a.UseKeyStore(t.Context(), kept)
	_ = load(a.issuers[0].live)
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))
	waitFor(t, 10*time.Second, func() bool {
		log.mu.Lock()
		defer log.mu.Unlock()
		return strings.Contains(log.String(), "load stored issuer keys failed") &&
			strings.Contains(log.String(), "store issuer keys failed")
	})
}

// TestSlowKeyStore_KeepsNobodyWaiting: the answer counts before it is stored.
func TestSlowKeyStore_KeepsNobodyWaiting(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	p, c := newIDP(t, k1), newClock()
	a, err := New(Options{Issuers: []Issuer{remoteIssuer(p)}, Now: c.now, PlainHTTP: onLoopback, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	a.UseKeyStore(t.Context(), stuck{release: release})
	mustAccept(t, a, k1.sign(t, claimsOf(p), nil))
	close(release)
}

// stuck is a KeyStore whose writes do not end until released.
type stuck struct{ release chan struct{} }

func (stuck) LoadKeys(context.Context, string, string) ([]byte, time.Time, error) {
	return nil, time.Time{}, nil
}

func (s stuck) SaveKeys(context.Context, string, string, []byte, time.Time) error {
	<-s.release
	return nil
}

func TestOneFailingIssuer_DoesNotTakeReadinessFromAnother(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	good, bad := newIDP(t, k1), newIDP(t)
	bad.answer(down)
	a := newAuth(t, newClock(), remoteIssuer(bad), remoteIssuer(good))
	if err := a.Ready(); err != nil || len(a.Degraded()) != 1 || a.Degraded()[0] != bad.URL {
		t.Errorf("%v, degraded: %v", err, a.Degraded())
	}
	mustAccept(t, a, k1.sign(t, claimsOf(good), nil))
	mustRefuse(t, a, k1.sign(t, claimsOf(bad), nil), stagedoor.Unavailable)
}
