package httpapi

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"
)

// anchor is how GitHub names a heading.
func anchor(heading string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c):
			return unicode.ToLower(c)
		}
		return -1
	}, heading)
}

// link leads to a heading of the page.
func link(heading string) string { return "[" + heading + "](#" + anchor(heading) + ")" }

// linked is what a reference to a schema leads to.
func linked(ref string) string { return link(path.Base(ref)) }

// paragraphs is a text with each of its paragraphs on one line.
func paragraphs(text string) string {
	var all []string
	for part := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		all = append(all, strings.Join(strings.Fields(part), " "))
	}
	return strings.Join(all, "\n\n")
}

func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// cell is a text in one cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// code is a value as code in a cell.
func code(value string) string { return "`" + cell(value) + "`" }

var statement = regexp.MustCompile(`^.*?[.:](?:\s|$)`)

// first is the first statement of what is described in full elsewhere.
func first(text string) string {
	text = cell(text)
	if found := statement.FindString(text); strings.Count(found, "`")%2 == 0 && found != "" {
		return strings.TrimRight(found, ".: ") + "."
	}
	return text
}

// wide is how long a line of an example may be.
const wide = 140

// pretty is an example as JSON, its members in the order of the schema, and
// what fits into one line in one.
func pretty(value any, schema *openapi3.Schema, indent string) string {
	flat := func(v any) string {
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(v) // it came out of a document
		return strings.TrimSpace(text.String())
	}
	var parts []string
	begin, end := "{", "}"
	switch value := value.(type) {
	case map[string]any:
		for _, name := range exampleKeys(value, schema) {
			var of *openapi3.Schema
			if schema != nil && schema.Properties[name] != nil {
				of = schema.Properties[name].Value
			}
			parts = append(parts, flat(name)+": "+pretty(value[name], of, indent+"  "))
		}
	case []any:
		begin, end = "[", "]"
		var of *openapi3.Schema
		if schema != nil && schema.Items != nil {
			of = schema.Items.Value
		}
		for _, item := range value {
			parts = append(parts, pretty(item, of, indent+"  "))
		}
	default:
		return flat(value)
	}
	line := begin + strings.Join(parts, ", ") + end
	if len(indent)+len(line) <= wide && !strings.Contains(line, "\n") {
		return line
	}
	return begin + "\n" + filled(parts, indent+"  ") + "\n" + indent + end
}

// filled puts as many parts into each line as it takes.
func filled(parts []string, indent string) string {
	text, room := indent, wide-len(indent)
	for i, part := range parts {
		if i < len(parts)-1 {
			part += ","
		}
		long := strings.Contains(part, "\n")
		if i > 0 && (long || len(part)+1 > room) {
			text, room = text+"\n"+indent, wide-len(indent)
		} else if i > 0 {
			text += " "
		}
		text += part
		room -= len(part) + 1
		if long {
			room = 0
		}
	}
	return text
}

// exampleKeys are an example's keys: those of the schema as it has them, then
// others.
func exampleKeys(value map[string]any, schema *openapi3.Schema) []string {
	var names, others []string
	if schema != nil {
		for _, name := range inOrder(schema.Properties, func(s *openapi3.SchemaRef) *openapi3.Origin { return s.Origin }) {
			if _, ok := value[name]; ok {
				names = append(names, name)
			}
		}
	}
	for name := range value {
		if !slices.Contains(names, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return append(names, others...)
}
