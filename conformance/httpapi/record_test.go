package httpapi

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// caller is whose token a request carries; the zero value has none.
type caller string

const (
	nobody   caller = ""
	ann      caller = "ann"
	hash     caller = "a#b" // LiveKit keeps '#' in identities for itself
	forger   caller = "forger"
	late     caller = "late"
	stranger caller = "stranger" // of the issuer whose keys are not there
	nameless caller = "nameless"
	outcast  caller = "outcast" // kept out of every room
	cara     caller = "cara"
	operator caller = "operator"
	stripe   caller = "Stripe"
	sfu      caller = "LiveKit"
)

// token returns the caller's own token.
func (c caller) token(t *testing.T) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": string(c), "name": "From the token", "exp": time.Now().Add(time.Hour).Unix()}
	secret := callerSecret
	switch c {
	case stranger:
		claims["iss"], claims["aud"] = remoteIssuer, "door"
		payload, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signature := make([]byte, 256)
		_, _ = rand.Read(signature)
		encode := base64.RawURLEncoding.EncodeToString
		return encode([]byte(`{"alg":"RS256"}`)) + "." + encode(payload) + "." + encode(signature)
	case forger:
		secret = "another " + secret
	case late:
		claims["exp"] = time.Now().Add(-time.Hour).Unix()
	case nameless:
		delete(claims, "name")
	case operator:
		return adminToken
	case guest, named, performer, crowd, tardy, dropped, barred, lost, unasked:
		return secretOf(c)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// call is one request and what has to come of it.
type call struct {
	want   string // the status and, of a refusal, the code
	method string // POST, when there is a body; else GET
	path   string
	body   string
	from   caller
	cookie caller // whose token is in the cookie
	world  world  // production, when empty
	header map[string]string
	host   string // the door's own, when empty
	plain  bool   // not over HTTPS
	// guesses is how many wrong tokens the operators' API was sent just before.
	guesses int
}

// operating tells the calls to the operators' API. Each has a door of its own:
// what one changes, and whom it makes the door suspect, is nothing to the next.
func (c call) operating() bool { return strings.HasPrefix(c.path, adminPath) }

// byCookie tells the calls whose token is in the cookie, and looked at there.
func (c call) byCookie() bool { return c.cookie != nobody && c.header["Authorization"] == "" }

// changing tells the calls that no page of another origin may send: those that
// change something, and with a cookie those that read too.
func (c call) changing() bool {
	return c.byCookie() || c.operating() && !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, c.method)
}

// completed returns the call with what its zero values stand for.
func (c call) completed() call {
	if c.method == "" {
		c.method = http.MethodGet
		if c.body != "" {
			c.method = http.MethodPost
		}
	}
	if c.world == "" {
		c.world = production
	}
	if c.host == "" {
		c.host = publicHost
		if c.world == development {
			c.host = "localhost:8080"
		}
	}
	return c
}

// request builds the call as it would be sent to the server at base.
func (c call) request(t *testing.T, base, origin string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = c.host
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	switch c.from {
	case nobody:
	case stripe:
		r.Header.Set("Stripe-Signature", stripeSignature(c.body))
	case sfu:
		r.Header.Set("Content-Type", "application/webhook+json")
		r.Header.Set("Authorization", liveKitSignature(t, c.body))
	default:
		r.Header.Set("Authorization", "Bearer "+c.from.token(t))
	}
	if !c.plain {
		r.Header.Set("X-Forwarded-Proto", "https")
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	if c.cookie != nobody {
		r.Header.Set("Cookie", cookieName+"="+c.cookie.token(t))
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	return r
}

// answer is what the door said to one call.
type answer struct {
	call
	origin string
	sent   *http.Request // without its body, which is call.body
	status int
	header http.Header
	data   []byte
	body   map[string]any // of JSON
	lines  []any          // of JSON, one by one
}

// foreseen is call.want, but where a page of another origin has no say.
func (a answer) foreseen() string {
	if a.changing() && !a.plain && (a.origin == foreignOrigin || a.origin == allowedOrigin && a.operating()) {
		return "403 origin_not_allowed"
	}
	return a.want
}

// text is a member of a JSON body; empty when it is not there.
func (a answer) text(name string) string {
	text, _ := a.body[name].(string)
	return text
}

// outcome is what foreseen foresees.
func (a answer) outcome() string {
	return strings.TrimSpace(strconv.Itoa(a.status) + " " + a.text("code"))
}

// String names the answer in a fault.
func (a answer) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %.80s", a.method, a.path, a.call.body)) + " in " + string(a.world)
}

// record sends every call from each origin given; else from each kind of
// origin: none, an allowed and a foreign one, and what pages may not do from
// a page of the door's own host too.
func record(t *testing.T, calls []call, origins ...string) []answer {
	t.Helper()
	base := map[world]string{}
	for _, c := range calls {
		if w := c.completed().world; base[w] == "" {
			base[w] = open(t, w).URL
		}
	}
	// A client of its own: no redirect is followed, no connection is left to a
	// door that has ended, and a large body waits until it is asked for.
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(client.CloseIdleConnections)
	var answers []answer
	for _, c := range calls {
		c = c.completed()
		from := origins
		switch {
		case len(origins) > 0:
		case c.changing():
			from = []string{"", allowedOrigin, foreignOrigin, ownOrigin}
		default:
			from = []string{"", allowedOrigin, foreignOrigin}
		}
		for _, origin := range from {
			at, leave := base[c.world], func() {}
			if c.operating() {
				own := httptest.NewServer(handler(t, c.world))
				at, leave = own.URL, own.Close
			}
			for range c.guesses {
				send(t, client, call{method: http.MethodGet, path: adminPath + "bans", from: forger, host: c.host}.request(t, at, ""))
			}
			r := c.request(t, at, origin)
			response, data := send(t, client, r)
			leave()
			a := answer{call: c, origin: origin, sent: r, status: response.StatusCode, header: maps.Clone(response.Header), data: data}
			if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") && len(data) > 0 {
				if err := json.NewDecoder(bytes.NewReader(data)).Decode(&a.body); err != nil {
					t.Fatalf("%s: %v", a, err)
				}
			}
			if strings.HasPrefix(a.header.Get("Content-Type"), linesType) {
				a.lines = readLines(t, data)
			}
			answers = append(answers, a)
		}
	}
	return answers
}

// send sends one request and reads the whole answer.
func send(t *testing.T, client *http.Client, r *http.Request) (*http.Response, []byte) {
	t.Helper()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, data
}

// readLines reads a body of one JSON value a line.
func readLines(t *testing.T, data []byte) []any {
	t.Helper()
	var lines []any
	for text := range bytes.Lines(data) {
		var line any
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines
}
