package authn

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// What a relying party must refuse, as the OpenID Foundation's tests of
// relying parties and RFC 8725 list it: a genuine issuer's genuine key, and one
// thing wrong with the token each time.
func TestRelyingPartyRefuses(t *testing.T) {
	s := newSigner(t, "ES256", "k1")
	p := newIDP(t, s)
	a := newAuth(t, newClock(), remoteIssuer(p))
	const invalidToken = stagedoor.InvalidToken
	for name, c := range map[string]wrong{
		"nothing wrong":                          {},
		"TestIssuerWithSlashIsAnother":           {claims: map[string]any{"iss": p.URL + "/"}, want: invalidToken},
		"an issuer that only begins alike":       {claims: map[string]any{"iss": p.URL + "@evil.example"}, want: invalidToken},
		"an issuer in full-width letters":        {claims: map[string]any{"iss": strings.Replace(p.URL, "h", "ｈ", 1)}, want: invalidToken},
		"an issuer with a NUL":                   {claims: map[string]any{"iss": p.URL + "\x00"}, want: invalidToken},
		"an issuer in a list":                    {claims: map[string]any{"iss": []string{p.URL}}, want: invalidToken},
		"no issuer":                              {claims: map[string]any{"iss": nil}, want: invalidToken},
		"TestMissingAudienceIsRefused":           {claims: map[string]any{"aud": nil}, want: invalidToken},
		"another audience":                       {claims: map[string]any{"aud": "evil"}, want: invalidToken},
		"audiences without ours":                 {claims: map[string]any{"aud": []string{"evil", "doors", "DOOR", "door "}}, want: invalidToken},
		"ours among others":                      {claims: map[string]any{"aud": []string{"evil", "door"}}},
		"an audience in an object":               {claims: map[string]any{"aud": map[string]any{"door": true}}, want: invalidToken},
		"an audience in a list of lists":         {claims: map[string]any{"aud": []any{[]string{"door"}}}, want: invalidToken},
		"no subject":                             {claims: map[string]any{"sub": nil}, want: invalidToken},
		"a subject of null":                      {claims: map[string]any{"sub": number("null")}, want: invalidToken},
		"an access token by its type":            {header: map[string]any{"typ": "at+jwt"}},
		"a type nobody registered":               {header: map[string]any{"typ": "at+jwt+x"}, want: invalidToken},
		"TestLogoutTokenWithoutTypeIsRefused":    {claims: map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, want: invalidToken},
		"a logout token by its type":             {header: map[string]any{"typ": "logout+jwt"}, want: invalidToken},
		"a security event":                       {header: map[string]any{"typ": "secevent+jwt"}, want: invalidToken},
		"a proof of possession":                  {header: map[string]any{"typ": "dpop+jwt"}, want: invalidToken},
		"a request object":                       {header: map[string]any{"typ": "oauth-authz-req+jwt"}, want: invalidToken},
		"a client's assertion":                   {header: map[string]any{"typ": "client-authentication+jwt"}, want: invalidToken},
		"an introspection's answer":              {header: map[string]any{"typ": "token-introspection+jwt"}, want: invalidToken},
		"a LiveKit token with the issuer's name": {claims: map[string]any{"video": map[string]any{"roomJoin": true}}, want: invalidToken},
		"an empty video claim":                   {claims: map[string]any{"video": number("null")}, want: invalidToken},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, p, s, a) })
	}
}

// A token has one end, in seconds since 1970, and it lies ahead. The rest
// about times is refused too, in whatever type a token says it.
func TestTimesAreNumbersWithinReason(t *testing.T) {
	s := newSigner(t, "ES256", "k1")
	p := newIDP(t, s)
	a := newAuth(t, newClock(), remoteIssuer(p))
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	const invalidToken, expired = stagedoor.InvalidToken, stagedoor.ExpiredToken
	for name, c := range map[string]wrong{
		"no exp":                            {claims: map[string]any{"exp": nil}, want: invalidToken},
		"exp a text":                        {claims: map[string]any{"exp": fmt.Sprint(at(time.Hour))}, want: invalidToken},
		"exp true":                          {claims: map[string]any{"exp": true}, want: invalidToken},
		"exp in a list":                     {claims: map[string]any{"exp": []int64{at(time.Hour)}}, want: invalidToken},
		"exp as a fraction":                 {claims: map[string]any{"exp": number(fmt.Sprintf("%d.25", at(time.Hour)))}},
		"exp with an exponent":              {claims: map[string]any{"exp": number("2.5e9")}},
		"1e400":                             {claims: map[string]any{"exp": number("1e400")}, want: invalidToken},
		"exp just beyond what doubles hold": {claims: map[string]any{"exp": number("1.8e308")}, want: invalidToken},
		"exp in the year 10000":             {claims: map[string]any{"exp": number("253402300800")}, want: invalidToken},
		"exp in the year 9999":              {claims: map[string]any{"exp": number("253402300799")}},
		"exp 2^64":                          {claims: map[string]any{"exp": number("18446744073709551616")}, want: invalidToken},
		"exp 0":                             {claims: map[string]any{"exp": 0}, want: expired},
		"exp -0":                            {claims: map[string]any{"exp": number("-0")}, want: expired},
		"exp before 1970":                   {claims: map[string]any{"exp": -at(time.Hour)}, want: expired},
		"exp far before time":               {claims: map[string]any{"exp": number("-1e300")}, want: invalidToken},
		"exp an hour ago":                   {claims: map[string]any{"exp": at(-time.Hour)}, want: expired},
		"iat in the future":                 {claims: map[string]any{"iat": at(time.Minute)}, want: invalidToken},
		"iat far before time":               {claims: map[string]any{"iat": number("-1e300")}, want: invalidToken},
		"iat a text":                        {claims: map[string]any{"iat": "now"}, want: invalidToken},
		"nbf in the future":                 {claims: map[string]any{"nbf": at(time.Minute)}, want: invalidToken},
		"nbf null":                          {claims: map[string]any{"nbf": number("null")}, want: invalidToken},
		"nbf far before time":               {claims: map[string]any{"nbf": number("-1e300")}, want: invalidToken},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, p, s, a) })
	}
}

// wrong is what one token has wrong, and the refusal it must get.
type wrong struct {
	claims map[string]any // nil deletes
	header map[string]any
	want   stagedoor.Kind // Internal: accepted
}

func (c wrong) check(t *testing.T, p *idp, s signer, a *Authenticator) {
	t.Helper()
	claims := claimsOf(p)
	for claim, value := range c.claims {
		if claims[claim] = value; value == nil {
			delete(claims, claim)
		}
	}
	if token := s.sign(t, claims, c.header); c.want == stagedoor.Internal {
		mustAccept(t, a, token)
	} else {
		mustRefuse(t, a, token, c.want)
	}
}

// number is a JSON number that no Go type writes.
func number(digits string) json.RawMessage { return json.RawMessage(digits) }

// Only what the list of algorithms holds is verified, whoever signed it and
// whatever the issuer publishes.
func TestAlgorithmsThatAreNotSpokenAreRefused(t *testing.T) {
	s := newSigner(t, "RS256", "k1")
	p := newIDP(t, s)
	a := newAuth(t, newClock(), remoteIssuer(p))
	payload, _ := json.Marshal(claimsOf(p))
	genuine := s.sign(t, claimsOf(p), nil)
	mustAccept(t, a, genuine)
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", " none", "noné", "", "null", "RS1", "RS384", "RS512", "PS384", "PS512", "ES256K", "ES512", "Ed448", "rs256", "Rs256", "RS256 ", "RS256\x00", "HS256", "HS1", "A128KW", "dir", "RSA-OAEP", "PBES2-HS256+A128KW"} {
		header, _ := json.Marshal(map[string]any{"alg": alg, "kid": "k1"})
		signed := b64(header) + "." + b64(payload)
		for _, signature := range []string{"", genuine[strings.LastIndexByte(genuine, '.')+1:], b64([]byte(alg)), "AA"} {
			mustRefuse(t, a, signed+"."+signature, stagedoor.InvalidToken)
		}
	}
}

// A key id is looked up among keys that are there, never opened, fetched or
// asked of a database, and no key that an attacker can know stands behind one.
func TestKeyIDOpensNothing(t *testing.T) {
	es := newSigner(t, "ES256", "k1")
	p := newIDP(t, es)
	a := newAuth(t, newClock(), secretIssuer(), remoteIssuer(p))
	for _, kid := range []string{"../../../../../../dev/null", "/dev/null", "/proc/sys/kernel/randomize_va_space", "file:///dev/null", "x' UNION SELECT 'key'; --",
		"`id`", "$(id)", "| id", "%00", "", strings.Repeat("k", 4000)} {
		for _, known := range []string{"\x00", "", "2", "key", "null", "secret", "{}"} {
			signed := b64([]byte(fmt.Sprintf(`{"alg":"HS256","kid":%q}`, kid))) + "." + b64([]byte(`{"sub":"root","exp":1795400000}`))
			mustRefuse(t, a, signed+"."+b64(hs256(known, signed)), stagedoor.InvalidToken)
		}
	}
}

// Every certificate can name itself: what a token carries proves nothing.
func TestCertificateInTheTokenIsNotTrusted(t *testing.T) {
	honest, evil := newSigner(t, "RS256", "k1"), newSigner(t, "RS256", "k1")
	p := newIDP(t, honest)
	a := newAuth(t, newClock(), remoteIssuer(p))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: start.Add(-time.Hour), NotAfter: start.Add(time.Hour), DNSNames: []string{"127.0.0.1"}}
	der, err := x509.CreateCertificate(nil, template, template, evil.public(), evil.private)
	if err != nil {
		t.Fatal(err)
	}
	chain := []string{base64.StdEncoding.EncodeToString(der)}
	for name, header := range map[string]map[string]any{
		"x5c": {"x5c": chain}, "x5c and jwk": {"x5c": chain, "jwk": evil.jwk()}, "x5c without a key id": {"x5c": chain, "kid": nil}, "x5t": {"x5t": b64(der[:20])},
	} {
		if kind, ok := kindOf(t, a, evil.sign(t, claimsOf(p), header)); ok || kind != stagedoor.InvalidToken {
			t.Errorf("%s: ok=%v kind=%v", name, ok, kind)
		}
		mustAccept(t, a, honest.sign(t, claimsOf(p), map[string]any{"x5c": chain, "jwk": evil.jwk()}))
	}
}

// Whom a token names as its issuer is only looked up among the configured.
func TestUnknownIssuerIsNeverAsked(t *testing.T) {
	evil := newSigner(t, "ES256", "k1")
	p, other := newIDP(t, newSigner(t, "ES256", "k1")), newIDP(t, evil)
	asked := 0
	other.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })
	a := newAuth(t, newClock(), remoteIssuer(p))
	before := p.asked.Load()
	for _, iss := range []string{other.URL, other.URL + "/" + p.URL, p.URL + "@" + strings.TrimPrefix(other.URL, "http://"), p.URL + "/../", p.URL + "#" + other.URL} {
		mustRefuse(t, a, evil.sign(t, with(map[string]any{"iss": iss, "aud": "door"}), map[string]any{"jku": other.URL + "/keys"}), stagedoor.InvalidToken)
	}
	// A secret's algorithm can be no published key's: nothing is asked for it either.
	mustRefuse(t, a, shared("HS256").sign(t, claimsOf(p), nil), stagedoor.InvalidToken)
	if asked != 0 || p.asked.Load() != before {
		t.Errorf("a stranger's issuer was asked %d times, ours %d times", asked, p.asked.Load()-before)
	}
}

// A part of a token is no token, wherever it ends.
func TestTruncatedTokenIsRefused(t *testing.T) {
	for _, alg := range []string{"HS256", "ES256", "EdDSA", "RS256"} {
		issuer, s := secretIssuer(), shared("HS256")
		claims := with(nil)
		if alg != "HS256" {
			s = newSigner(t, alg, "k1")
			p := newIDP(t, s)
			issuer, claims = remoteIssuer(p), claimsOf(p)
		}
		a := newAuth(t, newClock(), issuer)
		token := s.sign(t, claims, nil)
		mustAccept(t, a, token)
		for end := 1; end < len(token); end++ {
			mustRefuse(t, a, token[:end], stagedoor.InvalidToken)
			mustRefuse(t, a, token[end:], stagedoor.InvalidToken)
		}
		mustRefuse(t, a, token+token, stagedoor.InvalidToken)
		mustRefuse(t, a, token+"A", stagedoor.InvalidToken)
	}
}

// A genuine token that is too long is refused before it is taken apart.
func TestHugeTokenIsRefused(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	signed := func(fill int) string {
		return shared("HS256").sign(t, with(map[string]any{"fill": strings.Repeat("x", fill)}), nil)
	}
	fits := (MaxTokenBytes - len(signed(0))) * 3 / 4
	mustAccept(t, a, signed(fits-1))
	mustRefuse(t, a, signed(fits+3), stagedoor.InvalidToken)
	mustRefuse(t, a, signed(1<<20), stagedoor.InvalidToken)
}

// Redirects are followed within one host and scheme alone, and nothing else is
// even connected to.
func TestRedirectedKeysAreNotFollowedElsewhere(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	touched := 0
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		touched++
		_, _ = w.Write(jwksOf(k1))
	}))
	defer trap.Close()
	port := trap.URL[strings.LastIndexByte(trap.URL, ':'):]
	for _, target := range []string{trap.URL + "/keys", "http://localhost" + port, "http://[::1]" + port, "http://0.0.0.0" + port, "http://2130706433" + port,
		"file:///etc/passwd", "gopher://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/", "//127.0.0.1" + port, "https://example.com"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			p := newIDP(t)
			p.answer(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", target)
				w.WriteHeader(status)
			})
			if a := newAuth(t, newClock(), remoteIssuer(p)); a.Ready() == nil || touched != 0 {
				t.Fatalf("%d to %s: ready %v, touched %d times", status, target, a.Ready() == nil, touched)
			}
			p.Close()
		}
	}
	p := newIDP(t, k1)
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			http.Redirect(w, r, "/keys?moved", http.StatusFound)
			return
		}
		_, _ = w.Write(jwksOf(k1))
	})
	mustAccept(t, newAuth(t, newClock(), remoteIssuer(p)), k1.sign(t, claimsOf(p), nil))
}

// A key set that unpacks to more than it may have, or has no end, costs no
// more memory than one that fits.
func TestBombAndEndlessKeySetsAreOut(t *testing.T) {
	k1 := newSigner(t, "ES256", "k1")
	set := jwksOf(k1)
	var small, bomb bytes.Buffer
	for into, text := range map[*bytes.Buffer][]byte{&small: set, &bomb: append(set[:len(set)-1:len(set)-1], append(bytes.Repeat([]byte(" "), 8<<20), '}')...)} {
		z := gzip.NewWriter(into)
		_, _ = z.Write(text)
		_ = z.Close()
	}
	packed := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(body)
		}
	}
	sent := 0
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		ok     bool
	}{
		"packed":          {packed(small.Bytes()), true},
		"TestGzipBombOut": {packed(bomb.Bytes()), false},
		"packed twice":    {packed(packTwice(small.Bytes())), false},
		"no end": {func(w http.ResponseWriter, _ *http.Request) {
			for _, err := w.Write(set[:len(set)-1]); err == nil; _, err = w.Write(bytes.Repeat([]byte(" "), 64<<10)) {
				sent += 64 << 10
			}
		}, false},
		"TestTailOfBlanksIsOut": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append(set[:len(set):len(set)], bytes.Repeat([]byte(" "), maxFetchBytes)...))
		}, false},
		"called a picture": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(set)
		}, true}, // many issuers call it text/plain
		"status 206": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(set)
		}, false},
		"status 404 with keys": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write(set)
		}, false},
	} {
		p := newIDP(t)
		p.answer(c.answer)
		if a := newAuth(t, newClock(), remoteIssuer(p)); (a.Ready() == nil) != c.ok {
			t.Errorf("%s: ready %v", name, a.Ready() == nil)
		}
		p.Close()
	}
	if sent > 32<<20 {
		t.Errorf("%d bytes of an endless key set were taken", sent)
	}
}

// The identity is one text: a claim of several values names nobody, and one
// text with several addresses is no more than that text.
func TestManyValuedIdentityNamesNobody(t *testing.T) {
	issuer := secretIssuer()
	issuer.IdentityClaim = "email"
	a := newAuth(t, newClock(), issuer)
	for _, email := range []any{[]string{"ann@acme.example"}, []string{"bob@evil.example", "ann@acme.example"}, map[string]any{"ann@acme.example": true}, nil, "", 7, true} {
		mustRefuse(t, a, shared("HS256").sign(t, with(map[string]any{"email": email, "email_verified": true}), nil), stagedoor.IdentityNotAllowed)
	}
	for _, email := range []string{"bob@evil.example,ann@acme.example", "ann@acme.example@evil.example", "ann@acme.example bob@evil.example", "<ann@acme.example>"} {
		if p := mustAccept(t, a, shared("HS256").sign(t, with(map[string]any{"email": email, "email_verified": true}), nil)); p.Handle != email {
			t.Errorf("%q became %q", email, p.Handle)
		}
	}
}

// An issuer that is named for the shared secret is held to its exact text too.
func TestSharedSecretsIssuerIsExact(t *testing.T) {
	issuer := secretIssuer()
	issuer.ID = "https://app.example"
	a := newAuth(t, newClock(), issuer)
	mustAccept(t, a, shared("HS256").sign(t, with(map[string]any{"iss": "https://app.example"}), nil))
	for _, iss := range []any{nil, "", "https://app.example/", "https://APP.example", "https://app.exampl", "https://app.example.evil.example", []string{"https://app.example"}} {
		mustRefuse(t, a, shared("HS256").sign(t, with(map[string]any{"iss": iss}), nil), stagedoor.InvalidToken)
	}
}
