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

// openCalls ask without a token.
func openCalls() []call {
	all := []call{
		{want: "503 unavailable", path: "/readyz", world: noIssuer},
		{want: "503 unavailable", path: "/readyz", world: draining},
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
		both(call{want: "403 origin_not_allowed", path: path, world: development, host: "evil.example.net"})
	}
	for _, path := range probes {
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
