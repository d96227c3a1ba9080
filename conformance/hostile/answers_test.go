package hostile

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// answer is what came back for one request.
type answer struct {
	status int
	header http.Header
	body   string
}

// answers reads until the door closes the connection or a limit is reached,
// and says whether it was closed.
func answers(t *testing.T, conn net.Conn, most int, within time.Duration) (all []answer, closed bool) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(within))
	reader := bufio.NewReader(conn)
	for range most {
		response, err := http.ReadResponse(reader, nil)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %d answers nothing comes, and the connection stays open", len(all))
			return all, false
		}
		if err != nil {
			return all, true
		}
		body, err := io.ReadAll(response.Body)
		all = append(all, answer{response.StatusCode, response.Header, string(body)})
		if err != nil {
			return all, true
		}
	}
	return all, false
}

// exchange sends bytes on a connection of its own and reads what comes back;
// then it asks for /healthz, once, so that the end is not waited for.
func (d *door) exchange(t *testing.T, request string) (all []answer) {
	t.Helper()
	conn := d.dial(t, "http/1.1")
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.WriteString(conn, request)
		_, _ = io.WriteString(conn, lastRequest)
	}()
	all, _ = answers(t, conn, 1000, 20*time.Second)
	return all
}

// lastRequest ends a connection that is still open.
const lastRequest = "GET /healthz HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"

// healthy reports whether an answer is lastRequest's.
func (a answer) healthy() bool { return a.status == http.StatusOK && a.body == `{"status":"ok"}` }
