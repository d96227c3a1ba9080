package policy

import (
	"regexp"
	"slices"
	"strings"
)

// functionNames are what conditions can call, for suggestions.
func functionNames() []string {
	return []string{"all", "exists", "exists_one", "filter", "map", "has", "size", "contains", "startsWith", "endsWith", "matches",
		"split", "lowerAscii", "timestamp", "duration", "string", "int", "uint", "double", "bool", "bytes", "dyn", "type",
		"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds"}
}

// readable puts CEL's names of operators into what people write.
func readable(message string) string {
	for _, name := range [][2]string{{"'_==_'", "'=='"}, {"'_!=_'", "'!='"}, {"'_&&_'", "'&&'"}, {"'_||_'", "'||'"}, {"'_<_'", "'<'"},
		{"'_<=_'", "'<='"}, {"'_>_'", "'>'"}, {"'_>=_'", "'>='"}, {"'_+_'", "'+'"}, {"'_-_'", "'-'"}, {"'_*_'", "'*'"}, {"'_/_'", "'/'"},
		{"'_%_'", "'%'"}, {"'!_'", "'!'"}, {"'-_'", "'-'"}, {"'@in'", "'in'"}, {"'_[_]'", "'[]'"}, {"'_?_:_'", "'? :'"},
		{"'" + matchesFunction + "'", "'matches'"}, {"'" + zoneFunction + "'", "the time zone"}} {
		message = strings.ReplaceAll(message, name[0], name[1])
	}
	return typeName(message)
}

// typeName shortens CEL's names of types.
func typeName(s string) string {
	return strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration").Replace(s)
}

// hyphened is a claim whose name holds '-', which CEL takes for minus.
var hyphened = regexp.MustCompile(`\b(claims(?:\.\w+)*?)\.(\w+(?:-\w+)+)`)

// hyphenated says how to write the claim that name is the end of, if it is.
func hyphenated(text, name string) string {
	for _, claim := range hyphened.FindAllStringSubmatch(text, -1) {
		if slices.Contains(strings.Split(claim[2], "-")[1:], name) {
			return "write " + claim[1] + "['" + claim[2] + "']"
		}
	}
	return ""
}

// urlClaim is a claim whose name is a URL, as if it could stand behind a dot.
var urlClaim = regexp.MustCompile(`\bclaims\.(https?://[\w./:-]+)`)

// typeHint says what to write where types do not fit.
func typeHint(message string) string {
	switch {
	case strings.Contains(message, "(list(string), string)"):
		return "a list holds a value when: 'value' in features"
	case strings.Contains(message, "(string, list(string))") && !strings.Contains(message, "'@in'"):
		return "a list holds a value when: 'value' in features"
	case strings.Contains(message, "timestamp, string") || strings.Contains(message, "Timestamp, string"):
		return "write timestamp('2026-01-31T20:00:00Z')"
	}
	return ""
}

// syntaxHint words what CEL's parser could not read.
func syntaxHint(text, message string) (what, remedy string) {
	what, ok := strings.CutPrefix(message, "Syntax error: ")
	if !ok { // a macro's, which says it all
		return message, ""
	}
	outside := regexp.MustCompile(`'[^']*'|"[^"]*"`).ReplaceAllString(text, "''")
	url := urlClaim.FindStringSubmatch(outside)
	switch {
	case url != nil:
		remedy = "write claims['" + url[1] + "']"
	case regexp.MustCompile(`\band\b`).MatchString(outside):
		remedy = "write && for and"
	case regexp.MustCompile(`\bor\b`).MatchString(outside):
		remedy = "write || for or"
	case regexp.MustCompile(`\bnot\b`).MatchString(outside):
		remedy = "write ! for not"
	case regexp.MustCompile(`[^=!<>]=([^=]|$)`).MatchString(outside):
		remedy = "write == to compare"
	case strings.Count(text, "'")%2 == 1:
		remedy = "a quote is not closed"
	}
	if len(what) > 200 {
		what = what[:200] + "…"
	}
	return "is no condition: " + strings.ToValidUTF8(what, ""), remedy
}
