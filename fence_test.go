package stagedoor_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is this module's path.
const module = "stagedoor"

// assets are folders that only embed what other languages wrote.
var assets = []string{"client", "docs", "web"}

// layers maps every Go package of this module to its layer. A package may
// import packages of lower layers only. ARCHITECTURE.md draws the same table.
var layers = map[string]int{
	".": 0, // domain

	// Capabilities.
	"internal/audit":     1,
	"internal/authn":     1,
	"internal/billing":   1,
	"internal/clockskew": 1,
	"internal/config":    1,
	"internal/inflight":  1,
	"internal/livekit":   1,
	"internal/metrics":   1,
	"internal/policy":    1,
	"internal/ratelimit": 1,
	"internal/scan":      1,
	"internal/tlscert":   1,
	"internal/traces":    1,

	// State.
	"internal/enforce": 2,
	"internal/store":   2,

	// Interfaces.
	"internal/check":      3,
	"internal/demostripe": 3,
	"internal/devserver":  3,
	"internal/httpapi":    3,

	// Assembly and commands. Assets are here because only these may embed them.
	"client":        4,
	"docs":          4,
	"web":           4,
	"cmd/stagedoor": 5,
	"tools/release": 5,
}

// sideways lists imports within one layer, each with its reason.
var sideways = map[string]string{
	"internal/devserver -> internal/demostripe": "the Stripe double is a part of it",
	"internal/devserver -> internal/httpapi":    "the demo page is served by the HTTP API",
	"internal/authn -> internal/inflight":       "a caller who waits for an issuer's keys holds no running slot",
	"internal/billing -> internal/inflight":     "a caller who waits for Stripe holds no running slot",
	"internal/livekit -> internal/inflight":     "a caller who waits for LiveKit holds no running slot",
	"internal/livekit -> internal/clockskew":    "a refused call says how far the clocks are apart",
}

// TestFence keeps the layers: imports go down only, the domain has the standard
// library only, and production code does not import testing. It parses the
// files itself because the answer of an external tool could come from a cache.
func TestFence(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != "." && (skipDir(entry.Name()) || hasOwnModule(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			files++
			for _, fault := range faultsOf(t, filepath.ToSlash(path)) {
				t.Error(fault)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("looked at %d files only", files)
	}
}

func skipDir(name string) bool {
	return name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".")
}

func hasOwnModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// faultsOf lists what one file may not be or import.
func faultsOf(t *testing.T, path string) []string {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var imports []string
	for _, spec := range source.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		imports = append(imports, imported)
	}
	return faults(path, source.Name.Name, imports)
}

// faults applies the rules to one file.
func faults(path, name string, imports []string) []string {
	var found []string
	fault := func(format string, args ...any) {
		found = append(found, path+": "+fmt.Sprintf(format, args...))
	}
	vague := []string{"util", "utils", "common", "helpers", "base", "shared", "types", "models"}
	if slices.Contains(vague, name) {
		fault("a package called %s has no subject", name)
	}
	dir := filepath.ToSlash(filepath.Dir(path))
	layer, listed := layers[testedBy(dir)]
	if !listed {
		fault("package %s has no layer; add it to layers in fence_test.go", dir)
	}
	test := strings.HasSuffix(path, "_test.go")
	for _, imported := range imports {
		local, ours := strings.CutPrefix(imported, module+"/")
		switch {
		case imported == module:
			local, ours = ".", true
		case imported == "testing" && !test:
			fault("imports testing in production code")
		case dir == "." && !ours && strings.Contains(strings.Split(imported, "/")[0], "."):
			fault("imports %s; the domain has the standard library only", imported)
		}
		if !ours || local == dir || testedBy(local) == dir && test {
			continue
		}
		if testedBy(local) != local && !test {
			fault("imports %s, which is for tests", imported)
		}
		if to := layers[testedBy(local)]; to > layer || to == layer && sideways[dir+" -> "+local] == "" {
			fault("imports %s of layer %d from layer %d; imports go down only", imported, to, layer)
		}
	}
	if slices.Contains(assets, dir) && strings.Contains(strings.Join(imports, " "), module) {
		fault("assets import nothing of this module")
	}
	return found
}

// testedBy returns the package that a test-support package such as
// internal/tlscert/tlscerttest belongs to, and any other package itself.
func testedBy(dir string) string {
	parent := filepath.ToSlash(filepath.Dir(dir))
	if filepath.Base(dir) == filepath.Base(parent)+"test" {
		return parent
	}
	return dir
}

func TestFenceSeesEveryFault(t *testing.T) {
	for _, c := range []struct{ path, name, imported string }{
		{"door.go", "stagedoor", "github.com/x/y"},
		{"door.go", "stagedoor", "stagedoor/internal/authn"},
		{"door.go", "stagedoor", "testing"},
		{"internal/authn/a.go", "authn", "stagedoor/internal/policy"},
		{"internal/authn/a.go", "authn", "stagedoor/internal/httpapi"},
		{"internal/authn/a.go", "authn", "stagedoor/cmd/stagedoor"},
		{"internal/authn/a.go", "authn", "stagedoor/web"},
		{"internal/check/a.go", "check", "stagedoor/internal/tlscert/tlscerttest"},
		{"internal/unlisted/a.go", "unlisted", "fmt"},
		{"web/a.go", "web", "stagedoor/cmd/stagedoor"},
		{"internal/authn/a.go", "util", "fmt"},
	} {
		if len(faults(c.path, c.name, []string{c.imported})) == 0 {
			t.Errorf("%s importing %s was not seen", c.path, c.imported)
		}
	}
	for path, imports := range map[string][]string{
		"internal/authn/a_test.go": {"testing", "stagedoor", "fmt", "github.com/x/y"},
		"internal/httpapi/a.go":    {"stagedoor/internal/store", "stagedoor/internal/authn"},
		"internal/authn/a.go":      {"stagedoor/internal/inflight"},
		"cmd/stagedoor/a_test.go":  {"stagedoor/internal/tlscert/tlscerttest"},
	} {
		if got := faults(path, "x", imports); got != nil {
			t.Errorf("%s: fault where there is none: %v", path, got)
		}
	}
}
