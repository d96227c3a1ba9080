package policy

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"stagedoor"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// reader fills the file's types from YAML and reports what does not fit.
type reader struct {
	report
	lines []string
}

// wrongKind reports a value of another kind than the key's.
func (r *reader) wrongKind(path string, n ast.Node, want, is, value string) {
	remedy := ""
	if want == "text" && value != "" {
		remedy = "write it in quotes: \"" + value + "\""
	}
	if want == "text" && is == "a mapping" && strings.HasSuffix(path, ".room") {
		remedy = "put the pattern in double quotes"
	}
	if _, err := strconv.Atoi(value); want == "a whole number" && is == "text" && err == nil {
		remedy = "write " + value + " without quotes"
	}
	if want == "true or false" && is == "text" {
		remedy = "write true or false without quotes"
		if strings.EqualFold(value, "yes") || strings.EqualFold(value, "no") {
			remedy = "write true for yes and false for no"
		}
	}
	r.add(placeOf(n), path, "must be "+want+", and is "+is, remedy)
}

// pairs walks a mapping: keys are text, each there once.
func (r *reader) pairs(path string, pairs []*ast.MappingValueNode, each func(key text, value ast.Node)) {
	seen := map[string]place{}
	for _, pair := range pairs {
		key, _, ok := r.scalar(pair.Key)
		if !ok && key.value == "" {
			r.add(placeOf(pair.Key), path, "has a key that is not a name", "")
			continue
		}
		if first, twice := seen[key.value]; twice {
			r.add(key.at, under(path, key.value), "is there twice, first in line "+strconv.Itoa(first.line), "keep one of them")
			continue
		}
		seen[key.value] = key.at
		each(key, pair.Value)
	}
}

// under joins a path and a key.
func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fill reads n into a struct, a list of structs or a leaf.
func (r *reader) fill(path string, n ast.Node, into reflect.Value, tag reflect.StructTag) {
	if l, ok := into.Addr().Interface().(leaf); ok {
		l.read(r, path, n, tag)
		return
	}
	if into.Kind() == reflect.Struct {
		r.mapping(path, n, into)
		return
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		_, kind, isText := r.scalar(n)
		if isText {
			kind = "text"
		}
		r.add(placeOf(n), path, "must be a list, and is "+kind, "begin every entry with '- '")
		return
	}
	most := math.MaxInt
	if tag.Get("max") != "" {
		most, _ = strconv.Atoi(tag.Get("max"))
	}
	if len(list.Values) > most {
		r.add(placeOf(n), path, "has more than "+tag.Get("max")+" entries", "")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(list.Values), len(list.Values)))
	for i, entry := range list.Values {
		r.fill(path+"["+strconv.Itoa(i)+"]", entry, into.Index(i), "")
	}
}

// mapping reads the keys of a struct: those with a `key` tag.
func (r *reader) mapping(path string, n ast.Node, into reflect.Value) {
	at := placeOf(n)
	into.FieldByName("At").Set(reflect.ValueOf(at))
	pairs, ok := entries(n)
	if !ok {
		_, kind, isText := r.scalar(n)
		if isText {
			kind = "text"
		}
		r.add(at, path, "must hold key: value pairs, and is "+kind, "")
		return
	}
	known := keysOf(into.Type())
	given := map[string]bool{}
	r.pairs(path, pairs, func(key text, value ast.Node) {
		index, ok := known[key.value]
		if !ok {
			r.add(key.at, under(path, key.value), "there is no such key", suggestOr(key.value, orderedKeys(into.Type())))
			return
		}
		given[key.value] = true
		r.fill(under(path, key.value), value, into.Field(index), into.Type().Field(index).Tag)
	})
	for i := range into.NumField() {
		field := into.Type().Field(i)
		if field.Tag.Get("need") != "" && !given[field.Tag.Get("key")] {
			r.add(at, path, "has no "+field.Tag.Get("key"), field.Tag.Get("need"))
		}
	}
}

// keysOf maps the keys of a type to its fields.
func keysOf(t reflect.Type) map[string]int {
	keys := map[string]int{}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("key"); key != "" {
			keys[key] = i
		}
	}
	return keys
}

// orderedKeys lists the keys of a type in the order of its fields.
func orderedKeys(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("key"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// values are claims, as a token's JSON would have them.
type values struct {
	claims map[string]any
}

func (v *values) read(r *reader, path string, n ast.Node, _ reflect.StructTag) {
	if _, ok := entries(n); !ok {
		r.add(placeOf(n), path, "must hold claims as key: value pairs", "write {sub: ann, role: host}")
		return
	}
	v.claims, _ = r.json(path, n).(map[string]any)
}

func (v *values) kind() string { return "claims" }

func (v *values) schema(reflect.StructTag) map[string]any { return map[string]any{"type": "object"} }

// jsonNumber is a number as JSON writes it.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?$`)

// decimal returns the number that a node's own text means: the library's value
// is rounded already.
func decimal(n *ast.FloatNode) any {
	text := strings.ReplaceAll(strings.TrimPrefix(n.Token.Value, "+"), "_", "")
	return stagedoor.Number(text)
}

// json turns a node into what decoding the same as JSON would give.
func (r *reader) json(path string, n ast.Node) any {
	switch v := n.(type) {
	case *ast.BoolNode:
		return v.Value
	case *ast.NullNode:
		return nil
	case *ast.FloatNode:
		return decimal(v)
	case *ast.IntegerNode:
		return stagedoor.Number(fmt.Sprint(v.Value)) // int64 or uint64, whatever base it is written in
	case *ast.StringNode:
		// The YAML library reads a number that is too large for it as text.
		if v.Token.Type == token.StringType && jsonNumber.MatchString(v.Value) {
			return stagedoor.Number(v.Value)
		}
	case *ast.SequenceNode:
		list := make([]any, len(v.Values))
		for i, entry := range v.Values {
			list[i] = r.json(path+"["+strconv.Itoa(i)+"]", entry)
		}
		return list
	}
	if pairs, ok := entries(n); ok {
		object := map[string]any{}
		r.pairs(path, pairs, func(key text, value ast.Node) { object[key.value] = r.json(under(path, key.value), value) })
		return object
	}
	t, _, ok := r.scalar(n)
	if !ok {
		r.add(placeOf(n), path, "is nothing that JSON can hold", "")
	}
	return t.value
}
