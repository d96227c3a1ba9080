package config

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the list
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

// publishedMarks are 1,826 marks of eight bytes each, in ascending order: the
// beginnings of the SHA-256 of every secret of 32 bytes and more, in lower
// case, on the list of secrets that tools try against JSON Web Tokens first.
// So the program holds no secret, and a random one meets a mark once in 10^16.
//
// Source: github.com/wallarm/jwt-secrets, jwt.secrets.list of 2025-03-12 with
// 103,979 entries, MIT License, Copyright (c) 2020 Wallarm. Shorter entries
// need no mark: their length refuses them.
//
//go:embed published.bin
var publishedMarks []byte

// markSize is the length of one mark.
const markSize = 8

// listed reports whether a secret is on the list, in any case.
func listed(secret string) bool {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(secret))))
	mark := sum[:markSize]
	low, high := 0, len(publishedMarks)/markSize
	for low < high {
		middle := (low + high) / 2
		switch at := publishedMarks[middle*markSize:][:markSize]; bytes.Compare(at, mark) {
		case 0:
			return true
		case -1:
			low = middle + 1
		default:
			high = middle
		}
	}
	return false
}

// leastDecoded is the shortest text that counts as what another one spells:
// fewer bytes come about by chance.
const leastDecoded = 16

// spellings returns the bytes that a secret may stand for: as it is written,
// and as base64 or hexadecimal digits when it can be read as these.
func spellings(secret string) []string {
	bare := strings.TrimSpace(secret)
	all := []string{bare}
	add := func(decoded []byte, err error) {
		if text := string(decoded); err == nil && len(decoded) >= leastDecoded && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	digits := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(bare), "=")
	add(base64.RawStdEncoding.DecodeString(digits))
	add(hex.DecodeString(strings.TrimPrefix(strings.ToLower(bare), "0x")))
	return all
}
