package httpapi

import (
	"net/http"
	"strings"
)

const (
	moderatePath = "/api/moderate"
	invitesPath  = "/api/invites"

	goodMotion = `{"room":"test-room","identity":"bob","action":"mute"}`
	goodInvite = `{"room":"test-room","expires":3600}`
)

// hostingCalls are what moderators, inviters and guests ask, and what only
// rules can answer.
func hostingCalls() []call {
	all := append(seatCalls(), guestCalls()...)
	all = append(all, moderateCalls()...)
	all = append(all, inviteCalls()...)
	all = append(all, ownInviteCalls()...)
	for _, each := range []call{
		{want: "200", path: moderatePath, body: goodMotion},
		{want: "201", path: invitesPath, body: goodInvite},
		{want: "200", path: invitesPath},
		{want: "200", path: invitesPath + "/inv_guest", method: http.MethodDelete},
	} {
		all = append(all, callerCalls(each)...)
	}
	return all
}

// callerCalls are what the addresses of moderators and inviters have in
// common: the ways in which a good call is refused before its body is read.
func callerCalls(good call) []call {
	var all []call
	one := func(want string, change func(*call)) {
		c := good
		c.want, c.from, c.world = want, ann, hosted
		change(&c)
		all = append(all, c)
	}
	one("401 missing_token", func(c *call) { c.from = nobody })
	one("401 invalid_token", func(c *call) { c.from = forger })
	one("401 expired_token", func(c *call) { c.from = late })
	one("401 invalid_token", func(c *call) { c.from = unasked })
	one("401 expired_token", func(c *call) { c.from = tardy })
	one("403 identity_not_allowed", func(c *call) { c.world = noClaim })
	one("400 invalid_request", func(c *call) { c.header = map[string]string{"X_Forwarded_For": "198.51.100.7"} })
	one("403 https_required", func(c *call) { c.world, c.plain = noHost, true })
	one("403 origin_not_allowed", func(c *call) { c.world, c.host = development, "evil.example.net" })
	one("500 internal", func(c *call) { c.world = broken })
	one("429 rate_limited", func(c *call) { c.world = flooded })
	one("429 rate_limited", func(c *call) { c.world = hasty })
	one("429 rate_limited", func(c *call) { c.world, c.from = guessing, forger })
	one("503 unavailable", func(c *call) { c.world, c.from = noIssuer, stranger })
	one("405 method_not_allowed", func(c *call) { c.method = http.MethodPatch })
	one("308", func(c *call) { c.method, c.body, c.plain = http.MethodGet, "", true })
	one("404 not_found", func(c *call) { c.path += "/" })
	if good.body == "" {
		return all
	}
	one("403 identity_not_allowed", func(c *call) { c.from = hash })
	one("403 room_forbidden", func(c *call) { c.world = production })
	one("403 room_forbidden", func(c *call) { c.from = guest })
	one("403 room_forbidden", func(c *call) { c.from = nameless })
	one("403 banned", func(c *call) { c.from = outcast })
	one("413 body_too_large", func(c *call) { c.body += strings.Repeat(" ", 16<<10) })
	one("415 unsupported_media_type", func(c *call) { c.header = map[string]string{"Content-Type": "text/plain"} })
	one("400 invalid_json", func(c *call) { c.body = `[]` })
	one("400 invalid_json", func(c *call) { c.body = `{"room":"test-room","room":"test-room"}` })
	one("400 unknown_field", func(c *call) { c.body = `{"ttl":60,` + c.body[1:] })
	one("400 room_required", func(c *call) { c.body = strings.Replace(c.body, `"room":"test-room",`, "", 1) })
	one("400 invalid_room", func(c *call) { c.body = strings.Replace(c.body, `"test-room"`, `""`, 1) })
	one("403 room_forbidden", func(c *call) { c.body = strings.Replace(c.body, "test-room", "closed", 1) })
	one("403 session_over", func(c *call) { c.body = strings.Replace(c.body, "test-room", "over", 1) })
	one("500 internal", func(c *call) { c.world = unheard })
	return all
}

// seatCalls are joins that a rule for the room answers.
func seatCalls() []call {
	all := []call{
		{want: "200", path: joinPath, body: goodJoin},
		{want: "200", path: joinPath, body: `{"room":"test-room"}`, from: cara},
		{want: "200", path: joinPath, body: `{"room":"any","device":"tablet"}`},
		{want: "200", path: joinPath, body: `{"room":"test-room","device":"","guest":null}`},
		{want: "400 invalid_request", path: joinPath, body: `{"room":"any","device":"a:b"}`},
		{want: "400 invalid_request", path: joinPath, body: `{"room":"any","guest":"short"}`},
		{want: "403 field_not_allowed", path: joinPath, body: `{"room":"test-room","device":"tablet"}`},
		{want: "403 field_not_allowed", path: joinPath, body: `{"room":"any","guest":"` + tab + `"}`},
		{want: "403 room_full", path: joinPath, body: `{"room":"full"}`},
		{want: "403 session_over", path: joinPath, body: `{"room":"over"}`},
		{want: "409 already_in_room", path: joinPath, body: `{"room":"alone"}`},
		{want: "403 room_forbidden", path: joinPath, body: `{"room":"closed"}`},
		{want: "201", path: tokenPath, body: `{"room_config":{}}`}, // into the default room
		{want: "201", path: tokenPath, body: `{"room_name":"any","participant_identity":"ann:tablet","participant_metadata":"x",` +
			`"participant_attributes":{"device":"tablet","role":"host"},"room_config":{"agents":[{"agent_name":"scribe","metadata":"en"}]}}`},
		{want: "400 invalid_request", path: tokenPath, body: `{"room_name":"any","participant_attributes":{"device":"a:b"}}`},
		{want: "400 invalid_request", path: tokenPath, body: `{"room_name":"any","participant_metadata":"` + strings.Repeat("x", 2<<10+1) + `"}`},
		{want: "403 field_not_allowed", path: tokenPath, body: `{"room_name":"any","participant_attributes":{"rank":"1"}}`},
		{want: "403 field_not_allowed", path: tokenPath, body: `{"room_name":"test-room","participant_attributes":{"device":"tablet"}}`},
		{want: "403 room_full", path: tokenPath, body: `{"room_name":"full"}`},
		{want: "403 session_over", path: tokenPath, body: `{"room_name":"over"}`},
		{want: "409 already_in_room", path: tokenPath, body: `{"room_name":"alone"}`},
		{want: "503 unavailable", path: joinPath, body: `{"room":"full"}`, world: locked},
		{want: "503 unavailable", path: tokenPath, body: `{"room_name":"full"}`, world: locked},
	}
	for i := range all {
		if all[i].world == "" {
			all[i].world = hosted
		}
		if all[i].from == nobody {
			all[i].from = ann
		}
	}
	return all
}

// guestCalls come by invitation.
func guestCalls() []call {
	var all []call
	for path, ask := range map[string]struct{ ok, plain, more string }{
		joinPath:  {"200", `{"guest":"` + tab + `"}`, `{"room":"test-room","username":"Gus","guest":"` + tab + `"}`},
		tokenPath: {"201", `{"participant_attributes":{"guest":"` + tab + `"}}`, `{"room_name":"test-room","participant_name":"Gus","participant_attributes":{"guest":"` + tab + `"}}`},
	} {
		for _, c := range []call{
			{want: ask.ok, body: ask.plain, from: guest},
			{want: ask.ok, body: ask.more, from: guest},
			{want: ask.ok, body: ask.plain, from: named},
			{want: ask.ok, body: ask.more, from: named},
			{want: ask.ok, body: ask.more, from: performer},
			{want: "400 invalid_request", body: `{}`, from: guest},
			{want: "401 invalid_token", body: ask.plain, from: unasked},
			{want: "401 invalid_token", body: ask.plain, from: dropped},
			{want: "401 expired_token", body: ask.plain, from: tardy},
			{want: "401 invalid_token", body: ask.plain, from: guest, world: production}, // where nobody keeps invitations
			{want: "403 room_forbidden", body: ask.plain, from: crowd},
			{want: "403 room_forbidden", body: ask.plain, from: lost},
			{want: "403 room_forbidden", body: strings.Replace(ask.more, "test-room", "lobby", 1), from: guest},
			{want: "403 field_not_allowed", body: strings.Replace(ask.more, "Gus", "Dr. Gus", 1), from: named},
			{want: "403 field_not_allowed", body: strings.Replace(ask.plain, `"guest"`, `"device":"tablet","guest"`, 1), from: guest},
			{want: "403 banned", body: ask.plain, from: barred},
		} {
			c.path = path
			if c.world == "" {
				c.world = hosted
			}
			all = append(all, c)
		}
	}
	return all
}

// moderateCalls are what comes of a body of /api/moderate.
func moderateCalls() []call {
	ask := func(identity, action string) string {
		return `{"room":"test-room","identity":"` + identity + `","action":"` + action + `"}`
	}
	all := []call{
		{want: "200", body: goodMotion},
		{want: "200", body: ask("ann", "mute")},
		{want: "200", body: ask("bob", "remove")},
		{want: "404 not_found", body: ask("nobody", "mute")},
		{want: "404 not_found", body: ask("nobody", "remove")},
		{want: "403 identity_not_allowed", body: ask("ann", "remove")},
		{want: "403 identity_not_allowed", body: ask("passer-by", "mute")},
		{want: "403 identity_not_allowed", body: ask("passer-by", "remove")},
		{want: "400 invalid_request", body: ask("bob", "promote")},
		{want: "400 invalid_request", body: ask("", "mute")},
		{want: "400 invalid_request", body: `{"room":"test-room","identity":"bob"}`},
		{want: "503 unavailable", body: goodMotion, world: deaf},
		{want: "503 unavailable", body: ask("bob", "remove"), world: deaf},
	}
	for i := range all {
		all[i].path, all[i].from = moderatePath, ann
		if all[i].world == "" {
			all[i].world = hosted
		}
	}
	return all
}

// inviteCalls are what comes of a body of /api/invites.
func inviteCalls() []call {
	const soon = `"expires":3600`
	all := []call{
		{want: "201", body: goodInvite},
		{want: "201", body: `{"room":"test-room","expires":60,"name":"Gus","publish":true,"uses":1000}`},
		{want: "201", body: `{"room":"test-room","expires":2592000,"name":null,"publish":null,"uses":null}`},
		{want: "201", body: `{"room":"audience",` + soon + `,"name":"","publish":false,"uses":1}`},
		{want: "403 field_not_allowed", body: `{"room":"audience",` + soon + `,"publish":true}`},
		{want: "403 room_forbidden", body: `{"room":"lobby",` + soon + `}`},
		{want: "400 invalid_username", body: `{"room":"test-room",` + soon + `,"name":7}`},
	}
	for _, bad := range []string{`"expires":59`, `"expires":2592001`, `"expires":60.5`, `"expires":"tomorrow"`, `"expires":"2020-01-01T00:00:00Z"`,
		`"expires":"9999-12-31T23:59:59Z"`, `"expires":null`, `"uses":1`, soon + `,"uses":0`, soon + `,"uses":1001`, soon + `,"uses":"1"`, soon + `,"publish":"yes"`} {
		all = append(all, call{want: "400 invalid_request", body: `{"room":"test-room",` + bad + `}`})
	}
	for i := range all {
		all[i].path, all[i].from, all[i].world = invitesPath, ann, hosted
	}
	return all
}

// ownInviteCalls look at invitations and take them back.
func ownInviteCalls() []call {
	all := []call{
		{want: "200", path: invitesPath, from: ann},
		{want: "200", path: invitesPath, from: cara},
		{want: "200", path: invitesPath, from: guest},
		{want: "200", path: invitesPath, from: outcast},
		{want: "200", path: invitesPath, from: ann, world: production},
		{want: "200", path: invitesPath, from: ann, method: http.MethodHead},
		{want: "200", path: invitesPath + "/inv_dropped", from: ann},
		{want: "404 not_found", path: invitesPath + "/inv_nothing", from: ann},
		{want: "404 not_found", path: invitesPath + "/inv_guest", from: cara},
		{want: "404 not_found", path: invitesPath + "/inv_guest", from: guest},
		{want: "500 internal", path: invitesPath + "/inv_guest", from: ann, world: production}, // where nobody keeps invitations
		{want: "500 internal", path: invitesPath + "/inv_dropped", from: ann, world: unheard},
		{want: "500 internal", path: invitesPath, from: ann, world: locked},
		{want: "405", path: invitesPath + "/inv_guest", from: ann, method: http.MethodHead},
	}
	for i := range all {
		if all[i].world == "" {
			all[i].world = hosted
		}
		if all[i].path != invitesPath && all[i].method == "" {
			all[i].method = http.MethodDelete
		}
	}
	return all
}
