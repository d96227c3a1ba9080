package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stripe/stripe-go/v86/webhook"
)

// Each procedure of SECURITY.md, "Rotating secrets without downtime", as it is
// written there, with the real program: a new one is started, and when it is
// ready the old one is told to end. Callers join all the while.

// Two generations of every secret.
const (
	callersOld, callersNew = "oLd3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY-caller", "nEw3dE5fG8hJ0kL2mN4pQ6rS8tU0vW2xZ-caller"
	adminOld, adminNew     = "oLd8sW2mQ5xT7yL0pN3vB6fG9hJ1cR4zE-admin", "nEw9sX3mR6xU8yM1pO4vC7fH0hK2cS5zF-admin"
	liveKitOld, liveKitNew = "oLd5qkW3vB1xM9rT7yL0pN8sD6fG4hJ2c-livekit", "nEw6rlX4wC2yN0sU8zM1qO9tE7gH5iK3d-livekit"
	stripeOld, stripeNew   = "rk_live_oLdq7wJc2xYt9LrB4vN", "rk_live_nEwr8xKd3yZu0MsC5wO"
	eventsOld, eventsNew   = "whsec_oLd2xYt9LrB4vN8sHd3", "whsec_nEw3yZu0MsC5wO9tIe4"
)

// rotation is a door that is replaced by another one over the same database.
type rotation struct {
	t        *testing.T
	database string
	url      atomic.Pointer[string] // where callers go now
	door     *exec.Cmd
}

// turn starts a door with these settings, sends callers to it, and ends the one before.
func (r *rotation) turn(environ ...string) string {
	r.t.Helper()
	door, url, _ := startServe(r.t, append([]string{"DRAIN_DELAY=0s", "DATABASE_URL=sqlite:" + r.database}, environ...)...)
	r.url.Store(&url)
	if before := r.door; before != nil {
		if err := before.Process.Signal(syscall.SIGTERM); err != nil {
			r.t.Fatal(err)
		}
		if err := before.Wait(); err != nil {
			r.t.Errorf("the door before: %v", err)
		}
	}
	r.door = door
	return url
}

func newRotation(t *testing.T) *rotation {
	t.Helper()
	t.Parallel()
	return &rotation{t: t, database: filepath.Join(t.TempDir(), "doors.db")}
}

// callersOf has somebody join all the time, with the token that the pointer
// holds; the end tells that no request failed, and that there was one.
func (r *rotation) callersOf(token *atomic.Pointer[string]) (end func()) {
	r.t.Helper()
	ctx, stop := context.WithCancel(r.t.Context())
	var group sync.WaitGroup
	joined := 0
	group.Go(func() {
		for ctx.Err() == nil {
			url := *r.url.Load()
			status, err := post(url+"/api/join", `{"room":"r"}`, "Bearer "+*token.Load(), nil)
			if refused := (&net.OpError{}); errors.As(err, &refused) && refused.Op == "dial" && url != *r.url.Load() {
				continue // the address was read just before it changed
			}
			if err != nil || status != http.StatusOK {
				r.t.Errorf("a caller got %d, %v", status, err)
			}
			joined++
			time.Sleep(5 * time.Millisecond)
		}
	})
	return func() {
		r.t.Helper()
		stop()
		group.Wait()
		if joined == 0 {
			r.t.Error("nobody joined")
		}
	}
}

// post sends JSON on a connection of its own.
func post(url, body, authorization string, header map[string]string) (int, error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", authorization)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// mustAnswer sends a POST and wants this status.
func mustAnswer(t *testing.T, what string, want int, url, body, authorization string, header map[string]string) {
	t.Helper()
	if status, err := post(url, body, authorization, header); err != nil || status != want {
		t.Errorf("%s: %d %v, want %d", what, status, err, want)
	}
}

func TestRotationOfJWTSecret(t *testing.T) {
	r := newRotation(t)
	const room = `{"room":"r"}`
	oldToken, newToken := signedWith(t, callersOld, nil), signedWith(t, callersNew, nil)
	var token atomic.Pointer[string]
	token.Store(&oldToken)
	url := r.turn("JWT_SECRET=" + callersOld)
	mustAnswer(t, "the new secret too early", 401, url+"/api/join", room, "Bearer "+newToken, nil)
	end := r.callersOf(&token)
	url = r.turn("JWT_SECRET="+callersNew, "JWT_SECRET_PREVIOUS="+callersOld)
	mustAnswer(t, "the old secret during", 200, url+"/api/join", room, "Bearer "+oldToken, nil)
	mustAnswer(t, "the new secret during", 200, url+"/api/join", room, "Bearer "+newToken, nil)
	token.Store(&newToken) // the application signs with the new one
	url = r.turn("JWT_SECRET=" + callersNew)
	end()
	mustAnswer(t, "the old secret afterwards", 401, url+"/api/join", room, "Bearer "+oldToken, nil)
	mustAnswer(t, "the new secret afterwards", 200, url+"/api/join", room, "Bearer "+newToken, nil)
}

func TestRotationOfAdminToken(t *testing.T) {
	r := newRotation(t)
	ban := func(user string) string { return `{"user":"` + user + `","for":"1h"}` }
	token := signedWith(t, callerSecret, nil)
	var callers atomic.Pointer[string]
	callers.Store(&token)
	url := r.turn("ADMIN_ON_PUBLIC=true", "ADMIN_TOKEN="+adminOld)
	mustAnswer(t, "eve joins", 200, url+"/api/join", `{"room":"r"}`, "Bearer "+signedWith(t, callerSecret, jwt.MapClaims{"sub": "eve"}), nil)
	end := r.callersOf(&callers)
	url = r.turn("ADMIN_ON_PUBLIC=true", "ADMIN_TOKEN="+adminNew, "ADMIN_TOKEN_PREVIOUS="+adminOld)
	mustAnswer(t, "the old token during", 201, url+"/admin/api/bans", ban("eve"), "Bearer "+adminOld, nil)
	mustAnswer(t, "the new token during", 201, url+"/admin/api/bans", ban("eve"), "Bearer "+adminNew, nil)
	url = r.turn("ADMIN_ON_PUBLIC=true", "ADMIN_TOKEN="+adminNew)
	end()
	mustAnswer(t, "the old token afterwards", 401, url+"/admin/api/bans", ban("ann"), "Bearer "+adminOld, nil)
	mustAnswer(t, "the new token afterwards", 201, url+"/admin/api/bans", ban("eve"), "Bearer "+adminNew, nil)
	mustAnswer(t, "what the old token banned", 403, url+"/api/join", `{"room":"r"}`, "Bearer "+signedWith(t, callerSecret, jwt.MapClaims{"sub": "eve"}), nil)
}

// liveKitEvent posts an event that one of LiveKit's keys signs.
func liveKitEvent(t *testing.T, url, key, secret string) int {
	t.Helper()
	body := `{"event":"room_finished","id":"EV_` + key + fmt.Sprint(time.Now().UnixNano()) + `","createdAt":"` + fmt.Sprint(time.Now().Unix()) + `","room":{"sid":"RM_1","name":"r"}}`
	sum := sha256.Sum256([]byte(body))
	proof, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": key, "exp": time.Now().Add(time.Minute).Unix(), "sha256": base64.StdEncoding.EncodeToString(sum[:])}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	status, err := post(url+"/webhooks/livekit", body, proof, nil)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// apiOfLiveKit stands in for LiveKit's API, and tells which key asked.
func apiOfLiveKit(t *testing.T) (url string, asked func() map[string]int) {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), claims, func(*jwt.Token) (any, error) {
			return []byte(map[any]string{"APIold": liveKitOld, "APInew": liveKitNew}[claims["iss"]]), nil
		})
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			seen["forged: "+err.Error()]++
		}
		seen[fmt.Sprint(claims["iss"])]++
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(seen)
	}
}

// mintedBy is the key that a token handed out now says, and is signed with.
func mintedBy(t *testing.T, url, secret string) string {
	t.Helper()
	_, answer := ask(t, url, signedWith(t, callerSecret, nil), `{"room":"r"}`, nil)
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(answer["token"].(string), claims, func(*jwt.Token) (any, error) { return []byte(secret), nil }); err != nil {
		t.Error(err)
	}
	return claims["iss"].(string)
}

// The newest pair signs tokens and asks LiveKit; both pairs' events are taken.
func TestRotationOfLiveKitKeys(t *testing.T) {
	r := newRotation(t)
	api, asked := apiOfLiveKit(t)
	token := signedWith(t, callerSecret, nil)
	var callers atomic.Pointer[string]
	callers.Store(&token)
	oldPair := []string{"LIVEKIT_API_URL=" + api, "LIVEKIT_API_KEY=APIold", "LIVEKIT_API_SECRET=" + liveKitOld}
	newPair := []string{"LIVEKIT_API_URL=" + api, "LIVEKIT_API_KEY=APInew", "LIVEKIT_API_SECRET=" + liveKitNew}
	url := r.turn(oldPair...)
	end := r.callersOf(&callers)
	if key := mintedBy(t, url, liveKitOld); key != "APIold" || liveKitEvent(t, url, "APIold", liveKitOld) != 200 || liveKitEvent(t, url, "APInew", liveKitNew) != 400 {
		t.Errorf("before: minted by %s", key)
	}
	url = r.turn(append(newPair, "LIVEKIT_API_KEY_PREVIOUS=APIold", "LIVEKIT_API_SECRET_PREVIOUS="+liveKitOld)...)
	before := asked()
	if key := mintedBy(t, url, liveKitNew); key != "APInew" || liveKitEvent(t, url, "APIold", liveKitOld) != 200 || liveKitEvent(t, url, "APInew", liveKitNew) != 200 {
		t.Errorf("during: minted by %s", key)
	}
	if liveKitEvent(t, url, "APInew", liveKitOld) != 400 || liveKitEvent(t, url, "APIold", liveKitNew) != 400 {
		t.Error("one pair's secret proves the other pair's events")
	}
	url = r.turn(newPair...)
	end()
	if key := mintedBy(t, url, liveKitNew); key != "APInew" || liveKitEvent(t, url, "APIold", liveKitOld) != 400 || liveKitEvent(t, url, "APInew", liveKitNew) != 200 {
		t.Errorf("afterwards: minted by %s", key)
	}
	for deadline := time.Now().Add(10 * time.Second); asked()["APInew"] == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if after := asked(); after["APIold"] != before["APIold"] || after["APInew"] == 0 || before["APIold"] == 0 || len(after) != 2 {
		t.Errorf("LiveKit was asked by %v, when the new pair came by %v", after, before)
	}
}

// stripeEvent posts an event that a webhook secret signs.
func stripeEvent(t *testing.T, url, secret string) int {
	t.Helper()
	now := time.Now()
	body := fmt.Sprintf(`{"id":"evt_%d","object":"event","type":"customer.subscription.deleted","created":%d,"livemode":true,"data":{"object":{"id":"sub_1","object":"subscription","customer":"cus_1"}}}`, now.UnixNano(), now.Unix())
	proof := fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(webhook.ComputeSignature(now, []byte(body), secret)))
	status, err := post(url+"/webhooks/stripe", body, "", map[string]string{"Stripe-Signature": proof})
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func TestRotationOfStripeSecrets(t *testing.T) {
	r := newRotation(t)
	var mu sync.Mutex
	keys := map[string]int{}
	stripe := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys[strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")]++
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer stripe.Close()
	askedWith := func(key string) int {
		mu.Lock()
		defer mu.Unlock()
		return keys[key]
	}
	token := signedWith(t, callerSecret, nil)
	var callers atomic.Pointer[string]
	callers.Store(&token)
	url := r.turn("STRIPE_API_URL="+stripe.URL, "STRIPE_SECRET_KEY="+stripeOld, "STRIPE_WEBHOOK_SECRET="+eventsOld)
	end := r.callersOf(&callers)
	if stripeEvent(t, url, eventsOld) != 200 || stripeEvent(t, url, eventsNew) != 400 {
		t.Error("before: the old secret alone should be taken")
	}
	url = r.turn("STRIPE_API_URL="+stripe.URL, "STRIPE_SECRET_KEY="+stripeNew, "STRIPE_WEBHOOK_SECRET="+eventsOld+","+eventsNew)
	old := askedWith(stripeOld)
	if stripeEvent(t, url, eventsOld) != 200 || stripeEvent(t, url, eventsNew) != 200 {
		t.Error("during: both secrets should be taken")
	}
	url = r.turn("STRIPE_API_URL="+stripe.URL, "STRIPE_SECRET_KEY="+stripeNew, "STRIPE_WEBHOOK_SECRET="+eventsNew)
	end()
	if stripeEvent(t, url, eventsOld) != 400 || stripeEvent(t, url, eventsNew) != 200 {
		t.Error("afterwards: the new secret alone should be taken")
	}
	for deadline := time.Now().Add(10 * time.Second); askedWith(stripeNew) == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if askedWith(stripeNew) == 0 || askedWith(stripeOld) != old || old == 0 {
		t.Errorf("Stripe was asked %d times with the new key, %d times with the old one, %d of them before", askedWith(stripeNew), askedWith(stripeOld), old)
	}
}
