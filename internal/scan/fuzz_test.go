package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzScan: whatever is around it, a planted secret is found; whatever a file
// holds, nothing panics and no excerpt shows the secret.
func FuzzScan(f *testing.F) {
	secret := testSecrets["BASE64"]
	s := scannerFor(map[string]string{"A": secret})
	s.bounds.chunk, s.bounds.floor = 1<<10, 64<<10
	plants := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("x" + secret)), url.QueryEscape(secret)}
	for i, before := range []string{"", "a=", "eyJhbGciOiJIUzI1NiJ9.eyJ2aWRlbyI6e319.", "LIVEKIT_API_SECRET=", "APIaB3dE5gH7jK9: ", "-----BEGIN PRIVATE " + "KEY-----\n",
		"\x00\xff", "PK\x03\x04", "sk_" + "live_", "%", `\`, secret[:20], secret[5:]} {
		f.Add([]byte(before), []byte(before), i)
	}
	f.Add(gzOf(f, []byte("x")), []byte{}, 0)
	f.Add(tarOf(f, map[string]string{"a": "b"}), []byte{}, 1)
	f.Add(zipOf(f, map[string]string{"a": "b"}), []byte{}, 2)
	f.Fuzz(func(t *testing.T, before, after []byte, pick int) {
		plant := plants[max(pick%len(plants), -pick%len(plants))]
		content := append(append(bytes.Clone(before), plant...), after...)
		r := &run{Scanner: s, buf: make([]byte, behind+s.bounds.chunk+s.ahead)}
		if err := r.stream(t.Context(), "f", bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, find := range r.report.Finds {
			found = found || strings.HasPrefix(find.Kind, "A, ") && find.Offset >= int64(len(before)) && find.Offset <= int64(len(before)+2)
			if strings.Contains(find.Excerpt, secret[:8]) {
				t.Fatalf("%q shows the secret", find.Excerpt)
			}
		}
		if !found && r.report.More == 0 {
			t.Fatalf("not found in %q: %+v", content, r.report)
		}
		whole := &counted{run: r, Reader: bytes.NewReader(content), at: bytes.NewReader(content), size: int64(len(content))}
		if err := r.file(t.Context(), "f", whole); err != nil {
			t.Fatal(err)
		}
	})
}

// program is what a bundle is like: words, punctuation and the beginnings of
// much that is looked for.
func program(size int) []byte {
	var b bytes.Buffer
	for b.Len() < size {
		b.WriteString(`function e(t,n){return t.apiKey="pk_live_` + randomText(8, letters) + `",n.map((e=>e.livekit&&void 0!==e.secret))}` + "\n")
		b.WriteString(`{"mappings":"` + base64.StdEncoding.EncodeToString(randomBytes(300)) + `","version":3,"API":"` + randomText(5, letters) + "\"}\n")
		b.WriteString(strings.Repeat("the quick brown fox jumps over the lazy dog; ", 10) + "\n")
	}
	return b.Bytes()[:size]
}

func tenSecrets() map[string]string {
	secrets := map[string]string{}
	for i := range 10 {
		secrets[string(rune('A'+i))] = randomText(44, letters+"+/") + "+/=="
	}
	return secrets
}

// speed looks at content once, and returns how long it takes.
func speed(tb testing.TB, s *Scanner, content []byte) time.Duration {
	r := &run{Scanner: s, buf: make([]byte, behind+s.bounds.chunk+s.ahead)}
	start := time.Now()
	if err := r.stream(tb.Context(), "f", bytes.NewReader(content)); err != nil {
		tb.Fatal(err)
	}
	return time.Since(start)
}

// TestHostileTextIsNotMuchSlower: texts that are full of beginnings of secrets
// cost a bounded number of times what a program costs.
func TestHostileTextIsNotMuchSlower(t *testing.T) {
	const size, most = 128 << 10, 400
	secrets := tenSecrets()
	s, plain := scannerFor(secrets), program(size)
	fill := func(text string) []byte { return bytes.Repeat([]byte(text), size/len(text)) }
	for name, content := range map[string][]byte{
		"tokens": fill("eyJa"), "tokens with points": fill("eyJ" + strings.Repeat("a", 500) + ".eyJ" + strings.Repeat("b", 3000)),
		"keys": fill("APIaB3dE5gH7jK9 "), "names": fill("livekit_secret="), "lines": fill("BEGIN-----"), "stripe": fill("sk_" + "live_"),
		"secret": fill(secrets["A"][:len(secrets["A"])-1]), "percent": fill("%41%42%"), "backslash": fill(`\`),
		"ampersand": fill("&amp;"), "percent again": fill("%2525"), "begun and escaped": fill(secrets["A"][:20] + strings.Repeat(`\`, 30)),
		"pem": fill("-----BEGIN PRIVATE " + "KEY-----\n"),
	} {
		factor := 2.0 * most
		for try := 0; try < 3 && factor > most; try++ { // a machine under load spoils one measurement, not three
			factor = min(factor, float64(speed(t, s, content))/float64(speed(t, s, plain)))
		}
		t.Logf("%s: %.1f times a program", name, factor)
		if factor > most {
			t.Errorf("%s: %.0f times what a program costs", name, factor)
		}
	}
}

// BenchmarkScan is the figure in docs/operations.md: ten secrets, one core.
func BenchmarkScan(b *testing.B) {
	s := scannerFor(tenSecrets())
	for name, content := range map[string][]byte{"bundle": program(16 << 20), "random": bytes.Repeat(randomBytes(1<<20), 16)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				speed(b, s, content)
			}
		})
	}
}
