package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"stagedoor"
)

// hanging takes connections and never says a word.
func hanging(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return "http://" + listener.Addr().String()
}

func TestEverythingDownEndsInTime(t *testing.T) {
	if Patience+time.Second > 10*time.Second || 2*AskPatience > Patience {
		t.Fatalf("two questions of %s after each other do not fit into %s, or that not into ten seconds", AskPatience, Patience)
	}
	address := hanging(t)
	stuck := make(chan struct{})
	defer close(stuck)
	l := livekitAt(address, goodKey, goodSecret, time.Now)
	target := Target{
		Now: time.Now, whole: 400 * time.Millisecond, each: 150 * time.Millisecond, LiveKit: l,
		Issuers: []Issuer{issuerNamed(address), issuerNamed(address + "/other")},
		Stripe:  Stripe{Key: stagedoor.NewSecret(rightsKey), API: address},
		Door:    Door{URL: address, Admin: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, Named: true},
		// A database that heeds no context.
		Store: Store{Path: "x.db", Inspect: func(context.Context) (Kept, error) { <-stuck; return Kept{}, nil }},
	}
	r := Run(t.Context(), target)
	if r.Took > 5*time.Second { // 0.9 s on an idle machine
		t.Errorf("it took %s", r.Took)
	}
	want(t, r, "livekit.server", Fail, "no answer within")
	want(t, r, "callers.issuer", Fail, "does not answer in time")
	want(t, r, "door.ready", Fail, "does not answer in time")
	want(t, r, "store.database", Fail, "no answer within")
	want(t, r, "billing.key", Fail, "does not answer in time")
	for _, item := range Catalog() {
		found(t, r, item.ID)
	}
	if r.OK {
		t.Error("it passes")
	}
}

func TestReadOnlyDatabaseIsNamed(t *testing.T) {
	r := Run(t.Context(), Target{Now: time.Now, Store: Store{Path: "x.db", Inspect: func(context.Context) (Kept, error) {
		return Kept{}, errors.New("the database x.db: it is read-only for this user")
	}}})
	want(t, r, "store.database", Fail, "read-only", "DATABASE_URL")
	r = Run(t.Context(), Target{Now: time.Now, Store: Store{Path: "x.db", Lost: "is on no volume", LostRemedy: "add one"}})
	want(t, r, "store.durable", Fail, "no volume", "add one")
}

func TestWeakSecretsAndNotesAreNamed(t *testing.T) {
	r := Run(t.Context(), Target{Now: time.Now, Secrets: 2, Weak: []Note{{Name: "JWT_SECRET", What: "is a placeholder", Remedy: "make one", Stops: true}},
		Notes: []Note{{Name: "LIVEKIT_URL", What: "would send credentials in clear text", Remedy: "use wss://", Stops: true}, {Name: "OIDC_ISUER", What: "is not known"}}})
	want(t, r, "secrets.strong", Fail, "JWT_SECRET is a placeholder")
	want(t, r, "config:LIVEKIT_URL", Fail, "use wss://")
	want(t, r, "config:OIDC_ISUER", Warn)
	r = Run(t.Context(), Target{Now: time.Now, Secrets: 2, Weak: []Note{{Name: "JWT_SECRET", What: "is a placeholder", Stops: true}}})
	want(t, r, "config", Fail, "it does not, because of a secret below")
	r = Run(t.Context(), Target{Now: time.Now, Secrets: 2})
	want(t, r, "config", Pass)
	want(t, r, "secrets.strong", Pass, "2 secrets")
}

func TestFilesAreSearched(t *testing.T) {
	scan := func(_ context.Context, paths []string) ([]string, error) {
		if slices.Contains(paths, "bad") {
			return []string{"bad/app.js:3 LIVEKIT_API_SECRET"}, nil
		}
		return nil, nil
	}
	want(t, Run(t.Context(), Target{Now: time.Now}), "secrets.files", Skip, "stagedoor scan")
	want(t, Run(t.Context(), Target{Now: time.Now, Scan: scan, Files: []string{"good"}}), "secrets.files", Pass)
	want(t, Run(t.Context(), Target{Now: time.Now, Scan: scan, Files: []string{"bad"}}), "secrets.files", Fail, "bad/app.js:3")
}

func TestPrintedReportIsAlignedAndNeedsNoColour(t *testing.T) {
	r := Run(t.Context(), Target{Now: time.Now, Notes: []Note{{Name: "EVIL\x1b[2J", What: "is\x1bnot known"}}})
	var plain, coloured bytes.Buffer
	if err := errors.Join(r.Print(&plain, false), r.Print(&coloured, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || strings.Contains(coloured.String(), "\x1b[2J") {
		t.Error("a terminal can be steered")
	}
	columns := map[int]int{}
	for _, line := range strings.Split(plain.String(), "\n") {
		for _, word := range []string{" pass ", " warn ", " fail ", " skip "} {
			if at := strings.Index(line, word); at >= 0 && at < 8 {
				columns[utf8.RuneCountInString(line[:at])]++
			}
		}
	}
	if len(columns) != 1 {
		t.Errorf("the states stand in columns %v:\n%s", columns, plain.String())
	}
	data, err := json.Marshal(r)
	if err != nil || !bytes.Contains(data, []byte(`"id":"livekit.credentials"`)) || !bytes.Contains(data, []byte(`"ok":false`)) {
		t.Errorf("%s %v", data, err)
	}
}

// Ids end in one column where the line has room, and stand behind it where not.
func TestPrintedReportNamesEveryID(t *testing.T) {
	long := strings.Repeat("long ", 30)
	r := Run(t.Context(), Target{Now: time.Now, Notes: []Note{{Name: "SOMETHING", What: long}}})
	var plain, coloured bytes.Buffer
	if err := errors.Join(r.Print(&plain, false), r.Print(&coloured, true)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(plain.String(), "\n")
	for _, c := range r.Checks {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.HasSuffix(line, "  "+c.ID) })
		if i < 0 {
			t.Errorf("%s is not printed:\n%s", c.ID, plain.String())
		} else if runes := utf8.RuneCountInString(lines[i]); runes != columns && !(runes > columns && strings.HasSuffix(lines[i], stagedoor.Printable(c.Seen)+"  "+c.ID)) {
			t.Errorf("%s ends in column %d: %s", c.ID, runes, lines[i])
		}
	}
	if !strings.Contains(coloured.String(), "\x1b[2mstore.durable\x1b[0m\n") {
		t.Error("ids are not dim")
	}
}

// Every check is in the checklist's table, and nothing else is.
func TestChecklistNamesEveryCheck(t *testing.T) {
	page, err := os.ReadFile("../../docs/checklist.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range Catalog() {
		if !strings.Contains(string(page), "`"+item.ID+"`") {
			t.Errorf("docs/checklist.md does not say what %s is", item.ID)
		}
	}
}
