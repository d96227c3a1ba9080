package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
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

func TestArchives_AreUnpackedOnce(t *testing.T) {
	secret := testSecrets["KEY"]
	env := "\nPORT=1\nX=" + secret + "\n" + strings.Repeat("pad ", 400)
	for name, c := range map[string]struct {
		content []byte
		inside  string
	}{
		"gzip":            {gzOf(t, []byte(env)), ""},
		"zip":             {zipOf(t, map[string]string{"a/b": env}), "!a/b"},
		"tar":             {tarOf(t, map[string]string{"a/b": env}), "!a/b"},
		"tar.gz":          {gzOf(t, tarOf(t, map[string]string{"a/b": env})), "!a/b"},
		"two gzip files":  {append(gzOf(t, []byte("x")), gzOf(t, []byte(env))...), ""},
		"outside in a ..": {tarOf(t, map[string]string{"../../etc/x": env}), "!../../etc/x"},
	} {
		path := filepath.Join(t.TempDir(), "f")
		write(t, path, c.content)

		r := runOn(t, optionsFor(map[string]string{"A": secret}), path)

		want := Find{Path: path + c.inside, Line: 3, Kind: "A, raw"}
		if len(r.Finds) != 1 || len(r.Unread) > 0 || r.Files != 1 || r.Bytes < int64(len(c.content)) {
			t.Errorf("%s: %+v", name, r)
			continue
		}
		if got := r.Finds[0]; got.Path != want.Path || got.Line != want.Line || got.Kind != want.Kind {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestBytesBehindATar_AreScanned(t *testing.T) {
	content := append(tarOf(t, map[string]string{"a": "b"}), testSecrets["KEY"]...)
	if r := look(t, optionsFor(testSecrets), content); len(r.Finds) != 1 {
		t.Errorf("%+v", r)
	}
}

// encrypted marks the first member of a zip as encrypted.
func encrypted(content []byte) []byte {
	for header, flags := range map[string]int{"PK\x03\x04": 6, "PK\x01\x02": 8} {
		content[bytes.Index(content, []byte(header))+flags] |= 1
	}
	return content
}

func TestWhatCannotBeUnpacked_IsReported(t *testing.T) {
	const notHere = ", which is not unpacked here: unpack it and scan that"
	secret := testSecrets["KEY"]
	packed := gzOf(t, append([]byte(secret), randomBytes(1<<20)...))
	for name, c := range map[string]struct {
		content []byte
		finds   int
		reason  string
	}{
		"gzip, cut off":      {packed[:len(packed)/2], 1, "cannot be read: unexpected EOF"},
		"gzip, two bytes":    {[]byte("\x1f\x8b\x08\xff"), 0, "cannot be read: "},
		"zip without an end": {[]byte("PK\x03\x04"), 0, "cannot be read: zip: not a valid zip file"},
		"zip, encrypted":     {encrypted(zipOf(t, map[string]string{"a": "b", "c": secret})), 1, "is encrypted"},
		"tar, cut off":       {tarOf(t, map[string]string{"a": secret + strings.Repeat("y", 9000)})[:6000], 1, "cannot be read: unexpected EOF"},
		"gzip in a tar":      {tarOf(t, map[string]string{"x": string(gzOf(t, []byte(secret+secret+secret)))}), 0, "is packed as gzip" + notHere},
		"zip in a gzip":      {gzOf(t, zipOf(t, map[string]string{"x": "y"})), 0, "is packed as zip" + notHere},
		"tar in a tar.gz":    {gzOf(t, tarOf(t, map[string]string{"f": string(tarOf(t, map[string]string{"g": secret}))})), 1, "is packed as tar" + notHere},
		"tar in a zip":       {zipOf(t, map[string]string{"f": string(tarOf(t, map[string]string{"g": "x"}))}), 0, "is packed as tar" + notHere},
		"zstd":               {[]byte("\x28\xb5\x2f\xfd" + secret), 1, "is packed as zstd" + notHere},
		"xz in a tar":        {tarOf(t, map[string]string{"a.xz": "\xfd7zXZ\x00"}), 0, "is packed as xz" + notHere},
		"bzip2":              {[]byte("BZh91AY&SY"), 0, "is packed as bzip2" + notHere},
		"brotli in a tar":    {tarOf(t, map[string]string{"app.js.br": "\x0b\x02\x80abc\x03"}), 0, "is packed as brotli" + notHere},
		"git's object":       {[]byte("x\x01\x4b\xca"), 0, "is packed as zlib" + notHere},
		"git's pack":         {[]byte("PACK\x00\x00\x00\x02"), 0, "is packed as a git pack" + notHere},
	} {
		r := look(t, optionsFor(map[string]string{"A": secret}), c.content)
		if len(r.Unread) != 1 || !strings.HasPrefix(r.Unread[0].Reason, c.reason) || len(r.Finds) != c.finds || r.Clean() {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestZipFromAPipe_IsReported(t *testing.T) {
	r := runOn(t, Options{Stdin: bytes.NewReader(zipOf(t, map[string]string{"a": "b"}))}, "-")
	if len(r.Unread) != 1 || !strings.HasPrefix(r.Unread[0].Reason, "is packed as zip") {
		t.Errorf("%+v", r)
	}
}

func TestTextThatBeginsLikeAnArchive_IsClean(t *testing.T) {
	for _, text := range []string{"x^2 + y^2 = z^2", "PACKAGE x", strings.Repeat("0", 2048), ""} {
		if r := look(t, Options{}, []byte(text)); !r.Clean() {
			t.Errorf("%.20q: %+v", text, r)
		}
	}
}

// zeros gives n zero bytes.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(int64(len(p)), z.n)
	z.n -= n
	clear(p[:n])
	if n == 0 {
		return 0, io.EOF
	}
	return int(n), nil
}

// The bound is reached by a counter that begins near it, because a gigabyte takes long.
func TestBomb_IsScannedUpToABound(t *testing.T) {
	x := newIndex(nil)
	r := &run{index: x, buf: make([]byte, 2*x.reach+chunk), unpacked: unpackFloor - 1<<20}

	err := r.stream(t.Context(), "f", io.TeeReader(&zeros{n: 1 << 40}, &r.unpacked))

	if err == nil || !strings.Contains(err.Error(), "unpacks to more than 1 GiB") || r.unpacked > unpackFloor+1<<20 {
		t.Errorf("%v after %d bytes", err, r.unpacked)
	}
}

func TestGitHistory_IsNotedAtTheTopAndReportedElsewhere(t *testing.T) {
	dir := t.TempDir()
	for _, at := range []string{".git", "deeper/.git"} {
		write(t, filepath.Join(dir, at, "objects/pack/pack-1.pack"), []byte("PACK\x00\x00\x00\x02"))
	}

	whole, named := runOn(t, Options{}, dir), runOn(t, Options{}, filepath.Join(dir, ".git"))

	if len(whole.Notes) != 1 || whole.Notes[0].Path != filepath.Join(dir, ".git") || len(whole.Unread) != 1 {
		t.Errorf("%+v", whole)
	}
	if len(named.Notes) != 0 || len(named.Unread) != 1 {
		t.Errorf("%+v", named)
	}
}

func TestDirectory_IsScannedOnceAndLinksInItAreNotFollowed(t *testing.T) {
	dir, secret := t.TempDir(), testSecrets["KEY"]
	for i := range 50 {
		content := "nothing"
		if i%10 == 7 {
			content = secret
		}
		write(t, fmt.Sprintf("%s/%d/.hidden/node_modules/%d", dir, i, i), []byte(content))
	}
	for link, target := range map[string]string{"loop": ".", "self": "self", "0/up": "..", "gone": "nowhere", "1/file": "../7/.hidden/node_modules/7"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	o := optionsFor(map[string]string{"A": secret})
	if r := runOn(t, o, dir); len(r.Finds) != 5 || r.Files != 50 || len(r.Unread) != 0 {
		t.Errorf("%d finds in %d files, %v", len(r.Finds), r.Files, r.Unread)
	}
	for _, named := range []string{"loop", "loop/7", "1/file", "loop/7/.hidden/node_modules/7"} {
		if r := runOn(t, o, filepath.Join(dir, named)); len(r.Finds) == 0 || !strings.HasPrefix(r.Finds[0].Path, filepath.Join(dir, named)) {
			t.Errorf("%s: %+v", named, r)
		}
	}
}

func TestPathsThatCannotBeRead_AreReported(t *testing.T) {
	dir, secret := t.TempDir(), testSecrets["KEY"]
	o := optionsFor(map[string]string{"A": secret})
	_, err := Run(t.Context(), o, dir, filepath.Join(dir, secret))
	if err == nil || strings.Contains(err.Error(), secret) || !strings.HasSuffix(err.Error(), "****: cannot be read: no such file or directory") {
		t.Error(err)
	}
	locked := filepath.Join(dir, "locked")
	write(t, locked, []byte(secret))
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	r := runOn(t, o, dir)
	if f, err := os.Open(locked); err == nil { // the superuser reads everything
		_ = f.Close()
		if len(r.Finds) != 1 {
			t.Errorf("%+v", r)
		}
	} else if len(r.Unread) != 1 || r.Unread[0] != (Note{Path: locked, Reason: "cannot be read: permission denied"}) {
		t.Errorf("%+v", r)
	}
	if r := runOn(t, o, os.DevNull); len(r.Unread) != 1 {
		t.Errorf("a device: %+v", r)
	}
}

func TestEnvFile_IsSkippedUnlessItIsNamed(t *testing.T) {
	dir, secret := t.TempDir(), testSecrets["KEY"]
	env, copied := filepath.Join(dir, ".env"), filepath.Join(dir, "copy")
	write(t, env, []byte("A="+secret))
	write(t, copied, []byte("A="+secret))
	o := optionsFor(map[string]string{"A": secret})
	o.EnvFile = env
	if r := runOn(t, o, dir); len(r.Finds) != 1 || r.Finds[0].Path != copied || len(r.Notes) != 1 || r.Notes[0].Path != env {
		t.Errorf("%+v", r)
	}
	if r := runOn(t, o, dir, env); len(r.Finds) != 2 || r.Finds[1].Path != env {
		t.Errorf("%+v", r)
	}
}
