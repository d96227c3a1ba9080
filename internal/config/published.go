package config

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the list
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

// marked reports whether a secret, in lower case, is on the list.
func marked(lower string) bool {
	sum := sha256.Sum256([]byte(lower))
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
