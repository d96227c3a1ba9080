package policy

import (
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"stagedoor"

	"github.com/goccy/go-yaml/ast"
)

// leaf is a value that the file's keys hold: how it is read, and how the JSON
// Schema and the reference describe it.
type leaf interface {
	read(r *reader, path string, n ast.Node, tag reflect.StructTag)
	schema(tag reflect.StructTag) map[string]any
	kind() string
}

// enum returns the values that a tag allows, or nil.
func enum(tag reflect.StructTag) []string {
	if tag.Get("enum") == "" {
		return nil
	}
	return strings.Split(tag.Get("enum"), ",")
}

func (t *text) read(r *reader, path string, n ast.Node, tag reflect.StructTag) {
	found, kind, ok := r.scalar(n)
	allowed := enum(tag)
	if !ok && allowed != nil {
		r.wrongKind(path, n, "one of "+strings.Join(allowed, ", "), kind, found.value)
		return
	}
	if !ok {
		r.wrongKind(path, n, "text", kind, found.value)
		return
	}
	switch {
	case strings.TrimSpace(found.value) == "":
		r.add(found.at, path, "is empty", "")
	case allowed != nil && !slices.Contains(allowed, found.value):
		r.add(found.at, path, "'"+found.value+"' is not one of "+strings.Join(allowed, ", "), suggest(found.value, allowed))
	default:
		*t = found
	}
}

func (t *text) kind() string { return "text" }

func (t *text) schema(tag reflect.StructTag) map[string]any {
	s := map[string]any{"type": "string", "minLength": 1}
	if allowed := enum(tag); allowed != nil {
		return map[string]any{"enum": allowed}
	}
	return s
}

// condition is a CEL expression; true and false may stand without quotes.
type condition struct{ text }

func (c *condition) read(r *reader, path string, n ast.Node, _ reflect.StructTag) {
	found, kind, ok := r.scalar(n)
	if b, isBool := n.(*ast.BoolNode); isBool {
		found.value, ok = strconv.FormatBool(b.Value), true
	}
	switch {
	case !ok:
		r.wrongKind(path, n, "a condition", kind, found.value)
	case strings.TrimSpace(found.value) == "":
		r.add(found.at, path, "is empty", "write \"true\" or \"false\", or leave the key out")
	default:
		c.text = found
	}
}

func (c *condition) kind() string { return "condition" }

func (c *condition) schema(reflect.StructTag) map[string]any {
	return map[string]any{"type": []string{"string", "boolean"}, "minLength": 1}
}

// toggle is true or false.
type toggle struct{ on, given bool }

func (f *toggle) read(r *reader, path string, n ast.Node, _ reflect.StructTag) {
	if b, ok := n.(*ast.BoolNode); ok {
		*f = toggle{b.Value, true}
		return
	}
	found, kind, _ := r.scalar(n)
	if kind == "" {
		kind = "text"
	}
	r.wrongKind(path, n, "true or false", kind, found.value)
}

func (f *toggle) kind() string { return "true or false" }

func (f *toggle) schema(reflect.StructTag) map[string]any { return map[string]any{"type": "boolean"} }

// number is a whole number within the tag's min and max; 0 is not given.
type number struct {
	value int
	at    place
}

func (v *number) read(r *reader, path string, n ast.Node, tag reflect.StructTag) {
	found, kind, ok := r.scalar(n)
	if _, isInt := n.(*ast.IntegerNode); !isInt {
		if ok {
			kind = "text"
		}
		r.wrongKind(path, n, "a whole number", kind, found.value)
		return
	}
	least, most := bounds(tag)
	value, err := strconv.Atoi(found.value)
	if err != nil || value < least || value > most {
		r.add(found.at, path, "must be a whole number from "+tag.Get("min")+" to "+tag.Get("max"), "")
		return
	}
	*v = number{value, found.at}
}

func bounds(tag reflect.StructTag) (least, most int) {
	least, _ = strconv.Atoi(tag.Get("min"))
	most, _ = strconv.Atoi(tag.Get("max"))
	return least, most
}

func (v *number) kind() string { return "whole number" }

func (v *number) schema(tag reflect.StructTag) map[string]any {
	least, most := bounds(tag)
	return map[string]any{"type": "integer", "minimum": least, "maximum": most}
}

// duration is a length of time within the tag's min and max; 0 is not given.
type duration struct {
	value time.Duration
	at    place
}

func (d *duration) read(r *reader, path string, n ast.Node, tag reflect.StructTag) {
	found, kind, ok := r.scalar(n)
	if !ok && kind == "a number" {
		r.add(found.at, path, "has no unit", "write "+found.value+"s, "+found.value+"m or "+found.value+"h")
		return
	}
	if !ok {
		r.wrongKind(path, n, "a duration", kind, found.value)
		return
	}
	value, err := time.ParseDuration(found.value)
	least, _ := time.ParseDuration(tag.Get("min"))
	most, _ := time.ParseDuration(tag.Get("max"))
	switch {
	case days.MatchString(found.value):
		count, _ := strconv.Atoi(strings.TrimSuffix(found.value, "d"))
		r.add(found.at, path, "'"+found.value+"' is not a duration: there is no unit for days", "write "+strconv.Itoa(24*count)+"h")
	case err != nil:
		r.add(found.at, path, "'"+found.value+"' is not a duration", "write a number with its unit, such as 90s, 15m or 2h")
	case value < least || value > most:
		r.add(found.at, path, "must be from "+tag.Get("min")+" to "+tag.Get("max"), "")
	case value%time.Second != 0:
		r.add(found.at, path, "must be whole seconds", "")
	default:
		*d = duration{value, found.at}
	}
}

func (d *duration) kind() string { return "duration" }

func (d *duration) schema(reflect.StructTag) map[string]any {
	return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(s|m|h))+$`}
}

// plain are texts that mean the same in a list without quotes.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// days are what time.ParseDuration does not know.
var days = regexp.MustCompile(`^([0-9]{1,3})d$`)

// names is a list of texts, each there once.
type names struct {
	values []text
	given  bool
}

func (l *names) read(r *reader, path string, n ast.Node, tag reflect.StructTag) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		found, kind, isText := r.scalar(n)
		if isText {
			kind = "text"
		}
		remedy := "write [one, another]"
		if plain.MatchString(found.value) {
			remedy = "write [" + found.value + "]"
		}
		r.add(found.at, path, "must be a list, and is "+kind, remedy)
		return
	}
	l.given = true
	for i, entry := range list.Values {
		var t text
		at := path + "[" + strconv.Itoa(i) + "]"
		t.read(r, at, entry, tag)
		switch {
		case !t.given:
		case slices.Contains(l.strings(), t.value):
			r.add(t.at, at, "'"+t.value+"' is there twice", "")
		default:
			l.values = append(l.values, t)
		}
	}
}

// strings returns the values.
func (l *names) strings() []string {
	var all []string
	for _, t := range l.values {
		all = append(all, t.value)
	}
	return all
}

func (l *names) kind() string { return "list of names" }

func (l *names) schema(tag reflect.StructTag) map[string]any {
	return map[string]any{"type": "array", "uniqueItems": true, "items": (&text{}).schema(tag)}
}

// moment is a point in time.
type moment struct {
	value time.Time
	given bool
}

func (m *moment) read(r *reader, path string, n ast.Node, _ reflect.StructTag) {
	found, _, ok := r.scalar(n)
	value, err := time.Parse(time.RFC3339, found.value)
	if !ok || err != nil {
		r.add(found.at, path, "is not a point in time", "write it as 2026-01-31T20:00:00Z")
		return
	}
	*m = moment{value, true}
}

func (m *moment) kind() string { return "time" }

func (m *moment) schema(reflect.StructTag) map[string]any {
	return map[string]any{"type": "string", "format": "date-time"}
}

// address is an IP address.
type address struct {
	value string
}

func (a *address) read(r *reader, path string, n ast.Node, _ reflect.StructTag) {
	found, _, ok := r.scalar(n)
	addr, err := netip.ParseAddr(found.value)
	if !ok || err != nil {
		r.add(found.at, path, "is not an IP address", "")
		return
	}
	a.value = addr.WithZone("").Unmap().String() // as those of requests are
}

func (a *address) kind() string { return "IP address" }

func (a *address) schema(reflect.StructTag) map[string]any { return map[string]any{"type": "string"} }

// sources are kinds of track, each with a condition of its own where it has one.
type sources struct {
	given      bool
	conditions map[stagedoor.Source]condition // a zero condition is none
}

// sourceNames are what sources may name.
func sourceNames() []string {
	var all []string
	for _, s := range stagedoor.AllSources() {
		all = append(all, string(s))
	}
	return all
}

func (s *sources) read(r *reader, path string, n ast.Node, tag reflect.StructTag) {
	s.conditions = map[stagedoor.Source]condition{}
	pairs, isMap := entries(n)
	if !isMap {
		var list names
		list.read(r, path, n, reflect.StructTag(`enum:"`+strings.Join(sourceNames(), ",")+`"`))
		for _, t := range list.values {
			s.conditions[stagedoor.Source(t.value)] = condition{}
		}
		s.given = list.given
		if l, ok := n.(*ast.SequenceNode); ok && len(l.Values) == 0 {
			r.add(placeOf(n), path, "names no source", "leave it out to allow all, or write publish: \"false\"")
		}
		return
	}
	s.given = true
	r.pairs(path, pairs, func(key text, value ast.Node) {
		at := path + "." + key.value
		if !slices.Contains(sourceNames(), key.value) {
			r.add(key.at, at, "there is no such source", suggestOr(key.value, sourceNames()))
			return
		}
		var c condition
		c.read(r, at, value, tag)
		s.conditions[stagedoor.Source(key.value)] = c
	})
	if len(pairs) == 0 {
		r.add(placeOf(n), path, "names no source", "leave it out to allow all, or write publish: \"false\"")
	}
}

func (s *sources) kind() string { return "list of sources, or a mapping from source to condition" }

func (s *sources) schema(tag reflect.StructTag) map[string]any {
	properties := map[string]any{}
	for _, name := range sourceNames() {
		properties[name] = (&condition{}).schema(tag)
	}
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "array", "uniqueItems": true, "minItems": 1, "items": map[string]any{"enum": sourceNames()}},
		map[string]any{"type": "object", "additionalProperties": false, "minProperties": 1, "properties": properties},
	}}
}
