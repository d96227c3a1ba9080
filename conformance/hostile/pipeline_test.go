package hostile

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// piped is one of the requests on a pipelined connection.
type piped struct {
	request, method string
	status          int
	// subject is who is admitted; empty: nobody.
	subject string
}

// pipelined are a hundred requests of everybody's, valid ones among others.
func pipelined(connection int) (all []piped) {
	for i := range 100 {
		subject := fmt.Sprintf("pipe-%d-%d", connection, i)
		join := func(lines, text string) string {
			return joinHead(subject) + fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", lines, len(text), text)
		}
		all = append(all, []piped{
			{join("", body), "POST", 200, subject},
			{strings.Replace(join("", body), "Bearer ey", "Bearer yy", 1), "POST", 401, ""},
			{"GET /nowhere HTTP/1.1\r\nHost: door\r\n\r\n", "GET", 404, ""},
			{join("", `{"room":1}`), "POST", 400, ""},
			{join("X-Next: 1\r\n", `{"room":"r-`+subject+`"}`), "POST", 200, subject},
			{"HEAD /healthz HTTP/1.1\r\nHost: door\r\n\r\n", "HEAD", 200, ""},
			{strings.Replace(join("", body), "application/json", "text/plain", 1), "POST", 415, ""},
			{strings.Replace(join("", body), "POST ", "PUT ", 1), "PUT", 405, ""},
			{"POST /api/join HTTP/1.1\r\nHost: door\r\nContent-Length: 16\r\n\r\n" + body, "POST", 401, ""},
			{"GET /openapi.yaml HTTP/1.1\r\nHost: door\r\n\r\n", "GET", 200, ""},
		}[i%10])
	}
	return all
}

func TestPipelinedRequestsKeepTheirOrderAndTheirCallers(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		d := open(t, own{tls: encrypted})
		d.meanwhile(t, func() {
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() { d.pipe(t, pipelined(i)) })
			}
			all.Wait()
		})
		d.recovered(t)
	}
}

// pipe sends all requests at once, and compares each answer with its request.
func (d *door) pipe(t *testing.T, all []piped) {
	conn, err := d.tryDial("http/1.1")
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	var requests strings.Builder
	for _, one := range all {
		requests.WriteString(one.request)
	}
	go func() { _, _ = io.WriteString(conn, requests.String()+lastRequest) }()
	_ = conn.SetReadDeadline(time.Now().Add(cutWithin))
	reader := bufio.NewReader(conn)
	for i, one := range append(all, piped{method: "GET", status: 200}) {
		response, err := http.ReadResponse(reader, &http.Request{Method: one.method})
		if err != nil {
			t.Errorf("answer %d: %v", i, err)
			return
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != one.status {
			t.Errorf("answer %d is %d, want %d: %v", i, response.StatusCode, one.status, err)
			return
		}
		if one.subject == "" {
			mustHoldNoToken(t, one.request, string(text))
		} else if err := granted(text, one.subject); err != nil {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	if rest, _ := io.ReadAll(reader); len(rest) > 0 {
		t.Errorf("more than was asked for: %q", rest)
	}
}
