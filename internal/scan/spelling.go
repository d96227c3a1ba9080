package scan

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
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
	encoding string // "base64", "hex", …, or "" for the text itself
	plain    string
	units    []unit
	breaks   []string // may be between the units
}

// unit is one character in all its spellings.
type unit struct {
	plain string
	other string // "": there is no other one
	char  rune   // as escapes write it (escape.go); -1: it is not escaped
}

// Many programs write encoded text in lines. Fingerprints and dumps have
// something between the bytes, and a line of a program goes on behind a backslash.
var (
	lineBreaks = []string{"\n", "\r\n", `\n`, `\r\n`}
	hexBreaks  = append([]string{":", " "}, lineBreaks...)
	textBreaks = []string{"\\\n", "\\\r\n"}
)

// formsOf lists everything that a secret is looked for as.
func formsOf(name, secret string) []form {
	forms := []form{
		{name, "", secret, textUnits(secret), textBreaks},
		{name, "hex", hex.EncodeToString([]byte(secret)), hexUnits(secret), hexBreaks},
	}
	for _, wide := range wideOf(secret) {
		forms = append(forms, form{name, "UTF-16", secret, bareUnits(wide), nil})
	}
	for _, core := range base64Cores(secret) {
		forms = append(forms, form{name, "base64", core, base64Units(core), lineBreaks})
		// Base64 of base64, with either alphabet inside.
		for _, inner := range slices.Compact([]string{core, strings.NewReplacer("+", "-", "/", "_").Replace(core)}) {
			for _, twice := range base64Cores(inner) {
				forms = append(forms, form{name, "base64 twice", twice, base64Units(twice), lineBreaks})
			}
		}
	}
	return forms
}

// wideOf returns a secret in UTF-16 of either byte order, as it is in a
// program's data where no mark says so. Bytes that are no text have none.
func wideOf(secret string) []string {
	if !utf8.ValidString(secret) {
		return nil
	}
	var little, big []byte
	for _, u := range utf16.Encode([]rune(secret)) {
		little = binary.LittleEndian.AppendUint16(little, u)
		big = binary.BigEndian.AppendUint16(big, u)
	}
	return []string{string(little), string(big)}
}

// bareUnits spell bytes in one way only.
func bareUnits(text string) []unit {
	units := make([]unit, len(text))
	for i := range units {
		units[i] = unit{plain: text[i : i+1], char: -1}
	}
	return units
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
		units = append(units, unit{plain: rest[:size], char: r})
		rest = rest[size:]
	}
	return units
}

// base64Units spells base64 in either alphabet, and escaped where it needs to be.
func base64Units(core string) []unit {
	units := bareUnits(core)
	for i := range units {
		switch core[i] {
		case '+':
			units[i].other, units[i].char = "-", '+'
		case '/':
			units[i].other, units[i].char = "_", '/'
		}
	}
	return units
}

// hexUnits spells hexadecimal in either case.
func hexUnits(secret string) []unit {
	units := bareUnits(hex.EncodeToString([]byte(secret)))
	for i := range units {
		if c := units[i].plain; c >= "a" {
			units[i].other = strings.ToUpper(c)
		}
	}
	return units
}

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
		u := &f.units[next]
		spelled := []string{u.plain}
		if u.other != "" {
			spelled = append(spelled, u.other)
		}
		if u.char >= 0 {
			spelled = append(spelled, u.openings(next == 0)...)
		}
		for _, s := range spelled {
			grow(begun+s, next+1)
			for _, br := range f.breaks {
				if next > 0 {
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
		sum += len(`\r\n`)
		if u.char >= 0 {
			sum += len(u.plain) * longestEscape
		} else {
			sum += len(u.plain)
		}
	}
	return sum
}

// match reads the form at a place, and returns where it ends. All ways to
// read it are followed at once: a percent sign can be one, or begin an escape.
func (f *form) match(buf []byte, at int) (end int, ok bool) {
	var one, two [8]int
	here, next := append(one[:0], at), two[:0]
	for i := range f.units {
		u := &f.units[i]
		next = next[:0]
		for _, place := range here {
			next = u.read(buf, place, next)
			for _, br := range f.breaks {
				if i > 0 && begins(buf, place, br) {
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
func (u *unit) read(buf []byte, at int, next []int) []int {
	switch {
	case begins(buf, at, u.plain):
		next = reach(next, at+len(u.plain))
	case u.other != "" && begins(buf, at, u.other):
		next = reach(next, at+len(u.other))
	}
	if u.char >= 0 {
		next = u.escaped(buf, at, next)
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
	case strings.Count(string(text), "&") > strings.Count(f.plain, "&"):
		return f.name + ", HTML-escaped"
	}
	return f.name + ", URL-escaped"
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
