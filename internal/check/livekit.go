package check

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"stagedoor"
)

// ErrKeyRefused is in the chain of an error of LiveKit.Rooms when the server
// does not take the key.
var ErrKeyRefused = errors.New("LiveKit refuses the key")

// Where the key and its secret are.
const keyPair = "LIVEKIT_API_KEY and LIVEKIT_API_SECRET"

// livekit asks the server whether it is one, what it thinks of the key, and
// how it was set up. The probe is a token that may join one room of a random
// name, without any right in it; being validated it creates nothing.
func (t *Target) livekit(ctx context.Context, f *findings) {
	l := t.LiveKit
	t.livekitWebhooks(ctx, f)
	asked := []string{"livekit.credentials", "livekit.api", "livekit.clock", "livekit.autocreate"}
	if l.URL == "" {
		f.skip("LIVEKIT_URL is not usable: see Configuration", append(asked, "livekit.server")...)
		return
	}
	first, err := t.ask(ctx, question{url: l.URL + "/"})
	if err != nil {
		seen, remedy := trouble(err, l.URL, "LIVEKIT_URL")
		f.add("livekit.server", Fail, seen, remedy)
		f.skip("the server cannot be asked", asked...)
		return
	}
	if target := first.header.Get("Location"); first.status >= 300 && first.status < 400 && strings.HasPrefix(target, "https://") && strings.HasPrefix(l.URL, "http://") {
		f.add("livekit.server", Fail, "the server wants TLS and redirects to it", "write wss:// instead of ws:// in LIVEKIT_URL")
		f.skip("the server cannot be asked", asked...)
		return
	}
	if bytes.Contains(first.body, []byte("HTTP request to an HTTPS server")) {
		f.add("livekit.server", Fail, "the server speaks TLS at that port", "write wss:// instead of ws:// in LIVEKIT_URL")
		f.skip("the server cannot be asked", asked...)
		return
	}
	f.clock("livekit.clock", first, "LiveKit's")
	// By the server's own clock, so that a clock that is off is told from a
	// secret that is wrong.
	ahead := time.Duration(0)
	if first.dated && first.skew.Abs() > skewWarn {
		ahead = -first.skew
	}
	if !t.plausible(f) {
		if strings.TrimSpace(string(first.body)) == "OK" {
			f.pass("livekit.server", fmt.Sprintf("%s answers in %d ms", l.URL, first.took.Milliseconds()))
		} else {
			f.skip("the key was not tried", "livekit.server")
		}
		return
	}
	api := make(chan func(), 1)
	go func() { api <- t.roomService(ctx, f, ahead) }()
	t.validate(ctx, f, first, ahead)
	(<-api)()
}

// plausible looks at the pair before anything is sent: a key travels in the
// clear in every token, so that a secret in its place must not.
func (t *Target) plausible(f *findings) bool {
	l := t.LiveKit
	key, secret := l.Key, l.Secret.Reveal()
	why := ""
	switch {
	case key == "" || secret == "" || l.Sign == nil:
		f.skip("the key or its secret is missing: see Configuration", "livekit.credentials", "livekit.api", "livekit.autocreate")
	case swapped(key, secret):
		why = "LIVEKIT_API_KEY and LIVEKIT_API_SECRET are swapped: the secret looks like a key (" + secretShape(secret) + "), the key like a secret. Nothing was sent: a key travels in the clear"
		f.add("livekit.credentials", Fail, why, "exchange the two values. If tokens were signed with them so, the secret has been shown: make a new key in LiveKit, too")
	case strings.TrimSpace(key) != key || strings.TrimSpace(secret) != secret:
		why = "there is white space around the key or the secret"
		f.add("livekit.credentials", Fail, why, "copy "+keyPair+" again, without spaces and line ends")
	default:
		return true
	}
	if why != "" {
		f.skip("the key was not tried", "livekit.api", "livekit.autocreate")
	}
	return false
}

// swapped goes by the shape of what LiveKit gives out: keys begin with API and
// have 12 to 20 characters, secrets have 40 or more. Keys that somebody made
// up are taken to be swapped only when the key is a long random text and the
// secret is too short to be one.
func swapped(key, secret string) bool {
	livekits := func(s string) bool { return strings.HasPrefix(s, "API") && len(s) <= 24 }
	if livekits(key) {
		return false
	}
	return livekits(secret) && len(key) > len(secret) || len(key) >= 32 && len(secret) < 32
}

// exchanged reports whether key and secret are both there and look swapped.
func (t *Target) exchanged() bool {
	key, secret := t.LiveKit.Key, t.LiveKit.Secret.Reveal()
	return key != "" && secret != "" && swapped(key, secret)
}

// secretShape describes what stands in the secret's place without saying it.
func secretShape(s string) string {
	if strings.HasPrefix(s, "API") {
		return fmt.Sprintf("it begins with API and has %d characters", len(s))
	}
	return fmt.Sprintf("it has %d characters", len(s))
}

// validate has the server look at a token.
//
// SPEC: livekit-server pkg/service/rtcservice.go Validate, pkg/service/auth.go.
func (t *Target) validate(ctx context.Context, f *findings, first answer, ahead time.Duration) {
	l := t.LiveKit
	token, err := l.Sign(stagedoor.Room("stagedoor-check-"+rand.Text()), "stagedoor-check", ahead)
	if err != nil {
		f.skip("no token could be signed", "livekit.server", "livekit.credentials", "livekit.autocreate")
		return
	}
	a, err := t.ask(ctx, question{url: l.URL + "/rtc/validate", bearer: token.Secret})
	if err != nil {
		seen, remedy := trouble(err, l.URL, "LIVEKIT_URL")
		f.add("livekit.server", Fail, seen, remedy)
		f.skip("the server cannot be asked", "livekit.credentials", "livekit.autocreate")
		return
	}
	text := string(a.body)
	known := a.status == http.StatusOK && strings.TrimSpace(text) == "success"
	created := a.status == http.StatusNotFound && strings.Contains(text, "requested room does not exist")
	refused := a.status == http.StatusUnauthorized && (strings.HasPrefix(text, "invalid ") || strings.HasPrefix(text, "no permissions") || strings.HasPrefix(text, "permissions denied"))
	if !known && !created && !refused {
		t.stranger(f, a)
		f.skip("this is no LiveKit server", "livekit.credentials", "livekit.autocreate")
		return
	}
	f.pass("livekit.server", fmt.Sprintf("%s answers in %d ms", l.URL, first.took.Milliseconds()))
	if refused {
		t.refused(f, reason(text, token), ahead)
		f.skip("the key is refused", "livekit.autocreate")
		return
	}
	f.pass("livekit.credentials", "key "+stagedoor.Printable(l.Key)+" and its secret are taken")
	if created {
		f.pass("livekit.autocreate", "off: a room has to be created before anybody can join it, by your application")
	} else {
		f.add("livekit.autocreate", Warn, "on: whoever may join a room creates it by joining; which names there can be is the policy's",
			"that is LiveKit's default and fine where POLICY_FILE names the rooms; to create rooms yourself set room.auto_create: false in livekit-server's configuration")
	}
}

// stranger says what answered instead of a LiveKit server.
func (t *Target) stranger(f *findings, a answer) {
	remedy := "write the LiveKit server's own address in LIVEKIT_URL, without a path: wss://<project>.livekit.cloud"
	switch {
	case a.status >= 500:
		f.add("livekit.server", Fail, fmt.Sprintf("%s answers HTTP %d", t.LiveKit.URL, a.status), "see the LiveKit server's log, or the proxy's in front of it")
	case a.html():
		f.add("livekit.server", Fail, fmt.Sprintf("a web page answers at %s (HTTP %d), not LiveKit", t.LiveKit.URL, a.status), remedy)
	default:
		f.add("livekit.server", Fail, fmt.Sprintf("%s answers HTTP %d as no LiveKit server does", t.LiveKit.URL, a.status), remedy)
	}
}

// reasons are how LiveKit says why it refuses a token. Its older versions
// quote the token, so that their text is not shown.
//
// SPEC: livekit/protocol auth/verifier.go; golang-jwt v5 errors.go; go-jose jwt/errors.go.
var reasons = []struct{ pattern, why string }{
	{`^invalid API key`, "key"},
	{`not valid yet|nbf|before issued`, "early"},
	{`expired|exp\)`, "late"},
	{`signature|cryptographic primitive`, "signature"},
}

// reason reduces LiveKit's text to one word, the token taken out first.
func reason(text string, token stagedoor.Token) string {
	text = strings.ReplaceAll(text, token.Reveal(), "")
	for _, r := range reasons {
		if regexp.MustCompile(r.pattern).MatchString(text) {
			return r.why
		}
	}
	return ""
}

// refused names what is wrong with the key or its secret.
func (t *Target) refused(f *findings, why string, ahead time.Duration) {
	key := stagedoor.Printable(t.LiveKit.Key)
	switch why {
	case "key":
		f.add("livekit.credentials", Fail, "the server does not know the key "+key+": it is another project's, or has been deleted",
			"copy LIVEKIT_API_KEY and LIVEKIT_API_SECRET from the project that LIVEKIT_URL names (LiveKit Cloud: Settings, Keys), or correct LIVEKIT_URL")
	case "signature":
		f.add("livekit.credentials", Fail, "the server knows the key "+key+", but LIVEKIT_API_SECRET is not its secret",
			"set LIVEKIT_API_SECRET to the secret that was made together with "+key+"; where it is lost, make a new pair")
	case "early", "late":
		f.add("livekit.credentials", Fail, "the server finds the token not valid now: the clocks are apart", "set this machine's clock by NTP, or the server's")
	default:
		f.add("livekit.credentials", Fail, "the server refuses the key "+key+" without saying why", "copy "+keyPair+" from the project that LIVEKIT_URL names")
	}
}

// roomService makes the one call that only reads. What it returns says what
// came of it, once it is known what the server thinks of the key.
func (t *Target) roomService(ctx context.Context, f *findings, ahead time.Duration) func() {
	if t.LiveKit.Rooms == nil || t.LiveKit.API == "" {
		return func() { f.skip("there is no address to call", "livekit.api") }
	}
	ctx, cancel := context.WithTimeout(ctx, t.each)
	defer cancel()
	count, err := t.LiveKit.Rooms(ctx, ahead)
	return func() {
		switch {
		case err == nil:
			f.pass("livekit.api", fmt.Sprintf("ListRooms counts %d rooms at %s", count, t.LiveKit.API))
		case errors.Is(err, ErrKeyRefused) && f.failed("livekit.credentials"):
			f.skip("the key is refused", "livekit.api")
		case errors.Is(err, ErrKeyRefused):
			f.add("livekit.api", Fail, t.LiveKit.API+" refuses the key", "LIVEKIT_API_URL must be the same deployment as LIVEKIT_URL")
		case f.failed("livekit.server"):
			f.skip("the server cannot be asked", "livekit.api")
		default:
			f.add("livekit.api", Fail, err.Error(), "the door must reach RoomService at LIVEKIT_API_URL, or LIVEKIT_URL where that is not set: a proxy in front must let POST /twirp/ through")
		}
	}
}

// failed reports whether a check has failed so far.
func (f *findings) failed(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.results[id] {
		if r.State == Fail {
			return true
		}
	}
	return false
}

// webhookAdvice is how LiveKit is told where its events go.
const webhookAdvice = "add <your door>/webhooks/livekit in LiveKit Cloud, Settings, Webhooks, or on your own server in webhook.urls: LiveKit must call the door's public https:// address (over plain HTTP it is refused), and sign with LIVEKIT_API_KEY (webhook.api_key)"

// livekitWebhooks says when LiveKit's last event came.
func (t *Target) livekitWebhooks(ctx context.Context, f *findings) {
	if !t.LiveKit.Webhooks {
		f.add("livekit.webhooks", Warn, "LIVEKIT_WEBHOOKS is off: an old token is noticed within a minute instead of at once", "unset LIVEKIT_WEBHOOKS, and "+webhookAdvice)
		return
	}
	kept, err := t.kept(ctx)
	switch {
	case err != nil || t.Store.Inspect == nil:
		f.skip("the database cannot be asked when the last one came", "livekit.webhooks")
	case kept.Missing:
		f.skip("there is no database yet that says when the last one came", "livekit.webhooks")
	case kept.LiveKitEvent.IsZero():
		f.add("livekit.webhooks", Warn, "none has arrived yet", webhookAdvice+"; then join a room once")
	default:
		age := t.Now().Sub(kept.LiveKitEvent)
		if age > 7*24*time.Hour {
			f.add("livekit.webhooks", Warn, "the last one arrived "+said(age)+" ago", "if there were calls since: "+webhookAdvice)
			return
		}
		f.pass("livekit.webhooks", "the last one arrived "+said(max(age, 0))+" ago")
	}
}
