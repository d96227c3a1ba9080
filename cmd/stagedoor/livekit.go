package main

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

// deployment is a LiveKit deployment and the key to it.
type deployment struct {
	// url is for browsers, api for the door's own calls.
	url, api, key string
	secret        stagedoor.Secret
	child         *child // nil when it is not ours
}

// startLiveKit starts a LiveKit server on loopback, with keys made for this
// run, that sends its events to an address of the door's. Another program may
// take a port between its choice and its use: then others are tried.
func startLiveKit(ctx context.Context, binary, events string) (d *deployment, err error) {
	for range 3 {
		d, err = tryLiveKit(ctx, binary, events)
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return d, err
}

func tryLiveKit(ctx context.Context, binary, events string) (*deployment, error) {
	ports, err := freePorts()
	if err != nil {
		return nil, err
	}
	d := &deployment{
		url: fmt.Sprintf("ws://127.0.0.1:%d", ports[0]), api: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), key: "API" + rand.Text()[:12],
		secret: stagedoor.NewSecret(rand.Text() + rand.Text()),
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
`, ports[0], ports[1], d.key, d.secret.Reveal(), d.key, events)
	// Media goes over UDP alone: the server would take TCP on every address.
	// The settings go in the environment, where other users of the machine cannot read the keys.
	d.child, err = startChild(binary, []string{"LIVEKIT_CONFIG=" + settings, "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")})
	if err != nil {
		return nil, fmt.Errorf("the LiveKit server %s does not start: %w", binary, err)
	}
	probe, err := d.probe(ctx)
	if err == nil {
		err = d.child.ready(probe, 10*time.Second)
	}
	if err != nil {
		d.child.stop()
		return nil, fmt.Errorf("the LiveKit server does not get ready: %w", err)
	}
	return d, nil
}

// probe is a request that only a server with this deployment's key answers
// with 200: at the address alone somebody else's could answer.
func (d *deployment) probe(ctx context.Context) (*http.Request, error) {
	signer := &livekit.Signer{Key: d.key, Secret: d.secret, Now: time.Now}
	token, err := signer.Sign(stagedoor.Admission{Room: "probe", Identity: "probe", TTL: time.Minute})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.api+"/rtc/validate", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	return req, nil
}

// freePorts finds a TCP port for signalling and a UDP port for media:
// LiveKit's usual ones when they are free.
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

// findLiveKit returns the LiveKit server to run: the one that this repository
// pins, built when it is missing or older than the pin, else one on the PATH.
func findLiveKit(ctx context.Context, out io.Writer) (string, error) {
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
	if err := buildLiveKit(ctx, root, binary, out); err != nil {
		return "", fmt.Errorf("the LiveKit server cannot be built: %w", err)
	}
	return binary, nil
}

// repository returns the checkout that this program was built in, or the one
// that is the working directory, or "". It looks no further up: what runs from
// there must not be anybody's who can write above.
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

// newer reports whether the built file is there and not older than its source.
func newer(built, source string) bool {
	b, err := os.Stat(built)
	if err != nil {
		return false
	}
	s, err := os.Stat(source)
	return err == nil && !b.ModTime().Before(s.ModTime())
}

// buildLiveKit compiles the pinned LiveKit server and shows how far it is.
func buildLiveKit(ctx context.Context, root, binary string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-o", binary, livekitPackage)
	cmd.Dir = filepath.Join(root, "tools", "livekit")
	lines, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	progress := newProgress(out, "building the LiveKit server, once (about two minutes)")
	last := &tail{}
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		_, _ = last.Write(append(scanner.Bytes(), '\n'))
		progress.step(scanner.Text())
	}
	err = cmd.Wait()
	progress.end(err == nil)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, last.String())
	}
	// go build leaves an up-to-date file as it is; its age must still say so.
	now := time.Now()
	return os.Chtimes(binary, now, now)
}
