package devserver

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"stagedoor"
	"stagedoor/internal/livekit"
)

// livekitPackage is what tools/livekit pins.
const livekitPackage = "github.com/livekit/livekit-server/cmd/server"

// LiveKit is a LiveKit server that runs on loopback for this process, with
// keys made for it.
type LiveKit struct {
	// URL is for clients (ws), APIURL for the server's own calls (http).
	URL, APIURL string
	Key         string
	Secret      stagedoor.Secret
	process     *child
}

// StartLiveKit starts the LiveKit server binary on free loopback ports and
// waits until it answers. The server sends its webhooks to webhookURL. Another
// program may take a port between its choice and its use, so that it tries
// three times. Stop must be called.
func StartLiveKit(ctx context.Context, binary, webhookURL string) (server *LiveKit, err error) {
	for range 3 {
		server, err = tryLiveKit(ctx, binary, webhookURL)
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return server, err
}

// Done is closed when the server has ended.
func (l *LiveKit) Done() <-chan struct{} { return l.process.done }

// Output returns the end of what the server printed, indented.
func (l *LiveKit) Output() string { return l.process.output.String() }

// Stop ends the server and waits until it has ended.
func (l *LiveKit) Stop() { l.process.stop() }

func tryLiveKit(ctx context.Context, binary, webhookURL string) (*LiveKit, error) {
	ports, err := freePorts()
	if err != nil {
		return nil, err
	}
	l := &LiveKit{
		URL:    fmt.Sprintf("ws://127.0.0.1:%d", ports[0]),
		APIURL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		Key:    "API" + rand.Text()[:12],
		Secret: stagedoor.NewSecret(rand.Text() + rand.Text()),
	}
	settings := fmt.Sprintf(`port: %d
bind_addresses: ["127.0.0.1"]
rtc:
  tcp_port: 0
  udp_port: %d
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
  ips: {includes: [127.0.0.1/32]}
keys: {%s: %s}
webhook: {api_key: %s, urls: [%s]}
logging: {level: warn}
`, ports[0], ports[1], l.Key, l.Secret.Reveal(), l.Key, webhookURL)
	// Media uses UDP only, because the server would accept TCP on every address.
	// The settings go into the environment, where other users of the machine
	// cannot read the keys.
	l.process, err = startChild(binary,
		[]string{"LIVEKIT_CONFIG=" + settings, "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")})
	if err != nil {
		return nil, fmt.Errorf("start the LiveKit server %s: %w", binary, err)
	}
	probe, err := l.probe(ctx)
	if err == nil {
		err = l.process.waitReady(probe, 10*time.Second)
	}
	if err != nil {
		l.Stop()
		return nil, fmt.Errorf("wait for the LiveKit server: %w", err)
	}
	return l, nil
}

// probe is a request that only a server with this key answers with 200: at the
// port alone another program could answer.
func (l *LiveKit) probe(ctx context.Context) (*http.Request, error) {
	signer := &livekit.Signer{Key: l.Key, Secret: l.Secret, Now: time.Now}
	token, err := signer.Sign(stagedoor.Admission{Room: "probe", Identity: "probe", TTL: time.Minute})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.APIURL+"/rtc/validate", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	return req, nil
}

// freePorts finds a TCP port for signalling and a UDP port for media, the usual
// ones of LiveKit when they are free.
func freePorts() (ports [2]int, err error) {
	for _, port := range []int{7880, 0} {
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			ports[0] = listener.Addr().(*net.TCPAddr).Port
			_ = listener.Close()
			break
		}
	}
	for _, port := range []int{7882, 0} {
		if conn, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			ports[1] = conn.LocalAddr().(*net.UDPAddr).Port
			_ = conn.Close()
			break
		}
	}
	if ports[0] == 0 || ports[1] == 0 {
		return ports, errors.New("no free port on 127.0.0.1 for the LiveKit server")
	}
	return ports, nil
}

// FindLiveKit returns the LiveKit server binary to run: the version that this
// checkout pins, which it builds when the binary is missing or older than the
// pin; outside of a checkout the one on the PATH. It shows the build's progress
// on out, which is a terminal or not. The error says what to install.
func FindLiveKit(ctx context.Context, out io.Writer, terminal bool) (string, error) {
	root := repository()
	if root == "" {
		if found, err := exec.LookPath("livekit-server"); err == nil {
			return found, nil
		}
		return "", errors.New("there is no livekit-server on the PATH. Install it (docs.livekit.io, \"Running LiveKit locally\"), " +
			"run this in a checkout of stagedoor, or name a deployment with LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
	}
	binary := filepath.Join(root, "bin", "livekit-server")
	if newer(binary, filepath.Join(root, "tools", "livekit", "go.mod")) {
		return binary, nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", errors.New("building the LiveKit server needs Go (go.dev/dl), which is not on the PATH. " +
			"Or name a deployment with LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
	}
	if err := buildLiveKit(ctx, root, binary, newProgress(out, terminal, "building the LiveKit server, once (about two minutes)")); err != nil {
		return "", fmt.Errorf("build the LiveKit server: %w", err)
	}
	return binary, nil
}

// repository returns the checkout that this program was built in, or the one
// that is the working directory, or "". It does not look in parent directories,
// where another user may be able to write.
func repository() string {
	var candidates []string
	if program, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Dir(filepath.Dir(program)))
	}
	if dir, err := os.Getwd(); err == nil {
		candidates = append(candidates, dir)
	}
	for _, dir := range candidates {
		module, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil || !strings.HasPrefix(string(module), "module stagedoor\n") {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "tools", "livekit", "go.mod")); err == nil {
			return dir
		}
	}
	return ""
}

// newer reports whether the built file exists and is not older than its source.
func newer(built, source string) bool {
	b, err := os.Stat(built)
	if err != nil {
		return false
	}
	s, err := os.Stat(source)
	return err == nil && !b.ModTime().Before(s.ModTime())
}

// buildLiveKit compiles the pinned LiveKit server and shows the progress.
func buildLiveKit(ctx context.Context, root, binary string, shown *progress) (err error) {
	defer func() { shown.end(err == nil) }()
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-o", binary, livekitPackage)
	cmd.Dir = filepath.Join(root, "tools", "livekit")
	lines, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	last := &outputTail{}
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		_, _ = last.Write(append(scanner.Bytes(), '\n'))
		shown.step(scanner.Text())
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, last)
	}
	// go build leaves an up-to-date binary alone, but newer compares its time.
	now := time.Now()
	return os.Chtimes(binary, now, now)
}
