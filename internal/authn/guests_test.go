package authn

import (
	"context"
	"errors"
	"testing"
	"time"

	"stagedoor"
)

// others notes who was left to it.
type others struct{ asked []string }

func (o *others) Authenticate(_ context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	o.asked = append(o.asked, c.Reveal())
	return stagedoor.Principal{Issuer: "i", Subject: "ann"}, nil
}

func TestInvitationIsACredentialOnlyWhileItLasts(t *testing.T) {
	now := time.Unix(1795348800, 0)
	good := stagedoor.Invitation{ID: "inv_1", Room: "r", Name: "Gus", Expires: now.Add(time.Millisecond)}
	revoked, expired := good, good
	revoked.RevokedAt, expired.Expires = now, now
	both := revoked
	both.Expires = now
	for name, c := range map[string]struct {
		v     stagedoor.Invitation
		found bool
		err   error
		want  stagedoor.Kind
	}{
		"open":            {good, true, nil, 0},
		"revoked":         {revoked, true, nil, stagedoor.InvalidToken},
		"expired":         {expired, true, nil, stagedoor.ExpiredToken},
		"both":            {both, true, nil, stagedoor.InvalidToken},
		"never was":       {stagedoor.Invitation{}, false, nil, stagedoor.InvalidToken},
		"cannot be asked": {good, true, errors.New("the disk is full"), stagedoor.Unavailable},
	} {
		rest := &others{}
		g := Guests{Others: rest, Now: func() time.Time { return now }, Find: func(_ context.Context, secret stagedoor.Secret) (stagedoor.Invitation, bool, error) {
			if secret.Reveal() != "invite_x" {
				t.Errorf("asked for %q", secret.Reveal())
			}
			return c.v, c.found, c.err
		}}
		p, err := g.Authenticate(t.Context(), stagedoor.NewCredential("invite_x"))
		if c.want == 0 {
			if err != nil || p.Issuer != stagedoor.GuestIssuer || p.Subject != "inv_1" || p.Invitation != "inv_1" || p.Name != "Gus" {
				t.Errorf("%s: %+v %v", name, p, err)
			}
		} else if err == nil || stagedoor.KindOf(err) != c.want || p.Subject != "" {
			t.Errorf("%s: %+v %v", name, p, err)
		}
		if len(rest.asked) != 0 {
			t.Errorf("%s: an invitation was sent on", name)
		}
		for _, token := range []string{"", "Invite_x", "eyJ.x.y", "xinvite_"} {
			if p, err := g.Authenticate(t.Context(), stagedoor.NewCredential(token)); err != nil || p.Subject != "ann" {
				t.Errorf("%q: %+v %v", token, p, err)
			}
		}
	}
}
