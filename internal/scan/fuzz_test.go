package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
)

// FuzzScan: whatever is around it, a planted secret is found, and whatever a
// file holds, nothing panics.
func FuzzScan(f *testing.F) {
	secret := testSecrets["BASE64"]
	o := optionsFor(map[string]string{"A": secret})
	x := newIndex(o.Secrets)
	plants := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("x" + secret)), url.QueryEscape(secret)}
	for i, before := range []string{"", "a=", "LIVEKIT_API_SECRET=", "APIaB3dE5gH7jK9: ", "\x00\xff", "PK\x03\x04", "sk_" + "live_", "%", `\`, secret[:20], secret[5:]} {
		f.Add([]byte(before), []byte(before), i)
	}
	f.Add(gzOf(f, []byte("x")), []byte{}, 0)
	f.Add(tarOf(f, map[string]string{"a": "b"}), []byte{}, 1)
	f.Add(zipOf(f, map[string]string{"a": "b"}), []byte{}, 2)
	f.Fuzz(func(t *testing.T, before, after []byte, pick int) {
		plant := plants[max(pick%len(plants), -pick%len(plants))]
		content := append(append(bytes.Clone(before), plant...), after...)
		r := &run{index: x, buf: make([]byte, 2*x.reach+1<<10)}
		if err := r.stream(t.Context(), "f", bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		found := r.report.More > 0
		for _, find := range r.report.Finds {
			found = found || strings.HasPrefix(find.Kind, "A, ") && find.Offset >= int64(len(before)) && find.Offset <= int64(len(before)+2)
		}
		if !found {
			t.Fatalf("not found in %q: %+v", content, r.report)
		}
		o.Stdin = bytes.NewReader(content)
		if _, err := Run(t.Context(), o, "-"); err != nil {
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

// BenchmarkScan is the figure in docs/operations.md: ten secrets, one core.
// Hostile texts are full of beginnings of secrets. Each costs a regular
// expression, linear in time, over shapeReach bytes.
func BenchmarkScan(b *testing.B) {
	x := newIndex(optionsFor(tenSecrets()).Secrets)
	fill := func(text string) []byte { return bytes.Repeat([]byte(text), (128<<10)/len(text)) }
	for name, content := range map[string][]byte{
		"bundle": program(16 << 20), "random": bytes.Repeat(randomBytes(1<<20), 16),
		"hostile/keys": fill("APIaB3dE5gH7jK9:" + strings.Repeat(" secret=", 40)), "hostile/names": fill("livekit_secret="),
		"hostile/stripe": fill("sk_" + "live_" + randomText(256, letters)),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				r := &run{index: x, buf: make([]byte, 2*x.reach+chunk)}
				if err := r.stream(b.Context(), "f", bytes.NewReader(content)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
