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
	"strings"
	"testing"
	"testing/iotest"

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

// testSecrets are a key, base64 with all its characters, a password that URL
// encoders escape, one that is no ASCII, bytes, and the shortest.
var testSecrets = map[string]string{
	"KEY":    randomText(32, letters),
	"BASE64": randomText(48, letters+"+/") + "+/==",
	"PASS":   `p/a&s+s "wo'r\d<%25>=?` + "\t~",
	"GREEK":  "μυστικό-κλειδί😀",
	"BYTES":  "\xff\xfe\x80\a\b\f\v\r\n\x01" + string(randomBytes(20)),
	"SHORT8": randomText(8, letters),
}

func optionsFor(secrets map[string]string) Options {
	o := Options{}
	for name, value := range secrets {
		o.Secrets = append(o.Secrets, Secret{Name: name, Value: stagedoor.NewSecret(value)})
	}
	return o
}

// runOn scans paths, which must exist.
func runOn(t testing.TB, o Options, paths ...string) Report {
	t.Helper()
	report, err := Run(t.Context(), o, paths...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// look scans a file with the content.
func look(t testing.TB, o Options, content []byte) Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, content)
	return runOn(t, o, path)
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// encoded is what other encoders make of a secret, by the end of a find's kind.
func encoded(secret string) map[string][]string {
	digits := hex.EncodeToString([]byte(secret))
	all := map[string][]string{", raw": {secret}, ", hex": {digits, strings.ToUpper(digits)}}
	for before := range 3 {
		for after := range 3 {
			packed := append(append(randomBytes(before), secret...), randomBytes(after)...)
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
				all[", base64"] = append(all[", base64"], e.EncodeToString(packed))
			}
		}
	}
	percent := ""
	for i := range len(secret) {
		percent += fmt.Sprintf("%%%02x", secret[i])
	}
	inQuery, inPath := url.QueryEscape(secret), url.PathEscape(secret)
	component := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(inQuery)
	for _, e := range []string{inQuery, inPath, component, percent, strings.ToUpper(percent)} {
		if e != secret {
			all[", URL-encoded"] = append(all[", URL-encoded"], e)
		}
	}
	return all
}

// The texts are moved over the borders of windows and of reads.
func TestEverySpelling_IsFoundWhereverReadsEnd(t *testing.T) {
	for name, secret := range testSecrets {
		x := newIndex(optionsFor(map[string]string{name: secret}).Secrets)
		x.reach = 0
		for _, p := range x.patterns {
			x.reach = max(x.reach, len(p.text))
		}
		const window = 16
		for kind, all := range encoded(secret) {
			for _, text := range all {
				for before := range 2*x.reach + 3*window {
					var source io.Reader = strings.NewReader(strings.Repeat("\n", before) + text + strings.Repeat(" ", 2*x.reach))
					if before%5 == 0 {
						source = iotest.OneByteReader(source)
					}
					r := &run{index: x, buf: make([]byte, 2*x.reach+window)}
					if err := r.stream(t.Context(), "x", source); err != nil {
						t.Fatal(err)
					}
					f := r.report.Finds
					if len(f) != 1 || f[0].Kind != name+kind || f[0].Line != 1+before || f[0].Offset < int64(before) || f[0].Offset > int64(before+3) {
						t.Fatalf("%s%s at %d: %q: %+v", name, kind, before, text, f)
					}
				}
			}
		}
	}
}

func TestLongSecret_IsFoundAtAWindowsEnd(t *testing.T) {
	secret := randomText(20_000, letters)
	content := strings.Repeat(" ", chunk-10_000) + hex.EncodeToString([]byte(secret)) + strings.Repeat(" ", chunk)

	r := look(t, optionsFor(map[string]string{"A": secret}), []byte(content))

	if len(r.Finds) != 1 || r.Finds[0].Offset != chunk-10_000 {
		t.Errorf("%+v", r)
	}
}

func TestSecretShorterThanEightBytes_IsNotLookedFor(t *testing.T) {
	short := randomText(7, letters)
	if r := look(t, optionsFor(map[string]string{"A": short}), []byte(short)); !r.Clean() {
		t.Errorf("%+v", r)
	}
}

// Secrets, and halves of them, stand around a find, in names and in members.
func TestReport_NeverHoldsASecret(t *testing.T) {
	dir := t.TempDir()
	secret, other := testSecrets["KEY"], randomText(32, letters)
	stripe := "sk_" + "live_" + other[:24]
	content := secret + "=" + secret + "\n" + other + ": " + stripe + "\n" + secret[:16] + "=" + other + "\x1b[31m"
	write(t, filepath.Join(dir, secret+".js"), []byte(content))
	write(t, filepath.Join(dir, other, "image.tar"), tarOf(t, map[string]string{secret + "/a\x1b[1m": content}))

	report := runOn(t, optionsFor(map[string]string{"A": secret, "B": other}), dir)

	out, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Finds) != 13 || strings.Count(string(out), "in the name") != 3 {
		t.Fatalf("%d finds: %s", len(report.Finds), out)
	}
	for _, hidden := range []string{secret, other} {
		for i := range len(hidden) - 5 {
			if strings.Contains(string(out), hidden[i:i+5]) {
				t.Fatalf("five bytes of a secret are in %s", out)
			}
		}
	}
	if strings.Contains(string(out), `\u001b`) || strings.Contains(string(out), "\x1b") {
		t.Errorf("a terminal escape in %s", out)
	}
}

func TestConfiguredStripeKey_IsReportedOnceByItsName(t *testing.T) {
	key := "sk_" + "live_" + randomText(24, letters)

	r := look(t, optionsFor(map[string]string{"STRIPE_SECRET_KEY": key}), []byte("a\nb "+key+" "+base64.StdEncoding.EncodeToString([]byte("x"+key))))

	if len(r.Finds) != 2 || r.Finds[0].Kind != "STRIPE_SECRET_KEY, raw" || r.Finds[0].Line != 2 || r.Finds[1].Kind != "STRIPE_SECRET_KEY, base64" {
		t.Errorf("%+v", r.Finds)
	}
}

func TestManyFinds_AreCountedAndListedToALimit(t *testing.T) {
	secret := testSecrets["BASE64"]

	r := look(t, optionsFor(map[string]string{"A": secret}), bytes.Repeat([]byte(secret+"\n"), 20_000))

	if len(r.Finds) != maxFinds || r.More != 20_000-maxFinds || r.Finds[999].Line != 1000 || r.Clean() {
		t.Errorf("%d finds, %d more", len(r.Finds), r.More)
	}
}

func TestReadError_IsReportedWithWhatWasFoundBefore(t *testing.T) {
	o := optionsFor(map[string]string{"A": testSecrets["KEY"]})
	o.Stdin = io.MultiReader(strings.NewReader(testSecrets["KEY"]), iotest.ErrReader(errors.New("no such luck")))

	r := runOn(t, o, "-")

	if len(r.Finds) != 1 || len(r.Unread) != 1 || r.Unread[0].Reason != "cannot be read: no such luck" || r.Clean() {
		t.Errorf("%+v", r)
	}
}

func TestMissingStdin_IsEmpty(t *testing.T) {
	if r := runOn(t, Options{}, "-"); !r.Clean() {
		t.Errorf("%+v", r)
	}
}

// cancelling cancels a context after its first read.
type cancelling struct{ cancel func() }

func (c cancelling) Read(p []byte) (int, error) {
	c.cancel()
	return len(p), nil
}

func TestRun_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())

	_, err := Run(ctx, Options{Stdin: cancelling{cancel}}, "-")

	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Error(err)
	}
}
