package policy

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Schema returns the JSON Schema of policy files, made from the types that
// read them, so that an editor can complete keys and mark mistakes.
//
// SPEC: JSON Schema draft 2020-12.
func Schema() []byte {
	schema := schemaOf(reflect.TypeFor[fileSpec](), "")
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "Stagedoor policy file"
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		return nil // maps of strings, numbers and lists always encode
	}
	return []byte(out.String())
}

// schemaOf describes a type.
func schemaOf(t reflect.Type, tag reflect.StructTag) map[string]any {
	if l, ok := reflect.New(t).Interface().(leaf); ok {
		return l.schema(tag)
	}
	if t.Kind() == reflect.Slice {
		list := map[string]any{"type": "array", "items": schemaOf(t.Elem(), "")}
		if tag.Get("need") != "" {
			list["minItems"] = 1
		}
		return list
	}
	properties, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		field := t.Field(i)
		key := field.Tag.Get("key")
		if key == "" {
			continue
		}
		property := schemaOf(field.Type, field.Tag)
		property["description"] = field.Tag.Get("doc")
		if otherwise := field.Tag.Get("default"); otherwise != "" {
			property["description"] = field.Tag.Get("doc") + " Default: " + otherwise + "."
		}
		properties[key] = property
		if field.Tag.Get("need") != "" {
			required = append(required, key)
		}
	}
	object := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}
