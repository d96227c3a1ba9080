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
	world  world // production, when empty
	header map[string]string
	host   string // the door's own, when empty
	plain  bool   // not over HTTPS
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
	if c.from != nobody {
		r.Header.Set("Authorization", "Bearer "+c.from.token(t))
	}
	if !c.plain {
		r.Header.Set("X-Forwarded-Proto", "https")
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
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
}

// text is a member of a JSON body; empty when it is not there.
func (a answer) text(name string) string {
	text, _ := a.body[name].(string)
	return text
}

// outcome is what call.want foresees.
func (a answer) outcome() string {
	return strings.TrimSpace(strconv.Itoa(a.status) + " " + a.text("code"))
}

// String names the answer in a fault.
func (a answer) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %.80s", a.method, a.path, a.call.body)) + " in " + string(a.world)
}

// record sends every call from each origin given; else from each kind of
// origin: none, an allowed and a foreign one.
func record(t *testing.T, calls []call, origins ...string) []answer {
	t.Helper()
	if len(origins) == 0 {
		origins = []string{"", allowedOrigin, "https://evil.example.net"}
	}
	base := map[world]string{}
	for _, w := range worlds {
		base[w] = open(t, w).URL
	}
	// A client of its own: no redirect is followed, and no connection is left
	// to a door that has ended.
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(client.CloseIdleConnections)
	var answers []answer
	for _, c := range calls {
		c = c.completed()
		for _, origin := range origins {
			r := c.request(t, base[c.world], origin)
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			a := answer{call: c, origin: origin, sent: r, status: response.StatusCode, header: maps.Clone(response.Header), data: data}
			if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") && len(data) > 0 {
				if err := json.NewDecoder(bytes.NewReader(data)).Decode(&a.body); err != nil {
					t.Fatalf("%s: %v", a, err)
				}
			}
			answers = append(answers, a)
		}
	}
	return answers
}
