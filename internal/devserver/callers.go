package devserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"strings"

	"stagedoor"
	"stagedoor/internal/httpapi"
)

// Issuer is the issuer of the demo callers.
const Issuer = "demo"

// Callers returns the callers that `stagedoor dev` knows.
func Callers() []httpapi.DemoCaller {
	return []httpapi.DemoCaller{
		{ID: "alice", Name: "Alice", Token: "alice-token", About: "Has a plan: may watch and publish."},
		{ID: "bob", Name: "Bob", Token: "bob-token", About: "Has no plan: may watch."},
		{ID: "user-id", Name: "Guide", Token: "stub-token", About: "The setup guide's stub-token: has no plan, may watch."},
	}
}

// Authenticator accepts the tokens of the demo callers, and passes every other
// token to the configured issuers. Safe for concurrent use.
type Authenticator struct {
	Callers    []httpapi.DemoCaller
	Configured stagedoor.Authenticator
}

// Authenticate returns a demo caller's principal, or what Configured returns. A
// token that cannot be a JWT is refused with the names of the demo's tokens.
func (a Authenticator) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	for _, caller := range a.Callers {
		if subtle.ConstantTimeCompare([]byte(c.Reveal()), []byte(caller.Token)) == 1 {
			return stagedoor.Principal{Issuer: Issuer, Subject: caller.ID, Handle: caller.ID, Name: caller.Name}, nil
		}
	}
	principal, err := a.Configured.Authenticate(ctx, c)
	var refused *stagedoor.Error
	if errors.As(err, &refused) && refused.Kind == stagedoor.InvalidToken && !strings.Contains(c.Reveal(), ".") {
		hint := *refused
		hint.Detail = "not a token of this demo; use alice-token, bob-token or stub-token"
		return principal, &hint
	}
	return principal, err
}
