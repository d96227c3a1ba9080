package scan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What is escaped may be escaped again, by a program that knows nothing of the
// first. So many times over it is followed; the bounds keep hostile text cheap.
const (
	// mostBackslashes are before a character: JSON in JSON in JSON in JSON has 15.
	mostBackslashes = 15
	// mostAgain is how often a percent sign or an ampersand is escaped itself.
	mostAgain = 3
	// mostDigits are in a number, zeros in front included.
	mostDigits = 8
	// longestEscape of one byte: the backslashes and "u{0000002f}".
	longestEscape = mostBackslashes + len("u{}") + mostDigits
)

// shortEscapes are what some characters have besides their numbers.
var shortEscapes = map[rune]byte{'\a': 'a', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '\v': 'v'}

// entities are the names that HTML has for ASCII. &amp; is read apart.
var entities = map[rune][]string{'&': {"AMP"}, '<': {"lt", "LT"}, '>': {"gt", "GT"}, '"': {"quot", "QUOT"}, '\'': {"apos"},
	'/': {"sol"}, '+': {"plus"}, '=': {"equals"}, '%': {"percnt"}, '!': {"excl"}, '#': {"num"}, '$': {"dollar"}, '(': {"lpar"}, ')': {"rpar"},
	'*': {"ast", "midast"}, ',': {"comma"}, '.': {"period"}, ':': {"colon"}, ';': {"semi"}, '?': {"quest"}, '@': {"commat"},
	'[': {"lsqb", "lbrack"}, '\\': {"bsol"}, ']': {"rsqb", "rbrack"}, '^': {"Hat"}, '_': {"lowbar", "UnderBar"}, '`': {"grave", "DiacriticalGrave"},
	'{': {"lcub", "lbrace"}, '|': {"vert", "verbar", "VerticalLine"}, '}': {"rcub", "rbrace"}, '\t': {"Tab"}, '\n': {"NewLine"}}

// escaped adds the places that follow a character which is escaped at a place.
//
// SPEC: RFC 3986 §2.1; RFC 8259 §7; ECMA-262 §12.9.4; HTML §13.2.5.72.
func (u *unit) escaped(buf []byte, at int, next []int) []int {
	if at >= len(buf) {
		return next
	}
	switch buf[at] {
	case '\\':
		return u.backslashed(buf, at, next)
	case '%':
		for end := at + 1; u.char == '%' && begins(buf, end, "25") && end < at+2*mostAgain; {
			end += len("25") // it may itself begin what is escaped next
			next = reach(next, end)
		}
		if u.char == ' ' { // a form's plus sign, escaped again
			next = reach(next, percent(buf, at, '+'))
		}
		return reach(next, u.bytes(buf, at, percent))
	case '&':
		for end := at + 1; u.char == '&' && begins(buf, end, "amp;") && end < at+4*mostAgain; {
			end += len("amp;")
			next = reach(next, end)
		}
		return reach(next, u.entity(buf, at))
	case '+':
		if u.char == ' ' {
			return reach(next, at+1)
		}
	}
	return next
}

// reach adds a place, unless it is there or nothing was read (-1).
func reach(next []int, place int) []int {
	if place < 0 || slices.Contains(next, place) {
		return next
	}
	return append(next, place)
}

// bytes reads every byte of a character by an escape for bytes.
func (u *unit) bytes(buf []byte, at int, one func(buf []byte, at int, b byte) int) int {
	for i := 0; i < len(u.plain) && at >= 0; i++ {
		at = one(buf, at, u.plain[i])
	}
	return at
}

// percent reads %2f, %252f and so on.
func percent(buf []byte, at int, b byte) int {
	if !begins(buf, at, "%") {
		return -1
	}
	at++
	for again := 0; ; again++ {
		if n, end := number(buf, at, 16, 2); end == at+2 && n == rune(b) {
			return end
		}
		if again == mostAgain || !begins(buf, at, "25") {
			return -1
		}
		at += len("25")
	}
}

// entity reads &#47;, &#x2f;, &sol;, and those with the ampersand escaped.
func (u *unit) entity(buf []byte, at int) int {
	at++
	for again := 0; ; again++ {
		for _, name := range entities[u.char] {
			if begins(buf, at, name) && begins(buf, at+len(name), ";") {
				return at + len(name) + 1
			}
		}
		if begins(buf, at, "#") {
			return u.closed(buf, at+1, ";")
		}
		if again == mostAgain || !begins(buf, at, "amp;") {
			return -1
		}
		at += len("amp;")
	}
}

// closed reads an entity's number to its end.
func (u *unit) closed(buf []byte, at int, end string) int {
	base := 10
	if begins(buf, at, "x") || begins(buf, at, "X") {
		base = 16
		at++
	}
	if n, after := number(buf, at, base, mostDigits); n == u.char && begins(buf, after, end) && u.char != utf8.RuneError {
		return after + len(end)
	}
	return -1
}

// backslashed reads what may follow one backslash, or a row of them.
func (u *unit) backslashed(buf []byte, at int, next []int) []int {
	after := slashes(buf, at)
	if u.char == '\\' { // one of them alone is the plain spelling
		next = reach(next, after)
	}
	if after >= len(buf) {
		return next
	}
	c := buf[after]
	if short, ok := shortEscapes[u.char]; ok && c == short {
		next = reach(next, after+1)
	}
	if u.char > ' ' && u.char < utf8.RuneSelf && !alphanumeric(byte(u.char)) && c == byte(u.char) {
		next = reach(next, after+1)
	}
	switch {
	case c == 'x' || c >= '0' && c <= '7':
		next = reach(next, u.bytes(buf, at, numbered))
		if end := u.bytes(buf, at, shortOctal); end >= 0 {
			next = reach(next, end)
		}
	case u.char == utf8.RuneError:
	case c == 'u' && begins(buf, after+1, "{"):
		if n, end := number(buf, after+2, 16, mostDigits); n == u.char && begins(buf, end, "}") {
			next = reach(next, end+1)
		}
	case c == 'u':
		next = reach(next, u.units16(buf, at))
	case c == 'U':
		if n, end := number(buf, after+1, 16, 8); n == u.char && end == after+9 {
			next = reach(next, end)
		}
	}
	return next
}

// slashes returns where a row of backslashes ends.
func slashes(buf []byte, at int) int {
	return span(buf, at, mostBackslashes, func(c byte) bool { return c == '\\' })
}

// numbered reads \x2f and \057.
func numbered(buf []byte, at int, b byte) int {
	after := slashes(buf, at)
	if after == at {
		return -1
	}
	if begins(buf, after, "x") {
		if n, end := number(buf, after+1, 16, 2); n == rune(b) && end == after+3 {
			return end
		}
		return -1
	}
	if n, end := number(buf, after, 8, 3); n == rune(b) && end == after+3 {
		return end
	}
	return -1
}

// shortOctal reads \57: octal with no zero in front.
func shortOctal(buf []byte, at int, b byte) int {
	digits := strconv.FormatUint(uint64(b), 8)
	if after := slashes(buf, at); after > at && begins(buf, after, digits) {
		return after + len(digits)
	}
	return -1
}

// units16 reads \u002f, or two of them for what is beyond the first plane.
func (u *unit) units16(buf []byte, at int) int {
	var pair [2]uint16
	for _, unit := range utf16.AppendRune(pair[:0], u.char) {
		after := slashes(buf, at)
		n, end := number(buf, after+1, 16, 4)
		if after == at || !begins(buf, after, "u") || end != after+5 || n != rune(unit) {
			return -1
		}
		at = end
	}
	return at
}

// number reads digits, and returns where they end. There is none: -1.
func number(buf []byte, at, base, most int) (n rune, end int) {
	for end = at; end < len(buf) && end-at < most; end++ {
		c, digit := buf[end], 16
		switch {
		case c >= '0' && c <= '9':
			digit = int(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = int(c|0x20-'a') + 10
		}
		if digit >= base {
			break
		}
		if n > utf8.MaxRune {
			return -1, end
		}
		n = n*rune(base) + rune(digit)
	}
	if end == at {
		return -1, at
	}
	return n, end
}

// openings lists escaped spellings of a character whose first four bytes stand
// for all: see form.anchors. In front of the first character of a secret one
// backslash is enough, since any row of them ends with one.
func (u *unit) openings(first bool) []string {
	b := u.plain[0]
	all := []string{"&amp;"}
	both := func(format string, value any) { all = append(all, casings(fmt.Sprintf(format, value))...) }
	both("%%%02x", u.plain[:1])
	for again := 1; again <= 2; again++ {
		both("%%"+strings.Repeat("25", again)+"%02x", u.plain[:1])
	}
	for zeros := range 3 {
		front := strings.Repeat("0", zeros)
		all = append(all, fmt.Sprintf("&#%s%d;", front, u.char))
		for _, x := range []string{"x", "X"} {
			all = append(all, fmt.Sprintf("&#"+x+front+"%x;", u.char), fmt.Sprintf("&#"+x+front+"%X;", u.char))
		}
	}
	for _, name := range entities[u.char] {
		all = append(all, "&"+name+";")
	}
	rows := 4
	if first {
		rows = 1
	}
	for n := 1; n <= rows; n++ {
		row := strings.Repeat(`\`, n)
		both(row+"x%02x", u.plain[:1])
		all = append(all, fmt.Sprintf(row+"%03o", b), fmt.Sprintf(row+"%o", b), row+"U00")
		for _, unit := range utf16.Encode([]rune{u.char}) {
			both(row+"u%04x", unit)
		}
		for _, front := range []string{"", "0", "00"} {
			both(row+"u{"+front+"%x}", u.char)
		}
		if short, ok := shortEscapes[u.char]; ok {
			all = append(all, row+string(short))
		}
		if u.char > ' ' && u.char < utf8.RuneSelf && !alphanumeric(byte(u.char)) {
			all = append(all, row+u.plain)
		}
	}
	if u.char == ' ' {
		all = append(all, "+", "%2b", "%2B")
	}
	return all
}

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
