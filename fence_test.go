package stagedoor_test

import (
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

// assets are folders that only embed what other languages wrote; cmd alone
// hands them to the rooms.
var assets = []string{"client", "docs", "web"}

// TestFence keeps the house in shape: cmd above internal above the root, no
// room importing another, nothing but the standard library in the root,
// `testing` in tests only, and no room without a subject. It reads the files
// itself: the answer of an external tool could come from a cache.
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

// faults is the rule itself.
func faults(path, name string, imports []string) []string {
	var found []string
	vague := []string{"util", "utils", "common", "helpers", "base", "shared", "types", "models"}
	if slices.Contains(vague, name) {
		found = append(found, path+": a package called "+name+" has no subject")
	}
	dir := filepath.ToSlash(filepath.Dir(path))
	test := strings.HasSuffix(path, "_test.go")
	for _, imported := range imports {
		local, ours := strings.CutPrefix(imported, module+"/")
		ours = ours || imported == module
		switch {
		case imported == "testing" && !test:
			found = append(found, path+": imports testing in production code")
		case strings.HasPrefix(local, "cmd/") && ours:
			found = append(found, path+": imports "+imported+"; nobody imports cmd")
		case dir == "." && !ours && strings.Contains(strings.Split(imported, "/")[0], "."):
			found = append(found, path+": imports "+imported+"; the root has the standard library only")
		case dir == "." && ours && imported != module:
			found = append(found, path+": imports "+imported+"; the root imports nothing of ours")
		case strings.HasPrefix(dir, "internal/") && ours && imported != module && local != dir:
			found = append(found, path+": imports "+imported+"; a room imports the root alone")
		case slices.Contains(assets, dir) && ours:
			found = append(found, path+": imports "+imported+"; assets import nothing")
		}
	}
	return found
}

func TestFenceSeesEveryFault(t *testing.T) {
	for _, c := range []struct{ path, name, imported string }{
		{"door.go", "stagedoor", "github.com/x/y"},
		{"door.go", "stagedoor", "stagedoor/internal/authn"},
		{"door.go", "stagedoor", "testing"},
		{"internal/authn/a.go", "authn", "stagedoor/internal/httpapi"},
		{"internal/authn/a.go", "authn", "stagedoor/cmd/stagedoor"},
		{"internal/authn/a.go", "authn", "stagedoor/web"},
		{"cmd/stagedoor/a.go", "main", "stagedoor/cmd/other"},
		{"web/a.go", "web", "stagedoor"},
		{"internal/util/a.go", "util", "fmt"},
	} {
		if len(faults(c.path, c.name, []string{c.imported})) != 1 {
			t.Errorf("%s importing %s was not seen", c.path, c.imported)
		}
	}
	if got := faults("internal/authn/a_test.go", "authn", []string{"testing", "stagedoor", "fmt", "github.com/x/y"}); got != nil {
		t.Errorf("fault where there is none: %v", got)
	}
}
