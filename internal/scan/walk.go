package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// root is a path that the caller named.
type root struct {
	path string
	info fs.FileInfo // nil for "-"
}

// roots makes sure that all paths are there before any is looked at.
func (r *run) roots(paths []string) ([]root, error) {
	var all []root
	for _, path := range paths {
		if path == "-" {
			all = append(all, root{path: path})
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %s", r.shown(path), reasonOf(err))
		}
		all = append(all, root{path, info})
	}
	return all, nil
}

// walk looks at one path and all that is in it.
func (r *run) walk(ctx context.Context, at root) error {
	switch {
	case at.info == nil && r.options.Stdin == nil:
		return nil
	case at.info == nil:
		return r.file(ctx, "-", &counted{run: r, Reader: r.options.Stdin})
	case !at.info.IsDir():
		return r.open(ctx, at.path)
	}
	var env fs.FileInfo
	if r.options.EnvFile != "" {
		env, _ = os.Stat(r.options.EnvFile) // where there is none, none is left out
	}
	// The separator makes a link that the caller names be followed.
	return filepath.WalkDir(at.path+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.unread(r.shown(path), reasonOf(err))
			return nil
		}
		if entry.IsDir() && checkout(at.path, path) {
			r.report.Notes = append(r.report.Notes, Note{r.shown(path), "is the checkout's history, which clients do not get: left out, unless it is named itself; " + history})
			return fs.SkipDir
		}
		r.named(r.shown(path), entry.Name())
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist): // it went away meanwhile
			return nil
		case err == nil && env != nil && os.SameFile(env, info):
			r.report.Notes = append(r.report.Notes, Note{r.shown(path), "is where the secrets come from: left out, unless it is named itself"})
			return nil
		}
		return r.open(ctx, path)
	})
}

// checkout reports whether a path is the git repository of a directory that the
// caller named. One deeper down belongs to what is published, and is looked into.
func checkout(root, path string) bool {
	if path != filepath.Join(root, ".git") {
		return false
	}
	_, err := os.Stat(filepath.Join(path, "HEAD"))
	return err == nil
}

// open looks at a file on the disk, or at a pipe that the caller names.
func (r *run) open(ctx context.Context, path string) error {
	shown := r.shown(path)
	f, err := os.Open(path)
	if err != nil {
		r.unread(shown, reasonOf(err))
		return nil
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		r.unread(shown, reasonOf(err))
		return nil
	case info.Mode().IsRegular():
		return r.file(ctx, shown, &counted{run: r, Reader: f, at: f, size: info.Size()})
	case info.Mode()&fs.ModeNamedPipe != 0:
		return r.file(ctx, shown, &counted{run: r, Reader: f})
	}
	r.unread(shown, "is no regular file")
	return nil
}

// file looks at one file. Only the context's error comes back: what else goes
// wrong is in the report.
func (r *run) file(ctx context.Context, path string, source *counted) error {
	r.spent, r.paid = 0, 0
	err := r.look(ctx, path, source, 0)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.unread(path, reasonOf(err))
	}
	r.report.Files++
	r.progress(path)
	return nil
}

// counted is a file whose bytes are counted as they are read.
type counted struct {
	*run
	io.Reader
	at   io.ReaderAt // nil: it can be read once only
	size int64
}

// Read reads and counts.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.count(n)
	return n, err
}

// ReadAt reads and counts.
func (c *counted) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.at.ReadAt(p, offset)
	c.count(n)
	return n, err
}

func (c *counted) count(n int) {
	c.paid += int64(n)
	c.report.Bytes += int64(n)
}

// reasonOf says why something cannot be read, without its path: that may hold a secret.
func reasonOf(err error) string {
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.Is(err, errTooMuch):
		return err.Error()
	}
	return "cannot be read: " + strings.TrimPrefix(err.Error(), "read -: ")
}
