package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"stagedoor"
)

// Whoever leaves the room out lifts every ban of a person: what is there and
// cannot be read must not count as left out.
func TestUnreadableQueryLiftsNothing(t *testing.T) {
	ann := stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}
	for query, want := range map[string]string{
		"user=ann&room=%zz":               "invalid_request",
		"user=ann&room=red;x":             "invalid_request",
		"user=ann&Room=red":               "invalid_request",
		"user=ann&rooms=red":              "invalid_request",
		"user=ann&room=red&room=blue":     "invalid_request",
		"user=ann&user=bob&room=red":      "invalid_request",
		"user=ann&room=%ff":               "invalid_request",
		"user=%ff":                        "invalid_request",
		"user=":                           "invalid_request",
		"issuer=i":                        "invalid_request",
		"user=ann&room=":                  "invalid_room",
		"user=ann&room=%20red":            "invalid_room",
		"user=ann&room=" + long("r", 257): "invalid_room",
	} {
		h, d := newDesk(nil)
		d.bans = []stagedoor.Ban{{ID: "1", Principal: ann, Room: "red"}, {ID: "2", Principal: ann}, {ID: "3", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "bob"}}}
		mustRefuse(t, h.ask(t, "DELETE", "/api/bans?"+query, "", nil), 400, want)
		if len(d.bans) != 3 {
			t.Errorf("%s: %d bans are left", query, len(d.bans))
		}
	}
}

func long(s string, n int) string { return strings.Repeat(s, n) }

func TestUnreadableQueryShowsNothing(t *testing.T) {
	h, _ := newDesk(nil)
	for _, path := range []string{
		"/api/bans?room=red", "/api/bans?issuer=i", "/api/bans?user=&issuer=i", "/api/bans?user=%zz", "/api/bans?user=%ff", "/api/bans?User=ann",
		"/api/explain?user=%ff", "/api/explain?user=", "/api/explain?room=red", "/api/explain?user=ann&rom=red", "/api/explain?user=ann&room=%zz",
	} {
		mustRefuse(t, h.ask(t, "GET", path, "", nil), 400, "invalid_request")
	}
}

func TestRoomInAQueryIsNormalized(t *testing.T) {
	h, d := newDesk(nil)
	d.bans = []stagedoor.Ban{{ID: "1", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}, Room: "café"}}
	if lifted := bodyOf(t, h.ask(t, "DELETE", "/api/bans?user=ann&room=cafe%CC%81", "", nil))["bans"].([]any); len(lifted) != 1 || len(d.bans) != 0 {
		t.Errorf("%v, left %v", lifted, d.bans)
	}
}

// Whoever may enter one room again is still kept out of all others.
func TestLiftingARoomsBanLeavesTheOthers(t *testing.T) {
	h, d := newDesk(nil)
	ann := stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}
	d.bans = []stagedoor.Ban{{ID: "1", Principal: ann}, {ID: "2", Principal: ann, Room: "red"}, {ID: "3", Principal: ann, Room: "blue"}}
	bodyOf(t, h.ask(t, "DELETE", "/api/bans?user=ann&room=red", "", nil))
	if len(d.bans) != 2 || d.bans[0].ID != "1" || d.bans[1].ID != "3" {
		t.Errorf("%+v", d.bans)
	}
}

// One that no answer can hold would hide all others.
func TestBanWithoutAnEndThatCanBeShown(t *testing.T) {
	h, d := newDesk(nil)
	mustRefuse(t, h.ask(t, "POST", "/api/bans", `{"user":"ann","until":"9999-12-31T23:59:59-00:01"}`, nil), 400, "invalid_request")
	if resp := h.ask(t, "POST", "/api/bans", `{"user":"ann","until":"9999-12-31T23:59:59Z"}`, nil); resp.StatusCode != http.StatusCreated || len(d.bans) != 1 {
		t.Errorf("%d %v", resp.StatusCode, bodyOf(t, resp))
	}
	if list := bodyOf(t, h.ask(t, "GET", "/api/bans", "", nil)); len(list["bans"].([]any)) != 1 {
		t.Errorf("%v", list)
	}
}

// What cannot be written as JSON is refused like any other internal error.
func TestAnswerThatIsNoJSON(t *testing.T) {
	h, _ := newDesk(func(m *Admin) {
		m.Live = func(context.Context) (any, error) { return func() {}, nil }
	})
	mustRefuse(t, h.ask(t, "GET", "/api/live", "", nil), 500, "internal")
}

func TestReasonMayBeAsLongAsItSays(t *testing.T) {
	h, d := newDesk(nil)
	if resp := h.ask(t, "POST", "/api/bans", `{"user":"ann","issuer":null,"room":"","until":null,"for":"","reason":"`+long("x", maxReason)+`"}`, nil); resp.StatusCode != http.StatusCreated {
		t.Errorf("%d %v", resp.StatusCode, bodyOf(t, resp))
	}
	// Bytes count: "é" is two.
	mustRefuse(t, h.ask(t, "POST", "/api/bans", `{"user":"ann","reason":"`+long("é", maxReason/2+1)+`"}`, nil), 400, "invalid_request")
	if len(d.bans) != 1 || d.bans[0].Room != "" || !d.bans[0].Until.IsZero() {
		t.Errorf("%+v", d.bans)
	}
}

func TestWithoutTokenOnlyThisMachineIsAnswered(t *testing.T) {
	h, _ := newDesk(nil)
	for host, status := range map[string]int{
		"localhost": 200, "localhost:9464": 200, "127.0.0.1:9464": 200, "127.9.8.7": 200, "[::1]:9464": 200, "[::ffff:127.0.0.1]:9464": 200, "LOCALHOST": 200, "door.localhost:9464": 200,
		"door.internal": 403, "10.0.0.7:9464": 403, "localhost.attacker.example": 403, "127.0.0.1.attacker.example:9464": 403, "localhost.": 403, "0.0.0.0:9464": 403, "notlocalhost": 403,
	} {
		for _, path := range []string{"/", "/api/bans"} {
			if resp := h.ask(t, "GET", path, "", map[string]string{"Host": host}); resp.StatusCode != status {
				t.Errorf("%s at %s: %d", path, host, resp.StatusCode)
			}
		}
	}
}

// The token is looked at first, so that nobody learns what is there or is read.
func TestWithoutTokenNothingIsRead(t *testing.T) {
	h, d := newDesk(func(m *Admin) { m.Token = stagedoor.NewSecret(adminSecret) })
	for name, header := range map[string]map[string]string{
		"none":           {},
		"another scheme": {"Authorization": "Basic " + adminSecret},
		"a part":         {"Authorization": "Bearer " + adminSecret[:8]},
		"more":           {"Authorization": "Bearer " + adminSecret + "x"},
		"another case":   {"Authorization": "Bearer " + strings.ToUpper(adminSecret)},
		"in the query":   {},
	} {
		path := map[bool]string{true: "/api/bans?access_token=" + adminSecret, false: "/api/nothing"}[name == "in the query"]
		if resp := h.ask(t, "POST", path, `{"user":"ann"}`, header); resp.StatusCode != http.StatusUnauthorized || len(d.bans) != 0 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	req, _ := http.NewRequest(http.MethodGet, "/api/bans", nil)
	req.Header["Authorization"] = []string{"Bearer " + adminSecret, "Bearer x"}
	mustRefuse(t, serve(h, req), 401, "invalid_token")
}

func TestIndexListsOnlyWhatIsThere(t *testing.T) {
	about := func(context.Context) (any, error) { return map[string]int{}, nil }
	index := func(change func(*Admin)) string {
		h, _ := newDesk(change)
		text, err := io.ReadAll(h.ask(t, "GET", "/", "", nil).Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	all := map[string]func(*Admin){
		"/api/live":    func(m *Admin) { m.Live = about },
		"/api/billing": func(m *Admin) { m.Billing = about },
		"/api/sync":    func(m *Admin) { m.Sync = func(context.Context, func(string, int)) (any, error) { return nil, nil } },
	}
	for path, add := range all {
		with, without := index(add), index(nil)
		if !strings.Contains(with, path) || strings.Contains(without, path) {
			t.Errorf("%s:\n%s\n%s", path, with, without)
		}
		for other := range all {
			if other != path && strings.Contains(with, other) {
				t.Errorf("%s is listed with %s", other, path)
			}
		}
	}
	if text := index(nil); !strings.Contains(text, "/api/bans") || !strings.Contains(text, "/api/explain") {
		t.Error(text)
	}
}

// Everything that operators are answered is about people.
func TestOperatorsAnswersAreKeptByNobody(t *testing.T) {
	h, _ := newDesk(func(m *Admin) {
		m.Sync = func(context.Context, func(string, int)) (any, error) { return 1, nil }
	})
	for path, method := range map[string]string{"/api/bans": "GET", "/api/explain?user=ann": "GET", "/api/sync": "POST", "/": "GET"} {
		resp := h.ask(t, method, path, "", nil)
		if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
		if path == "/api/sync" && resp.Header.Get("Content-Type") != "application/x-ndjson; charset=utf-8" {
			t.Errorf("%v", resp.Header)
		}
	}
}

// A line each time anything is seen would be as many lines as there are subscribers.
func TestSyncDoesNotFlood(t *testing.T) {
	h, _ := newDesk(func(m *Admin) {
		m.Sync = func(_ context.Context, progress func(string, int)) (any, error) {
			for i := range 100_000 {
				progress("subscriptions", i)
			}
			return nil, errors.New("Stripe is away")
		}
	})
	text, err := io.ReadAll(h.ask(t, "POST", "/api/sync", "", nil).Body)
	lines := slices.Collect(strings.Lines(string(text)))
	if err != nil || len(lines) < 2 || len(lines) > 100 || !strings.Contains(lines[len(lines)-1], "broke off") {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	if !strings.Contains(h.log.String(), "Stripe is away") {
		t.Errorf("the log does not say why: %s", h.log)
	}
}

// Ten are answered alike, whatever is wrong with them; the budget is everybody's.
func TestEleventhGuessIsTooMany(t *testing.T) {
	h, _ := newDesk(func(m *Admin) { m.Token = stagedoor.NewSecret(adminSecret) })
	guesses := []string{"", "Bearer ", "Basic x", "Bearer x", "Bearer " + adminSecret[1:]}
	for i := range 11 {
		want := http.StatusUnauthorized
		if i == 10 {
			want = http.StatusTooManyRequests
		}
		if resp := h.ask(t, "GET", "/api/bans", "", map[string]string{"Authorization": guesses[i%len(guesses)]}); resp.StatusCode != want {
			t.Errorf("guess %d: %d", i+1, resp.StatusCode)
		}
	}
}
