package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"regexp"
	"strings"
)

// shape is a kind of secret that can be told from its looks.
type shape struct {
	kind string
	// anchors are four bytes that are in it.
	anchors []string
	// read judges the place of an anchor, and says where the secret is.
	read func(buf []byte, at int) (from, to int, ok bool)
}

// longestShape is how many bytes are needed to judge one: a token can be long.
const longestShape = 64 << 10

// shapes are what is looked for besides the configured secrets. Their public
// counterparts (pk_live_…, LiveKit's API keys alone) are none.
var shapes = []shape{
	{"Stripe secret key (live)", []string{"sk_l"}, prefixed("sk_live_")},
	{"Stripe secret key (test)", []string{"sk_t"}, prefixed("sk_test_")},
	{"Stripe restricted key (live)", []string{"rk_l"}, prefixed("rk_live_")},
	{"Stripe restricted key (test)", []string{"rk_t"}, prefixed("rk_test_")},
	{"Stripe webhook secret", []string{"whse"}, prefixed("whsec_")},
	{"LiveKit API secret", []string{"LIVE", "Live", "live"}, assignedSecret},
	{"LiveKit API secret", followed("API", letters), pairedSecret},
	{"LiveKit token", followed("eyJ", letters+"-_"), liveKitToken},
	{"private key", []string{"BEGI"}, privateKey},
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// followed lists three bytes with each possible fourth.
func followed(three, fourth string) []string {
	all := strings.Split(fourth, "")
	for i := range all {
		all[i] = three + all[i]
	}
	return all
}

// span returns where the characters of a set end.
func span(buf []byte, at, most int, in func(byte) bool) int {
	end := at
	for end < len(buf) && end-at < most && in(buf[end]) {
		end++
	}
	return end
}

// prefixed reads sk_live_… and its siblings. Stripe's keys have had 24 and
// more than 90 characters after the prefix; nothing of them is documented.
// Webhook secrets of other senders are in base64.
func prefixed(prefix string) func([]byte, int) (int, int, bool) {
	return func(buf []byte, at int) (int, int, bool) {
		if !begins(buf, at, prefix) {
			return 0, 0, false
		}
		body := at + len(prefix)
		end := span(buf, body, 256, func(c byte) bool {
			return alphanumeric(c) || prefix == "whsec_" && (c == '+' || c == '/')
		})
		return at, end, end-body >= 16 && mixed(buf[body:end]) && !placeholder(buf[body:end])
	}
}

// assignment is LIVEKIT_API_SECRET=…, livekitApiSecret: "…", or such a name in
// JSON in a source map.
var assignment = regexp.MustCompile(`^(?i:livekit[\w.-]{0,12}secret)[\\"'\x60\]]*\s{0,16}(?:[:=]|=>|:=)\s{0,16}[\\"'\x60]*`)

// assignedSecret reads a LiveKit secret that is called so.
func assignedSecret(buf []byte, at int) (int, int, bool) {
	head := assignment.Find(buf[at:min(len(buf), at+128)])
	if head == nil {
		return 0, 0, false
	}
	from := at + len(head)
	to := span(buf, from, 128, valueChar)
	return from, to, to-from >= 16 && secretLike(buf[from:to])
}

// pair is what can be between a LiveKit API key and its secret, as in LiveKit's own
// settings ("keys: {APIx: y}"), in calls ("AccessToken('APIx', 'y')") and in
// objects ("apiKey: 'APIx', apiSecret: 'y'").
var pair = regexp.MustCompile(`^[\\"'\x60]*(?:\s{0,16}[:=,;&]|` + secretName + `)(?:\\[rnt]?|["'\x60,\s]|` + secretName + `){0,32}[\\"'\x60\s]*`)

const secretName = `(?:\\[rnt]|\s){0,16}\w{0,24}(?i:secret)[\\"'\x60]*\s{0,16}[:=]`

// pairedSecret reads a LiveKit secret by its key. The key alone is no secret.
func pairedSecret(buf []byte, at int) (int, int, bool) {
	end := span(buf, at+len("API"), 18, alphanumeric)
	key := buf[at+len("API") : end]
	if len(key) < 9 || len(key) > 17 || !mixed(key) || at > 0 && (alphanumeric(buf[at-1]) || buf[at-1] == '_') {
		return 0, 0, false
	}
	between := pair.Find(buf[end:min(len(buf), end+256)])
	from := end + len(between)
	to := span(buf, from, 128, valueChar)
	return from, to, between != nil && to-from >= 32 && secretLike(buf[from:to])
}

// liveKitToken reads a JWT that grants something in LiveKit: who finds it can
// join. Whether it has expired is not asked: nobody's clock is.
func liveKitToken(buf []byte, at int) (int, int, bool) {
	// In the middle of a word nothing begins, but behind an escape it does.
	if at > 0 && alphanumeric(buf[at-1]) && (at < 2 || buf[at-2] != '\\') && (at < 3 || buf[at-3] != '%') {
		return 0, 0, false
	}
	first := span(buf, at, 512, urlChar)
	if !begins(buf, first, ".eyJ") {
		return 0, 0, false
	}
	second := span(buf, first+1, longestShape-1024, urlChar)
	end := span(buf, second+1, 256, urlChar)
	if !begins(buf, second, ".") || end-second < 32 {
		return 0, 0, false
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var payload struct {
		Video map[string]json.RawMessage `json:"video"`
	}
	decodes := func(part []byte, into any) bool {
		plain, err := base64.RawURLEncoding.DecodeString(string(part))
		return err == nil && json.Unmarshal(plain, into) == nil
	}
	ok := decodes(buf[at:first], &header) && header.Algorithm != "" && decodes(buf[first+1:second], &payload)
	return at, end, ok && payload.Video != nil
}

// pemKey is a private key's first line with enough after it to know that a
// key follows: the line alone is in every program that can read keys.
//
// SPEC: RFC 7468 §10, §11; RFC 1421 §4.6 for the headers of old encrypted keys.
var pemKey = regexp.MustCompile(`^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\[rn]|["',+\s]|[A-Za-z-]+: [^\n]*\n)+([A-Za-z0-9+/]{40,})`)

// privateKey reads a PEM block.
func privateKey(buf []byte, at int) (int, int, bool) {
	from := at - len("-----")
	if from < 0 || !begins(buf, from, "-----") {
		return 0, 0, false
	}
	m := pemKey.FindSubmatchIndex(buf[from:min(len(buf), from+2048)])
	if m == nil || placeholder(buf[from+m[2]:from+m[3]]) {
		return 0, 0, false
	}
	return from, from + m[3], true
}

func valueChar(c byte) bool { return urlChar(c) || c == '+' || c == '/' || c == '=' }

func urlChar(c byte) bool { return alphanumeric(c) || c == '-' || c == '_' }

// placeholders are parts of what people write where a secret goes. The last
// two are the keys in Stripe's own documentation: everybody has them.
var placeholders = []string{"xxxx", "your", "example", "placeholder", "redacted", "changeme", "replace", "dummy", "sample",
	"12345678", "abcdefgh", "4ec39hqlyjwdarjtt1zdp7dc", "bqokikjovbii2hlwgh4olfq2"}

// placeholder reports whether a text is no secret but stands for one.
func placeholder(text []byte) bool {
	lower := bytes.ToLower(text)
	for _, p := range placeholders {
		if bytes.Contains(lower, []byte(p)) {
			return true
		}
	}
	return entropy(text) < min(3, math.Log2(float64(len(text)))-0.9)
}

// entropy returns Shannon's measure of a text by itself, in bits a byte.
func entropy(text []byte) float64 {
	var counts [256]int
	for _, c := range text {
		counts[c]++
	}
	bits := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(text))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// mixed tells random characters from names, in which words and digits stay
// together: lower case, upper case and digits take turns. A random text of 16
// letters and digits has nine turns or so.
func mixed(text []byte) bool {
	turns, last := 0, byte(0)
	for _, c := range text {
		class := byte(0)
		switch {
		case c >= '0' && c <= '9':
			class = 1
		case c >= 'A' && c <= 'Z':
			class = 2
		case c >= 'a' && c <= 'z':
			class = 3
		}
		if last != 0 && class != 0 && class != last {
			turns++
		}
		last = class
	}
	return turns >= (len(text)+4)/5
}

// secretLike tells a random secret from a path, a name or a UUID.
func secretLike(text []byte) bool {
	return bytes.ContainsAny(text, "0123456789") && mixed(text) && bytes.Count(text, []byte("-")) < 4 && !placeholder(text)
}
