package deploy

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// builder does what a Dockerfile says with directories in the place of images.
// What the base images bring is this machine's: go, npm and the certificates.
type builder struct {
	file dockerfile
	sent []string // files of the repository that are sent to it
	dir  string
}

// root is the directory of a stage.
func (b *builder) root(name string) string { return filepath.Join(b.dir, "stage-"+name) }

// image lays the image's content out once, and returns its root directory.
var image = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stagedoor-image-")
	if err != nil {
		return "", err
	}
	built.dir = dir
	for _, s := range built.file.stages {
		if err := built.stage(s); err != nil {
			return "", fmt.Errorf("stage %q: %w", s.as, err)
		}
	}
	return built.root(""), nil
})

var built builder

// layOut returns the directory in which the image's content lies.
func layOut(t *testing.T) string {
	t.Helper()
	if built.file.stages == nil {
		built.file, built.sent = parseDockerfile(t), kept(t)
	}
	root, err := image()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == jailed {
		fmt.Fprintln(os.Stderr, enterJail(os.Args[2], os.Args[3], os.Args[4:]))
		os.Exit(70)
	}
	status := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(status)
}

func (b *builder) stage(s stage) error {
	at := "/"
	environ := os.Environ()
	if err := os.MkdirAll(b.root(s.as), 0o755); err != nil {
		return err
	}
	for _, step := range s.steps {
		var err error
		switch step.name {
		case "WORKDIR":
			at = step.rest
			err = os.MkdirAll(filepath.Join(b.root(s.as), at), 0o755)
		case "ENV":
			environ = append(environ, strings.Fields(step.rest)...)
		case "ARG":
			name, value, _ := strings.Cut(step.rest, "=")
			environ = append(environ, name+"="+os.Expand(value, func(string) string { return "unknown" }))
		case "COPY":
			err = b.copy(s, at, strings.Fields(step.rest))
		case "RUN":
			err = b.run(s, at, environ, step.rest)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", step.name, step.rest, err)
		}
	}
	return nil
}

// run runs a line in a stage. npm ci is not asked of the network again: its
// result is beside the lock file that the build has just installed from.
func (b *builder) run(s stage, at string, environ []string, line string) error {
	root := b.root(s.as)
	if strings.HasPrefix(line, "npm ci ") {
		installed, err := filepath.Abs(filepath.Join("..", "web", "node_modules"))
		if err != nil {
			return err
		}
		return os.Symlink(installed, filepath.Join(root, at, "node_modules"))
	}
	c := exec.CommandContext(context.Background(), "sh", "-c", strings.ReplaceAll(line, " /image", " "+root+"/image"))
	c.Dir, c.Env = filepath.Join(root, at), environ
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// copy copies from the context or another stage, as Docker does: the content
// of a directory, and files into a directory if the target ends in a slash.
func (b *builder) copy(s stage, at string, args []string) error {
	from := ""
	for ; strings.HasPrefix(args[0], "--"); args = args[1:] {
		name, value, _ := strings.Cut(args[0], "=")
		switch {
		case name == "--from":
			from = value
		case name != "--chown" || value != b.file.user:
			return fmt.Errorf("%s is not expected", args[0])
		}
	}
	target := args[len(args)-1]
	into := filepath.Join(b.root(s.as), at, target)
	if filepath.IsAbs(target) {
		into = filepath.Join(b.root(s.as), target)
	}
	for _, source := range args[:len(args)-1] {
		if err := b.copyOne(from, source, into, strings.HasSuffix(target, "/")); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) copyOne(from, source, into string, below bool) error {
	base := ".."
	if from != "" {
		if base = b.root(from); !exists(filepath.Join(base, source)) {
			base = "/" // what the base image brings
		}
	}
	path := filepath.Join(base, source)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if below {
			into = filepath.Join(into, filepath.Base(source))
		}
		if base == ".." && !slices.Contains(b.sent, filepath.Clean(source)) {
			return fmt.Errorf("%s is kept from the builder by Dockerfile.dockerignore", source)
		}
		return copyFile(path, into, info.Mode())
	}
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if err == nil && base == ".." && entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return err
		}
		if name, _ := filepath.Rel("..", file); base == ".." && !slices.Contains(b.sent, name) {
			return nil
		}
		name, err := filepath.Rel(path, file)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return copyFile(file, filepath.Join(into, name), info.Mode())
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func copyFile(from, to string, mode os.FileMode) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, mode.Perm())
}

const mostBytes = 60_000_000

func TestImageIsSmallAndStatic(t *testing.T) {
	root := layOut(t)
	var size int64
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
			name, _ := filepath.Rel(root, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(size)/1e6)
	if size >= mostBytes {
		t.Errorf("the image's content is %d bytes", size)
	}
	if want := []string{"etc/ssl/certs/ca-certificates.crt", "stagedoor"}; !slices.Equal(names, want) {
		t.Errorf("the image holds %v, want %v", names, want)
	}
	if info, err := os.Stat(filepath.Join(root, "data")); err != nil || !info.IsDir() {
		t.Errorf("there is no /data: %v", err)
	}
}
