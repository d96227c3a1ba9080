package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"stagedoor"
)

// What no answer may say. The first three a request may hold; the canary
// stands in one of its headers, which the fuzzer names.
const (
	validCredential = "CANARY-credential-7f3a9c51"
	guestCredential = "CANARY-invite-5b2e8d07"
	webhookProof    = "CANARY-proof-91ce40aa"
	headerCanary    = "CANARY-header-c0ffee42"
)

// The doors that a request may come to.
const (
	publicDoor   = iota // with every route but the demo's
	proxiedDoor         // behind a proxy, HTTPS only
	demoDoor            // stagedoor dev
	bareDemoDoor        // stagedoor dev, built without its page
	operatorDoor        // the admin listener, on loopback without a token
	guardedDoor         // the admin listener with a token
	doors
)

// fuzzHouse is a house whose secrets are new for each request.
type fuzzHouse struct {
	*house
	minted, invited string
}

// Authenticate knows one caller and one guest.
func (h *fuzzHouse) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	switch c.Reveal() {
	case "":
		return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.MissingToken, "no token")
	case validCredential:
		return stagedoor.Principal{Issuer: "test", Subject: "ann", Handle: "ann"}, nil
	case guestCredential:
		return stagedoor.Principal{Issuer: stagedoor.GuestIssuer, Subject: "inv_1", Handle: "inv_1", Invitation: "inv_1"}, nil
	}
	return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.InvalidToken, "the token could not be verified")
}

// Sign returns the token that only somebody with a credential may see.
func (h *fuzzHouse) Sign(stagedoor.Admission) (stagedoor.Token, error) {
	return stagedoor.NewToken(h.minted), nil
}

// Add returns the secret that only its maker may see.
func (h *fuzzHouse) Add(ctx context.Context, v stagedoor.Invitation) (stagedoor.Invitation, stagedoor.Secret, error) {
	made, _, err := h.house.Add(ctx, v)
	return made, stagedoor.NewSecret(h.invited), err
}

// newFuzzHouse is one of the doors with everything behind it.
func newFuzzHouse(door uint8) *fuzzHouse {
	h := &fuzzHouse{minted: "minted-" + rand.Text(), invited: stagedoor.InvitationPrefix + rand.Text()}
	d := &desk{bans: []stagedoor.Ban{{ID: "ban_1", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}, CreatedAt: noon}}}
	admin := d.admin()
	if door != operatorDoor {
		admin.Token = stagedoor.NewSecret(adminSecret)
	}
	admin.Live = func(context.Context) (any, error) { return map[string]int{"rooms": 1}, nil }
	admin.Billing = admin.Live
	admin.Forget = func(context.Context, stagedoor.Erasure) (stagedoor.Erased, error) { return stagedoor.Erased{}, nil }
	admin.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte("up 1\n"))
	})
	admin.Profiles = admin.Metrics // real ones take as long as the request says
	admin.Sync = func(_ context.Context, progress func(string, int)) (any, error) {
		progress("customers", 1)
		return map[string]int{"customers": 1}, nil
	}
	prove := func(_ context.Context, _ []byte, proof string) error {
		if proof != webhookProof {
			return stagedoor.Refuse(stagedoor.InvalidSignature, "not signed")
		}
		return nil
	}
	h.house = newHouse(func(o *Options) {
		o.Door.Authenticator, o.Door.Signer, o.Door.InvitationBook = h, h, h
		o.StripeEvent, o.LiveKitEvent, o.Admin = prove, prove, admin
		o.AllowedOrigins = []string{"https://app.example"}
		switch door {
		case proxiedDoor:
			o.RequireHTTPS, o.PublicHost = true, "door.example"
			o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		case demoDoor, bareDemoDoor:
			plans := newOffers()
			o.Demo = &Demo{Room: "demo", Plans: plans, LiveKitURL: "ws://127.0.0.1:7880", Callers: []DemoCaller{{ID: "alice", Token: "demo-token"}},
				Page: fstest.MapFS{"index.html": {Data: []byte("<!doctype html>")}, "assets/app.js": {Data: []byte("export {}")}}}
			if door == bareDemoDoor {
				o.Demo.Page = nil
			}
		}
	})
	if door == operatorDoor || door == guardedDoor {
		h.api = NewAdmin(Options{Admin: admin, Now: time.Now, Log: newTestLog(h.harness)})
	}
	return h
}

// wire is a request as it comes over the connection, and where to.
type wire struct {
	door            uint8
	method, target  string
	headers, canary string
	body            []byte
}

// request reads the wire as net/http does; nil for what net/http itself refuses.
func (w wire) request() *http.Request {
	if strings.ContainsAny(w.method+w.target, " \r\n") {
		return nil
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\n", w.method, w.target)
	for line := range strings.SplitSeq(w.headers, "\n") {
		name, _, ok := strings.Cut(line, ":")
		if !ok || strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding") {
			continue
		}
		raw.WriteString(line + "\r\n")
	}
	if w.canary != "" && !strings.ContainsAny(w.canary, ": \t\r\n") && !strings.EqualFold(w.canary, "Host") {
		raw.WriteString(w.canary + ": " + headerCanary + "\r\n")
	}
	fmt.Fprintf(&raw, "Content-Length: %d\r\n\r\n", len(w.body))
	raw.Write(w.body)
	r, err := http.ReadRequest(bufio.NewReader(&raw))
	if err != nil || r.Host == "" || r.ContentLength != int64(len(w.body)) || r.Method == http.MethodConnect {
		return nil
	}
	for name, values := range r.Header {
		for _, value := range append(values, name) {
			if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				return nil
			}
		}
	}
	r.RemoteAddr = "203.0.113.9:4711"
	if w.door == proxiedDoor {
		r.RemoteAddr = "10.0.0.7:4711"
	}
	return r
}

// bears reports whether the request's one Authorization is Bearer and one of
// the credentials.
func bears(r *http.Request, credentials ...string) bool {
	sent := r.Header.Values("Authorization")
	if len(sent) != 1 || len(sent[0]) < 7 || !strings.EqualFold(sent[0][:7], "Bearer ") {
		return false
	}
	for _, credential := range credentials {
		if strings.Trim(sent[0][7:], " ") == credential {
			return true
		}
	}
	return false
}

// FuzzRoutes sends any request to every route of every door. Seeds are the
// requests of routeSeeds, which TestEveryRouteIsFuzzed holds to the routes
// that there are.
func FuzzRoutes(f *testing.F) {
	for _, seed := range routeSeeds() {
		f.Add(seed.door, seed.method, seed.target, seed.headers, seed.canary, seed.body)
		f.Add(seed.door, http.MethodOptions, seed.target, "Host: localhost\nOrigin: https://app.example\nAccess-Control-Request-Method: POST", "Access-Control-Request-Headers", []byte(nil))
		f.Add(seed.door, seed.method, seed.target, "Host: localhost\nContent-Type: application/json", "Authorization", seed.body)
		f.Add(seed.door, seed.method, seed.target+"?a=1&a=%zz", seed.headers+"\nX-Forwarded-Proto: https\nX-Forwarded-For: 1.2.3.4, [::1]:80", "X-Request-Id", []byte(`{"room":"r","room":1}`))
	}
	f.Fuzz(func(t *testing.T, door uint8, method, target, headers, canary string, body []byte) {
		w := wire{door % doors, method, target, headers, canary, body}
		r := w.request()
		if r == nil {
			return
		}
		h := newFuzzHouse(w.door)
		rec := httptest.NewRecorder()
		began := time.Now()
		h.api.ServeHTTP(rec, r)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		h.checkAnswer(t, w, r, rec)
		h.checkSecrets(t, w, r, rec)
	})
}

// checkAnswer holds an answer to the form that every answer has.
func (h *fuzzHouse) checkAnswer(t *testing.T, w wire, r *http.Request, rec *httptest.ResponseRecorder) {
	t.Helper()
	header, status := rec.Header(), rec.Code
	if !safeID.MatchString(header.Get("X-Request-Id")) || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", header)
	}
	isFile := w.door == demoDoor && strings.HasPrefix(r.URL.Path, "/assets/") || r.URL.Path == "/livekit-join.js" || r.URL.Path == "/openapi.yaml"
	if header.Get("Cache-Control") != "no-store" && !(isFile && status == http.StatusOK) {
		t.Errorf("%d may be kept: %v", status, header)
	}
	if rec.Body.Len() > 64<<10 {
		t.Errorf("an answer of %d bytes", rec.Body.Len())
	}
	switch {
	case status == http.StatusNoContent && r.Method == http.MethodOptions:
		if rec.Body.Len() != 0 {
			t.Errorf("a preflight is answered %q", rec.Body)
		}
	case status == http.StatusPermanentRedirect:
		to, err := url.Parse(header.Get("Location"))
		if err != nil || to.Scheme != "https" || to.Host != "door.example" || to.User != nil || w.door != proxiedDoor {
			t.Errorf("sent on to %q", header.Get("Location"))
		}
	case status >= 400:
		checkProblem(t, rec)
	case status != http.StatusOK && status != http.StatusCreated:
		t.Errorf("status %d", status)
	case strings.HasPrefix(header.Get("Content-Type"), "application/json"):
		var object map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &object); err != nil || object["code"] != nil || object["error"] != nil {
			t.Errorf("%d %q", status, rec.Body)
		}
	case header.Get("Content-Type") == "":
		t.Errorf("%d without a type: %q", status, rec.Body)
	}
}

// checkProblem holds a refusal to its shape, and refusals of the door's own
// making to the one that is documented.
func checkProblem(t *testing.T, rec *httptest.ResponseRecorder) {
	t.Helper()
	var object map[string]string
	if err := json.Unmarshal(rec.Body.Bytes(), &object); err != nil || len(object) != 3 || object["error"] == "" || object["code"] == "" ||
		object["requestId"] != rec.Header().Get("X-Request-Id") || rec.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%d %q %v", rec.Code, rec.Body, rec.Header())
	}
	if (rec.Code == http.StatusUnauthorized) != (rec.Header().Get("WWW-Authenticate") != "") || (rec.Code == http.StatusMethodNotAllowed) != (rec.Header().Get("Allow") != "") {
		t.Errorf("%d with %v", rec.Code, rec.Header())
	}
	if rec.Code >= 500 && (rec.Code != http.StatusServiceUnavailable || object["code"] != "unavailable" || rec.Header().Get("Retry-After") == "") {
		t.Errorf("%d %q", rec.Code, rec.Body)
	}
}

// checkSecrets holds answer and log to telling no secret but to whom it belongs.
func (h *fuzzHouse) checkSecrets(t *testing.T, w wire, r *http.Request, rec *httptest.ResponseRecorder) {
	t.Helper()
	answer := rec.Body.String() + fmt.Sprint(rec.Header())
	if strings.Contains(answer, h.minted) && !bears(r, validCredential, guestCredential) {
		t.Errorf("a token for a stranger: %s", answer)
	}
	if strings.Contains(answer, h.invited) && !bears(r, validCredential) {
		t.Errorf("an invitation for a stranger: %s", answer)
	}
	sent := w.target + string(w.body) + w.method
	for _, secret := range []string{validCredential, guestCredential, webhookProof, headerCanary, adminSecret} {
		// What somebody writes into their own room's name comes back.
		if strings.Contains(sent, secret) || strings.Contains(sent, "%") {
			continue
		}
		if strings.Contains(answer, secret) && !(secret == headerCanary && r.Header.Get("X-Request-Id") == headerCanary && w.door == proxiedDoor) {
			t.Errorf("the answer says %s: %s", secret, answer)
		}
	}
	log := h.log.String()
	for _, secret := range []string{h.minted, h.invited, validCredential, guestCredential, webhookProof, adminSecret} {
		if strings.Contains(log, secret) && !strings.Contains(sent, secret) && r.Header.Get("Origin") == "" && !strings.Contains(sent, "%") {
			t.Errorf("the log says %s: %s", secret, log)
		}
	}
	if strings.Contains(log, `"panic"`) {
		t.Errorf("a panic: %s", log)
	}
}
