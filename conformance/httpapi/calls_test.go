package httpapi

import (
	"net/http"
	"strings"
)

const (
	joinPath  = "/api/join"
	tokenPath = "/api/token"

	goodJoin  = `{"room":"test-room","username":"Alice"}`
	goodToken = `{"room_name":"test-room","participant_name":"Alice","room_config":{}}`
)

// files and probes are the addresses that want no token.
var (
	files  = []string{"/livekit-join.js", "/openapi.yaml"}
	probes = []string{"/healthz", "/readyz"}
)

// calls is the table: together they bring about everything that the contract
// has a word for.
func calls() []call {
	var all []call
	for path, good := range map[string]string{joinPath: goodJoin, tokenPath: goodToken} {
		all = append(all, roomCalls(path, good)...)
	}
	all = append(all, joinCalls()...)
	all = append(all, tokenCalls()...)
	all = append(all, openCalls()...)
	all = append(all, eventCalls()...)
	all = append(all, operatorCalls()...)
	all = append(all, hostingCalls()...)
	all = append(all, cookieCalls()...)
	return append(all, strayCalls()...)
}

// roomCalls are what the two ways into a room have in common.
func roomCalls(path, good string) []call {
	content := func(value string) map[string]string { return map[string]string{"Content-Type": value} }
	all := []call{
		{want: "400 invalid_json", body: `[]`, from: ann},
		{want: "400 invalid_json", body: `{"room":"a","room":"b"}`, from: ann},
		{want: "400 room_required", body: `{}`, from: ann},
		{want: "401 missing_token", body: good},
		{want: "401 missing_token", body: good, header: map[string]string{"Authorization": "Basic YTpi"}},
		{want: "401 invalid_token", body: good, from: forger},
		{want: "401 invalid_token", body: good, header: map[string]string{"Authorization": "Bearer x"}},
		{want: "401 expired_token", body: good, from: late},
		{want: "403 identity_not_allowed", body: good, from: hash},
		{want: "403 identity_not_allowed", body: good, from: ann, world: noClaim},
		{want: "403 field_not_allowed", body: good, from: ann, world: noNames},
		{want: "403 room_forbidden", body: good, from: ann, world: closed},
		{want: "403 banned", body: good, from: outcast},
		{want: "403 https_required", body: good, from: ann, plain: true},
		{want: "403 origin_not_allowed", body: good, from: ann, world: development, host: "evil.example.net"},
		{want: "413 body_too_large", body: good + strings.Repeat(" ", 16<<10), from: ann},
		{want: "415 unsupported_media_type", body: good, from: ann, header: content("text/plain")},
		{want: "415 unsupported_media_type", body: good, from: ann, header: content("application/json; charset=latin1")},
		{want: "415 unsupported_media_type", body: good, from: ann, header: map[string]string{"Content-Encoding": "gzip"}},
		{want: "500 internal", body: good, from: ann, world: noKey},
		{want: "500 internal", body: good, from: ann, world: fullDisk},
		{want: "500 internal", body: good, from: ann, world: broken},
		{want: "503 unavailable", body: good, from: stranger, world: noIssuer},
		{want: "429 rate_limited", body: good, from: ann, world: flooded},
		{want: "429 rate_limited", body: good, from: ann, world: hasty},
		{want: "429 rate_limited", body: good, from: forger, world: guessing},
		{want: "401 invalid_token", body: good, from: forger, world: hasty},
		{want: map[string]string{joinPath: "200", tokenPath: "201"}[path], body: good, from: ann, world: guessing},
		{want: "405 method_not_allowed", method: http.MethodGet},
		{want: "405", method: http.MethodHead},
		{want: "405 method_not_allowed", method: http.MethodPut, body: good, from: ann},
		{want: "308", method: http.MethodGet, plain: true},
		{want: "404 not_found", path: path + "/", body: good, from: ann},
	}
	for i := range all {
		if all[i].path == "" {
			all[i].path = path
		}
	}
	return all
}

func joinCalls() []call {
	all := []call{
		{want: "400 unknown_field", body: `{"room":"r","ttl":60}`},
		{want: "400 unknown_field", body: `{"Room":"r"}`},
		{want: "400 invalid_room", body: `{"room":""}`},
		{want: "400 invalid_username", body: `{"room":"r","username":7}`},
		{want: "200", body: goodJoin, header: map[string]string{"Content-Type": "application/json; charset=UTF-8"}},
		{want: "200", body: goodJoin, world: development},
		{want: "200", body: `{"room":"test-room"}`, world: noNames},
	}
	for _, w := range []world{production, mute, paid, lapsed, small, unknown, draining} {
		all = append(all, call{want: "200", body: goodJoin, world: w})
	}
	for i := range all {
		all[i].path, all[i].from = joinPath, ann
	}
	return all
}

func tokenCalls() []call {
	all := []call{
		{want: "201", body: goodToken, from: ann},
		{want: "201", body: goodToken, from: ann, world: paid},
		{want: "201", body: `{"roomName":"test-room","participantName":"Alice","roomConfig":{"agents":[]},"tomorrow":1}`, from: ann},
		{want: "201", body: `{"room_name":"r","participant_identity":"ann","participant_metadata":"","participant_attributes":{}}`, from: ann},
		{want: "201", body: `{"room_name":"r","participant_name":null,"participant_identity":null,"participant_metadata":null,` +
			`"participant_attributes":null,"room_config":null}`, from: nameless},
		{want: "400 invalid_json", body: `{"room_name":"r","roomName":"r"}`, from: ann},
		{want: "400 invalid_json", body: `{"room_name":"r","room_config":[]}`, from: ann},
		{want: "400 invalid_json", body: `{"room_name":"r","participant_metadata":7}`, from: ann},
		{want: "400 room_required", body: `{"room_name":""}`, from: ann},
		{want: "400 invalid_room", body: `{"room_name":7}`, from: ann},
		{want: "400 invalid_username", body: `{"room_name":"r","participant_name":7}`, from: ann},
		{want: "403 identity_not_allowed", body: `{"room_name":"r","participant_identity":"bob"}`, from: ann},
		{want: "403 field_not_allowed", body: `{"room_name":"r","participant_metadata":"x"}`, from: ann},
		{want: "403 field_not_allowed", body: `{"room_name":"r","participant_attributes":{"role":""}}`, from: ann},
		{want: "403 field_not_allowed", body: `{"room_name":"r","room_config":{"agents":[{}]}}`, from: ann},
	}
	for i := range all {
		all[i].path = tokenPath
	}
	return all
}

// cookieCalls have the caller's token in a cookie.
func cookieCalls() []call {
	twice := map[string]string{"Cookie": cookieName + "=a; " + cookieName + "=b"}
	var all []call
	for _, c := range []call{
		{want: "200", path: joinPath, body: goodJoin, cookie: ann},
		{want: "201", path: tokenPath, body: goodToken, cookie: ann},
		{want: "403 room_forbidden", path: moderatePath, body: goodMotion, cookie: ann},
		{want: "403 room_forbidden", path: invitesPath, body: goodInvite, cookie: ann},
		{want: "200", path: invitesPath, cookie: ann},
	} {
		one := func(want string, change func(*call)) {
			c := c
			c.want, c.world = want, cookies
			change(&c)
			all = append(all, c)
		}
		one(c.want, func(*call) {})
		one(c.want, func(c *call) { c.from, c.cookie, c.header = ann, nobody, twice }) // the header comes first
		one("401 invalid_token", func(c *call) { c.cookie = forger })
		one("401 invalid_token", func(c *call) { c.header = twice })
		one("401 expired_token", func(c *call) { c.cookie = late })
		one("401 missing_token", func(c *call) { c.header = map[string]string{"Authorization": "Basic YTpi"} })
	}
	return all
}

// openCalls ask without a token.
func openCalls() []call {
	all := []call{
		{want: "200", path: "/readyz", world: noIssuer},
		{want: "503 unavailable", path: "/readyz", world: draining},
		{want: "503 unavailable", path: "/readyz", world: fullDisk},
		{want: "200", path: "/healthz", world: draining},
	}
	both := func(c call) {
		all = append(all, c)
		c.method, c.want = http.MethodHead, c.want[:3]
		all = append(all, c)
	}
	for _, path := range append(probes, files...) {
		both(call{want: "200", path: path})
		both(call{want: "200", path: path, world: development})
		all = append(all, call{want: "405 method_not_allowed", method: http.MethodPost, path: path},
			call{want: "405 method_not_allowed", method: http.MethodOptions, path: path})
	}
	for _, path := range files {
		both(call{want: "429 rate_limited", path: path, world: flooded})
		both(call{want: "403 origin_not_allowed", path: path, world: development, host: "evil.example.net"})
	}
	for _, path := range probes {
		both(call{want: "200", path: path, world: flooded})
		both(call{want: "200", path: path, world: development, host: "healthcheck.platform.example"})
		both(call{want: "200", path: path, plain: true, host: "10.0.0.7:8080"})
	}
	for _, path := range files {
		both(call{want: "308", path: path + "?v=1", plain: true, host: "evil.example.net"})
		both(call{want: "403 https_required", path: path, plain: true, world: noHost})
	}
	return all
}

// strayCalls go to addresses that the contract does not list.
func strayCalls() []call {
	return []call{
		{want: "404 not_found", path: "/"},
		{want: "404 not_found", path: "/demo/config.json"},
		{want: "404 not_found", path: "//healthz"},
		{want: "404 not_found", path: "/api/../healthz"},
		{want: "404 not_found", path: "/API/join", body: goodJoin, from: ann},
		{want: "403 https_required", path: "/nowhere", body: "{}", plain: true},
		{want: "308", path: "/nowhere", plain: true},
	}
}

// eventCalls are what comes to the webhooks.
func eventCalls() []call {
	var all []call
	for _, to := range []struct {
		path, header, event, none string
		sender                    caller
	}{
		{"/webhooks/stripe", "Stripe-Signature", `{"id":"evt_1","object":"event","type":"customer.updated","livemode":false,"data":{"object":{"id":"cus_1"}}}`, `{"id":"evt_1"}`, stripe},
		{"/webhooks/livekit", "Authorization", `{"id":"EV_1","event":"participant_joined","room":{"name":"r"},"participant":{"sid":"PA_1","identity":"ann"}}`, `{"id":"EV_1"}`, sfu},
	} {
		for _, c := range []call{
			{want: "200", body: to.event, from: to.sender},
			{want: "200", body: to.event + strings.Repeat(" ", 1<<20-len(to.event)), from: to.sender},
			{want: "400 invalid_signature", body: to.event},
			{want: "400 invalid_signature", body: to.event, header: map[string]string{to.header: "t=1,v1=00"}},
			{want: "429 rate_limited", body: to.event, world: flooded},
			{want: "200", body: to.event, from: to.sender, world: flooded},
			{want: "400 invalid_event", body: to.none, from: to.sender},
			{want: "400 invalid_event", body: "no JSON", from: to.sender},
			{want: "413 body_too_large", body: strings.Repeat(" ", 1<<20+1), from: to.sender, header: map[string]string{"Expect": "100-continue"}},
			{want: "403 https_required", body: to.event, from: to.sender, plain: true},
			{want: "500 internal", body: to.event, from: to.sender, world: fullDisk},
			{want: "405 method_not_allowed", method: http.MethodGet},
			{want: "404 not_found", body: to.event, from: to.sender, world: alone},
		} {
			c.path = to.path
			all = append(all, c)
		}
	}
	return all
}

// operation is one thing that operators can ask for, in a way that succeeds.
type operation struct{ want, method, path, body string }

var operations = []operation{
	{"200", http.MethodGet, "bans", ""},
	{"201", http.MethodPost, "bans", `{"user":"ann","room":"test-room","for":"24h","reason":"spam"}`},
	{"200", http.MethodDelete, "bans?user=bob", ""},
	{"200", http.MethodDelete, "bans/ban_1", ""},
	{"200", http.MethodPost, "forget", `{"user":"ann","issuer":"i","bans":true,"dryRun":true}`},
	{"200", http.MethodGet, "explain?user=ann&room=test-room", ""},
	{"200", http.MethodGet, "live", ""},
	{"200", http.MethodGet, "billing", ""},
	{"200", http.MethodPost, "sync", ""},
}

// operatorCalls are what operators ask, and others in their place.
func operatorCalls() []call {
	const path, invalid = "bans", "400 invalid_request"
	all := []call{
		{want: "200", path: "bans?user=bob"},
		{want: "200", path: "bans?user=nobody&issuer=stagedoor"},
		{want: invalid, path: "bans?user=twin"},
		{want: "500 internal", path: "bans?user=bob", world: fullDisk},
		{want: "201", path: path, body: `{"user":"ann"}`},
		{want: "201", path: path, body: `{"user":"ann","issuer":null,"room":null,"until":"2126-12-31T18:00:00+01:00","for":"","reason":""}`},
		{want: invalid, path: path, body: `{"user":""}`},
		{want: invalid, path: path, body: `{"user":"twin"}`},
		{want: invalid, path: path, body: `{"user":7}`},
		{want: invalid, path: path, body: `{"user":"ann","for":"-1h"}`},
		{want: invalid, path: path, body: `{"user":"ann","until":"2020-01-01T00:00:00Z"}`},
		{want: invalid, path: path, body: `{"user":"ann","for":"1h","until":"2126-01-01T00:00:00Z"}`},
		{want: invalid, path: path, body: `{"user":"ann","reason":"` + strings.Repeat("x", 501) + `"}`},
		{want: "400 invalid_room", path: path, body: `{"user":"ann","room":" r"}`},
		{want: "400 unknown_field", path: path, body: `{"user":"ann","ttl":60}`},
		{want: "400 invalid_json", path: path, body: `[]`},
		{want: "413 body_too_large", path: path, body: `{"user":"ann"}` + strings.Repeat(" ", 16<<10)},
		{want: "415 unsupported_media_type", path: path, body: `{"user":"ann"}`, header: map[string]string{"Content-Type": "text/plain"}},
		{want: "200", method: http.MethodDelete, path: "bans?user=bob&room=test-room"},
		{want: "200", method: http.MethodDelete, path: "bans?user=nobody"},
		{want: invalid, method: http.MethodDelete, path: path},
		{want: "400 invalid_room", method: http.MethodDelete, path: "bans?user=ann&room=%20r"},
		{want: "404 not_found", method: http.MethodDelete, path: "bans/ban_3"},
		{want: invalid, method: http.MethodDelete, path: "bans/ban_1", header: map[string]string{"X-Operator": strings.Repeat("x", 65)}},
		{want: invalid, path: path, body: `{"user":"ann"}`, header: map[string]string{"X-Operator": strings.Repeat("x", 65)}},
		{want: "201", path: path, body: `{"user":"ann"}`, header: map[string]string{"X-Operator": "Zoë"}},
		{want: "200", path: "forget", body: `{"user":"ann"}`},
		{want: "200", path: "forget", body: `{"user":"ann","issuer":null,"bans":null,"dryRun":false}`},
		{want: invalid, path: "forget", body: `{"user":""}`},
		{want: invalid, path: "forget", body: `{"user":"twin"}`},
		{want: invalid, path: "forget", body: `{"user":"ann","dryRun":"yes"}`},
		{want: invalid, path: "forget", body: `{"user":7}`},
		{want: "400 unknown_field", path: "forget", body: `{"user":"ann","dryrun":true}`},
		{want: "400 invalid_json", path: "forget", body: `{"user":"ann","user":"bob"}`},
		{want: "413 body_too_large", path: "forget", body: `{"user":"ann"}` + strings.Repeat(" ", 16<<10)},
		{want: "415 unsupported_media_type", path: "forget", body: `{"user":"ann"}`, header: map[string]string{"Content-Type": "text/plain"}},
		{want: "200", path: "explain?user=ann"},
		{want: invalid, path: "explain"},
		{want: "400 invalid_room", path: "explain?user=ann&room=%20r"},
		{want: "404 not_found", path: "billing", world: alone},
		{want: invalid, method: http.MethodPost, path: "sync", world: alone},
		{want: "200", method: http.MethodPost, path: "sync", world: fullDisk}, // and its last line has the error
		{want: "404 not_found", path: "nothing"},
	}
	for i := range all {
		all[i].from = operator
	}
	for _, o := range operations {
		good := call{want: o.want, method: o.method, path: o.path, body: o.body, from: operator}
		all = append(all, good)
		one := func(want string, change func(*call)) {
			c := good
			c.want = want
			change(&c)
			all = append(all, c)
		}
		one("401 missing_token", func(c *call) { c.from = "" })
		one("401 invalid_token", func(c *call) { c.from = ann })
		one("401 invalid_token", func(c *call) { c.from, c.guesses = ann, 9 })
		one("429 rate_limited", func(c *call) { c.from, c.guesses = ann, 10 })
		one(o.want, func(c *call) { c.guesses = 10 })
		one("403 origin_not_allowed", func(c *call) { c.world, c.host = development, "evil.example.net" })
		one("403 https_required", func(c *call) { c.world, c.plain = noHost, true })
		one("405 method_not_allowed", func(c *call) { c.method = http.MethodPatch })
		one("405", func(c *call) { c.method, c.body = http.MethodHead, "" })
		switch {
		case o.path == "sync":
			one("500 internal", func(c *call) { c.world = broken })
		case o.method != http.MethodGet || o.path != path:
			one("500 internal", func(c *call) { c.world = fullDisk })
		}
		if o.method == http.MethodGet {
			one("308", func(c *call) { c.plain = true })
		}
	}
	for i := range all {
		all[i].path = adminPath + all[i].path
	}
	return all
}
