package check

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// callers asks every issuer that publishes its keys, as the door does.
func (t *Target) callers(ctx context.Context, f *findings) {
	if len(t.Issuers) == 0 {
		why := "no issuer that publishes its keys is configured"
		f.skip(why, "callers.issuer", "callers.keys", "callers.clock")
	}
	switch {
	case len(t.Issuers) == 0 && !t.Shared.Configured:
		f.add("callers.auth", Fail, "there is no way to tell who calls", "set OIDC_ISSUER and OIDC_AUDIENCE, or JWT_SECRET, or name an issuer in POLICY_FILE")
		f.skip("no callers' tokens are taken", "callers.audience")
		return
	case t.Shared.Configured:
		f.pass("callers.auth", "tokens of your application, signed with JWT_SECRET"+also(len(t.Issuers)))
	default:
		f.pass("callers.auth", "tokens of "+count(len(t.Issuers), "issuer", "issuers")+", proved by published keys")
	}
	t.audiences(f)
	var asking sync.WaitGroup
	for _, i := range t.Issuers {
		asking.Go(func() { t.issuer(ctx, f, i) })
	}
	asking.Wait()
}

func also(issuers int) string {
	if issuers == 0 {
		return ""
	}
	return ", and of " + count(issuers, "issuer", "issuers")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// tryToken: what is configured here is compared with no token.
const tryToken = "; try a real token: check --token"

// audiences says for whom a token must be made.
func (t *Target) audiences(f *findings) {
	for _, i := range t.Issuers {
		switch {
		case len(i.Audiences) > 0:
			f.pass("callers.audience", i.ID+": aud must be "+quoted(i.Audiences)+tryToken)
		case len(i.Parties) > 0:
			f.pass("callers.audience", i.ID+": azp must be "+quoted(i.Parties)+tryToken)
		default:
			f.add("callers.audience", Fail, i.ID+": tokens made for any other application would be taken", "set "+i.Audience+" to the audience of your tokens")
		}
	}
	switch s := t.Shared; {
	case !s.Configured:
	case len(s.Audiences) > 0:
		f.pass("callers.audience", "JWT_SECRET: aud must be "+quoted(s.Audiences)+tryToken)
	case s.Issuer != "":
		f.pass("callers.audience", "JWT_SECRET: iss must be "+quoted([]string{s.Issuer})+", and a token that names an aud is refused"+tryToken)
	default:
		f.add("callers.audience", Warn, "JWT_SECRET: tokens of any iss are taken, those that name an aud are refused", "if other programs sign tokens with the same secret, set JWT_ISSUER or JWT_AUDIENCE")
	}
}

// quoted lists names as they are configured, so that a slash or space shows.
func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(list, " or ")
}

// issuer asks one issuer for its discovery document and its keys.
//
// SPEC: OpenID Connect Discovery 1.0 §4.1, §4.3.
func (t *Target) issuer(ctx context.Context, f *findings, i Issuer) {
	address := strings.TrimSuffix(i.ID, "/") + "/.well-known/openid-configuration"
	a, err := t.ask(ctx, question{url: address, within: true, header: map[string]string{"Accept": "application/json"}})
	if a.dated {
		f.clock("callers.clock", a, i.ID+"'s")
	} else {
		f.skip(i.ID+" gives no time", "callers.clock")
	}
	keys := i.JWKSURL
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	read := err == nil && a.status == http.StatusOK && json.Unmarshal(a.body, &document) == nil && document.Issuer != ""
	switch {
	case !read && keys != "":
		f.add("callers.issuer", Warn, i.ID+" has no discovery document to compare its name with", "nothing, where its keys are known to be at OIDC_JWKS_URL; else correct "+i.Variable)
	case err != nil:
		seen, remedy := trouble(err, address, i.Variable)
		f.add("callers.issuer", Fail, seen, remedy)
		f.skip("the issuer cannot be asked", "callers.keys")
		return
	case !read:
		f.add("callers.issuer", Fail, fmt.Sprintf("%s answers HTTP %d and no discovery document", address, a.status), "set "+i.Variable+" to the issuer that the provider's documentation names, with its path")
		f.skip("the discovery document does not say where the keys are", "callers.keys")
		return
	case document.Issuer != i.ID:
		f.add("callers.issuer", Fail, fmt.Sprintf("the provider calls itself %q, %s says %q: %s", clip(document.Issuer), i.Variable, i.ID, difference(i.ID, document.Issuer)),
			"set "+i.Variable+" to exactly "+clip(document.Issuer))
		f.skip("they are loaded once the names are equal", "callers.keys")
		return
	default:
		f.pass("callers.issuer", fmt.Sprintf("%s calls itself so, and answers in %d ms", i.ID, a.took.Milliseconds()))
	}
	if keys == "" {
		keys = document.JWKSURI
	}
	t.keys(ctx, f, i, keys)
}

// keys loads an issuer's key set and counts what the door can use of it.
func (t *Target) keys(ctx context.Context, f *findings, i Issuer, address string) {
	place, err := url.Parse(address)
	if err != nil || place.Host == "" || place.User != nil || place.Scheme != "https" && !strings.HasPrefix(i.ID, "http://") && i.JWKSURL == "" {
		f.add("callers.keys", Fail, i.ID+" names no https address for its keys", "the provider must publish jwks_uri over https; or set OIDC_JWKS_URL")
		return
	}
	a, err := t.ask(ctx, question{url: address, within: true, header: map[string]string{"Accept": "application/json"}})
	if err != nil {
		seen, remedy := trouble(err, address, "OIDC_JWKS_URL")
		f.add("callers.keys", Fail, seen, remedy)
		return
	}
	usable, err := i.Usable(a.body)
	at := place.Host + place.Path // a query may hold a key
	switch {
	case a.status != http.StatusOK:
		f.add("callers.keys", Fail, fmt.Sprintf("%s answers HTTP %d", at, a.status), "correct OIDC_JWKS_URL, or unset it so that the discovery document says where the keys are")
	case err != nil:
		f.add("callers.keys", Fail, at+" is "+err.Error(), "correct OIDC_JWKS_URL, or unset it so that the discovery document says where the keys are")
	case usable == 0:
		f.add("callers.keys", Fail, at+" has no key that the door can use", "have the provider sign with RS256, PS256, ES256, ES384 or EdDSA, RSA keys of 2048 bits or more")
	default:
		f.pass("callers.keys", count(usable, "usable key", "usable keys")+" of "+i.ID)
	}
}

// clip keeps what somebody else sent short and printable.
func clip(s string) string {
	const most = 200
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}

// difference says in words where two names part: what a reader overlooks.
func difference(configured, other string) string {
	switch {
	case configured == other:
		return "they are equal"
	case configured == other+"/":
		return "the configured one has a slash at the end that the other has not"
	case configured+"/" == other:
		return "the configured one lacks the slash at the end"
	case strings.TrimSpace(configured) == strings.TrimSpace(other):
		return "they differ by white space alone"
	case strings.EqualFold(configured, other):
		return "they differ by upper and lower case alone"
	case strings.TrimPrefix(configured, "http://") == strings.TrimPrefix(other, "https://"):
		return "one is http, the other https"
	}
	a, b := []rune(configured), []rune(other)
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	rest := func(s []rune) string {
		if at >= len(s) {
			return "nothing"
		}
		return fmt.Sprintf("%q", clip(string(s[at:min(len(s), at+20)])))
	}
	return fmt.Sprintf("they part at character %d, where the configured one has %s and the other %s", at+1, rest(a), rest(b))
}
