package store

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs fn without root's right to write everywhere.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		fn()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := syscall.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		fn()
	}()
	<-done
}

func TestReadOnlyPlacesAreNamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	missing, kept, open := filepath.Join(dir, "missing.db"), filepath.Join(dir, "kept.db"), filepath.Join(dir, "open.db")
	for path, mode := range map[string]os.FileMode{kept: 0o444, open: 0o666} {
		s := mustOpen(t, path)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	asNobody(t, func() {
		for path, want := range map[string]string{
			missing: "must be able to write both the file and the directory " + dir,
			kept:    "must be able to write both the file and the directory " + dir,
			open:    "must be able to write the file, the files beside it",
		} {
			s, err := Open(context.Background(), path, Index{})
			if err == nil {
				t.Errorf("%s was opened", filepath.Base(path))
				_ = s.Close()
				continue
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: it says: %v", filepath.Base(path), err)
			}
		}
	})
}

func TestInspectNamesReadOnlyPlaces(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	kept, open := filepath.Join(dir, "kept.db"), filepath.Join(dir, "open.db")
	for path, mode := range map[string]os.FileMode{kept: 0o444, open: 0o666} {
		if err := mustOpen(t, path).Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	asNobody(t, func() {
		for path, want := range map[string]string{
			filepath.Join(dir, "missing.db"): "the directory " + dir + " is read-only for this user",
			kept:                             "it is read-only for this user",
			open:                             "the directory " + dir + " is read-only for this user",
		} {
			if _, err := Inspect(context.Background(), path); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", filepath.Base(path), err, want)
			}
		}
	})
}
