package scan

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestShapes_AreFound(t *testing.T) {
	key, value := "API"+randomText(12, letters), randomText(43, letters)
	for _, c := range []struct{ kind, content string }{
		{"Stripe secret key (live)", `stripe = Stripe("sk_` + `live_` + randomText(24, letters) + `")`},
		{"Stripe secret key (live)", `const KEY = 'sk_` + `live_51` + randomText(99, letters) + `'`},
		{"Stripe secret key (test)", `"key":"sk_` + `test_` + randomText(24, letters) + `"`},
		{"Stripe restricted key (live)", `x\nrk_` + `live_` + randomText(24, letters)},
		{"Stripe restricted key (test)", `rk_` + `test_` + randomText(99, letters)},
		{"Stripe webhook secret", `secret: wh` + `sec_` + randomText(32, letters)},
		{"Stripe webhook secret", `wh` + `sec_` + randomText(32, letters+"+/") + `=`},
		{"LiveKit API secret", "export LIVEKIT_API_SECRET=" + value},
		{"LiveKit API secret", `{"LIVEKIT_API_SECRET": "` + value + `"}`},
		{"LiveKit API secret", `\"livekitApiSecret\":\"` + value + `\"`},
		{"LiveKit API secret", `process.env["LIVEKIT_SECRET"] = '` + value + `'`},
		{"LiveKit API secret", "keys:\n  " + key + ": " + value},
		{"LiveKit API secret", "LIVEKIT_KEYS=\"" + key + ": " + value + "\""},
		{"LiveKit API secret", "new AccessToken('" + key + "', '" + value + "')"},
		{"LiveKit API secret", `{"apiKey":"` + key + `","apiSecret":"` + value + `"}`},
		{"LiveKit API secret", "{\n      apiKey: '" + key + "',\n      apiSecret: '" + value + "'"},
		{"LiveKit API secret", "LIVEKIT_API_KEY=" + key + "\nLIVEKIT_API_SECRET=" + value},
		{"LiveKit API secret", "LK_KEY=" + key + "\nLK_SECRET=" + value},
		{"LiveKit API secret", `LK_KEY=` + key + `\nLK_SECRET=n` + value},
		{"LiveKit API secret", `{\"apiKey\":\"` + key + `\",\"apiSecret\":\"t` + value + `\"}`},
	} {
		r := look(t, Options{}, []byte("text "+c.content+" text"))
		if len(r.Finds) != 1 || r.Finds[0].Kind != c.kind {
			t.Errorf("%s: %.200s\n%+v", c.kind, c.content, r.Finds)
		}
	}
}

func TestPublicKeysNamesAndPlaceholders_AreNotFound(t *testing.T) {
	key, value := "API"+randomText(12, letters), randomText(43, letters)
	for _, content := range []string{
		"pk_" + "live_" + randomText(24, letters), "pk_" + "test_" + randomText(99, letters), key, "LIVEKIT_API_KEY=" + key + "\nPORT=3000",
		"sk_test_...", "sk_live_…", "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx", "sk_test_your_key_here", "sk_live_" + strings.Repeat("*", 24), "sk_live_YOURKEY1234567890abcdef",
		"sk_test_4eC39HqLyjW" + "DarjtT1zdp7dc", "sk_test_BQokikJOvBiI2" + "HlWgH4olfQ2", "task_live_reloadedconfiguration", "sk_live_" + randomText(15, letters),
		"whsec_xxx", "whsec_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "whsec_...", "<secret>", "whsec_your_signing_secret",
		"LIVEKIT_API_SECRET=", "LIVEKIT_API_SECRET=<secret>", "LIVEKIT_API_SECRET=${LIVEKIT_API_SECRET}", "LIVEKIT_API_SECRET=your-api-secret",
		"LIVEKIT_API_SECRET=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx1A", "LIVEKIT_API_SECRET: process.env.LIVEKIT_API_SECRET", "livekitApiSecret = configuration.secrets",
		"livekitApiSecret = loadSecretFromTheVaultOfTheHouse()", "LIVEKIT_API_SECRET_FILE=/run/secrets/livekit-api-secret-2", "LIVEKIT_API_SECRET=secret",
		"APIRequestContext, somethingElseEntirelyAndVeryLong", "keys: {" + key + ": your-secret}", key + " " + value,
		"LIVEKIT_API_SECRET=7c9e6679-7425-40de-944b-e07fc1f90ae7",
	} {
		if r := look(t, Options{}, []byte(content)); !r.Clean() {
			t.Errorf("%s: %+v", content, r.Finds)
		}
	}
}

func TestRandomData_HasNoFinds(t *testing.T) {
	data := make([]byte, 1<<20)
	_, _ = rand.Read(data) // never fails
	for _, content := range []string{string(data), fmt.Sprintf("%x", data), base64.StdEncoding.EncodeToString(data)} {
		if r := look(t, optionsFor(testSecrets), []byte(content)); len(r.Finds) > 0 {
			t.Errorf("%+v", r.Finds)
		}
	}
}

func TestRealKeys_LookRandom(t *testing.T) {
	missed := 0
	for range 2000 {
		for _, secret := range []string{randomText(43, letters), "sk_" + "live_" + randomText(24, letters)} {
			if !random([]byte(secret)) {
				missed++
			}
		}
	}
	if missed > 20 {
		t.Errorf("%d of 4000 random secrets are not taken for secrets", missed)
	}
}
