package config

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestWeakSecretsAreRefused(t *testing.T) {
	for secret, want := range map[string]weakness{
		goodJWT:                                                                        strong,
		"0f8e2b6c9d1a4735be60c2f98a7d3e14":                                             strong, // openssl rand -hex 16
		"7c1fd3b0-5a9e-4c52-8d67-2e90ab41f3c8":                                         strong, // a UUID
		"correct horse battery staple and more 7":                                      strong,
		"${JWT_SECRET_FROM_THE_ENVIRONMENT}":                                           placeholder,
		"${{shared.JWT_SECRET_SHARED_VALUE}}":                                          placeholder,
		"{{ .Values.stagedoor.jwtSecretValue }}":                                       placeholder,
		"$(cat /run/secrets/jwt_secret_file_x)":                                        placeholder,
		"op://vault/stagedoor/jwt-signing-key":                                         placeholder,
		"$JWT_SIGNING_KEY_OF_THE_BACKEND_SERVICE":                                      placeholder,
		"%JWT_SIGNING_KEY_OF_THE_BACKEND_SERVICE%":                                     placeholder,
		"-----BEGIN PUBLIC KEY-----\\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A":                public,
		`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}`: public,
		// An EC and an RSA key in one line, as consoles show them.
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==": public,
		"twelve bytes":                    short,
		strings.Repeat("k7Qp", 7) + "abc": short, // 31 bytes
		"super-secret-jwt-token-with-at-least-32-characters-long": placeholder,
		"your-256-bit-secret":                                                   placeholder,
		"my your-secret-goes-here-and-is-long-enough":                           placeholder,
		"CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET":                                  placeholder,
		"please-replace-me-before-going-live-00":                                placeholder,
		"<the secret of your LiveKit project, 32 bytes>":                        placeholder,
		"an-example-secret-that-is-long-enough-0":                               placeholder,
		"a-string-secret-at-least-256-bits-long":                                published,
		"A-String-Secret-At-Least-256-Bits-Long":                                published,
		"reallyreallyreallyreallyverysafe":                                      published,
		"404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970":      published,
		"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7":      published,
		"MasterkeyNeedsToHave32Characters":                                      placeholder,
		"kZaOTd+YZpjRUyyuQUpigJaEMk4vcW4YOymKPZX0Ts8=":                          published,
		strings.Repeat("a", 40):                                                 repetitive,
		"aabbaabbabababbabbaabababbabbbabaabb":                                  repetitive,
		"0123456789abcdef0123456789abcdef":                                      published,
		"0123456789abcde-0123456789abcde-":                                      repetitive,
		"secretsecretsecretsecretsecretsecret":                                  repetitive,
		"kX9-mQ2_kX9-mQ2_kX9-mQ2_kX9-mQ2_kX9":                                   repetitive,
		"x7xx77x7x7xx7x77xx7x7x77x7xx7x77xxx7":                                  repetitive,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ":                                  repetitive,
		"zyxwvutsrqponmlkjihgfedcba9876543210":                                  repetitive,
		goodJWT + goodJWT:                                                       strong, // as good as one of them
		"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg":                           published,
		"SecretKey012345678901234567890123456789012345678901234567890123456789": placeholder,
	} {
		if got := weaknessOf(secret, 32); got != want {
			t.Errorf("weaknessOf(%q) is %d, want %d", secret, got, want)
		}
	}
}

// A random secret must never be refused: measured on the forms in which
// operators make them.
func TestRandomSecretsPass(t *testing.T) {
	random := rand.NewChaCha8([32]byte{'s', 't', 'a', 'g', 'e'})
	forms := map[string]func() string{
		"hex 16":    func() string { return hex.EncodeToString(bytesFrom(random, 16)) },
		"hex 32":    func() string { return hex.EncodeToString(bytesFrom(random, 32)) },
		"base64":    func() string { return base64.StdEncoding.EncodeToString(bytesFrom(random, 48)) },
		"base64url": func() string { return base64.RawURLEncoding.EncodeToString(bytesFrom(random, 64)) },
		"letters": func() string {
			const letters = "abcdefghijklmnopqrstuvwxyz"
			b := bytesFrom(random, 40)
			for i := range b {
				b[i] = letters[int(b[i])%len(letters)]
			}
			return string(b)
		},
	}
	n := 10_000
	if testing.Short() {
		n = 1_000
	}
	for name, form := range forms {
		for range n {
			if s := form(); weaknessOf(s, 32) != strong {
				t.Errorf("%s: %q is refused as %d", name, s, weaknessOf(s, 32))
			}
		}
	}
}

// Each as its source writes it: a slip in the list would go unnoticed.
func TestPublishedSecretsAreKnown(t *testing.T) {
	for _, secret := range []string{
		"a-string-secret-at-least-256-bits-long",
		"a-valid-string-secret-that-is-at-least-384-bits-long",
		"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
		"super-secret-jwt-token-with-at-least-32-characters-long",
		"your-super-secret-jwt-token-with-at-least-32-characters-long",
		"UpNVntn3cDxHJpq99YMc1T1AQgQpc8kfYTuRgBiYa15BLrx8etQoXz3gZv1/u2oq",
		"reallyreallyreallyreallyverysafe",
		"3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R",
		"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
		"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
		"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
		"09f26e402586e2faa8da4c98a35f1b20d6b033c60",
		"09f26e402586e2faa8da4c98a35f1b20d6b033c6097befa8be3486a829587fe2f90a832bd3ff9d42710a4da095a2ce285b009f0c3730cd9b8e1af3eb84df6611",
		"404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
		"3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
		"5367566B59703373367639792F423F4528482B4D6251655468576D5A71347437",
		"ByYM000OLlMQG6VVVp1OH7Xzyr7gHuw1qvUC5dcGt3SNM",
		"JWTAuthenticationHIGHsecuredPasswordVVVp1OH7Xzyr",
		"this is my custom Secret key for authentication",
		"THIS IS USED TO SIGN AND VERIFY JWT TOKENS, REPLACE IT WITH YOUR OWN SECRET, IT CAN BE ANY STRING",
		"bbe7d157-a253-4094-9759-06a8236543f9",
		"sk-9f73s3ljTXVcMT3Blb3ljTqtsKiGHXVcMT3BlbkFJLK7U",
		"kZaOTd+YZpjRUyyuQUpigJaEMk4vcW4YOymKPZX0Ts8=",
		"dBSXqFg9TaNUEDXVp6fhMTRLBysP+j2DSqf7+raxD3A=",
		"255d861b-5ea1-5996-9aa3-922530ec40b1",
		"6116487b-cda1-52c2-b5b5-c8022c45e263",
		"SecretKey012345678901234567890123456789012345678901234567890123456789",
		"edd1c9f034335f136f87ad84b625c8f1",
		"4054f7cf07e344346cd3f287985e76a2",
		"MasterkeyNeedsToHave32Characters",
	} {
		if !knownWeak(secret) {
			t.Errorf("%s is not known", secret)
		}
	}
}

func bytesFrom(random *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	_, _ = random.Read(b) // never fails
	return b
}

func TestStrengthDependsOnTheMode(t *testing.T) {
	const published = "a-string-secret-at-least-256-bits-long"
	check(t, []rule{
		{"short LiveKit secret", Serve, []string{"LIVEKIT_API_SECRET=tooshort"}, []string{"LIVEKIT_API_SECRET: shorter than 32 bytes"}, nil},
		{"livekit-server --dev", Serve, []string{"LIVEKIT_API_KEY=devkey", "LIVEKIT_API_SECRET=secret"}, []string{"LIVEKIT_API_SECRET: shorter than 32 bytes"}, nil},
		{"livekit-server --dev in dev", Dev, []string{"LIVEKIT_API_KEY=devkey", "LIVEKIT_API_SECRET=secret"}, nil, nil},
		{"livekit-server --dev for a tool", Tool, []string{"LIVEKIT_API_KEY=devkey", "LIVEKIT_API_SECRET=secret"}, nil, []string{"LIVEKIT_API_SECRET: shorter"}},
		{"published LiveKit secret", Serve, []string{"LIVEKIT_API_SECRET=" + published}, []string{"LIVEKIT_API_SECRET: published"}, nil},
		{"published LiveKit secret in dev", Dev, []string{"LIVEKIT_API_SECRET=" + published}, nil, []string{"LIVEKIT_API_SECRET: published"}},
		{"short JWT_SECRET in dev", Dev, []string{"JWT_SECRET=tooshort"}, []string{"JWT_SECRET: shorter than 32 bytes"}, nil},
		{"published JWT_SECRET", Serve, []string{"JWT_SECRET=" + published}, []string{"JWT_SECRET: published"}, nil},
		{"weak previous secret", Serve, []string{"JWT_SECRET_PREVIOUS=" + strings.Repeat("ab", 20)}, []string{"JWT_SECRET_PREVIOUS: pattern"}, nil},
		{"31 bytes", Serve, []string{"JWT_SECRET=" + goodJWT[:31]}, []string{"JWT_SECRET: shorter than 32 bytes"}, nil},
		{"32 bytes", Serve, []string{"JWT_SECRET=" + goodJWT[:32]}, nil, nil},
		{"short ADMIN_TOKEN", Serve, []string{"ADMIN_TOKEN=tooshort"}, []string{"ADMIN_TOKEN: shorter than 32 bytes"}, nil},
		{"JWT_SECRET is nothing to a tool", Tool, []string{"JWT_SECRET=tooshort"}, nil, nil},
	})
}

// If the two are equal, every LiveKit token, which is signed HS256 with a sub
// and an exp, is also a caller's token.
func TestEqualSecretsAreRefused(t *testing.T) {
	check(t, []rule{
		{"callers' and LiveKit's", Serve, []string{"JWT_SECRET=" + goodLiveKit}, []string{"JWT_SECRET: equals LIVEKIT_API_SECRET: every LiveKit token that the door signs would authenticate"}, nil},
		{"in dev too", Dev, []string{"JWT_SECRET=" + goodLiveKit}, []string{"JWT_SECRET: equals LIVEKIT_API_SECRET"}, nil},
		{"callers' previous and LiveKit's", Serve, []string{"JWT_SECRET_PREVIOUS=" + goodLiveKit}, []string{"JWT_SECRET_PREVIOUS: would authenticate"}, nil},
		{"callers' and LiveKit's previous", Serve, []string{"LIVEKIT_API_KEY_PREVIOUS=APIold", "LIVEKIT_API_SECRET_PREVIOUS=" + goodJWT}, []string{"JWT_SECRET: equals LIVEKIT_API_SECRET_PREVIOUS: every LiveKit token"}, nil},
		{"nothing rotated", Serve, []string{"JWT_SECRET_PREVIOUS=" + goodJWT}, []string{"JWT_SECRET_PREVIOUS: equals JWT_SECRET: nothing was rotated"}, nil},
		{"the admin's", Serve, []string{"ADMIN_TOKEN=" + goodJWT}, []string{"ADMIN_TOKEN: equals JWT_SECRET: each secret"}, nil},
		{"three alike", Serve, []string{"ADMIN_TOKEN=" + goodJWT, "ADMIN_TOKEN_PREVIOUS=" + goodJWT},
			[]string{"ADMIN_TOKEN: equals JWT_SECRET", "ADMIN_TOKEN_PREVIOUS: equals JWT_SECRET", "ADMIN_TOKEN_PREVIOUS: equals ADMIN_TOKEN"}, nil},
		{"a Stripe secret", Serve, []string{"JWT_SECRET=whsec_" + goodMore, "STRIPE_WEBHOOK_SECRET=whsec_a1b2c3d4e5f6g7h8,whsec_" + goodMore}, []string{"STRIPE_WEBHOOK_SECRET: equals JWT_SECRET"}, nil},
		{"the public key's name", Serve, []string{"LIVEKIT_API_KEY=" + goodLiveKit}, []string{"LIVEKIT_API_SECRET: equals LIVEKIT_API_KEY, which is public"}, nil},
		{"the public name elsewhere", Serve, []string{"LIVEKIT_API_KEY=" + goodJWT}, []string{"JWT_SECRET: equals LIVEKIT_API_KEY"}, nil},
	})
}

// TestInspectGivesWhatCanBeUsed: a configuration that serve refuses still says
// what else there is, and which of its problems are the secrets'.
func TestInspectGivesWhatCanBeUsed(t *testing.T) {
	environ := []string{"LIVEKIT_URL=ws://livekit.example.com", "LIVEKIT_API_KEY=APIkey", "LIVEKIT_API_SECRET=short", "JWT_SECRET=short", "FLY_APP_NAME=door", "LISTEN_ADDR=127.0.0.1:3000"}
	c, report := Inspect(environ, "testdata/empty.env")
	if c == nil || c.LiveKitURL != nil || c.LiveKitAPIKey != "APIkey" || !c.Platform {
		t.Fatalf("%+v", c)
	}
	weak := map[string]int{}
	for _, p := range report.Problems {
		if p.Weak {
			weak[p.Name]++
		}
	}
	if len(weak) != 2 || weak["LIVEKIT_API_SECRET"] != 1 || weak["JWT_SECRET"] != 2 || len(report.Problems) != 4 {
		t.Errorf("%v of %+v", weak, report.Problems)
	}
	if c, _ := Load(Serve, environ, "testdata/empty.env"); c != nil {
		t.Error("Load gives a configuration that has problems")
	}
}
