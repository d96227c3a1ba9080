package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"stagedoor"
)

// What an invitation may ask for.
const (
	maxUses       = 1000
	minInvitation = time.Minute
	maxInvitation = 30 * 24 * time.Hour
)

// inviteAnswer is an invitation as the API shows it.
type inviteAnswer struct {
	ID string `json:"id"`
	// URL holds the secret; it is shown once, when the invitation is made.
	URL       string         `json:"url,omitempty"`
	Room      stagedoor.Room `json:"room"`
	Name      string         `json:"name,omitempty"`
	Publish   bool           `json:"publish"`
	Uses      int            `json:"uses"`
	Used      int            `json:"used"`
	Expires   time.Time      `json:"expires"`
	CreatedAt time.Time      `json:"createdAt"`
	Revoked   bool           `json:"revoked,omitzero"`
}

func showInvitation(v stagedoor.Invitation) inviteAnswer {
	return inviteAnswer{ID: v.ID, Room: v.Room, Name: v.Name, Publish: v.Publish, Uses: v.Uses, Used: v.Used,
		Expires: v.Expires.UTC().Truncate(time.Second), CreatedAt: v.CreatedAt.UTC().Truncate(time.Second), Revoked: !v.RevokedAt.IsZero()}
}

// invites serves /api/invites: POST makes an invitation, GET lists the caller's.
func (a *api) invites(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		a.invite(w, r)
		return
	}
	principal, err := a.caller(r)
	if err != nil {
		a.refuseCaller(w, r, err)
		return
	}
	shown := []inviteAnswer{}
	if a.Invitations != nil {
		made, err := a.Invitations(r.Context(), principal.Key())
		if err != nil {
			a.refuseCaller(w, r, err)
			return
		}
		for _, v := range made {
			shown = append(shown, showInvitation(v))
		}
	}
	writeJSON(w, http.StatusOK, map[string][]inviteAnswer{"invites": shown})
}

// caller authenticates a caller who only looks. A guest has nothing to look at.
func (a *api) caller(r *http.Request) (stagedoor.Principal, error) {
	credential, err := a.credential(r)
	if err != nil {
		return stagedoor.Principal{}, err
	}
	principal, err := a.Door.Caller(r.Context(), credential)
	rec := recordOf(r.Context())
	rec.issuer, rec.subject = principal.Issuer, principal.Subject
	return principal, err
}

// invite serves POST /api/invites.
func (a *api) invite(w http.ResponseWriter, r *http.Request) {
	credential, err := a.credential(r)
	if err != nil {
		a.refuseCaller(w, r, err)
		return
	}
	rec := recordOf(r.Context())
	made, secret, err := a.Door.Invite(r.Context(), credential, rec.client, func(p stagedoor.Principal) (stagedoor.Invitation, error) {
		rec.issuer, rec.subject = p.Issuer, p.Subject
		body, err := readBody(w, r)
		if err != nil {
			return stagedoor.Invitation{}, err
		}
		invitation, err := parseInvitation(body, a.Now())
		rec.room = string(invitation.Room)
		return invitation, err
	})
	if err != nil {
		a.refuseCaller(w, r, err)
		return
	}
	shown := showInvitation(made)
	// A fragment is not sent to servers and stands in no log.
	shown.URL = a.guestPage(r) + "#invite=" + secret.Reveal()
	writeJSON(w, http.StatusCreated, shown)
}

// guestPage is where an invitation leads: the configured page, else that of
// the page which asked, at the root of its origin. Empty where there is none:
// whoever shows the link puts their own page's address before it.
func (a *api) guestPage(r *http.Request) string {
	if a.InviteURL != "" {
		return a.InviteURL
	}
	origin := r.Header.Get("Origin")
	if slices.Contains(a.AllowedOrigins, origin) || a.Demo != nil && (origin == "http://"+r.Host || origin == "https://"+r.Host) {
		return origin + "/"
	}
	return ""
}

// revokeInvite serves DELETE /api/invites/{id}.
func (a *api) revokeInvite(w http.ResponseWriter, r *http.Request) {
	credential, err := a.credential(r)
	id := r.PathValue("id")
	if err == nil {
		rec := recordOf(r.Context())
		err = a.Door.Revoke(r.Context(), credential, func(p stagedoor.Principal) string {
			rec.issuer, rec.subject = p.Issuer, p.Subject
			return id
		})
	}
	if err != nil {
		a.refuseCaller(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"id": id, "revoked": true})
}

// parseInvitation reads {"room", "expires", "name", "publish", "uses"}.
// Errors: InvalidJSON, UnknownField, RoomRequired, InvalidRoom,
// InvalidUsername, InvalidRequest.
func parseInvitation(body []byte, now time.Time) (stagedoor.Invitation, error) {
	v := stagedoor.Invitation{Uses: 1}
	err := readObject(body, func(name string, value func() (jsontext.Value, error)) error {
		switch name {
		case "room", "expires", "name", "publish", "uses":
		default:
			return stagedoor.Refuse(stagedoor.UnknownField, "unknown field; only room, expires, name, publish and uses are taken here")
		}
		raw, err := value()
		if err != nil {
			return err
		}
		switch name {
		case "room":
			v.Room, err = roomValue(raw)
		case "name":
			v.Name, err = nameValue(raw)
		case "publish":
			if v.Publish = raw.Kind() == 't'; !v.Publish && raw.Kind() != 'f' && raw.Kind() != 'n' {
				err = stagedoor.Refuse(stagedoor.InvalidRequest, "publish must be true or false")
			}
		case "uses":
			if raw.Kind() != 'n' {
				v.Uses, err = usesValue(raw)
			}
		case "expires":
			v.Expires, err = expiresValue(raw, now)
		}
		return err
	})
	switch {
	case err != nil:
	case v.Room == "":
		err = stagedoor.Refuse(stagedoor.RoomRequired, "name the room")
	case v.Expires.IsZero():
		err = errExpires
	}
	if err != nil {
		return stagedoor.Invitation{}, err
	}
	return v, nil
}

// usesValue reads how many guests may come. Errors: InvalidRequest.
func usesValue(raw jsontext.Value) (int, error) {
	uses, err := strconv.Atoi(string(raw))
	if err != nil || uses < 1 || uses > maxUses {
		return 0, stagedoor.Refuse(stagedoor.InvalidRequest, "uses must be a whole number from 1 to 1000")
	}
	return uses, nil
}

var errExpires = stagedoor.Refuse(stagedoor.InvalidRequest, "say when the invitation expires: in whole seconds from now, or as 2026-12-31T18:00:00Z; in a minute at the soonest, in 30 days at the latest")

// expiresValue reads when an invitation ends. Errors: InvalidRequest.
func expiresValue(raw jsontext.Value, now time.Time) (time.Time, error) {
	at := time.Time{}
	if text, ok := textValue(raw); ok {
		at, _ = time.Parse(time.RFC3339, text)
	} else if seconds, err := strconv.Atoi(string(raw)); err == nil && seconds > 0 && seconds <= int(maxInvitation.Seconds()) {
		at = now.Add(time.Duration(seconds) * time.Second)
	}
	if at.Before(now.Add(minInvitation)) || at.After(now.Add(maxInvitation)) {
		return time.Time{}, errExpires
	}
	return at, nil
}
