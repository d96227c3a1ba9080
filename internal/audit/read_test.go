package audit

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// lineOf is a record of one minute after start.
func lineOf(t testing.TB, minute int, change func(*Entry)) string {
	t.Helper()
	e := Entry{Time: start.Add(time.Duration(minute) * time.Minute), Audit: "join", Outcome: "granted", Issuer: "i", Subject: fmt.Sprint("s", minute), Room: "r", RequestID: "q"}
	if change != nil {
		change(&e)
	}
	data, err := encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func subjects(t *testing.T, filter Filter, text string) (string, Found) {
	t.Helper()
	var all []string
	var found Found
	err := filter.Each(strings.NewReader(text), &found, func(_ []byte, e *Entry) error {
		all = append(all, e.Subject)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " "), found
}

func TestFilter(t *testing.T) {
	text := lineOf(t, 0, nil) +
		lineOf(t, 1, func(e *Entry) { e.Outcome, e.Room = "banned", "a&b" }) +
		lineOf(t, 2, func(e *Entry) { e.Audit, e.Target, e.Subject = "remove", "s0", "host" }) +
		lineOf(t, 3, func(e *Entry) { e.Identity, e.TokenSHA256 = "s0:phone", HashOf("canary") }) +
		lineOf(t, 4, func(e *Entry) { e.Subject, e.Issuer = "a<b", "other" })
	for _, c := range []struct {
		filter Filter
		want   string
	}{
		{Filter{}, "s0 s1 host s3 a<b"},
		{Filter{User: "s0"}, "s0 host"},
		{Filter{User: "s0:phone"}, "s3"},
		{Filter{User: "s"}, ""},
		{Filter{User: "a<b"}, "a<b"},
		{Filter{User: "a<b", Issuer: "i"}, ""},
		{Filter{Room: "a&b"}, "s1"},
		{Filter{Outcomes: []string{"banned", "room_full"}}, "s1"},
		{Filter{TokenSHA256: HashOf("canary")}, "s3"},
		{Filter{Since: start.Add(3 * time.Minute)}, "s3 a<b"},
		{Filter{Until: start.Add(time.Minute)}, "s0"},
		{Filter{Since: start.Add(time.Minute), Until: start.Add(3 * time.Minute)}, "s1 host"},
	} {
		got, found := subjects(t, c.filter, text)
		if got != c.want || found.Records != 5 || found.Torn+found.Foreign != 0 {
			t.Errorf("%+v: %q, %+v", c.filter, got, found)
		}
		// A collector may write every line anew.
		spaced := strings.NewReplacer(`":`, `" : `, `,"`, ` , "`, `\u003c`, "<", `\u0026`, "&").Replace(text)
		if got, found := subjects(t, c.filter, spaced); got != c.want || found.Records != 5 {
			t.Errorf("written anew, %+v: %q, %+v", c.filter, got, found)
		}
	}
}

func TestForeignAndTornLinesAreCounted(t *testing.T) {
	whole := lineOf(t, 0, nil)
	for _, filter := range []Filter{{}, {User: "s0"}, {Since: start.Add(-time.Hour)}} {
		text := "2026-11-24 some other program\n" + whole + `{"level":"info"}` + "\n\n[]\n" + whole[:40] + "\n" + whole[:len(whole)-2] + "\n" +
			strings.Repeat("x", 3*longest) + "\n" + strings.TrimSuffix(whole, "\n")
		got, found := subjects(t, filter, text)
		if got != "s0 s0" || found != (Found{Records: 2, Matched: 2, Torn: 2, Foreign: 4}) {
			t.Errorf("%+v: %q %+v", filter, got, found)
		}
	}
}

func TestFilesAreReadInOrder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	put := func(name, text string) {
		t.Helper()
		data := []byte(text)
		if strings.HasSuffix(name, ".gz") {
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			_, err := w.Write(data)
			if err := errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			data = packed.Bytes()
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("audit.log", lineOf(t, 60, nil))
	put("audit.log.1", "torn\n"+lineOf(t, 50, nil))
	put("audit.log.2.gz", lineOf(t, 40, nil))
	put("audit.log-20261124.gz", lineOf(t, 30, nil))
	put("audit.log.20261124T122000.000000000Z", lineOf(t, 20, nil))
	put("audit.log.20261124T122000.000000000Z.gz", lineOf(t, 20, nil)) // it is being packed
	put("audit.log.bak", lineOf(t, 10, nil))
	put("audit.log.5", "")
	if err := os.Link(path, path+".9"); err != nil { // it is being moved away
		t.Fatal(err)
	}
	read := func(filter Filter) (string, Found, error) {
		files, err := OpenFiles(path)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		var found Found
		err = files.Each(filter, &found, func(_ []byte, e *Entry) error {
			all = append(all, e.Subject)
			return nil
		})
		return strings.Join(all, " "), found, errors.Join(err, files.Close())
	}
	if got, _, err := read(Filter{}); got != "s20 s30 s40 s50 s60" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if got, found, err := read(Filter{Since: start.Add(50 * time.Minute)}); got != "s50 s60" || err != nil || found.Records > 3 {
		t.Errorf("%q %+v %v", got, found, err)
	}
	if got, found, err := read(Filter{Until: start.Add(30 * time.Minute)}); got != "s20" || err != nil || found.Records > 2 {
		t.Errorf("%q %+v %v", got, found, err)
	}
	put("audit.log.3", "\x1f\x8bno gzip")
	if got, _, err := read(Filter{}); got != "s20 s30 s40 s50 s60" || err == nil {
		t.Errorf("a damaged file kept the others from being read: %q %v", got, err)
	}
	if _, err := OpenFiles(filepath.Join(dir, "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// endless is a log of so many bytes that is nowhere.
type endless struct {
	line string
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for e.left > 0 && n+len(e.line) <= len(p) {
		n += copy(p[n:], e.line)
		e.left -= len(e.line)
	}
	if n == 0 {
		return 0, os.ErrClosed
	}
	return n, nil
}

func TestReadingKeepsNothing(t *testing.T) {
	source := &endless{lineOf(t, 0, nil), 64 << 20}
	var found Found
	allocated := testing.AllocsPerRun(1, func() {
		_ = Filter{User: "nobody"}.Each(source, &found, func([]byte, *Entry) error { return nil }, nil)
	})
	if allocated > 100 || found.Records < 100_000 {
		t.Errorf("%v allocations for %d records", allocated, found.Records)
	}
}

func BenchmarkEach(b *testing.B) {
	line := lineOf(b, 0, func(e *Entry) {
		e.Sources, e.Features, e.TokenSHA256 = stagedoor.AllSources(), []stagedoor.Feature{"publish"}, HashOf("x")
	})
	text := strings.Repeat(line, 10_000)
	for name, filter := range map[string]Filter{"all": {}, "one user": {User: "nobody"}, "since": {Since: start.Add(time.Hour)}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var found Found
				if err := filter.Each(strings.NewReader(text), &found, func([]byte, *Entry) error { return nil }, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
