package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const callerSecret = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY-caller"

// startServe runs the real program in production mode on a free port.
func startServe(t *testing.T, environ ...string) (*exec.Cmd, string, *bytes.Buffer) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("stagedoor", "serve")
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"LISTEN_ADDR=" + address, "ADMIN_ADDR=127.0.0.1:0", "LIVEKIT_URL=wss://livekit.example.com", "LIVEKIT_API_KEY=APIkey",
		"LIVEKIT_API_SECRET=Zu5qkW3vB1xM9rT7yL0pN8sD6fG4hJ2c-livekit", "JWT_SECRET=" + callerSecret,
		"RATE_LIMIT_USER=1000000/m", "RATE_LIMIT_IP=1000000/m", "RATE_LIMIT_FAILURES=1000000/m", "MAX_IN_FLIGHT=256"}, environ...)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get("http://" + address + "/readyz"); err == nil && resp.StatusCode == http.StatusOK {
			return cmd, "http://" + address, &out
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready:\n%s", out.String())
		}
	}
}

func callerToken(t *testing.T) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(callerSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Callers go on joining while the process is told to end. None may see a
// connection that breaks: an answer, or no connection at all once it is gone.
func TestNoRequestIsCutAtTheEnd(t *testing.T) {
	t.Parallel()
	cmd, url, log := startServe(t, "DRAIN_DELAY=1s")
	token := callerToken(t)
	var stop atomic.Bool
	var answered atomic.Int32
	var cut sync.Map
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
			for !stop.Load() {
				req, _ := http.NewRequest(http.MethodPost, url+"/api/join", bytes.NewReader([]byte(`{"room":"r"}`)))
				req.GetBody = nil // without it net/http does not try again by itself
				req.Header.Set("Authorization", "Bearer "+token)
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				var refused *net.OpError
				switch {
				case err == nil && resp.StatusCode == http.StatusOK:
					var body bytes.Buffer
					if _, err := body.ReadFrom(resp.Body); err != nil || !bytes.HasSuffix(body.Bytes(), []byte("}")) {
						cut.Store(i, fmt.Errorf("answer cut: %w", err))
					}
					_ = resp.Body.Close()
					answered.Add(1)
				case err == nil:
					cut.Store(i, fmt.Errorf("status %d", resp.StatusCode))
				case errors.As(err, &refused) && refused.Op == "dial":
					return // gone, as it should be
				default:
					cut.Store(i, err)
					return
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	before := answered.Load()
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	took := time.Since(begin)
	stop.Store(true)
	callers.Wait()
	cut.Range(func(_, err any) bool { t.Errorf("cut: %v", err); return true })
	if answered.Load() <= before || took < time.Second || took > 12*time.Second {
		t.Errorf("%d answers before the signal, %d in all, gone after %v", before, answered.Load(), took)
	}
}

// A request that began before the signal is finished after it.
func TestRunningRequestIsFinished(t *testing.T) {
	t.Parallel()
	cmd, url, log := startServe(t, "DRAIN_DELAY=0s")
	conn, err := net.Dial("tcp", url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	body := `{"room":"r"}`
	_, err = fmt.Fprintf(conn, "POST /api/join HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		callerToken(t), len(body), body[:5])
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if _, err := fmt.Fprint(conn, body[5:]); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("%q %v", answer, err)
	}
	_ = conn.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}

// A body that never arrives does not keep the process: it is gone in 12 s.
func TestStuckRequestDoesNotKeepTheProcess(t *testing.T) {
	t.Parallel()
	cmd, url, _ := startServe(t, "DRAIN_DELAY=0s")
	conn, err := net.Dial("tcp", url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /api/join HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{", callerToken(t))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if took := time.Since(begin); took > 12*time.Second {
		t.Errorf("gone after %v", took)
	}
}
