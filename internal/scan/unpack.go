package scan

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// bounds are what a file may cost.
type bounds struct {
	// chunk is how many bytes are judged at once.
	chunk int
	// A file may unpack to floor bytes and ratio times what was read of it.
	floor, ratio int64
	// inner is how large a zip in an archive may be: it is held in memory.
	inner int64
	// depth of archives in archives; a .tar.gz has two.
	depth int
}

var defaultBounds = bounds{chunk: 256 << 10, floor: 1 << 30, ratio: 32, inner: 64 << 20, depth: 8}

var errTooMuch = errors.New("unpacks to more than is looked at: the rest was not looked at")

// magic is how many bytes tell what a file is packed in.
const magic = 512

// opaque are the formats that nothing here unpacks, by their first bytes.
var opaque = map[string]string{"\x28\xb5\x2f\xfd": "is compressed with zstd", "\xfd7zXZ": "is compressed with xz", "7z\xbc\xaf\x27\x1c": "is compressed with 7-zip",
	"Rar!\x1a\x07": "is compressed with rar", "\x04\x22\x4d\x18": "is compressed with lz4",
	"PACK\x00\x00\x00": packed, "# v2 git bundle\n": packed, "# v3 git bundle\n": packed}

const packed = "is git's packed history"

// history reads what git has packed.
const history = "git log -p --all | stagedoor scan -"

// opaqueIn says what a file is that is not looked into. Brotli has no first
// bytes by which it can be told, and Go's library does not read it: its suffix tells.
func opaqueIn(path string, head []byte) string {
	for first, what := range opaque {
		if !bytes.HasPrefix(head, []byte(first)) {
			continue
		}
		if what == packed {
			return what + ", which is not looked into: " + history
		}
		return what + ", which is not looked into"
	}
	if strings.HasSuffix(strings.ToLower(path), ".br") {
		return "is compressed with brotli, which is not looked into"
	}
	return ""
}

// loose is one object of a git repository.
var loose = regexp.MustCompile(`(^|[/\\])objects[/\\][0-9a-f]{2}[/\\][0-9a-f]{38,62}$`)

// container returns what unpacks a file, by its bytes: names lie. nil: it is none.
func (r *run) container(path string, head []byte) func(ctx context.Context, path string, b *bufio.Reader, source io.Reader, depth int) error {
	starts := func(text string) bool { return bytes.HasPrefix(head, []byte(text)) }
	switch {
	case starts("\x1f\x8b\x08"):
		return r.decompressed(func(b io.Reader) (io.Reader, error) { return gzip.NewReader(b) })
	case starts("BZh") && len(head) > 4 && string(head[4:min(len(head), 10)]) == "1AY&SY":
		return r.decompressed(func(b io.Reader) (io.Reader, error) { return bzip2.NewReader(b), nil })
	case zlibbed(path, head):
		return r.decompressed(func(b io.Reader) (io.Reader, error) { return zlib.NewReader(b) })
	case starts("PK\x03\x04"):
		return r.zip
	case tarred(head):
		return r.tar
	}
	return nil
}

// zlibbed reports whether a file is bare zlib, as git's loose objects are. Its
// two first bytes are in texts too ("x^2"): what follows must unpack.
func zlibbed(path string, head []byte) bool {
	if bytes.HasPrefix(head, []byte("x")) && loose.MatchString(path) {
		return true // also where it is damaged
	}
	z, err := zlib.NewReader(bytes.NewReader(head))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, z)
	return err == nil || errors.Is(err, io.ErrUnexpectedEOF) && len(head) == magic
}

// tarred reports whether a file begins with a header of tar: before POSIX it
// had no magic, but always a checksum.
//
// SPEC: POSIX.1-2017 pax, "ustar Interchange Format", chksum.
func tarred(head []byte) bool {
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return true
	}
	if len(head) < magic || head[0] == 0 {
		return false
	}
	sum := uint64(8 * ' ') // the field counts as blanks
	for i, c := range head[:magic] {
		if i < 148 || i >= 156 {
			sum += uint64(c)
		}
	}
	said, err := strconv.ParseUint(strings.Trim(string(head[148:156]), " \x00"), 8, 32)
	return err == nil && said == sum
}

// look looks at a file or a member of an archive: what it is packed in is
// undone first.
func (r *run) look(ctx context.Context, path string, source io.Reader, depth int) error {
	b := bufio.NewReader(source)
	head, _ := b.Peek(magic) // its error comes again
	unpack := r.container(path, head)
	if what := opaqueIn(path, head); what != "" && unpack == nil {
		r.unread(path, what)
	}
	if unpack != nil && depth >= r.bounds.depth {
		r.unread(path, "is packed too deep: not unpacked")
		unpack = nil
	}
	prefixed := unpack == nil // at least as far as its bytes at the beginning say
	if prefixed {
		if err := r.stream(ctx, path, utf8ed(b, head)); err != nil || !r.zipEnds {
			return err
		}
		if unpack = r.appended(path, source, depth); unpack == nil {
			return nil
		}
	}
	err := unpack(ctx, path, b, source, depth+1)
	if err == nil || ctx.Err() != nil || errors.Is(err, errTooMuch) {
		return err
	}
	r.unread(path, "cannot be unpacked to its end: "+stripped(err))
	if whole, ok := source.(*counted); ok && whole.at != nil && !prefixed {
		// It only looks like an archive, or is broken: its bytes are looked at as they are.
		return r.stream(ctx, path, io.NewSectionReader(whole.at, 0, math.MaxInt64))
	}
	return nil
}

// stripped leaves the errors' own words, which name no path and hold no content.
func stripped(err error) string {
	for _, known := range []error{io.ErrUnexpectedEOF, gzip.ErrChecksum, gzip.ErrHeader, zlib.ErrChecksum, zlib.ErrHeader,
		tar.ErrHeader, zip.ErrFormat, zip.ErrAlgorithm, zip.ErrChecksum} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "it is damaged"
}

// metered is unpacked content, which must stay in proportion to what was read.
type metered struct {
	*run
	io.Reader
}

// Read reads, and fails where too much has been unpacked.
func (m metered) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if m.spent += int64(n); m.spent > m.bounds.floor+m.bounds.ratio*m.paid {
		return n, errTooMuch
	}
	return n, err
}

// decompressed looks at the one thing that is in a compressed file.
func (r *run) decompressed(open func(io.Reader) (io.Reader, error)) func(context.Context, string, *bufio.Reader, io.Reader, int) error {
	return func(ctx context.Context, path string, b *bufio.Reader, _ io.Reader, depth int) error {
		z, err := open(b)
		if err != nil {
			return err
		}
		return r.look(ctx, path, metered{r, z}, depth)
	}
}

// tar looks at the members of an archive, and at what is behind its end.
func (r *run) tar(ctx context.Context, path string, b *bufio.Reader, _ io.Reader, depth int) error {
	for t := tar.NewReader(b); ; {
		header, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return r.stream(ctx, path, b)
		case err != nil && !errors.Is(err, tar.ErrInsecurePath): // nothing is written anywhere
			return err
		}
		if err := r.member(ctx, path, header.Name, t, depth); err != nil {
			return err
		}
	}
}

// zip looks at the members of an archive.
func (r *run) zip(ctx context.Context, path string, b *bufio.Reader, source io.Reader, depth int) error {
	var at io.ReaderAt
	size := int64(0)
	if whole, ok := source.(*counted); ok && whole.at != nil {
		at, size = whole, whole.size
	} else {
		content, err := io.ReadAll(io.LimitReader(b, r.bounds.inner+1))
		if err != nil {
			return err
		}
		if at, size = bytes.NewReader(content), int64(len(content)); size > r.bounds.inner {
			r.unread(path, fmt.Sprintf("is a zip of more than %d MiB in an archive: not unpacked", r.bounds.inner>>20))
			return r.stream(ctx, path, io.MultiReader(bytes.NewReader(content), b))
		}
	}
	z, err := zip.NewReader(at, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return err
	}
	for _, f := range z.File {
		inside := path + "!" + r.shown(f.Name)
		content, err := f.Open()
		switch {
		case f.Flags&1 != 0:
			r.unread(inside, "is encrypted")
			continue
		case err != nil:
			r.unread(inside, "cannot be unpacked: "+stripped(err))
			continue
		}
		err = r.member(ctx, path, f.Name, content, depth)
		_ = content.Close()
		switch {
		case ctx.Err() != nil || errors.Is(err, errTooMuch):
			return err
		case err != nil:
			r.unread(inside, "cannot be unpacked to its end: "+stripped(err))
		}
	}
	return nil
}

// appended returns what unpacks a zip behind something else, as in an archive
// that unpacks itself. nil: it cannot be, which is said.
func (r *run) appended(path string, source io.Reader, depth int) func(context.Context, string, *bufio.Reader, io.Reader, int) error {
	whole, ok := source.(*counted)
	switch {
	case !ok || whole.at == nil:
		r.unread(path, "ends in a zip, which is looked into only in a file of its own")
	case depth >= r.bounds.depth:
		r.unread(path, "is packed too deep: not unpacked")
	default:
		return r.zip
	}
	return nil
}

// endsInZip reports whether the end of a file is the end record of a zip.
//
// SPEC: PKWARE APPNOTE 4.3.16.
func endsInZip(tail []byte) bool {
	const size = 22 // with a comment of up to 64 KiB behind it
	for at := len(tail); ; {
		at = bytes.LastIndex(tail[:at], []byte("PK\x05\x06"))
		if at < 0 {
			return false
		}
		if rest := len(tail) - at - size; rest >= 0 && rest == int(binary.LittleEndian.Uint16(tail[at+size-2:])) {
			return true
		}
	}
}

// member looks at a member of an archive, its name included.
func (r *run) member(ctx context.Context, path, name string, content io.Reader, depth int) error {
	inside := path + "!" + r.shown(name)
	r.named(inside, name)
	return r.look(ctx, inside, metered{r, content}, depth)
}

// utf8ed returns a reader without the NUL bytes of UTF-16, where the first
// bytes say that it is: what is looked for is ASCII mostly.
func utf8ed(b io.Reader, head []byte) io.Reader {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return narrowed{b}
	}
	return b
}

type narrowed struct{ io.Reader }

// Read reads, and leaves NUL bytes out.
func (n narrowed) Read(p []byte) (int, error) {
	got, err := n.Reader.Read(p)
	kept := 0
	for _, c := range p[:got] {
		if c != 0 {
			p[kept] = c
			kept++
		}
	}
	return kept, err
}
