package scan

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stagedoor"
)

const (
	// chunk is how many bytes are scanned at once.
	chunk = 256 << 10
	// headSize is how many bytes tell a file's format.
	headSize = 512
	// An archive may unpack to this many bytes and 32 times what was read of it.
	unpackFloor = 1 << 30
)

// magics tell formats by their first bytes. Only gzip, zip and tar are unpacked.
var magics = map[string]string{
	"\x1f\x8b\x08": "gzip", "PK\x03\x04": "zip", "PK\x05\x06": "zip",
	"BZh": "bzip2", "x\x01": "zlib", "x\x9c": "zlib", // git's loose objects are zlib
	"\xfd7zXZ": "xz", "\x28\xb5\x2f\xfd": "zstd", "\x04\x22\x4d\x18": "lz4",
	"7z\xbc\xaf\x27\x1c": "7-zip", "Rar!\x1a\x07": "rar",
	"PACK\x00\x00\x00": "a git pack", "# v2 git bundle\n": "a git bundle", "# v3 git bundle\n": "a git bundle",
}

// path scans one path that the caller named, and everything in it.
func (r *run) path(ctx context.Context, root string) error {
	if root == "-" {
		return r.file(ctx, "-", cmp.Or(r.options.Stdin, io.Reader(strings.NewReader(""))), nil)
	}
	info, err := os.Stat(root)
	if err != nil {
		return errors.New(r.shown(root) + ": " + reasonOf(err))
	}
	if info.Mode().IsRegular() {
		return r.open(ctx, root, r.shown(root))
	}
	env, _ := os.Stat(r.options.EnvFile) // a missing file needs no skipping
	// The separator makes WalkDir follow a link that the caller names.
	return filepath.WalkDir(root+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			r.unread(r.shown(path), reasonOf(err))
			return nil
		}
		shown := r.name(path, entry.Name())
		if entry.IsDir() && path == filepath.Join(root, ".git") {
			r.skipped(shown, "is this checkout's history, skipped unless it is named; git log -p --all | stagedoor scan -")
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		if info, err := entry.Info(); err == nil && os.SameFile(env, info) {
			r.skipped(shown, "is where the secrets come from, skipped unless it is named")
			return nil
		}
		return r.open(ctx, path, shown)
	})
}

// open scans a file on the disk.
func (r *run) open(ctx context.Context, path, shown string) error {
	f, err := os.Open(path)
	if err != nil {
		r.unread(shown, reasonOf(err))
		return nil
	}
	defer func() { _ = f.Close() }()
	return r.file(ctx, shown, f, f)
}

// file scans one file; whole is nil for standard input. Only the context's
// error is returned: other errors are in the report.
func (r *run) file(ctx context.Context, shown string, source io.Reader, whole *os.File) error {
	r.read, r.unpacked = 0, 0
	err := r.content(ctx, shown, io.TeeReader(source, &r.read), whole)
	r.report.Files++
	r.report.Bytes += int64(r.read)
	if ctx.Err() != nil {
		return errors.New("the scan was interrupted")
	}
	if err != nil {
		r.unread(shown, reasonOf(err))
	}
	return nil
}

// tally counts the bytes that are written to it.
type tally int64

// Write implements io.Writer.
func (t *tally) Write(p []byte) (int, error) {
	*t += tally(len(p))
	return len(p), nil
}

// formatOf returns the format of an archive, or "". Nothing but its suffix tells brotli.
func formatOf(path string, head []byte) string {
	for magic, format := range magics {
		if bytes.HasPrefix(head, []byte(magic)) {
			return format
		}
	}
	// SPEC: POSIX.1-2017 pax, "ustar Interchange Format".
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return "tar"
	}
	if strings.HasSuffix(strings.ToLower(path), ".br") {
		return "brotli"
	}
	return ""
}

// content scans a file, or the members of the archive that it is. whole is nil
// for standard input.
func (r *run) content(ctx context.Context, path string, source io.Reader, whole *os.File) error {
	b := bufio.NewReaderSize(source, headSize)
	head, _ := b.Peek(headSize) // stream meets its error again
	switch formatOf(path, head) {
	case "tar":
		return r.tar(ctx, path, b)
	case "zip":
		if whole != nil {
			return r.zip(ctx, path, whole)
		}
	case "gzip":
		z, err := gzip.NewReader(b)
		if err != nil {
			return err
		}
		inner := bufio.NewReaderSize(io.TeeReader(z, &r.unpacked), headSize)
		if head, _ := inner.Peek(headSize); formatOf("", head) == "tar" {
			return r.tar(ctx, path, inner)
		}
		return r.plain(ctx, path, inner)
	}
	return r.plain(ctx, path, b)
}

// plain scans content as it is. An archive is reported: it is of a format that
// is not unpacked, in another archive, or a zip from a pipe.
func (r *run) plain(ctx context.Context, path string, source io.Reader) error {
	b := bufio.NewReaderSize(source, headSize)
	head, _ := b.Peek(headSize) // stream meets its error again
	if format := formatOf(path, head); format != "" {
		r.unread(path, "is packed as "+format+", which is not unpacked here: unpack it and scan that")
	}
	return r.stream(ctx, path, b)
}

// tar scans the members of an archive and what follows its end.
func (r *run) tar(ctx context.Context, path string, b *bufio.Reader) error {
	for t := tar.NewReader(b); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return r.stream(ctx, path, b)
		}
		if err != nil {
			return err
		}
		inside := r.name(path+"!"+header.Name, header.Name)
		if err := r.plain(ctx, inside, io.TeeReader(t, &r.unpacked)); err != nil {
			return err
		}
	}
}

// zip scans the members of an archive, whose list is at its end.
func (r *run) zip(ctx context.Context, path string, whole *os.File) error {
	info, err := whole.Stat()
	if err != nil {
		return err
	}
	r.read = tally(info.Size())
	z, err := zip.NewReader(whole, info.Size())
	if err != nil {
		return err
	}
	for _, f := range z.File {
		inside := r.name(path+"!"+f.Name, f.Name)
		if f.Flags&1 != 0 {
			r.unread(inside, "is encrypted")
			continue
		}
		content, err := f.Open()
		if err == nil {
			err = r.plain(ctx, inside, io.TeeReader(content, &r.unpacked))
			_ = content.Close()
		}
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			r.unread(inside, reasonOf(err))
		}
	}
	return nil
}

// stream scans what source gives. The window that it judges has reach bytes
// more on both sides, so that no border between two reads hides anything. It
// returns the error of source or ctx.
func (r *run) stream(ctx context.Context, path string, source io.Reader) error {
	reach := r.index.reach
	low, have, line, offset := 0, 0, 1, int64(0) // line is that of buf[low], offset that of buf[0]
	for ctx.Err() == nil {
		if r.unpacked > unpackFloor+32*r.read {
			return errors.New("unpacks to more than 1 GiB and 32 times its size")
		}
		n, err := io.ReadFull(source, r.buf[have:])
		have += n
		if errors.Is(err, io.ErrUnexpectedEOF) { // the end, or an archive that is cut off
			_, err = source.Read(r.buf[have:])
		}
		high := have
		if err == nil {
			high -= reach
		}
		for _, m := range r.index.matches(r.buf[:have]) {
			if m.from >= low && m.from < high {
				line += bytes.Count(r.buf[low:m.from], []byte{'\n'})
				low = m.from
				r.found(Find{Path: path, Line: line, Offset: offset + int64(low), Kind: m.kind})
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line += bytes.Count(r.buf[low:high], []byte{'\n'})
		copy(r.buf, r.buf[high-reach:have])
		offset += int64(high - reach)
		low, have = reach, have-high+reach
	}
	return ctx.Err()
}

// name reports secrets in the name of a file or member, and returns its path in
// the form that can be shown.
func (r *run) name(path, name string) string {
	shown := r.shown(path)
	for _, m := range r.index.matches([]byte(name)) {
		r.found(Find{Path: shown, Offset: int64(m.from), Kind: m.kind + ", in the name"})
	}
	return shown
}

// shown replaces secrets in a path by asterisks and escapes what does not print.
func (r *run) shown(path string) string {
	var b strings.Builder
	last := 0
	for _, m := range r.index.matches([]byte(path)) {
		if m.to > last {
			b.WriteString(path[last:max(last, m.from)] + "****")
			last = m.to
		}
	}
	return stagedoor.Printable(b.String() + path[last:])
}

// reasonOf says why something cannot be read, without its path, which may hold a secret.
func reasonOf(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return "cannot be read: " + err.Error()
}
