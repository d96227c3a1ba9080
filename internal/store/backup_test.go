package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func banned(t *testing.T, s *Store, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		b := stagedoor.Ban{ID: "ban_" + subject, Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}}
		if err := s.AddBan(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

func bansIn(t *testing.T, path string) int {
	t.Helper()
	s := mustOpen(t, path)
	defer func() { _ = s.Close() }()
	bans, err := s.Bans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(bans)
}

func TestBackup_OfADatabaseInUseHoldsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "test.db"), filepath.Join(dir, "backup.db")
	s := mustOpen(t, path)
	banned(t, s, "ann", "bob")

	found, err := Backup(t.Context(), path, to, false)
	if err != nil || found.Path != to || found.Size == 0 || found.Version == 0 {
		t.Fatalf("%+v %v", found, err)
	}
	if found.Rows[1] != (TableRows{Table: "bans", Rows: 2}) {
		t.Errorf("rows %+v", found.Rows)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if n := bansIn(t, to); n != 2 {
		t.Errorf("%d bans in the backup", n)
	}
}

func TestBackup_RefusesToReplaceAFileAndTheDatabaseItself(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "test.db"), filepath.Join(dir, "backup.db")
	s := mustOpen(t, path)
	if err := os.WriteFile(to, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), path, to, false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("an existing file: %v", err)
	}
	if data, err := os.ReadFile(to); err != nil || string(data) != "mine" {
		t.Errorf("the file is %q, %v", data, err)
	}
	if _, err := Backup(t.Context(), path, to, true); err != nil {
		t.Error(err)
	}
	for _, name := range databaseFiles(path) {
		if _, err := Backup(t.Context(), path, name, true); err == nil {
			t.Errorf("%s was overwritten", name)
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := Backup(t.Context(), filepath.Join(dir, "none.db"), to, true); err == nil {
		t.Error("a database that does not exist was backed up")
	}
}

func TestRestore_RefusesWhileTheDatabaseIsInUse(t *testing.T) {
	dir := t.TempDir()
	path, from := filepath.Join(dir, "test.db"), filepath.Join(dir, "backup.db")
	s := mustOpen(t, path)
	banned(t, s, "ann")
	if _, err := Backup(t.Context(), path, from, false); err != nil {
		t.Fatal(err)
	}
	banned(t, s, "bob")
	if _, _, err := Restore(t.Context(), from, path, time.Now()); err == nil || !strings.Contains(err.Error(), "stop it") {
		t.Fatalf("%v", err)
	}
	banned(t, s, "eve") // the server goes on
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := bansIn(t, path); n != 3 {
		t.Errorf("%d bans, want 3", n)
	}
}

// A crashed server leaves a log beside the file. Beside a restored file SQLite
// would play it back, and mix two databases.
func TestRestore_DoesNotMixTheBackupWithTheLogOfACrashedServer(t *testing.T) {
	dir := t.TempDir()
	path, from := filepath.Join(dir, "test.db"), filepath.Join(dir, "backup.db")
	s := mustOpen(t, path)
	banned(t, s, "ann")
	if _, err := Backup(t.Context(), path, from, false); err != nil {
		t.Fatal(err)
	}
	banned(t, s, "bob", "eve")
	for _, file := range []string{path, path + "-wal"} { // as a kill leaves them
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+".crashed", data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(path+".crashed", path), os.Rename(path+"-wal.crashed", path+"-wal")); err != nil {
		t.Fatal(err)
	}

	restored, aside, err := Restore(t.Context(), from, path, time.Now())
	if err != nil || restored.Path != path || aside == "" {
		t.Fatalf("%+v %q %v", restored, aside, err)
	}
	if n := bansIn(t, path); n != 1 {
		t.Errorf("%d bans after the restore, want the backup's 1", n)
	}
	if n := bansIn(t, aside); n != 3 {
		t.Errorf("%d bans in what was there, want 3", n)
	}
}

func TestRestore_RefusesWhatIsNoSoundBackup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := mustOpen(t, path)
	banned(t, s, "ann")
	good := filepath.Join(dir, "good.db")
	if _, err := Backup(t.Context(), path, good, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "half.db")
	text := filepath.Join(dir, "text.db")
	raw := filepath.Join(dir, "raw.db")
	if err := errors.Join(os.WriteFile(half, data[:len(data)/2], 0o600), os.WriteFile(text, []byte("not a database at all, but text"), 0o600),
		os.WriteFile(raw, data, 0o600), os.WriteFile(raw+"-wal", []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{half, text, raw, filepath.Join(dir, "none.db"), path} {
		if _, _, err := Restore(t.Context(), from, path, time.Now()); err == nil {
			t.Errorf("%s was restored", from)
		}
	}
	if n := bansIn(t, path); n != 1 {
		t.Errorf("%d bans afterwards", n)
	}
}
