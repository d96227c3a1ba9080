package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// routesIn lists the patterns that one source file gives to a mux, but for
// those inside an if on the demo. A pattern that is not written out is a
// fault: nobody could compare it.
func routesIn(t *testing.T, source []byte) (patterns, faults []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			test := string(source[set.Position(n.Cond.Pos()).Offset:set.Position(n.Cond.End()).Offset])
			return test != "a.Demo != nil"
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || len(n.Args) != 2 || (called.Sel.Name != "Handle" && called.Sel.Name != "HandleFunc") {
				return true
			}
			literal, ok := n.Args[0].(*ast.BasicLit)
			if !ok {
				faults = append(faults, "a pattern that is not written out")
				return true
			}
			pattern, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			patterns = append(patterns, pattern)
		}
		return true
	})
	return patterns, faults
}

// joints are the program's patterns that are no addresses of the contract's:
// where everything else ends, where the operators' API is hung in and what is
// beside it, in it the same twice, and the page, the metrics and the profiles that only the admin listener has.
var joints = []string{"/", "/admin/api/", "/admin/api", "/admin/", "/admin/", "/admin/{$}", "/admin/metrics", "/admin/debug/pprof/"}

// TestEveryRouteIsInTheContract compares the program's routes with the
// document's.
func TestEveryRouteIsInTheContract(t *testing.T) {
	sources, err := filepath.Glob("../../internal/httpapi/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		patterns, faults := routesIn(t, source)
		if strings.HasPrefix(filepath.Base(name), "admin") {
			for i := range patterns {
				patterns[i] = "/admin" + patterns[i]
			}
		}
		for _, fault := range faults {
			t.Errorf("%s: %s", name, fault)
		}
		got = append(got, patterns...)
	}
	want := slices.Clone(joints)
	for path := range mustRead(t).doc.Paths.Map() {
		want = append(want, path)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the program has %q, the contract %q", got, want)
	}
}

// TestRoutesAreSeen: the comparison above sees routes wherever they are.
func TestRoutesAreSeen(t *testing.T) {
	patterns, faults := routesIn(t, []byte(`package p
func f() {
	mux.Handle("/a", x)
	if a.Demo != nil {
		mux.Handle("/demo", x)
	}
	if a.Other != nil {
		other.HandleFunc("POST /b", x)
	}
	mux.Handle(name, x)
}`))
	if !slices.Equal(patterns, []string{"/a", "POST /b"}) || len(faults) != 1 {
		t.Errorf("%q %q", patterns, faults)
	}
}

// wordsOf lists the constants of one type that a source file declares.
func wordsOf(t *testing.T, source, typ string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typ {
			return true
		}
		for _, value := range spec.Values {
			word, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, word)
		}
		return true
	})
	return words
}

// TestReasonsAndSources: the contract's words are the program's, in order.
func TestReasonsAndSources(t *testing.T) {
	doc := mustRead(t).doc
	var sources []string
	for _, word := range doc.Components.Schemas["Permissions"].Value.Properties["canPublishSources"].Value.Items.Value.Enum {
		sources = append(sources, word.(string))
	}
	if want := wordsOf(t, "../../grants.go", "Source"); !slices.Equal(sources, want) {
		t.Errorf("%q, the program has %q", sources, want)
	}
	var marks []string
	for _, word := range doc.Components.Schemas["Step"].Value.Properties["mark"].Value.Enum {
		marks = append(marks, word.(string))
	}
	if want := wordsOf(t, "../../explanation.go", "Mark"); !slices.Equal(marks, want) {
		t.Errorf("%q, the program has %q", marks, want)
	}
	if got, want := enum(doc, "PublishDenied"), wordsOf(t, "../../grants.go", "Denial"); !slices.Equal(got, want) {
		t.Errorf("%q, the program has %q", got, want)
	}
}

// TestMethods asks every address of the contract for every method: Allow says
// the contract's, and every other is refused.
func TestMethods(t *testing.T) {
	c := mustRead(t)
	all := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, "QUERY", "get"}
	for path, item := range c.doc.Paths.Map() {
		var methods []string
		for method := range item.Operations() {
			methods = append(methods, method)
			if asGet(http.MethodHead, path) == method {
				methods = append(methods, http.MethodHead)
			}
		}
		slices.Sort(methods)
		var table []call
		for _, method := range all {
			table = append(table, call{method: method, path: path, from: operator})
		}
		for _, a := range record(t, table) {
			if a.changing() && (a.origin == allowedOrigin || a.origin == foreignOrigin) {
				if a.outcome() != a.foreseen() {
					t.Errorf("%s from %q: %s", a, a.origin, a.outcome())
				}
				continue
			}
			allow := strings.Split(a.header.Get("Allow"), ", ")
			slices.Sort(allow)
			switch refused := a.status == http.StatusMethodNotAllowed; {
			case refused == slices.Contains(methods, a.method):
				t.Errorf("%s: %d, the contract has %q", a, a.status, methods)
			case refused && !slices.Equal(allow, methods):
				t.Errorf("%s: Allow %q, the contract has %q", a, allow, methods)
			}
		}
	}
}

// TestPreflight is what api.md says of OPTIONS.
func TestPreflight(t *testing.T) {
	asks := map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
	for _, a := range record(t, []call{
		{method: http.MethodOptions, path: joinPath, header: asks},
		{method: http.MethodOptions, path: tokenPath, header: asks, plain: true},
	}) {
		want := map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": "",
			"Access-Control-Max-Age": "", "Access-Control-Allow-Credentials": ""}
		if a.origin == allowedOrigin {
			want = map[string]string{"Access-Control-Allow-Origin": allowedOrigin, "Access-Control-Allow-Methods": "POST",
				"Access-Control-Allow-Headers": "authorization,content-type", "Access-Control-Max-Age": "600", "Access-Control-Allow-Credentials": ""}
		}
		for name, value := range want {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s from %q: %s %q, want %q", a, a.origin, name, got, value)
			}
		}
	}
}
