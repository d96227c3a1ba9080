package httpapi

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"stagedoor"
)

// FuzzOrigin gives any forwarding headers from any peer: strangers are not
// believed, and what stands to the left of a proxy's own word changes nothing.
func FuzzOrigin(f *testing.F) {
	for _, peer := range []string{"10.0.0.7:80", "203.0.113.9:80", "[::ffff:10.0.0.7]:80", "[fd00::1%eth0]:80", "@", "10.0.0.7"} {
		for _, forwarded := range []string{"", "192.0.2.1", "192.0.2.1, 10.0.0.2", "evil, 192.0.2.1:4711", "[2001:db8::1]:80,10.1.1.1", "::ffff:192.0.2.1", "10.0.0.1,,10.0.0.2", "unknown", " 192.0.2.1\t", "1.2.3.4, 10.0.0.3, fe80::1%en0"} {
			f.Add(peer, forwarded, "https", false)
			f.Add(peer, forwarded, "HTTPS, http", true)
		}
	}
	f.Fuzz(func(t *testing.T, peer, forwarded, proto string, real bool) {
		a := &api{Options: Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
		if real {
			a.ClientIPHeader = "X-Real-IP"
		}
		ask := func(forwarded string) source {
			return a.origin(&http.Request{RemoteAddr: peer, Header: http.Header{
				"X-Forwarded-For": {forwarded}, "X-Real-Ip": {forwarded}, "X-Forwarded-Proto": {proto}}})
		}
		from := ask(forwarded)
		client, https, trusted := from.client, from.https, from.trusted
		alone := ask("").client
		host, _, err := net.SplitHostPort(peer)
		if err != nil {
			host = peer
		}
		addr, err := netip.ParseAddr(host)
		known := err == nil && a.trusts(addr.Unmap().WithZone(""))
		if trusted != known || !trusted && (https || client != alone) || https && !strings.EqualFold(proto, "https") {
			t.Fatalf("%q with %q: %s %v %v", peer, forwarded, client, https, trusted)
		}
		told, err := netip.ParseAddr(client)
		if err != nil {
			if client != unknownClient || trusted && from.doubt == "" {
				t.Fatalf("%q with %q is %q", peer, forwarded, client)
			}
			return
		}
		if told.Is4In6() || told.Zone() != "" || told.String() != client {
			t.Fatalf("%q with %q is %q, which has a second spelling", peer, forwarded, client)
		}
		if trusted && !real && !a.trusts(told) {
			if forged := ask("6.6.6.6, " + forwarded).client; forged != client {
				t.Fatalf("%q: with a forged hop on the left of %q it is %s instead of %s", peer, forwarded, forged, client)
			}
		}
		if real && trusted && client != alone && strings.Contains(forwarded, ",") {
			t.Fatalf("a list is taken for an address: %q", forwarded)
		}
	})
}

// FuzzLoopbackHost: the development door answers to this machine's own names
// and to no other that a page could be made to use.
func FuzzLoopbackHost(f *testing.F) {
	for _, seed := range []string{"localhost", "localhost:3000", "LOCALHOST", "a.localhost:80", "127.0.0.1", "127.1.2.3:80", "[::1]:80", "::1", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
		"[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "evil.example:localhost", "evil.example#.localhost", "a@localhost", "[localhost]", "]localhost[", "localhost.", ".localhost", ""} {
		f.Add(seed)
	}
	passes := loopbackOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	f.Fuzz(func(t *testing.T, host string) {
		rec := httptest.NewRecorder()
		passes.ServeHTTP(rec, &http.Request{Method: http.MethodGet, Host: host, URL: &url.URL{Path: "/"}})
		if rec.Code != http.StatusTeapot {
			return
		}
		name := strings.ToLower(host)
		if only, _, err := net.SplitHostPort(name); err == nil {
			name = only
		}
		ip := net.ParseIP(strings.Trim(name, "[]"))
		name = strings.Trim(name, "[]")
		if !(ip != nil && ip.IsLoopback()) && name != "localhost" && !strings.HasSuffix(name, ".localhost") && !strings.Contains(name, "%") {
			t.Fatalf("%q is let in", host)
		}
	})
}

// FuzzParseBan: what operators send is a ban that can be kept and shown, or a
// refusal that somebody classified.
func FuzzParseBan(f *testing.F) {
	for _, seed := range []string{
		`{"user":"ann","room":"red","for":"24h","reason":"spam"}`, `{"user":"ann","until":"2026-12-31T18:00:00+01:00","issuer":"i"}`, `{"user":"ann","until":"9999-12-31T23:59:59-23:59"}`,
		`{"user":"ann","for":"2562047h47m16.854775807s"}`, `{"user":"ann","for":"1ns"}`, `{"user":null}`, `{"user":"ann","room":"cafe\u0301"}`, `{"user":"ann","user":"bob"}`, `{"User":"ann"}`, "{\"user\":\"\xff\"}", `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ban, user, issuer, err := parseBan(body, noon)
		checkRefusal(t, err)
		if err != nil {
			return
		}
		if user == "" || len(ban.Reason) > maxReason || !utf8.ValidString(user+issuer+ban.Reason) || ban.ID != "" || ban.Principal != (stagedoor.PrincipalKey{}) ||
			!ban.Until.IsZero() && !ban.Until.After(noon) || ban.Room != "" && stagedoor.CheckText(string(ban.Room)) != nil {
			t.Fatalf("%q gave %+v of %q", body, ban, user)
		}
		rec := httptest.NewRecorder()
		if writeJSON(rec, http.StatusOK, showBan(ban)); rec.Code != http.StatusOK {
			t.Fatalf("%q gave a ban that cannot be shown: %+v", body, ban)
		}
	})
}

// FuzzQuery: a query is read whole or refused; nothing of it is dropped.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "user=ann&room=red", "user=ann&user=bob", "User=ann", "user=%zz", "user=a;room=b", "room=", "room=%20x", "user=%ff", "user", "=", "user=a&&room=b", "user=a+b&issuer=%C3%A9", "room=cafe%CC%81"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := queryOf(&http.Request{URL: &url.URL{RawQuery: raw}}, "user", "issuer", "room")
		checkRefusal(t, err)
		if err != nil {
			return
		}
		pairs := 0
		for pair := range strings.SplitSeq(raw, "&") {
			if pair != "" {
				pairs++
			}
		}
		if len(query) != pairs {
			t.Fatalf("%q has %d members, %v was read", raw, pairs, query)
		}
		room, err := roomOf(query)
		checkRefusal(t, err)
		if err == nil && query.Has("room") != (room != "") {
			t.Fatalf("%q names the room %q", raw, room)
		}
	})
}
