package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// behindProxy is a door on loopback that trusts loopback: what is sent to it
// byte by byte is what the proxy sends.
func behindProxy(t *testing.T, header string, trusted ...string) (*harness, string) {
	t.Helper()
	h := newHarness(func(o *Options) {
		o.ClientIPHeader, o.RequireHTTPS = header, true
		for _, prefix := range append([]string{"127.0.0.0/8"}, trusted...) {
			o.TrustedProxies = append(o.TrustedProxies, netip.MustParsePrefix(prefix))
		}
	})
	server := httptest.NewServer(h.api)
	t.Cleanup(server.Close)
	return h, server.Listener.Addr().String()
}

// seen is what came of one request: the status and its code, and whom the log
// names as the client.
type seen struct{ outcome, client string }

// sendRaw sends a join of ann's with further header lines.
func sendRaw(t *testing.T, h *harness, addr string, lines ...string) seen {
	t.Helper()
	h.log.Reset()
	conn := dial(t, addr, "POST /api/join HTTP/1.1\r\nHost: door.example\r\nAuthorization: Bearer ann\r\nContent-Type: application/json\r\n"+
		"Content-Length: 12\r\nConnection: close\r\n"+strings.Join(append(lines, ""), "\r\n")+"\r\n"+`{"room":"r"}`)
	resp := answerOf(t, conn, 5*time.Second)
	body := bodyOf(t, resp) // the body ends after the line is written
	outcome := resp.Status[:3]
	if code, refused := body["code"].(string); refused {
		outcome += " " + code
	}
	var line struct{ Client string }
	if err := json.Unmarshal(h.log.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, h.log)
	}
	return seen{outcome, line.Client}
}

const (
	overHTTPS = "X-Forwarded-Proto: https"
	victim    = "198.51.100.7"
)

// Behind a proxy that names the client in a header of its own, no request
// makes the client one of the sender's choice.
func TestSpoofedClientHeadersAreRefused(t *testing.T) {
	h, addr := behindProxy(t, "X-Real-IP")
	refused, itself := seen{"400 invalid_request", "unknown"}, seen{"200", "127.0.0.1"}
	for name, c := range map[string]struct {
		lines []string
		want  seen
	}{
		"the proxy's word":                       {[]string{"X-Real-IP: 203.0.113.9"}, seen{"200", "203.0.113.9"}},
		"in any case":                            {[]string{"x-rEAL-ip: 203.0.113.9"}, seen{"200", "203.0.113.9"}},
		"with a port":                            {[]string{"X-Real-IP: 203.0.113.9:4711"}, seen{"200", "203.0.113.9"}},
		"IPv6 in brackets":                       {[]string{"X-Real-IP: [2001:db8::9]"}, seen{"200", "2001:db8::9"}},
		"IPv4 in IPv6":                           {[]string{"X-Real-IP: ::ffff:203.0.113.9"}, seen{"200", "203.0.113.9"}},
		"the proxy says nothing":                 {nil, itself},
		"TestSecondClientHeaderIsRefused":        {[]string{"X-Real-IP: " + victim, "X-Real-IP: 203.0.113.9"}, refused},
		"a second one in another case":           {[]string{"x-real-ip: " + victim, "X-Real-IP: 203.0.113.9"}, refused},
		"the same twice":                         {[]string{"X-Real-IP: 203.0.113.9", "X-Real-IP: 203.0.113.9"}, refused},
		"TestCommaInClientHeaderIsRefused":       {[]string{"X-Real-IP: " + victim + ", 203.0.113.9"}, refused},
		"a comma at its end":                     {[]string{"X-Real-IP: 203.0.113.9,"}, refused},
		"empty":                                  {[]string{"X-Real-IP:"}, refused},
		"a name":                                 {[]string{"X-Real-IP: localhost"}, refused},
		"unknown, in its own word":               {[]string{"X-Real-IP: unknown"}, refused},
		"two addresses and a space":              {[]string{"X-Real-IP: 203.0.113.9 198.51.100.7"}, refused},
		"octal":                                  {[]string{"X-Real-IP: 0313.0.113.9"}, refused},
		"a range":                                {[]string{"X-Real-IP: 203.0.113.0/24"}, refused},
		"TestUnderscoreClientHeaderIsRefused":    {[]string{"X_Real_IP: " + victim, "X-Real-IP: 203.0.113.9"}, refused},
		"half an underscore":                     {[]string{"X-Real_IP: " + victim, "X-Real-IP: 203.0.113.9"}, refused},
		"an underscore alone":                    {[]string{"x_real_ip: " + victim}, refused},
		"an underscore in what is not read":      {[]string{"X_Forwarded_For: " + victim, "X-Real-IP: 203.0.113.9"}, refused},
		"TestForwardedForIsNotReadBesideAnother": {[]string{"X-Forwarded-For: " + victim, "X-Real-IP: 203.0.113.9"}, seen{"200", "203.0.113.9"}},
		"nor in its place":                       {[]string{"X-Forwarded-For: " + victim}, itself},
		"TestForwardedIsNotRead":                 {[]string{"Forwarded: for=" + victim + ";proto=https"}, itself},
		"nor others'":                            {[]string{"CF-Connecting-IP: " + victim, "True-Client-IP: " + victim, "Fly-Client-IP: " + victim, "Client-IP: " + victim, "X-Client-IP: " + victim}, itself},
		"TestHopByHopListRemovesNothing":         {[]string{"Connection: X-Real-IP, X-Forwarded-Proto", "X-Real-IP: 203.0.113.9"}, seen{"200", "203.0.113.9"}},
		"other underscores are nobody's matter":  {[]string{"X_Team: a", "X-Real-IP: 203.0.113.9"}, seen{"200", "203.0.113.9"}},
	} {
		if got := sendRaw(t, h, addr, append(c.lines, overHTTPS)...); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestSpoofedHopsAreNotTaken(t *testing.T) {
	h, addr := behindProxy(t, "", "10.0.0.0/8")
	for name, c := range map[string]struct {
		lines  []string
		client string
	}{
		"one hop":                                 {[]string{"X-Forwarded-For: 203.0.113.9"}, "203.0.113.9"},
		"TestLeftMostHopIsTheClientsOwnWord":      {[]string{"X-Forwarded-For: " + victim + ", 203.0.113.9"}, "203.0.113.9"},
		"past trusted ones":                       {[]string{"X-Forwarded-For: " + victim + ",203.0.113.9,10.0.0.2,\t10.0.0.1"}, "203.0.113.9"},
		"TestSeveralLinesAreOneList":              {[]string{"X-Forwarded-For: " + victim, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 10.0.0.2, 10.0.0.1"}, "203.0.113.9"},
		"several lines in several cases":          {[]string{"x-forwarded-for: " + victim, "X-FORWARDED-FOR: 203.0.113.9"}, "203.0.113.9"},
		"ports and brackets":                      {[]string{"X-Forwarded-For: " + victim + ", [2001:db8::9]:443, 10.0.0.1:80"}, "2001:db8::9"},
		"brackets alone":                          {[]string{"X-Forwarded-For: [2001:db8::9]"}, "2001:db8::9"},
		"a zone is dropped":                       {[]string{"X-Forwarded-For: fe80::1%eth0"}, "fe80::1"},
		"TestGarbageEndsTheWalk":                  {[]string{"X-Forwarded-For: " + victim + ", unknown, 10.0.0.1"}, "10.0.0.1"},
		"garbage last":                            {[]string{"X-Forwarded-For: " + victim + ", unknown"}, "127.0.0.1"},
		"an empty entry":                          {[]string{"X-Forwarded-For: " + victim + ", , 10.0.0.1"}, "10.0.0.1"},
		"an empty line":                           {[]string{"X-Forwarded-For: " + victim, "X-Forwarded-For:"}, "127.0.0.1"},
		"TestForwardedElementsAreNoHops":          {[]string{"X-Forwarded-For: for=" + victim}, "127.0.0.1"},
		"an obfuscated name":                      {[]string{"X-Forwarded-For: _" + victim + ", 10.0.0.1"}, "10.0.0.1"},
		"TestMappedAddressOfAProxyIsTheProxy":     {[]string{"X-Forwarded-For: " + victim + ", 203.0.113.9, ::ffff:10.0.0.1"}, "203.0.113.9"},
		"TestRealIPIsNotReadBesideForwardedFor":   {[]string{"X-Real-IP: " + victim, "X-Forwarded-For: 203.0.113.9"}, "203.0.113.9"},
		"TestHopByHopListRemovesNoForwardedFor":   {[]string{"Connection: X-Forwarded-For", "X-Forwarded-For: 203.0.113.9"}, "203.0.113.9"},
		"TestManyHopsCostNoMoreThanTheirReading":  {[]string{"X-Forwarded-For: " + strings.Repeat("1,", 4000) + "203.0.113.9"}, "203.0.113.9"},
		"nothing said: the proxy is who connects": {nil, "127.0.0.1"},
	} {
		if got := sendRaw(t, h, addr, append(c.lines, overHTTPS)...); got != (seen{"200", c.client}) {
			t.Errorf("%s: %+v, want 200 from %s", name, got, c.client)
		}
	}
	for _, line := range []string{"X_Forwarded_For: " + victim, "X-Forwarded_For: " + victim, "X_FORWARDED-PROTO: https"} {
		if got := sendRaw(t, h, addr, line, "X-Forwarded-For: 203.0.113.9", overHTTPS); got != (seen{"400 invalid_request", "unknown"}) {
			t.Errorf("TestUnderscoreHopIsRefused: %s: %+v", line, got)
		}
	}
}

func TestSpoofedSchemesAreNotHTTPS(t *testing.T) {
	h, addr := behindProxy(t, "")
	for name, lines := range map[string][]string{
		"TestSecondProtoIsNotHTTPS": {"X-Forwarded-Proto: https", "X-Forwarded-Proto: http"},
		"twice https":               {"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"},
		"TestProtoListIsNotHTTPS":   {"X-Forwarded-Proto: https, http"},
		"https, https":              {"X-Forwarded-Proto: https,https"},
		"with a port":               {"X-Forwarded-Proto: https:443"},
		"TestUnderscoreIsNotHTTPS":  {"X_Forwarded_Proto: https"},
		"http":                      {"X-Forwarded-Proto: http"},
		"wss":                       {"X-Forwarded-Proto: wss"},
		"nothing":                   nil,
		"other spellings": {"Forwarded: proto=https", "X-Forwarded-Ssl: on", "X-Forwarded-Scheme: https", "X-Scheme: https", "X-Url-Scheme: https",
			"Front-End-Https: on", "X-Forwarded-Port: 443", `CF-Visitor: {"scheme":"https"}`},
	} {
		if got := sendRaw(t, h, addr, lines...); got.outcome != "403 https_required" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := sendRaw(t, h, addr, "X-Forwarded-Proto: HTTPS", "Connection: X-Forwarded-Proto"); got.outcome != "200" {
		t.Errorf("TestHopByHopListRemovesNoProto: %+v", got)
	}
}

// Unset, TRUSTED_PROXIES trusts nobody: every header is the client's own.
func TestNobodyIsTrustedUnlessNamed(t *testing.T) {
	h := newHarness(func(o *Options) { o.ClientIPHeader = "X-Real-IP" })
	server := httptest.NewServer(h.api)
	defer server.Close()
	for _, lines := range [][]string{
		{"X-Real-IP: " + victim}, {"X-Forwarded-For: " + victim}, {"X_Real_IP: " + victim}, {"X-Real-IP: a, b"}, {"X-Real-IP: 1.1.1.1", "X-Real-IP: 2.2.2.2"},
	} {
		if got := sendRaw(t, h, server.Listener.Addr().String(), append(lines, overHTTPS)...); got != (seen{"200", "127.0.0.1"}) {
			t.Errorf("%q: %+v", lines, got)
		}
	}
	if strings.Contains(h.log.String(), victim) {
		t.Error(h.log)
	}
}

// Those whose address is not known are one to the limits, so that a request
// which hides it has no budget of its own, and takes none from anybody known.
func TestUnknownClientsShareOneBudget(t *testing.T) {
	spent := &budget{name: "address", most: 1}
	h := newHarness(func(o *Options) {
		o.ClientIPHeader, o.TrustedProxies = "X-Real-IP", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		o.Limits = Limits{Address: spent.of}
	})
	ask := func(value string) *http.Response {
		return h.do(t, request{remote: "10.0.0.1:1", header: map[string]string{"X-Real-IP": value}})
	}
	mustRefuse(t, ask("6.6.6.6, 1.1.1.1"), http.StatusBadRequest, "invalid_request")
	mustRefuse(t, ask("6.6.6.6, 2.2.2.2"), http.StatusTooManyRequests, "rate_limited")
	if resp := ask(victim); resp.StatusCode != http.StatusOK {
		t.Errorf("a known client: %s", resp.Status)
	}
	if !strings.Contains(h.log.String(), `"clientUnknown":"X-Real-IP is not one address"`) {
		t.Errorf("the log does not say why: %s", h.log)
	}
}

// What says nothing of a person needs no address: probes, files, refusals of
// what is not there.
func TestUnknownClientsAreRefusedOnlyWhereTheyAuthenticate(t *testing.T) {
	h := newHouse(func(o *Options) {
		o.ClientIPHeader, o.TrustedProxies = "X-Real-IP", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		o.StripeEvent = takesEvents
	})
	for path, want := range map[string]int{"GET /healthz": 200, "GET /readyz": 200, "GET /livekit-join.js": 200, "GET /nothing": 404, "POST /webhooks/stripe": 200,
		"POST /api/join": 400, "POST /api/token": 400, "POST /api/moderate": 400, "POST /api/invites": 400, "GET /api/invites": 400, "DELETE /api/invites/inv_1": 400} {
		method, path, _ := strings.Cut(path, " ")
		resp := h.do(t, request{method: method, path: path, remote: "10.0.0.1:1", header: map[string]string{"X-Real-IP": "a, b", "Stripe-Signature": "x"}})
		if resp.StatusCode != want {
			t.Errorf("%s %s: %s, want %d", method, path, resp.Status, want)
		}
	}
}
