package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func TestInspectMakesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "door.db")
	c, err := Inspect(t.Context(), path)
	if err != nil || !c.Missing {
		t.Errorf("%+v %v", c, err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Inspect(t.Context(), path); err != nil || c.Missing || c.Size != 0 {
		t.Errorf("an empty file: %+v %v", c, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("tables were made: %v %v", info, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
	if _, err := Inspect(t.Context(), filepath.Join(dir, "nowhere", "door.db")); err == nil || !strings.Contains(err.Error(), "does not exist: create it") {
		t.Errorf("%v", err)
	}
	if _, err := Inspect(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("%v", err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), text); err == nil || !strings.Contains(err.Error(), "not an SQLite database") {
		t.Errorf("%v", err)
	}
}

// TestInspectBesideADoor: a store that is open, and one that is writing.
func TestInspectBesideADoor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door.db")
	s := mustOpen(t, path)
	now := time.Now().Truncate(time.Millisecond)
	if _, err := s.SaveEvent(t.Context(), stagedoor.BillingEvent{ID: "evt_1", Type: "customer.updated"}, now); err != nil {
		t.Fatal(err)
	}
	if err := s.Heard(t.Context(), now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.Heard(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	err := s.write(t.Context(), retold, "hold the lock", func(tx) error {
		c, err := Inspect(t.Context(), path)
		if err != nil || !c.StripeEvent.Equal(now) || !c.LiveKitEvent.Equal(now) || c.Size == 0 {
			t.Errorf("%+v %v", c, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("the door's own: %v", err)
	}
}
