package policy

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/policy.schema.json and the tables of docs/policy.md")

const (
	schemaPath = "../../docs/policy.schema.json"
	docPath    = "../../docs/policy.md"
)

// TestSchemaFile keeps the file for editors equal to the types.
func TestSchemaFile(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaPath, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(schemaPath)
	if err != nil || string(have) != string(Schema()) {
		t.Errorf("docs/policy.schema.json differs from spec.go: run go test ./internal/policy -run Schema -update (%v)", err)
	}
}

// TestSchemaAgreesWithParse holds every recipe and the design's example
// against the schema, by a reading of the few words that it uses, and has it
// refuse what Parse refuses for its shape.
func TestSchemaAgreesWithParse(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for document, want := range map[string]bool{
		`{"rooms": [{"room": "a"}]}`: true,
		`{"rooms": [{"room": "a", "join": true, "sources": ["camera"], "ttl": "5m", "max_participants": 3, "devices": "many"}]}`:                 true,
		`{"rooms": [{"room": "a", "sources": {"camera": "true"}, "examples": [{"room": "a", "claims": {"x": [1]}, "expect": {"join": true}}]}]}`: true,
		`{"rooms": []}`: false,
		`{}`:            false,
		`{"rooms": [{"room": "a", "publsh": "true"}]}`:             false,
		`{"rooms": [{"room": 1}]}`:                                 false,
		`{"rooms": [{"join": "true"}]}`:                            false,
		`{"rooms": [{"room": "a", "sources": ["camra"]}]}`:         false,
		`{"rooms": [{"room": "a", "sources": {"camra": "true"}}]}`: false,
		`{"rooms": [{"room": "a", "max_participants": 0}]}`:        false,
		`{"rooms": [{"room": "a", "ttl": 5}]}`:                     false,
		`{"rooms": [{"room": "a", "devices": "all"}]}`:             false,
	} {
		var value any
		if err := json.Unmarshal([]byte(document), &value); err != nil {
			t.Fatal(err)
		}
		err := conforms(schema, value)
		_, parsed := Parse("p", []byte(document), limits())
		if (err == nil) != want || (parsed == nil) != want {
			t.Errorf("%s: schema says %v, Parse %v", document, err, parsed)
		}
	}
}

// conforms knows the words that Schema uses.
func conforms(schema map[string]any, value any) error {
	if allowed, ok := schema["enum"].([]any); ok {
		for _, a := range allowed {
			if reflect.DeepEqual(a, value) {
				return nil
			}
		}
		return fmt.Errorf("%v is not allowed", value)
	}
	if choices, ok := schema["oneOf"].([]any); ok {
		for _, choice := range choices {
			if conforms(choice.(map[string]any), value) == nil {
				return nil
			}
		}
		return fmt.Errorf("%v is none of the choices", value)
	}
	kinds, ok := schema["type"].([]any)
	if !ok {
		kinds = []any{schema["type"]}
	}
	is := map[any]bool{}
	switch v := value.(type) {
	case string:
		is["string"] = true
	case bool:
		is["boolean"] = true
	case float64:
		least, _ := schema["minimum"].(float64)
		is["integer"] = v == float64(int(v)) && v >= least
	case []any:
		is["array"] = true
		if least, ok := schema["minItems"].(float64); ok && len(v) < int(least) {
			return fmt.Errorf("%v is too short", v)
		}
		for _, item := range v {
			if items, ok := schema["items"].(map[string]any); ok {
				if err := conforms(items, item); err != nil {
					return err
				}
			}
		}
	case map[string]any:
		is["object"] = true
		if err := conformsObject(schema, v); err != nil {
			return err
		}
	}
	for _, kind := range kinds {
		if is[kind] {
			return nil
		}
	}
	return fmt.Errorf("%v is not %v", value, kinds)
}

// conformsObject is conforms for what an object holds.
func conformsObject(schema, object map[string]any) error {
	properties, _ := schema["properties"].(map[string]any)
	for key, inner := range object {
		property, ok := properties[key].(map[string]any)
		if !ok && schema["additionalProperties"] == false {
			return fmt.Errorf("%s is not known", key)
		}
		if ok {
			if err := conforms(property, inner); err != nil {
				return err
			}
		}
	}
	required, _ := schema["required"].([]any)
	for _, key := range required {
		if _, ok := object[key.(string)]; !ok {
			return fmt.Errorf("%s is missing", key)
		}
	}
	return nil
}

// TestEveryKeyIsDescribed walks the types of the file.
func TestEveryKeyIsDescribed(t *testing.T) {
	for _, kind := range []reflect.Type{reflect.TypeFor[fileSpec](), reflect.TypeFor[ruleSpec](), reflect.TypeFor[exampleSpec](), reflect.TypeFor[expectSpec](), reflect.TypeFor[issuerSpec]()} {
		for i := range kind.NumField() {
			tag := kind.Field(i).Tag
			if doc := tag.Get("doc"); tag.Get("key") != "" && (doc == "" || !strings.HasSuffix(doc, ".")) {
				t.Errorf("%s.%s has no doc", kind.Name(), tag.Get("key"))
			}
		}
	}
}
