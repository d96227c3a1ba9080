package deploy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// confined is the image's command, in the image, without anything of this
// machine's in its environment. Without root the machine allows no such room:
// then the same binary runs where it lies.
func confined(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	root, d := layOut(t), built.file
	if os.Getuid() == 0 {
		return jail(root, d.user, d.workdir, args...)
	}
	t.Log("not root: without chroot and read-only root")
	c := exec.Command(root+args[0], args[1:]...)
	c.Dir = t.TempDir()
	return c
}

func token(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	claims["sub"], claims["exp"] = "ann", time.Now().Add(time.Hour).Unix()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(caller))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestImageServesUnprivilegedOnReadOnlyRoot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	layOut(t)
	c := confined(t, built.file.command()...)
	c.Env = []string{"PATH=/nonexistent", "LISTEN_ADDR=" + address, "ADMIN_ADDR=127.0.0.1:0", "REQUIRE_HTTPS=true", "TRUSTED_PROXIES=127.0.0.1", "DRAIN_DELAY=0s",
		"LIVEKIT_URL=wss://stage-4f2k9.livekit.cloud", "LIVEKIT_API_KEY=" + key, "LIVEKIT_API_SECRET=" + secret, "JWT_SECRET=" + caller}
	var log bytes.Buffer
	c.Stdout, c.Stderr = io.Discard, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	stop := func() error {
		_ = c.Process.Signal(syscall.SIGTERM)
		return <-ended
	}
	for probe := http.StatusTeapot; probe != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("%v\n%s", err, log.String())
		default:
		}
		if answer, err := http.Get("http://" + address + "/readyz"); err == nil {
			_ = answer.Body.Close()
			probe = answer.StatusCode
		}
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/api/join", strings.NewReader(`{"room": "test-room"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Authorization": {"Bearer " + token(t, jwt.MapClaims{})}, "Content-Type": {"application/json"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-For": {"192.0.2.1"}}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"url":"wss://stage-4f2k9.livekit.cloud"`)) {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if err := stop(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, log.String())
	}
	if !bytes.Contains(log.Bytes(), []byte("stagedoor has ended")) {
		t.Errorf("it did not say that it ended:\n%s", log.String())
	}
}

// The binary has nobody to ask for help: no shell, no Go, no Node, no files.
func TestImageNeedsNothingBesideIt(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"version"}, 0, "stagedoor  devel"},
		{[]string{"serve"}, 2, "LiveKit credentials not configured"},
	} {
		layOut(t)
		command := confined(t, append([]string{built.file.entrypoint[0]}, c.args...)...)
		command.Env = []string{"PATH=/nonexistent"}
		out, err := command.CombinedOutput()
		if command.ProcessState.ExitCode() != c.status || !strings.Contains(string(out), c.says) {
			t.Errorf("%v: %v\n%s", c.args, err, out)
		}
	}
}
