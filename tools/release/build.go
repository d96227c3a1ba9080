package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// binary builds the command for a platform into file. The result depends on
// the sources, the stamp and the toolchain, and on no path, clock or setting of
// the builder.
func (s source) binary(ctx context.Context, p platform, at stamp, file string, environ ...string) error {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	flags := fmt.Sprintf("-s -w -X main.version=%s -X main.commit=%s", at.version, at.commit)
	_, err = s.output(ctx, append(p.environ(), environ...), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", absolute, command)
	return err
}

// page builds the page that is embedded, from the lock file alone.
func (s source) page(ctx context.Context) error {
	web := source{filepath.Join(s.root, "web")}
	if _, err := web.output(ctx, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		return err
	}
	_, err := web.output(ctx, nil, "npm", "run", "build")
	return err
}

// clone checks the commit out into dir, so that nothing that is not committed
// can get into a release.
func (s source) clone(ctx context.Context, dir string) (source, error) {
	_, err := s.output(ctx, nil, "git", "clone", "--quiet", "--no-hardlinks", ".", dir)
	return source{dir}, err
}

// entry is one file of an archive.
type entry struct {
	name    string
	mode    os.FileMode
	content []byte
}

// release makes everything in dir, from a clean checkout of the commit.
func (s source) release(ctx context.Context, dir string, out io.Writer) error {
	changes, err := s.output(ctx, nil, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		_, _ = fmt.Fprintln(out, "The work tree has changes that are not committed; they are not in this release.")
	}
	at, err := s.stamp(ctx)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "stagedoor-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	clean, err := s.clone(ctx, filepath.Join(temporary, "stagedoor"))
	if err != nil {
		return err
	}
	if err := clean.page(ctx); err != nil {
		return err
	}
	parts, err := clean.parts(ctx)
	if err != nil {
		return err
	}
	files, err := clean.files(ctx, at, parts, temporary, out)
	if err != nil {
		return err
	}
	return writeAll(dir, files, out)
}

// files returns the release's files in the order of their names.
func (s source) files(ctx context.Context, at stamp, parts []part, temporary string, out io.Writer) ([]entry, error) {
	var notices, bill bytes.Buffer
	if err := writeNotices(&notices, parts); err != nil {
		return nil, err
	}
	if err := writeSBOM(&bill, at, parts); err != nil {
		return nil, err
	}
	beside := []entry{{"NOTICES.txt", 0o644, notices.Bytes()}}
	for _, name := range []string{"LICENSE", "README.md"} {
		content, err := os.ReadFile(filepath.Join(s.root, name))
		if err != nil {
			return nil, err
		}
		beside = append([]entry{{name, 0o644, content}}, beside...)
	}
	var files []entry
	for _, p := range platforms {
		_, _ = fmt.Fprintf(out, "building %s\n", p)
		file := filepath.Join(temporary, "stagedoor-"+p.os+"-"+p.arch)
		if err := s.binary(ctx, p, at, file); err != nil {
			return nil, err
		}
		if err := inBill(file, parts); err != nil {
			return nil, err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		archive, err := p.archive(at, content, beside)
		if err != nil {
			return nil, err
		}
		files = append(files, archive)
	}
	return append(files, entry{"stagedoor_" + at.version + "_sbom.cdx.json", 0o644, bill.Bytes()}), nil
}

// archive packs the binary and what goes with it: a zip for Windows, else a
// compressed tar, the same bytes for the same content.
func (p platform) archive(at stamp, binary []byte, beside []entry) (entry, error) {
	top := fmt.Sprintf("stagedoor_%s_%s_%s", at.version, p.os, p.arch)
	entries := append([]entry{}, beside...)
	pack, suffix, name := packTar, ".tar.gz", "stagedoor"
	if p.os == "windows" {
		pack, suffix, name = packZip, ".zip", "stagedoor.exe"
	}
	entries = append(entries, entry{name, 0o755, binary})
	for i := range entries {
		entries[i].name = top + "/" + entries[i].name
	}
	var b bytes.Buffer
	err := pack(&b, entries, at.time)
	return entry{top + suffix, 0o644, b.Bytes()}, err
}

func packTar(out io.Writer, entries []entry, at time.Time) error {
	compressed := gzip.NewWriter(out)
	archive := tar.NewWriter(compressed)
	for _, e := range entries {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: int64(e.mode), Size: int64(len(e.content)), ModTime: at, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := archive.Write(e.content); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func packZip(out io.Writer, entries []entry, at time.Time) error {
	archive := zip.NewWriter(out)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: at}
		header.SetMode(e.mode)
		file, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := file.Write(e.content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeAll writes the files into an empty directory, and SHA256SUMS last.
func writeAll(dir string, files []entry, out io.Writer) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var sums strings.Builder
	for _, f := range files {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(f.content), f.name)
	}
	for _, f := range append(files, entry{"SHA256SUMS", 0o644, []byte(sums.String())}) {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.content, f.mode); err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, sums.String())
	return err
}
