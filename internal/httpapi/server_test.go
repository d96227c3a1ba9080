package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// startServer serves a harness on a real socket with the real time-outs.
func startServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := newHarness(nil)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- Serve(ctx, h.api, []*net.TCPListener{listener.(*net.TCPListener)}, 0, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return listener.Addr().String()
}

func dial(t *testing.T, address, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

const joinHead = "POST /api/join HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"

func answerOf(t *testing.T, conn net.Conn, within time.Duration) *http.Response {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(within))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return resp
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	conn := dial(t, startServer(t), "POST /api/join HTTP/1.1\r\nHost: door\r\nX-Slow: ")
	begin := time.Now()
	_ = conn.SetReadDeadline(begin.Add(readHeaderTimeout + 3*time.Second))
	_, err := io.Copy(io.Discard, conn)
	if took := time.Since(begin); err != nil || took < readHeaderTimeout-time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestBodyThatNeverEndsIsCutOff(t *testing.T) {
	t.Parallel()
	conn := dial(t, startServer(t), fmt.Sprintf(joinHead, "ann")+"Content-Length: 100\r\n\r\n{")
	begin := time.Now()
	resp := answerOf(t, conn, readTimeout+3*time.Second)
	if took := time.Since(begin); resp.StatusCode != http.StatusBadRequest || took < readTimeout-time.Second {
		t.Errorf("%d after %v", resp.StatusCode, took)
	}
}

// A refusal does not wait for a body that nobody will read.
func TestWithheldBodyHoldsNothing(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	for _, head := range []string{fmt.Sprintf(joinHead, "eve"), "POST /nowhere HTTP/1.1\r\nHost: door\r\n", "GET /healthz HTTP/1.1\r\nHost: door\r\n"} {
		for _, framing := range []string{"Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"} {
			begin := time.Now()
			answerOf(t, dial(t, address, head+framing), 3*time.Second)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("%q held for %v", head+framing, took)
			}
		}
	}
}

// 300 MB are announced, or sent without being announced: the answer comes
// without reading them, and memory stays flat.
func TestHugeBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	for name, c := range map[string]struct {
		token, framing string
		status         int
	}{
		"announced":              {"ann", "Content-Length: 300000000\r\n\r\n", http.StatusRequestEntityTooLarge},
		"announced, by nobody":   {"eve", "Content-Length: 300000000\r\n\r\n", http.StatusUnauthorized},
		"unannounced":            {"ann", "Transfer-Encoding: chunked\r\n\r\n", http.StatusRequestEntityTooLarge},
		"unannounced, by nobody": {"eve", "Transfer-Encoding: chunked\r\n\r\n", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			conn := dial(t, address, fmt.Sprintf(joinHead, c.token)+c.framing)
			chunk := strings.Repeat("x", 1<<16)
			if strings.Contains(c.framing, "chunked") {
				chunk = fmt.Sprintf("%x\r\n%s\r\n", len(chunk), chunk)
			}
			go func() {
				for range 5000 {
					if _, err := io.WriteString(conn, chunk); err != nil {
						return
					}
				}
			}()
			if resp := answerOf(t, conn, 3*time.Second); resp.StatusCode != c.status {
				t.Errorf("%d", resp.StatusCode)
			}
			runtime.ReadMemStats(&after)
			if grown := int64(after.TotalAlloc) - int64(before.TotalAlloc); grown > 32<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
		})
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	conn := dial(t, startServer(t), "GET /healthz HTTP/1.1\r\nHost: door\r\nX-Big: "+strings.Repeat("x", maxHeaderBytes+8<<10)+"\r\n\r\n")
	if resp := answerOf(t, conn, 3*time.Second); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", resp.StatusCode)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	body := `{"room":"r"}`
	one := fmt.Sprintf(joinHead, "ann") + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	conn := dial(t, startServer(t), one+fmt.Sprintf(joinHead, "eve")+"Content-Length: 2\r\n\r\n{}"+one)
	_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
	reader := bufio.NewReader(conn)
	for _, want := range []int{200, 401, 200} {
		resp, err := http.ReadResponse(reader, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%v %v, want %d", resp, err, want)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

// Both framings at once, or one of them twice, is how requests are smuggled.
func TestSmugglingPairsAreRefused(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	for _, framing := range []string{
		"Content-Length: 6\r\nContent-Length: 7\r\n\r\n0\r\n\r\nX",
		"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"Content-Length: +2\r\n\r\n{}",
		"Content-Length : 2\r\n\r\n{}",
	} {
		resp := answerOf(t, dial(t, address, fmt.Sprintf(joinHead, "ann")+framing), 3*time.Second)
		if resp.StatusCode < 400 || resp.StatusCode == http.StatusInternalServerError {
			t.Errorf("%q: %d", framing, resp.StatusCode)
		}
	}
}

// net/http takes requests whose end a proxy may see elsewhere, and does not
// say so. What comes behind them on the connection is not answered.
func TestNothingIsAnsweredBehindDoubtfulFraming(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	chunked := "2\r\n{}\r\n0\r\n\r\n"
	http10 := strings.Replace(joinHead, "HTTP/1.1", "HTTP/1.0", 1) + "Connection: keep-alive\r\n"
	for framing, only := range map[string]bool{
		joinHead + "Content-Length: 2\r\n\r\n{}":                                       false,
		joinHead + "Content-Length: 0\r\n\r\n":                                         false,
		joinHead + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked: true,
		joinHead + "Transfer-Encoding: chunked\r\n\r\n" + chunked:                      true,
		joinHead + "X-Folded: a\r\n Content-Length: 100\r\n\r\n":                       true,
		joinHead + "\r\n":                      true,
		http10 + "Content-Length: 2\r\n\r\n{}": true,
		http10 + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}": true,
	} {
		conn := dial(t, address, fmt.Sprintf(framing, "ann")+"GET /healthz HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		all, err := io.ReadAll(conn)
		if n := strings.Count(string(all), "HTTP/1."); err != nil || n == 0 || (n == 1) != only {
			t.Errorf("%q: %d answers, %v", framing, n, err)
		}
	}
}
