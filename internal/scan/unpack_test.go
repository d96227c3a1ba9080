package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func tarOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(files[name])), Mode: 0o644, Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzOf(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zlibOf(t testing.TB, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := io.WriteString(w, content); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// oldTar makes the first header one of Version 7, which had no magic.
func oldTar(content []byte) []byte {
	clear(content[257:512])
	copy(content[148:156], "        ")
	sum := 0
	for _, c := range content[:512] {
		sum += int(c)
	}
	copy(content[148:], fmt.Sprintf("%06o\x00 ", sum))
	return content
}

func TestArchivesAreLookedInto(t *testing.T) {
	secret := testSecrets["KEY"]
	s := scannerFor(map[string]string{"A": secret})
	env := "\nPORT=1\nX=" + secret + "\n" + strings.Repeat("pad ", 400)
	jar := zipOf(t, map[string]string{"lib/inner.jar": string(zipOf(t, map[string]string{"app.properties": env})), "z": "z"})
	layer := tarOf(t, map[string]string{"app/.env": env, "app/app.jar": string(jar)})
	image := tarOf(t, map[string]string{"blobs/sha256/1": string(layer), "blobs/sha256/2": string(gzOf(t, layer)), "manifest.json": "{}"})
	for name, c := range map[string]struct {
		content []byte
		inside  []string
	}{
		"gzip":            {gzOf(t, []byte(env)), []string{""}},
		"zip":             {zipOf(t, map[string]string{"a/b": env}), []string{"!a/b"}},
		"tar.gz":          {gzOf(t, tarOf(t, map[string]string{"a/b": env})), []string{"!a/b"}},
		"behind a tar":    {append(tarOf(t, map[string]string{"a": "b"}), env...), []string{""}},
		"image":           {image, layers("!blobs/sha256/1", "!blobs/sha256/2")},
		"image, gzipped":  {gzOf(t, image), layers("!blobs/sha256/1", "!blobs/sha256/2")},
		"jar in a jar":    {jar, []string{"!lib/inner.jar!app.properties"}},
		"two gzip files":  {append(gzOf(t, []byte("x")), gzOf(t, []byte(env))...), []string{""}},
		"gzip in a gzip":  {gzOf(t, gzOf(t, []byte(env))), []string{""}},
		"zip, prefixed":   {append([]byte("\x7fELF"+strings.Repeat("\n", 90_000)), zipOf(t, map[string]string{"a/b": env})...), []string{"!a/b"}},
		"tar of old":      {oldTar(tarOf(t, map[string]string{"a/b": env})), []string{"!a/b"}},
		"bare zlib":       {zlibOf(t, env), []string{""}},
		"zlib, .tar":      {zlibOf(t, string(tarOf(t, map[string]string{"a/b": env}))), []string{"!a/b"}},
		"outside in a ..": {tarOf(t, map[string]string{"../../etc/x": env}), []string{"!../../etc/x"}},
	} {
		path := filepath.Join(t.TempDir(), "f")
		write(t, path, c.content)
		r := runOn(t, s, path)
		var got []string
		for _, f := range r.Finds {
			got = append(got, strings.TrimPrefix(f.Path, path))
			if f.Line != 3 && name != "behind a tar" || f.Kind != "A, raw" {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if !slices.Equal(got, c.inside) || len(r.Unread) > 0 || r.Files != 1 {
			t.Errorf("%s: %q, not looked at %v", name, got, r.Unread)
		}
	}
}

func layers(all ...string) []string {
	var inside []string
	for _, l := range all {
		inside = append(inside, l+"!app/.env", l+"!app/app.jar!lib/inner.jar!app.properties")
	}
	return inside
}

// TestWhatCannotBeUnpackedIsReported: unknown means no, and what can be read is.
func TestWhatCannotBeUnpackedIsReported(t *testing.T) {
	secret := testSecrets["KEY"]
	s := scannerFor(map[string]string{"A": secret})
	s.bounds.inner, s.bounds.depth = 1<<20, 3
	random := make([]byte, 1<<20)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	packed := gzOf(t, append([]byte(secret), random...))
	encrypted := zipOf(t, map[string]string{"a": "b", "c": secret})
	for _, header := range []string{"PK\x03\x04", "PK\x01\x02"} {
		at := bytes.Index(encrypted, []byte(header))
		encrypted[at+map[string]int{"PK\x03\x04": 6, "PK\x01\x02": 8}[header]] |= 1
	}
	deep := []byte(secret)
	for range 5 {
		deep = tarOf(t, map[string]string{"f": string(deep)})
	}
	for name, c := range map[string]struct {
		content []byte
		finds   int
		reason  string
	}{
		"gzip, cut off":        {packed[:len(packed)/2], 2, "cannot be unpacked to its end: unexpected EOF"},
		"gzip in a tar":        {tarOf(t, map[string]string{"x.gz": string(packed[:len(packed)/2])}), 1, "cannot be unpacked to its end: unexpected EOF"},
		"gzip by two bytes":    {[]byte("\x1f\x8b\x08\xff" + secret), 1, "cannot be unpacked to its end"},
		"zip without an end":   {[]byte("PK\x03\x04" + secret), 1, "cannot be unpacked to its end: zip: not a valid zip file"},
		"zip, encrypted":       {encrypted, 1, "is encrypted"},
		"zstd":                 {[]byte("\x28\xb5\x2f\xfd" + secret), 1, "is compressed with zstd, which is not looked into"},
		"xz in a tar":          {tarOf(t, map[string]string{"a.xz": "\xfd7zXZ\x00"}), 0, "is compressed with xz, which is not looked into"},
		"lz4":                  {[]byte("\x04\x22\x4d\x18" + secret), 1, "is compressed with lz4, which is not looked into"},
		"git bundle":           {[]byte("# v2 git bundle\n"), 0, "is git's packed history, which is not looked into: git log"},
		"git pack in a tar":    {tarOf(t, map[string]string{"pack-1": "PACK\x00\x00\x00\x02"}), 0, "is git's packed history, which is not looked into: git log"},
		"brotli in a tar":      {tarOf(t, map[string]string{"app.js.br": "\x0b\x02\x80abc\x03"}), 0, "is compressed with brotli, which is not looked into"},
		"prefixed in a tar":    {tarOf(t, map[string]string{"a.exe": "MZ" + string(zipOf(t, map[string]string{"a": secret}))}), 0, "ends in a zip, which is looked into only in a file of its own"},
		"prefix, broken zip":   {append([]byte(secret), "PK\x05\x06"+strings.Repeat("\xff", 16)+"\x00\x00"...), 1, "cannot be unpacked to its end"},
		"large zip in a tar":   {tarOf(t, map[string]string{"a.zip": "PK\x03\x04" + string(random) + secret}), 1, "is a zip of more than 1 MiB in an archive: not unpacked"},
		"archives in archives": {deep, 1, "is packed too deep: not unpacked"},
		"tar, cut off":         {tarOf(t, map[string]string{"a": secret + strings.Repeat("y", 9000)})[:6000], 2, "cannot be unpacked to its end: unexpected EOF"},
	} {
		r := look(t, s, c.content)
		if len(r.Unread) != 1 || !strings.HasPrefix(r.Unread[0].Reason, c.reason) || len(r.Finds) != c.finds || r.Clean() {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestTextIsNoArchive: the first bytes of zlib, and of a zip's end, are in texts
// and programs too.
func TestTextIsNoArchive(t *testing.T) {
	for _, text := range []string{"x^2 + y^2 = z^2", strings.Repeat("x^2 + y^2 = z^2\n", 100), "x\x9c", "x\xda" + string(randomBytes(600)),
		"PK\x05\x06" + strings.Repeat("\x07", 30), "PK\x05\x06", strings.Repeat("0", 2048), "a" + strings.Repeat("\x00", 147) + "0000000" + strings.Repeat("\x00", 600), "PACKAGE x"} {
		if r := look(t, scannerFor(nil), []byte(text)); !r.Clean() {
			t.Errorf("%.20q: %+v", text, r)
		}
	}
}

// TestBombsAreBounded: what a few bytes unpack to is looked at up to a bound.
func TestBombsAreBounded(t *testing.T) {
	zeros := strings.Repeat("\x00", 4<<20)
	s := scannerFor(nil)
	s.bounds.floor = 256 << 10
	inner := zipOf(t, map[string]string{"a": zeros[:2<<20], "b": zeros[:2<<20]})
	for name, content := range map[string][]byte{
		"gzip": gzOf(t, []byte(zeros)), "zip": zipOf(t, map[string]string{"a": zeros[:2<<20], "b": zeros[:2<<20]}),
		"zip in a zip": zipOf(t, map[string]string{"a": string(inner)}), "gzip in a tar": tarOf(t, map[string]string{"a": string(gzOf(t, []byte(zeros)))}),
	} {
		r := &run{Scanner: s, buf: make([]byte, behind+s.bounds.chunk+s.ahead)}
		if err := r.file(t.Context(), "f", &counted{run: r, Reader: bytes.NewReader(content), at: bytes.NewReader(content), size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if len(r.report.Unread) != 1 || r.report.Unread[0].Reason != errTooMuch.Error() || r.spent > 256<<10+32*r.paid+512<<10 {
			t.Errorf("%s: %+v after %d bytes", name, r.report, r.spent)
		}
	}
}

func TestGitObjectsAreLookedInto(t *testing.T) {
	dir, secret := t.TempDir(), testSecrets["KEY"]
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := fmt.Fprintf(w, "blob 40\x00%s", secret); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	name := ".git/objects/ab/" + strings.Repeat("0", 38)
	for _, at := range []string{name, "deeper/" + name} {
		write(t, filepath.Join(dir, at), b.Bytes())
		write(t, filepath.Join(dir, strings.TrimSuffix(at, name), ".git/HEAD"), []byte("ref: refs/heads/main\n"))
		write(t, filepath.Join(dir, strings.TrimSuffix(at, name), ".git/objects/pack/pack-1.pack"), []byte("PACK\x00\x00\x00\x02"))
	}
	s := scannerFor(map[string]string{"A": secret})
	looked := func(r Report, prefix string) {
		t.Helper()
		if len(r.Finds) != 1 || r.Finds[0].Path != filepath.Join(dir, prefix+name) || len(r.Unread) != 1 ||
			!strings.HasSuffix(r.Unread[0].Reason, ": git log -p --all | stagedoor scan -") {
			t.Errorf("%+v", r)
		}
	}
	// What is deeper down goes out with the rest; the checkout's own does not.
	r := runOn(t, s, dir)
	looked(r, "deeper/")
	if len(r.Notes) != 1 || r.Notes[0].Path != filepath.Join(dir, ".git") || !strings.HasSuffix(r.Notes[0].Reason, history) {
		t.Errorf("%+v", r.Notes)
	}
	looked(runOn(t, s, filepath.Join(dir, ".git")), "")
	if err := os.Remove(filepath.Join(dir, ".git/HEAD")); err != nil {
		t.Fatal(err)
	}
	if r := runOn(t, s, dir); len(r.Finds) != 2 || len(r.Notes) != 0 {
		t.Errorf("no repository is left out for its name: %+v", r)
	}
}

func TestWalkLooksAtEverythingOnce(t *testing.T) {
	dir, secret := t.TempDir(), testSecrets["KEY"]
	for i := range 2_000 {
		content := "nothing"
		if i%200 == 7 {
			content = secret
		}
		path := fmt.Sprintf("%s/%d/.hidden/node_modules/%d", dir, i%50, i)
		if i < 50 {
			write(t, path, []byte(content))
		} else if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"loop": ".", "self": "self", "0/up": "..", "gone": "nowhere", "1/file": "../7/.hidden/node_modules/7"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	s := scannerFor(map[string]string{"A": secret})
	if r := runOn(t, s, dir); len(r.Finds) != 10 || r.Files != 2_000 || len(r.Unread) != 0 {
		t.Errorf("%d finds in %d files, %v", len(r.Finds), r.Files, r.Unread)
	}
	// A link that is named is followed.
	for _, named := range []string{"loop", "loop/7", "1/file", "loop/7/.hidden/node_modules/7"} {
		if r := runOn(t, s, filepath.Join(dir, named)); len(r.Finds) == 0 || !strings.HasPrefix(r.Finds[0].Path, filepath.Join(dir, named)) {
			t.Errorf("%s: %+v", named, r)
		}
	}
}

func TestPathsThatCannotBeReadAreSaid(t *testing.T) {
	dir, secret := t.TempDir(), testSecrets["KEY"]
	s := scannerFor(map[string]string{"A": secret})
	_, err := s.Run(t.Context(), dir, filepath.Join(dir, secret))
	if err == nil || strings.Contains(err.Error(), secret) || !strings.HasSuffix(err.Error(), "****: cannot be read: no such file or directory") {
		t.Error(err)
	}
	locked := filepath.Join(dir, "locked")
	write(t, locked, []byte(secret))
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	r := runOn(t, s, dir)
	if f, err := os.Open(locked); err == nil { // to the superuser nothing is locked
		_ = f.Close()
		if len(r.Finds) != 1 {
			t.Errorf("%+v", r)
		}
	} else if len(r.Unread) != 1 || r.Unread[0] != (Note{locked, "cannot be read: permission denied"}) {
		t.Errorf("%+v", r)
	}
	if r := runOn(t, s, os.DevNull); len(r.Unread) != 1 {
		t.Errorf("a device: %+v", r)
	}
}

func TestEnvFileIsLeftOutUnlessItIsNamed(t *testing.T) {
	dir, secret := t.TempDir(), testSecrets["KEY"]
	env, copied := filepath.Join(dir, ".env"), filepath.Join(dir, "copy")
	write(t, env, []byte("A="+secret))
	write(t, copied, []byte("A="+secret))
	s := scannerFor(map[string]string{"A": secret}, func(o *Options) { o.EnvFile = env })
	if r := runOn(t, s, dir); len(r.Finds) != 1 || r.Finds[0].Path != copied || len(r.Notes) != 1 || r.Notes[0].Path != env {
		t.Errorf("%+v", r)
	}
	if r := runOn(t, s, dir, env); len(r.Finds) != 2 || r.Finds[1].Path != env {
		t.Errorf("%+v", r)
	}
}
