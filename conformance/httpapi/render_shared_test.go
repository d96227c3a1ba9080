package httpapi

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

// kind is a schema's type, a link where it is described for itself.
func kind(ref *openapi3.SchemaRef) string {
	schema := ref.Value
	switch {
	case ref.Ref != "":
		return linked(ref.Ref)
	case len(schema.AllOf) == 1:
		return kind(schema.AllOf[0])
	case len(schema.OneOf) > 0:
		var kinds []string
		for _, one := range schema.OneOf {
			kinds = append(kinds, kind(one))
		}
		return strings.Join(kinds, " or ")
	case schema.Items != nil:
		return "array of " + kind(schema.Items)
	}
	return strings.Join(schema.Type.Slice(), " or ")
}

// rulesOf are what a value must keep to; those of a schema that is described
// for itself stand there.
func rulesOf(ref *openapi3.SchemaRef) string {
	if ref.Ref != "" {
		return ""
	}
	return ownRules(ref.Value)
}

func ownRules(schema *openapi3.Schema) string {
	var all []string
	add := func(rule string) {
		if rule != "" {
			all = append(all, rule)
		}
	}
	for _, one := range schema.OneOf {
		add(rulesOf(one))
	}
	if len(schema.Enum) > 0 {
		var words []string
		for _, word := range schema.Enum {
			words = append(words, code(fmt.Sprint(word)))
		}
		add(strings.Join(words, ", "))
	}
	add(schema.Format)
	if schema.MinLength == 1 && schema.MaxLength == nil {
		add("not empty")
	} else if schema.MinLength > 0 || schema.MaxLength != nil {
		add(bounds(number(&schema.MinLength), number(schema.MaxLength)) + " characters")
	}
	if schema.Min != nil || schema.Max != nil {
		add(bounds(number(schema.Min), number(schema.Max)))
	}
	if schema.MinItems > 0 || schema.MaxItems != nil {
		add(bounds(number(&schema.MinItems), number(schema.MaxItems)) + " items")
	}
	if schema.UniqueItems {
		add("no item twice")
	}
	if schema.Pattern != "" {
		add(code(schema.Pattern))
	}
	if schema.Items != nil {
		add(rulesOf(schema.Items))
	}
	if schema.Default != nil {
		add("default " + code(fmt.Sprint(schema.Default)))
	}
	if schema.Nullable {
		add("may be null")
	}
	return strings.Join(all, "; ")
}

// number is a bound as digits, empty when there is none.
func number[N uint64 | float64](bound *N) string {
	if bound == nil {
		return ""
	}
	return strconv.FormatFloat(float64(*bound), 'f', -1, 64)
}

func bounds(least, most string) string {
	switch {
	case most == "":
		return "at least " + least
	case least == "" || least == "0":
		return "at most " + most
	}
	return least + " to " + most
}

// refusals writes what the operations share.
func (r *renderer) refusals() {
	r.heading(2, "Refusals")
	r.printf("Each has the body %s, but for the redirection. Beside those that an operation lists, any may be answered with `Refused`.\n\n", link("Error"))
	r.printf("| name | code | description | headers |\n|---|---|---|---|\n")
	all := r.doc.Components.Responses
	for _, name := range inOrder(all, func(s *openapi3.ResponseRef) *openapi3.Origin { return s.Value.Origin }) {
		response := all[name].Value
		r.printf("| %s | %s | %s | %s |\n", name, r.codes(response), cell(*response.Description), r.unusual(response))
	}
	r.printf("\n")
}

// headers writes those of the document, each under its reference's name.
func (r *renderer) headers() {
	names := map[string]string{}
	note := func(response *openapi3.Response) {
		for name, header := range response.Headers {
			if header.Ref != "" {
				names[path.Base(header.Ref)] = name
			}
		}
	}
	for _, response := range r.doc.Components.Responses {
		note(response.Value)
	}
	for _, item := range r.doc.Paths.Map() {
		for _, operation := range item.Operations() {
			for _, response := range operation.Responses.Map() {
				note(response.Value)
			}
		}
	}
	var usual []string
	for _, name := range slices.Sorted(maps.Keys(r.usual)) {
		usual = append(usual, "`"+name+"`")
	}
	r.heading(2, "Headers")
	r.printf("Every answer has %s, with the first value below unless it names another.\n\n", strings.Join(usual, ", "))
	r.printf("| header | value | example | description |\n|---|---|---|---|\n")
	all := r.doc.Components.Headers
	for _, name := range inOrder(all, func(h *openapi3.HeaderRef) *openapi3.Origin { return h.Value.Origin }) {
		header := all[name].Value
		if names[name] == "" {
			r.fail("no answer has the header %s", name)
		}
		example := ""
		if header.Example != nil {
			example = code(fmt.Sprint(header.Example))
		}
		r.printf("| `%s` | %s | %s | %s |\n", names[name], ownRules(header.Schema.Value), example, cell(header.Description))
	}
	r.printf("\n")
}

// schemes writes how callers prove who they are.
func (r *renderer) schemes() {
	r.heading(2, "Authentication")
	r.printf("| name | sent as | description |\n|---|---|---|\n")
	all := r.doc.Components.SecuritySchemes
	for _, name := range inOrder(all, func(s *openapi3.SecuritySchemeRef) *openapi3.Origin { return s.Value.Origin }) {
		scheme := all[name].Value
		how := "`Authorization: Bearer …`"
		if scheme.Type == "apiKey" {
			how = scheme.In + " `" + scheme.Name + "`"
		} else if scheme.Scheme != "bearer" {
			r.fail("%s is of another scheme", name)
		}
		r.printf("| %s | %s | %s |\n", name, how, cell(scheme.Description))
	}
	r.printf("\n")
}

// schemas writes all but the bodies of requests and those of one field, which
// stand above.
func (r *renderer) schemas() {
	above := map[string]bool{}
	for _, item := range r.doc.Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.RequestBody != nil {
				_, content := r.only(operation.RequestBody.Value.Content)
				above[path.Base(content.Schema.Ref)] = true
			}
		}
	}
	r.heading(2, "Schemas")
	all := r.doc.Components.Schemas
	for _, name := range inOrder(all, func(s *openapi3.SchemaRef) *openapi3.Origin { return s.Value.Origin }) {
		schema := all[name].Value
		if above[name] || len(schema.Properties) == 1 {
			continue
		}
		r.heading(3, name)
		if len(schema.Properties) == 0 {
			text := title(kind(&openapi3.SchemaRef{Value: schema})) + ". " + schema.Description
			if rules := ownRules(schema); rules != "" {
				text += " Rules: " + strings.ReplaceAll(rules, `\|`, "|") + "."
			}
			r.printf("%s\n\n", paragraphs(text))
			continue
		}
		if text := strings.TrimSpace(schema.Description); text != "" {
			r.printf("%s\n\n", paragraphs(text))
		}
		r.printf("| field | type | required | rules | description |\n|---|---|---|---|---|\n")
		r.fields("", schema)
		r.printf("\n")
	}
}
