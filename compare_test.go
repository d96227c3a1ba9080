package stagedoor_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tellingCalls compare byte by byte and stop at the first difference, or look
// a text up: their time tells how much of a secret was right.
var tellingCalls = []string{
	"bytes.Equal", "bytes.Compare", "strings.EqualFold", "strings.Compare", "slices.Contains", "slices.Index", "slices.Equal",
	"reflect.DeepEqual", "cmp.Compare", "maps.Equal",
}

// TestSecretsAreComparedInConstantTime reads the source for a secret, as
// Reveal gives it, or a fresh MAC, under ==, in a switch, as the key of a map
// or in a call that stops at the first difference. It sees the expression
// alone: what is put into a variable first is for the reviewer of Reveal.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	files := 0
	for _, root := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, found := range telling(file) {
				t.Errorf("%s: %s: use subtle.ConstantTimeCompare or hmac.Equal", path, found)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 60 {
		t.Errorf("looked at %d files alone", files)
	}
}

// telling lists the comparisons of secrets in one file.
func telling(file *ast.File) []string {
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && (holdsSecret(n.X) || holdsSecret(n.Y)) && !isEmptyText(n.X) && !isEmptyText(n.Y) {
				found = append(found, "a secret beside "+n.Op.String())
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && holdsSecret(n.Tag) {
				found = append(found, "a switch over a secret")
			}
		case *ast.IndexExpr:
			if holdsSecret(n.Index) {
				found = append(found, "a secret as a key")
			}
		case *ast.CallExpr:
			if name := nameOf(n.Fun); slices.Contains(tellingCalls, name) && slices.ContainsFunc(n.Args, holdsSecret) {
				found = append(found, fmt.Sprintf("a secret in %s", name))
			}
		}
		return true
	})
	return found
}

// holdsSecret reports whether an expression is a secret's bytes, whole or
// converted, or a MAC just made.
func holdsSecret(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return holdsSecret(e.X)
	case *ast.SliceExpr:
		return holdsSecret(e.X)
	case *ast.CallExpr:
		if called, ok := e.Fun.(*ast.SelectorExpr); ok && (called.Sel.Name == "Reveal" && len(e.Args) == 0 || called.Sel.Name == "Sum" && len(e.Args) == 1) {
			return true
		}
		// A conversion, an encoding or a hash of one is one; a length is not.
		name := nameOf(e.Fun)
		return (name == "string" || name == "" || strings.Contains(name, "Encode") || strings.Contains(name, "Sum")) && slices.ContainsFunc(e.Args, holdsSecret)
	}
	return false
}

// nameOf is a called function as "package.Function"; empty for a conversion to
// a type without a name.
func nameOf(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return nameOf(fun.X) + "." + fun.Sel.Name
	}
	return ""
}

func isEmptyText(e ast.Expr) bool {
	literal, ok := e.(*ast.BasicLit)
	return ok && literal.Value == `""`
}

// TestTellingComparisonsAreSeen: the test above finds what it is for.
func TestTellingComparisonsAreSeen(t *testing.T) {
	for body, want := range map[string]int{
		`_ = a.Reveal() == b`: 1, `_ = b != string(a.Reveal())`: 1, `_ = bytes.Equal([]byte(a.Reveal()), b)`: 1, `_ = hex.EncodeToString(mac.Sum(nil)) == b`: 1,
		`_ = known[a.Reveal()]`: 1, `switch a.Reveal() { case "x": }`: 1, `_ = slices.Contains(b, a.Reveal())`: 1, `_ = bytes.Equal(mac.Sum(nil), b)`: 1,
		`_ = subtle.ConstantTimeCompare([]byte(a.Reveal()), b) == 1`: 0, `_ = hmac.Equal(mac.Sum(nil), b)`: 0, `_ = a.Reveal() == ""`: 0, `_ = len(a.Reveal()) == 3`: 0,
		`_ = strings.HasPrefix(a.Reveal(), "x")`: 0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package p\nfunc f() {\n"+body+"\n}", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if found := telling(file); len(found) != want {
			t.Errorf("%s: %v", body, found)
		}
	}
}
