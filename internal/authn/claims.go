package authn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"stagedoor"
)

// leeway is how far callers' clocks may be off.
const leeway = 30 * time.Second

// maxNumericDate is the end of the year 9999: a larger number is a time in
// milliseconds by mistake, or an attempt at a token for ever.
const maxNumericDate = 253402300799

// generic is the one text for every token whose signature did not hold,
// whatever the reason.
const generic = "the token could not be verified"

func invalid(detail, why string) error {
	return &stagedoor.Error{Kind: stagedoor.InvalidToken, Detail: detail, Err: errors.New(why)}
}

// decodeClaims reads the payload as one strict JSON object.
func decodeClaims(payload []byte) (stagedoor.Claims, error) {
	var claims stagedoor.Claims
	if err := json.Unmarshal(payload, &claims); err != nil || claims == nil {
		return nil, errors.New("the payload is not one strict JSON object")
	}
	return claims, nil
}

// validate checks the claims of a token whose signature held. Its details are
// shown: the caller holds a genuine token and wants to know what is wrong.
//
// SPEC: RFC 7519 §4.1, RFC 8725 §3.8–3.11.
func (i *Issuer) validate(j JWS, claims stagedoor.Claims, now time.Time) error {
	if !acceptedType(j.Typ) {
		return invalid("the token is of another type than JWT or at+jwt", "typ")
	}
	if _, ok := claims["video"]; ok {
		return invalid("this is a LiveKit token, not a caller's", "video claim")
	}
	if _, ok := claims["events"]; ok {
		// SPEC: RFC 8417 §2.2, §4.1; OpenID Connect Back-Channel Logout §2.4: a
		// logout token is this issuer's, for this audience, and names the caller.
		return invalid("this is a security event, not a caller's token", "events claim")
	}
	if claims["sts"] == "pending" {
		return invalid("the session is pending", "sts is pending")
	}
	if subject, _ := claims["sub"].(string); subject == "" {
		return invalid("the token has no subject (sub)", "sub")
	}
	if err := i.validateAudience(claims); err != nil {
		return err
	}
	return validateTimes(claims, now)
}

// acceptedType refuses tokens made for another purpose, such as logout+jwt.
//
// SPEC: RFC 7519 §5.1, RFC 9068 §2.1, RFC 8725 §3.11.
func acceptedType(typ string) bool {
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "at+jwt":
		return true
	}
	return false
}

// validateAudience holds the token to the audience rule and to the
// authorized-party rule, whichever are configured.
func (i *Issuer) validateAudience(claims stagedoor.Claims) error {
	audiences, ok := audienceOf(claims)
	if !ok {
		return invalid("the token's audience (aud) is neither a string nor a list of strings", "aud")
	}
	switch {
	case len(i.Audiences) > 0:
		if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(i.Audiences, a) }) {
			return invalid("the token is for another audience (aud)", "aud")
		}
	case len(i.AuthorizedParties) == 0 && len(audiences) > 0:
		// SPEC: RFC 7519 §4.1.3: whoever is not named in aud must refuse.
		return invalid("the token names an audience (aud) and none is configured here; set JWT_AUDIENCE", "aud without a rule")
	}
	if len(i.AuthorizedParties) == 0 {
		return nil
	}
	found := false
	for _, name := range []string{"azp", "client_id", "cid"} {
		party, present := claims[name]
		if !present {
			continue
		}
		text, _ := party.(string)
		if !slices.Contains(i.AuthorizedParties, text) {
			return invalid("the token is for another party ("+name+")", name)
		}
		found = true
	}
	if !found {
		return invalid("the token names no authorized party (azp, client_id or cid)", "no party")
	}
	return nil
}

// audienceOf returns aud as a list; false when it is of another shape.
func audienceOf(claims stagedoor.Claims) ([]string, bool) {
	switch aud := claims["aud"].(type) {
	case nil:
		_, present := claims["aud"]
		return nil, !present
	case string:
		return []string{aud}, true
	case []any:
		list := make([]string, 0, len(aud))
		for _, entry := range aud {
			text, ok := entry.(string)
			if !ok {
				return nil, false
			}
			list = append(list, text)
		}
		return list, true
	}
	return nil, false
}

// validateTimes checks exp, nbf and iat with 30 s of leeway.
func validateTimes(claims stagedoor.Claims, now time.Time) error {
	at := float64(now.UnixMilli()) / 1000
	slack := leeway.Seconds()
	exp, present, ok := numericDate(claims, "exp")
	if !present || !ok {
		return invalid("the token has no expiry (exp) in seconds", "exp")
	}
	nbf, present, ok := numericDate(claims, "nbf")
	if present && (!ok || nbf > at+slack) {
		return invalid("the token is not valid yet (nbf)"+apart(ok, ", for %v more: ", nbf-at), "nbf")
	}
	iat, present, ok := numericDate(claims, "iat")
	if present && (!ok || iat > at+slack) {
		return invalid("the token was issued in the future (iat)"+apart(ok, ", in %v: ", iat-at), "iat")
	}
	if at >= exp+slack {
		detail := "the token has expired" + apart(true, ", %v ago; if it is new, ", at-exp)
		return &stagedoor.Error{Kind: stagedoor.ExpiredToken, Detail: detail}
	}
	return nil
}

// plausibleSkew is how far a clock may be wrong. What is further off is an old
// token, or a mistake.
const plausibleSkew = 10 * time.Minute

// apart names the clocks when a token is refused by as many seconds as a wrong
// clock explains; else it is empty.
func apart(ok bool, text string, seconds float64) string {
	if !ok || seconds > plausibleSkew.Seconds() {
		return ""
	}
	by := time.Duration(math.Ceil(seconds)) * time.Second
	return fmt.Sprintf(text, by) + "the clock of its issuer or of this server is wrong"
}

// numericDate reads seconds since 1970. ok is false for another type and for
// a number farther from 1970 than the year 9999 is.
func numericDate(claims stagedoor.Claims, name string) (seconds float64, present, ok bool) {
	seconds, present, ok = claims.Seconds(name)
	return seconds, present, ok && math.Abs(seconds) <= maxNumericDate
}

// emailVerified reports whether nothing speaks against using the claim at
// path as an identity: where it is an e-mail address and email_verified stands
// beside it, that must be true. Some issuers write it as a string.
//
// SPEC: OpenID Connect Core 1.0 §5.1.
func emailVerified(claims stagedoor.Claims, path string) bool {
	parent, ok := strings.CutSuffix(path, "email")
	if !ok || (parent != "" && !strings.HasSuffix(parent, ".")) {
		return true
	}
	verified, present := claims.At(parent + "email_verified")
	return !present || verified == true || verified == "true"
}
