package httpapi

import (
	"net/http"
	"strings"

	"stagedoor"
)

// credential is the caller's own token: that of the Authorization header, and
// only where there is none and a cookie may hold it, that of the cookie. No
// token is an empty Credential. It alone reads the cookie, so that whatever a
// cookie authenticates was looked at here. Errors: InvalidRequest, when nobody
// can say where the request comes from; InvalidToken, for several headers or
// cookies; OriginNotAllowed, for another origin's page that would change something
// in the name of a cookie's owner.
//
// SPEC: RFC 6750 §2.1; RFC 6265 §5.4.
func (a *api) credential(r *http.Request) (stagedoor.Credential, error) {
	if doubt := recordOf(r.Context()).doubt; doubt != "" {
		return stagedoor.Credential{}, stagedoor.Refuse(stagedoor.InvalidRequest,
			doubt+": the proxy in front must set the client's address itself, once")
	}
	if a.AuthCookie == "" || len(r.Header.Values("Authorization")) > 0 {
		return bearer(r)
	}
	// Reading is guarded as changing is: it counts, and its cookie's owner pays.
	asked := *r
	asked.Method = http.MethodPost
	if a.guard.Check(&asked) != nil {
		return stagedoor.Credential{}, stagedoor.Refuse(stagedoor.OriginNotAllowed, "a page of another origin cannot use the caller's cookie")
	}
	tokens := cookies(r.Header, a.AuthCookie)
	switch len(tokens) {
	case 0:
		return stagedoor.Credential{}, nil
	case 1:
		return stagedoor.NewCredential(tokens[0]), nil
	}
	// A sibling host can add a second one, and have it sent first.
	return stagedoor.Credential{}, stagedoor.Refuse(stagedoor.InvalidToken, "there are several cookies of the token's name")
}

// cookies returns the values of a name, byte for byte. net/http leaves out
// what it takes for malformed, and a second cookie must not be overlooked.
func cookies(header http.Header, name string) []string {
	var values []string
	for _, line := range header.Values("Cookie") {
		for pair := range strings.SplitSeq(line, ";") {
			if got, value, _ := strings.Cut(strings.Trim(pair, " \t"), "="); strings.TrimRight(got, " \t") == name {
				values = append(values, strings.Trim(value, " \t"))
			}
		}
	}
	return values
}

// crossOriginGuard knows the pages that may use a caller's cookie: the door's
// own and the allowed origins'. A sibling host is another origin.
func crossOriginGuard(allowed []string) *http.CrossOriginProtection {
	guard := http.NewCrossOriginProtection()
	for _, origin := range allowed {
		// What is no origin is no page's either.
		_ = guard.AddTrustedOrigin(origin)
	}
	return guard
}
