package hostile

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// many is how many connections an attacker holds at once.
const many = 1000

// joinHead is a join's head but for its framing.
func joinHead(subject string) string {
	return "POST /api/join HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer " + callerToken(subject) + "\r\nContent-Type: application/json\r\n"
}

// slow is one attacker's connection: what it says at once, and what it then
// says byte by byte, over and over.
type slow struct{ first, drip string }

// hold opens a connection for each, keeps dripping, and returns what each was
// answered until the door closed it. The door has to, within the time given.
func (d *door) hold(t *testing.T, all []slow, within time.Duration) []string {
	t.Helper()
	answers := make([]string, len(all))
	var held sync.WaitGroup
	raw := *d
	raw.roots = nil // TLS is not shaken hands about here
	for i, attack := range all {
		time.Sleep(apart)
		held.Go(func() {
			conn, err := raw.tryDial()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, attack.first)
			stop := make(chan struct{})
			defer close(stop)
			go drip(conn, attack.drip, stop)
			_ = conn.SetReadDeadline(time.Now().Add(within))
			answer, err := io.ReadAll(conn)
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Errorf("%q is held for more than %v", attack.first, within)
			}
			answers[i] = string(answer)
		})
	}
	held.Wait()
	return answers
}

// apart is the time from one slow request to the next: what is tried is how they
// are held and cut, and as many at the same moment are refused for being many.
const apart = 2 * time.Millisecond

// drip writes a byte at a time, until stop or the other side has enough.
func drip(conn net.Conn, text string, stop <-chan struct{}) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for i := 0; text != ""; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := conn.Write([]byte{text[i%len(text)]}); err != nil {
				return
			}
		}
	}
}

// cutWithin is how long a connection may be held that never sends a whole
// request: the door's longest read time-out, and what a loaded machine adds.
const cutWithin = 25 * time.Second

func TestHalfOpenConnectionsAreCutWhileCallersJoin(t *testing.T) {
	t.Parallel()
	d := open(t, own{})
	var all []slow
	for i := range many {
		all = append(all, []slow{{first: ""}, {first: "POST /api/jo"}, {first: "GET /healthz HTTP/1.1\r\nHost: door\r\nX-Slow: "}, {first: joinHead("mallory")}, {first: "\r\n"}}[i%5])
	}
	d.meanwhile(t, func() {
		for _, answer := range d.hold(t, all, cutWithin) {
			mustHoldNoToken(t, "a request that never came", answer)
		}
	})
	d.recovered(t)
}

func TestDribbledHeadersAreCutWhileCallersJoin(t *testing.T) {
	t.Parallel()
	d := open(t, own{})
	var all []slow
	for i := range many {
		all = append(all, []slow{{drip: "GET /healthz HTTP/1.1\r\nHost: door\r\nX-Slow: xxxxxxxxxxxxxxxxxx"}, {first: joinHead("mallory"), drip: "X-A: b\r\n"}, {drip: "\r\n"}}[i%3])
	}
	d.meanwhile(t, func() {
		for _, answer := range d.hold(t, all, cutWithin) {
			mustHoldNoToken(t, "a request that never came", answer)
		}
	})
	d.recovered(t)
}

func TestDribbledBodiesAreCutWhileCallersJoin(t *testing.T) {
	t.Parallel()
	d := open(t, own{})
	var all []slow
	for i := range many {
		head := joinHead(fmt.Sprintf("slow-%d", i))
		all = append(all, []slow{
			{first: head + "Content-Length: 10000\r\n\r\n{", drip: " "},
			{first: head + "Transfer-Encoding: chunked\r\n\r\n", drip: "1\r\n \r\n"},
			{first: head + "Transfer-Encoding: chunked\r\n\r\n", drip: "0"},
			{first: head + "Content-Length: 16\r\n\r\n{\"room\":\"stage\""},
			{first: head + "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n{\"room\":\"stage\"}", drip: "\t"},
			{first: head + "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"room\":\"stage\"}\r\n0\r\n", drip: "X-A: b\r\n"},
		}[i%6])
	}
	d.meanwhile(t, func() {
		for i, answer := range d.hold(t, all, cutWithin) {
			mustHoldNoToken(t, "a body that never came", answer)
			if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || strings.Count(answer, "HTTP/1.1") != 1 {
				t.Fatalf("%q was answered %q", all[i].first, answer)
			}
		}
	})
	d.recovered(t)
}

// clientHello is the first record that Go's own client would send.
func clientHello(t *testing.T, d *door) string {
	t.Helper()
	here, there := net.Pipe()
	defer func() { _ = there.Close() }()
	go func() {
		defer func() { _ = here.Close() }()
		client := tlsClient(here, d)
		_ = client.Handshake()
	}()
	record := make([]byte, 16<<10)
	n, err := there.Read(record)
	if err != nil {
		t.Fatal(err)
	}
	return string(record[:n])
}

func TestHalfHandshakesAreCutWhileCallersJoin(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	hello := clientHello(t, d)
	var all []slow
	for i := range many {
		all = append(all, []slow{{}, {first: hello[:100]}, {first: hello}, {drip: hello}, {first: hello, drip: "\x14\x03\x03\x00\x01\x01"}}[i%5])
	}
	d.meanwhile(t, func() {
		for _, answer := range d.hold(t, all, cutWithin) {
			mustHoldNoToken(t, "half a handshake", answer)
		}
	})
	d.recovered(t)
}

func TestGarbageInsteadOfTLSIsNotAnswered(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	var all []slow
	for i := range 200 {
		all = append(all, []slow{
			{first: "\x16\x03\x01\xff\xff" + strings.Repeat("\x01", 70000)}, {first: "\x80\x2e\x01\x03\x01" + strings.Repeat("\x00", 50)},
			{first: strings.Repeat("\x00", 4096)}, {first: joinHead("mallory") + "Content-Length: 16\r\n\r\n{\"room\":\"stage\"}"},
		}[i%4])
	}
	for _, answer := range d.hold(t, all, cutWithin) {
		mustHoldNoToken(t, "plain text", answer)
		if strings.HasPrefix(answer, "HTTP/") && !strings.HasPrefix(answer, "HTTP/1.0 400 ") {
			t.Errorf("%q", answer)
		}
	}
	d.recovered(t)
}
