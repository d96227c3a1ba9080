package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"stagedoor"
)

func TestJoinAnswers(t *testing.T) {
	h := newHarness(nil)
	resp := h.do(t, request{body: `{"room": "test-room", "username": "Alice"}`})
	body, _ := io.ReadAll(resp.Body)
	want := `{"token":"minted-for-ann","url":"wss://livekit.example","ttl":3600,"room":"test-room","identity":"ann",` +
		`"permissions":{"canSubscribe":true,"canPublish":true,"canPublishData":true,"canPublishSources":["camera","microphone","screen_share","screen_share_audio"]}}`
	if resp.StatusCode != http.StatusOK || string(body) != want {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Type": "application/json; charset=utf-8"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if resp.Header.Get("X-Request-Id") == "" {
		t.Error("no request id")
	}
	resp = h.do(t, request{header: map[string]string{"Authorization": "bearer bob"}})
	body, _ = io.ReadAll(resp.Body)
	want = `"permissions":{"canSubscribe":true,"canPublish":false,"canPublishData":false,"canPublishSources":[]},"publishDenied":"no_subscription"}`
	if resp.StatusCode != http.StatusOK || !strings.HasSuffix(string(body), want) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestJoinBodies(t *testing.T) {
	h := newHarness(nil)
	for name, c := range map[string]struct{ body, want string }{
		"just a room":                     {`{"room":"r"}`, ""},
		"white space around":              {" \n{ \"room\" : \"r\" }\t", ""},
		"username null":                   {`{"room":"r","username":null}`, ""},
		"username empty":                  {`{"room":"r","username":""}`, ""},
		"escaped":                         {`{"room":"\u0072oom"}`, ""},
		"an emoji by surrogates":          {`{"room":"\ud83d\ude00"}`, ""},
		"no room":                         {`{}`, "room_required"},
		"only a username":                 {`{"username":"x"}`, "room_required"},
		"room empty":                      {`{"room":""}`, "invalid_room"},
		"room null":                       {`{"room":null}`, "invalid_room"},
		"room a number":                   {`{"room":7}`, "invalid_room"},
		"room a list":                     {`{"room":["r"]}`, "invalid_room"},
		"room blank":                      {`{"room":" r"}`, "invalid_room"},
		"room of 257 bytes":               {`{"room":"` + strings.Repeat("r", 257) + `"}`, "invalid_room"},
		"room invisible":                  {`{"room":"a\u200bb"}`, "invalid_room"},
		"room with NUL":                   {`{"room":"a\u0000"}`, "invalid_room"},
		"username a number":               {`{"room":"r","username":7}`, "invalid_username"},
		"username an object":              {`{"room":"r","username":{}}`, "invalid_username"},
		"username blank":                  {`{"room":"r","username":" "}`, "invalid_username"},
		"unknown field":                   {`{"room":"r","admin":true}`, "unknown_field"},
		"changed case":                    {`{"Room":"r"}`, "unknown_field"},
		"an empty key":                    {`{"":1,"room":"r"}`, "unknown_field"},
		"identity from the request":       {`{"room":"r","identity":"bob"}`, "unknown_field"},
		"TestDuplicateRoomIsRefused":      {`{"room":"a","room":"b"}`, "invalid_json"},
		"duplicate by escape":             {`{"room":"a","\u0072oom":"b"}`, "invalid_json"},
		"trailing bytes":                  {`{"room":"r"}x`, "invalid_json"},
		"a second value":                  {`{"room":"r"}{"room":"s"}`, "invalid_json"},
		"a lone surrogate":                {`{"room":"\ud800"}`, "invalid_json"},
		"broken UTF-8":                    {"{\"room\":\"\xff\"}", "invalid_json"},
		"a byte order mark":               {"\ufeff{\"room\":\"r\"}", "invalid_json"},
		"UTF-16":                          {"\xff\xfe{\x00}\x00", "invalid_json"},
		"a list":                          {`[{"room":"r"}]`, "invalid_json"},
		"null":                            {`null`, "invalid_json"},
		"a string":                        {`"room"`, "invalid_json"},
		"nothing":                         {" ", "invalid_json"},
		"cut short":                       {`{"room":"r"`, "invalid_json"},
		"trailing comma":                  {`{"room":"r",}`, "invalid_json"},
		"a comment":                       {`{"room":"r"/**/}`, "invalid_json"},
		"single quotes":                   {`{'room':'r'}`, "invalid_json"},
		"deep nesting":                    {`{"room":` + strings.Repeat("[", 8000) + strings.Repeat("]", 8000) + `}`, "invalid_room"},
		"the first mistake: unknown":      {`{"x":1,"room":7}`, "unknown_field"},
		"the first mistake: room":         {`{"room":7,"x":1}`, "invalid_room"},
		"the first mistake: username":     {`{"username":7,"room":""}`, "invalid_username"},
		"the first mistake before syntax": {`{"room":7,,}`, "invalid_room"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := h.do(t, request{body: c.body})
			if c.want == "" {
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%d %v", resp.StatusCode, bodyOf(t, resp))
				}
				return
			}
			mustRefuse(t, resp, http.StatusBadRequest, c.want)
		})
	}
}

func TestRoomIsPutInNFC(t *testing.T) {
	body := bodyOf(t, newHarness(nil).do(t, request{body: `{"room":"cafe\u0301"}`}))
	if body["room"] != "café" {
		t.Errorf("%q", body["room"])
	}
	// 129 e's with accents are 387 bytes as sent and 258 as NFC; 128 fit.
	if resp := newHarness(nil).do(t, request{body: `{"room":"` + strings.Repeat(`e\u0301`, 128) + `"}`}); resp.StatusCode != http.StatusOK {
		t.Errorf("%d", resp.StatusCode)
	}
}

func TestRefusalsOfTheRequestItself(t *testing.T) {
	h := newHarness(nil)
	for name, c := range map[string]struct {
		r      request
		status int
		code   string
	}{
		"TestNoTokenIsRefused":        {request{header: map[string]string{"Authorization": ""}}, 401, "missing_token"},
		"another scheme":              {request{header: map[string]string{"Authorization": "Basic YTpi"}}, 401, "missing_token"},
		"an empty token":              {request{header: map[string]string{"Authorization": "Bearer "}}, 401, "missing_token"},
		"a wrong token":               {request{header: map[string]string{"Authorization": "Bearer eve"}}, 401, "invalid_token"},
		"a token in the query":        {request{path: "/api/join?access_token=ann", header: map[string]string{"Authorization": ""}}, 401, "missing_token"},
		"form encoding":               {request{header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, "unsupported_media_type"},
		"text/plain":                  {request{header: map[string]string{"Content-Type": "text/plain"}}, 415, "unsupported_media_type"},
		"no type":                     {request{header: map[string]string{"Content-Type": ""}}, 415, "unsupported_media_type"},
		"another charset":             {request{header: map[string]string{"Content-Type": "application/json; charset=utf-16"}}, 415, "unsupported_media_type"},
		"two types":                   {request{header: map[string]string{"Content-Type": "application/json, text/plain"}}, 415, "unsupported_media_type"},
		"compressed":                  {request{header: map[string]string{"Content-Encoding": "gzip"}}, 415, "unsupported_media_type"},
		"too large":                   {request{body: `{"room":"` + strings.Repeat("r", maxBodyBytes) + `"}`}, 413, "body_too_large"},
		"an unknown address":          {request{path: "/api/joins"}, 404, "not_found"},
		"a trailing slash":            {request{path: "/api/join/"}, 404, "not_found"},
		"a doubled slash":             {request{path: "//api/join"}, 404, "not_found"},
		"dots":                        {request{path: "/x/../api/join"}, 404, "not_found"},
		"changed case":                {request{path: "/API/join"}, 404, "not_found"},
		"no demo room in production":  {request{path: "/", method: "GET"}, 404, "not_found"},
		"no demo callers either":      {request{path: "/demo/config.json", method: "GET"}, 404, "not_found"},
		"no assets either":            {request{path: "/assets/x.js", method: "GET"}, 404, "not_found"},
		"a stranger's wrong type too": {request{header: map[string]string{"Authorization": "Bearer eve", "Content-Type": "text/plain"}}, 401, "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) { mustRefuse(t, h.do(t, c.r), c.status, c.code) })
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		resp := h.do(t, request{method: method, body: `{"room":"r"}`})
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "POST" {
			t.Errorf("%s: %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
	// What client SDKs really send.
	for _, contentType := range []string{"application/json; charset=utf-8", "application/json,application/json", "Application/JSON"} {
		if resp := h.do(t, request{header: map[string]string{"Content-Type": contentType}}); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", contentType, resp.StatusCode)
		}
	}
}

func TestChallenge(t *testing.T) {
	h := newHarness(nil)
	for token, want := range map[string]string{
		"":           `Bearer realm="stagedoor"`,
		"Bearer eve": `Bearer realm="stagedoor", error="invalid_token", error_description="the token could not be verified"`,
	} {
		resp := h.do(t, request{header: map[string]string{"Authorization": token}})
		if got := resp.Header.Get("WWW-Authenticate"); got != want {
			t.Errorf("%q: %s", token, got)
		}
	}
}

func TestTwoAuthorizationHeadersAreRefused(t *testing.T) {
	h := newHarness(nil)
	req, _ := http.NewRequest(http.MethodPost, "/api/join", strings.NewReader(`{"room":"r"}`))
	req.Header["Authorization"] = []string{"Bearer ann", "Bearer bob"}
	req.Header.Set("Content-Type", "application/json")
	mustRefuse(t, serve(h, req), http.StatusUnauthorized, "invalid_token")
}

// A route, and every Kind that can come out of it, has a status; nothing
// unknown says more than "internal error".
func TestEveryKindHasAStatus(t *testing.T) {
	kinds := stagedoor.Kinds()
	if len(statuses) != len(kinds) {
		t.Errorf("%d statuses for %d kinds", len(statuses), len(kinds))
	}
	for _, kind := range kinds {
		h := newHarness(nil)
		h.err = stagedoor.Refuse(kind, "the detail")
		resp := h.do(t, request{})
		body := mustRefuse(t, resp, statuses[kind], kind.String())
		if (resp.StatusCode == http.StatusUnauthorized) != (resp.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%v: WWW-Authenticate %q", kind, resp.Header.Get("WWW-Authenticate"))
		}
		if kind == stagedoor.Internal && body["error"] != "internal error" {
			t.Errorf("an internal error says %v", body["error"])
		}
		if kind != stagedoor.Internal && !strings.Contains(body["error"].(string), "the detail") {
			t.Errorf("%v says %v", kind, body["error"])
		}
	}
}

func TestErrorsShareNoKeyWithSuccess(t *testing.T) {
	success := []string{"token", "url", "server_url", "participant_token", "serverUrl", "participantToken", "accessToken"}
	raw, _ := json.Marshal(problem{"e", "c", "r"})
	for _, key := range success {
		if strings.Contains(string(raw), `"`+key+`"`) {
			t.Errorf("an error has the key %s", key)
		}
	}
}
