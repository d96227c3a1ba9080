package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

func openTest(t *testing.T, path string, maxSize int64, keep int) *File {
	t.Helper()
	f, err := OpenFile(FileOptions{Path: path, MaxSize: maxSize, Keep: keep, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func logTo(out io.Writer) *Log {
	return New(out, time.Now, func(context.Context) string { return "req" })
}

func recordOf(subject string) stagedoor.AuditRecord {
	return stagedoor.AuditRecord{Principal: stagedoor.Principal{Issuer: "i", Subject: subject}, Request: stagedoor.Request{Room: "r"}}
}

// readAll counts how often each subject is in a log's files.
func readAll(t *testing.T, path string) (map[string]int, Found) {
	t.Helper()
	files, err := OpenFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	seen, found := map[string]int{}, Found{}
	err = files.Each(Filter{}, &found, func(_ []byte, e *Entry) error {
		seen[e.Subject]++
		return nil
	})
	if err := errors.Join(err, files.Close()); err != nil {
		t.Fatal(err)
	}
	return seen, found
}

func mustHaveEach(t *testing.T, seen map[string]int, want int) {
	t.Helper()
	for subject, n := range seen {
		if n != 1 {
			t.Errorf("%s is there %d times", subject, n)
		}
	}
	if len(seen) != want {
		t.Errorf("%d records, want %d", len(seen), want)
	}
}

// write has 8 goroutines write n records each; between is called beside them
// until they are done.
func write(t *testing.T, logs []*Log, n int, between func(round int)) {
	t.Helper()
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := range n {
				if err := logs[w%len(logs)].Record(t.Context(), recordOf(fmt.Sprintf("%d-%d", w, i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	for round := 0; ; round++ {
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
			between(round)
		}
	}
}

func TestRotationLosesAndDoublesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f := openTest(t, path, 10_000, 0)
	write(t, []*Log{logTo(f)}, 200, func(int) {})
	seen, found := readAll(t, path)
	mustHaveEach(t, seen, 1600)
	files, _ := filepath.Glob(path + ".*")
	if found.Torn+found.Foreign > 0 || len(files) < 20 {
		t.Errorf("%+v in %d files", found, len(files))
	}
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Size() > 10_000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Size(), err)
		}
	}
}

// Two doors may write to one file, as one does that ends and one that begins.
func TestTwoProcessesRotateOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	write(t, []*Log{logTo(openTest(t, path, 20_000, 0)), logTo(openTest(t, path, 20_000, 0))}, 150, func(int) {})
	seen, _ := readAll(t, path)
	mustHaveEach(t, seen, 1200)
}

// Something like logrotate moves the file away, with and without a signal.
func TestMovedAwayFileLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f := openTest(t, path, 0, 0)
	moved := 0
	write(t, []*Log{logTo(f)}, 300, func(round int) {
		if os.Rename(path, fmt.Sprintf("%s-%08d", path, round)) == nil {
			moved++
		}
		if round%2 == 0 {
			if err := f.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	seen, found := readAll(t, path)
	mustHaveEach(t, seen, 2400)
	if found.Torn+found.Foreign > 0 || moved < 3 {
		t.Errorf("%+v, moved %d times", found, moved)
	}
}

// A file that something else has begun at the path is the log from then on.
func TestLogIsTheFileAtThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := logTo(openTest(t, path, 0, 0))
	for _, subject := range []string{"a", "b"} {
		if err := l.Record(t.Context(), recordOf(subject)); err != nil {
			t.Fatal(err)
		}
		if subject == "a" {
			if err := errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), `"subject":"b"`) {
		t.Errorf("%q %v", text, err)
	}
}

// A clock that stands still must not have one file take another's name.
func TestRotationOverwritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f := openTest(t, path, 300, 0)
	f.Now = func() time.Time { return start }
	for i := range 20 {
		if err := logTo(f).Record(t.Context(), recordOf(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	seen, _ := readAll(t, path)
	mustHaveEach(t, seen, 20)
}

func TestOldFilesAreDropped(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	others := []string{path + ".bak", path + ".1", path + ".20261124"} // not this log's own
	for _, name := range others {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := logTo(openTest(t, path, 1000, 3))
	for i := range 40 {
		if err := l.Record(t.Context(), recordOf(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(path + "*")
	if len(files) != 1+3+len(others) {
		t.Errorf("%q", files)
	}
	seen, _ := readAll(t, path)
	if seen["39"] != 1 || seen["0"] != 0 {
		t.Errorf("%v", seen)
	}
}

const childEnv = "AUDIT_TEST_WRITES_TO"

// TestRecordsSurviveKill: whatever was acknowledged is there after a SIGKILL,
// and what it tore is skipped.
func TestRecordsSurviveKill(t *testing.T) {
	if path := os.Getenv(childEnv); path != "" {
		l := logTo(openTest(t, path, 5000, 0))
		for i := 0; ; i++ {
			subject := fmt.Sprintf("%d-%d", os.Getpid(), i)
			if err := l.Record(context.Background(), recordOf(subject)); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stdout.WriteString(subject + "\n"); err != nil {
				return
			}
		}
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	acknowledged := map[string]bool{}
	for range 5 {
		child := exec.Command(os.Args[0], "-test.run=^TestRecordsSurviveKill$", "-test.timeout=1m")
		child.Env = append(os.Environ(), childEnv+"="+path)
		out, err := child.StdoutPipe()
		if err != nil || child.Start() != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		if _, err := io.CopyN(&said, out, 2000); err != nil {
			t.Fatal(err)
		}
		_ = child.Process.Kill() // SIGKILL
		_, _ = io.Copy(&said, out)
		_ = child.Wait()
		lines := strings.Split(said.String(), "\n")
		for _, subject := range lines[:len(lines)-1] {
			acknowledged[subject] = true
		}
	}
	seen, found := readAll(t, path)
	for subject := range acknowledged {
		if seen[subject] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", subject, seen[subject])
		}
	}
	if found.Foreign > 0 || len(acknowledged) < 100 {
		t.Errorf("%+v, %d acknowledged", found, len(acknowledged))
	}
}

func TestTornLineIsCompleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := logTo(openTest(t, path, 0, 0))
	for _, subject := range []string{"a", "b"} {
		if err := l.Record(t.Context(), recordOf(subject)); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.IndexByte(whole, '\n') + 1
	for cut := begin; cut < len(whole); cut += 7 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := logTo(openTest(t, path, 0, 0)).Record(t.Context(), recordOf("c")); err != nil {
			t.Fatal(err)
		}
		seen, found := readAll(t, path)
		torn := int64(1)
		if cut == begin {
			torn = 0
		}
		if seen["a"] != 1 || seen["b"] != 0 || seen["c"] != 1 || found.Torn != torn || found.Foreign != 0 {
			t.Fatalf("cut at %d: %v %+v", cut, seen, found)
		}
	}
}

func TestPipeIsRefused(t *testing.T) {
	if _, err := OpenFile(FileOptions{Path: t.TempDir()}); !errors.Is(err, errIrregular) {
		t.Errorf("%v", err)
	}
	if _, err := OpenFile(FileOptions{Path: filepath.Join(t.TempDir(), "no", "audit.log")}); err == nil {
		t.Error("opened in a directory that is not there")
	}
}
