package policy

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// unreadable words what the YAML parser says of a place, and finds the place
// that is to be changed: a quote that is not closed is noticed lines behind it.
func (r *reader) unreadable(at place, message string) (where place, what, remedy string) {
	line := ""
	if at.line >= 1 && at.line <= len(r.lines) {
		line = r.lines[at.line-1]
	}
	what = plainly(message)
	switch {
	case strings.Contains(message, `\u{9}`) || strings.Contains(message, "tab character") || strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		return at, "there is a tab where only spaces can be", "indent with spaces, not tabs"
	case strings.Contains(message, "unknown escape character"):
		return at, what, "inside double quotes a backslash is special: write || as it is"
	}
	if opened, sign := unclosed(r.lines, at.line); sign == '"' {
		return opened, "a double quote is not closed", `put one at the end of the text`
	} else if sign == '\'' {
		return opened, "a single quote is not closed", `put one at the end of the text`
	}
	_, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	text, behind := quoted(value)
	switch {
	case text != "" && text[0] == '"' && follows(behind):
		inner, _, _ := strings.Cut(behind, `"`)
		return at, what, "inside double quotes write '" + inner + "' in single quotes"
	case text != "" && behind != "" && !strings.HasPrefix(strings.TrimSpace(behind), "#"):
		return at, what, `put the whole condition in quotes: publish: "'publish' in features"`
	case strings.HasPrefix(value, "{") && strings.Contains(line, "room:"):
		return at, what, "put the pattern in double quotes"
	case text == "" && strings.Contains(value, ": "):
		return at, what, "put the whole value in double quotes"
	case message == "non-map value is specified":
		return at, what, "write key: value"
	case misplaced.MatchString(message):
		return at, what, "check the indentation: keys of one rule stand in one column"
	}
	return at, what, ""
}

// misplaced are the parser's words for what stands in a wrong column.
var misplaced = regexp.MustCompile(`not allowed in this context|unexpected (key name|map key|scalar)|found an invalid key`)

// plainly says it without the parser's names of its parts.
func plainly(message string) string {
	switch message {
	case "sequence end token ']' not found":
		return "a '[' is not closed"
	case "could not find flow mapping end token '}'":
		return "a '{' is not closed"
	case "non-map value is specified":
		return "there is no ': ' behind a key"
	}
	if strings.Contains(message, "not allowed in this context") {
		return "this cannot stand here"
	}
	return message
}

// quoted splits value behind the quoted text that it begins with; text is
// empty where it begins with none, or with one that is not closed.
func quoted(value string) (text, behind string) {
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return "", value
	}
	for i := 1; i < len(value); i++ {
		switch {
		case value[i] == '\\' && value[0] == '"':
			i++
		case value[i] != value[0]:
		case value[0] == '\'' && i+1 < len(value) && value[i+1] == '\'':
			i++
		default:
			return value[:i+1], value[i+1:]
		}
	}
	return "", value
}

// follows reports whether something stands right behind a quoted text.
func follows(behind string) bool {
	return behind != "" && !strings.ContainsRune(" \t,]}:\n", rune(behind[0]))
}

// unclosed finds the quoted text, begun in the line last or before, that has
// no end, or whose end was meant to begin another one: it is in the line last,
// with something right behind it. sign is 0 where there is none.
func unclosed(lines []string, last int) (at place, sign byte) {
	text := strings.Join(lines, "\n")
	line, begin, fresh := 1, 0, true // fresh: a value may begin here
	for i := 0; i < len(text) && line <= last; i++ {
		switch c := text[i]; {
		case c == '\n':
			line, begin, fresh = line+1, i+1, true
		case c == '#' && (i == begin || text[i-1] == ' '):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return place{}, 0
			}
			i += end - 1
		case fresh && (c == '"' || c == '\''):
			whole, behind := quoted(text[i:])
			more := strings.Count(whole, "\n")
			if whole == "" || more > 0 && line+more == last && follows(behind) {
				return place{line, 1 + utf8.RuneCountInString(text[begin:i])}, c
			}
			if line += more; more > 0 {
				begin = i + strings.LastIndexByte(whole, '\n') + 1
			}
			i, fresh = i+len(whole)-1, false
		case c != ' ':
			fresh = strings.IndexByte(":-[{,", c) >= 0
		}
	}
	return place{}, 0
}
