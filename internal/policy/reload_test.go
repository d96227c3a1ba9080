package policy

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"stagedoor"
)

// onDisk is a Source whose file a test changes, with its log.
type onDisk struct {
	*Source
	t    *testing.T
	path string
	logs bytes.Buffer
}

const hallOnly, atticOnly = "rooms: [{room: hall}]", "rooms: [{room: attic}]"

func watching(t *testing.T, text string) *onDisk {
	t.Helper()
	o := &onDisk{t: t, path: filepath.Join(t.TempDir(), "policy.yaml")}
	write(t, o.path, text)
	options := SourceOptions{
		Path:   o.path,
		Limits: Limits{PublishFeature: "publish", TTL: time.Hour},
		Log:    slog.New(slog.NewTextHandler(&o.logs, nil)),
	}
	var err error
	if o.Source, err = Open(options); err != nil {
		t.Fatal(err)
	}
	return o
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// opens fails unless the room, and no other, is open.
func (o *onDisk) opens(room stagedoor.Room) {
	o.t.Helper()
	for _, r := range []stagedoor.Room{"hall", "attic"} {
		_, err := o.Decide(stagedoor.Situation{Principal: stagedoor.Principal{Issuer: "i", Subject: "ann"}, Room: r})
		if (err == nil) != (r == room) {
			o.t.Fatalf("%s: %v\n%s", r, err, o.logs.String())
		}
	}
}

// said counts the lines of the log that hold a text.
func (o *onDisk) said(text string) int {
	n := 0
	for line := range strings.Lines(o.logs.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// A file that is being written is not taken before it has stood still.
func TestHalfWrittenRulesAreNotTaken(t *testing.T) {
	o := watching(t, hallOnly)
	write(t, o.path, atticOnly)
	if o.poll(false) {
		t.Error("taken at first sight")
	}
	write(t, o.path, atticOnly+"\n")
	if o.poll(false) {
		t.Error("taken while it changes")
	}
	o.opens("hall")
	if !o.poll(false) {
		t.Error("never taken")
	}
	o.opens("attic")
	if o.poll(false) || o.said("level=INFO msg=\"policy reloaded\"") != 1 || o.said("rules=1") != 1 {
		t.Errorf("taken again and again:\n%s", o.logs.String())
	}
}

// The same size and the same time say nothing: a ConfigMap's link leads
// elsewhere, an editor sets the time back.
func TestSwappedRulesAreNoticedWhateverTheirTime(t *testing.T) {
	o := watching(t, "rooms: [{room: hall }]")
	info, err := os.Stat(o.path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.yaml")
	write(t, other, atticOnly)
	if err := os.Chtimes(other, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	link := o.path + ".new"
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, o.path); err != nil {
		t.Fatal(err)
	}
	o.poll(false)
	if !o.poll(false) {
		t.Error("not noticed")
	}
	o.opens("attic")
}

// Rules that are not fit change nothing, and are reported once for each text.
func TestUnfitRulesLeaveTheOldOnesInForce(t *testing.T) {
	for name, c := range map[string]struct{ text, said string }{
		"a typing mistake":        {"rooms: [{room: attic, jion: true}, {room: loft, publsh: true}]", "publsh"},
		"an example that fails":   {"rooms: [{room: attic, examples: [{room: attic, expect: {join: false}}]}]", "the example fails"},
		"emptied":                 {"", "level=ERROR"},
		"another issuer":          {"issuers: [{issuer: \"https://login.example.com\", audiences: [a], identity_prefix: b}]\n" + atticOnly, "issuers changed: restart the server"},
		"a byte that is no text":  {"rooms: [{room: \xff}]", "level=ERROR"},
		"more than a file may be": {atticOnly + "\n#" + strings.Repeat("x", 1<<20), "level=ERROR"},
	} {
		o := watching(t, hallOnly)
		write(t, o.path, c.text)
		for range 5 {
			if o.poll(false) {
				t.Errorf("%s: taken", name)
			}
		}
		o.opens("hall")
		if o.said(c.said) != 1 || o.said("level=ERROR") != 1 || o.said("keeping the current policy") != 1 {
			t.Errorf("%s:\n%s", name, o.logs.String())
		}
		write(t, o.path, atticOnly)
		o.poll(false)
		if !o.poll(false) {
			t.Errorf("%s: the mended file is not taken", name)
		}
		o.opens("attic")
	}
}

// An issuer that moved down a line is the same.
func TestMovedIssuerIsNoOtherIssuer(t *testing.T) {
	issuer := "issuers: [{issuer: \"https://login.example.com\", audiences: [a]}]\n"
	o := watching(t, issuer+hallOnly)
	write(t, o.path, "# one line more\n"+issuer+atticOnly)
	if !o.poll(true) {
		t.Error(o.logs.String())
	}
	o.opens("attic")
}

func TestVanishedRulesStayInForce(t *testing.T) {
	o := watching(t, hallOnly)
	if err := os.Remove(o.path); err != nil {
		t.Fatal(err)
	}
	if o.poll(false); o.said("cannot be read") != 0 {
		t.Error("an editor that replaces the file is no reason for alarm")
	}
	for range 4 {
		if o.poll(false) {
			t.Error("taken")
		}
	}
	o.opens("hall")
	if o.said("err=\"the file cannot be read: no such file or directory\"") != 1 {
		t.Error(o.logs.String())
	}
	if err := os.Mkdir(o.path, 0o700); err != nil {
		t.Fatal(err)
	}
	o.poll(true)
	if o.opens("hall"); o.said("is not a file") != 1 {
		t.Error(o.logs.String())
	}
	if err := os.Remove(o.path); err != nil {
		t.Fatal(err)
	}
	write(t, o.path, hallOnly)
	o.poll(false)
	if o.poll(false) || o.said("is readable again") != 1 {
		t.Errorf("the same file is back:\n%s", o.logs.String())
	}
}

// SIGHUP is the operator's word that the file is whole.
func TestSignalTakesTheRulesAtOnce(t *testing.T) {
	o := watching(t, hallOnly)
	signals := make(chan os.Signal, 1)
	changed := make(chan struct{}, 2)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.Watch(ctx, signals, time.Hour, func(context.Context) { changed <- struct{}{} })
	}()
	write(t, o.path, atticOnly)
	signals <- syscall.SIGHUP
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("not taken")
	}
	write(t, o.path, "rooms: [{room: 1}]")
	signals <- syscall.SIGHUP
	for len(signals) > 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	o.opens("attic")
	if len(changed) != 0 || o.said("level=ERROR") != 1 {
		t.Error(o.logs.String())
	}
}

// Rules name a claim by its whole name. What is kept for billing at a path must
// not pass for it, nor be lost to it.
func TestClaimsOfRulesAreKeptByTheirWholeName(t *testing.T) {
	nested := stagedoor.Claims{"a": map[string]any{"b": "nested", "c": "x"}, "other": 1.0}
	top := stagedoor.Claims{"a.b": "top", "a": map[string]any{"b": "nested"}, "other": 1.0}
	for name, c := range map[string]struct {
		publish string
		path    string
		given   stagedoor.Claims
		want    stagedoor.Claims
	}{
		"a name with a dot":               {"claims['a.b'] == 'top'", "", top, stagedoor.Claims{"a.b": "top"}},
		"it is no path":                   {"claims['a.b'] == 'nested'", "", nested, stagedoor.Claims{}},
		"the whole of an object":          {"claims.a.b == 'nested'", "", nested, stagedoor.Claims{"a": nested["a"]}},
		"a path of billing's beside it":   {"claims.other == 1.0", "a.b", nested, stagedoor.Claims{"other": 1.0, "a.b": "nested"}},
		"a path of billing's of its name": {"claims['a.b'] == 'nested'", "a.b", nested, stagedoor.Claims{"a": nested["a"]}},
		"any claim at all":                {"size(claims) == 2", "a.b", nested, nested},
		"no claim":                        {"true", "", nested, stagedoor.Claims{}},
	} {
		o := watching(t, hallOnly)
		write(t, o.path, "rooms:\n  - room: hall\n    publish: \""+c.publish+"\"\n")
		o.poll(true) // what is kept follows the rules
		paths := []string{c.path, ""}
		keeps := o.KeepClaims(stagedoor.Principal{Claims: c.given}, paths)
		kept := keeps.Claims
		if !reflect.DeepEqual(kept, c.want) {
			t.Errorf("%s: kept %v, want %v", name, kept, c.want)
		}
		before, found := c.given.At(c.path)
		if after, there := kept.At(c.path); c.path != "" && (there != found || after != before) {
			t.Errorf("%s: billing finds %v, and found %v", name, after, before)
		}
		decide := func(claims stagedoor.Claims, names []string) bool {
			d, _ := o.Decide(stagedoor.Situation{Principal: stagedoor.Principal{Issuer: "i", Subject: "ann", Claims: claims, ClaimNames: names}, Room: "hall"})
			return d.Grants.Publish
		}
		if decide(c.given, nil) != decide(kept, keeps.ClaimNames) {
			t.Errorf("%s: what is kept decides otherwise: %v", name, kept)
		}
	}
}

// Rules that ask whether a claim is not there must not hold for people of whom
// it was not kept.
func TestClaimThatWasNotKeptIsNotAbsent(t *testing.T) {
	o := watching(t, hallOnly)
	suspended := o.KeepClaims(stagedoor.Principal{Issuer: "i", Subject: "mal", Claims: stagedoor.Claims{"suspended": true}}, nil)
	clean := o.KeepClaims(stagedoor.Principal{Issuer: "i", Subject: "ann", Claims: stagedoor.Claims{}}, nil)
	write(t, o.path, "rooms:\n  - room: hall\n    publish: \"!has(claims.suspended)\"\n    moderate: \"!('suspended' in claims)\"\n    invite: \"'a' == 'a'\"\n")
	o.poll(true)
	for _, p := range []stagedoor.Principal{suspended, clean} {
		d, err := o.Decide(stagedoor.Situation{Principal: p, Room: "hall"})
		if err != nil || d.Grants.Publish || d.Moderate || !d.Invite {
			t.Errorf("%s: %+v %v", p.Subject, d, err)
		}
	}
	// The next token tells.
	d, err := o.Decide(stagedoor.Situation{Principal: o.KeepClaims(stagedoor.Principal{Issuer: "i", Subject: "ann", Claims: stagedoor.Claims{}}, nil), Room: "hall"})
	if err != nil || !d.Grants.Publish || !d.Moderate {
		t.Errorf("%+v %v", d, err)
	}
}

// A full disk, or a writer that pauses, leaves a file that may be valid and
// opens what its missing half had closed.
func TestFileThatWasCutShortIsNotTaken(t *testing.T) {
	whole := "rooms:\n  - room: hall\n    join: \"claims.staff == true\"\n"
	o := watching(t, whole)
	write(t, o.path, whole[:len("rooms:\n  - room: hall\n")])
	for range 3 {
		if o.poll(false) {
			t.Fatal("taken")
		}
	}
	if _, err := o.Decide(stagedoor.Situation{Principal: stagedoor.Principal{Issuer: "i", Subject: "ann"}, Room: "hall"}); err == nil {
		t.Error("the room stands open")
	}
	if !o.poll(true) {
		t.Error("not taken when told to")
	}
}

// When the rules were read, and how many files were not taken, is known.
func TestRefusedRulesAreCounted(t *testing.T) {
	o := watching(t, hallOnly)
	first := o.loaded.Load()
	if first == 0 || o.refused.Load() != 0 {
		t.Errorf("loaded at %d, %d refused", first, o.refused.Load())
	}
	write(t, o.path, "rooms: nothing")
	o.poll(true)
	o.poll(false)
	if o.loaded.Load() != first || o.refused.Load() != 1 {
		t.Errorf("loaded at %d, %d refused", o.loaded.Load()-first, o.refused.Load())
	}
	o.loaded.Store(1)
	write(t, o.path, atticOnly)
	o.poll(true)
	if o.loaded.Load() < first || o.refused.Load() != 1 {
		t.Errorf("loaded at %d, %d refused", o.loaded.Load(), o.refused.Load())
	}
}
