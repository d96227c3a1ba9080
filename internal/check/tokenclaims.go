package check

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// lastSecond is the end of the year 9999; more is a time in milliseconds.
const lastSecond = 253402300799

// at reads a time of the token's. what is empty where it is one or absent,
// else what is wrong with it.
func (w *walk) at(name string) (when time.Time, present bool, what string) {
	seconds, present, ok := w.claims.Seconds(name)
	if !present {
		return time.Time{}, false, ""
	}
	switch {
	case !ok:
		return time.Time{}, true, name + " is not a number of seconds"
	case seconds > lastSecond:
		return time.Time{}, true, name + " is in milliseconds, it must be in seconds"
	case seconds < -lastSecond:
		return time.Time{}, true, name + " is no time in seconds since 1970"
	}
	return time.UnixMilli(int64(seconds * 1000)), true, ""
}

// times compares exp, nbf and iat with this machine's clock.
func (w *walk) times(leeway time.Duration, judgesIssue bool) {
	const title = "it is valid now"
	now := w.target.Now()
	local := func(when time.Time) string { return when.Local().Format("2006-01-02 15:04:05 MST") }
	exp, expires, wrong := w.at("exp")
	nbf, begins, wrongNbf := w.at("nbf")
	iat, issued, wrongIat := w.at("iat")
	for _, what := range []string{wrong, wrongNbf, wrongIat} {
		if what != "" {
			w.say("time", title, Fail, what, "have it issued with times in seconds since 1970 (RFC 7519)")
			return
		}
	}
	by := fmt.Sprintf("; this machine's clock says %s, and %s either way are allowed", local(now), said(leeway))
	switch {
	case !expires:
		w.say("time", title, Fail, "it has no exp: it would be valid for ever", "have it issued with an expiry")
	case !now.Before(exp.Add(leeway)):
		w.say("time", title, Fail, "it expired "+said(now.Sub(exp))+" ago, at "+local(exp)+by, "get a new one; if it was just issued, set this machine's clock, or the issuer's, by NTP")
	case begins && nbf.After(now.Add(leeway)):
		w.say("time", title, Fail, "it is valid in "+said(nbf.Sub(now))+" only (nbf), from "+local(nbf)+by, "set this machine's clock, or the issuer's, by NTP")
	case judgesIssue && issued && iat.After(now.Add(leeway)):
		w.say("time", title, Fail, "it was issued "+said(iat.Sub(now))+" from now (iat), at "+local(iat)+by, "set this machine's clock, or the issuer's, by NTP")
	default:
		w.say("time", title, Pass, "until "+local(exp)+", for "+said(exp.Sub(now)), "")
	}
}

// audience compares aud, and azp where parties are configured.
func (w *walk) audience(shared bool, chosen *Issuer) {
	const title = "it is made for this door"
	wanted, parties, variable := w.target.Shared.Audiences, []string(nil), "JWT_AUDIENCE"
	switch {
	case chosen != nil:
		wanted, parties, variable = chosen.Audiences, chosen.Parties, chosen.Audience
	case !shared:
		w.say("audience", title, Skip, "whose audience counts is not known", "")
		return
	}
	named, ok := listed(w.claims["aud"])
	if !ok {
		w.say("audience", title, Fail, "aud is neither a string nor a list of strings", "have it issued with the door's audience as aud")
		return
	}
	w.party(parties)
	switch {
	case len(wanted) > 0 && slices.ContainsFunc(named, func(a string) bool { return slices.Contains(wanted, a) }):
		w.say("audience", title, Pass, "aud "+w.list(named), "")
	case len(wanted) > 0 && len(named) == 0:
		w.say("audience", title, Fail, "it has no aud, "+variable+" is "+quoted(wanted), "ask the provider for a token for that audience")
	case len(wanted) > 0:
		apart := ""
		if len(named) == 1 && len(wanted) == 1 {
			apart = ": " + difference(wanted[0], named[0])
		}
		w.say("audience", title, Fail, "aud is "+w.list(named)+", "+variable+" is "+quoted(wanted)+apart,
			"if the token is meant for this door, set "+variable+" to what aud says; else ask the provider for one that is")
	case len(parties) == 0 && len(named) > 0:
		w.say("audience", title, Fail, "aud is "+w.list(named)+", and "+variable+" is not set", "set "+variable+" to what aud says, if it is meant for this door")
	default:
		w.say("audience", title, Pass, "no audience is asked for", "")
	}
}

// party compares azp, client_id and cid with the configured parties.
func (w *walk) party(parties []string) {
	if len(parties) == 0 {
		return
	}
	const title = "it is issued to a known client"
	found := false
	for _, name := range []string{"azp", "client_id", "cid"} {
		value, present := w.claims[name]
		if !present {
			continue
		}
		found = true
		text, _ := value.(string)
		if !slices.Contains(parties, text) {
			w.say("party", title, Fail, name+" is "+w.shown(text)+", OIDC_AUTHORIZED_PARTIES is "+quoted(parties), "add the client to OIDC_AUTHORIZED_PARTIES if it is yours")
			return
		}
	}
	if !found {
		w.say("party", title, Fail, "it has no azp, client_id or cid", "unset OIDC_AUTHORIZED_PARTIES and set OIDC_AUDIENCE, or have the provider name the client")
		return
	}
	w.say("party", title, Pass, "one of "+quoted(parties), "")
}

// list shows names of the token's.
func (w *walk) list(names []string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = w.shown(name)
	}
	return strings.Join(shown, ", ")
}

// listed reads a string or a list of strings; false for anything else.
func listed(value any) ([]string, bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case []any:
		var all []string
		for _, entry := range v {
			text, ok := entry.(string)
			if !ok {
				return nil, false
			}
			all = append(all, text)
		}
		return all, true
	}
	return nil, false
}

// otherClaims lists the claims, and warns of numbers that no condition can use.
func (w *walk) otherClaims() {
	const title = "its other claims"
	inexact := w.claims.Inexact()
	if len(inexact) == 0 {
		w.say("claims", title, Pass, w.names(), "")
		return
	}
	for i, name := range inexact {
		inexact[i] = clip(name)
	}
	seen := w.names() + "; a number is too large to be exact in " + strings.Join(inexact, ", ") +
		": a condition that needs it holds for nobody"
	w.say("claims", title, Warn, seen,
		"have it issued as text; integers are exact from -9223372036854775808 to 9223372036854775807")
}
