package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// command is the package that is released.
const command = "./cmd/stagedoor"

// platform is one that is released for, as Go names it.
type platform struct{ os, arch string }

// platforms are all that are released for.
var platforms = []platform{
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"linux", "amd64"}, {"linux", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// String returns os/arch.
func (p platform) String() string { return p.os + "/" + p.arch }

// environ is what makes the go command build for the platform, and the same
// bytes whatever the builder has set.
func (p platform) environ() []string {
	return []string{"GOOS=" + p.os, "GOARCH=" + p.arch, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off"}
}

// part is one Go module or npm package that is in the binary.
type part struct {
	ecosystem string // golang or npm
	name      string
	version   string
	dirs      []string // where its sources and licences are
	alg, hash string   // what its lock file says: a CycloneDX name, and hexadecimal
	licences  []licence
}

// purl is the part's address. SPEC: github.com/package-url/purl-spec.
func (p part) purl() string {
	return "pkg:" + p.ecosystem + "/" + strings.ReplaceAll(p.name, "@", "%40") + "@" + p.version
}

// source is a work tree of the repository.
type source struct{ root string }

// output runs a command in the work tree and returns what it prints.
func (s source) output(ctx context.Context, environ []string, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = s.root, append(os.Environ(), environ...)
	var text bytes.Buffer
	c.Stderr = &text
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, text.String())
	}
	return out, nil
}

// parts returns everything that is in the binaries of all platforms, sorted by
// address, each with its licences. It is an error that one has none.
func (s source) parts(ctx context.Context) ([]part, error) {
	modules, err := s.modules(ctx)
	if err != nil {
		return nil, err
	}
	packages, err := s.packages()
	if err != nil {
		return nil, err
	}
	all := append(modules, packages...)
	for i := range all {
		if all[i].licences, err = licencesOf(all[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(a.purl(), b.purl()) })
	return all, nil
}

// modules returns the Go modules of which a package is linked on any platform,
// and the standard library.
func (s source) modules(ctx context.Context) ([]part, error) {
	sums, err := goSums(filepath.Join(s.root, "go.sum"))
	if err != nil {
		return nil, err
	}
	root, err := s.output(ctx, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	found := map[string]part{"std": {ecosystem: "golang", name: "std", version: strings.TrimPrefix(runtime.Version(), "go"), dirs: []string{strings.TrimSpace(string(root))}}}
	for _, p := range platforms {
		listed, err := s.output(ctx, p.environ(), "go", "list", "-deps", "-json=Dir,Module", command)
		if err != nil {
			return nil, err
		}
		for decoder := json.NewDecoder(bytes.NewReader(listed)); ; {
			var item linked
			if err := decoder.Decode(&item); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			if item.Module == nil || item.Module.Main {
				continue
			}
			if err := item.addTo(found, sums); err != nil {
				return nil, err
			}
		}
	}
	var modules []part
	for _, m := range found {
		modules = append(modules, m)
	}
	return modules, nil
}

// linked is one package of the binary, as go list tells it.
type linked struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{}
	}
}

// addTo adds the package's module, and the directories between the module's
// root and the package: any of them may hold a licence of its own.
func (l linked) addTo(found map[string]part, sums map[string]string) error {
	m := l.Module
	hash, ok := sums[m.Path+"@"+m.Version]
	if !ok || m.Replace != nil {
		return fmt.Errorf("%s %s is not as go.sum has it", m.Path, m.Version)
	}
	known, ok := found[m.Path]
	if !ok {
		known = part{ecosystem: "golang", name: m.Path, version: m.Version, dirs: []string{m.Dir}, alg: "SHA-256", hash: hash}
	}
	for dir := l.Dir; len(dir) > len(m.Dir); dir = filepath.Dir(dir) {
		if !slices.Contains(known.dirs, dir) {
			known.dirs = append(known.dirs, dir)
		}
	}
	slices.Sort(known.dirs)
	found[m.Path] = known
	return nil
}

// goSums returns the hash of every module's files, by path@version.
func goSums(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || strings.HasSuffix(fields[1], "/go.mod") {
			continue
		}
		if sums[fields[0]+"@"+fields[1]], err = hexOf(strings.TrimPrefix(fields[2], "h1:")); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return sums, nil
}

// packages returns the npm packages that the page in the binary may be bundled
// from: what web/package.json depends on, and all that these depend on. A test
// compares them with what the bundler really took.
func (s source) packages() ([]part, error) {
	text, err := os.ReadFile(filepath.Join(s.root, "web", "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct {
			Version, Integrity string
			Dev, Peer          bool
		}
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, err
	}
	var packages []part
	for path, p := range lock.Packages {
		at := strings.LastIndex(path, "node_modules/")
		// A package of types alone is no code; the lock has it as a peer.
		if at < 0 || p.Dev || p.Peer {
			continue
		}
		hash, err := hexOf(strings.TrimPrefix(p.Integrity, "sha512-"))
		if err != nil || len(hash) != 128 {
			return nil, fmt.Errorf("%s: the lock file has no SHA-512 of it", path)
		}
		packages = append(packages, part{
			ecosystem: "npm", name: path[at+len("node_modules/"):], version: p.Version,
			dirs: []string{filepath.Join(s.root, "web", filepath.FromSlash(path))}, alg: "SHA-512", hash: hash,
		})
	}
	if len(packages) == 0 {
		return nil, errors.New("web/package-lock.json lists no packages")
	}
	return packages, nil
}

// hexOf writes base64 as hexadecimal.
func hexOf(encoded string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return hex.EncodeToString(raw), err
}
