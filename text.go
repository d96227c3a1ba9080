package stagedoor

import (
	"errors"
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

// CheckText reports why s cannot be a name that people read: it must be
// 1 to MaxTextBytes bytes of UTF-8 without outer white space and without
// anything invisible (Cc, Cf, Cs, Co, Cn, Zl, Zp). It expects s in NFC, which
// the caller establishes. The error's text may be shown.
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
	for i, r := range runes {
		if r == zwnj || r == zwj {
			if i == 0 || i == len(runes)-1 || joins(runes[i-1]) || joins(runes[i+1]) {
				return errors.New("must use zero-width joiners only between other characters")
			}
			continue
		}
		// unicode.C holds Cc, Cf, Co, Cs and, since Go 1.25, Cn.
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			return errors.New("must not contain invisible or unassigned characters")
		}
	}
	return nil
}

// joins reports whether r leaves a joiner beside it with nothing to join.
func joins(r rune) bool { return r == zwnj || r == zwj || unicode.IsSpace(r) }
