package check

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func TestGoodCredentialsAreTaken(t *testing.T) {
	for _, autoCreate := range []bool{true, false} {
		server, h := livekitDouble(t, autoCreate)
		target := Target{Now: time.Now, LiveKit: livekitAt(server.URL, goodKey, goodSecret, time.Now)}
		r := Run(t.Context(), target)
		want(t, r, "livekit.server", Pass, server.URL)
		want(t, r, "livekit.credentials", Pass, goodKey)
		want(t, r, "livekit.clock", Pass)
		if autoCreate {
			want(t, r, "livekit.autocreate", Warn, "room.auto_create: false")
		} else {
			want(t, r, "livekit.autocreate", Pass, "off")
		}
		if strings.Contains(h.text(), goodSecret) {
			t.Error("the secret was sent")
		}
	}
}

func TestSwappedKeyAndSecretAreNamedAndNotSent(t *testing.T) {
	server, h := livekitDouble(t, true)
	for _, pair := range [][2]string{{goodSecret, goodKey}, {goodSecret, "ownkey"}} {
		r := Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(server.URL, pair[0], pair[1], time.Now)})
		want(t, r, "livekit.credentials", Fail, "LIVEKIT_API_KEY and LIVEKIT_API_SECRET are swapped", "exchange the two")
		want(t, r, "livekit.server", Pass)
		// One remedy, not a second one that says to make the key longer.
		weak := Target{Now: time.Now, LiveKit: livekitAt(server.URL, pair[0], pair[1], time.Now), Weak: []Note{{Name: livekitSecret, What: "is shorter than 32 bytes", Remedy: "make a longer one", Stops: true}}}
		for _, c := range Run(t.Context(), weak).Checks {
			if strings.Contains(c.Seen+c.Remedy, "shorter") || strings.Contains(c.Remedy, "longer") {
				t.Errorf("the key is judged as a secret: %+v", c)
			}
		}
		want(t, Run(t.Context(), weak), "secrets.strong", Fail, "see livekit.credentials")
		for _, c := range r.Checks {
			if strings.Contains(c.Seen+c.Remedy, goodSecret) {
				t.Errorf("the secret is printed: %+v", c)
			}
		}
	}
	if strings.Contains(h.text(), goodSecret) {
		t.Error("the secret was sent as the key of a token")
	}
}

func TestUnusualPairsAreNotTakenForSwapped(t *testing.T) {
	for _, pair := range [][2]string{{"devkey", "secret"}, {goodKey, goodSecret}, {"my-company-livekit-production-key-1", strings.Repeat("x1", 20)}, {"APIKeyOfFortyCharactersWhichNobodyHasEver", goodSecret}} {
		if swapped(pair[0], pair[1]) {
			t.Errorf("%q is taken for swapped", pair[0])
		}
	}
}

func TestSecretOfAnotherKeyIsNamed(t *testing.T) {
	server, _ := livekitDouble(t, true)
	r := Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(server.URL, goodKey, "anotherZu5qkW3vB1xM9rT7yL0pN8sD6fG4h", time.Now)})
	want(t, r, "livekit.credentials", Fail, "knows the key "+goodKey, "LIVEKIT_API_SECRET is not its secret")
	want(t, r, "livekit.autocreate", Skip)
	for _, c := range r.Checks {
		if strings.Contains(c.Seen, "eyJ") {
			t.Errorf("the probe's token is printed, as LiveKit quotes it: %s", c.Seen)
		}
	}
}

func TestKeyOfAnotherProjectIsNamed(t *testing.T) {
	server, _ := livekitDouble(t, true)
	r := Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(server.URL, "APIelsewhere", goodSecret, time.Now)})
	want(t, r, "livekit.credentials", Fail, "does not know the key APIelsewhere", "LIVEKIT_URL")
}

func TestClockOffByTwoMinutesIsNamedAndNotTakenForAWrongSecret(t *testing.T) {
	server, _ := livekitDouble(t, true)
	for _, off := range []time.Duration{2 * time.Minute, -2 * time.Minute} {
		now := func() time.Time { return time.Now().Add(off) }
		r := Run(t.Context(), Target{Now: now, LiveKit: livekitAt(server.URL, goodKey, goodSecret, now)})
		want(t, r, "livekit.clock", Fail, "2 min", "NTP")
		want(t, r, "livekit.credentials", Pass)
	}
	now := func() time.Time { return time.Now().Add(10 * time.Second) }
	want(t, Run(t.Context(), Target{Now: now, LiveKit: livekitAt(server.URL, goodKey, goodSecret, now)}), "livekit.clock", Warn)
}

func TestWhatIsNoLiveKitServerIsNamed(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>hello</html>")
	}))
	defer page.Close()
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(page.URL, goodKey, goodSecret, time.Now)}), "livekit.server", Fail, "a web page answers", "LIVEKIT_URL")
	nothing := httptest.NewServer(http.NotFoundHandler())
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(nothing.URL, goodKey, goodSecret, time.Now)}), "livekit.server", Fail, "HTTP 404", "LIVEKIT_URL")
	nothing.Close()
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(nothing.URL, goodKey, goodSecret, time.Now)}), "livekit.server", Fail, "nothing listens", "LIVEKIT_URL")
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(tls.URL, goodKey, goodSecret, time.Now)}), "livekit.server", Fail, "authority that this machine does not trust")
	plainly := strings.Replace(tls.URL, "https://", "http://", 1)
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(plainly, goodKey, goodSecret, time.Now)}), "livekit.server", Fail, "speaks TLS", "wss://")
	server, _ := livekitDouble(t, true)
	securely := strings.Replace(server.URL, "http://", "https://", 1)
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(securely, goodKey, goodSecret, time.Now)}), "livekit.server", Fail, "does not speak TLS", "LIVEKIT_URL")
}

// A server that redirects is sent no token at the place it names.
func TestATokenDoesNotFollowARedirect(t *testing.T) {
	elsewhere, h := livekitDouble(t, true)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/rtc/validate", http.StatusTemporaryRedirect))
	defer server.Close()
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: livekitAt(server.URL, goodKey, goodSecret, time.Now)}), "livekit.server", Fail)
	if h.text() != "" {
		t.Errorf("something was sent on: %s", h.text())
	}
}

func TestRoomServiceAtAnotherDeploymentIsNamed(t *testing.T) {
	server, _ := livekitDouble(t, true)
	l := livekitAt(server.URL, goodKey, goodSecret, time.Now)
	l.Rooms = func(context.Context, time.Duration) (int, error) { return 0, ErrKeyRefused }
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: l}), "livekit.api", Fail, "LIVEKIT_API_URL")
	l.Rooms = func(context.Context, time.Duration) (int, error) { return 3, nil }
	want(t, Run(t.Context(), Target{Now: time.Now, LiveKit: l}), "livekit.api", Pass, "3 rooms")
}

func TestSilentWebhooksAreNamed(t *testing.T) {
	at := func(heard time.Time) Report {
		return Run(t.Context(), Target{Now: time.Now, LiveKit: LiveKit{Webhooks: true}, Store: Store{Path: "x.db",
			Inspect: func(context.Context) (Kept, error) { return Kept{LiveKitEvent: heard}, nil }}})
	}
	want(t, at(time.Time{}), "livekit.webhooks", Warn, "none has arrived", "/webhooks/livekit")
	want(t, at(time.Now().Add(-3*time.Minute)), "livekit.webhooks", Pass, "3 min ago")
	want(t, at(time.Now().Add(-30*24*time.Hour)), "livekit.webhooks", Warn, "30 days ago")
	want(t, Run(t.Context(), Target{Now: time.Now}), "livekit.webhooks", Warn, "LIVEKIT_WEBHOOKS is off")
}

// LiveKit v1.13.5 quotes the token in front of the reason.
func TestReasonIsNotReadOffTheTokenThatLiveKitQuotes(t *testing.T) {
	token := stagedoor.NewToken("eyJexpired.nbf.expired")
	if got := reason("invalid token: "+token.Reveal()+", error: token signature is invalid: signature is invalid", token); got != "signature" {
		t.Errorf("%q", got)
	}
	if got := reason("invalid authorization token: token is expired", token); got != "late" {
		t.Errorf("%q", got)
	}
}

func TestWebhooksThatDoNotComeHaveTwoCauses(t *testing.T) {
	l := livekitAt("http://127.0.0.1:1", goodKey, goodSecret, time.Now)
	l.Webhooks = true
	r := Run(t.Context(), Target{Now: time.Now, LiveKit: l, Store: Store{Path: "x.db", Inspect: func(context.Context) (Kept, error) { return Kept{}, nil }}})
	want(t, r, "livekit.webhooks", Warn, "none has arrived yet", "the door's public https:// address (over plain HTTP it is refused)", "sign with LIVEKIT_API_KEY (webhook.api_key)")
}
