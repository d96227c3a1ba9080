// Package authn answers who is calling: it turns a Credential into a verified
// Principal, by a shared secret or by an issuer's published keys.
package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"golang.org/x/text/unicode/norm"

	"stagedoor"
)

// SharedSecretIssuer is the issuer of principals whose tokens are signed with
// a shared secret for which no issuer is configured.
const SharedSecretIssuer = "shared-secret"

// Issuer says whose tokens are taken and on which conditions. Exactly one of
// Secrets and URL names the keys; an Issuer with neither is refused by New.
type Issuer struct {
	// ID is the iss claim, compared byte by byte. It may be empty for a
	// shared secret only.
	ID string
	// Secrets are shared HMAC secrets, each at least 32 bytes; the first is
	// current, the others are being rotated out.
	Secrets []stagedoor.Secret
	// Remote takes the keys from the issuer: by discovery from ID, or from JWKSURL.
	Remote bool
	// JWKSURL is where the keys are, when not to be discovered.
	JWKSURL string
	// Audiences are acceptable aud values; with Remote, they or
	// AuthorizedParties must be given.
	Audiences []string
	// AuthorizedParties are acceptable azp, client_id or cid values.
	AuthorizedParties []string
	// IdentityPrefix keeps this issuer's subjects apart from the others'.
	IdentityPrefix string
	// IdentityClaim and NameClaim name the claims used for the participant,
	// as whole names or dotted paths; empty means sub, and no name.
	IdentityClaim, NameClaim string

	keys KeySet     // of Secrets
	live *keySource // of Remote
}

// Options are what New needs beside the issuers.
type Options struct {
	Issuers []Issuer
	// MintingKeys are the LiveKit API keys: a token that one of them issued
	// is the door's own and no caller's credential.
	MintingKeys []string
	// Now is the clock.
	Now func() time.Time
	// PlainHTTP says to which hosts an issuer that is itself reached over
	// http may point for its keys without TLS; nil means none.
	PlainHTTP func(host string) bool
	// Transport carries the requests to issuers; nil means the standard one
	// with bounded headers.
	Transport http.RoundTripper
	// Log takes what goes wrong with issuers.
	Log *slog.Logger
}

// Authenticator verifies callers' tokens. Safe for concurrent use.
type Authenticator struct {
	issuers []*Issuer
	minting []string
	now     func() time.Time
}

// New checks the issuers. Nothing is fetched until Run.
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{minting: o.MintingKeys, now: o.Now}
	for _, issuer := range o.Issuers {
		i := issuer
		switch {
		case i.Remote == (len(i.Secrets) > 0):
			return nil, fmt.Errorf("issuer %q needs either shared secrets or published keys", i.ID)
		case i.Remote && i.ID == "":
			return nil, errors.New("an issuer with published keys needs an ID")
		case i.Remote && len(i.Audiences) == 0 && len(i.AuthorizedParties) == 0:
			return nil, fmt.Errorf("issuer %q has no audience and no authorized party", i.ID)
		case slices.Contains(i.Audiences, "") || slices.Contains(i.AuthorizedParties, ""):
			// An empty name would match a claim that says nothing.
			return nil, fmt.Errorf("issuer %q has an empty audience or authorized party", i.ID)
		case slices.ContainsFunc(a.issuers, func(other *Issuer) bool { return other.ID == i.ID }):
			return nil, fmt.Errorf("issuer %q is configured twice", i.ID)
		}
		var err error
		if i.Remote {
			fetcher := newFetcher(i.ID, i.JWKSURL, o.PlainHTTP, o.Transport)
			i.live = newKeySource(i.ID, i.JWKSURL, fetcher, o.Now, o.Log)
		} else if i.keys, err = SecretKeys(i.Secrets...); err != nil {
			return nil, err
		}
		a.issuers = append(a.issuers, &i)
	}
	return a, nil
}

// Run keeps the issuers' keys fresh until ctx ends.
func (a *Authenticator) Run(ctx context.Context) {
	done := make(chan struct{})
	for _, i := range a.issuers {
		go func() {
			if i.live != nil {
				i.live.run(ctx)
			}
			done <- struct{}{}
		}()
	}
	for range a.issuers {
		<-done
	}
}

// Ready reports whether the callers of any issuer can be served now: nil, or an
// error that names the issuers without usable keys. One issuer that fails does
// not make it fail for the others; Keys tells which does.
func (a *Authenticator) Ready() error {
	var missing []error
	for _, i := range a.issuers {
		if i.live == nil {
			return nil
		}
		if _, ok := i.live.keys(); ok {
			return nil
		}
		missing = append(missing, fmt.Errorf("no keys of issuer %s", i.ID))
	}
	return errors.Join(missing...)
}

// Keys are what an issuer has published.
type Keys struct {
	// Issuer is its name in the configuration.
	Issuer string
	// Usable is how many keys can verify now.
	Usable int
	// ConfirmedAt is when the issuer last gave them; zero: never.
	ConfirmedAt time.Time
	// Failing: the issuer's last answer held no usable key, or none came.
	Failing bool
	// Failures is how many times that happened since the start.
	Failures int64
}

// Keys says how the keys stand of every issuer that publishes its own.
func (a *Authenticator) Keys() []Keys {
	var all []Keys
	for _, i := range a.issuers {
		if i.live == nil {
			continue
		}
		k := Keys{Issuer: i.ID, Failing: i.live.failing(), Failures: i.live.failures.Load()}
		if snap := i.live.current.Load(); snap != nil {
			k.ConfirmedAt = snap.at
		}
		if usable, ok := i.live.keys(); ok {
			k.Usable = usable.Len()
		}
		all = append(all, k)
	}
	return all
}

// Degraded returns the issuers whose callers cannot be served, or may not be
// served for long: without usable keys, or failing.
func (a *Authenticator) Degraded() []string {
	var names []string
	for _, k := range a.Keys() {
		if k.Usable == 0 || k.Failing {
			names = append(names, k.Issuer)
		}
	}
	return names
}

// Prefixes returns the identity prefixes of all issuers.
func (a *Authenticator) Prefixes() []string {
	var prefixes []string
	for _, i := range a.issuers {
		if i.IdentityPrefix != "" {
			prefixes = append(prefixes, i.IdentityPrefix)
		}
	}
	return prefixes
}

// Authenticate verifies the credential. Errors: MissingToken, InvalidToken,
// ExpiredToken (only when the signature held), IdentityNotAllowed, Unavailable.
func (a *Authenticator) Authenticate(ctx context.Context, credential stagedoor.Credential) (stagedoor.Principal, error) {
	if credential.Empty() {
		return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.MissingToken, "send Authorization: Bearer and the caller's token")
	}
	j, err := ParseJWS(credential.Reveal())
	if err != nil {
		return stagedoor.Principal{}, invalid(generic, err.Error())
	}
	claims, err := decodeClaims(j.Payload)
	if err != nil {
		return stagedoor.Principal{}, invalid(generic, err.Error())
	}
	issuer, err := a.issuerOf(j, claims)
	if err != nil {
		return stagedoor.Principal{}, err
	}
	if err := issuer.verify(ctx, j); err != nil {
		return stagedoor.Principal{}, err
	}
	if err := issuer.validate(j, claims, a.now()); err != nil {
		return stagedoor.Principal{}, err
	}
	return issuer.principal(claims)
}

// issuerOf picks the issuer whose keys may prove the token. The iss claim is
// unverified here: it only ever chooses between configured issuers, and the
// algorithm must be of the issuer's family.
func (a *Authenticator) issuerOf(j JWS, claims stagedoor.Claims) (*Issuer, error) {
	iss, isText := claims["iss"].(string)
	if _, present := claims["iss"]; present && !isText {
		return nil, invalid(generic, "iss is not a string")
	}
	if iss != "" && slices.Contains(a.minting, iss) {
		return nil, invalid(generic, "a LiveKit API key is the issuer")
	}
	shared := algorithms[j.Alg].kind == "oct"
	var fallback *Issuer
	for _, i := range a.issuers {
		if i.ID != "" && i.ID == iss {
			if i.Remote == shared {
				return nil, invalid(generic, "an algorithm of another family than the issuer's")
			}
			return i, nil
		}
		if i.ID == "" && shared {
			fallback = i
		}
	}
	if fallback == nil {
		return nil, invalid(generic, "unknown issuer")
	}
	return fallback, nil
}

// verify checks the signature, and when an issuer's keys do not fit asks the
// issuer again, as rarely as keySource allows. While the issuer gives no usable
// answer a token that does not fit the known keys is Unavailable, whether its
// key is unknown or its signature wrong: a new key may have come under either.
func (i *Issuer) verify(ctx context.Context, j JWS) error {
	if i.live == nil {
		if err := i.keys.Verify(j); err != nil {
			return invalid(generic, err.Error())
		}
		return nil
	}
	seen := i.live.current.Load()
	keys, ok := i.live.keys()
	failure := errUnknownKey
	if ok {
		if failure = keys.Verify(j); failure == nil {
			return nil
		}
	}
	answers := i.live.refresh(ctx)
	if i.live.current.Load() != seen {
		if keys, ok = i.live.keys(); ok {
			failure = keys.Verify(j)
		}
	}
	switch {
	case !ok:
		return &stagedoor.Error{Kind: stagedoor.Unavailable, RetryAfter: loadRetryAfter,
			Detail: "the issuer's keys are not there yet", Err: errors.New("no usable keys of " + i.ID)}
	case failure != nil && !answers:
		return &stagedoor.Error{Kind: stagedoor.Unavailable, RetryAfter: refreshEvery,
			Detail: "the token cannot be verified now, because its issuer gives no keys; try again later", Err: failure}
	case failure != nil:
		return invalid(generic, failure.Error())
	}
	return nil
}

// principal builds the caller from verified claims. Errors: IdentityNotAllowed.
func (i *Issuer) principal(claims stagedoor.Claims) (stagedoor.Principal, error) {
	subject, _ := claims["sub"].(string)
	p := stagedoor.Principal{Issuer: i.ID, Subject: subject, Handle: subject, IdentityPrefix: i.IdentityPrefix, Claims: claims}
	if p.Issuer == "" {
		p.Issuer = SharedSecretIssuer
	}
	if iat, present, ok := numericDate(claims, "iat"); present && ok {
		p.IssuedAt = time.UnixMilli(int64(iat * 1000))
	}
	if i.IdentityClaim != "" && i.IdentityClaim != "sub" {
		value, _ := claims.At(i.IdentityClaim)
		handle, _ := value.(string)
		if handle == "" {
			return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.IdentityNotAllowed, "the token's identity claim is missing or not a string")
		}
		if !emailVerified(claims, i.IdentityClaim) {
			return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.IdentityNotAllowed, "the token's e-mail address is not verified")
		}
		p.Handle = handle
	}
	if i.NameClaim != "" {
		value, _ := claims.At(i.NameClaim)
		name, _ := value.(string)
		// A name that cannot be shown is left out: it is no reason to keep its owner out.
		if name = norm.NFC.String(name); stagedoor.CheckText(name) == nil {
			p.Name = name
		}
	}
	return p, nil
}
