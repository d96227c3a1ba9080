package config

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
)

// weakness is why a secret must not be used. The zero value means that
// nothing speaks against it.
type weakness uint8

const (
	strong weakness = iota
	placeholder
	public
	short
	published
	repetitive
)

// weaknessOf judges a key that people make up: least is the fewest bytes it
// may have. The checks are built to pass every random text (hexadecimal,
// base64, letters and digits); TestRandomSecretsPass measures that.
func weaknessOf(secret string, least int) weakness {
	switch {
	case isPlaceholder(secret):
		return placeholder
	case isPublicKey(secret):
		return public
	case len(secret) < least:
		return short
	case knownWeak(secret):
		return published
	case distinct(secret) < 6 || period(secret) < least && 2*period(secret) <= len(secret) || sequence(secret):
		return repetitive
	}
	return strong
}

// isPlaceholder recognizes what documentation writes where a secret belongs.
// Marks are at least seven letters: in 64 random characters one of these
// turns up about once in a billion secrets.
func isPlaceholder(s string) bool {
	return isTemplate(s) || containsBare(s, "changeit", "tobemodified", "example", "placeholder",
		"yoursecret", "yourown", "yourkey", "yourapi", "yourjwt", "yourtoken",
		"supersecret", "mysecret", "notasecret", "thisisasecret", "insecure", "donotuse", "notforproduction",
		"password", "atleast32", "32characters", "keyboardcat", "uniquephrase", "1234567890", "qwertyuiop", "xxxxxxxx")
}

// isTemplate recognizes a text that asks to be replaced.
func isTemplate(s string) bool {
	lower := strings.ToLower(s)
	if strings.HasPrefix(lower, "<") && strings.HasSuffix(lower, ">") {
		return true
	}
	for _, mark := range []string{"your-", "your_", "your "} { // at the beginning of a word
		i := strings.Index(lower, mark)
		if i == 0 || i > 0 && !letterOrDigit(lower[i-1]) {
			return true
		}
	}
	// References that a shell, a chart or a vault should have resolved.
	for _, mark := range []string{"${", "$(", "{{", "://"} {
		if strings.Contains(s, mark) {
			return true
		}
	}
	if reference.MatchString(s) {
		return true
	}
	return containsBare(s, "changeme", "changethis", "replaceme", "replacethis", "replacewith", "insertyour")
}

// reference is a whole value that names a variable instead of holding its text.
var reference = regexp.MustCompile(`^(\$[A-Za-z_][A-Za-z0-9_]*|%[A-Za-z_][A-Za-z0-9_]*%|\[[A-Za-z -]+\])$`)

// oneLine writes a key's base64 or base64url as base64 in one line.
var oneLine = strings.NewReplacer("-", "+", "_", "/", "=", "", "\\n", "", "\n", "", " ", "")

// isPublicKey recognizes an issuer's public key where a secret belongs:
// everybody has it, and could sign with it. Consoles show such keys in one line.
func isPublicKey(s string) bool {
	if strings.Contains(s, "-----BEGIN") {
		return true
	}
	var jwk map[string]json.RawMessage
	if json.Unmarshal([]byte(s), &jwk) == nil && (jwk["kty"] != nil || jwk["keys"] != nil) {
		return true
	}
	plain := oneLine.Replace(s)
	der, err := base64.RawStdEncoding.DecodeString(plain)
	const sequence = 0x30 // what every one of them begins with in DER
	if err != nil || len(der) == 0 || der[0] != sequence {
		return false
	}
	_, pkix := x509.ParsePKIXPublicKey(der)
	_, pkcs1 := x509.ParsePKCS1PublicKey(der)
	_, certificate := x509.ParseCertificate(der)
	return pkix == nil || pkcs1 == nil || certificate == nil
}

// separators takes out what separates words.
var separators = strings.NewReplacer("-", "", "_", "", " ", "", ".", "")

// containsBare reports whether s, in lower case and without what separates
// words, contains one of the marks.
func containsBare(s string, marks ...string) bool {
	bare := separators.Replace(strings.ToLower(s))
	for _, mark := range marks {
		if strings.Contains(bare, mark) {
			return true
		}
	}
	return false
}

// distinct counts the different bytes of s.
func distinct(s string) int {
	var seen [256]bool
	n := 0
	for _, c := range []byte(s) {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

// period returns the length of the shortest text that, repeated, begins with s.
func period(s string) int {
	for p := 1; p < len(s); p++ {
		if s[p:] == s[:len(s)-p] {
			return p
		}
	}
	return len(s)
}

// sequence reports whether most bytes follow their neighbour, as in abcdef,
// 987654 or aaabbb.
func sequence(s string) bool {
	steps := 0
	for i := 1; i < len(s); i++ {
		if d := int(s[i]) - int(s[i-1]); -1 <= d && d <= 1 {
			steps++
		}
	}
	return 4*steps >= 3*len(s)
}

// knownWeak reports whether documentation, a tutorial, a default configuration
// or the embedded list publishes secret, in any case. Shorter secrets need no
// list: their length refuses them.
func knownWeak(secret string) bool {
	lower := strings.ToLower(strings.TrimSpace(secret))
	if marked(lower) {
		return true
	}
	switch lower {
	case
		// jwt.io
		"a-string-secret-at-least-256-bits-long",
		"a-valid-string-secret-that-is-at-least-384-bits-long",
		"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
		// Supabase
		"super-secret-jwt-token-with-at-least-32-characters-long",
		"your-super-secret-jwt-token-with-at-least-32-characters-long",
		"upnvntn3cdxhjpq99ymc1t1aqgqpc8kfyturgbiya15blrx8etqoxz3gzv1/u2oq",
		// PostgREST, Hasura
		"reallyreallyreallyreallyverysafe",
		"3ek6fd+o0+c7tzbnvfjpmkndi2yaraakzqlk8o2ikoxqu4nf7edah8s3twphwrdwt6r",
		// RFC 7515 appendix A.1, RFC 7520 section 3.5
		"aym1sysppbydfgzld3umj1qzkobwvmkoqq-estjqlr_t-1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow",
		"hjtxiz2usn5kbqfbttnwbpdmhkv8fjg-onbc6mxccyg",
		// FastAPI's tutorial
		"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
		// Express tutorials
		"09f26e402586e2faa8da4c98a35f1b20d6b033c60",
		"09f26e402586e2faa8da4c98a35f1b20d6b033c6097befa8be3486a829587fe2f90a832bd3ff9d42710a4da095a2ce285b009f0c3730cd9b8e1af3eb84df6611",
		// Spring Boot tutorials
		"404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
		"3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
		"5367566b59703373367639792f423f4528482b4d6251655468576d5a71347437",
		// ASP.NET tutorials
		"byym000ollmqg6vvvp1oh7xzyr7ghuw1qvuc5dcgt3snm",
		"jwtauthenticationhighsecuredpasswordvvvp1oh7xzyr",
		"this is my custom secret key for authentication",
		"this is used to sign and verify jwt tokens, replace it with your own secret, it can be any string",
		// defaults of Centrifugo, Dify, Whaticket, Directus, Nacos, APISIX, Zitadel
		"bbe7d157-a253-4094-9759-06a8236543f9",
		"sk-9f73s3ljtxvcmt3blb3ljtqtskighxvcmt3blbkfjlk7u",
		"kzaotd+yzpjruyyuqupigjaemk4vcw4yoymkpzx0ts8=",
		"dbsxqfg9tanuedxvp6fhmtrlbysp+j2dsqf7+raxd3a=",
		"255d861b-5ea1-5996-9aa3-922530ec40b1",
		"6116487b-cda1-52c2-b5b5-c8022c45e263",
		"secretkey012345678901234567890123456789012345678901234567890123456789",
		"edd1c9f034335f136f87ad84b625c8f1",
		"4054f7cf07e344346cd3f287985e76a2",
		"masterkeyneedstohave32characters":
		return true
	}
	return false
}
