package check

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"stagedoor"
)

// Keyring is what a token can be held against on this machine.
type Keyring struct {
	// Secrets are every configured secret with its variable, the LiveKit ones
	// and JWT_SECRET among them.
	Secrets []NamedSecret
	// LiveKitKeys are the API keys whose tokens LiveKit takes, by the variable
	// of their secret.
	LiveKitKeys map[string]string
	// Verify holds a token against an issuer's key set, as the door does.
	Verify func(token stagedoor.Secret, set []byte) error
	// Accept is the door's own verdict on a caller's token.
	Accept func(ctx context.Context, token stagedoor.Secret) error
}

// NamedSecret is a configured secret and its variable.
type NamedSecret struct {
	Name  string
	Value stagedoor.Secret
}

// Names of the secrets that sign.
const (
	jwtSecret     = "JWT_SECRET"
	livekitSecret = "LIVEKIT_API_SECRET"
)

// Token says of one token, step by step, whether it would be taken and why
// not. The token is sent to nobody: an issuer is asked for its keys alone, and
// only where it is a configured one.
func Token(ctx context.Context, t Target, ring Keyring, token stagedoor.Secret) Report {
	began := time.Now()
	t.whole, t.each = Patience, AskPatience
	ctx, cancel := context.WithTimeout(ctx, t.whole)
	defer cancel()
	w := &walk{target: &t, ring: ring, token: token}
	w.begin(ctx)
	w.report.OK = w.report.Failed == 0
	w.report.Took = time.Since(began)
	return w.report
}

// walk is one token on its way through the steps.
type walk struct {
	target *Target
	ring   Keyring
	token  stagedoor.Secret
	parts  []string
	header stagedoor.Claims
	claims stagedoor.Claims
	report Report
}

// say adds a step.
func (w *walk) say(id, title string, state State, seen, remedy string) {
	switch state {
	case Pass:
		w.report.Passed++
	case Warn:
		w.report.Warned++
	case Fail:
		w.report.Failed++
	case Skip:
		w.report.Unseen++
	}
	w.report.Checks = append(w.report.Checks, Result{ID: "token." + id, Group: "Token", Title: title, State: state, Seen: seen, Remedy: remedy})
}

// shown is a text of the token's as it may be printed: never one that is a secret.
func (w *walk) shown(value string) string {
	for _, s := range w.ring.Secrets {
		if value != "" && strings.Contains(value, s.Value.Reveal()) {
			return "(the value of " + s.Name + ")"
		}
	}
	return fmt.Sprintf("%q", clip(value))
}

// begin tells what was pasted, and walks on where it is a signed token.
func (w *walk) begin(ctx context.Context) {
	raw := strings.TrimSpace(w.token.Reveal())
	if after, ok := strings.CutPrefix(raw, "Bearer "); ok {
		raw = strings.TrimSpace(after)
	}
	if kind, remedy := w.other(raw); kind != "" {
		w.say("form", "it is a signed token", Fail, kind, remedy)
		return
	}
	w.parts = strings.Split(raw, ".")
	w.token = stagedoor.NewSecret(raw)
	for i, into := range []*stagedoor.Claims{&w.header, &w.claims} {
		name := []string{"first part (header)", "second part (payload)"}[i]
		data, err := base64.RawURLEncoding.DecodeString(w.parts[i])
		if err != nil {
			w.say("form", "it is a signed token", Fail, "its "+name+" is not base64url: it was changed or cut on its way", "copy the token whole, from what your application sends behind Bearer")
			return
		}
		if err := json.NewDecoder(bytes.NewReader(data)).Decode(into); err != nil || *into == nil {
			w.say("form", "it is a signed token", Fail, "its "+name+" is not a JSON object", "copy the token whole, from what your application sends behind Bearer")
			return
		}
	}
	if what, remedy := w.unsigned(); what != "" {
		w.say("form", "it is a signed token", Fail, what, remedy)
		return
	}
	w.say("form", "it is a signed token", Pass, fmt.Sprintf("three parts, %d bytes", len(raw)), "")
	iss, _ := w.claims["iss"].(string)
	_, video := w.claims["video"]
	if _, minted := w.ring.LiveKitKeys[iss]; video || minted {
		w.say("kind", "what it is", Pass, "a LiveKit token: it opens a room at LiveKit, and nothing at the door", "")
		w.livekitToken()
		return
	}
	w.say("kind", "what it is", Pass, "a caller's token: it opens the door, and nothing at LiveKit", "")
	w.callersToken(ctx)
}

// unsigned says what is wrong with the third part; empty: it may be a signature.
func (w *walk) unsigned() (what, remedy string) {
	alg, _ := w.header["alg"].(string)
	signature, err := base64.RawURLEncoding.DecodeString(w.parts[2])
	// RSA's are as long as the key. SPEC: RFC 7518 §3.2, §3.4; RFC 8037 §3.1.
	size := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64, "ES256": 64, "ES384": 96, "EdDSA": 64}[alg]
	switch {
	case w.parts[2] == "" && strings.EqualFold(alg, "none"):
		return notSigned(w.shown(alg)), signIt
	case err != nil || len(signature) == 0:
		return "its third part (signature) is missing or not base64url: the end was cut off", "copy the token whole; a token without a signature is taken by nobody"
	case len(signature) < size:
		return fmt.Sprintf("the signature has %s, %s's has %d: the end was cut off", count(len(signature), "byte", "bytes"), alg, size), "copy the token whole, from what your application sends behind Bearer"
	}
	return "", ""
}

// notSigned is said of a token whose header names no algorithm, or none.
func notSigned(alg string) string { return "it is not signed: its header says alg " + alg }

// signIt is what to do about it.
const signIt = "have your application sign its tokens: HS256 with JWT_SECRET, or the provider's own key"

// other recognizes what is pasted by mistake. Its text shows nothing of it.
func (w *walk) other(raw string) (what, remedy string) {
	const whole = "copy the token whole, from what your application sends behind Bearer"
	for _, s := range w.ring.Secrets {
		if subtle.ConstantTimeCompare([]byte(raw), []byte(s.Value.Reveal())) == 1 {
			return "this is the value of " + s.Name + " itself, not a token", "it should not have been typed here: if the shell keeps a history, make a new one. Name a token"
		}
	}
	for _, prefix := range []string{"sk_", "rk_", "pk_", "whsec_"} {
		if strings.HasPrefix(raw, prefix) {
			return "this is a Stripe key (" + prefix + "…), not a token", "it belongs in STRIPE_SECRET_KEY or STRIPE_WEBHOOK_SECRET; if the shell keeps a history, make a new one"
		}
	}
	dots := strings.Count(raw, ".")
	switch {
	case raw == "":
		return "nothing was given", "name a token, or pass it on standard input: --token -"
	case strings.ContainsAny(raw, "\"'"):
		return "there are quotation marks around it or in it", whole
	case strings.ContainsAny(raw, " \t\r\n"):
		return "there is white space in it", whole
	case strings.Contains(raw, "%"):
		return "it is percent-encoded, as in a URL", whole
	case dots == 4:
		return "it is encrypted (a JWE, five parts): nobody but its maker can read it", "have the provider issue signed access tokens: for many, naming an audience or API when asking for the token is enough"
	case dots == 0 && strings.HasPrefix(raw, "API"):
		return "this looks like a LiveKit API key, not a token", "stagedoor token --room R --identity I makes a LiveKit token"
	case dots != 2:
		return "it has " + count(dots+1, "part", "parts") + ", a signed token has three: it was cut off, or is an opaque token that only its provider understands",
			"copy the token whole; or have the provider issue JWTs: for many, naming an audience or API when asking for the token is enough"
	case strings.ContainsAny(raw, "+/="):
		return "it is in base64, a token is in base64url without =", whole
	}
	return "", ""
}

// hashes are the HMAC algorithms.
func hashes() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
}

// signedWith reports whether an HMAC token holds against a secret.
func (w *walk) signedWith(secret stagedoor.Secret) bool {
	alg, _ := w.header["alg"].(string)
	of, known := hashes()[alg]
	if !known || secret.Empty() {
		return false
	}
	mac := hmac.New(of, []byte(secret.Reveal()))
	_, _ = mac.Write([]byte(w.parts[0] + "." + w.parts[1]))
	signature, err := base64.RawURLEncoding.DecodeString(w.parts[2])
	return err == nil && hmac.Equal(signature, mac.Sum(nil))
}

// signer names the configured secret that a token is signed with; empty: none.
func (w *walk) signer() string {
	for _, s := range w.ring.Secrets {
		if w.signedWith(s.Value) {
			return s.Name
		}
	}
	return ""
}

// secretOf is a configured secret; empty where it is not configured.
func (w *walk) secretOf(name string) stagedoor.Secret {
	i := slices.IndexFunc(w.ring.Secrets, func(s NamedSecret) bool { return s.Name == name })
	if i < 0 {
		return stagedoor.Secret{}
	}
	return w.ring.Secrets[i].Value
}

// callersToken walks a caller's token through what the door asks of it.
func (w *walk) callersToken(ctx context.Context) {
	alg, _ := w.header["alg"].(string)
	iss, _ := w.claims["iss"].(string)
	_, shared := hashes()[alg]
	var chosen *Issuer
	for i := range w.target.Issuers {
		if w.target.Issuers[i].ID == iss && !shared {
			chosen = &w.target.Issuers[i]
		}
	}
	w.algorithm(alg, shared)
	w.issuedBy(iss, shared, chosen)
	switch {
	case shared:
		w.sharedSignature()
	case chosen != nil:
		w.publishedSignature(ctx, *chosen)
	default:
		w.say("signature", "its signature holds", Skip, "whose key would prove it is not known", "")
	}
	w.times(30*time.Second, true)
	w.audience(shared, chosen)
	w.subject()
	w.otherClaims()
	if w.ring.Accept == nil {
		return
	}
	if err := w.ring.Accept(ctx, w.token); err != nil {
		w.say("verdict", "the door's verdict", Fail, "refused: "+clip(detail(err)), "put right what fails above; a claim that the door refuses is in docs/authentication.md")
		return
	}
	w.say("verdict", "the door's verdict", Pass, "taken", "")
}

// subject looks for whom the token names.
func (w *walk) subject() {
	const title = "it names somebody"
	switch sub := w.claims["sub"].(type) {
	case int64, float64, json.Number:
		w.say("subject", title, Fail, "sub is a number: write it as text", `put the user's id into sub in quotation marks, as "42" (RFC 7519 §4.1.2)`)
	case string:
		if sub == "" {
			w.say("subject", title, Fail, "its sub is empty", "put the user's id into sub, as a string")
			return
		}
		w.say("subject", title, Pass, "sub "+w.shown(sub), "")
	default:
		w.say("subject", title, Fail, "it has no sub that is a string", "put the user's id into sub, as a string")
	}
}

// detail is what the door would tell the caller, in place of what it logs.
func detail(err error) string {
	var refused *stagedoor.Error
	if errors.As(err, &refused) && refused.Detail != "" {
		return refused.Kind.String() + ", " + refused.Detail
	}
	return err.Error()
}

// names lists the claims without their values, which are somebody's data.
func (w *walk) names() string {
	var names []string
	for name := range w.claims {
		if !slices.Contains([]string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}, name) {
			names = append(names, clip(name))
		}
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (w *walk) algorithm(alg string, shared bool) {
	const title = "its algorithm is taken"
	switch {
	case strings.EqualFold(alg, "none") || alg == "":
		w.say("algorithm", title, Fail, notSigned(w.shown(alg)), signIt)
	case shared && w.secretOf(jwtSecret).Empty():
		w.say("algorithm", title, Fail, alg+" is signed with a shared secret, and JWT_SECRET is not set", "set JWT_SECRET to the secret that it is signed with")
	case shared && !w.target.Shared.Configured:
		w.say("algorithm", title, Fail, alg+" is signed with a shared secret, and JWT_SECRET is not usable", "see Configuration of stagedoor check")
	case !shared && !slices.Contains([]string{"RS256", "PS256", "ES256", "ES384", "EdDSA"}, alg):
		w.say("algorithm", title, Fail, "the door does not take "+w.shown(alg), "have the provider sign with RS256, PS256, ES256, ES384 or EdDSA")
	case !shared && len(w.target.Issuers) == 0:
		w.say("algorithm", title, Fail, alg+" is proved by published keys, and no issuer is configured", "set OIDC_ISSUER and OIDC_AUDIENCE")
	default:
		w.say("algorithm", title, Pass, alg, "")
	}
}

// issuedBy compares iss with the configured issuers, byte for byte.
func (w *walk) issuedBy(iss string, shared bool, chosen *Issuer) {
	const title = "its issuer is configured"
	configured, variable := []string{}, "OIDC_ISSUER"
	if shared {
		variable = "JWT_ISSUER"
		switch w.target.Shared.Issuer {
		case "":
			w.say("issuer", title, Pass, "iss "+w.shown(iss)+"; JWT_ISSUER is not set, any is taken", "")
			return
		case iss:
			w.say("issuer", title, Pass, "iss "+w.shown(iss)+", equal to JWT_ISSUER", "")
			return
		}
		configured = []string{w.target.Shared.Issuer}
	} else if chosen != nil {
		w.say("issuer", title, Pass, "iss "+w.shown(iss)+", equal to "+chosen.Variable, "")
		return
	} else {
		for _, i := range w.target.Issuers {
			configured = append(configured, i.ID)
		}
	}
	if len(configured) == 0 {
		w.say("issuer", title, Fail, "iss is "+w.shown(iss)+"; no issuer is configured", "set "+variable+" to exactly that")
		return
	}
	nearest := configured[0]
	for _, other := range configured {
		if strings.EqualFold(strings.TrimSuffix(other, "/"), strings.TrimSuffix(iss, "/")) {
			nearest = other
		}
	}
	for _, i := range w.target.Issuers {
		if i.ID == nearest && !shared {
			variable = i.Variable
		}
	}
	w.say("issuer", title, Fail, fmt.Sprintf("iss is %s, %s is %q: %s", w.shown(iss), variable, nearest, difference(nearest, iss)), "if the provider is the right one, set "+variable+" to exactly what iss says")
}

// sharedSignature holds an HMAC token against JWT_SECRET.
func (w *walk) sharedSignature() {
	const title = "its signature holds"
	switch name := w.signer(); {
	case name == jwtSecret:
		w.say("signature", title, Pass, "signed with JWT_SECRET", "")
	case name == jwtSecret+"_PREVIOUS":
		w.say("signature", title, Warn, "signed with JWT_SECRET_PREVIOUS, which is being rotated out", "have your application sign with JWT_SECRET")
	case name != "":
		w.say("signature", title, Fail, "it is signed with "+name+", not with JWT_SECRET", "have your application sign its callers' tokens with JWT_SECRET; "+name+" must open nothing else")
	case w.secretOf(jwtSecret).Empty():
		w.say("signature", title, Skip, "there is no JWT_SECRET to hold it against", "")
	default:
		w.say("signature", title, Fail, "it is not signed with JWT_SECRET", "set JWT_SECRET to the secret that your application signs with, byte for byte: no quotes, no line end, not decoded from base64")
	}
}
