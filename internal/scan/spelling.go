package scan

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// form is a secret in one encoding: a row of units, each with the spellings
// that programs may give it. What is escaped in part, or in two ways, is found
// like what is not escaped at all.
type form struct {
	name     string // the variable's
	encoding string // "base64", "hex", or "" for the text itself
	plain    string
	units    []unit
}

// unit is one character in all its spellings, the plain one first.
type unit []string

// formsOf lists everything a secret can look like.
func formsOf(name, secret string) []form {
	forms := []form{
		{name, "", secret, textUnits(secret)},
		{name, "hex", hex.EncodeToString([]byte(secret)), hexUnits(secret)},
	}
	for _, core := range base64Cores(secret) {
		forms = append(forms, form{name, "base64", core, base64Units(core)})
	}
	return forms
}

// base64Cores returns what the base64 of any text around the secret has in
// it. The secret can begin at each of the three places in a group, and the
// characters at its ends depend on its neighbours: they are left out.
func base64Cores(secret string) []string {
	cores := make([]string, 3)
	for before := range cores {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
		bits := 8 * before
		cores[before] = encoded[(bits+5)/6 : (bits+8*len(secret))/6]
	}
	return cores
}

// textUnits spells a secret in plain and escaped text.
func textUnits(secret string) []unit {
	var units []unit
	for rest := secret; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		units = append(units, append(unit{rest[:size]}, escapes(r, rest[:size])...))
		rest = rest[size:]
	}
	return units
}

// escapes lists the ways in which programs escape a character.
//
// SPEC: RFC 3986 §2.1; RFC 8259 §7; ECMA-262 §12.9.4.
func escapes(r rune, char string) []string {
	percent, hexes, unicode := "", "", ""
	for i := range len(char) {
		percent += fmt.Sprintf("%%%02x", char[i])
		hexes += fmt.Sprintf(`\x%02x`, char[i])
	}
	all := append(casings(percent), casings(hexes)...)
	if r != utf8.RuneError {
		for _, u := range utf16.Encode([]rune{r}) {
			unicode += fmt.Sprintf(`\u%04x`, u)
		}
		all = append(all, casings(unicode)...)
	}
	if short := shortEscapes[r]; short != "" {
		all = append(all, short)
	}
	if r > ' ' && r < utf8.RuneSelf && !alphanumeric(byte(r)) {
		all = append(all, `\`+char)
	}
	return all
}

// shortEscapes are what some characters have besides their numbers.
var shortEscapes = map[rune]string{'\a': `\a`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\v': `\v`, ' ': "+"}

// smallLetters are what an escape begins with, whatever its digits.
var smallLetters = strings.NewReplacer(`\U`, `\u`, `\X`, `\x`)

// casings returns an escape with its digits in either case.
func casings(escape string) []string {
	upper := smallLetters.Replace(strings.ToUpper(escape))
	if upper == escape {
		return []string{escape}
	}
	return []string{escape, upper}
}

// base64Units spells base64 in either alphabet, and escaped where it needs to be.
func base64Units(core string) []unit {
	units := make([]unit, len(core))
	for i := range units {
		units[i] = unit{core[i : i+1]}
		switch core[i] {
		case '+':
			units[i] = append(append(units[i], "-"), escapes('+', "+")...)
		case '/':
			units[i] = append(append(units[i], "_"), escapes('/', "/")...)
		}
	}
	return units
}

// hexUnits spells hexadecimal in either case.
func hexUnits(secret string) []unit {
	var units []unit
	for _, c := range hex.EncodeToString([]byte(secret)) {
		u := unit{string(c)}
		if c >= 'a' {
			u = append(u, strings.ToUpper(string(c)))
		}
		units = append(units, u)
	}
	return units
}

// breaks may be between the characters of encoded text: many programs write
// it in lines.
var breaks = []string{"\n", "\r\n", `\n`, `\r\n`}

// anchors returns the first four bytes of every spelling of the form: where it
// is in a file, one of them is.
func (f *form) anchors() []string {
	seen := map[string]bool{}
	var grow func(begun string, next int)
	grow = func(begun string, next int) {
		if len(begun) >= 4 {
			seen[begun[:4]] = true
			return
		}
		for _, s := range f.units[next] {
			grow(begun+s, next+1)
			for _, br := range breaks {
				if f.encoding != "" && next > 0 {
					grow(begun+br+s, next+1)
				}
			}
		}
	}
	grow("", 0)
	var anchors []string
	for a := range seen {
		anchors = append(anchors, a)
	}
	return anchors
}

// longest is how many bytes no spelling of the form exceeds, with its breaks.
func (f *form) longest() int {
	sum := 0
	for _, u := range f.units {
		sum += len(slices.MaxFunc(u, func(a, b string) int { return len(a) - len(b) })) + len(`\r\n`)
	}
	return sum
}

// match reads the form at a place, and returns where it ends. All ways to
// read it are followed at once: a percent sign can be one, or begin an escape.
func (f *form) match(buf []byte, at int) (end int, ok bool) {
	var one, two [8]int
	here, next := append(one[:0], at), two[:0]
	for i, u := range f.units {
		next = next[:0]
		for _, place := range here {
			next = u.read(buf, place, next)
			for _, br := range breaks {
				if f.encoding != "" && i > 0 && begins(buf, place, br) {
					next = u.read(buf, place+len(br), next)
				}
			}
		}
		if len(next) == 0 {
			return 0, false
		}
		here, next = next, here
	}
	return slices.Max(here), true
}

// read adds the places that follow a place by any spelling.
func (u unit) read(buf []byte, at int, next []int) []int {
	for _, s := range u {
		if begins(buf, at, s) && !slices.Contains(next, at+len(s)) {
			next = append(next, at+len(s))
		}
	}
	return next
}

// begins reports whether text is in buf at a place.
func begins(buf []byte, at int, text string) bool {
	return len(buf)-at >= len(text) && string(buf[at:at+len(text)]) == text
}

// kind says what was found: the variable, and how it is written there.
func (f *form) kind(text []byte) string {
	switch {
	case f.encoding != "":
		return f.name + ", " + f.encoding
	case string(text) == f.plain:
		return f.name + ", raw"
	case strings.Count(string(text), `\`) > strings.Count(f.plain, `\`):
		return f.name + ", JSON-escaped"
	}
	return f.name + ", URL-escaped"
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
