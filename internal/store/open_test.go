package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func TestOpenCreatesAPrivateFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a dir?with #odd %41 name")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "stagedoor.db")
	s := mustOpen(t, path)
	if err := s.AddBan(t.Context(), stagedoor.Ban{ID: "b"}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("files %v, %v", entries, err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("after Close there are %v", entries)
	}
}

func TestReopenedItIsAllThere(t *testing.T) {
	f := newFixture(t)
	ban := stagedoor.Ban{ID: "b", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "s"}, Reason: "noise", CreatedAt: f.clock()}
	f.must(f.AddBan(t.Context(), ban))
	f.must(f.Close())
	again := mustOpen(t, f.path)
	bans, err := again.Bans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "bans", bans, []stagedoor.Ban{ban})
	steps, err := migrations()
	var applied int
	if _, failed := again.reads.row(t.Context(), "SELECT COUNT(*) FROM schema_migrations", nil, &applied); err != nil || failed != nil || applied != len(steps) {
		t.Errorf("%d migrations of %d applied; %v %v", applied, len(steps), err, failed)
	}
}

func TestTwoProcessesMayStartAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stagedoor.db")
	failed := make(chan error, 8)
	for range cap(failed) {
		go func() {
			s, err := Open(context.Background(), path, Index{})
			if err == nil {
				err = s.Close()
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is not a database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	s := mustOpen(t, newer)
	if err := s.write(t.Context(), retold, "", func(t tx) error {
		_, err := t.exec("INSERT INTO schema_migrations (version, applied_at) VALUES (999, 0)")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want string }{
		"no directory":             {filepath.Join(dir, "none", "x.db"), "the directory " + filepath.Join(dir, "none") + " does not exist: create it"},
		"a directory":              {dir, "name a file in a directory that can be written"},
		"below a file":             {filepath.Join(garbage, "x.db"), "name a file in a directory that can be written"},
		"not a database":           {garbage, "not an SQLite database: name another file"},
		"TestNewerSchemaIsRefused": {newer, "newer version of stagedoor (its tables are of version 999"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), c.path, Index{})
			if err == nil {
				t.Fatal(s.Close())
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("it says: %v", err)
			}
		})
	}
	if data, err := os.ReadFile(garbage); err != nil || !strings.HasPrefix(string(data), "this is not") {
		t.Errorf("somebody else's file was changed: %v", err)
	}
}

func TestMigrationThatFailsLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else's database, with a table of the same name as one of ours.
	if _, err := db.Exec("CREATE TABLE customers (x TEXT)"); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), path, Index{}); err == nil || !strings.Contains(err.Error(), "migration 1") {
		t.Errorf("%v %v", s, err)
	}
	var tables int
	if err := db.QueryRow("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").Scan(&tables); err != nil || tables != 1 {
		t.Errorf("%d tables, %v", tables, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestPingKeepsToItsContext(t *testing.T) {
	f := newFixture(t)
	f.must(f.Ping(t.Context()))
	other, err := sql.Open("sqlite", f.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := f.Ping(ctx); err == nil {
		t.Error("it can be written although another process holds it")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	f.must(f.Ping(t.Context()))
	f.must(f.AddBan(t.Context(), stagedoor.Ban{ID: "b"}))
}

func TestWaitingForTheTurnKeepsToItsContext(t *testing.T) {
	f := newFixture(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- f.write(context.Background(), retold, "wait", func(tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.AddBan(ctx, stagedoor.Ban{ID: "b"}); err == nil {
		t.Error("two wrote at once")
	}
	if _, err := f.Bans(t.Context()); err != nil {
		t.Errorf("a reader waited for a writer: %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Whoever asks whether the door is ready, and hangs up, must not leave the one
// connection that writes inside a transaction.
func TestHangingUpWhilePingedLeavesNoTransaction(t *testing.T) {
	f := newFixture(t)
	for i := range 3000 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range i % 50 {
				runtime.Gosched()
			}
			cancel()
		}()
		_ = f.Ping(ctx)
		<-done
		if i%100 == 0 {
			f.must(f.Ping(t.Context()))
		}
	}
	f.must(f.Ping(t.Context()))
	f.must(f.AddBan(t.Context(), stagedoor.Ban{ID: "b", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "s"}, CreatedAt: f.clock()}))
}
