package livekit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/livekit"
)

const (
	serverBinary = "../../bin/livekit-server"
	serverModule = "../../tools/livekit"
	serverStarts = 3
	serverReady  = 20 * time.Second
)

// server is a real livekit-server on loopback with a key of its own.
type server struct {
	host   string // host:port
	signer *livekit.Signer
	cmd    *exec.Cmd
	exited chan struct{}
	output bytes.Buffer
}

// startServer runs the pinned livekit-server until the test ends. It tells
// each of the webhooks what happens.
func startServer(t *testing.T, webhooks ...string) *server {
	t.Helper()
	binary := buildServer(t)
	var err error
	for range serverStarts {
		// A free port may be taken by somebody else before the server has it.
		var s *server
		if s, err = launch(binary, webhooks); err == nil {
			t.Cleanup(func() { s.stop(t) })
			return s
		}
	}
	t.Fatalf("livekit-server does not start: %v", err)
	return nil
}

// buildServer returns the path of the server, built from its pinned module
// when it is not there: a test that skips proves nothing.
func buildServer(t *testing.T) string {
	t.Helper()
	binary, err := filepath.Abs(serverBinary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	t.Log("building livekit-server, which takes minutes the first time")
	build := exec.Command("go", "build", "-C", serverModule, "-o", binary, "github.com/livekit/livekit-server/cmd/server")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building livekit-server: %v\n%s", err, output)
	}
	return binary
}

// launch starts the server on free ports and waits until it serves.
func launch(binary string, webhooks []string) (*server, error) {
	port, rtcTCP, rtcUDP, err := freePorts()
	if err != nil {
		return nil, err
	}
	s := &server{host: fmt.Sprintf("127.0.0.1:%d", port), exited: make(chan struct{})}
	s.signer = &livekit.Signer{Key: "API" + rand.Text()[:12], Secret: stagedoor.NewSecret(rand.Text() + rand.Text()), Now: time.Now}
	// JSON is YAML.
	config, err := json.Marshal(map[string]any{
		"port": port, "bind_addresses": []string{"127.0.0.1"},
		"keys": map[string]string{s.signer.Key: s.signer.Secret.Reveal()},
		"rtc": map[string]any{"node_ip": "127.0.0.1", "use_external_ip": false, "tcp_port": rtcTCP, "udp_port": rtcUDP,
			"enable_loopback_candidate": true, "ips": map[string]any{"includes": []string{"127.0.0.1/32"}}},
		"webhook": map[string]any{"api_key": s.signer.Key, "urls": webhooks},
		"logging": map[string]any{"level": "error"},
	})
	if err != nil {
		return nil, err
	}
	s.cmd = exec.Command(binary)
	s.cmd.Env = []string{"LIVEKIT_CONFIG=" + string(config), "HOME=" + os.TempDir()}
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	s.cmd.SysProcAttr = dieWithTest()
	if err := s.run(); err != nil {
		return nil, err
	}
	if err := s.awaitReady(); err != nil {
		_ = s.cmd.Process.Kill()
		<-s.exited
		return nil, fmt.Errorf("%w\n%s", err, s.output.String())
	}
	return s, nil
}

// run starts the process from a thread that lives as long as the process:
// the kernel's promise counts from the death of the thread that started it.
func (s *server) run() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait()
			close(s.exited)
		}
	}()
	return <-started
}

func (s *server) awaitReady() error {
	deadline := time.After(serverReady)
	for {
		if resp, err := http.Get("http://" + s.host + "/"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.exited:
			return errors.New("livekit-server ended at once")
		case <-deadline:
			return errors.New("livekit-server is not ready in time")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the process and proves that it is gone.
func (s *server) stop(t *testing.T) {
	_ = s.cmd.Process.Kill()
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		t.Error("livekit-server outlives its test")
	}
	if err := awaitClosed(s.host); err != nil {
		t.Error(err)
	}
	// The log of a failed test is worth reading, but for the keys that a refusal repeats.
	if t.Failed() {
		t.Log(strings.ReplaceAll(s.output.String(), s.signer.Secret.Reveal(), "REDACTED"))
	}
}

// awaitClosed waits until nobody listens at the address any more.
func awaitClosed(address string) error {
	for range 200 {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return nil
		}
		_ = conn.Close()
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("somebody still listens at %s", address)
}

// freePorts returns two TCP ports and a UDP port of loopback that were free.
func freePorts() (http, rtcTCP, rtcUDP int, err error) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { _ = first.Close() }()
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { _ = second.Close() }()
	third, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { _ = third.Close() }()
	return first.Addr().(*net.TCPAddr).Port, second.Addr().(*net.TCPAddr).Port, third.LocalAddr().(*net.UDPAddr).Port, nil
}

// validate asks the server what it thinks of a token. The body is for
// comparing prefixes only: servers of this version repeat the token in it.
func (s *server) validate(t *testing.T, token string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.host+"/rtc/validate", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
