package demostripe

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shape is how a parameter is written.
type shape uint8

const (
	single shape = iota // name=value
	many                // name[]=value or name[0]=value
	span                // name=second or name[gte]=second and the like
)

// parameters are those of one request.
type parameters struct {
	single map[string]string
	many   map[string][]string
	span   map[string]bounds
}

// bounds is a range of times in seconds; nil ends are open.
type bounds struct{ gt, gte, lt, lte *int64 }

// hold reports whether a time is within.
func (b bounds) hold(at time.Time) bool {
	second := at.Unix()
	return (b.gt == nil || second > *b.gt) && (b.gte == nil || second >= *b.gte) &&
		(b.lt == nil || second < *b.lt) && (b.lte == nil || second <= *b.lte)
}

// parse reads a query and takes no parameter that the endpoint does not know:
// a filter that is not applied would show too much.
func parse(query string, known map[string]shape) (parameters, *fault) {
	p := parameters{map[string]string{}, map[string][]string{}, map[string]bounds{}}
	values, err := url.ParseQuery(query)
	if err != nil {
		return p, invalid("", "", "The query cannot be read.")
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		name, inner, bracketed := strings.Cut(key, "[")
		how, ok := known[name]
		if !ok || (bracketed && !strings.HasSuffix(inner, "]")) {
			return p, unknown(key)
		}
		inner = strings.TrimSuffix(inner, "]")
		var refused *fault
		switch how {
		case single:
			refused = p.readSingle(name, values[key], bracketed)
		case many:
			refused = p.readMany(name, inner, values[key], bracketed)
		case span:
			refused = p.readSpan(name, inner, values[key], bracketed)
		}
		if refused != nil {
			return p, refused
		}
	}
	return p, nil
}

func (p parameters) readSingle(name string, values []string, bracketed bool) *fault {
	value := values[len(values)-1]
	switch {
	case bracketed:
		return invalid(name, "", "Invalid string: "+name+" is no array and no object")
	case value == "":
		return invalid(name, "parameter_invalid_empty", fmt.Sprintf(
			"You passed an empty string for '%s'. We assume empty values are an attempt to unset a parameter; however '%s' cannot be unset.", name, name))
	}
	p.single[name] = value
	return nil
}

func (p parameters) readMany(name, inner string, values []string, bracketed bool) *fault {
	if _, err := strconv.ParseUint(inner, 10, 16); !bracketed || (inner != "" && err != nil) {
		return invalid(name, "", "Invalid array: write "+name+"[]")
	}
	p.many[name] = append(p.many[name], values...)
	return nil
}

func (p parameters) readSpan(name, inner string, values []string, bracketed bool) *fault {
	second, err := strconv.ParseInt(values[len(values)-1], 10, 64)
	if err != nil {
		return notInteger(name, values[len(values)-1])
	}
	b := p.span[name]
	switch {
	case !bracketed:
		b.gte, b.lte = &second, &second
	case inner == "gt":
		b.gt = &second
	case inner == "gte":
		b.gte = &second
	case inner == "lt":
		b.lt = &second
	case inner == "lte":
		b.lte = &second
	default:
		return unknown(name + "[" + inner + "]")
	}
	p.span[name] = b
	return nil
}

// word is a parameter that must be one of some words; empty when it is absent.
func (p parameters) word(name string, words ...string) (string, *fault) {
	value, given := p.single[name]
	if given && !slices.Contains(words, value) {
		return "", oneOf(name, words)
	}
	return value, nil
}

// limit is how long a page is.
//
// SPEC: docs.stripe.com/api/pagination: 1 to 100, 10 when nothing is said.
func (p parameters) limit() (int, *fault) {
	text, given := p.single["limit"]
	if !given {
		return 10, nil
	}
	limit, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, notInteger("limit", text)
	case limit < 1:
		return 0, invalid("limit", "parameter_invalid_integer", fmt.Sprintf("This value must be greater than or equal to 1 (it currently is '%d').", limit))
	case limit > 100:
		return 0, invalid("limit", "parameter_invalid_integer", fmt.Sprintf("This value must be less than or equal to 100 (it currently is '%d').", limit))
	}
	return limit, nil
}

func notInteger(name, value string) *fault {
	return invalid(name, "parameter_invalid_integer", "Invalid integer: "+value)
}
