package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func (h *house) Mute(_ context.Context, room stagedoor.Room, identity stagedoor.Identity) (int, error) {
	h.did = append(h.did, "mute "+string(room)+" "+string(identity))
	return len(h.did) - 1, h.failure
}

func (h *house) Remove(_ context.Context, room stagedoor.Room, identity stagedoor.Identity, by stagedoor.PrincipalKey, until time.Time) error {
	h.did = append(h.did, "remove "+string(room)+" "+string(identity)+" by "+by.Issuer+" "+by.Subject)
	if identity == "ann" {
		return stagedoor.Refuse(stagedoor.IdentityNotAllowed, "you cannot remove yourself; leave the room")
	}
	return h.failure
}

// motion is a good request to mute or remove bob.
func motion(action string) request {
	return request{path: "/api/moderate", body: `{"room":"r","identity":"bob","action":"` + action + `"}`}
}

func TestModerateAnswers(t *testing.T) {
	h := newHouse(nil)
	for _, c := range []struct{ action, want string }{
		{"mute", `{"room":"r","identity":"bob","action":"mute","muted":0}`}, // all were muted before
		{"mute", `{"room":"r","identity":"bob","action":"mute","muted":1}`},
		{"remove", `{"room":"r","identity":"bob","action":"remove","until":"2026-11-24T13:00:00Z"}`},
	} {
		resp := h.do(t, motion(c.action))
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || string(body) != c.want || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v", c.action, resp.StatusCode, body, resp.Header)
		}
	}
	if got := strings.Join(h.did, ", "); got != "mute r bob, mute r bob, remove r bob by test ann" {
		t.Error(got)
	}
	// A clock elsewhere says the same moment.
	h.now = h.now.In(time.FixedZone("", 3600))
	if body := bodyOf(t, h.do(t, motion("remove"))); body["until"] != "2026-11-24T13:00:00Z" {
		t.Errorf("%v", body)
	}
	// The room is composed as in a join, the identity is as it stands in the room.
	h.do(t, request{path: "/api/moderate", body: `{"action":"mute","identity":"cafe\u0301","room":"cafe\u0301"}`})
	if got := h.did[len(h.did)-1]; got != "mute café cafe\u0301" {
		t.Errorf("%q", got)
	}
}

func TestMotionsAreParsedInTheirOrder(t *testing.T) {
	h := newHouse(nil)
	for name, c := range map[string]struct{ body, want string }{
		"nothing":                         {`{}`, "room_required"},
		"no room":                         {`{"identity":"bob","action":"mute"}`, "room_required"},
		"no identity":                     {`{"room":"r","action":"mute"}`, "invalid_request"},
		"no action":                       {`{"room":"r","identity":"bob"}`, "invalid_request"},
		"room empty":                      {`{"room":"","identity":"bob","action":"mute"}`, "invalid_room"},
		"room null":                       {`{"room":null,"identity":"bob","action":"mute"}`, "invalid_room"},
		"room a number":                   {`{"room":7,"identity":"bob","action":"mute"}`, "invalid_room"},
		"room invisible":                  {`{"room":"a\u200bb","identity":"bob","action":"mute"}`, "invalid_room"},
		"identity empty":                  {`{"room":"r","identity":"","action":"mute"}`, "invalid_request"},
		"identity null":                   {`{"room":"r","identity":null,"action":"mute"}`, "invalid_request"},
		"identity a number":               {`{"room":"r","identity":7,"action":"mute"}`, "invalid_request"},
		"identities":                      {`{"room":"r","identity":["bob","eve"],"action":"mute"}`, "invalid_request"},
		"identity of 257 bytes":           {`{"room":"r","identity":"` + strings.Repeat("i", 257) + `","action":"mute"}`, "invalid_request"},
		"another action":                  {`{"room":"r","identity":"bob","action":"promote"}`, "invalid_request"},
		"an action in another case":       {`{"room":"r","identity":"bob","action":"Mute"}`, "invalid_request"},
		"action empty":                    {`{"room":"r","identity":"bob","action":""}`, "invalid_request"},
		"action null":                     {`{"room":"r","identity":"bob","action":null}`, "invalid_request"},
		"actions":                         {`{"room":"r","identity":"bob","action":["mute"]}`, "invalid_request"},
		"unknown field":                   {`{"room":"r","identity":"bob","action":"remove","until":"9999-01-01T00:00:00Z"}`, "unknown_field"},
		"changed case":                    {`{"room":"r","Identity":"bob","action":"mute"}`, "unknown_field"},
		"duplicate":                       {`{"room":"r","identity":"bob","identity":"eve","action":"mute"}`, "invalid_json"},
		"duplicate by escape":             {`{"room":"r","action":"mute","\u0061ction":"remove","identity":"bob"}`, "invalid_json"},
		"a list":                          {`[{"room":"r","identity":"bob","action":"mute"}]`, "invalid_json"},
		"a second value":                  {`{"room":"r","identity":"bob","action":"mute"}{}`, "invalid_json"},
		"broken UTF-8":                    {"{\"room\":\"r\",\"identity\":\"\xff\",\"action\":\"mute\"}", "invalid_json"},
		"a lone surrogate":                {`{"room":"r","identity":"\ud800","action":"mute"}`, "invalid_json"},
		"the first mistake: identity":     {`{"identity":"","x":1}`, "invalid_request"},
		"the first mistake: unknown":      {`{"x":1,"action":"promote","room":7}`, "unknown_field"},
		"the first mistake: action":       {`{"action":"promote","room":7,"x":1}`, "invalid_request"},
		"the first mistake: room":         {`{"room":7,"x":1,"action":"promote"}`, "invalid_room"},
		"a mistake before what's missing": {`{"identity":7}`, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			mustRefuse(t, h.do(t, request{path: "/api/moderate", body: c.body}), http.StatusBadRequest, c.want)
		})
	}
	if len(h.did) != 0 {
		t.Errorf("did %q all the same", h.did)
	}
	if resp := h.do(t, request{path: "/api/moderate", body: `{"room":"r","identity":"` + strings.Repeat("i", 256) + `","action":"mute"}`}); resp.StatusCode != http.StatusOK {
		t.Errorf("an identity of 256 bytes: %d", resp.StatusCode)
	}
}

func TestModeratorsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*house) request
		status  int
		code    string
	}{
		"TestOnlyModeratorsModerate": {func(*house) request {
			r := motion("remove")
			r.header = map[string]string{"Authorization": "Bearer bob"}
			return r
		}, 403, "room_forbidden"},
		"TestGuestsDoNotModerate": {func(*house) request { return motion("mute").guest() }, 403, "room_forbidden"},
		"a stranger": {func(*house) request {
			r := motion("mute")
			r.header = map[string]string{"Authorization": "Bearer eve"}
			return r
		}, 401, "invalid_token"},
		"without a token": {func(*house) request { r := motion("mute"); r.header = map[string]string{"Authorization": ""}; return r }, 401, "missing_token"},
		"oneself": {func(*house) request {
			return request{path: "/api/moderate", body: `{"room":"r","identity":"ann","action":"remove"}`}
		}, 403, "identity_not_allowed"},
		"nobody there": {func(h *house) request {
			h.failure = stagedoor.Refuse(stagedoor.NotFound, "nobody")
			return motion("mute")
		}, 404, "not_found"},
		"another's": {func(h *house) request {
			h.failure = stagedoor.Refuse(stagedoor.IdentityNotAllowed, "not ours")
			return motion("remove")
		}, 403, "identity_not_allowed"},
		"an unsaid bug": {func(h *house) request { h.failure = io.ErrUnexpectedEOF; return motion("mute") }, 500, "internal"},
		"no LiveKit": {func(h *house) request {
			h.failure = &stagedoor.Error{Kind: stagedoor.Unavailable, Detail: "away", RetryAfter: 4500 * time.Millisecond}
			return motion("mute")
		}, 503, "unavailable"},
		"no moderators": {func(h *house) request { h.door.Moderators = nil; return motion("mute") }, 500, "internal"},
		"another type": {func(*house) request {
			r := motion("mute")
			r.header = map[string]string{"Content-Type": "text/plain"}
			return r
		}, 415, "unsupported_media_type"},
		"too large": {func(*house) request { r := motion("mute"); r.body += strings.Repeat(" ", maxBodyBytes); return r }, 413, "body_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(nil)
			resp := h.do(t, c.prepare(h))
			mustRefuse(t, resp, c.status, c.code)
			if (resp.Header.Get("Retry-After") == "5") != (c.status == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
			}
			if tried := name == "oneself" || h.failure != nil; !tried && len(h.did) != 0 {
				t.Errorf("did %q", h.did)
			}
		})
	}
	fits := motion("mute")
	fits.body += strings.Repeat(" ", maxBodyBytes-len(fits.body))
	if resp := newHouse(nil).do(t, fits); resp.StatusCode != http.StatusOK {
		t.Errorf("16 KiB: %d", resp.StatusCode)
	}
}

// rude is a body that nobody is to ask for.
type rude struct{ t *testing.T }

func (r rude) Read([]byte) (int, error) {
	r.t.Error("a stranger's body was read")
	return 0, io.EOF
}

func TestStrangersMotionsAreNotRead(t *testing.T) {
	for address, method := range map[string]string{"/api/moderate": http.MethodPost, "/api/invites": http.MethodPost, "/api/invites?list": http.MethodGet, "/api/invites/inv_1": http.MethodDelete} {
		h := newHouse(nil)
		r := httptest.NewRequest(method, address, rude{t})
		r.Header.Set("Content-Type", "application/json")
		mustRefuse(t, serve(h.harness, r), http.StatusUnauthorized, "missing_token")
		r = httptest.NewRequest(method, address, rude{t})
		r.Header["Authorization"] = []string{"Bearer ann", "Bearer bob"}
		r.Header.Set("Content-Type", "application/json")
		mustRefuse(t, serve(h.harness, r), http.StatusUnauthorized, "invalid_token")
	}
}

func TestMethodsOfModerators(t *testing.T) {
	h := newHouse(nil)
	for path, allow := range map[string]string{"/api/moderate": "POST", "/api/invites": "GET, HEAD, POST", "/api/invites/inv_1": "DELETE"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post"} {
			resp := h.do(t, request{method: method, path: path, body: `{"room":"r","identity":"bob","action":"mute"}`})
			taken := false
			for one := range strings.SplitSeq(allow, ", ") {
				taken = taken || one == method
			}
			if refused := resp.StatusCode == http.StatusMethodNotAllowed; refused == taken || refused && resp.Header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q", method, path, resp.StatusCode, resp.Header.Get("Allow"))
			}
		}
	}
}

func TestModeratorsLineSaysWhoAndWhere(t *testing.T) {
	h := newHouse(nil)
	h.do(t, motion("mute"))
	for _, want := range []string{`"issuer":"test"`, `"subject":"ann"`, `"room":"r"`, `"status":200`} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, h.log)
		}
	}
	if strings.Count(h.log.String(), "\n") != 1 {
		t.Errorf("%s", h.log)
	}
}

// A rule may ask where a moderator comes from, a request cannot say it.
func TestModeratorsAddressIsTheConnections(t *testing.T) {
	for _, path := range []string{"/api/moderate", "/api/invites"} {
		var seen string
		h := newHouse(nil)
		h.door.Policy = policyOf(func(s stagedoor.Situation) (stagedoor.Decision, error) {
			seen = s.ClientIP
			return h.rule, nil
		})
		h.do(t, request{path: path, body: map[string]string{"/api/moderate": motion("mute").body, "/api/invites": `{"room":"r","expires":60}`}[path],
			remote: "203.0.113.9:1", header: map[string]string{"X-Forwarded-For": "10.0.0.1"}})
		if seen != "203.0.113.9" {
			t.Errorf("%s: %q", path, seen)
		}
	}
}

type policyOf func(stagedoor.Situation) (stagedoor.Decision, error)

func (p policyOf) Decide(s stagedoor.Situation) (stagedoor.Decision, error) { return p(s) }

func FuzzParseMotion(f *testing.F) {
	f.Add([]byte(`{"room":"r","identity":"bob","action":"mute"}`))
	f.Add([]byte(`{"action":"remove","identity":"guest:x","room":"cafe\u0301"}`))
	f.Add([]byte(`{"room":"r","identity":["bob"],"action":null}`))
	f.Add([]byte(`{"room":"r","identity":"bob"}`))
	f.Add([]byte("{\"room\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		motion, err := parseMotion(body)
		if err == nil && (motion.Room == "" || len(motion.Room) > 256 || motion.Identity == "" || len(motion.Identity) > 256 || motion.ClientIP != "" ||
			motion.Action != stagedoor.Mute && motion.Action != stagedoor.Remove) {
			t.Fatalf("%q gave %+v", body, motion)
		}
		if err != nil && motion != (stagedoor.Motion{}) {
			t.Fatalf("%q gave %+v with %v", body, motion, err)
		}
		checkRefusal(t, err)
	})
}
