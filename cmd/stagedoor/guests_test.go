package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An invitation that is used up is a secret that many may have. Each of them
// can make guests without end, of whom none may stay in the database.
func TestUsedUpInvitationGrowsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "policy.yaml"), `rooms: [{room: hall, invite: "true"}]`)
	database := filepath.Join(dir, "door.db")
	door, url, _ := startServe(t, "DRAIN_DELAY=0s", "POLICY_FILE="+filepath.Join(dir, "policy.yaml"), "DATABASE_URL=sqlite:"+database, "INVITE_URL=https://rooms.example.com/")
	client := &http.Client{Timeout: 10 * time.Second}
	send := func(path, token, body string, want int) []byte {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%s: %d %s %v", path, resp.StatusCode, answer, err)
		}
		return answer
	}
	var made struct{ URL string }
	if err := json.Unmarshal(send("/api/invites", callerToken(t), `{"room":"hall","expires":3600,"uses":1}`, http.StatusCreated), &made); err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(made.URL, "#invite=")
	guest := func(i, want int) {
		send("/api/join", secret, fmt.Sprintf(`{"guest":"tab-of-guest-number-%d"}`, i), want)
	}
	guest(0, http.StatusOK)
	for i := 1; i <= 40; i++ {
		guest(i, http.StatusForbidden)
	}
	guest(0, http.StatusOK) // who came in comes back
	if err := door.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := door.Wait(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for table, want := range map[string]int{"principals": 2, "guests": 1, "mints": 1} {
		var rows int
		if err := db.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&rows); err != nil || rows != want {
			t.Errorf("%s: %d rows, want %d, %v", table, rows, want, err)
		}
	}
}
