package authn

import (
	"encoding/base64"
	"strings"
	"testing"
)

// alphabet is that of unpadded base64url (RFC 4648 §5).
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// spoil changes one part of a token in every way that a decoder might forgive
// without changing, or hardly changing, the bytes it decodes to.
func spoil(part string) map[string]string {
	spoiled := map[string]string{
		"padding":           part + strings.Repeat("=", max(1, (4-len(part)%4)%4)),
		"a padding sign":    part + "=",
		"a line break":      part[:len(part)/2] + "\n" + part[len(part)/2:],
		"a carriage return": part + "\r\n",
		"a space in front":  " " + part,
		"a space behind":    part + " ",
		"a tab":             part + "\t",
		"a NUL":             part + "\x00",
		"a question mark":   part + "?",
		"a percent sign":    part + "%3D",
		"a full-width sign": part + "Ａ",
		"one more A":        part + "A",
	}
	if strings.ContainsAny(part, "-_") {
		spoiled["the other alphabet"] = strings.NewReplacer("-", "+", "_", "/").Replace(part)
	}
	// The bits that a last, partial group leaves unused.
	unused := map[int]int{2: 4, 3: 2}[len(part)%4]
	if last := strings.IndexByte(alphabet, part[len(part)-1]); unused > 0 && last >= 0 {
		spoiled["unused bits"] = part[:len(part)-1] + string(alphabet[last|1])
		spoiled["the highest unused bit"] = part[:len(part)-1] + string(alphabet[last|1<<(unused-1)])
	}
	return spoiled
}

// TestOneSpelling takes every token that verifies and spells each of its parts
// otherwise: a token has one spelling, or a list of revoked ones is worthless.
func TestOneSpelling(t *testing.T) {
	tokens, spellings := 0, 0
	for _, file := range []string{signatureFile, cryptoFile, keyFile} {
		for _, g := range corpus(t, file) {
			if g.Tests[0].JWS == nil {
				continue
			}
			set, _ := keysOf(t, g)
			for _, v := range g.Tests {
				token := text(v.JWS)
				if ok, _ := accepted(set, token); !ok {
					continue
				}
				tokens++
				for i, part := range strings.Split(token, ".") {
					if part == "" {
						continue
					}
					for name, spelt := range spoil(part) {
						parts := strings.Split(token, ".")
						parts[i] = spelt
						spellings++
						if ok, _ := accepted(set, strings.Join(parts, ".")); ok {
							t.Errorf("%s tc %d: verified with %s in part %d", file, v.ID, name, i)
						}
					}
				}
			}
		}
	}
	if tokens < 30 || spellings < 1000 {
		t.Errorf("%d tokens in %d spellings", tokens, spellings)
	}
	t.Logf("%d tokens in %d spellings", tokens, spellings)
}

// TestNoFlippedBitVerifies flips every bit of one token of each family.
func TestNoFlippedBitVerifies(t *testing.T) {
	for _, g := range corpus(t, signatureFile)[:3] {
		set, _ := keysOf(t, g)
		token := text(g.Tests[0].JWS)
		if ok, err := accepted(set, token); !ok {
			t.Fatalf("%s: %v", g.Comment, err)
		}
		parts := strings.Split(token, ".")
		for i, part := range parts {
			data, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil {
				t.Fatal(err)
			}
			for bit := range 8 * len(data) {
				data[bit/8] ^= 1 << (bit % 8)
				changed := strings.Split(token, ".")
				changed[i] = base64.RawURLEncoding.EncodeToString(data)
				if ok, _ := accepted(set, strings.Join(changed, ".")); ok {
					t.Errorf("%s: verified with bit %d of part %d flipped", g.Comment, bit, i)
				}
				data[bit/8] ^= 1 << (bit % 8)
			}
		}
	}
}
