package policy

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxPrefixBytes bounds an identity prefix, so that room is left for subjects.
const maxPrefixBytes = 64

// Issuer is an identity provider that the file names, checked. The zero value
// is none.
type Issuer struct {
	// Issuer is the iss claim of its tokens, byte for byte.
	Issuer string
	// JWKSURL is where its keys are; empty: from discovery.
	JWKSURL string
	// Audiences and AuthorizedParties: one of each that is not empty must be
	// named by a token, and one of the two is not empty.
	Audiences, AuthorizedParties []string
	// IdentityPrefix is put before the identities of its callers; may be empty.
	IdentityPrefix string
	// IdentityClaim and NameClaim name the claims for the participant; empty:
	// those of the environment.
	IdentityClaim, NameClaim string
	// Line is where it stands in the file.
	Line int
}

// issuers checks the file's issuers, each and together.
func (r *reader) issuers(specs []issuerSpec, private func(string) bool) []Issuer {
	var list []Issuer
	for i := range specs {
		spec, path := &specs[i], indexed("issuers", i)
		r.issuer(spec, path, private)
		made := Issuer{Issuer: spec.Issuer.value, JWKSURL: spec.JWKSURL.value, Audiences: spec.Audiences.strings(),
			AuthorizedParties: spec.AuthorizedParties.strings(), IdentityPrefix: spec.IdentityPrefix.value,
			IdentityClaim: spec.IdentityClaim.value, NameClaim: spec.NameClaim.value, Line: spec.At.line}
		for _, other := range list {
			r.together(&made, &other, spec, path)
		}
		list = append(list, made)
	}
	return list
}

// together keeps two issuers' callers apart: either chooses its own subjects,
// so alike ones are not the same person.
func (r *reader) together(made, other *Issuer, spec *issuerSpec, path string) {
	line := " the issuer in line " + strconv.Itoa(other.Line)
	if made.Issuer == other.Issuer && made.Issuer != "" {
		r.add(spec.Issuer.at, path+".issuer", "is that of"+line, "keep one of them")
	}
	switch {
	case made.IdentityPrefix != other.IdentityPrefix:
	case made.IdentityPrefix == "":
		r.add(spec.At, path, "has no identity_prefix, like"+line+": callers of both could take each other's identity", "give one of them identity_prefix: partner")
	default:
		r.add(spec.IdentityPrefix.at, path+".identity_prefix", "equals that of"+line+": callers of both could take each other's identity", "choose two prefixes")
	}
}

// issuer checks one.
func (r *reader) issuer(spec *issuerSpec, path string, private func(string) bool) {
	if what := badURL(spec.Issuer.value, false, private); spec.Issuer.given && what != "" {
		r.add(spec.Issuer.at, path+".issuer", what, "")
	}
	if what := badURL(spec.JWKSURL.value, true, private); spec.JWKSURL.given && what != "" {
		r.add(spec.JWKSURL.at, path+".jwks_url", what, "")
	}
	// Libraries skip an audience that is empty, and then a token made for any
	// application of the provider's opens the door.
	if len(spec.Audiences.values) == 0 && len(spec.AuthorizedParties.values) == 0 {
		r.add(spec.At, path, "has neither audiences nor authorized_parties: tokens made for any other application would be accepted",
			"write audiences: [your-application]")
	}
	if what, remedy := badPrefix(spec.IdentityPrefix.value); spec.IdentityPrefix.given && what != "" {
		r.add(spec.IdentityPrefix.at, path+".identity_prefix", what, remedy)
	}
	for key, claim := range map[string]text{".identity_claim": spec.IdentityClaim, ".name_claim": spec.NameClaim} {
		if strings.ContainsFunc(claim.value, unicode.IsSpace) {
			r.add(claim.at, path+key, "must not contain white space", "name one claim")
		}
	}
}

// badPrefix says what is wrong with an identity prefix.
func badPrefix(prefix string) (what, remedy string) {
	switch {
	case strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(prefix) > maxPrefixBytes:
		return "must be at most 64 lower-case letters, digits and hyphens", ""
	case prefix == "guest":
		return "is reserved for participants who come by invitation", "choose another prefix"
	case prefix == "b64":
		return "is reserved for encoded subjects in Stripe's client_reference_id", "choose another prefix"
	}
	return "", ""
}

// badURL says what is wrong with the URL of an issuer or of its keys. What it
// says holds nothing of the URL, in which there may be a password.
func badURL(raw string, query bool, private func(string) bool) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Scheme != "https" && u.Scheme != "http":
		return "must begin with https://"
	case u.User != nil:
		return "must not hold a user name or password"
	case strings.Contains(raw, "#"):
		return "must not have a fragment (#)"
	case !query && strings.Contains(raw, "?"):
		return "must not have a query (?)"
	case !validHost(u.Hostname()) || !validPort(u.Port()):
		return "has no valid host name or port"
	case u.Scheme == "http" && (private == nil || !private(u.Hostname())):
		return "would take keys in clear text from a host that is not private: use https://"
	}
	return ""
}

// validHost reports whether host is an address or a name in ASCII.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for _, label := range strings.Split(strings.TrimSuffix(host, "."), ".") {
		bad := func(c rune) bool {
			return !(c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
		}
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, bad) || strings.Trim(label, "-") != label {
			return false
		}
	}
	return len(host) <= 253
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port == "" || err == nil && n >= 1 && n <= 65535 && !slices.Contains([]byte{'+', '-'}, port[0])
}
