package config

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
)

const (
	// leastDecoded is the shortest text that counts as what another one spells:
	// fewer bytes come about by chance.
	leastDecoded = 16
	// leastKnown is the length of the shortest secret on the lists.
	leastKnown = 32
	// added is how many characters more at either end hide no known secret.
	added = 3
)

// brands are what issuers of secrets put before them. Behind one, the same
// secret is still the same.
var brands = []string{"whsec_", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk_", "rk_", "sk-", "Bearer "}

// spellings returns the bytes that a secret may stand for: as it is written
// first, without an issuer's brand, and as base64 or hexadecimal digits, once
// or twice over, when it can be read as these.
func spellings(secret string) []string {
	bare := strings.TrimSpace(secret)
	all := []string{bare}
	add := func(text string) {
		if len(text) >= leastDecoded && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	for _, brand := range brands {
		if rest, ok := strings.CutPrefix(bare, brand); ok {
			add(rest)
		}
	}
	for range 2 {
		for _, text := range all { // as it was before this round
			digits := strings.TrimRight(urlAlphabet.Replace(text), "=")
			if decoded, err := base64.RawStdEncoding.DecodeString(digits); err == nil {
				add(string(decoded))
			}
			if decoded, err := hex.DecodeString(strings.TrimPrefix(strings.ToLower(text), "0x")); err == nil {
				add(string(decoded))
			}
		}
	}
	return all
}

// urlAlphabet writes base64url as base64.
var urlAlphabet = strings.NewReplacer("-", "+", "_", "/")

// disguisesKnown reports whether a secret is a known one, or a little more
// than it, in any spelling, or a common word's hash: who tries the one tries
// the other.
func disguisesKnown(secret string) bool {
	for i, text := range spellings(secret) {
		if nearKnown(text) || wordHashes()[text] || i > 0 && readable(text) && isPlaceholder(text) {
			return true
		}
	}
	return false
}

// nearKnown reports whether s is a known secret, forwards or backwards, with
// up to three characters more at either end.
func nearKnown(s string) bool {
	if !readable(s) { // nobody added to that
		return knownWeak(s)
	}
	s = strings.ToLower(s)
	for _, way := range []string{s, reversed(s)} {
		for before := 0; before <= added && len(way)-before >= leastKnown; before++ {
			for after := 0; after <= added && len(way)-before-after >= leastKnown; after++ {
				if knownLower(way[before : len(way)-after]) {
					return true
				}
			}
		}
	}
	return false
}

// reversed returns the bytes of s, the last one first.
func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// words are what people hash when they are asked for something random.
var words = []string{"secret", "password", "passw0rd", "changeme", "admin", "root", "test", "hello", "key", "token", "jwt", "jwtsecret", "jwt_secret", "jwt-secret",
	"secretkey", "secret_key", "mysecret", "supersecret", "livekit", "stagedoor", "devkey", "letmein", "qwerty", "123456", "12345678", "123456789", "abc123", ""}

// wordHashes are the SHA-2 of the words, with and without the line break that
// echo appends. They are made when they are first asked for.
var wordHashes = sync.OnceValue(func() map[string]bool {
	all := make(map[string]bool)
	for _, word := range words {
		for _, text := range [][]byte{[]byte(word), []byte(word + "\n")} {
			sum256, sum384, sum512 := sha256.Sum256(text), sha512.Sum384(text), sha512.Sum512(text)
			all[string(sum256[:])], all[string(sum384[:])], all[string(sum512[:])] = true, true, true
		}
	}
	return all
})

// readable reports whether s is plain text: bytes that somebody typed.
func readable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
