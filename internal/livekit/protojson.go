package livekit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// message reads one object of protobuf's JSON. Fields go by their JSON names
// (lowerCamelCase) and are found in snake_case too: LiveKit's API answers in
// one and its events come in the other. What is absent or null is the zero
// value, what is unknown is ignored. Reading goes on after a field of the
// wrong type; failure tells of the first, in this object or in one inside it.
// Not safe for concurrent use.
//
// SPEC: protobuf.dev/programming-guides/json.
type message struct {
	fields map[string]json.RawMessage
	err    *error
}

// errForm is all that is told about a document: it may be anybody's.
var errForm = errors.New("not a JSON object of LiveKit's")

// parse reads a whole document, which must be one object.
func parse(document []byte) *message {
	m := &message{err: new(error)}
	if !utf8.Valid(document) {
		// encoding/json would replace the bytes, and one identity become another.
		*m.err = errForm
		return m
	}
	m.read(document)
	return m
}

// read fills the fields and refuses what stands there twice.
func (m *message) read(document []byte) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		m.fail(errForm)
		return
	}
	m.fields = map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			m.fail(errForm)
			return
		}
		key, _ := name.(string)
		key = camel(key)
		if _, twice := m.fields[key]; twice {
			m.fail(errForm)
			return
		}
		m.fields[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		m.fail(errForm)
		return
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		m.fail(errForm)
	}
}

// camel turns joined_at into joinedAt.
func camel(name string) string {
	if !strings.Contains(name, "_") {
		return name
	}
	words := strings.Split(name, "_")
	for i, word := range words {
		if i > 0 && word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
}

// failure is the first thing that was wrong, or nil.
func (m *message) failure() error { return *m.err }

func (m *message) fail(err error) {
	if *m.err == nil {
		*m.err = err
	}
}

// has reports whether a field is there and not null.
func (m *message) has(name string) bool {
	value, ok := m.fields[name]
	return ok && string(value) != "null"
}

// value reads a field of a type that JSON has too.
func value[T string | bool | []json.RawMessage](m *message, name string) T {
	var out T
	if m.has(name) && json.Unmarshal(m.fields[name], &out) != nil {
		m.fail(fmt.Errorf("%s is of the wrong type", name))
	}
	return out
}

func (m *message) text(name string) string { return value[string](m, name) }

func (m *message) boolean(name string) bool { return value[bool](m, name) }

// integer reads a number, which may be written as a string.
func (m *message) integer(name string) int64 {
	if !m.has(name) {
		return 0
	}
	number, err := strconv.ParseInt(strings.Trim(string(m.fields[name]), `"`), 10, 64)
	if err != nil {
		m.fail(fmt.Errorf("%s is not a whole number", name))
	}
	return number
}

// object reads a field that is an object; nil when it is not there.
func (m *message) object(name string) *message {
	if !m.has(name) {
		return nil
	}
	inner := &message{err: m.err}
	inner.read(m.fields[name])
	return inner
}

// messages reads a list of objects.
func (m *message) messages(name string) []*message {
	var list []*message
	for _, item := range value[[]json.RawMessage](m, name) {
		inner := &message{err: m.err}
		inner.read(item)
		list = append(list, inner)
	}
	return list
}

// enum reads the name of an enum's value. Numbers are looked up in names; one
// that is not there becomes a name that nobody knows.
func (m *message) enum(name string, names []string) string {
	if !m.has(name) {
		return names[0]
	}
	return m.enumOf(name, m.fields[name], names)
}

// enums reads a list of them.
func (m *message) enums(name string, names []string) []string {
	var list []string
	for _, item := range value[[]json.RawMessage](m, name) {
		list = append(list, m.enumOf(name, item, names))
	}
	return list
}

func (m *message) enumOf(field string, raw json.RawMessage, names []string) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && string(raw) != "null" {
		return text
	}
	number, err := strconv.ParseInt(string(raw), 10, 32)
	switch {
	case err != nil:
		m.fail(fmt.Errorf("%s is of the wrong type", field))
	case number >= 0 && number < int64(len(names)):
		return names[number]
	}
	return "?"
}
