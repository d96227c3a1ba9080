package authn

import (
	"strings"
	"testing"

	"stagedoor"
)

func TestIssuerIsComparedByteByByte(t *testing.T) {
	s := newSigner(t, "ES256", "k1")
	p := newIDP(t, s)
	a := newAuth(t, newClock(), remoteIssuer(p))
	for _, iss := range []any{p.URL + "/", strings.ToUpper(p.URL), p.URL + "\u200b", p.URL + ".evil.example", "", nil, p.URL[:len(p.URL)-1]} {
		mustRefuse(t, a, s.sign(t, with(map[string]any{"iss": iss, "aud": "door"}), nil), stagedoor.InvalidToken)
	}
}

func TestOneIssuersKeyCannotSignForAnother(t *testing.T) {
	s1, s2 := newSigner(t, "ES256", "same-kid"), newSigner(t, "ES256", "same-kid")
	p1, p2 := newIDP(t, s1), newIDP(t, s2)
	second := remoteIssuer(p2)
	second.IdentityPrefix = "two"
	a := newAuth(t, newClock(), remoteIssuer(p1), second)
	mustAccept(t, a, s1.sign(t, with(map[string]any{"iss": p1.URL, "aud": "door"}), nil))
	got := mustAccept(t, a, s2.sign(t, with(map[string]any{"iss": p2.URL, "aud": "door"}), nil))
	if got.IdentityPrefix != "two" {
		t.Errorf("prefix %q", got.IdentityPrefix)
	}
	mustRefuse(t, a, s1.sign(t, with(map[string]any{"iss": p2.URL, "aud": "door"}), nil), stagedoor.InvalidToken)
}

func TestAudienceRules(t *testing.T) {
	s := newSigner(t, "ES256", "k1")
	p := newIDP(t, s)
	both := Issuer{ID: p.URL, Remote: true, Audiences: []string{"door"}, AuthorizedParties: []string{"web", "ios"}}
	parties := Issuer{ID: p.URL, Remote: true, AuthorizedParties: []string{"web", "ios"}}
	audience := Issuer{ID: p.URL, Remote: true, Audiences: []string{"door", "door2"}}
	for name, c := range map[string]struct {
		issuer Issuer
		claims map[string]any
		ok     bool
	}{
		"audience":                            {audience, map[string]any{"aud": "door"}, true},
		"audience in a list":                  {audience, map[string]any{"aud": []string{"x", "door2"}}, true},
		"TestTokenForAnotherAudienceIsOut":    {audience, map[string]any{"aud": "x"}, false},
		"audience missing":                    {audience, nil, false},
		"audience empty":                      {audience, map[string]any{"aud": ""}, false},
		"audience an empty list":              {audience, map[string]any{"aud": []string{}}, false},
		"audience a prefix":                   {audience, map[string]any{"aud": "doo"}, false},
		"audience in another case":            {audience, map[string]any{"aud": "DOOR"}, false},
		"audience list with a number":         {audience, map[string]any{"aud": []any{"door", 7}}, false},
		"party azp":                           {parties, map[string]any{"azp": "web", "aud": "account"}, true},
		"party client_id":                     {parties, map[string]any{"client_id": "ios"}, true},
		"party cid":                           {parties, map[string]any{"cid": "ios"}, true},
		"TestTokenForAnotherPartyIsOut":       {parties, map[string]any{"azp": "evil"}, false},
		"no party":                            {parties, nil, false},
		"party empty":                         {parties, map[string]any{"azp": ""}, false},
		"party a list":                        {parties, map[string]any{"azp": []string{"web"}}, false},
		"one party good, another not":         {parties, map[string]any{"azp": "web", "client_id": "evil"}, false},
		"TestIDTokenIsNoAccessToken(Cognito)": {parties, map[string]any{"aud": "web", "token_use": "id"}, false},
		"both rules":                          {both, map[string]any{"aud": "door", "azp": "web"}, true},
		"both rules, party wrong":             {both, map[string]any{"aud": "door", "azp": "evil"}, false},
		"both rules, audience wrong":          {both, map[string]any{"aud": "x", "azp": "web"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuth(t, newClock(), c.issuer)
			claims := with(map[string]any{"iss": p.URL})
			for k, v := range c.claims {
				claims[k] = v
			}
			if _, ok := kindOf(t, a, s.sign(t, claims, nil)); ok != c.ok {
				t.Errorf("accepted %v, want %v", ok, c.ok)
			}
		})
	}
}

func TestUnsafeIssuersAreRefusedAtStart(t *testing.T) {
	secrets := []stagedoor.Secret{stagedoor.NewSecret(secretText)}
	for name, issuers := range map[string][]Issuer{
		"no keys at all":               {{ID: "https://a.example"}},
		"secret and published keys":    {{ID: "https://a.example", Remote: true, Secrets: secrets, Audiences: []string{"x"}}},
		"published keys without an ID": {{Remote: true, Audiences: []string{"x"}}},
		"no audience":                  {{ID: "https://a.example", Remote: true}},
		"an empty audience":            {{ID: "https://a.example", Remote: true, Audiences: []string{""}}},
		"an empty one beside another":  {{ID: "https://a.example", Remote: true, Audiences: []string{"x"}, AuthorizedParties: []string{""}}},
		"a short secret":               {{Secrets: []stagedoor.Secret{stagedoor.NewSecret("short")}}},
		"an empty secret":              {{Secrets: []stagedoor.Secret{stagedoor.NewSecret("")}}},
		"the same issuer twice":        {{Secrets: secrets}, {Secrets: secrets}},
	} {
		if _, err := New(Options{Issuers: issuers, Now: newClock().now, Log: quiet()}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestIdentityAndNameClaims(t *testing.T) {
	for name, c := range map[string]struct {
		identityClaim, nameClaim string
		claims                   map[string]any
		handle, display          string
		want                     stagedoor.Kind
	}{
		"sub":                    {claims: map[string]any{"name": "Ann"}, handle: "ann", display: "Ann", nameClaim: "name"},
		"another claim":          {identityClaim: "user_id", claims: map[string]any{"user_id": "u1"}, handle: "u1"},
		"a dotted path":          {identityClaim: "app.user.id", claims: map[string]any{"app": map[string]any{"user": map[string]any{"id": "u2"}}}, handle: "u2"},
		"a namespaced URL":       {identityClaim: "https://a.example/id", claims: map[string]any{"https://a.example/id": "u3"}, handle: "u3"},
		"inside a namespaced":    {identityClaim: "https://a.example/app.id", claims: map[string]any{"https://a.example/app": map[string]any{"id": "u4"}}, handle: "u4"},
		"whole name wins":        {identityClaim: "a.b", claims: map[string]any{"a.b": "whole", "a": map[string]any{"b": "path"}}, handle: "whole"},
		"missing":                {identityClaim: "user_id", want: stagedoor.IdentityNotAllowed},
		"not a string":           {identityClaim: "roles", claims: map[string]any{"roles": []string{"x"}}, want: stagedoor.IdentityNotAllowed},
		"unverified e-mail":      {identityClaim: "email", claims: map[string]any{"email": "a@b.example", "email_verified": false}, want: stagedoor.IdentityNotAllowed},
		"unverified by a string": {identityClaim: "email", claims: map[string]any{"email": "a@b.example", "email_verified": "false"}, want: stagedoor.IdentityNotAllowed},
		"verified by a number":   {identityClaim: "email", claims: map[string]any{"email": "a@b.example", "email_verified": 1}, want: stagedoor.IdentityNotAllowed},
		"unverified on a path":   {identityClaim: "user.email", claims: map[string]any{"user": map[string]any{"email": "a@b.example", "email_verified": false}}, want: stagedoor.IdentityNotAllowed},
		"verified by a string":   {identityClaim: "email", claims: map[string]any{"email": "a@b.example", "email_verified": "true"}, handle: "a@b.example"},
		"verified e-mail":        {identityClaim: "email", claims: map[string]any{"email": "a@b.example", "email_verified": true}, handle: "a@b.example"},
		"name not a string":      {nameClaim: "name", claims: map[string]any{"name": 7}, handle: "ann"},
		"name with control":      {nameClaim: "name", claims: map[string]any{"name": "A\u0000nn"}, handle: "ann"},
		"name is put in NFC":     {nameClaim: "name", claims: map[string]any{"name": "e\u0301"}, handle: "ann", display: "é"},
		"name by a dotted path":  {nameClaim: "profile.nick", claims: map[string]any{"profile": map[string]any{"nick": "Annie"}}, handle: "ann", display: "Annie"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := secretIssuer()
			issuer.IdentityClaim, issuer.NameClaim = c.identityClaim, c.nameClaim
			a := newAuth(t, newClock(), issuer)
			token := shared("HS256").sign(t, with(c.claims), nil)
			if c.want != stagedoor.Internal {
				mustRefuse(t, a, token, c.want)
				return
			}
			if p := mustAccept(t, a, token); p.Handle != c.handle || p.Name != c.display || p.Subject != "ann" {
				t.Errorf("handle %q name %q subject %q", p.Handle, p.Name, p.Subject)
			}
		})
	}
}
