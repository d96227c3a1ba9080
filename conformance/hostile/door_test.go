package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	callersSecret = "conformance-only-callers-8Zx2Cv4Bn6Mq1We3Rt5"
	livekitSecret = "conformance-only-7Qw2Er9Ty4Ui6Op1As3Df5"
)

// binary is the door, built once.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	// Most attacks wait for a time-out of the door's.
	_ = flag.Set("test.parallel", "8")
	dir, err := os.MkdirTemp("", "stagedoor-hostile-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "stagedoor")
	build := exec.Command("go", "build", "-o", binary, "./cmd/stagedoor")
	build.Dir = filepath.Join("..", "..")
	code := 1
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("%v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// output is the file to which the program prints. A pipe would have it wait for
// this process, which a crowd of callers keeps busy.
type output struct{ *os.File }

func (o *output) String() string {
	text, err := os.ReadFile(o.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// usage is what a process holds, memory in KiB; the zero value is unknown.
type usage struct{ resident, peak, files, sockets int }

// door is a running stagedoor serve.
type door struct {
	address string
	roots   *x509.CertPool // nil without TLS
	command *exec.Cmd
	exited  chan struct{}
	out     *output
	// before is what it held when the attack began.
	before usage
}

// own is what a test's door has besides.
type own struct {
	tls bool
	env []string
	// processor is the only one that the program may use; empty for all.
	processor string
}

// open starts a door, has some callers join, and measures it.
func open(t *testing.T, o own) *door {
	t.Helper()
	dir := t.TempDir()
	environment := []string{"PATH=" + os.Getenv("PATH"), "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:door.db", "DRAIN_DELAY=0s", "LOG_FORMAT=json",
		"LIVEKIT_URL=ws://127.0.0.1:1", "LIVEKIT_API_KEY=APIconformance", "LIVEKIT_API_SECRET=" + livekitSecret, "JWT_SECRET=" + callersSecret,
		"ALLOWED_ORIGINS=https://app.example", "RATE_LIMIT_USER=1000000/s", "RATE_LIMIT_IP=1000000/s", "RATE_LIMIT_FAILURES=1000000/s"}
	printed, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = printed.Close() })
	d := &door{out: &output{printed}, exited: make(chan struct{})}
	if o.tls {
		certFile, keyFile := certificate(t, dir, d)
		environment = append(environment, "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile, "REQUIRE_HTTPS=true")
	}
	d.command = exec.Command(binary, "serve")
	if o.processor != "" {
		d.command = exec.Command("taskset", "-c", o.processor, binary, "serve")
	}
	d.command.Dir, d.command.Stdout, d.command.Stderr = dir, printed, printed
	d.command.Env = append(environment, o.env...)
	d.command.SysProcAttr = dieWithTest()
	d.run(t)
	t.Cleanup(func() {
		_ = d.command.Process.Kill()
		<-d.exited
		if t.Failed() {
			t.Log(tail(d.out.String(), 6000))
		}
	})
	d.address = d.listening(t)
	for i := range 300 {
		d.mustJoin(t, fmt.Sprintf("early-%d", i%20))
	}
	d.before = d.usage(t)
	return d
}

// run starts the process from a thread that lives as long as the process: the
// kernel's promise counts from the death of the thread that started it.
func (d *door) run(t *testing.T) {
	t.Helper()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := d.command.Start()
		started <- err
		if err == nil {
			_ = d.command.Wait()
			close(d.exited)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
}

// listening waits for the door to say where it listens.
func (d *door) listening(t *testing.T) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, line := range d.lines() {
			if line["msg"] == "stagedoor is listening" {
				return line["address"].(string)
			}
		}
	}
	t.Fatal("the door does not start:\n", d.out)
	return ""
}

// lines are the whole lines of the log that are JSON objects.
func (d *door) lines() []map[string]any {
	var all []map[string]any
	for line := range strings.Lines(d.out.String()) {
		var object map[string]any
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &object) == nil {
			all = append(all, object)
		}
	}
	return all
}

func (d *door) usage(t *testing.T) usage {
	t.Helper()
	u, err := usageOf(d.command.Process.Pid)
	if err != nil {
		t.Fatal("the door is gone: ", err, "\n", tail(d.out.String(), 4000))
	}
	return u
}

// signal sends the process a signal.
func (d *door) signal(s syscall.Signal) { _ = d.command.Process.Signal(s) }

// dial opens a connection, through TLS with the protocols named.
func (d *door) dial(t *testing.T, protocols ...string) net.Conn {
	t.Helper()
	conn, err := d.tryDial(protocols...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (d *door) tryDial(protocols ...string) (net.Conn, error) {
	// From many addresses, as who has one has only its share of the door.
	dialer := &net.Dialer{Timeout: 10 * time.Second, LocalAddr: strangersAddress()}
	if d.roots == nil {
		return dialer.Dial("tcp", d.address)
	}
	return tls.DialWithDialer(dialer, "tcp", d.address, &tls.Config{RootCAs: d.roots, NextProtos: protocols})
}

// strangersAddress is one of many on this machine; nil where it has but one.
func strangersAddress() net.Addr {
	if runtime.GOOS != "linux" {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+mathrand.IntN(200)))}
}

// certificate makes the door's own, of a root that only this test trusts.
func certificate(t *testing.T, dir string, d *door) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "door"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, d.roots = filepath.Join(dir, "door.pem"), filepath.Join(dir, "door.key"), x509.NewCertPool()
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return certFile, keyFile
}

// tokens are those that callers have: attackers use theirs again and again.
var tokens sync.Map

// callerToken is what the application gives a caller.
func callerToken(subject string) string {
	if token, ok := tokens.Load(subject); ok {
		return token.(string)
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": subject, "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(callersSecret))
	if err != nil {
		panic(err)
	}
	tokens.Store(subject, signed)
	return signed
}

func tail(s string, most int) string {
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
