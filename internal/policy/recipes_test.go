package policy

import (
	"os"
	"path/filepath"
	"testing"
)

// recipe reads one of the files that the documentation links to.
func recipe(t testing.TB, path string) *File {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(filepath.Base(path), data, limits())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRecipes runs the examples of every recipe, each rule of which has at
// least one that lets somebody do something and one that does not.
func TestRecipes(t *testing.T) {
	paths, err := filepath.Glob("../../examples/policies/*.yaml")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d recipes, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := recipe(t, path)
			allows, denies := map[string]bool{}, map[string]bool{}
			for _, o := range f.Test() {
				if !o.OK {
					t.Errorf("line %d: %s: want %s, got %s", o.Line, o.What, o.Want, o.Got)
				}
				allows[o.Rule] = allows[o.Rule] || o.Want == "true"
				denies[o.Rule] = denies[o.Rule] || o.Want == "false"
			}
			for _, rule := range f.rules {
				if !allows[rule.name] || !denies[rule.name] {
					t.Errorf("the examples of %q do not show both sides", rule.name)
				}
			}
		})
	}
}
