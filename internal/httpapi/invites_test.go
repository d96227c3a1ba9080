package httpapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func (h *house) Add(_ context.Context, v stagedoor.Invitation) (stagedoor.Invitation, stagedoor.Secret, error) {
	h.made = append(h.made, v)
	v.ID, v.CreatedAt = "inv_2", h.now
	return v, stagedoor.NewSecret("invite_SECRET"), h.failure
}

func (h *house) Revoke(_ context.Context, by stagedoor.PrincipalKey, id string) error {
	if by.Subject != "ann" || id != "inv_1" {
		return stagedoor.Refuse(stagedoor.NotFound, "you have no such invitation")
	}
	h.revoked = id
	return h.failure
}

// invite is a good request of ann's with changes.
func invite(members string) request {
	return request{path: "/api/invites", body: `{"room":"r","expires":60` + members + `}`}
}

func TestInviteAnswers(t *testing.T) {
	h := newHouse(nil)
	for _, c := range []struct{ body, want string }{
		{`{"room":"r","expires":60}`, `{"id":"inv_2","url":"#invite=invite_SECRET","room":"r","publish":false,"uses":1,"used":0,` +
			`"expires":"2026-11-24T12:01:00Z","createdAt":"2026-11-24T12:00:00Z"}`},
		{`{"uses":20,"publish":true,"name":"cafe\u0301","expires":"2026-11-24T18:00:00+02:00","room":"cafe\u0301"}`,
			`{"id":"inv_2","url":"#invite=invite_SECRET","room":"café","name":"café","publish":true,"uses":20,"used":0,` +
				`"expires":"2026-11-24T16:00:00Z","createdAt":"2026-11-24T12:00:00Z"}`},
	} {
		resp := h.do(t, request{path: "/api/invites", body: c.body})
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusCreated || string(body) != c.want || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v", c.body, resp.StatusCode, body, resp.Header)
		}
	}
	if by := h.made[0].By; by.Issuer != "test" || by.Subject != "ann" {
		t.Errorf("made by %+v", by)
	}
}

func TestInvitationsEndWithinTheBounds(t *testing.T) {
	const day = 24 * 60 * 60
	h := newHouse(nil)
	at := func(d time.Duration) string { return `"` + h.now.Add(d).Format(time.RFC3339Nano) + `"` }
	for expires, want := range map[string]time.Duration{
		`60`: time.Minute, `61`: 61 * time.Second, `2592000`: 30 * day * time.Second, at(time.Minute): time.Minute, at(30 * day * time.Second): 30 * day * time.Second,
		`"2026-11-24T13:00:00.5Z"`: time.Hour, `"2026-11-24T15:00:00.5+02:00"`: time.Hour, `"2026-11-24T04:30:00.5-08:30"`: time.Hour,
	} {
		h.made = nil
		if resp := h.do(t, request{path: "/api/invites", body: `{"room":"r","expires":` + expires + `}`}); resp.StatusCode != http.StatusCreated || !h.made[0].Expires.Equal(h.now.Add(want)) {
			t.Errorf("%s: %d %+v", expires, resp.StatusCode, h.made)
		}
	}
	h.made = nil
	for _, expires := range []string{
		`59`, `2592001`, `0`, `-0`, `-60`, `-1e3`, `60.0`, `60.5`, `6e1`, `1e999`, `99999999999999999999999999`, `9223372036854775807`, `-9223372036854775808`, `9223372037`,
		// As nanoseconds in 64 bits these are a minute from now.
		`18446744134`, `-18446744013`,
		at(time.Minute - 1), at(30*day*time.Second + 1), `"2026-11-24T11:00:00Z"`, `"1970-01-01T00:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"99999-01-01T00:00:00Z"`,
		// Noon there is ten in the morning here.
		`"2026-11-24T12:30:00+02:00"`,
		`"2026-11-24"`, `"2026-11-24T13:00:00"`, `"2026-11-24 13:00:00Z"`, `"2026-11-25T24:00:00Z"`, `"2026-11-31T12:00:00Z"`, `"1h"`, `"3600"`, `"60"`, `""`, `"tomorrow"`,
		`null`, `true`, `false`, `[]`, `[60]`, `{}`, `{"seconds":60}`,
	} {
		mustRefuse(t, h.do(t, request{path: "/api/invites", body: `{"room":"r","expires":` + expires + `}`}), http.StatusBadRequest, "invalid_request")
	}
	mustRefuse(t, h.do(t, request{path: "/api/invites", body: `{"room":"r"}`}), http.StatusBadRequest, "invalid_request")
	if len(h.made) != 0 {
		t.Errorf("made %+v", h.made)
	}
}

func TestInvitationsAreParsedInTheirOrder(t *testing.T) {
	for members, want := range map[string]string{
		`,"uses":0`: "invalid_request", `,"uses":-1`: "invalid_request", `,"uses":1001`: "invalid_request", `,"uses":1.0`: "invalid_request", `,"uses":1e2`: "invalid_request",
		`,"uses":"1"`: "invalid_request", `,"uses":""`: "invalid_request", `,"uses":true`: "invalid_request", `,"uses":[1]`: "invalid_request",
		`,"uses":99999999999999999999`: "invalid_request", `,"uses":18446744073709551617`: "invalid_request",
		`,"publish":"true"`: "invalid_request", `,"publish":"false"`: "invalid_request", `,"publish":0`: "invalid_request", `,"publish":1`: "invalid_request",
		`,"publish":""`: "invalid_request", `,"publish":[]`: "invalid_request", `,"publish":{}`: "invalid_request",
		`,"name":7`: "invalid_username", `,"name":false`: "invalid_username", `,"name":["Gus"]`: "invalid_username", `,"name":{}`: "invalid_username",
		`,"name":" "`: "invalid_username", `,"name":"Gus "`: "invalid_username", `,"name":"a\u200bb"`: "invalid_username", `,"name":"a\u0000"`: "invalid_username",
		`,"name":"\u202egus"`: "invalid_username", `,"name":"` + strings.Repeat("n", 257) + `"`: "invalid_username",
		`,"Uses":2`: "unknown_field", `,"by":"bob"`: "unknown_field", `,"used":0`: "unknown_field", `,"id":"inv_9"`: "unknown_field", `,"identity":"ann"`: "unknown_field", `,"username":"Gus"`: "unknown_field",
		`,"room":"s"`: "invalid_json", `,"expires":60`: "invalid_json", `,"publish":true,"\u0070ublish":false`: "invalid_json", `,"name":"\ud800"`: "invalid_json",
		`,"uses":0,"x":1,"publish":7`: "invalid_request", `,"x":1,"uses":0`: "unknown_field", `,"name":7,"uses":0`: "invalid_username",
	} {
		h := newHouse(nil)
		mustRefuse(t, h.do(t, invite(members)), http.StatusBadRequest, want)
		if len(h.made) != 0 {
			t.Errorf("%s: made %+v", members, h.made)
		}
	}
	for body, want := range map[string]string{
		`{}`: "room_required", `{"expires":60}`: "room_required", `{"expires":59}`: "invalid_request", `{"room":"","expires":60}`: "invalid_room", `{"room":null,"expires":60}`: "invalid_room",
		`{"room":7,"expires":1}`: "invalid_room", `{"expires":1,"room":7}`: "invalid_request", `[]`: "invalid_json", `{"room":"r","expires":60}{}`: "invalid_json", "{\"room\":\"\xff\"}": "invalid_json",
	} {
		mustRefuse(t, newHouse(nil).do(t, request{path: "/api/invites", body: body}), http.StatusBadRequest, want)
	}
	for members, want := range map[string]stagedoor.Invitation{
		``: {Uses: 1}, `,"uses":null,"publish":null,"name":null`: {Uses: 1}, `,"name":""`: {Uses: 1}, `,"uses":1000`: {Uses: 1000}, `,"publish":false`: {Uses: 1}, `,"publish":true,"name":"Gus"`: {Uses: 1, Publish: true, Name: "Gus"},
	} {
		h := newHouse(nil)
		resp := h.do(t, invite(members))
		if resp.StatusCode != http.StatusCreated || h.made[0].Uses != want.Uses || h.made[0].Publish != want.Publish || h.made[0].Name != want.Name {
			t.Errorf("%s: %d %+v", members, resp.StatusCode, h.made)
		}
	}
}

func TestInvitersAreRefused(t *testing.T) {
	change := func(r request, name, value string) request {
		r.header = map[string]string{name: value}
		return r
	}
	large := invite("")
	large.body += strings.Repeat(" ", maxBodyBytes)
	for name, c := range map[string]struct {
		r      request
		rule   func(*house)
		status int
		code   string
	}{
		"TestOnlyInvitersInvite":       {change(invite(""), "Authorization", "Bearer bob"), nil, 403, "room_forbidden"},
		"TestGuestsDoNotInvite":        {invite("").guest(), nil, 403, "room_forbidden"},
		"a stranger":                   {change(invite(""), "Authorization", "Bearer eve"), nil, 401, "invalid_token"},
		"who does not publish, guests": {invite(`,"publish":true`), func(h *house) { h.rule.Grants.Publish = false }, 403, "field_not_allowed"},
		"another type":                 {change(invite(""), "Content-Type", "text/plain"), nil, 415, "unsupported_media_type"},
		"too large":                    {large, nil, 413, "body_too_large"},
		"too many open ones":           {invite(""), func(h *house) { h.failure = stagedoor.Refuse(stagedoor.RateLimited, "too many") }, 429, "rate_limited"},
		"a full disk":                  {invite(""), func(h *house) { h.failure = io.ErrShortWrite }, 500, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(nil)
			if c.rule != nil {
				c.rule(h)
			}
			mustRefuse(t, h.do(t, c.r), c.status, c.code)
			if strings.Contains(h.log.String(), "SECRET") {
				t.Errorf("%s", h.log)
			}
		})
	}
}

// The link carries the secret: it leads to the house's pages and no other's,
// whatever the request says of itself.
func TestInvitationLeadsNowhereElse(t *testing.T) {
	const app = "https://app.example"
	production := func(o *Options) { o.AllowedOrigins = []string{app, "https://door.example.com"} }
	configured := func(o *Options) { production(o); o.InviteURL = "https://calls.example/guests" }
	demo := func(o *Options) { o.Demo = &Demo{} }
	local := map[string]string{"Host": "localhost:3000"}
	for name, c := range map[string]struct {
		options func(*Options)
		origin  string
		header  map[string]string
		want    string
	}{
		"the configured page":              {configured, "", nil, "https://calls.example/guests"},
		"that page, whoever asks":          {configured, app, nil, "https://calls.example/guests"},
		"that page, a foreigner asks":      {configured, "https://evil.example", nil, "https://calls.example/guests"},
		"an allowed page":                  {production, app, nil, app + "/"},
		"no page":                          {production, "", nil, ""},
		"TestForeignOriginGetsNoLink":      {production, "https://evil.example", nil, ""},
		"TestNullOriginGetsNoLink":         {production, "null", nil, ""},
		"TestLookAlikeOriginsGetNoLink":    {production, "https://app.example.evil.example", nil, ""},
		"a longer name":                    {production, "https://evil-app.example", nil, ""},
		"without TLS":                      {production, "http://app.example", nil, ""},
		"another port":                     {production, app + ":8443", nil, ""},
		"a user before it":                 {production, app + "@evil.example", nil, ""},
		"another case":                     {production, "https://APP.example", nil, ""},
		"a path behind it":                 {production, app + "/", nil, ""},
		"a list":                           {production, app + ", https://evil.example", nil, ""},
		"a Host that says the same":        {production, "https://evil.example", map[string]string{"Host": "evil.example"}, ""},
		"a forwarded host":                 {production, "https://evil.example", map[string]string{"X-Forwarded-Host": "evil.example", "Referer": "https://evil.example/x"}, ""},
		"a referrer alone":                 {production, "", map[string]string{"Referer": app + "/x"}, ""},
		"nobody is allowed":                {nil, "http://door.example", nil, ""},
		"the demo's own page":              {demo, "http://localhost:3000", local, "http://localhost:3000/"},
		"the demo's own page, with TLS":    {demo, "https://localhost:3000", local, "https://localhost:3000/"},
		"another page on this machine":     {demo, "http://localhost:8099", local, ""},
		"another name of this machine":     {demo, "http://127.0.0.1:3000", local, ""},
		"a foreigner at the demo":          {demo, "https://evil.example", local, ""},
		"a scheme that no browser uses":    {demo, "javascript://localhost:3000", local, ""},
		"a page that only begins the same": {demo, "http://localhost:3000.evil.example", local, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(c.options)
			r := invite("")
			r.header = map[string]string{"Origin": c.origin}
			for name, value := range c.header {
				r.header[name] = value
			}
			if got := bodyOf(t, h.do(t, r))["url"]; got != c.want+"#invite=invite_SECRET" {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestInvitationsSecretIsShownOnce(t *testing.T) {
	h := newHouse(func(o *Options) { o.AllowedOrigins = []string{"https://app.example"} })
	r := invite(`,"name":"Gus"`)
	r.header = map[string]string{"Origin": "https://app.example"}
	resp := h.do(t, r)
	body, _ := io.ReadAll(resp.Body)
	if strings.Count(string(body), "invite_SECRET") != 1 {
		t.Errorf("%s", body)
	}
	h.listed = []stagedoor.Invitation{
		{ID: "inv_3", Room: "r", Uses: 2, Used: 1, Publish: true, Expires: h.now.Add(time.Hour), CreatedAt: h.now, By: stagedoor.PrincipalKey{Issuer: "test", Subject: "CANARY"}},
		{ID: "inv_2", Room: "r", Name: "Gus", Uses: 1, Expires: h.now.Add(-time.Hour), CreatedAt: h.now, RevokedAt: h.now},
	}
	list := h.do(t, request{method: http.MethodGet, path: "/api/invites", header: r.header})
	body, _ = io.ReadAll(list.Body)
	want := `{"invites":[{"id":"inv_3","room":"r","publish":true,"uses":2,"used":1,"expires":"2026-11-24T13:00:00Z","createdAt":"2026-11-24T12:00:00Z"},` +
		`{"id":"inv_2","room":"r","name":"Gus","publish":false,"uses":1,"used":0,"expires":"2026-11-24T11:00:00Z","createdAt":"2026-11-24T12:00:00Z","revoked":true}]}`
	if list.StatusCode != http.StatusOK || string(body) != want {
		t.Errorf("%d %s", list.StatusCode, body)
	}
	for _, each := range []*http.Response{resp, list} {
		for name, values := range each.Header {
			if strings.Contains(strings.Join(values, " "), "SECRET") {
				t.Errorf("%s: %q", name, values)
			}
		}
	}
	if log := h.log.String(); strings.Contains(log, "SECRET") || strings.Count(log, "\n") != 2 || strings.Count(log, `"subject":"ann"`) != 2 || strings.Count(log, `"room":"r"`) != 1 {
		t.Errorf("%s", log)
	}
}

func TestOnlyOnesOwnInvitationsAreListed(t *testing.T) {
	h := newHouse(nil)
	get := request{method: http.MethodGet, path: "/api/invites"}
	for _, c := range []struct {
		r    request
		want stagedoor.PrincipalKey
	}{
		{get, stagedoor.PrincipalKey{Issuer: "test", Subject: "ann"}},
		{request{method: http.MethodGet, path: "/api/invites?by=bob", header: map[string]string{"Authorization": "Bearer bob"}}, stagedoor.PrincipalKey{Issuer: "test", Subject: "bob"}},
		// Those of a guest are nobody's: not their host's.
		{get.guest(), stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer, Subject: "inv_1"}},
	} {
		resp := h.do(t, c.r)
		body, _ := io.ReadAll(resp.Body)
		if h.listedFor != c.want || string(body) != `{"invites":[]}` {
			t.Errorf("%+v: %s", h.listedFor, body)
		}
	}
	for _, authorization := range []string{"", "Bearer eve"} {
		h := newHouse(nil)
		resp := h.do(t, request{method: http.MethodGet, path: "/api/invites", header: map[string]string{"Authorization": authorization}})
		if resp.StatusCode != http.StatusUnauthorized || h.listedFor != (stagedoor.PrincipalKey{}) {
			t.Errorf("%q: %d %+v", authorization, resp.StatusCode, h.listedFor)
		}
	}
	h.failure = io.ErrUnexpectedEOF
	mustRefuse(t, h.do(t, get), http.StatusInternalServerError, "internal")
	none := newHouse(func(o *Options) { o.Invitations = nil })
	if body, _ := io.ReadAll(none.do(t, get).Body); string(body) != `{"invites":[]}` {
		t.Errorf("where nobody keeps any: %s", body)
	}
}

func TestOnlyOnesOwnInvitationIsRevoked(t *testing.T) {
	h := newHouse(nil)
	remove := func(id string) request { return request{method: http.MethodDelete, path: "/api/invites/" + id} }
	others := remove("inv_1")
	others.header = map[string]string{"Authorization": "Bearer bob"}
	for name, r := range map[string]request{"another's": others, "a guest's": remove("inv_1").guest(), "none": remove("inv_9"), "in a query": remove("x?id=inv_1")} {
		t.Run(name, func(t *testing.T) { mustRefuse(t, h.do(t, r), http.StatusNotFound, "not_found") })
	}
	for _, path := range []string{"/api/invites/", "/api/invites/inv_1/", "/api/invites/x/inv_1", "/api/invites//inv_1", "/api/invites/../invites/inv_1"} {
		body := mustRefuse(t, h.do(t, request{method: http.MethodDelete, path: path}), http.StatusNotFound, "not_found")
		if body["error"] != "Not Found: there is nothing at this address" {
			t.Errorf("%s: %v", path, body)
		}
	}
	stranger := remove("inv_1")
	stranger.header = map[string]string{"Authorization": "Bearer eve"}
	mustRefuse(t, h.do(t, stranger), http.StatusUnauthorized, "invalid_token")
	mustRefuse(t, h.do(t, request{method: http.MethodDelete, path: "/api/invites"}), http.StatusMethodNotAllowed, "method_not_allowed")
	if h.revoked != "" {
		t.Errorf("revoked %s", h.revoked)
	}
	resp := h.do(t, remove("inv_1"))
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || string(body) != `{"id":"inv_1","revoked":true}` && string(body) != `{"revoked":true,"id":"inv_1"}` || h.revoked != "inv_1" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	h.failure = io.ErrShortWrite
	mustRefuse(t, h.do(t, remove("inv_1")), http.StatusInternalServerError, "internal")
}

func TestPagesMayRevoke(t *testing.T) {
	h := newHouse(func(o *Options) { o.AllowedOrigins = []string{"https://app.example"} })
	for origin, allowed := range map[string]bool{"https://app.example": true, "https://evil.example": false, "null": false} {
		asks := map[string]string{"Origin": origin, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
		resp := h.do(t, request{method: http.MethodOptions, path: "/api/invites/inv_1", header: asks})
		got := resp.Header.Get("Access-Control-Allow-Origin") + " " + resp.Header.Get("Access-Control-Allow-Methods")
		if resp.StatusCode != http.StatusNoContent || (got == origin+" DELETE") != allowed || !allowed && got != " " {
			t.Errorf("preflight from %s: %d %q", origin, resp.StatusCode, got)
		}
		resp = h.do(t, request{method: http.MethodDelete, path: "/api/invites/inv_9", header: map[string]string{"Origin": origin}})
		if resp.StatusCode != http.StatusNotFound || (resp.Header.Get("Access-Control-Allow-Origin") == origin) != allowed {
			t.Errorf("from %s: %d %v", origin, resp.StatusCode, resp.Header)
		}
	}
}

func FuzzParseInvitation(f *testing.F) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f.Add([]byte(`{"room":"r","expires":60}`))
	f.Add([]byte(`{"room":"r","expires":"2026-11-25T12:00:00+02:00","name":"Gus","publish":true,"uses":1000}`))
	f.Add([]byte(`{"expires":2592001,"uses":1e2,"publish":"false","room":7}`))
	f.Add([]byte(`{"room":"r","expires":"9999-12-31T23:59:59Z"}`))
	f.Add([]byte("{\"room\":\"r\",\"expires\":60,\"name\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := parseInvitation(body, now)
		if err == nil && (v.Room == "" || len(v.Room) > 256 || len(v.Name) > 256 || v.Uses < 1 || v.Uses > 1000 || v.ID != "" || v.Used != 0 ||
			v.By != (stagedoor.PrincipalKey{}) || v.Expires.Before(now.Add(time.Minute)) || v.Expires.After(now.Add(30*24*time.Hour))) {
			t.Fatalf("%q gave %+v", body, v)
		}
		if err != nil && v != (stagedoor.Invitation{}) {
			t.Fatalf("%q gave %+v with %v", body, v, err)
		}
		checkRefusal(t, err)
	})
}
