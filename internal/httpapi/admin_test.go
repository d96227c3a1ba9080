package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const adminSecret = "kQ7pWc2xYt9LrB4vN8sHd3JfGm6ZuA1e"

// desk is a stand-in for everything operators ask of.
type desk struct {
	bans []stagedoor.Ban
	err  error
}

func (d *desk) List(key stagedoor.PrincipalKey) []stagedoor.Ban {
	return slices.DeleteFunc(slices.Clone(d.bans), func(b stagedoor.Ban) bool { return key != stagedoor.PrincipalKey{} && b.Principal != key })
}

func (d *desk) Add(_ context.Context, b stagedoor.Ban) (stagedoor.Ban, error) {
	b.ID, b.CreatedAt = "ban_"+b.Principal.Subject, noon
	if d.err == nil {
		d.bans = append(d.bans, b)
	}
	return b, d.err
}

func (d *desk) Remove(_ context.Context, id string) (stagedoor.Ban, bool, error) {
	for i, b := range d.bans {
		if b.ID == id {
			d.bans = slices.Delete(d.bans, i, i+1)
			return b, true, d.err
		}
	}
	return stagedoor.Ban{}, false, d.err
}

func (d *desk) admin() *Admin {
	return &Admin{Bans: d, Now: func() time.Time { return noon },
		Find: func(_ context.Context, user, issuer string) (stagedoor.PrincipalKey, error) {
			if user == "twin" && issuer == "" {
				return stagedoor.PrincipalKey{}, stagedoor.Refuse(stagedoor.InvalidRequest, "name the issuer")
			}
			return stagedoor.PrincipalKey{Issuer: "i" + issuer, Subject: user}, nil
		},
		Explain: func(_ context.Context, user, _ string, room stagedoor.Room) (stagedoor.Explanation, error) {
			return stagedoor.Explanation{User: user, Room: room, Steps: []stagedoor.Step{{Name: "identity", Mark: stagedoor.Good, Text: user}}}, d.err
		},
	}
}

// newDesk is the admin listener over a desk, open to this machine.
func newDesk(change func(*Admin)) (*harness, *desk) {
	d := &desk{}
	m := d.admin()
	if change != nil {
		change(m)
	}
	h := newHarness(func(o *Options) { o.Admin = m })
	h.api = NewAdmin(Options{Admin: m, Now: time.Now, Log: newTestLog(h)})
	return h, d
}

func (h *harness) ask(t *testing.T, method, path, body string, header map[string]string) *http.Response {
	t.Helper()
	all := map[string]string{"Authorization": "", "Host": "localhost:9464"}
	for name, value := range header {
		all[name] = value
	}
	return h.do(t, request{method: method, path: path, body: body, header: all})
}

func TestBansOfOperators(t *testing.T) {
	h, d := newDesk(nil)
	resp := h.ask(t, "POST", "/api/bans", `{"user":"ann","room":"red","for":"24h","reason":"spam"}`, nil)
	body := bodyOf(t, resp)
	if resp.StatusCode != http.StatusCreated || body["id"] != "ban_ann" || body["subject"] != "ann" || body["room"] != "red" || body["until"] != "2026-11-25T12:00:00Z" || body["reason"] != "spam" {
		t.Errorf("%d %v", resp.StatusCode, body)
	}
	if resp.Header.Get("Cache-Control") != "no-store" {
		t.Error("an answer about people may be kept by a cache")
	}
	bodyOf(t, h.ask(t, "POST", "/api/bans", `{"user":"bob","until":"2026-12-31T18:00:00+01:00"}`, nil))
	if !d.bans[1].Until.Equal(time.Date(2026, 12, 31, 17, 0, 0, 0, time.UTC)) {
		t.Errorf("until %v", d.bans[1].Until)
	}
	if list := bodyOf(t, h.ask(t, "GET", "/api/bans?user=bob", "", nil))["bans"].([]any); len(list) != 1 {
		t.Errorf("of Bob: %v", list)
	}
	if list := bodyOf(t, h.ask(t, "DELETE", "/api/bans?user=ann&room=blue", "", nil))["bans"].([]any); len(list) != 0 {
		t.Errorf("lifted of another room: %v", list)
	}
	if list := bodyOf(t, h.ask(t, "DELETE", "/api/bans?user=ann&room=red", "", nil))["bans"].([]any); len(list) != 1 || len(d.bans) != 1 {
		t.Errorf("not lifted: %v", list)
	}
	if got := bodyOf(t, h.ask(t, "DELETE", "/api/bans/ban_bob", "", nil)); got["id"] != "ban_bob" || len(d.bans) != 0 {
		t.Errorf("not lifted: %v", got)
	}
	mustRefuse(t, h.ask(t, "DELETE", "/api/bans/ban_bob", "", nil), 404, "not_found")
	mustRefuse(t, h.ask(t, "DELETE", "/api/bans", "", nil), 400, "invalid_request")
	// A shell variable that was not set must not lift every ban.
	mustRefuse(t, h.ask(t, "DELETE", "/api/bans?user=ann&room=", "", nil), 400, "invalid_room")
	mustRefuse(t, h.ask(t, "GET", "//api/bans", "", nil), 404, "not_found")
	for body, code := range map[string]string{
		`{}`: "invalid_request", `{"user":""}`: "invalid_request", `{"user":1}`: "invalid_request", `{"user":"twin"}`: "invalid_request",
		`{"user":"a","until":"yesterday"}`: "invalid_request", `{"user":"a","until":"2026-11-24T11:59:59Z"}`: "invalid_request", `{"user":"a","until":"2026-11-24T12:00:00Z"}`: "invalid_request",
		`{"user":"a","for":"-1h"}`: "invalid_request", `{"user":"a","for":"5"}`: "invalid_request", `{"user":"a","for":"1h","until":"2027-01-01T00:00:00Z"}`: "invalid_request",
		`{"user":"a","reason":"` + strings.Repeat("x", maxReason+1) + `"}`: "invalid_request", `{"user":"a","room":" x"}`: "invalid_room",
		`{"user":"a","User":"b"}`: "unknown_field", `{"user":"a","user":"b"}`: "invalid_json", `[]`: "invalid_json", ``: "invalid_json",
	} {
		resp := h.ask(t, "POST", "/api/bans", body+" ", nil)
		mustRefuse(t, resp, 400, code)
	}
	d.err = errors.New("disk full")
	mustRefuse(t, h.ask(t, "POST", "/api/bans", `{"user":"ann"}`, nil), 500, "internal")
	mustRefuse(t, h.ask(t, "POST", "/api/bans", `{"user":"ann"}`, map[string]string{"Content-Type": "text/plain"}), 415, "unsupported_media_type")
	mustRefuse(t, h.ask(t, "PUT", "/api/bans", "{}", nil), 405, "method_not_allowed")
}

func TestExplainForOperators(t *testing.T) {
	h, _ := newDesk(nil)
	body := bodyOf(t, h.ask(t, "GET", "/api/explain?user=ann&room=red", "", nil))
	if body["user"] != "ann" || body["room"] != "red" || len(body["steps"].([]any)) != 1 {
		t.Errorf("%v", body)
	}
	mustRefuse(t, h.ask(t, "GET", "/api/explain", "", nil), 400, "invalid_request")
	mustRefuse(t, h.ask(t, "GET", "/api/explain?user=ann&room=%20x", "", nil), 400, "invalid_room")
	mustRefuse(t, h.ask(t, "GET", "/api/live", "", nil), 404, "not_found")
	mustRefuse(t, h.ask(t, "POST", "/api/sync", "", nil), 400, "invalid_request")
}

// The admin listener without a token trusts whoever reaches it, which must not
// be a page in the operator's browser.
func TestPagesElsewhereCannotOperate(t *testing.T) {
	h, d := newDesk(nil)
	for name, header := range map[string]map[string]string{
		"TestDNSRebindingIsRefused":    {"Host": "attacker.example"},
		"TestCrossSitePostIsRefused":   {"Sec-Fetch-Site": "cross-site"},
		"TestForeignOriginIsRefused":   {"Origin": "https://attacker.example"},
		"TestNullOriginIsRefused":      {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
		"a sibling of the same domain": {"Sec-Fetch-Site": "same-site"},
	} {
		resp := h.ask(t, "POST", "/api/bans", `{"user":"ann"}`, header)
		mustRefuse(t, resp, 403, "origin_not_allowed")
		if len(d.bans) != 0 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: done", name)
		}
	}
}

func TestAdminToken(t *testing.T) {
	h, _ := newDesk(func(m *Admin) {
		m.Token, m.TokenPrevious = stagedoor.NewSecret(adminSecret), stagedoor.NewSecret("the-one-before-that-is-32-bytes!")
	})
	as := func(token string) map[string]string {
		return map[string]string{"Authorization": token, "Host": "door.internal"}
	}
	for _, token := range []string{adminSecret, "the-one-before-that-is-32-bytes!"} {
		if resp := h.ask(t, "GET", "/api/bans", "", as("Bearer "+token)); resp.StatusCode != 200 {
			t.Errorf("%d", resp.StatusCode)
		}
	}
	mustRefuse(t, h.ask(t, "GET", "/api/bans", "", as("")), 401, "missing_token")
	for i := range adminFailures - 1 {
		resp := h.ask(t, "GET", "/api/bans", "", as("Bearer "+adminSecret[:len(adminSecret)-1]))
		if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("try %d: %d", i, resp.StatusCode)
		}
	}
	resp := h.ask(t, "GET", "/api/bans", "", as("Bearer guess"))
	mustRefuse(t, resp, 429, "rate_limited")
	if resp.Header.Get("Retry-After") != "6" {
		t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
	}
	if resp := h.ask(t, "GET", "/api/bans", "", as("Bearer "+adminSecret)); resp.StatusCode != 200 {
		t.Errorf("TestGuessingDoesNotLockOperatorsOut: %d", resp.StatusCode)
	}
	if strings.Contains(h.log.String(), adminSecret[:8]) {
		t.Error("the token is in the log")
	}
}

func TestEmptyPreviousTokenOpensNothing(t *testing.T) {
	h, _ := newDesk(func(m *Admin) { m.Token = stagedoor.NewSecret(adminSecret) })
	mustRefuse(t, h.ask(t, "GET", "/api/bans", "", map[string]string{"Authorization": "Bearer "}), 401, "missing_token")
}

func TestAdminOnThePublicListener(t *testing.T) {
	d := &desk{}
	m := d.admin()
	m.Token = stagedoor.NewSecret(adminSecret)
	h := newHarness(func(o *Options) { o.Admin = m })
	mustRefuse(t, h.do(t, request{method: "GET", path: "/admin/api/bans", header: map[string]string{"Authorization": "Bearer ann"}}), 401, "invalid_token")
	if resp := h.do(t, request{method: "GET", path: "/admin/api/bans", header: map[string]string{"Authorization": "Bearer " + adminSecret}}); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
	mustRefuse(t, h.do(t, request{method: "GET", path: "/api/bans", header: map[string]string{"Authorization": "Bearer " + adminSecret}}), 404, "not_found")
	mustRefuse(t, newHarness(nil).do(t, request{method: "GET", path: "/admin/api/bans"}), 404, "not_found")
	mustRefuse(t, h.do(t, request{path: "/admin/api/bans", body: `{"user":"ann"}`, header: map[string]string{"Authorization": "Bearer " + adminSecret, "Origin": "https://attacker.example"}}), 403, "origin_not_allowed")
	if len(d.bans) != 0 {
		t.Error("a page elsewhere set a ban")
	}
	open := (&desk{}).admin()
	h = newHarness(func(o *Options) { o.Admin = open })
	for _, token := range []string{"", "Bearer "} {
		resp := h.do(t, request{method: "GET", path: "/admin/api/bans", header: map[string]string{"Authorization": token, "Host": "localhost"}})
		mustRefuse(t, resp, 404, "not_found") // TestPublicAdminWithoutTokenIsClosed
	}
	mustRefuse(t, h.do(t, request{method: "GET", path: "/admin/api"}), 404, "not_found")
}

func TestSyncTellsHowFarItIs(t *testing.T) {
	var fail error
	h, _ := newDesk(func(m *Admin) {
		m.Sync = func(_ context.Context, progress func(string, int)) (any, error) {
			progress("subscriptions", 7)
			return map[string]int{"customers": 3}, fail
		}
		m.Billing = func(context.Context) (any, error) { return map[string]bool{"testMode": true}, nil }
		m.Live = func(context.Context) (any, error) { return nil, errors.New("boom") }
	})
	lines := func() (all []map[string]any) {
		resp := h.ask(t, "POST", "/api/sync", "", nil)
		scanner := bufio.NewScanner(resp.Body)
		for scanner.Scan() {
			var line map[string]any
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			all = append(all, line)
		}
		return all
	}
	got := lines()
	if len(got) != 2 || got[0]["doing"] != "subscriptions" || got[0]["seen"] != 7.0 || got[1]["summary"] == nil {
		t.Errorf("%v", got)
	}
	fail = errors.New("Stripe is away")
	if got := lines(); got[len(got)-1]["error"] == nil || got[len(got)-1]["summary"] != nil {
		t.Errorf("%v", got)
	}
	if got := bodyOf(t, h.ask(t, "GET", "/api/billing", "", nil)); got["testMode"] != true {
		t.Errorf("%v", got)
	}
	mustRefuse(t, h.ask(t, "GET", "/api/live", "", nil), 500, "internal")
	index := h.ask(t, "GET", "/", "", nil)
	text := new(strings.Builder)
	if _, err := bufio.NewReader(index.Body).WriteTo(text); err != nil || !strings.HasPrefix(text.String(), "stagedoor") || !strings.Contains(text.String(), "/api/sync") {
		t.Errorf("%q %v", text, err)
	}
}
