package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
	"stagedoor/internal/store"
)

const coursesPolicy = `rooms:
  - room: "course-{owner}"
    join: "int(room.owner) in claims.courses"
    examples:
      - {claims: {sub: ann, courses: [1234567890123456789]}, room: course-1234567890123456789, expect: {join: true}}
      - {claims: {sub: ann, courses: [1234567890123456789]}, room: course-1234567890123456701, expect: {join: false}}
`

// TestJoin_LargeNumbersOpenTheirOwnRoomAlone follows a claim from a signed
// token through the server and its database, and asks every command about it.
func TestJoin_LargeNumbersOpenTheirOwnRoomAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	policy, database := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "stagedoor.db")
	if err := os.WriteFile(policy, []byte(coursesPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, url, _ := startServe(t, "POLICY_FILE="+policy, "DATABASE_URL=sqlite:"+database)
	courses := []any{json.Number("1234567890123456789"), json.Number("9223372036854775808"), 7}
	token := signedWith(t, callerSecret, jwt.MapClaims{"courses": courses})
	for room, want := range map[string]int{
		"course-1234567890123456789": http.StatusOK, "course-7": http.StatusOK,
		"course-1234567890123456701": http.StatusForbidden, "course-1234567890123456768": http.StatusForbidden,
		"course-1234567890123456788": http.StatusForbidden, "course-1234567890123456790": http.StatusForbidden,
		"course-9223372036854775807": http.StatusForbidden, "course-9223372036854775808": http.StatusForbidden,
	} {
		if status, answer := ask(t, url, token, `{"room":"`+room+`"}`, nil); status != want {
			t.Errorf("%s: %d %v", room, status, answer)
		}
	}

	stored := storedClaims(t, database)
	if want := []any{int64(1234567890123456789), json.Number("9223372036854775808"), int64(7)}; !reflect.DeepEqual(stored["courses"], want) {
		t.Errorf("stored are %#v", stored["courses"])
	}
	out, err := exec.Command("stagedoor", "policy", "test", policy).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "2 expectations met") {
		t.Errorf("%v\n%s", err, out)
	}
	for room, says := range map[string]string{"course-1234567890123456789": "→ true", "course-1234567890123456701": "→ false"} {
		explain := exec.Command("stagedoor", "policy", "explain", policy, "--room", room, "--user", "ann",
			"--claims", `{"courses":[1234567890123456789]}`)
		out, err := explain.CombinedOutput()
		if err != nil || !strings.Contains(string(out), says) {
			t.Errorf("%s: %v\n%s", room, err, out)
		}
	}
	check := exec.Command("stagedoor", "check", "--token", token)
	check.Env, check.Dir = cmd.Env, cmd.Dir
	out, _ = check.CombinedOutput()
	if !strings.Contains(string(out), "too large to be exact in courses") {
		t.Errorf("check says\n%s", out)
	}
}

// storedClaims reads ann's claims from the database of a running server.
func storedClaims(t *testing.T, path string) stagedoor.Claims {
	t.Helper()
	s, err := store.Open(context.Background(), path, store.Index{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	p, ok, err := s.Principal(t.Context(), stagedoor.PrincipalKey{Issuer: "shared-secret", Subject: "ann"})
	if err != nil || !ok {
		t.Fatalf("%v %v", ok, err)
	}
	return p.Claims
}
