package hostile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// byteHeaders are the headers that the door, or something in it, reads, and
// what a join with odd bytes there may be answered besides 400.
var byteHeaders = map[string][]int{
	"Authorization": {401, 200}, "Content-Type": {415, 200}, "Content-Encoding": {415, 200}, "Content-Length": {200}, "Transfer-Encoding": {501}, "Connection": {200},
	"Expect": {417}, "Host": {200}, "Origin": {200}, "Access-Control-Request-Method": {200}, "Access-Control-Request-Headers": {200}, "Traceparent": {200}, "Tracestate": {200},
	"X-Request-Id": {200}, "X-Forwarded-For": {200}, "X-Forwarded-Proto": {200}, "X-Forwarded-Host": {200}, "X-Real-Ip": {200}, "Forwarded": {200}, "Cookie": {200}, "User-Agent": {200},
	"Referer": {200}, "Upgrade": {200}, "Trailer": {200}, "Te": {200}, "Stripe-Signature": {200}, "Http2-Settings": {200}, "Cf-Connecting-Ip": {200},
}

// oddBytes are control bytes, bytes above ASCII, and UTF-8 that is none or steers.
func oddBytes() (all []string) {
	for b := range 256 {
		if b < 0x20 || b >= 0x7f {
			all = append(all, string([]byte{byte(b)}))
		}
	}
	return append(all, "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xef\xbb\xbf", "\u202e", "\u2028", "\u0085", "\u009b31m", "\ufffe", "\r\n", "\n", "\r\nX-A: b", "\n\n", "\r\n\r\n")
}

var (
	// printable is all that may stand in an answer's header.
	printable = regexp.MustCompile(`^[\x20-\x7e]*$`)
	requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)
)

// The door believes the attacker's forwarding headers here, as it would a
// proxy's that hands on what it is sent.
func TestOddBytesInEveryHeader(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{"X-Forwarded-For": nil, "X-Real-IP": {"CLIENT_IP_HEADER=X-Real-IP"}} {
		t.Run(name, func(t *testing.T) {
			d := open(t, own{env: append(settings, "TRUSTED_PROXIES=127.0.0.1/32")})
			for header, besides := range byteHeaders {
				if name != "X-Forwarded-For" && header != "X-Real-Ip" && header != "X-Forwarded-Proto" {
					continue
				}
				for i, odd := range oddBytes() {
					d.tryHeader(t, header, oddValue(header, odd, i), besides)
				}
			}
			d.recovered(t)
		})
	}
}

// oddValue puts the bytes before, into and behind what the header is for.
func oddValue(header, odd string, i int) string {
	plain := map[string]string{"Authorization": "Bearer " + callerToken("alice"), "Content-Type": "application/json", "Content-Encoding": "identity", "Content-Length": "16", "Transfer-Encoding": "chunked",
		"Host": "door", "Origin": "https://app.example", "X-Forwarded-For": "198.51.100.7", "X-Real-Ip": "198.51.100.7", "X-Request-Id": "abcdefgh-1234"}[header]
	if plain == "" {
		plain = "value"
	}
	at := []int{0, len(plain) / 2, len(plain)}[i%3]
	return plain[:at] + odd + plain[at:]
}

// tryHeader joins with one header's value. Whoever is admitted is alice.
func (d *door) tryHeader(t *testing.T, header, value string, besides []int) {
	t.Helper()
	var request strings.Builder
	request.WriteString("POST /api/join HTTP/1.1\r\n" + header + ": " + value + "\r\n")
	for name, plain := range map[string]string{"Host": "door", "Authorization": "Bearer " + callerToken("alice"), "Content-Type": "application/json", "Content-Length": "16", "Connection": "close"} {
		if name != header {
			request.WriteString(name + ": " + plain + "\r\n")
		}
	}
	all := d.exchange(t, request.String()+"\r\n"+body)
	if len(all) == 0 {
		t.Errorf("%s: %q: no answer", header, value)
		return
	}
	first := all[0]
	if first.status != 400 && !slices.Contains(besides, first.status) && !strings.Contains(value, "\n") {
		t.Errorf("%s: %q: %d", header, value, first.status)
	}
	for _, a := range all {
		if a.status == 200 && !a.healthy() {
			if err := granted([]byte(a.body), "alice"); err != nil {
				t.Errorf("%s: %q: %v", header, value, err)
			}
		}
		for name, values := range a.header {
			for _, v := range values {
				if !printable.MatchString(v) || name == "X-Request-Id" && !requestID.MatchString(v) {
					t.Errorf("%s: %q: answered with %s: %q", header, value, name, v)
				}
			}
		}
	}
}

func TestHugeHeadsAreRefused(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		d := open(t, own{tls: encrypted})
		d.meanwhile(t, func() {
			for range 5 {
				d.hugeHeads(t)
			}
		})
		d.recovered(t)
	}
}

// hugeHeads sends one of each kind. Where more is sent than the door will
// read, a reset may overtake its answer.
func (d *door) hugeHeads(t *testing.T) {
	t.Helper()
	end := "Content-Length: 16\r\nConnection: close\r\n\r\n" + body
	for _, head := range []struct {
		name, request string
		status        int
		mayReset      bool
	}{
		{"10 KiB in one line", joinHead("alice") + "X-A: " + strings.Repeat("a", 10<<10) + "\r\n" + end, 200, false},
		{"10 KiB in 100 lines", joinHead("alice") + strings.Repeat("X-A: "+strings.Repeat("a", 95)+"\r\n", 100) + end, 200, false},
		{"1,000 lines", joinHead("alice") + numbered(1000) + end, 200, false},
		{"10,000 lines", joinHead("alice") + numbered(10_000) + end, 431, true},
		{"10,000 times one name", joinHead("alice") + strings.Repeat("X-A: b\r\n", 10_000) + end, 431, true},
		{"10,000 folds", joinHead("alice") + "X-A: b\r\n" + strings.Repeat(" c\r\n", 10_000) + end, 431, true},
		{"a line of 32 KiB", joinHead("alice") + "X-A: " + strings.Repeat("a", 32<<10) + "\r\n" + end, 431, true},
		{"a line of 1 MiB", joinHead("alice") + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n" + end, 431, true},
		{"a name of 32 KiB", joinHead("alice") + strings.Repeat("a", 32<<10) + ": b\r\n" + end, 431, true},
		{"a token of 12 KiB", "POST /api/join HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer " + strings.Repeat("a", 12<<10) + "\r\nContent-Type: application/json\r\n" + end, 401, false},
		{"a token of dots", "POST /api/join HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer " + strings.Repeat(".", 12<<10) + "\r\nContent-Type: application/json\r\n" + end, 401, false},
		{"asked for headers", strings.Replace(joinHead("alice"), "POST", "OPTIONS", 1) + "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: " + strings.Repeat(",", 12<<10) + "\r\nConnection: close\r\n\r\n", 204, false},
		{"forwarded for", joinHead("alice") + "X-Forwarded-For: " + strings.Repeat("1.1.1.1,", 1500) + "\r\n" + end, 200, false},
		{"a path of 12 KiB", "GET /" + strings.Repeat("a", 12<<10) + " HTTP/1.1\r\nHost: door\r\n\r\n", 404, false},
		{"a path of slashes", "GET " + strings.Repeat("/", 12<<10) + " HTTP/1.1\r\nHost: door\r\n\r\n", 404, false},
		{"a path of dots", "GET " + strings.Repeat("/..", 4<<10) + "/healthz HTTP/1.1\r\nHost: door\r\n\r\n", 404, false},
		{"a path of 1 MiB", "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: door\r\n\r\n", 431, true},
		{"a query of 12 KiB", "GET /healthz?" + strings.Repeat("a=b&", 3<<10) + " HTTP/1.1\r\nHost: door\r\n\r\n", 200, false},
		{"a method of 12 KiB", strings.Repeat("A", 12<<10) + " /api/join HTTP/1.1\r\nHost: door\r\n\r\n", 405, false},
		{"a method of 1 MiB", strings.Repeat("A", 1<<20) + " /api/join HTTP/1.1\r\nHost: door\r\n\r\n", 431, true},
		{"no line's end", strings.Repeat("A", 1<<20), 431, true},
		{"a host of 12 KiB", "GET /healthz HTTP/1.1\r\nHost: " + strings.Repeat("a", 12<<10) + "\r\n\r\n", 200, false},
	} {
		all := d.exchange(t, head.request)
		if len(all) == 0 && head.mayReset {
			continue
		}
		if len(all) == 0 || all[0].status != head.status {
			t.Errorf("%s: %.200s, want %d", head.name, fmt.Sprint(all), head.status)
			continue
		}
		if head.status != 200 {
			mustHoldNoToken(t, head.name, all[0].body)
		} else if !all[0].healthy() && granted([]byte(all[0].body), "alice") != nil {
			t.Errorf("%s: %s", head.name, all[0].body)
		}
	}
}

// numbered are header lines of different names.
func numbered(count int) string {
	var all strings.Builder
	for i := range count {
		fmt.Fprintf(&all, "x%d:b\r\n", i)
	}
	return all.String()
}
