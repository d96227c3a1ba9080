package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// inBill fails if the binary holds a module that is not among the parts.
func inBill(file string, parts []part) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return err
	}
	for _, m := range info.Deps {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.ecosystem == "golang" && p.name == m.Path && p.version == m.Version }) {
			return fmt.Errorf("%s holds %s %s, which is not in the bill of materials", file, m.Path, m.Version)
		}
	}
	return nil
}

// reproducible builds the commit in two directories of different names and
// depths, each with caches of its own, and compares the page and the binary.
func (s source) reproducible(ctx context.Context, out io.Writer) error {
	at, err := s.stamp(ctx)
	if err != nil {
		return err
	}
	var pages, binaries [2][]byte
	for i, below := range []string{"a", "elsewhere/deep/below"} {
		temporary, err := os.MkdirTemp("", "stagedoor-same-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(temporary) }()
		_, _ = fmt.Fprintf(out, "building in %s\n", filepath.Join(temporary, below))
		clean, err := s.clone(ctx, filepath.Join(temporary, below))
		if err != nil {
			return err
		}
		if err := clean.page(ctx); err != nil {
			return err
		}
		if pages[i], err = treeSum(filepath.Join(clean.root, "web", "dist")); err != nil {
			return err
		}
		file := filepath.Join(temporary, "stagedoor")
		if err := clean.binary(ctx, platform{runtime.GOOS, runtime.GOARCH}, at, file, "GOCACHE="+filepath.Join(temporary, "cache")); err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		binaries[i] = sum[:]
		_, _ = fmt.Fprintf(out, "  page   %x\n  binary %x\n", pages[i], binaries[i])
	}
	if !bytes.Equal(pages[0], pages[1]) || !bytes.Equal(binaries[0], binaries[1]) {
		return errors.New("the two builds differ")
	}
	_, _ = fmt.Fprintln(out, "the same, twice")
	return nil
}

// treeSum is one hash of all names and contents below dir. Directories and
// empty files that only keep one in git do not count.
func treeSum(dir string) ([]byte, error) {
	sum := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".gitkeep") {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		_, _ = fmt.Fprintf(sum, "%s %d\n", path, len(content))
		_, _ = sum.Write(content)
		return err
	})
	return sum.Sum(nil), err
}
