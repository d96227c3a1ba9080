package stagedoor

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Number returns what Claims hold for the text of a JSON number: int64 for an
// integer within 64 bits, in whatever form it is written (1000, 1e3, 1000.0),
// and float64 for a number with a fraction. For every other number it returns
// the text itself as json.Number: an integer outside int64, and a number whose
// nearest float64 would be an integer that it is not. Such a number equals
// nothing, because rounding could turn it into somebody else's id.
//
// SPEC: RFC 8259 §6 leaves the precision of numbers to the implementation.
func Number(text string) any {
	if i, ok := integer(text); ok {
		return i
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f != math.Trunc(f) {
		return f
	}
	return json.Number(text)
}

// integer returns the value of a decimal number if it is an integer within
// int64. It never expands an exponent: 1e999999999 costs as little as 1.
func integer(text string) (int64, bool) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, true
	}
	mantissa, power, scaled := strings.Cut(strings.ToLower(text), "e")
	exponent := 0
	if scaled {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil {
			return 0, false
		}
	}
	sign := ""
	if rest, negative := strings.CutPrefix(mantissa, "-"); negative {
		sign, mantissa = "-", rest
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	significant := strings.TrimRight(digits, "0")
	if significant == "" {
		return 0, true
	}
	zeros := exponent - len(fraction) + len(digits) - len(significant)
	if zeros < 0 || zeros > 18 {
		return 0, false
	}
	i, err := strconv.ParseInt(sign+significant+strings.Repeat("0", zeros), 10, 64)
	return i, err == nil
}

// UnmarshalJSON decodes a JSON object with every number as Number returns it.
// JSON null gives nil Claims.
func (c *Claims) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return err
	}
	for name, value := range object {
		object[name] = exact(value)
	}
	*c = object
	return nil
}

// exact replaces every json.Number within a decoded value, in place.
func exact(value any) any {
	switch v := value.(type) {
	case json.Number:
		return Number(v.String())
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = exact(v[name])
		}
	}
	return value
}

// Inexact returns the sorted names of the claims that hold a number which
// Number cannot represent exactly, at any depth; nil when there is none.
func (c Claims) Inexact() []string {
	var names []string
	for name, value := range c {
		if inexact(value) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func inexact(value any) bool {
	switch v := value.(type) {
	case json.Number:
		return true
	case []any:
		return slices.ContainsFunc(v, inexact)
	case map[string]any:
		for _, inner := range v {
			if inexact(inner) {
				return true
			}
		}
	}
	return false
}

// Seconds returns the claim as a number of seconds. ok is false when the claim
// is absent, is not a number, or is a number that Claims cannot hold exactly.
//
// SPEC: RFC 7519 §2, NumericDate.
func (c Claims) Seconds(name string) (seconds float64, present, ok bool) {
	value, present := c[name]
	switch v := value.(type) {
	case int64:
		return float64(v), present, true
	case float64:
		return v, present, true
	}
	return 0, present, false
}
