package stripe

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stripe/stripe-mock/embedded"
)

// schema is what Stripe's description says of one value. Every word that the
// description uses is here, or is a text for people: see TestNoWordIsOverlooked.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 string             `json:"type"`
	Nullable             bool               `json:"nullable"`
	Enum                 []any              `json:"enum"`
	AnyOf                []*schema          `json:"anyOf"`
	Items                *schema            `json:"items"`
	Properties           map[string]*schema `json:"properties"`
	Required             []string           `json:"required"`
	AdditionalProperties json.RawMessage    `json:"additionalProperties"`
	MaxLength            int                `json:"maxLength"`
	Pattern              string             `json:"pattern"`
	Format               string             `json:"format"`
}

// content is a body's schema.
type content struct {
	Content map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"content"`
}

type operation struct {
	Parameters []struct {
		Name, In string
		Schema   *schema
	}
	Responses map[string]content
}

// description is Stripe's OpenAPI document.
type description struct {
	Info struct {
		Version string
	}
	Components struct {
		Schemas map[string]*schema
	}
	Paths map[string]map[string]*operation
}

// read parses the document once for all tests: it has eight megabytes.
func read(t *testing.T) *description {
	t.Helper()
	d, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var parsed = sync.OnceValues(func() (*description, error) {
	d := new(description)
	return d, json.Unmarshal(embedded.OpenAPISpec, d)
})

// TestNoWordIsOverlooked fails when the document says something of a value
// that check does not look at.
func TestNoWordIsOverlooked(t *testing.T) {
	var document struct {
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(embedded.OpenAPISpec, &document); err != nil {
		t.Fatal(err)
	}
	if got := read(t).Info.Version; got != "2026-08-26.dahlia" {
		t.Errorf("the document is of %s", got)
	}
	known := []string{"$ref", "type", "nullable", "enum", "anyOf", "items", "properties", "required", "additionalProperties",
		"maxLength", "pattern", "format", "description", "title", "deprecated"}
	var walk func(where string, value any)
	walk = func(where string, value any) {
		s, ok := value.(map[string]any)
		if !ok {
			return // additionalProperties may be true or false
		}
		for word, inner := range s {
			if !slices.Contains(known, word) && !strings.HasPrefix(word, "x-") {
				t.Errorf("%s: nobody looks at %s", where, word)
			}
			switch word {
			case "properties":
				for name, property := range inner.(map[string]any) {
					walk(where+"."+name, property)
				}
			case "anyOf":
				for _, one := range inner.([]any) {
					walk(where, one)
				}
			case "items", "additionalProperties":
				walk(where, inner)
			case "format":
				if inner != "unix-time" && inner != "decimal" && inner != "double" && inner != "currency" {
					t.Errorf("%s: nobody looks at format %v", where, inner)
				}
			}
		}
	}
	for name, s := range document.Components.Schemas {
		walk(name, s)
	}
}

// check lists what is wrong with a value. A property that the description
// does not have is wrong too: it would be of another version.
func (d *description) check(value any, s *schema, where string) []string {
	switch {
	case s == nil:
		return []string{where + ": nothing is said of it"}
	case s.Ref != "":
		return d.check(value, d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")], where)
	case value == nil:
		if s.Nullable {
			return nil
		}
		return []string{where + ": is null"}
	case len(s.AnyOf) > 0:
		return d.checkAny(value, s.AnyOf, where)
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, value):
		return []string{fmt.Sprintf("%s: %v is none of %v", where, value, s.Enum)}
	}
	switch value := value.(type) {
	case map[string]any:
		return d.checkObject(value, s, where)
	case []any:
		if s.Type != "array" {
			return []string{where + ": is an array, not " + s.Type}
		}
		var faults []string
		for i, one := range value {
			faults = append(faults, d.check(one, s.Items, fmt.Sprintf("%s[%d]", where, i))...)
		}
		return faults
	case string:
		return checkString(value, s, where)
	case float64:
		if s.Type != "number" && (s.Type != "integer" || value != math.Trunc(value)) {
			return []string{fmt.Sprintf("%s: %v is no %s", where, value, s.Type)}
		}
		if s.Format == "unix-time" && (value < 1e9 || value > 1e10) {
			return []string{fmt.Sprintf("%s: %v is no time of these years in seconds", where, value)}
		}
	case bool:
		if s.Type != "boolean" {
			return []string{where + ": is a boolean, not " + s.Type}
		}
	}
	return nil
}

// checkAny reports the faults of the branch that fits best.
func (d *description) checkAny(value any, branches []*schema, where string) []string {
	var best []string
	for i, branch := range branches {
		faults := d.check(value, branch, where)
		if len(faults) == 0 {
			return nil
		}
		if i == 0 || len(faults) < len(best) {
			best = faults
		}
	}
	return best
}

func (d *description) checkObject(value map[string]any, s *schema, where string) []string {
	if s.Type != "object" {
		return []string{where + ": is an object, not " + s.Type}
	}
	var faults []string
	for _, name := range s.Required {
		if _, there := value[name]; !there {
			faults = append(faults, where+"."+name+": is missing")
		}
	}
	rest := new(schema)
	anything := string(s.AdditionalProperties) == "true"
	closed := len(s.AdditionalProperties) == 0 || string(s.AdditionalProperties) == "false"
	if !anything && !closed && json.Unmarshal(s.AdditionalProperties, rest) != nil {
		return []string{where + ": its description cannot be read"}
	}
	for _, name := range slices.Sorted(maps.Keys(value)) {
		property, described := s.Properties[name]
		switch {
		case described:
			faults = append(faults, d.check(value[name], property, where+"."+name)...)
		case closed:
			faults = append(faults, where+"."+name+": is not in the description")
		case !anything:
			faults = append(faults, d.check(value[name], rest, where+"."+name)...)
		}
	}
	return faults
}

func checkString(value string, s *schema, where string) []string {
	switch {
	case s.Type != "string":
		return []string{where + ": is a string, not " + s.Type}
	case s.MaxLength > 0 && utf8.RuneCountInString(value) > s.MaxLength:
		return []string{fmt.Sprintf("%s: is longer than %d", where, s.MaxLength)}
	case s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(value):
		return []string{where + ": is not as " + s.Pattern}
	}
	return nil
}

// checkEvent looks into an event's object, of which the event's own schema
// says no more than that it is one.
func (d *description) checkEvent(value any) []string {
	faults := d.check(value, &schema{Ref: "event"}, "event")
	event, _ := value.(map[string]any)
	data, _ := event["data"].(map[string]any)
	is, _ := data["object"].(map[string]any)
	kind, _ := is["object"].(string)
	whole := d.Components.Schemas[kind]
	faults = append(faults, d.check(data["object"], whole, kind)...)
	before, told := data["previous_attributes"].(map[string]any)
	if name, _ := event["type"].(string); told != strings.HasSuffix(name, ".updated") {
		faults = append(faults, "event.data.previous_attributes: belongs to events of updates, and to each")
	}
	for name, was := range before {
		if whole != nil {
			faults = append(faults, d.check(was, whole.Properties[name], "previous_attributes."+name)...)
		}
	}
	return faults
}

// find is the operation behind a GET address, with its path in the document.
func (d *description) find(address *url.URL) (string, *operation) {
	if exact, ok := d.Paths[address.Path]; ok {
		return address.Path, exact["get"]
	}
	for path, methods := range d.Paths {
		pattern := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, `[^/]+`)
		if strings.Contains(path, "{") && methods["get"] != nil && regexp.MustCompile("^"+pattern+"$").MatchString(address.Path) {
			return path, methods["get"]
		}
	}
	return "", nil
}

// checkQuery looks whether the API has the parameters of an address.
func checkQuery(o *operation, address *url.URL) []string {
	var faults []string
	for key := range address.Query() {
		name, _, _ := strings.Cut(key, "[")
		known := false
		for _, p := range o.Parameters {
			known = known || (p.In == "query" && p.Name == name)
		}
		if !known {
			faults = append(faults, address.Path+": has no parameter "+name)
		}
	}
	return faults
}

// checkAnswer looks at a whole answer.
func (d *description) checkAnswer(o *operation, status string, body any) []string {
	described, ok := o.Responses[status]
	if !ok {
		described = o.Responses["default"]
	}
	faults := d.check(body, described.Content["application/json"].Schema, "answer")
	answer, _ := body.(map[string]any)
	all, _ := answer["data"].([]any)
	for _, one := range append(slices.Clone(all), body) {
		if inner, _ := one.(map[string]any); inner["object"] == "event" {
			faults = append(faults, d.checkEvent(one)...)
		}
	}
	return faults
}
