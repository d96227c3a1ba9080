package stagedoor

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxTextBytes is the longest room name, identity or display name in bytes
// of UTF-8.
//
// SPEC: livekit-server's default limits (pkg/config DefaultConfig.Limit) are
// 256 bytes each.
const MaxTextBytes = 256

// zero-width non-joiner and joiner: Persian spelling and family emoji need
// them between other characters, so they are the only invisible ones allowed.
const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

// blank is Braille's empty cell, the one symbol that shows nothing.
const blank = '\u2800'

// CheckText reports why s cannot be a name that people read: it must be
// 1 to MaxTextBytes bytes of UTF-8 without outer white space and without
// anything invisible (Cc, Cf, Cs, Co, Cn, Zl, Zp, fillers, and a beginning of
// marks alone). It expects s in NFC, which the caller establishes. The error's text may be shown.
func CheckText(s string) error {
	switch {
	case s == "":
		return errors.New("must not be empty")
	case len(s) > MaxTextBytes:
		return errors.New("must be at most 256 bytes of UTF-8")
	case !utf8.ValidString(s):
		return errors.New("must be valid UTF-8")
	case strings.TrimSpace(s) != s:
		return errors.New("must not begin or end with white space")
	}
	runes := []rune(s)
	if unicode.Is(unicode.M, runes[0]) {
		return errors.New("must not begin with a mark that belongs to a character before it")
	}
	for i, r := range runes {
		if r == zwnj || r == zwj {
			if i == 0 || i == len(runes)-1 || joins(runes[i-1]) || joins(runes[i+1]) {
				return errors.New("must use zero-width joiners only between other characters")
			}
			continue
		}
		// unicode.C holds Cc, Cf, Co, Cs and, since Go 1.25, Cn.
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) || r == blank {
			return errors.New("must not contain invisible or unassigned characters")
		}
	}
	return nil
}

// Printable returns s with everything that does not print, such as escapes of
// terminals and changes of direction, spelled out as \u{…}: what strangers
// send may stand in a log, and must not steer who reads it. Other bytes than
// UTF-8 become U+FFFD.
func Printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		fmt.Fprintf(&out, "\\u{%x}", r)
	}
	return out.String()
}

// joins reports whether r leaves a joiner beside it with nothing to join.
func joins(r rune) bool { return r == zwnj || r == zwj || unicode.IsSpace(r) }
