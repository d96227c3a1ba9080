package config

import (
	"strings"

	"stagedoor"
)

// defaultOIDCPrefix keeps the provider's callers apart when two issuers are
// configured and the operator chose no prefix.
const defaultOIDCPrefix = "oidc"

// NoCallers is the problem of a door that nobody could come to: no issuer is
// named, neither here nor in a policy file.
func NoCallers() Problem {
	return Problem{Name: "JWT_SECRET", What: "there is no way to authenticate callers: neither JWT_SECRET nor OIDC_ISSUER is set, and no POLICY_FILE names an issuer",
		Remedy: "set JWT_SECRET to the secret your application signs its tokens with, or OIDC_ISSUER and OIDC_AUDIENCE; to try things out, run stagedoor dev"}
}

// checkCallers demands a way to tell who calls, and that it is closed.
func (l *loader) checkCallers() {
	jwt, oidc := l.given["JWT_SECRET"], l.given["OIDC_ISSUER"]
	// A policy file may name issuers; whether it does is known once it is read.
	if !jwt && !oidc && l.mode == Serve && !l.given["POLICY_FILE"] {
		l.report.Problems = append(l.report.Problems, NoCallers())
	}
	if !jwt {
		l.pointless("JWT_SECRET", "JWT_SECRET_PREVIOUS", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_IDENTITY_PREFIX")
	}
	if !oidc {
		l.pointless("OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_AUTHORIZED_PARTIES", "OIDC_JWKS_URL", "OIDC_IDENTITY_PREFIX")
	}
	// Libraries skip an audience that is empty, and then a token made for any
	// application of the provider's opens the door.
	if oidc && !l.given["OIDC_AUDIENCE"] && !l.given["OIDC_AUTHORIZED_PARTIES"] {
		l.problem("OIDC_AUDIENCE", "is missing: tokens made for any other application would be accepted",
			"set OIDC_AUDIENCE to the audience of your tokens, or OIDC_AUTHORIZED_PARTIES to the clients they are issued to")
	}
	if c := l.config; c.JWTIssuer != "" && (c.JWTIssuer == c.LiveKitAPIKey || c.JWTIssuer == c.LiveKitAPIKeyPrevious) {
		l.problem("JWT_ISSUER", "equals a LiveKit API key: callers' tokens must not look like LiveKit's, and are refused when they do", "give the issuer another name")
	}
	// An OIDC_ISSUER, being a URL, cannot be that one.
	if l.config.JWTIssuer == stagedoor.GuestIssuer {
		l.problem("JWT_ISSUER", "is the issuer of those who come by invitation: callers could pass for guests", "give the issuer another name")
	}
	if jwt && oidc {
		l.checkTwoIssuers()
	}
	l.checkCookie()
	if l.mode == Serve && !l.given["POLICY_FILE"] {
		l.warn("POLICY_FILE", "is not set: every authenticated caller may watch every room", "write a policy file (docs/policy.md) and name it in POLICY_FILE")
	}
}

// checkCookie warns of a cookie that another host of the same site could set,
// and so put its own caller's token in somebody's browser.
//
// SPEC: draft-ietf-httpbis-rfc6265bis §4.1.3 (cookie name prefixes).
func (l *loader) checkCookie() {
	name := l.config.AuthCookie
	if name == "" || l.config.Loopback() || strings.HasPrefix(name, "__Host-") {
		return
	}
	what := "does not begin with __Host-: a page of a sibling host, or one over plain HTTP, can set it in a caller's browser"
	if strings.HasPrefix(name, "__Secure-") {
		what = "begins with __Secure- and not with __Host-: a page of a sibling host can set it in a caller's browser"
	}
	l.warn("AUTH_COOKIE", what, "call it __Host-…, with Secure, Path=/ and no Domain; if the cookie must span hosts, trust them all")
}

// pointless refuses what only has a meaning beside a variable that is missing:
// whoever set it believes that it protects something.
func (l *loader) pointless(without string, names ...string) {
	for _, name := range names {
		if l.given[name] && !l.bad[name] {
			l.problem(name, "has no meaning without "+without, "set "+without+", or unset "+name)
		}
	}
}

// checkTwoIssuers keeps the callers of two issuers apart. Either can choose
// its subjects, so alike ones are not the same person.
func (l *loader) checkTwoIssuers() {
	c := l.config
	if c.JWTIssuer != "" && c.JWTIssuer == c.OIDCIssuer {
		l.problem("JWT_ISSUER", "equals OIDC_ISSUER: the two could not be told apart", "give the tokens signed with JWT_SECRET an issuer of their own")
	}
	switch {
	case l.bad["JWT_IDENTITY_PREFIX"] || l.bad["OIDC_IDENTITY_PREFIX"]:
	case l.defaultPrefix():
		l.warn("OIDC_IDENTITY_PREFIX", "is not set beside JWT_SECRET: the provider's callers get identities that begin with "+defaultOIDCPrefix+":",
			"set OIDC_IDENTITY_PREFIX to choose another, or JWT_IDENTITY_PREFIX to mark the other issuer's callers instead; a later change renames people")
	case c.JWTIdentityPrefix == c.OIDCIdentityPrefix:
		l.problem("OIDC_IDENTITY_PREFIX", "equals JWT_IDENTITY_PREFIX: callers of both issuers could take each other's identity", "choose two prefixes")
	}
}

// defaultPrefix marks the provider's callers where the operator marked
// neither issuer's, and reports whether it did. Commands that open the
// database need it too: to them the same people must have the same names.
func (l *loader) defaultPrefix() bool {
	c := l.config
	if !l.given["JWT_SECRET"] || !l.given["OIDC_ISSUER"] || l.given["JWT_IDENTITY_PREFIX"] || l.given["OIDC_IDENTITY_PREFIX"] {
		return false
	}
	c.OIDCIdentityPrefix = defaultOIDCPrefix
	return true
}
