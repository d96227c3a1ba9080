package config

import (
	"regexp"
	"strings"
	"testing"
)

func TestParseEnv(t *testing.T) {
	for text, want := range map[string]string{
		"A=b":                              "A=b",
		"A=b\r\nC=d\r\n":                   "A=b|C=d",
		"\ufeffA=b":                        "A=b",
		"# note\n\n  # note\nA=b":          "A=b",
		"export A=b\nexport\tB=c":          "A=b|B=c",
		"export=b":                         "export=b",
		"exported=b":                       "exported=b",
		"  A = b  ":                        "A=b",
		"A=":                               "A=",
		"A=''":                             "A=",
		`A=""`:                             "A=",
		"A=b # note":                       "A=b",
		"A=b\t# note":                      "A=b",
		"A=b#c":                            "A=b#c",
		"A=#c":                             "A=#c",
		"A= # note":                        "A=",
		"A= #c":                            "A=",
		"A=b c":                            "A=b c",
		"A=b=c==":                          "A=b=c==",
		`A=it's "so"`:                      `A=it's "so"`,
		`A=b\n`:                            `A=b\n`,
		`A='b # c \n "d" $E'`:              `A=b # c \n "d" $E`,
		`A='b' # note`:                     `A=b`,
		`A="b # c" # note`:                 `A=b # c`,
		`A="b\n\t\"\\c"`:                   "A=b\n\t\"\\c",
		"A=a$b${C}$(d)`e`":                 "A=a$b${C}$(d)`e`",
		`A="a$b${C}"`:                      "A=a$b${C}",
		"A='q$7wJc'":                       "A=q$7wJc",
		"a_1=b":                            "a_1=b",
		"A=ü €":                            "A=ü €",
		"A=b\n\n\nB=c":                     "A=b|B=c",
		"A=wss://p.livekit.cloud # my own": "A=wss://p.livekit.cloud",
	} {
		pairs, err := ParseEnv([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var got []string
		for _, p := range pairs {
			got = append(got, p.Name+"="+p.Value.Reveal())
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestParseEnvMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"A=b\nA=c":                    "line 2: A is already set on line 1",
		"A=b\n#\nexport A='c'\nB":     "line 3: A is already set on line 1\nline 4: is not NAME=VALUE",
		"hunter2":                     "line 1: is not NAME=VALUE",
		"=hunter2":                    "line 1: the name before = must be letters, digits and underscores",
		"1A=b":                        "line 1: the name before = must be letters, digits and underscores",
		"A-B=c":                       "line 1: the name before = must be letters, digits and underscores",
		"A B=c":                       "line 1: the name before = must be letters, digits and underscores",
		"export A B=c":                "line 1: the name before = must be letters, digits and underscores",
		"A='hunter2":                  "line 1: the single quote is not closed on this line",
		"A=\"hunter2\nB=c\"":          "line 1: the double quote is not closed on this line",
		`A="hunter2\`:                 "line 1: the double quote is not closed on this line",
		`A="hunter2\"`:                "line 1: the double quote is not closed on this line",
		`A="hunter2" hunter2`:         "line 1: there is text after the closing quote",
		`A='hunter2'hunter2`:          "line 1: there is text after the closing quote",
		`A='hunter2'#note`:            "line 1: there is text after the closing quote",
		`A="hunter2\$x"`:              `line 1: unknown escape in double quotes: only \n, \t, \" and \\ are known; use single quotes for literal text`,
		"A=b\x00c":                    "contains a NUL byte; save it as UTF-8 text",
		"A=\xff":                      "is not UTF-8 text",
		"\xff\xfeA\x00=\x00":          "contains a NUL byte; save it as UTF-8 text",
		strings.Repeat("#", 64<<10+1): "is larger than 64 KiB",
	} {
		pairs, err := ParseEnv([]byte(text))
		if err == nil || err.Error() != want || pairs != nil {
			t.Errorf("%.40q gives %v, %v; want %s", text, pairs, err, want)
		}
	}
	if _, err := ParseEnv([]byte(strings.Repeat("#", 64<<10))); err != nil {
		t.Errorf("64 KiB are allowed: %v", err)
	}
}

func TestLineNumbers(t *testing.T) {
	pairs, err := ParseEnv([]byte("\n# a\nA=b\r\n\nB=c"))
	if err != nil || len(pairs) != 2 || pairs[0].Line != 3 || pairs[1].Line != 5 {
		t.Errorf("%+v, %v", pairs, err)
	}
}

// quote writes value as the parser must read it back.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(value) + `"`
}

// errorWords is all that an error of ParseEnv may consist of.
var errorWords = regexp.MustCompile(`^(is larger than 64 KiB|contains a NUL byte; save it as UTF-8 text|is not UTF-8 text|` +
	`line \d+: ([A-Za-z_][A-Za-z0-9_]* is already set on line \d+|is not NAME=VALUE|the name before = must be letters, digits and underscores|` +
	`the (single|double) quote is not closed on this line|there is text after the closing quote|unknown escape in double quotes: .* use single quotes for literal text))$`)

func FuzzParseEnv(f *testing.F) {
	for _, seed := range []string{
		"A=b", "export A='b c' # d\r\nB=\"x\\n\\\"\"", "\ufeff# a\nA=b\nA=c", "A=\"\\", "A=$b${c}", "=", "'", "A='", "export", "export =", "A=b #", "\x00", "\xff", "LIVEKIT_API_SECRET=aB3$x#y z\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pairs, err := ParseEnv(data)
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !errorWords.MatchString(line) {
					t.Errorf("an error says %q", line)
				}
			}
			return
		}
		var again strings.Builder
		seen := map[string]bool{}
		for _, p := range pairs {
			if seen[p.Name] || !validName(p.Name) || p.Line < 1 {
				t.Fatalf("pair %+v", p)
			}
			seen[p.Name] = true
			again.WriteString(p.Name + "=" + quote(p.Value.Reveal()) + "\n")
		}
		if again.Len() > maxEnvFile { // quoting made it longer
			return
		}
		back, err := ParseEnv([]byte(again.String()))
		if err != nil || len(back) != len(pairs) {
			t.Fatalf("%q does not come back: %v", again.String(), err)
		}
		for i, p := range pairs {
			if back[i].Name != p.Name || back[i].Value != p.Value {
				t.Fatalf("%s came back as another pair", p.Name)
			}
		}
	})
}
