package httpapi

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation writes one: who may ask, what is sent and what is answered.
func (r *renderer) operation(method, path string, operation *openapi3.Operation) {
	r.heading(3, "`"+method+" "+path+"`")
	text := "**" + operation.Summary + "**"
	if !strings.HasSuffix(operation.Summary, "?") {
		text = "**" + operation.Summary + ".**"
	}
	r.printf("%s\\\n", paragraphs(text+" "+operation.Description)) // a backslash: a new line, no paragraph
	r.security(operation.Security)
	if operation.RequestBody == nil {
		r.printf("\n\n")
	} else {
		r.printf("\\\n")
		r.request(operation.RequestBody.Value)
	}
	if len(operation.Parameters) > 0 {
		r.printf("| parameter | in | type | required | rules | description |\n|---|---|---|---|---|---|\n")
		for _, ref := range operation.Parameters {
			p := ref.Value
			r.printf("| `%s` | %s | %s | %s | %s | %s |\n", p.Name, p.In, kind(p.Schema), yes(p.Required), rulesOf(p.Schema), cell(p.Description))
		}
		r.printf("\n")
	}
	r.answers(operation.Responses)
}

// security says who may ask, in one line.
func (r *renderer) security(needed *openapi3.SecurityRequirements) {
	if needed == nil {
		r.fail("an operation does not say who may ask")
		return
	}
	var ways []string
	for _, way := range *needed {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(way)) {
			all = append(all, "["+name+"](#authentication)")
		}
		ways = append(ways, strings.Join(all, " with "))
	}
	if len(ways) == 0 {
		ways = []string{"nothing is asked for"}
	}
	r.printf("Authentication: %s.", strings.Join(ways, " or "))
}

// request writes the body's fields and one example.
func (r *renderer) request(body *openapi3.RequestBody) {
	mediaType, content := r.only(body.Content)
	if content == nil {
		return
	}
	schema := content.Schema.Value
	r.printf("%s", paragraphs("Request: `"+mediaType+"`. "+body.Description+" "+schema.Description))
	r.printf("\n\n| field | type | required | rules | description |\n|---|---|---|---|---|\n")
	r.fields("", schema)
	r.printf("\n")
	r.example(content)
}

// fields writes the rows of an object, those of the objects in it as a.b.
func (r *renderer) fields(above string, schema *openapi3.Schema) {
	for _, name := range inOrder(schema.Properties, func(s *openapi3.SchemaRef) *openapi3.Origin { return s.Origin }) {
		ref := schema.Properties[name]
		text := cell(ref.Value.Description)
		if ref.Ref != "" {
			text = first(ref.Value.Description)
		}
		r.printf("| `%s%s` | %s | %s | %s | %s |\n", above, name, kind(ref), yes(slices.Contains(schema.Required, name)), rulesOf(ref), text)
		if ref.Ref == "" {
			r.fields(above+name+".", ref.Value)
		}
	}
}

// answers writes the table and an example of the success.
func (r *renderer) answers(responses *openapi3.Responses) {
	r.printf("| status | code | description | headers |\n|---|---|---|---|\n")
	var success *openapi3.MediaType
	for _, status := range slices.Sorted(maps.Keys(responses.Map())) { // "default" comes last
		ref := responses.Value(status)
		said := cell(*ref.Value.Description)
		if ref.Ref != "" {
			said = "[" + path.Base(ref.Ref) + "](#refusals): " + first(*ref.Value.Description)
		} else if mediaType, content := r.only(ref.Value.Content); content != nil {
			success = content
			said += " Body: " + body(mediaType, content.Schema)
		}
		if status == "default" && ref.Ref == other {
			continue // said once, above them all
		}
		r.printf("| %s | %s | %s | %s |\n", status, r.codes(ref.Value), said, r.unusual(ref.Value))
	}
	r.printf("\n")
	if success != nil {
		r.example(success)
	}
}

// other is the answer of every operation to what none of its own are for.
const other = "#/components/responses/Refused"

// body says what an answer holds: its one field, or a schema of several.
func body(mediaType string, ref *openapi3.SchemaRef) string {
	if !oneField(ref.Value) {
		return linked(ref.Ref)
	}
	for name, field := range ref.Value.Properties {
		text := "`" + name + "`, " + kind(field)
		if rules := rulesOf(field); rules != "" {
			text += ", " + rules
		}
		return text + "."
	}
	return "`" + mediaType + "`."
}

// oneField is a schema that is described where it is used.
func oneField(schema *openapi3.Schema) bool { return len(schema.Properties) < 2 }

// only is the one media type of a body.
func (r *renderer) only(content openapi3.Content) (string, *openapi3.MediaType) {
	if len(content) > 1 {
		r.fail("a body of several media types")
	}
	for mediaType, value := range content {
		return mediaType, value
	}
	return "", nil
}

// values are a body's examples, in the order of the document.
func values(content *openapi3.MediaType) []any {
	if content.Example != nil {
		return []any{content.Example}
	}
	var all []any
	for _, name := range inOrder(content.Examples, func(e *openapi3.ExampleRef) *openapi3.Origin { return e.Value.Origin }) {
		all = append(all, content.Examples[name].Value.Value)
	}
	return all
}

// example writes the first of a body's examples.
func (r *renderer) example(content *openapi3.MediaType) {
	all := values(content)
	if len(all) == 0 {
		return
	}
	text, lines := all[0].(string)
	if !lines {
		text = pretty(all[0], content.Schema.Value, "")
	}
	r.printf("```json\n%s\n```\n\n", strings.TrimSpace(text))
}

// codes are those of a refusal's examples.
func (r *renderer) codes(response *openapi3.Response) string {
	var codes []string
	_, content := r.only(response.Content)
	if content == nil {
		return ""
	}
	for _, value := range values(content) {
		if body, ok := value.(map[string]any); ok {
			if name, ok := body["code"].(string); ok && !slices.Contains(codes, "`"+name+"`") {
				codes = append(codes, "`"+name+"`")
			}
		}
	}
	return strings.Join(codes, ", ")
}

// usualHeaders are those that all shared answers have.
func usualHeaders(doc *openapi3.T) map[string]string {
	var usual map[string]string
	for _, response := range doc.Components.Responses {
		has := map[string]string{}
		for name, header := range response.Value.Headers {
			if header.Ref != "" && (usual == nil || usual[name] == header.Ref) {
				has[name] = header.Ref
			}
		}
		usual = has
	}
	return usual
}

// unusual are the headers of an answer that not every one has.
func (r *renderer) unusual(response *openapi3.Response) string {
	var names []string
	for name := range r.usual {
		if response.Headers[name] == nil {
			r.fail("an answer is without %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(response.Headers)) {
		header := response.Headers[name]
		switch {
		case header.Ref == "":
			names = append(names, "`"+name+"`: "+cell(header.Value.Description))
		case r.usual[name] != header.Ref && header.Value.Schema.Value.Enum != nil:
			names = append(names, fmt.Sprintf("`%s: %v`", name, header.Value.Schema.Value.Enum[0]))
		case r.usual[name] != header.Ref:
			names = append(names, "`"+name+"`")
		}
	}
	return strings.Join(names, ", ")
}
