package config

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"testing"
)

// Each of these is among the first guesses of who has the list.
func TestPublishedSecretInDisguiseIsRefused(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, secret := range append(fromTheList, "reallyreallyreallyreallyverysafe") {
		for name, s := range map[string]string{
			"one more": secret + "1", "three more": secret + "!23", "three before": "123" + secret, "both ends": "x!" + secret + "123",
			"backwards": reversed(secret), "backwards and one more": reversed(secret) + "1",
			"base64 twice": b64(b64(secret)), "base64 of hexadecimal": b64(hex.EncodeToString([]byte(secret))), "base64 of one more": b64(secret + "1"),
			"a brand before it": "whsec_" + secret, "a brand before base64": "whsec_" + b64(secret),
		} {
			if got := weaknessOf(s, 32); got != published {
				t.Errorf("%s: %q is %d", name, s, got)
			}
		}
		if s := secret + "~k7Q"; weaknessOf(s, 32) != strong {
			t.Errorf("%q is refused for another reason than the list", s)
		}
	}
}

func TestHashOfACommonWordIsRefused(t *testing.T) {
	for _, word := range []string{"secret", "password", "livekit", "secret\n", ""} {
		sum256, sum384, sum512 := sha256.Sum256([]byte(word)), sha512.Sum384([]byte(word)), sha512.Sum512([]byte(word))
		for _, sum := range [][]byte{sum256[:], sum384[:], sum512[:]} {
			for _, s := range []string{hex.EncodeToString(sum), base64.StdEncoding.EncodeToString(sum), base64.RawURLEncoding.EncodeToString(sum), base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum)))} {
				if got := weaknessOf(s, 32); got != published {
					t.Errorf("the hash of %q, %s, is %d", word, s, got)
				}
			}
		}
	}
}

// A prefix that says whose secret it is does not make it another.
func TestBrandedSecretIsTheSameSecret(t *testing.T) {
	const spelt = " spelt otherwise"
	check(t, []rule{
		{"Stripe's webhook", Serve, []string{"STRIPE_WEBHOOK_SECRET=whsec_" + goodJWT}, []string{"STRIPE_WEBHOOK_SECRET: is JWT_SECRET" + spelt}, nil},
		{"in base64", Serve, []string{"STRIPE_WEBHOOK_SECRET=whsec_" + base64.RawStdEncoding.EncodeToString([]byte(goodJWT))}, []string{"STRIPE_WEBHOOK_SECRET: is JWT_SECRET" + spelt}, nil},
		{"the second of two", Serve, []string{"STRIPE_WEBHOOK_SECRET=whsec_a1b2c3d4e5f6g7h8,whsec_" + goodJWT}, []string{"STRIPE_WEBHOOK_SECRET: is JWT_SECRET" + spelt}, nil},
		{"Stripe's key", Serve, []string{"STRIPE_SECRET_KEY=sk_live_q7wJc2xYt9LrB4vNq7wJc2xYt9LrB4vN3", "ADMIN_TOKEN=q7wJc2xYt9LrB4vNq7wJc2xYt9LrB4vN3"}, []string{"ADMIN_TOKEN: is STRIPE_SECRET_KEY" + spelt}, nil},
		{"a restricted key and the webhook", Serve, []string{"STRIPE_SECRET_KEY=rk_live_q7wJc2xYt9LrB4vN", "STRIPE_WEBHOOK_SECRET=whsec_q7wJc2xYt9LrB4vN"}, []string{"STRIPE_WEBHOOK_SECRET: is STRIPE_SECRET_KEY" + spelt}, nil},
		{"both branded otherwise", Serve, []string{"JWT_SECRET=sk_test_" + goodMore, "STRIPE_WEBHOOK_SECRET=whsec_" + goodMore}, []string{"STRIPE_WEBHOOK_SECRET: is JWT_SECRET" + spelt}, nil},
		{"base64 twice", Serve, []string{"ADMIN_TOKEN=" + base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(goodJWT))))}, []string{"ADMIN_TOKEN: is JWT_SECRET" + spelt}, nil},
	})
}
