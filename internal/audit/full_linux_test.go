package audit

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limitFiles has the system refuse to let any file grow beyond size: a write
// across it is cut short, as on a full disk.
//
// SPEC: setrlimit(2), RLIMIT_FSIZE.
func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
}

// inChild runs the test in a process of its own and returns true there. The limit
// holds for a whole process, in which go test writes a log of its own.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv("STAGEDOOR_TEST_CHILD") != "" {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), "STAGEDOOR_TEST_CHILD=1")
	out, err := child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func TestFullDiskLetsNobodyInUntilThereIsSpace(t *testing.T) {
	if !inChild(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	var told bytes.Buffer
	f, err := OpenFile(FileOptions{Path: path, Now: time.Now, Log: slog.New(slog.NewTextHandler(&told, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	l := logTo(f)
	record := func(subject string) error { return l.Record(t.Context(), recordOf(subject)) }
	if err := record("before"); err != nil || f.Ready() != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	limitFiles(t, uint64(info.Size())+50) // a part of a record fits
	t.Cleanup(func() { limitFiles(t, ^uint64(0)) })
	for range 3 {
		if record("lost") == nil {
			t.Error("a record that was cut short was taken for kept")
		}
	}
	if f.Ready() == nil {
		t.Error("ready with a full disk")
	}
	limitFiles(t, ^uint64(0))
	if err := f.Ready(); err != nil {
		t.Errorf("the log does not come back by itself: %v", err)
	}
	if err := record("after"); err != nil {
		t.Error(err)
	}
	seen, found := readAll(t, path)
	if seen["before"] != 1 || seen["after"] != 1 || seen["lost"] != 0 || found.Torn != 1 || found.Foreign != 0 {
		t.Errorf("%v %+v", seen, found)
	}
	if n := strings.Count(told.String(), "takes no record"); n != 1 || !strings.Contains(told.String(), "takes records again") {
		t.Errorf("%s", told.String())
	}
}

// The device that is always full, and a file in its place: nothing restarts.
func TestLogThatIsReplacedIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(FileOptions{Path: path, MaxSize: 1 << 20, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if logTo(f).Record(t.Context(), recordOf("a")) == nil || f.Ready() == nil {
		t.Error("a full device takes records")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	// Nobody asks a door that is not ready: it has to see this by itself.
	if err := f.Ready(); err != nil {
		t.Error(err)
	}
	if err := logTo(f).Record(t.Context(), recordOf("b")); err != nil {
		t.Error(err)
	}
	if seen, _ := readAll(t, path); seen["b"] != 1 {
		t.Errorf("%v", seen)
	}
}
