package scan

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"stagedoor"
)

// The secrets of these tests are made by a fixed source. None is written in
// this file: it would be a find.
var seed = rand.New(rand.NewPCG(1, 2))

func randomText(n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[seed.IntN(len(alphabet))]
	}
	return string(b)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(seed.IntN(256))
	}
	return b
}

// testSecrets are one of each kind: a key, base64 with all its characters, a
// password that every encoder escapes, one that is no ASCII, and bytes.
var testSecrets = map[string]string{
	"KEY":    randomText(32, letters),
	"BASE64": randomText(48, letters+"+/") + "+/==",
	"PASS":   `p/a&s+s "wo'r\d<%25>=?` + "\t~",
	"GREEK":  "μυστικό-κλειδί😀",
	"BYTES":  "\xff\xfe\x80\a\b\f\v\r\n\x01" + string(randomBytes(20)),
	"ENDS":   "abcdefgh%",
	"SHORT8": randomText(8, letters),
}

func scannerFor(secrets map[string]string, change ...func(*Options)) *Scanner {
	o := Options{}
	for name, value := range secrets {
		o.Secrets = append(o.Secrets, Secret{name, stagedoor.NewSecret(value)})
	}
	for _, c := range change {
		c(&o)
	}
	return New(o)
}

// look scans one file's content.
func look(t testing.TB, s *Scanner, content []byte) Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, content)
	return runOn(t, s, path)
}

func runOn(t testing.TB, s *Scanner, paths ...string) Report {
	t.Helper()
	report, err := s.Run(t.Context(), paths...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// spellings are what other people's encoders make of a secret, by the words
// that a find must have.
func spellings(secret string) map[string][]string {
	all := map[string][]string{", raw": {secret}, ", hex": {}, ", base64": {}, ", URL-escaped": {}, ", JSON-escaped": {}}
	h := hex.EncodeToString([]byte(secret))
	all[", hex"] = append(all[", hex"], h, strings.ToUpper(h), inLines(h, 3, "\n"), inLines(h, 2, ":"), inLines(h, 4, " "))
	for before := range 3 {
		for after := range 3 {
			packed := append(append(randomBytes(before), secret...), randomBytes(after)...)
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
				all[", base64"] = append(all[", base64"], e.EncodeToString(packed))
			}
			std := base64.StdEncoding.EncodeToString(packed)
			all[", base64"] = append(all[", base64"], inLines(std, 4+before, "\r\n"), url.QueryEscape(std), strings.ReplaceAll(std, "/", `\/`))
		}
	}
	percent, unicode, octal, twice := "", "", "", ""
	for i := range len(secret) {
		percent += fmt.Sprintf("%%%02x", secret[i])
		unicode += fmt.Sprintf(`\x%02X`, secret[i])
		octal += fmt.Sprintf(`\%03o`, secret[i])
		twice += fmt.Sprintf("%%25%02X", secret[i])
	}
	text, _ := json.Marshal(secret)
	for kind, escaped := range map[string][]string{
		", URL-escaped": {url.QueryEscape(secret), url.PathEscape(secret), percent, strings.ToUpper(percent), percent[:6] + secret[2:], twice,
			url.QueryEscape(url.QueryEscape(percent))},
		", JSON-escaped": {string(text[1 : len(text)-1]), strings.Trim(strconv.QuoteToASCII(secret), `"`), unicode, octal,
			strings.ReplaceAll(unicode, `\`, `\\\\`), continued(secret)},
	} {
		for _, e := range escaped {
			if e != secret && !(kind == ", JSON-escaped" && (strings.Contains(e, `\ufffd`) || strings.Contains(e, `\U`))) {
				all[kind] = append(all[kind], e)
			}
		}
	}
	return all
}

// continued writes a secret as a program does that is too long for its line.
func continued(secret string) string {
	_, first := utf8.DecodeRuneInString(secret)
	_, second := utf8.DecodeRuneInString(secret[first:])
	return secret[:first] + "\\\n" + secret[first:first+second] + "\\\r\n" + secret[first+second:]
}

func inLines(text string, width int, br string) string {
	var b strings.Builder
	for i := 0; i < len(text); i += width {
		b.WriteString(text[i:min(len(text), i+width)] + br)
	}
	return b.String()
}

// TestEverySpellingIsFoundWhereverReadsEnd moves every spelling over the borders
// of chunks and of reads.
func TestEverySpellingIsFoundWhereverReadsEnd(t *testing.T) {
	for name, secret := range testSecrets {
		s := scannerFor(map[string]string{name: secret})
		s.ahead = 0
		for _, n := range s.needles {
			if n.form != nil {
				s.ahead = max(s.ahead, n.form.longest())
			}
		}
		s.bounds.chunk = 16
		buf := make([]byte, behind+s.bounds.chunk+s.ahead)
		for kind, all := range spellings(secret) {
			for _, text := range all {
				for at := range 2 * s.bounds.chunk {
					before := behind + 2*s.bounds.chunk + at
					if at >= s.bounds.chunk { // over the end of what is read, too
						before = len(buf) - 1 - at + s.bounds.chunk
					}
					content := strings.Repeat("\n", before) + text + strings.Repeat(" ", s.ahead+64)
					source := io.Reader(strings.NewReader(content))
					if before%5 == 0 {
						source = iotest.OneByteReader(source)
					}
					r := &run{Scanner: s, buf: buf}
					if err := r.stream(t.Context(), "x", source); err != nil {
						t.Fatal(err)
					}
					if f := r.report.Finds; len(f) != 1 || f[0].Kind != name+kind || f[0].Line != 1+before || f[0].Offset < int64(before) || f[0].Offset > int64(before+8) {
						t.Fatalf("%s%s at %d: %q: %+v", name, kind, before, text, f)
					}
				}
			}
		}
	}
}

// TestLongSecretIsFound: what is kept around the borders of reads grows with
// the secrets.
func TestLongSecretIsFound(t *testing.T) {
	secret := randomText(20_000, letters)
	escaped := hex.EncodeToString([]byte(secret))
	var text strings.Builder
	for i := 0; i < len(escaped); i += 2 {
		text.WriteString(`\x` + escaped[i:i+2])
	}
	content := strings.Repeat(" ", 250<<10) + text.String() + strings.Repeat(" ", 250<<10)
	if r := look(t, scannerFor(map[string]string{"A": secret}), []byte(content)); len(r.Finds) != 1 || r.Finds[0].Offset != 250<<10 {
		t.Errorf("%+v", r)
	}
}

func TestSecretShorterThanEightBytesIsNotLookedFor(t *testing.T) {
	short := randomText(7, letters)
	if r := look(t, scannerFor(map[string]string{"A": short}), []byte(short)); !r.Clean() {
		t.Errorf("%+v", r)
	}
}

// TestOutputNeverHoldsASecret plants secrets, and halves of them, everywhere
// around a find, and in names.
func TestOutputNeverHoldsASecret(t *testing.T) {
	dir := t.TempDir()
	secret, other := testSecrets["KEY"], randomText(32, letters)
	s := scannerFor(map[string]string{"A": secret, "B": other})
	stripe := "sk_" + "live_" + other[:24]
	b64 := base64.StdEncoding.EncodeToString([]byte(secret))
	content := strings.Join([]string{secret + "=" + secret, other + secret + ": " + stripe, `{"` + other + `":"` + secret + `"}`,
		secret[:16] + "=" + other, secret[16:] + " = " + other, "k_" + secret[:5] + "=" + other, b64[4:20] + " = " + other,
		"x" + hex.EncodeToString([]byte(secret))[1:31] + "=" + stripe, "password=" + stripe, "\x1b[31m" + other}, "\n")
	write(t, filepath.Join(dir, secret+".js"), []byte(content))
	write(t, filepath.Join(dir, other, "image.tar"), tarOf(t, map[string]string{secret + "/a\x1b[1m": content}))
	report := runOn(t, s, dir)
	out, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Finds) < 25 || !strings.Contains(string(out), "password = ****") || strings.Count(string(out), "in the name") != 3 {
		t.Fatalf("%d finds: %s", len(report.Finds), out)
	}
	folded := strings.ToLower(string(out) + fmt.Sprintf("%v %+v %#v", s, s, s))
	for _, hidden := range []string{secret, other, b64, hex.EncodeToString([]byte(secret))} {
		for i := range len(hidden) - 5 {
			if strings.Contains(folded, strings.ToLower(hidden[i:i+5])) {
				t.Fatalf("five bytes of a secret are in %s", out)
			}
		}
	}
	if strings.Contains(string(out), `\u001b`) || strings.Contains(string(out), "\x1b") {
		t.Errorf("an escape of terminals in %s", out)
	}
}

func TestSecretIsNamedAndItsShapeNotSaidAgain(t *testing.T) {
	key := "sk_" + "live_" + randomText(24, letters)
	r := look(t, scannerFor(map[string]string{"STRIPE_SECRET_KEY": key}), []byte("a\nb "+key+" "+base64.StdEncoding.EncodeToString([]byte("x"+key))))
	if len(r.Finds) != 2 || r.Finds[0].Kind != "STRIPE_SECRET_KEY, raw" || r.Finds[0].Line != 2 || r.Finds[1].Kind != "STRIPE_SECRET_KEY, base64" {
		t.Errorf("%+v", r.Finds)
	}
}

func TestBinaryFileGivesOffsets(t *testing.T) {
	secret := testSecrets["KEY"]
	for content, offset := range map[string]int64{"\x7fELF\x00\n\n" + secret + "\x00": 7, "\xff\xfe\x80\n" + secret: 4} {
		r := look(t, scannerFor(map[string]string{"A": secret}), []byte(content))
		if binary := strings.Contains(content, "\x00"); len(r.Finds) != 1 || r.Finds[0].Offset != offset && binary || (r.Finds[0].Line == 0) != binary {
			t.Errorf("%q: %+v", content, r)
		}
	}
	wide := "\xff\xfe"
	for _, c := range "a\nb = " + secret {
		wide += string([]byte{byte(c), 0})
	}
	if r := look(t, scannerFor(map[string]string{"A": secret}), []byte(wide)); len(r.Finds) != 1 || r.Finds[0].Line != 2 {
		t.Errorf("UTF-16: %+v", r)
	}
}

func TestHugeLineAndManyFinds(t *testing.T) {
	secret := testSecrets["BASE64"]
	content := append(bytes.Repeat([]byte("x"), 1<<20), secret...)
	r := look(t, scannerFor(map[string]string{"A": secret}), content)
	if len(r.Finds) != 1 || r.Finds[0].Line != 1 || r.Finds[0].Offset != 1<<20 || len(r.Finds[0].Excerpt) > 60 {
		t.Errorf("%+v", r)
	}
	r = look(t, scannerFor(map[string]string{"A": secret}), bytes.Repeat([]byte(secret+"\n"), 5_000))
	if len(r.Finds) != mostInFile || r.More != 5_000-mostInFile || r.Finds[99].Line != 100 {
		t.Errorf("%d finds, %d more", len(r.Finds), r.More)
	}
}

func TestSourceThatFailsIsReported(t *testing.T) {
	secret := testSecrets["KEY"]
	broken := io.MultiReader(strings.NewReader(secret), iotest.ErrReader(errors.New("no such luck")))
	s := scannerFor(map[string]string{"A": secret}, func(o *Options) { o.Stdin = broken })
	if r := runOn(t, s, "-"); len(r.Finds) != 1 || len(r.Unread) != 1 || r.Unread[0].Reason != "cannot be read: no such luck" || r.Clean() {
		t.Errorf("%+v", r)
	}
}

func TestInterruptedScanEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := scannerFor(nil, func(o *Options) {
		o.Stdin = endless{}
		o.Progress = func(string, int64, int64) { cancel() }
	})
	if _, err := s.Run(ctx, "-"); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Error(err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
