package hostile

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// huge is a body that no door may read.
	huge = 300_000_000
	// takenMost is how much of it may leave the sender: what both kernels hold.
	takenMost = 24 << 20
)

// pour writes a text over and over until the other side has enough of it, and
// says how much has left.
func pour(to io.Writer, text string, most int) int {
	sent := 0
	for sent < most {
		n, err := io.WriteString(to, text)
		sent += n
		if err != nil {
			break
		}
	}
	return sent
}

// piece is a part of a chunked body.
func piece(size int) string { return fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("x", size)) }

func TestHugeBodiesAreNotReadWhileCallersJoin(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		d := open(t, own{tls: encrypted})
		kinds := map[string]struct {
			head, text string
			status     int
		}{
			"announced":              {joinHead("alice") + fmt.Sprintf("Content-Length: %d\r\n\r\n", huge), strings.Repeat("x", 64<<10), 413},
			"announced, by nobody":   {"POST /api/join HTTP/1.1\r\nHost: door\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", huge), strings.Repeat("x", 64<<10), 401},
			"unannounced":            {joinHead("alice") + smuggling + "\r\n", piece(64 << 10), 413},
			"unannounced, by nobody": {"POST /api/join HTTP/1.1\r\nHost: door\r\n" + smuggling + "\r\n", piece(64 << 10), 401},
			"for ever, in tiny bits": {joinHead("alice") + smuggling + "\r\n", piece(1), 413},
			"one chunk for ever":     {joinHead("alice") + smuggling + "\r\n7fffffffffffffff\r\n{", strings.Repeat(" ", 64<<10), 413},
			"extensions for ever":    {joinHead("alice") + smuggling + "\r\n", "1;" + strings.Repeat("x", 2000) + "\r\n \r\n", 400},
			"trailers for ever":      {joinHead("alice") + smuggling + "\r\n10\r\n" + body + "\r\n0\r\n", "X-A: b\r\n", 400},
			"to a webhook":           {"POST /webhooks/livekit HTTP/1.1\r\nHost: door\r\nAuthorization: x\r\nContent-Type: application/webhook+json\r\n" + smuggling + "\r\n", piece(64 << 10), 413},
			"to nothing":             {"POST /nowhere HTTP/1.1\r\nHost: door\r\n" + smuggling + "\r\n", piece(64 << 10), 404},
			"to a probe":             {"GET /healthz HTTP/1.1\r\nHost: door\r\n" + smuggling + "\r\n", piece(64 << 10), 200},
		}
		d.meanwhile(t, func() {
			var all sync.WaitGroup
			for name, kind := range kinds {
				for range 4 {
					all.Go(func() { d.pourBody(t, name, kind.head, kind.text, kind.status) })
				}
			}
			all.Wait()
		})
		d.recovered(t)
	}
}

// pourBody sends a request whose body does not end, and wants the answer
// without having sent it.
func (d *door) pourBody(t *testing.T, name, head, text string, status int) {
	conn, err := d.tryDial("http/1.1")
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	var sent atomic.Int64
	poured := make(chan struct{})
	go func() {
		defer close(poured)
		_, _ = io.WriteString(conn, head)
		sent.Store(int64(pour(conn, text, huge)))
	}()
	all, closed := answers(t, conn, 2, cutWithin)
	// A reset may overtake the answer, where the kernel throws away what it has.
	if len(all) > 1 || !closed || len(all) == 1 && all[0].status != status {
		t.Errorf("%s: %v", name, all)
	}
	for _, a := range all {
		mustHoldNoToken(t, name, a.body)
	}
	_ = conn.Close()
	select {
	case <-poured:
	case <-time.After(10 * time.Second):
		t.Errorf("%s: the sender still sends", name)
	}
	if sent.Load() > takenMost {
		t.Errorf("%s: %d bytes were taken", name, sent.Load())
	}
}

func TestDeepJSONIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t, own{})
	const most = 16<<10 - 100
	arrays, objects := strings.Repeat("[", most), strings.Repeat(`{"a":`, most/5)
	both := strings.Repeat("[", most/2) + strings.Repeat("]", most/2)
	for _, path := range []string{"/api/join", "/api/token", "/api/moderate", "/api/invites"} {
		for name, text := range map[string]string{
			"arrays": arrays, "objects": objects, "closed arrays": both, "closed objects": strings.Repeat(`{"a":`, most/6) + "1" + strings.Repeat("}", most/6),
			"a room of arrays": `{"room":` + arrays, "a room of closed arrays": `{"room":` + both + "}", "a closed room_name": `{"room_name":` + both + "}",
			"attributes": `{"room_name":"stage","participant_attributes":` + strings.Repeat(`{"a":`, most/7) + "1" + strings.Repeat("}", most/7) + "}",
			"agents":     `{"room_name":"stage","room_config":{"agents":` + both + "}}", "metadata": `{"room_name":"stage","participant_metadata":` + both + "}",
			"a number": `{"room":1` + strings.Repeat("0", most) + "}", "an exponent": `{"room_name":1e` + strings.Repeat("9", most) + "}", "a name": `{"` + strings.Repeat("a", most) + `":1}`,
			"names": `{` + strings.Repeat(`"room":"r",`, most/12) + `"room":"r"}`, "escapes": `{"room":"` + strings.Repeat(`\u0000`, most/6) + `"}`,
			"a hundred thousand arrays": strings.Repeat("[", 100_000), "a hundred thousand objects": strings.Repeat(`{"a":`, 100_000),
		} {
			request := strings.Replace(joinHead("alice"), "/api/join", path, 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(text)) + text
			all := d.exchange(t, request)
			if len(all) == 0 || all[0].status < 400 || all[0].status >= 500 {
				// The standard has unknown names ignored.
				if path == "/api/token" && all[0].status == http.StatusBadRequest {
					continue
				}
				t.Errorf("%s, %s: %v", path, name, all)
			}
			for _, a := range all {
				mustHoldNoToken(t, name, a.body)
			}
		}
	}
	d.recovered(t)
}

// Who leaves before the answer is not the door's fault, and gets nothing.
func TestCallersWhoLeaveAreNoFault(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		d := open(t, own{tls: encrypted})
		var all sync.WaitGroup
		d.meanwhile(t, func() {
			for range 8 {
				all.Go(func() {
					for i := range 60 {
						conn, err := d.tryDial("http/1.1")
						if err != nil {
							t.Error(err)
							return
						}
						request := joinHead("mallory") + "Content-Length: 16\r\n\r\n" + body
						_, _ = io.WriteString(conn, request[:len(request)-i%2*8])
						if i%3 > 0 {
							time.Sleep(time.Duration(i%3) * 300 * time.Microsecond)
						}
						reset(conn)
					}
				})
			}
			all.Wait()
		})
		d.recovered(t)
	}
}
