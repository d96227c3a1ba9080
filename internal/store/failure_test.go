package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stagedoor"
)

// lock has another process hold the lock for writing until release is called.
func lock(t *testing.T, path string) (release func()) {
	t.Helper()
	other, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		_, _ = conn.ExecContext(context.Background(), "ROLLBACK")
		_ = conn.Close()
		_ = other.Close()
	}
}

func mintOf(subject string) (stagedoor.Principal, stagedoor.Mint) {
	p := stagedoor.Principal{Issuer: "i", Subject: subject, Handle: subject, Claims: stagedoor.Claims{}}
	return p, stagedoor.Mint{
		Room: "r", Identity: stagedoor.Identity(subject), Principal: p.Key(), At: time.Now(), Expires: time.Now().Add(2 * time.Minute),
	}
}

func TestLocked_WritesThatCanBeRepeatedAreNotTriedOneByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := mustOpen(t, path)
	defer lock(t, path)()
	began := time.Now()
	for range 20 {
		p, _ := mintOf("ann")
		if _, err := s.Remember(t.Context(), p); err == nil {
			t.Fatal("written to a locked database")
		}
	}
	if took := time.Since(began); took > 10*patience {
		t.Errorf("20 writes waited %v for a locked database", took)
	}
}

func TestMintLater_IsReadFromMemoryAndWrittenWhenTheDatabaseIsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := mustOpen(t, path)
	release := lock(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.WriteLate(ctx, slog.New(slog.DiscardHandler)); close(done) }()
	defer func() { cancel(); <-done }()

	p, m := mintOf("ann")
	s.MintLater(p, m)

	found, ours, err := s.Mint(t.Context(), "r", "ann")
	if err != nil || !ours || found.Principal != p.Key() {
		t.Errorf("mint %+v %v %v", found, ours, err)
	}
	if of, err := s.MintsOf(t.Context(), p.Key(), time.Time{}, 10); err != nil || len(of) != 1 {
		t.Errorf("mints of them %v %v", of, err)
	}
	if who, known, err := s.Principal(t.Context(), p.Key()); err != nil || !known || who.Handle != "ann" {
		t.Errorf("principal %+v %v %v", who, known, err)
	}

	release()
	for deadline := time.Now().Add(30 * time.Second); len(s.late.list()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never written")
		}
	}
	second := mustOpen(t, path) // another process reads it from the disk
	if _, ours, err := second.Mint(t.Context(), "r", "ann"); err != nil || !ours {
		t.Errorf("stored: %v %v", ours, err)
	}
}

func TestMintLater_IsDroppedWhenItsTokenHasExpired(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := mustOpen(t, path)
	defer lock(t, path)()
	p, m := mintOf("ann")
	m.Expires = time.Now().Add(-time.Hour)
	s.MintLater(p, m)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.WriteLate(ctx, slog.New(slog.DiscardHandler)); close(done) }()
	defer func() { cancel(); <-done }()
	for deadline := time.Now().Add(30 * time.Second); len(s.late.list()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("kept for ever")
		}
	}
}

func TestFullDisk_IsNotReadyUntilAWriteSucceeds(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "test.db"))
	pages := func(limit string) {
		t.Helper()
		if _, err := s.writes.conn.ExecContext(t.Context(), "PRAGMA max_page_count = "+limit); err != nil {
			t.Fatal(err)
		}
	}
	pages("1") // SQLite takes the present size as the least
	fill := func() error {
		for i := range 500 {
			ban := stagedoor.Ban{ID: "ban_" + time.Now().String() + string(rune(i)), Reason: string(make([]byte, 4000)),
				Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "s"}}
			if err := s.AddBan(t.Context(), ban); err != nil {
				return err
			}
		}
		return nil
	}
	if fill() == nil {
		t.Fatal("a full disk took everything")
	}
	pages("1000000")
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

// What is written to a deleted file is gone at the next start.
func TestDeletedFile_AcknowledgesNothingAndIsNotReady(t *testing.T) {
	for name, then := range map[string]func(path string) error{
		"deleted": func(string) error { return nil },
		"replaced": func(path string) error {
			return os.WriteFile(path, nil, 0o600)
		},
	} {
		path := filepath.Join(t.TempDir(), "test.db")
		s := mustOpen(t, path)
		if err := errors.Join(os.Remove(path), then(path)); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			ban := stagedoor.Ban{ID: "ban_" + string(rune('a'+i)), Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "s"}}
			if err := s.AddBan(t.Context(), ban); !errors.Is(err, errMoved) {
				t.Errorf("%s: ban %d: %v", name, i, err)
			}
			if s.Ping(t.Context()) == nil {
				t.Errorf("%s: ready", name)
			}
		}
		if info, err := os.Stat(path); name == "deleted" && err == nil {
			t.Errorf("%s: the file is back with %d bytes", name, info.Size())
		}
	}
}
