package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"stagedoor"
)

// maxEnvFile bounds an .env file in bytes: a larger one is something else,
// named by mistake.
const maxEnvFile = 64 << 10

// Pair is one line of an .env file.
type Pair struct {
	// Name is [A-Za-z_][A-Za-z0-9_]*.
	Name string
	// Value may be a secret whatever the name, so it prints as REDACTED.
	Value stagedoor.Secret
	// Line counts from 1.
	Line int
}

// ParseEnv reads an .env file: KEY=VALUE lines, an optional "export " before
// them, # comments. 'Single quotes' are literal, "double quotes" know \n, \t,
// \" and \\. Nothing is expanded: a $ in a secret is a dollar sign, whereas
// a library that expands it makes another, shorter secret without a word.
//
// Every faulty line is reported at once; the error names line numbers and
// never a value. Without error, names are unique.
func ParseEnv(data []byte) ([]Pair, error) {
	switch {
	case len(data) > maxEnvFile:
		return nil, errors.New("is larger than 64 KiB")
	case bytes.IndexByte(data, 0) >= 0:
		return nil, errors.New("contains a NUL byte; save it as UTF-8 text")
	case !utf8.Valid(data):
		return nil, errors.New("is not UTF-8 text")
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	var pairs []Pair
	var faults []error
	seen := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		pair, err := parseLine(strings.TrimSuffix(line, "\r"))
		if err == nil && pair.Name != "" && seen[pair.Name] != 0 {
			err = fmt.Errorf("%s is already set on line %d", pair.Name, seen[pair.Name])
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		if pair.Name != "" {
			pair.Line = i + 1
			seen[pair.Name] = pair.Line
			pairs = append(pairs, pair)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return pairs, nil
}

// parseLine reads one line; a blank line or a comment gives a Pair without a name.
func parseLine(line string) (Pair, error) {
	line = strings.TrimLeft(line, " \t")
	if line == "" || line[0] == '#' {
		return Pair{}, nil
	}
	if rest, ok := strings.CutPrefix(line, "export"); ok && strings.TrimLeft(rest, " \t") != rest {
		line = strings.TrimLeft(rest, " \t")
	}
	name, raw, ok := strings.Cut(line, "=")
	if !ok {
		return Pair{}, errors.New("is not NAME=VALUE")
	}
	name = strings.TrimRight(name, " \t")
	if !validName(name) {
		return Pair{}, errors.New("the name before = must be letters, digits and underscores")
	}
	value, err := parseEnvValue(raw)
	return Pair{Name: name, Value: stagedoor.NewSecret(value)}, err
}

// validName reports whether a shell would take name as a variable.
func validName(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// parseEnvValue reads what follows the equals sign.
func parseEnvValue(raw string) (string, error) {
	value := strings.TrimLeft(raw, " \t")
	switch {
	case strings.HasPrefix(value, "'"):
		text, rest, ok := strings.Cut(value[1:], "'")
		if !ok {
			return "", errors.New("the single quote is not closed on this line")
		}
		return text, checkRest(rest)
	case strings.HasPrefix(value, `"`):
		return parseDoubleQuoted(value[1:])
	}
	// raw, not value: in KEY= #note the comment follows white space.
	for i := range len(raw) {
		if raw[i] == '#' && i > 0 && (raw[i-1] == ' ' || raw[i-1] == '\t') {
			raw = raw[:i]
			break
		}
	}
	return strings.Trim(raw, " \t"), nil
}

// parseDoubleQuoted reads s, which follows an opening double quote.
func parseDoubleQuoted(s string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return out.String(), checkRest(s[i+1:])
		case '\\':
			i++
			if i == len(s) {
				return "", errors.New("the double quote is not closed on this line")
			}
			c, ok := unescape(s[i])
			if !ok {
				return "", errors.New(`unknown escape in double quotes: only \n, \t, \" and \\ are known; use single quotes for literal text`)
			}
			out.WriteByte(c)
		default:
			out.WriteByte(s[i])
		}
	}
	return "", errors.New("the double quote is not closed on this line")
}

// unescape returns the byte that a backslash and c stand for.
func unescape(c byte) (byte, bool) {
	switch c {
	case 'n':
		return '\n', true
	case 't':
		return '\t', true
	case '"', '\\':
		return c, true
	}
	return 0, false
}

// checkRest allows only a comment after a closing quote: anything else is a
// value that was cut short by its own quote.
func checkRest(rest string) error {
	trimmed := strings.TrimLeft(rest, " \t")
	if trimmed == "" || trimmed[0] == '#' && trimmed != rest {
		return nil
	}
	return errors.New("there is text after the closing quote")
}
