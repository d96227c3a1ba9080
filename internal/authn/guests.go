package authn

import (
	"context"
	"strings"
	"time"

	"stagedoor"
)

// Guests authenticates those who come by invitation, and leaves everybody
// else to Others. The principal is the invitation's: which of its guests it
// is, only their request says. Safe for concurrent use when its parts are.
type Guests struct {
	// Find returns the invitation with a secret, revoked or expired ones too;
	// false when there is none.
	Find func(ctx context.Context, secret stagedoor.Secret) (stagedoor.Invitation, bool, error)
	// Others authenticates callers with a token of their own.
	Others stagedoor.Authenticator
	Now    func() time.Time
}

// Authenticate takes an invitation's secret as credential. Errors: InvalidToken
// for one that never was or was revoked, ExpiredToken, Unavailable when
// invitations cannot be read, and those of Others.
func (g Guests) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	if !strings.HasPrefix(c.Reveal(), stagedoor.InvitationPrefix) {
		return g.Others.Authenticate(ctx, c)
	}
	v, found, err := g.Find(ctx, stagedoor.NewSecret(c.Reveal()))
	switch {
	case err != nil:
		return stagedoor.Principal{}, &stagedoor.Error{Kind: stagedoor.Unavailable, Detail: "invitations cannot be checked now", RetryAfter: 5 * time.Second, Err: err}
	case !found || !v.RevokedAt.IsZero():
		return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.InvalidToken, "the invitation is not valid, or was taken back")
	case !g.Now().Before(v.Expires):
		return stagedoor.Principal{}, stagedoor.Refuse(stagedoor.ExpiredToken, "the invitation has expired")
	}
	return stagedoor.Principal{Issuer: stagedoor.GuestIssuer, Subject: v.ID, Handle: v.ID, Name: v.Name, Invitation: v.ID}, nil
}
