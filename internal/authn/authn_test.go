package authn

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

func TestSharedSecretIsAccepted(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		p := mustAccept(t, a, shared(alg).sign(t, with(map[string]any{"name": "Ann"}), nil))
		if p.Issuer != SharedSecretIssuer || p.Subject != "ann" || p.Handle != "ann" || p.Name != "Ann" {
			t.Errorf("%s: %+v", alg, p)
		}
	}
}

func TestRotatedSecretIsAcceptedBesideTheNewOne(t *testing.T) {
	issuer := secretIssuer()
	issuer.Secrets = append(issuer.Secrets, stagedoor.NewSecret("the-previous-secret-of-32-bytes-or-more"))
	a := newAuth(t, newClock(), issuer)
	old := signer{method: jwt.SigningMethodHS256, private: []byte("the-previous-secret-of-32-bytes-or-more")}
	mustAccept(t, a, shared("HS256").sign(t, with(nil), nil))
	mustAccept(t, a, old.sign(t, with(nil), nil))
	old.private = []byte("a-third-secret-that-was-never-configured")
	mustRefuse(t, a, old.sign(t, with(nil), nil), stagedoor.InvalidToken)
}

func TestEveryOIDCAlgorithmIsAccepted(t *testing.T) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"} {
		s := newSigner(t, alg, "k1")
		p := newIDP(t, s)
		a := newAuth(t, newClock(), remoteIssuer(p))
		got := mustAccept(t, a, s.sign(t, with(map[string]any{"iss": p.URL, "aud": "door"}), nil))
		if got.Issuer != p.URL || got.Subject != "ann" {
			t.Errorf("%s: %+v", alg, got)
		}
	}
}

// raw builds a token of any header and payload, signed with the shared secret.
func raw(header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	signature, _ := jwt.SigningMethodHS256.Sign(signed, []byte(secretText))
	return signed + "." + b64(signature)
}

func TestMalformedTokensAreRefused(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	good := shared("HS256").sign(t, with(nil), nil)
	mustAccept(t, a, good)
	payload := `{"sub":"ann","exp":1795400000}`
	mustAccept(t, a, raw(`{"alg":"HS256"}`, payload))
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"TestAlgNoneIsRefused":            b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"none with signature":             b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2],
		"None":                            raw(`{"alg":"None"}`, payload),
		"alg missing":                     raw(`{"typ":"JWT"}`, payload),
		"alg lower case":                  raw(`{"alg":"hs256"}`, payload),
		"alg a number":                    raw(`{"alg":1}`, payload),
		"ES512 is not spoken":             raw(`{"alg":"ES512"}`, payload),
		"two algs":                        raw(`{"alg":"HS256","alg":"HS256"}`, payload),
		"crit":                            raw(`{"alg":"HS256","crit":["exp"]}`, payload),
		"empty crit":                      raw(`{"alg":"HS256","crit":[]}`, payload),
		"b64 false":                       raw(`{"alg":"HS256","b64":false}`, payload),
		"zip":                             raw(`{"alg":"HS256","zip":"DEF"}`, payload),
		"JWE header":                      raw(`{"alg":"HS256","enc":"A128GCM"}`, payload),
		"kid a number":                    raw(`{"alg":"HS256","kid":1}`, payload),
		"typ an object":                   raw(`{"alg":"HS256","typ":{}}`, payload),
		"header a list":                   raw(`["HS256"]`, payload),
		"header null":                     raw(`null`, payload),
		"header with trailing bytes":      raw(`{"alg":"HS256"}{}`, payload),
		"header with broken UTF-8":        raw("{\"alg\":\"HS256\",\"x\":\"\xff\"}", payload),
		"payload null":                    raw(`{"alg":"HS256"}`, `null`),
		"payload a string":                raw(`{"alg":"HS256"}`, `"ann"`),
		"payload with two subjects":       raw(`{"alg":"HS256"}`, `{"sub":"ann","sub":"bob","exp":1795400000}`),
		"payload with trailing bytes":     raw(`{"alg":"HS256"}`, payload+"x"),
		"payload with a lone surrogate":   raw(`{"alg":"HS256"}`, `{"sub":"\ud800","exp":1795400000}`),
		"JWE of five parts":               "a.b.c.d.e",
		"two parts":                       parts[0] + "." + parts[1],
		"four parts":                      good + ".",
		"only dots":                       "..",
		"a dot bomb":                      strings.Repeat(".", 8000),
		"longer than 8 KiB":               good + strings.Repeat("A", MaxTokenBytes),
		"padded base64":                   parts[0] + "." + parts[1] + "." + parts[2] + "=",
		"standard base64":                 parts[0] + "." + parts[1] + "." + strings.Map(toStandard, parts[2]) + "+",
		"a line break in the signature":   parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:],
		"a blank in the signature":        parts[0] + "." + parts[1] + "." + parts[2][:10] + " " + parts[2][10:],
		"unused bits set":                 parts[0] + "." + parts[1] + "." + unusedBits(parts[2]),
		"no signature":                    parts[0] + "." + parts[1] + ".",
		"TestTruncatedSignatureIsRefused": good[:len(good)-2],
		"changed payload":                 parts[0] + "." + b64([]byte(`{"sub":"root","exp":1795400000}`)) + "." + parts[2],
		"NUL":                             "\x00",
		"JSON serialisation":              `{"payload":"","signatures":[]}`,
	} {
		t.Run(name, func(t *testing.T) { mustRefuse(t, a, token, stagedoor.InvalidToken) })
	}
	mustRefuse(t, a, "", stagedoor.MissingToken)
}

func toStandard(r rune) rune {
	switch r {
	case '-':
		return '+'
	case '_':
		return '/'
	}
	return r
}

// unusedBits spells the same signature with other trailing bits.
func unusedBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last|1])
}

// The secret must never be used for a token that claims an issuer's key
// family, nor a public key as a secret.
func TestAlgorithmConfusionIsRefused(t *testing.T) {
	s := newSigner(t, "RS256", "k1")
	p := newIDP(t, s)
	c := newClock()
	a := newAuth(t, c, secretIssuer(), remoteIssuer(p))
	claims := with(map[string]any{"iss": p.URL, "aud": "door"})
	mustAccept(t, a, s.sign(t, claims, nil))

	public := &s.private.(*rsa.PrivateKey).PublicKey
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	modulus, _ := json.Marshal(s.jwk())
	for name, key := range map[string][]byte{"DER": der, "PEM": asPEM, "JWK": modulus, "modulus": public.N.Bytes()} {
		forged := signer{kid: "k1", method: jwt.SigningMethodHS256, private: key}
		t.Run("public key as secret, "+name, func(t *testing.T) {
			mustRefuse(t, a, forged.sign(t, claims, nil), stagedoor.InvalidToken)
		})
	}
	t.Run("the secret for an OIDC issuer", func(t *testing.T) {
		mustRefuse(t, a, shared("HS256").sign(t, claims, nil), stagedoor.InvalidToken)
	})
	t.Run("RS256 key used for PS256", func(t *testing.T) {
		forged := s
		forged.method = jwt.SigningMethodPS256
		mustRefuse(t, a, forged.sign(t, claims, nil), stagedoor.InvalidToken)
	})
	t.Run("an OIDC algorithm without an issuer", func(t *testing.T) {
		mustRefuse(t, a, s.sign(t, with(nil), nil), stagedoor.InvalidToken)
	})
}

func TestEmbeddedKeysAreNotTrusted(t *testing.T) {
	honest, evil := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1")
	p := newIDP(t, honest)
	other := newIDP(t, evil)
	a := newAuth(t, newClock(), remoteIssuer(p))
	claims := with(map[string]any{"iss": p.URL, "aud": "door"})
	for name, header := range map[string]map[string]any{
		"jwk": {"jwk": evil.jwk()},
		"jku": {"jku": other.URL + "/keys"},
		"x5u": {"x5u": other.URL + "/keys"},
		"kid": {"kid": other.URL + "/keys"},
		"x5c": {"x5c": []string{base64.StdEncoding.EncodeToString([]byte("not a certificate"))}},
	} {
		mustRefuse(t, a, evil.sign(t, claims, header), stagedoor.InvalidToken)
		if n := other.asked.Load(); n != 0 {
			t.Fatalf("%s: a caller's token made the door ask %d times elsewhere", name, n)
		}
	}
}

func TestPSSSaltOfAnotherLengthIsRefused(t *testing.T) {
	s := newSigner(t, "PS256", "k1")
	p := newIDP(t, s)
	a := newAuth(t, newClock(), remoteIssuer(p))
	s.method = &jwt.SigningMethodRSAPSS{SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA, Options: &rsa.PSSOptions{SaltLength: 20}}
	mustRefuse(t, a, s.sign(t, with(map[string]any{"iss": p.URL, "aud": "door"}), nil), stagedoor.InvalidToken)
}

func TestEllipticSignatureInDERIsRefused(t *testing.T) {
	s := newSigner(t, "ES256", "k1")
	p := newIDP(t, s)
	a := newAuth(t, newClock(), remoteIssuer(p))
	token := s.sign(t, with(map[string]any{"iss": p.URL, "aud": "door"}), nil)
	signed := token[:strings.LastIndexByte(token, '.')]
	digest := jwt.SigningMethodES256.Hash.New()
	_, _ = digest.Write([]byte(signed))
	der, err := ecdsa.SignASN1(nil, s.private.(*ecdsa.PrivateKey), digest.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, a, signed+"."+b64(der), stagedoor.InvalidToken)
	mustRefuse(t, a, signed+"."+b64(make([]byte, 64)), stagedoor.InvalidToken)
}

func TestClaims(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	expired, invalidToken := stagedoor.ExpiredToken, stagedoor.InvalidToken
	for name, c := range map[string]struct {
		change map[string]any
		header map[string]any
		want   stagedoor.Kind // Internal: accepted
	}{
		"good":                               {},
		"expired within the leeway":          {change: map[string]any{"exp": at(-29 * time.Second)}},
		"TestExpiredTokenIsRefused":          {change: map[string]any{"exp": at(-30 * time.Second)}, want: expired},
		"TestTokenWithoutExpiryIsRefused":    {change: map[string]any{"exp": nil}, want: invalidToken},
		"exp a string":                       {change: map[string]any{"exp": "1795400000"}, want: invalidToken},
		"exp null":                           {change: map[string]any{"exp": json.RawMessage("null")}, want: invalidToken},
		"exp in milliseconds":                {change: map[string]any{"exp": at(time.Hour) * 1000}, want: invalidToken},
		"exp negative":                       {change: map[string]any{"exp": -1}, want: expired},
		"exp beyond numbers":                 {change: map[string]any{"exp": json.RawMessage("1e400")}, want: invalidToken},
		"exp with a fraction":                {change: map[string]any{"exp": float64(at(time.Hour)) + 0.5}},
		"not valid yet":                      {change: map[string]any{"nbf": at(31 * time.Second)}, want: invalidToken},
		"valid within the leeway":            {change: map[string]any{"nbf": at(29 * time.Second)}},
		"nbf a string":                       {change: map[string]any{"nbf": "0"}, want: invalidToken},
		"issued in the future":               {change: map[string]any{"iat": at(31 * time.Second)}, want: invalidToken},
		"no iat":                             {change: map[string]any{"iat": nil}},
		"TestTokenWithoutSubjectIsRefused":   {change: map[string]any{"sub": nil}, want: invalidToken},
		"sub empty":                          {change: map[string]any{"sub": ""}, want: invalidToken},
		"sub a number":                       {change: map[string]any{"sub": 7}, want: invalidToken},
		"sub a list":                         {change: map[string]any{"sub": []string{"ann"}}, want: invalidToken},
		"TestLiveKitTokenIsNoCredential":     {change: map[string]any{"video": map[string]any{"room": "r"}}, want: invalidToken},
		"TestMintedTokenIsNoCredential":      {change: map[string]any{"iss": "APIminting"}, want: invalidToken},
		"iss a list":                         {change: map[string]any{"iss": []string{"x"}}, want: invalidToken},
		"any issuer when none is configured": {change: map[string]any{"iss": "https://app.example"}},
		"an audience without a rule":         {change: map[string]any{"aud": "somebody else"}, want: invalidToken},
		"aud of a strange type":              {change: map[string]any{"aud": 7}, want: invalidToken},
		"aud null":                           {change: map[string]any{"aud": json.RawMessage("null")}, want: invalidToken},
		"a pending session":                  {change: map[string]any{"sts": "pending"}, want: invalidToken},
		"an active session":                  {change: map[string]any{"sts": "active"}},
		"typ at+jwt":                         {header: map[string]any{"typ": "at+jwt"}},
		"typ application/at+jwt":             {header: map[string]any{"typ": "application/AT+JWT"}},
		"no typ":                             {header: map[string]any{"typ": nil}},
		"TestLogoutTokenIsNoCredential":      {header: map[string]any{"typ": "logout+jwt"}, want: invalidToken},
	} {
		t.Run(name, func(t *testing.T) {
			token := shared("HS256").sign(t, with(c.change), c.header)
			if c.want == stagedoor.Internal {
				mustAccept(t, a, token)
				return
			}
			mustRefuse(t, a, token, c.want)
		})
	}
}

// An attacker must not learn from expired_token that a forged token was well made.
func TestExpiryIsToldOnlyAfterTheSignatureHeld(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	forged := signer{method: jwt.SigningMethodHS256, private: []byte("not-the-secret-not-the-secret-not-the-secret")}
	mustRefuse(t, a, forged.sign(t, with(map[string]any{"exp": 1}), nil), stagedoor.InvalidToken)
}

func TestBadSignatureAndUnknownKeyReadAlike(t *testing.T) {
	s, other := newSigner(t, "ES256", "k1"), newSigner(t, "ES256", "k1")
	p := newIDP(t, s)
	a := newAuth(t, newClock(), remoteIssuer(p))
	claims := with(map[string]any{"iss": p.URL, "aud": "door"})
	details := make(map[string]bool)
	for _, token := range []string{
		other.sign(t, claims, nil),
		s.sign(t, claims, map[string]any{"kid": "unknown"}),
		s.sign(t, with(map[string]any{"iss": "https://elsewhere.example", "aud": "door"}), nil),
		"garbage",
	} {
		_, err := a.Authenticate(t.Context(), stagedoor.NewCredential(token))
		details[err.(*stagedoor.Error).Detail] = true
	}
	if len(details) != 1 || !details[generic] {
		t.Errorf("details differ: %v", details)
	}
}
