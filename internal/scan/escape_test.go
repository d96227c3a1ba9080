package scan

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// escapings are what other programs make of a text, by the words of the find.
var escapings = map[string]map[string]func(string) string{
	"HTML-escaped": {
		"html":          html.EscapeString,
		"html twice":    func(s string) string { return html.EscapeString(html.EscapeString(s)) },
		"decimal":       func(s string) string { return eachRune(s, "&#%d;") },
		"zeros":         func(s string) string { return eachRune(s, "&#%04d;") },
		"hex":           func(s string) string { return eachRune(s, "&#x%x;") },
		"HEX":           func(s string) string { return eachRune(s, "&#X%04X;") },
		"decimal twice": func(s string) string { return html.EscapeString(eachRune(s, "&#%d;")) },
		"named": strings.NewReplacer("/", "&sol;", "+", "&plus;", "=", "&equals;", "&", "&amp;", "%", "&percnt;", "?", "&quest;",
			"<", "&lt;", `\`, "&bsol;", "\t", "&Tab;").Replace,
	},
	"JSON-escaped": {
		"braces":       func(s string) string { return eachRune(s, `\u{%x}`) },
		"braces, long": func(s string) string { return eachRune(s, `\u{%06X}`) },
		"long":         func(s string) string { return eachRune(s, `\U%08x`) },
		"octal": func(s string) string {
			var b strings.Builder
			for i := range len(s) {
				fmt.Fprintf(&b, `\%o`, s[i])
			}
			return b.String()
		},
		"JSON":                 inJSON(1),
		"JSON in JSON":         inJSON(2),
		"JSON in JSON in JSON": inJSON(3),
		"JSON, all slashes":    func(s string) string { return strings.ReplaceAll(inJSON(2)(s), "/", `\\/`) },
		"units in JSON":        func(s string) string { return inJSON(2)(eachUnit16(s)) },
		"quoted thrice": func(s string) string {
			for range 3 {
				s = strconv.QuoteToASCII(s)
			}
			return s
		},
	},
	"URL-escaped": {
		"twice":  func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"thrice": func(s string) string { return url.QueryEscape(url.QueryEscape(url.PathEscape(s))) },
	},
}

func eachRune(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

func eachUnit16(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04X`, u)
	}
	return b.String()
}

func inJSON(times int) func(string) string {
	return func(s string) string {
		for range times {
			text, _ := json.Marshal(s)
			s = string(text[1 : len(text)-1])
		}
		return s
	}
}

// finds looks through a text that is in no file.
func finds(t *testing.T, s *Scanner, text string) []Find {
	t.Helper()
	r := &run{Scanner: s, buf: make([]byte, behind+s.ahead+len(text))}
	if err := r.stream(t.Context(), "x", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return r.report.Finds
}

// TestEscapedSecretIsFound: also where it is escaped again, and where only what
// has to be is.
func TestEscapedSecretIsFound(t *testing.T) {
	for name, secret := range testSecrets {
		if !utf8.ValidString(secret) {
			continue
		}
		s := scannerFor(map[string]string{name: secret})
		for kind, all := range escapings {
			for how, escape := range all {
				text := escape(secret)
				for _, around := range []string{"", `"`, "&", "%", `\\`} {
					r := finds(t, s, "x = "+around+text+around)
					if len(r) != 1 || !strings.HasPrefix(r[0].Kind, name+", ") || around == "" && text != secret && strings.Contains(text[:1], string(kindMark[kind])) && r[0].Kind != name+", "+kind {
						t.Errorf("%s, %s within %q: %q: %+v", name, how, around, text, r)
					}
				}
			}
		}
	}
}

var kindMark = map[string]rune{"HTML-escaped": '&', "JSON-escaped": '\\', "URL-escaped": '%'}

// TestEscapedBase64IsFound: slashes and plus signs of base64 are escaped like others.
func TestEscapedBase64IsFound(t *testing.T) {
	secret := "\xff\xef\xbe\xfb\xff\xff\xfb\xef\xbe" + string(randomBytes(24))
	s := scannerFor(map[string]string{"A": secret})
	for kind, all := range escapings {
		for how, escape := range all {
			if text := escape(base64.StdEncoding.EncodeToString([]byte(secret))); how != "decimal" && how != "hex" && (kind == "URL-escaped" || how == "named" || strings.HasPrefix(how, "JSON")) {
				if r := finds(t, s, text); len(r) != 1 || r[0].Kind != "A, base64" {
					t.Errorf("%s: %q: %+v", how, text, r)
				}
			}
		}
	}
}

func TestBase64OfBase64IsFound(t *testing.T) {
	for name, secret := range testSecrets {
		s := scannerFor(map[string]string{name: secret})
		for before := range 3 {
			for between := range 3 {
				for _, inner := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
					for _, outer := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
						text := strings.Repeat("a", between) + inner.EncodeToString([]byte(strings.Repeat("b", before)+secret+"c")) + "d"
						text = outer.EncodeToString([]byte(text))
						for _, written := range []string{text, inLines(text, 19, "\n")} {
							if r := finds(t, s, written); len(r) != 1 || r[0].Kind != name+", base64 twice" {
								t.Errorf("%s, %d and %d: %q: %+v", name, before, between, written, r)
							}
						}
					}
				}
			}
		}
	}
}

// TestUTF16WithoutMarkIsFound: as a program's data has it, at odd offsets too.
func TestUTF16WithoutMarkIsFound(t *testing.T) {
	for name, secret := range testSecrets {
		if !utf8.ValidString(secret) {
			continue
		}
		s := scannerFor(map[string]string{name: secret})
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			for odd := range 2 {
				content := make([]byte, odd, 256)
				for _, u := range utf16.Encode([]rune("X=" + secret + ";")) {
					content = order.AppendUint16(content, u)
				}
				if r := finds(t, s, string(content)); len(r) != 1 || r[0].Kind != name+", UTF-16" || r[0].Offset/2 != int64(odd+4)/2 && r[0].Offset != int64(odd+3) {
					t.Errorf("%s, %v: %+v", name, order, r)
				}
			}
		}
	}
}

// TestEscapesOfOtherCharactersAreNone: a decoder that is generous would make
// anything out of anything.
func TestEscapesOfOtherCharactersAreNone(t *testing.T) {
	s := scannerFor(map[string]string{"A": "abc/defg"})
	for _, other := range []string{"&#48;", "&#x2e;", "&#47", "&sol", "&num;", "&#;", "&#x;", "&#0000000047;", `\u{2e}`, `\u{2f`, `\u{}`, `\u002`, `\u0030`,
		`\58`, `\060`, `\x2`, `\x2e`, "%2", "%2e", "%252e", "%252", "%25252525252f", `\U0000002e`, `\n`, `\` + "\n", "u002f", "x2f", "057", "&amp;", strings.Repeat(`\`, 40) + "/"} {
		if r := finds(t, s, "abc"+other+"defg"); len(r) != 0 {
			t.Errorf("%q: %+v", other, r)
		}
	}
}
