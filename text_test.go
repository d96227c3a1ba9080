package stagedoor

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckText(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"a name":                        {"test-room", true},
		"inner blank":                   {"two words", true},
		"Japanese":                      {"会議室", true},
		"an emoji family":               {"👨\u200d👩\u200d👧", true},
		"Persian with a non-joiner":     {"می\u200cخواهم", true},
		"256 bytes":                     {strings.Repeat("é", 128), true},
		"257 bytes":                     {strings.Repeat("é", 128) + "x", false},
		"empty":                         {"", false},
		"leading blank":                 {" a", false},
		"trailing no-break space":       {"a\u00a0", false},
		"ideographic space at the end":  {"a\u3000", false},
		"line break":                    {"a\nb", false},
		"NUL":                           {"a\x00b", false},
		"escape sequence":               {"a\x1b[31m", false},
		"broken UTF-8":                  {"a\xffb", false},
		"a surrogate in UTF-8":          {"a\xed\xa0\x80b", false},
		"right-to-left override":        {"a\u202eb", false},
		"zero-width space":              {"a\u200bb", false},
		"byte order mark":               {"a\ufeffb", false},
		"soft hyphen":                   {"a\u00adb", false},
		"tag characters":                {"a\U000e0041b", false},
		"line separator":                {"a\u2028b", false},
		"paragraph separator":           {"a\u2029b", false},
		"private use":                   {"a\ue000b", false},
		"unassigned":                    {"a\u0378b", false},
		"noncharacter":                  {"a\ufffeb", false},
		"joiner first":                  {"\u200da", false},
		"joiner last":                   {"a\u200d", false},
		"non-joiner last":               {"a\u200c", false},
		"two joiners":                   {"a\u200d\u200db", false},
		"joiner beside a blank":         {"a \u200db", false},
		"nothing but a joiner":          {"\u200d", false},
		"a Hangul filler":               {"\u3164", false},
		"an empty Braille cell":         {"\u2800", false},
		"a grapheme joiner":             {"a\u034fb", false},
		"nothing but a selector":        {"\ufe0f", false},
		"an accent on nothing":          {"\u0301a", false},
		"a variation selector is shown": {"❤\ufe0f", true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := CheckText(c.text); (err == nil) != c.ok {
				t.Errorf("%q: %v", c.text, err)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	prefixes := []string{"okta", "clerk"}
	for name, c := range map[string]struct {
		handle, prefix, want string
	}{
		"plain":                           {"auth0|123", "", "auth0|123"},
		"prefixed":                        {"123", "okta", "okta:123"},
		"a colon is fine":                 {"a:b", "", "a:b"},
		"TestGuestPrefixCannotBeClaimed":  {"guest:1", "", ""},
		"TestOtherIssuersPrefixIsRefused": {"okta:123", "", ""},
		"prefix within a prefix":          {"clerk:1", "okta", ""},
		"hash":                            {"a#b", "", ""},
		"empty":                           {"", "", ""},
		"invisible":                       {"a\u200bb", "", ""},
		"too long with its prefix":        {strings.Repeat("x", 253), "okta", ""},
		"longest with its prefix":         {strings.Repeat("x", 251), "okta", "okta:" + strings.Repeat("x", 251)},
	} {
		t.Run(name, func(t *testing.T) {
			p := Principal{Issuer: "i", Subject: "s", Handle: c.handle, IdentityPrefix: c.prefix}
			got, err := p.Identity(prefixes)
			if string(got) != c.want || (c.want == "" && KindOf(err) != IdentityNotAllowed) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if _, err := (Principal{Handle: "ann"}).Identity(nil); KindOf(err) != Internal || err == nil {
		t.Errorf("nobody got an identity: %v", err)
	}
}

func FuzzCheckText(f *testing.F) {
	f.Add("room")
	f.Add("a\u200db")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckText(s) == nil && (s == "" || len(s) > MaxTextBytes || !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\x00\r\n\u202e\u200b")) {
			t.Fatalf("accepted %q", s)
		}
	})
}
