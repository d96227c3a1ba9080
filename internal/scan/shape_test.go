package scan

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

// jwtOf makes a signed token.
func jwtOf(header, payload string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, []byte("k"))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const (
	jwtHeader = `{"alg":"HS256","typ":"JWT"}`
	jwtVideo  = `{"exp":1,"iss":"API","sub":"ann","video":{"roomJoin":true,"room":"red"}}`
)

func pemOf(label string, headers map[string]string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Headers: headers, Bytes: randomBytes(300)}))
}

func TestShapesAreFound(t *testing.T) {
	s := scannerFor(nil)
	key, value := "API"+randomText(12, letters), randomText(43, letters)
	ec := pemOf("EC PRIVATE "+"KEY", nil)
	for _, c := range []struct{ kind, content, excerpt string }{
		{"Stripe secret key (live)", `stripe = Stripe("sk_` + `live_` + randomText(24, letters) + `")`, mask},
		{"Stripe secret key (live)", `const KEY = 'sk_` + `live_51` + randomText(99, letters) + `'`, "KEY = ****"},
		{"Stripe secret key (test)", `"key":"sk_` + `test_` + randomText(24, letters) + `"`, "key = ****"},
		{"Stripe secret key (test)", "x7" + randomText(30, letters) + `=sk_` + `test_` + randomText(24, letters), mask},
		{"Stripe restricted key (live)", `x\nrk_` + `live_` + randomText(24, letters), mask},
		{"Stripe restricted key (test)", `rk_` + `test_` + randomText(99, letters), mask},
		{"Stripe webhook secret", `secret: wh` + `sec_` + randomText(32, letters), "secret = ****"},
		{"Stripe webhook secret", `wh` + `sec_` + randomText(32, letters+"+/") + `=`, mask},
		{"LiveKit API secret", "export LIVEKIT_API_SECRET=" + value, "LIVEKIT_API_SECRET = ****"},
		{"LiveKit API secret", `{"LIVEKIT_API_SECRET": "` + value + `"}`, "LIVEKIT_API_SECRET = ****"},
		{"LiveKit API secret", `\"livekitApiSecret\":\"` + value + `\"`, "livekitApiSecret = ****"},
		{"LiveKit API secret", `process.env["LIVEKIT_SECRET"] = '` + value + `'`, "LIVEKIT_SECRET = ****"},
		{"LiveKit API secret", "keys:\n  " + key + ": " + value, key + " = ****"},
		{"LiveKit API secret", "LIVEKIT_KEYS=\"" + key + ": " + value + "\"", key + " = ****"},
		{"LiveKit API secret", "new AccessToken('" + key + "', '" + value + "')", mask},
		{"LiveKit API secret", `{"apiKey":"` + key + `","apiSecret":"` + value + `"}`, "apiSecret = ****"},
		{"LiveKit API secret", "{\n      apiKey: '" + key + "',\n      apiSecret: '" + value + "'", "apiSecret = ****"},
		{"LiveKit API secret", "LK_KEY=" + key + "\nLK_SECRET=" + value, "LK_SECRET = ****"},
		{"LiveKit API secret", `LK_KEY=` + key + `\nLK_SECRET=` + value, "LK_SECRET = ****"},
		{"LiveKit token", "token=" + jwtOf(jwtHeader, jwtVideo), "token = ****"},
		{"LiveKit token", `a\n` + jwtOf(jwtHeader, jwtVideo), mask},
		{"LiveKit token", "?access_token%3D" + jwtOf(jwtHeader, jwtVideo), mask},
		{"LiveKit token", jwtOf(`{"typ":"JWT","kid":"a","alg":"HS256"}`, `{"video":{"roomAdmin":true},"metadata":"`+strings.Repeat("m", 30_000)+`"}`), mask},
		{"private key", ec, mask},
		{"private key", pemOf("PRIVATE "+"KEY", nil), mask},
		{"private key", pemOf("RSA PRIVATE "+"KEY", map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}), mask},
		{"private key", `"key": "` + strings.ReplaceAll(ec, "\n", `\n`) + `"`, "key = ****"},
		{"private key", strings.ReplaceAll(ec, "\n", "\r\n"), mask},
		{"LiveKit API secret", "LK_KEY=" + key + "\nLK_SECRET=r" + value, "LK_SECRET = ****"},
		{"LiveKit API secret", `LK_KEY=` + key + `\nLK_SECRET=n` + value, "LK_SECRET = ****"},
		{"LiveKit API secret", `{\"apiKey\":\"` + key + `\",\"apiSecret\":\"t` + value + `\"}`, "apiSecret = ****"},
	} {
		r := look(t, s, []byte("text "+c.content+" text"))
		if len(r.Finds) != 1 || r.Finds[0].Kind != c.kind || r.Finds[0].Excerpt != c.excerpt {
			t.Errorf("%s: %.200s\n%+v", c.kind, c.content, r.Finds)
		}
	}
}

func TestKeyInFrontOfAKeyIsNotShown(t *testing.T) {
	one := "sk_" + "live_" + randomText(24, "aBcDeFgHiJkLmNoP")
	if r := look(t, scannerFor(nil), []byte(one+" = "+one)); len(r.Finds) != 2 || r.Finds[1].Excerpt != mask {
		t.Errorf("%+v", r.Finds)
	}
}

func TestWhatIsNoSecretIsNotFound(t *testing.T) {
	s := scannerFor(nil)
	key, value := "API"+randomText(12, letters), randomText(43, letters)
	for _, content := range []string{
		"pk_" + "live_" + randomText(24, letters), "pk_" + "test_" + randomText(99, letters), key, "LIVEKIT_API_KEY=" + key + "\nPORT=3000",
		"sk_test_...", "sk_live_…", "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx", "sk_test_your_key_here", "sk_live_" + strings.Repeat("*", 24), "sk_live_YOURKEY1234567890abcdef",
		"sk_test_4eC39HqLyjW" + "DarjtT1zdp7dc", "sk_test_BQokikJOvBiI2" + "HlWgH4olfQ2", "task_live_reloadedconfiguration", "sk_live_" + randomText(15, letters),
		"whsec_xxx", "whsec_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "whsec_...", "<secret>", "whsec_your_signing_secret",
		"LIVEKIT_API_SECRET=", "LIVEKIT_API_SECRET=<secret>", "LIVEKIT_API_SECRET=${LIVEKIT_API_SECRET}", "LIVEKIT_API_SECRET=your-api-secret",
		"LIVEKIT_API_SECRET=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx1A", "LIVEKIT_API_SECRET: process.env.LIVEKIT_API_SECRET", "livekitApiSecret = configuration.secrets",
		"livekitApiSecret = loadSecretFromTheVaultOfTheHouse()", "LIVEKIT_API_SECRET_FILE=/run/secrets/livekit-api-secret-2", "LIVEKIT_API_SECRET=secret",
		"APIRequestContext, somethingElseEntirelyAndVeryLong", "x" + key + ": " + value, "keys: {" + key + ": your-secret}", key + " " + value,
		strings.ReplaceAll(base64.StdEncoding.EncodeToString(randomBytes(60)), "A", "B") + key + "\n" + value,
		jwtOf(jwtHeader, `{"sub":"ann","exp":1}`), jwtOf(jwtHeader, `{"video":true}`), "eyJhbGciOiJIUzI1NiJ9.eyJ2aWRlbyI6e319.", "eyJhbGciOi...",
		"-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", `strings.Contains(x, "-----BEGIN PRIVATE KEY-----") && somethingElse`,
		pemOf("CERTIFICATE", nil), pemOf("PUBLIC KEY", nil), "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("x", 64) + "\n",
	} {
		if r := look(t, s, []byte(content)); !r.Clean() {
			t.Errorf("%s: %+v", content, r.Finds)
		}
	}
}

// TestRandomDataHasNoFinds: a MiB of bytes, of hexadecimal and of base64.
func TestRandomDataHasNoFinds(t *testing.T) {
	s := scannerFor(testSecrets)
	data := make([]byte, 1<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{string(data), fmt.Sprintf("%x", data), base64.StdEncoding.EncodeToString(data), inLines(base64.StdEncoding.EncodeToString(data), 76, "\n")} {
		if r := look(t, s, []byte(content)); len(r.Finds) > 0 {
			t.Errorf("%+v", r.Finds)
		}
	}
}

// TestRealKeysAreMixed: what tells secrets from names lets hardly a secret through.
func TestRealKeysAreMixed(t *testing.T) {
	missed := 0
	for range 2000 {
		if !secretLike([]byte(randomText(43, letters))) {
			missed++
		}
		if !mixed([]byte(randomText(24, letters))) {
			missed++
		}
	}
	if missed > 20 { // one in two hundred
		t.Errorf("%d of 4000 random secrets are not taken for secrets", missed)
	}
}
