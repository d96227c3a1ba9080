package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// docTable renders the keys of a type.
func docTable(kind reflect.Type) string {
	var table strings.Builder
	table.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	for i := range kind.NumField() {
		field := kind.Field(i)
		key := field.Tag.Get("key")
		if key == "" {
			continue
		}
		value := "list"
		if l, ok := reflect.New(field.Type).Interface().(leaf); ok {
			value = l.kind()
		} else if field.Type.Kind() == reflect.Struct {
			value = "mapping"
		}
		if allowed := field.Tag.Get("enum"); allowed != "" && value == "text" {
			value = "`" + strings.ReplaceAll(allowed, ",", "`, `") + "`"
		}
		if least := field.Tag.Get("min"); least != "" {
			value += ", " + least + " to " + field.Tag.Get("max")
		}
		otherwise := field.Tag.Get("default")
		switch {
		case field.Tag.Get("need") != "":
			otherwise = "**required**"
		case otherwise == "":
			otherwise = "–"
		case strings.HasPrefix(otherwise, "'") || otherwise == "true" || otherwise == "false" || strings.ToUpper(otherwise) == otherwise || otherwise == "one":
			otherwise = "`" + otherwise + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", key, value, otherwise, field.Tag.Get("doc"))
	}
	return table.String()
}

// TestPolicyDocTables keeps the reference equal to the types.
func TestPolicyDocTables(t *testing.T) {
	have, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	want := string(have)
	for name, kind := range map[string]reflect.Type{"file": reflect.TypeFor[fileSpec](), "rule": reflect.TypeFor[ruleSpec](),
		"issuer": reflect.TypeFor[issuerSpec](), "example": reflect.TypeFor[exampleSpec](), "expect": reflect.TypeFor[expectSpec]()} {
		begin := "<!-- table " + name + " -->\n"
		before, after, ok := strings.Cut(want, begin)
		_, rest, closed := strings.Cut(after, "<!-- end -->")
		if !ok || !closed {
			t.Fatalf("docs/policy.md has no table %s", name)
		}
		want = before + begin + docTable(kind) + "<!-- end -->" + rest
	}
	if *update {
		if err := os.WriteFile(docPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(have) != want {
		t.Error("docs/policy.md differs from spec.go: run go test ./internal/policy -run PolicyDoc -update")
	}
}

// whole makes a file of a snippet of the page.
func whole(snippet string) string {
	indented := strings.ReplaceAll(strings.TrimRight(snippet, "\n"), "\n", "\n    ")
	switch {
	case strings.Contains("\n"+snippet, "\nrooms:"):
		return snippet
	case strings.HasPrefix(snippet, "issuers:"):
		return snippet + "rooms:\n  - room: a\n"
	case strings.HasPrefix(snippet, "room:"):
		return "rooms:\n  - " + indented + "\n"
	}
	return "rooms:\n  - room: a\n    " + indented + "\n"
}

// TestPolicyDocSnippets parses every piece of YAML on the page and runs its
// examples; the one that is wrong gives the text below it.
func TestPolicyDocSnippets(t *testing.T) {
	page, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(yaml wrong|yaml|text)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 9 {
		t.Fatalf("%d snippets only", len(blocks))
	}
	wrong := ""
	for _, block := range blocks {
		switch block[1] {
		case "yaml wrong":
			wrong = faultsOf(t, block[2])
		case "text":
			if got := strings.TrimSpace(block[2]); got != wrong {
				t.Errorf("the page says\n%s\nand Parse\n%s", got, wrong)
			}
		case "yaml":
			for _, o := range parse(t, whole(block[2])).Test() {
				if !o.OK {
					t.Errorf("%+v of\n%s", o, block[2])
				}
			}
		}
	}
}

// TestPolicyDocConditions compiles every condition that the page shows, and
// looks for every variable and recipe.
func TestPolicyDocConditions(t *testing.T) {
	page, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	conditions := regexp.MustCompile("`(\"[^`]*\")`").FindAllStringSubmatch(string(page), -1)
	compiled := 0
	for _, c := range conditions {
		condition := strings.ReplaceAll(c[1], `\|`, "|")
		if condition == `"claims.staff"` || condition == `"role": "host"` { // the page says that they are none
			continue
		}
		parse(t, one("room: 'x-{owner}'", "join: "+condition))
		compiled++
	}
	if compiled < 20 {
		t.Errorf("%d conditions only", compiled)
	}
	for _, name := range append(variables(), varIP) {
		if !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("%s is not on the page", name)
		}
	}
	recipes, _ := filepath.Glob("../../examples/policies/*.yaml")
	for _, path := range recipes {
		if !strings.Contains(string(page), "(../examples/policies/"+filepath.Base(path)+")") {
			t.Errorf("%s is not on the page", path)
		}
	}
}
