package hostile

import (
	"fmt"
	"strings"
)

// versions are requests of other versions of HTTP, or of none.
//
// SPEC: RFC 9112 §2.3, §6.1, §9.3; RFC 9110 §15.6.6.
func versions() []vector {
	head := "POST /api/join %s\r\nHost: door\r\nAuthorization: Bearer " + callerToken("alice") + "\r\nContent-Type: application/json\r\n%s\r\n%s" + hidden()
	with := func(version, lines, after string) string { return fmt.Sprintf(head, version, lines, after) }
	const keep = "Connection: keep-alive\r\n"
	all := []vector{
		{name: "1.0", request: with("HTTP/1.0", "Content-Length: 16\r\n", body), status: 200},
		{name: "1.0 kept", request: with("HTTP/1.0", keep+"Content-Length: 16\r\n", body), status: 200},
		{name: "1.2", request: strings.TrimSuffix(with("HTTP/1.2", "Content-Length: 16\r\n", body), hidden()), status: 200, open: true},
		{name: "1.0 kept, with TE", request: with("HTTP/1.0", keep+smuggling, chunked), status: 400},
		{name: "1.0 kept, with TE and nothing", request: with("HTTP/1.0", keep+smuggling, ""), status: 400},
		{name: "1.0 kept, with CL and TE", request: with("HTTP/1.0", keep+smuggling+"Content-Length: 16\r\n", body), status: 200},
		{name: "0.9", request: "GET /smuggled\r\n" + hidden(), status: 400},
		{name: "the preface of HTTP/2", request: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden(), status: 404},
		{name: "an upgrade to h2c", request: outer("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 16\r\nConnection: close\r\n", body), status: 200},
		{name: "an upgrade to a websocket", request: outer("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\nContent-Length: 16\r\n", body), status: 200},
	}
	for _, version := range []string{"HTTP/2.0", "HTTP/3.0", "HTTP/0.9"} {
		all = append(all, vector{name: version, request: with(version, "Content-Length: 16\r\n", body), status: 505})
	}
	for _, version := range []string{"http/1.1", "HTTP/1.1x", "HTTP/01.1", "HTTP/1", "HTTP/1.10", "HTTP/-1.1", "HTTP/1.1 HTTP/1.1", "HTTPS/1.1", "HTTP/1,1", "HTTP /1.1", ""} {
		all = append(all, vector{name: "version " + version, request: with(version, "Content-Length: 16\r\n", body), status: 400})
	}
	return all
}

// targets are request lines and hosts that are read in different ways.
//
// SPEC: RFC 9112 §3; RFC 9110 §7.2.
func targets() []vector {
	with := func(line, host string) string {
		return line + "\r\n" + host + "Authorization: Bearer " + callerToken("alice") + "\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + body
	}
	const join, host = "POST /api/join HTTP/1.1", "Host: door\r\n"
	all := []vector{
		{name: "absolute form", request: with("POST http://evil.example/api/join HTTP/1.1", host), status: 200, open: true},
		{name: "absolute form with somebody's name", request: with("POST http://a:b@evil.example/api/join HTTP/1.1", host), status: 200, open: true},
		{name: "asterisk", request: with("OPTIONS * HTTP/1.1", host), status: 404, open: true},
		{name: "asterisk of another method", request: with("POST * HTTP/1.1", host), status: 404, open: true},
		{name: "authority form", request: with("CONNECT evil.example:443 HTTP/1.1", host), status: 404, open: true},
		{name: "an empty host", request: with(join, "Host:\r\n"), status: 200, open: true},
		{name: "two slashes", request: with("POST //api/join HTTP/1.1", host), status: 404, open: true},
		{name: "dots", request: with("POST /healthz/../api/join HTTP/1.1", host), status: 404, open: true},
		{name: "dots in disguise", request: with("POST /healthz/%2e%2e/api/join HTTP/1.1", host), status: 404, open: true},
		{name: "a slash in disguise", request: with("POST /api%2fjoin HTTP/1.1", host), status: 404, open: true},
		{name: "NUL in disguise", request: with("POST /api/join%00 HTTP/1.1", host), status: 404, open: true},
		{name: "a semicolon", request: with("POST /api/join;x HTTP/1.1", host), status: 404, open: true},
		{name: "a bad query", request: with("POST /api/join?%zz;&%00=\xff HTTP/1.1", host), status: 200, open: true},
		{name: "another method", request: with("post /api/join HTTP/1.1", host), status: 405, open: true},
		{name: "another's method", request: with("JOIN /api/join HTTP/1.1", host+"X-HTTP-Method-Override: POST\r\n"), status: 405, open: true},
		{name: "an empty line first", request: "\r\n" + with(join, host), status: 400},
	}
	for _, line := range []string{"POST  /api/join HTTP/1.1", "POST /api/join  HTTP/1.1", "POST\t/api/join\tHTTP/1.1", " POST /api/join HTTP/1.1", "POST /api/join x HTTP/1.1", "POST /api/\x00join HTTP/1.1", "POST /api/\x7fjoin HTTP/1.1", "PO\x00ST /api/join HTTP/1.1", "PO(ST /api/join HTTP/1.1",
		"POST api/join HTTP/1.1", "POST ../api/join HTTP/1.1", "POST ? HTTP/1.1", "POST /api/join%zz HTTP/1.1", "POST http://[::1/api/join HTTP/1.1", "POST http://a:b:c/api/join HTTP/1.1", "POST", "\x16\x03\x01\x00\xa5\x01"} {
		all = append(all, vector{name: fmt.Sprintf("line %q", line), request: with(line, host) + hidden(), status: 400})
	}
	for _, hosts := range []string{"", host + host, host + "Host: evil\r\n", "Host: door\x00\r\n", "Host: door evil\r\n", "Host: do\x7for\r\n", "Host: door/evil\r\n", "Host: d\xc3\xb6r\r\n", "Host: door\r\n evil\r\n", "Host : door\r\n", " Host: door\r\n", "Host: a@door\r\n", "Host: <door>\r\n"} {
		all = append(all, vector{name: fmt.Sprintf("hosts %q", hosts), request: with(join, hosts) + hidden(), status: 400})
	}
	return all
}

// lines are header lines that are none.
//
// SPEC: RFC 9112 §2.2, §5; RFC 9110 §5.1, §5.5.
func lines() []vector {
	var all []vector
	for _, line := range []string{"no colon\r\n", ": no name\r\n", "X A: b\r\n", "X-A\x00: b\r\n", "X-A: \x00\r\n", "X-A: b\x00c\r\n", "X-A: b\rc\r\n", "X-A: \x7f\r\n", "X-\xff: b\r\n", "X(A): b\r\n", "X-A\r\n: b\r\n", "\x00\r\n", "Sm\u00fcggle: b\r\n", "X-A: \x1b[2J\r\n", "\r: b\r\n", "X-A:\x08b\r\n"} {
		all = append(all, vector{name: fmt.Sprintf("%q", line), request: outer(line+"Content-Length: 16\r\n", body), status: 400})
	}
	return append(all,
		vector{name: "bare LFs", request: strings.ReplaceAll(joinHead("alice")+"Content-Length: 16\r\n\r\n", "\r\n", "\n") + body, status: 200, open: true},
		vector{name: "two tokens", request: outer("Authorization: Bearer "+callerToken("mallory")+"\r\n"+length("Content-Length: %d\r\n", ""), ""), status: 401, open: true},
		vector{name: "Connection names the token", request: joinHead("alice") + "Connection: Authorization, Content-Length\r\nContent-Length: 16\r\n\r\n" + body, status: 200, open: true},
		vector{name: "a proxy's connection header", request: joinHead("alice") + "Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=999999\r\nContent-Length: 16\r\n\r\n" + body, status: 200, open: true},
	)
}
