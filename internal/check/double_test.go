package check

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

const (
	goodKey    = "APIgoodgoodgood"
	goodSecret = "Zu5qkW3vB1xM9rT7yL0pN8sD6fG4hJ2cQaWs"
	rightsKey  = "rk_live_51HxGyTrEwQzAsDfGhJkLmNbVcXzAsDf"
)

// heard keeps every request that a double was sent.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) note(r *http.Request) {
	dump, _ := httputil.DumpRequest(r, true)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, string(dump))
}

// text is everything that was sent, each token's parts decoded behind it.
func (h *heard) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := strings.Join(h.all, "\n")
	for _, word := range strings.FieldsFunc(out, func(r rune) bool { return r == ' ' || r == '.' || r == '\r' || r == '\n' }) {
		if data, err := base64.RawURLEncoding.DecodeString(word); err == nil {
			out += string(data)
		}
	}
	return out
}

// sign makes an HS256 token.
func sign(secret string, claims map[string]any) stagedoor.Token {
	return signAs(map[string]any{"alg": "HS256", "typ": "JWT"}, secret, claims)
}

func signAs(header map[string]any, secret string, claims map[string]any) stagedoor.Token {
	encode := func(v any) string {
		data, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	signed := encode(header) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, signed)
	return stagedoor.NewToken(signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
}

// livekitDouble answers /rtc/validate in the words of livekit-server v1.13.5,
// the token that it quotes included; conformance/livekit holds the checks
// against the real one.
func livekitDouble(t *testing.T, autoCreate bool) (*httptest.Server, *heard) {
	t.Helper()
	h := &heard{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.note(r)
		if r.URL.Path == "/" {
			_, _ = io.WriteString(w, "OK")
			return
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		parts := strings.Split(token, ".")
		var claims struct {
			Iss      string
			Nbf, Exp int64
		}
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
		mac := hmac.New(sha256.New, []byte(goodSecret))
		_, _ = io.WriteString(mac, parts[0]+"."+parts[1])
		now := time.Now()
		switch {
		case claims.Iss != goodKey:
			http.Error(w, "invalid API key: "+claims.Iss, http.StatusUnauthorized)
		case base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) != parts[2]:
			http.Error(w, "invalid token: "+token+", error: token signature is invalid: signature is invalid", http.StatusUnauthorized)
		case now.Unix()+60 < claims.Nbf:
			http.Error(w, "invalid token: "+token+", error: token has invalid claims: token is not valid yet", http.StatusUnauthorized)
		case now.Unix()-60 > claims.Exp:
			http.Error(w, "invalid token: "+token+", error: token has invalid claims: token is expired", http.StatusUnauthorized)
		case !autoCreate:
			http.Error(w, "requested room does not exist", http.StatusNotFound)
		default:
			_, _ = io.WriteString(w, "success")
		}
	}))
	t.Cleanup(server.Close)
	return server, h
}

// livekitAt is a deployment with a pair.
func livekitAt(url, key, secret string, now func() time.Time) LiveKit {
	return LiveKit{URL: url, API: url, Key: key, Secret: stagedoor.NewSecret(secret), Webhooks: true,
		Sign: func(room stagedoor.Room, identity stagedoor.Identity, ahead time.Duration) (stagedoor.Token, error) {
			at := now().Add(ahead).Unix()
			return sign(secret, map[string]any{"iss": key, "sub": identity, "nbf": at - 10, "exp": at + 60,
				"video": map[string]any{"room": room, "roomJoin": true, "canPublish": false}}), nil
		}}
}

// found are the results under an id.
func found(t *testing.T, r Report, id string) []Result {
	t.Helper()
	var list []Result
	for _, c := range r.Checks {
		if c.ID == id {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		t.Fatalf("nothing is said of %s: %+v", id, r.Checks)
	}
	return list
}

// want asserts the first result under an id, and what its texts hold.
func want(t *testing.T, r Report, id string, state State, texts ...string) {
	t.Helper()
	c := found(t, r, id)[0]
	said := c.Seen + " → " + c.Remedy
	if c.State != state {
		t.Errorf("%s: %s, want %s: %s", id, c.State, state, said)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("%s does not say %q: %s", id, text, said)
		}
	}
	if state == Fail && c.Remedy == "" {
		t.Errorf("%s fails without a remedy", id)
	}
}

// stripeDouble answers as Stripe's API does. refuse says of a path whether the
// key may not read it.
func stripeDouble(t *testing.T, endpoints string, refuse string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Header.Get("Authorization") != "Bearer "+rightsKey:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: rk_live_*sDf"}}`)
		case r.URL.Path == refuse:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"type":"invalid_request_error","message":"The provided key 'rk_live_***' does not have the required permissions for this endpoint on account 'acct_1'. Having the 'rak_subscription_read' permission would allow this request to continue."}}`)
		case r.URL.Path == "/v1/webhook_endpoints":
			_, _ = fmt.Fprintf(w, `{"object":"list","url":"/v1/webhook_endpoints","has_more":false,"data":[%s]}`, endpoints)
		case r.URL.Path == "/v1/events" && !r.URL.Query().Has("delivery_success"):
			_, _ = fmt.Fprintf(w, `{"object":"list","url":"/v1/events","has_more":true,"data":[{"id":"evt_1","object":"event","created":%d,"livemode":true}]}`, time.Now().Add(-3*time.Minute).Unix())
		default:
			_, _ = fmt.Fprintf(w, `{"object":"list","url":%q,"has_more":false,"data":[]}`, r.URL.Path)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// endpointJSON is one webhook endpoint, as Stripe shows it.
func endpointJSON(url, status string, events ...string) string {
	data, _ := json.Marshal(map[string]any{"id": "we_1", "object": "webhook_endpoint", "api_version": nil, "created": 1, "enabled_events": events,
		"livemode": true, "metadata": map[string]any{}, "status": status, "url": url})
	return string(data)
}
