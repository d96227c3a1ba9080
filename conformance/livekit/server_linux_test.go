package livekit

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dieWithTest makes the kernel end the server when the test process dies in
// any way, a kill or a crash included, when no cleanup runs.
func dieWithTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// orphanEnv makes the test binary start a server, say where and wait.
const orphanEnv = "STAGEDOOR_CONFORMANCE_ORPHAN"

// TestServerDiesWithItsTest kills a test process that has a server running:
// a run that is interrupted leaves nothing behind.
func TestServerDiesWithItsTest(t *testing.T) {
	if os.Getenv(orphanEnv) != "" {
		s := startServer(t)
		fmt.Println("host " + s.host)
		time.Sleep(time.Minute)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestServerDiesWithItsTest$")
	child.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GOCOVERDIR=")
	}), orphanEnv+"=1")
	child.SysProcAttr = dieWithTest()
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	host := ""
	for lines := bufio.NewScanner(output); host == "" && lines.Scan(); {
		host, _ = strings.CutPrefix(lines.Text(), "host ")
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if host == "" {
		t.Fatal("the child started no server")
	}
	if err := awaitClosed(host); err != nil {
		t.Error(err)
	}
}
