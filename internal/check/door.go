package check

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// foreign is an origin that nobody has: .invalid resolves nowhere.
//
// SPEC: RFC 6761 §6.4.
const foreign = "https://stagedoor-check.invalid"

// door looks at the running door from inside and, at its public address, from
// outside: as a stranger, who has no token.
func (t *Target) door(ctx context.Context, f *findings) {
	t.publishing(f)
	var asking sync.WaitGroup
	asking.Go(func() { t.running(ctx, f) })
	asking.Go(func() { t.public(ctx, f) })
	asking.Wait()
}

// publishing says who may publish by the rules.
func (t *Target) publishing(f *findings) {
	const id = "door.publish"
	d := t.Door
	switch {
	case d.Broken != nil:
		f.add(id, Fail, "the rules cannot be read: "+d.Broken.Error(), "correct POLICY_FILE; stagedoor policy test says what is wrong with it")
	case d.PolicyFile == "":
		f.add(id, Warn, fmt.Sprintf("publishing needs the feature %q; without POLICY_FILE every authenticated caller may watch every room", d.Feature), "write a policy file (docs/policy.md) and name it in POLICY_FILE")
	case len(d.Unpaid) > 0:
		f.add(id, Warn, fmt.Sprintf("%s; these let people publish without asking for a feature: %s", count(d.Rules, "rule", "rules"), strings.Join(d.Unpaid, ", ")), "if publishing there is to be paid for, write publish: \"'"+d.Feature+"' in features\" in POLICY_FILE")
	default:
		f.pass(id, count(d.Rules, "rule", "rules")+", none of which lets anybody publish without a feature")
	}
}

// running asks the operators' API.
func (t *Target) running(ctx context.Context, f *findings) {
	const id = "door.running"
	if t.Door.Admin == nil {
		f.skip("nobody said where one might run", id)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, t.each)
	defer cancel()
	err := t.Door.Admin(ctx)
	switch {
	case err == nil:
		f.pass(id, "its operators' API answers at "+t.Door.AdminURL)
	case t.Door.Named:
		f.add(id, Fail, err.Error(), "correct ADMIN_URL and ADMIN_TOKEN, or start the door")
	default:
		f.skip("none answers at "+t.Door.AdminURL+"; ADMIN_URL names another place", id)
	}
}

// public asks the public address.
func (t *Target) public(ctx context.Context, f *findings) {
	asked := []string{"door.ready", "door.auth", "door.proxy", "door.https", "door.limits", "door.cors"}
	d := t.Door
	if d.URL == "" {
		f.skip("the public address is not known: name it with --url https://…", asked...)
		return
	}
	var ready, join, preflight, plain answer
	var readyErr, joinErr, preflightErr, plainErr error
	secure, https := strings.CutPrefix(d.URL, "https://")
	var asking sync.WaitGroup
	asking.Go(func() { ready, readyErr = t.ask(ctx, question{url: d.URL + "/readyz"}) })
	asking.Go(func() {
		join, joinErr = t.ask(ctx, question{method: http.MethodPost, url: d.URL + "/api/join", body: `{"room":"stagedoor-check"}`,
			header: map[string]string{"Content-Type": "application/json"}})
	})
	asking.Go(func() {
		preflight, preflightErr = t.ask(ctx, question{method: http.MethodOptions, url: d.URL + "/api/join", header: map[string]string{
			"Origin": foreign, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}})
	})
	if https {
		asking.Go(func() {
			plain, plainErr = t.ask(ctx, question{method: http.MethodPost, url: "http://" + secure + "/api/join", body: "{}", header: map[string]string{"Content-Type": "application/json"}})
		})
	}
	asking.Wait()
	if joinErr != nil {
		seen, remedy := trouble(joinErr, d.URL, "--url")
		f.add("door.ready", Fail, seen, remedy)
		f.skip("the public address does not answer", asked[1:]...)
		return
	}
	t.ready(f, ready, readyErr)
	if !t.refusal(f, join, https) {
		return
	}
	t.encrypted(f, join, plain, plainErr, https)
	t.limits(f, join)
	t.origins(f, preflight, preflightErr)
}

// ready judges /readyz.
func (t *Target) ready(f *findings, a answer, err error) {
	const id = "door.ready"
	switch {
	case err != nil:
		seen, remedy := trouble(err, t.Door.URL, "--url")
		f.add(id, Fail, seen, remedy)
	case a.status == http.StatusOK && len(degraded(a)) > 0:
		f.add(id, Warn, "it serves, and these issuers give it no usable keys: "+quoted(degraded(a)),
			"see callers.keys here; their callers are refused when the known keys are 24 hours old")
	case a.status == http.StatusOK:
		f.pass(id, fmt.Sprintf("%s/readyz answers in %d ms", t.Door.URL, a.took.Milliseconds()))
	case a.status == http.StatusServiceUnavailable:
		f.add(id, Fail, "it runs and is not ready: "+clip(errorText(a)), "see callers.keys and store.database here, and the door's log")
	default:
		f.add(id, Fail, fmt.Sprintf("%s/readyz answers HTTP %d: no door is there", t.Door.URL, a.status), "correct --url, or the proxy in front of the door")
	}
}

// degraded are the issuers that /readyz names, as they may be printed.
func degraded(a answer) []string {
	var body struct {
		Degraded []string `json:"degraded"`
	}
	if json.Unmarshal(a.body, &body) != nil {
		return nil
	}
	for i, name := range body.Degraded {
		body.Degraded[i] = clip(name)
	}
	return body.Degraded
}

// code is the door's own word for a refusal; empty where something else refused.
func code(a answer) string {
	var body struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(a.body, &body)
	return body.Code
}

func errorText(a answer) string {
	var body struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(a.body, &body)
	return cmp.Or(body.Error, fmt.Sprintf("HTTP %d", a.status))
}

// refusal judges what a stranger's join got, and reports whether it was the
// door that answered.
func (t *Target) refusal(f *findings, a answer, https bool) bool {
	rest := []string{"door.https", "door.limits", "door.cors"}
	switch {
	case a.status == http.StatusForbidden && code(a) == "https_required" && https:
		seen := "the door takes requests over https for plain http: the proxy that ends TLS is not trusted"
		if len(t.Door.Proxies) > 0 {
			seen += "; " + t.Door.trusts()
		}
		f.add("door.proxy", Fail, seen, "add the proxy's address to TRUSTED_PROXIES: the door's log names it as client of the refused requests; and have the proxy send X-Forwarded-Proto")
		f.skip("the proxy is not trusted", append(rest, "door.auth")...)
		return false
	case a.status == http.StatusForbidden && code(a) == "https_required":
		f.pass("door.https", "plain HTTP is refused; name the https address with --url to see the rest")
		f.skip("the door wants https: name the https address with --url", "door.auth", "door.proxy", "door.limits", "door.cors")
		return false
	case a.status == http.StatusUnauthorized && code(a) == "missing_token":
		f.pass("door.auth", "401 missing_token")
	case a.status == http.StatusTooManyRequests:
		f.pass("door.auth", "429: this address has asked too often to be told")
	case a.status < 300:
		f.add("door.auth", Fail, fmt.Sprintf("a join without any token was answered HTTP %d", a.status), "take what answers there off the network: it is not this door, or stands in front of it and adds a token")
		f.skip("something else answers there", append(rest, "door.proxy")...)
		return false
	default:
		f.add("door.auth", Fail, fmt.Sprintf("a join without a token is answered HTTP %d, not the door's 401", a.status), "correct --url, or the proxy in front: it must let POST /api/join through unchanged")
		f.skip("something else answers there", append(rest, "door.proxy")...)
		return false
	}
	switch {
	case !https:
		f.skip("the address named is not https", "door.proxy")
	case t.Door.OwnTLS:
		f.pass("door.proxy", "none is needed: the door speaks TLS itself")
	case len(t.Door.Proxies) == 0:
		f.pass("door.proxy", "the door takes the request for https")
	default:
		f.pass("door.proxy", "the door takes the request for https; "+t.Door.trusts())
	}
	return true
}

// trusts names the proxies of this configuration, which need not be the one
// that the running door was started with.
func (d Door) trusts() string {
	return "this configuration trusts " + strings.Join(d.Proxies, ", ") + "; the running door may have another"
}

// noHSTS is what a browser then does.
const noHSTS = "no Strict-Transport-Security: a browser may try plain http first"

// encrypted judges whether plain HTTP leads anywhere.
func (t *Target) encrypted(f *findings, join, plain answer, plainErr error, https bool) {
	const id = "door.https"
	hsts := join.header.Get("Strict-Transport-Security") != ""
	switch {
	case !https && t.Door.Loopback:
		f.skip("the door listens on this machine alone", id)
	case !https:
		f.add(id, Fail, "callers' tokens travel in the clear to "+t.Door.URL, "unset REQUIRE_HTTPS, and put a proxy that speaks HTTPS in front (TRUSTED_PROXIES), or set TLS_DOMAINS")
	case plainErr == nil && (code(plain) == "missing_token" || plain.status < 300):
		f.add(id, Fail, "the same join is served over plain http", "unset REQUIRE_HTTPS, and let the proxy redirect http to https; X-Forwarded-Proto must say what the client used")
	case !hsts && t.Door.Loopback && !t.Door.RequireHTTPS:
		f.add(id, Warn, noHSTS, "set REQUIRE_HTTPS=true: on loopback it is off unless asked for, or have the proxy send the header")
	case !hsts:
		f.add(id, Warn, noHSTS, "unset REQUIRE_HTTPS, or have the proxy send the header")
	case plainErr != nil:
		f.pass(id, "HSTS is sent; nothing serves plain http")
	default:
		f.pass(id, fmt.Sprintf("HSTS is sent; plain http gets HTTP %d", plain.status))
	}
}

// limits judges whether an answer names its limit.
func (t *Target) limits(f *findings, a answer) {
	const id = "door.limits"
	if policy := a.header.Get("RateLimit-Policy"); policy != "" {
		f.pass(id, clip(policy)+"; configured: "+t.Door.Limits)
		return
	}
	f.add(id, Warn, "the answer names no limit; configured: "+t.Door.Limits, "see RATE_LIMIT_IP and RATE_LIMIT_FAILURES; a proxy must not drop the headers RateLimit and RateLimit-Policy")
}

// origins judges how a page that nobody listed is answered.
func (t *Target) origins(f *findings, a answer, err error) {
	const id = "door.cors"
	listed := "no page of another origin may call"
	if len(t.Door.Origins) > 0 {
		listed = "listed: " + strings.Join(t.Door.Origins, ", ")
	}
	allowed := a.header.Get("Access-Control-Allow-Origin")
	switch {
	case err != nil:
		f.skip("the preflight was not answered", id)
	case allowed == "*" || allowed == foreign:
		f.add(id, Fail, "a page of any origin may call with its visitors' tokens (Access-Control-Allow-Origin: "+clip(allowed)+")", "have the proxy in front add no CORS headers of its own; the door's are set by ALLOWED_ORIGINS")
	default:
		f.pass(id, "a page of "+foreign+" is refused; "+listed)
	}
}
