package scan

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	// shapeReach is more bytes than any key has, with what is in front of it.
	shapeReach = 256
	// spread is the factor of Fibonacci hashing.
	spread  = 0x9e3779b1
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// pattern is something to look for: a secret in one spelling, or a shape.
type pattern struct {
	kind string
	text string
	// format is that of a shape; its group 1 is the secret.
	format *regexp.Regexp
}

// match is a pattern in a buffer.
type match struct {
	pattern
	from, to int
}

// index finds in one pass where any of many anchors is: the four bytes that a
// pattern begins with. The filter rejects nearly every other place.
type index struct {
	filter   [1 << 16]bool
	ids      map[uint32][]int
	patterns []pattern
	// reach is how many bytes around a place are needed to judge it.
	reach int
}

func newIndex(secrets []Secret) *index {
	x := &index{ids: map[uint32][]int{}, reach: shapeReach}
	for _, s := range secrets {
		if s.Value.Len() < Shortest {
			continue
		}
		for text, how := range spellings(s.Value.Reveal()) {
			x.add(pattern{kind: s.Name + ", " + how, text: text}, text)
			x.reach = max(x.reach, len(text))
		}
	}
	for _, s := range shapes {
		x.add(pattern{kind: s.kind, format: regexp.MustCompile(s.format)}, strings.Fields(s.anchors)...)
	}
	return x
}

// add adds a pattern. The first four bytes of an anchor count.
func (x *index) add(p pattern, anchors ...string) {
	for _, a := range anchors {
		word := binary.BigEndian.Uint32([]byte(a))
		x.filter[word*spread>>16] = true
		x.ids[word] = append(x.ids[word], len(x.patterns))
	}
	x.patterns = append(x.patterns, p)
}

// matches returns the secrets in buf, in order. A shape that overlaps the match
// before it is left out.
func (x *index) matches(buf []byte) []match {
	var all []match
	word := uint32(0)
	for i, b := range buf {
		word = word<<8 | uint32(b)
		if !x.filter[word*spread>>16] || i < 3 {
			continue
		}
		for _, id := range x.ids[word] {
			if m, ok := x.patterns[id].at(buf, i-3); ok {
				all = append(all, m)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b match) int { return cmp.Compare(a.from, b.from) }) // secrets were added first
	end := 0
	return slices.DeleteFunc(all, func(m match) bool {
		covered := m.format != nil && m.from < end
		end = max(end, m.to)
		return covered
	})
}

// at judges the pattern whose anchor is at place i.
func (p pattern) at(buf []byte, i int) (m match, ok bool) {
	if p.format == nil {
		m = match{pattern: p, from: i, to: i + len(p.text)}
		return m, m.to <= len(buf) && string(buf[i:m.to]) == p.text
	}
	place := p.format.FindSubmatchIndex(buf[i:min(len(buf), i+shapeReach)])
	if place == nil {
		return match{}, false
	}
	m = match{pattern: p, from: i + place[2], to: i + place[3]}
	return m, random(buf[m.from:m.to])
}

// literals are the signs that URL encoders do not escape, besides letters and
// digits: RFC 3986, Go and PHP; Go's paths; Python; Java and URLSearchParams;
// encodeURIComponent; encodeURI.
var literals = []string{"-_.~", "-_.~$&+=:@", "-_.~/", "-_.*", "-_.!~*'()", "-_.!~*'();/?:@&=+$,#"}

// spellings returns every text that a secret is looked for as, with its name.
func spellings(secret string) map[string]string {
	all := map[string]string{}
	for _, format := range []string{"%%%02X", "%%%02x"} {
		all[escape(secret, format, "")] = "URL-encoded"
		for _, signs := range literals {
			escaped := escape(secret, format, letters+signs)
			all[escaped] = "URL-encoded"
			all[strings.ReplaceAll(escaped, "%20", "+")] = "URL-encoded"
		}
	}
	for before := range 3 {
		core := base64Core(secret, before)
		all[core] = "base64"
		all[strings.NewReplacer("+", "-", "/", "_").Replace(core)] = "base64"
	}
	digits := hex.EncodeToString([]byte(secret))
	all[digits] = "hex"
	all[strings.ToUpper(digits)] = "hex"
	all[secret] = "raw"
	return all
}

// escape writes all bytes but the literal ones in a format.
func escape(secret, format, literal string) string {
	var b strings.Builder
	for _, c := range []byte(secret) {
		if strings.IndexByte(literal, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, format, c)
		}
	}
	return b.String()
}

// base64Core returns what the base64 of any text has in it when the secret
// stands at a place of 3n+before bytes. The characters at the ends also depend
// on the neighbours of the secret and are left out.
func base64Core(secret string, before int) string {
	encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
	bits := 8 * before
	return encoded[(bits+5)/6 : (bits+8*len(secret))/6]
}

// Stripe documents no length: its keys have had 24 and more than 90 characters
// after the prefix. Webhook secrets of other senders are in base64. A LiveKit
// secret is told by its name, or by the API key in front of it: as in LiveKit's
// settings (keys: {APIx: y}), calls (AccessToken('APIx', 'y')) and objects
// (apiKey: 'APIx', apiSecret: 'y').
const (
	named    = `(?:\\[rnt]|\s){0,16}\w{0,24}(?i:secret)[\\"'\x60]*\s{0,16}[:=]`
	assigned = `^(?i:livekit[\w.-]{0,12}secret)[\\"'\x60\]]{0,8}\s{0,16}(?:[:=]|=>|:=)\s{0,16}[\\"'\x60]{0,8}([\w+/-]{16,}={0,2})`
	paired   = `^API[A-Za-z0-9]{9,17}[\\"'\x60]{0,8}(?:\s{0,16}[:=,;&]|` + named + `)(?:\\[rnt]?|["'\x60,\s]|` + named + `){0,12}([\w+/-]{32,}={0,2})`
)

// shapes are secrets that are told by their looks. Group 1 of format is the secret.
var shapes = []struct{ kind, anchors, format string }{
	{"Stripe secret key (live)", "sk_l", `^(sk_live_[A-Za-z0-9]{16,})`},
	{"Stripe secret key (test)", "sk_t", `^(sk_test_[A-Za-z0-9]{16,})`},
	{"Stripe restricted key (live)", "rk_l", `^(rk_live_[A-Za-z0-9]{16,})`},
	{"Stripe restricted key (test)", "rk_t", `^(rk_test_[A-Za-z0-9]{16,})`},
	{"Stripe webhook secret", "whse", `^(whsec_[A-Za-z0-9+/]{16,})`},
	{"LiveKit API secret", "LIVE Live live", assigned},
	{"LiveKit API secret", "API" + strings.Join(strings.Split(letters, ""), " API"), paired},
}

// placeholders are parts of what people write where a secret belongs. The last
// two are the keys of Stripe's documentation, which everybody has.
var placeholders = []string{"xxxx", "your", "example", "placeholder", "redacted", "changeme", "replace", "dummy", "sample",
	"12345678", "abcdefgh", "4ec39hqlyjwdarjtt1zdp7dc", "bqokikjovbii2hlwgh4olfq2"}

// words are letters of one case, or digits, that stand together.
var words = regexp.MustCompile(`[a-z]+|[A-Z]+|[0-9]+`)

// random tells a secret from a placeholder, a name, a path or a UUID. 16 random
// letters and digits have about nine words, and names have few or no digits.
func random(text []byte) bool {
	lower := string(bytes.ToLower(text))
	stripe := strings.HasPrefix(lower, "sk_") || strings.HasPrefix(lower, "rk_") || strings.HasPrefix(lower, "whsec_")
	if !stripe && !strings.ContainsAny(lower, "0123456789") || strings.Count(lower, "-") > 3 {
		return false
	}
	standsFor := func(p string) bool { return strings.Contains(lower, p) }
	return !slices.ContainsFunc(placeholders, standsFor) && len(words.FindAll(text, -1)) > (len(text)+4)/5
}
