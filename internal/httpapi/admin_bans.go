package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"stagedoor"
)

// banAnswer is a ban as the API shows it.
type banAnswer struct {
	ID        string         `json:"id"`
	Issuer    string         `json:"issuer"`
	Subject   string         `json:"subject"`
	Room      stagedoor.Room `json:"room,omitempty"`
	Until     *time.Time     `json:"until,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	CreatedAt time.Time      `json:"createdAt"`
	// Note says in the answer to a new ban that nobody was removed, and why.
	Note string `json:"note,omitempty"`
}

// noTokens is the note of a ban that reaches no participant: with a database
// that was lost, the tokens from before are unknown.
const noTokens = "this database knows no usable token of the caller, so nobody was removed; " +
	"a participant whose token another database handed out can stay until that token ends"

func showBan(b stagedoor.Ban) banAnswer {
	shown := banAnswer{ID: b.ID, Issuer: b.Principal.Issuer, Subject: b.Principal.Subject, Room: b.Room, Reason: b.Reason, CreatedAt: b.CreatedAt.UTC()}
	if !b.Until.IsZero() {
		until := b.Until.UTC()
		shown.Until = &until
	}
	return shown
}

func showBans(bans []stagedoor.Ban) map[string][]banAnswer {
	shown := make([]banAnswer, 0, len(bans))
	for _, b := range bans {
		shown = append(shown, showBan(b))
	}
	return map[string][]banAnswer{"bans": shown}
}

// bans serves /api/bans.
func (m *Admin) bans(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		m.setBan(w, r)
	case http.MethodDelete:
		m.liftBansOf(w, r)
	default:
		m.listBans(w, r)
	}
}

// listBans serves GET /api/bans, of one user or of all.
func (m *Admin) listBans(w http.ResponseWriter, r *http.Request) {
	query, err := queryOf(r, "user", "issuer")
	if err == nil && query.Get("user") == "" && len(query) > 0 {
		err = stagedoor.Refuse(stagedoor.InvalidRequest, "name the user: ?user=…, or leave the query out")
	}
	var key stagedoor.PrincipalKey
	if err == nil {
		key, err = m.userOf(r.Context(), query)
	}
	if err != nil {
		refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, showBans(m.Bans.List(key)))
}

// userOf finds whom the query names; without a user it is nobody. Errors: InvalidRequest.
func (m *Admin) userOf(ctx context.Context, query url.Values) (stagedoor.PrincipalKey, error) {
	if query.Get("user") == "" {
		return stagedoor.PrincipalKey{}, nil
	}
	return m.Find(ctx, query.Get("user"), query.Get("issuer"))
}

// setBan serves POST /api/bans.
func (m *Admin) setBan(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	ban, user, issuer, err := parseBan(body, m.Now())
	by := ""
	if err == nil {
		by, err = m.operator(r)
	}
	if err == nil {
		ban.Principal, err = m.Find(r.Context(), user, issuer)
	}
	if err == nil {
		ban, err = m.ban(r.Context(), by, ban)
	}
	if err != nil {
		refuse(w, r, err)
		return
	}
	shown := showBan(ban)
	if m.HasTokens != nil {
		// The ban is set; that this cannot be told takes nothing from it.
		if has, err := m.HasTokens(r.Context(), ban.Principal); err == nil && !has {
			shown.Note = noTokens
		}
	}
	writeJSON(w, http.StatusCreated, shown)
}

// liftBan serves DELETE /api/bans/{id}.
func (m *Admin) liftBan(w http.ResponseWriter, r *http.Request) {
	by, err := m.operator(r)
	var ban stagedoor.Ban
	ok := false
	if err == nil {
		ban, ok, err = m.unban(r.Context(), by, r.PathValue("id"))
	}
	switch {
	case err != nil:
		refuse(w, r, err)
	case !ok:
		refuse(w, r, stagedoor.Refuse(stagedoor.NotFound, "there is no such ban"))
	default:
		writeJSON(w, http.StatusOK, showBan(ban))
	}
}

// liftBansOf serves DELETE /api/bans?user=…, of one room or of all.
func (m *Admin) liftBansOf(w http.ResponseWriter, r *http.Request) {
	query, err := queryOf(r, "user", "issuer", "room")
	var key stagedoor.PrincipalKey
	if err == nil {
		key, err = m.userOf(r.Context(), query)
	}
	// To List, nobody is everybody.
	if err == nil && key == (stagedoor.PrincipalKey{}) {
		err = stagedoor.Refuse(stagedoor.InvalidRequest, "name the ban, /api/bans/{id}, or the user, /api/bans?user=…")
	}
	var room stagedoor.Room
	if err == nil {
		room, err = roomOf(query)
	}
	by := ""
	if err == nil {
		by, err = m.operator(r)
	}
	if err != nil {
		refuse(w, r, err)
		return
	}
	var lifted []stagedoor.Ban
	for _, ban := range m.Bans.List(key) {
		if room != "" && ban.Room != room {
			continue
		}
		_, ok, err := m.unban(r.Context(), by, ban.ID)
		if err != nil {
			refuse(w, r, err)
			return
		}
		if ok { // else somebody was faster
			lifted = append(lifted, ban)
		}
	}
	writeJSON(w, http.StatusOK, showBans(lifted))
}

// maxReason bounds a ban's reason, in bytes.
const maxReason = 500

// parseBan reads {"user", "issuer", "room", "until" or "for", "reason"}.
// Errors: InvalidJSON, UnknownField, InvalidRoom, InvalidRequest.
func parseBan(body []byte, now time.Time) (ban stagedoor.Ban, user, issuer string, err error) {
	fields := map[string]string{}
	err = readObject(body, func(name string, value func() (jsontext.Value, error)) error {
		switch name {
		case "user", "issuer", "room", "until", "for", "reason":
		default:
			return stagedoor.Refuse(stagedoor.UnknownField, "unknown field; a ban has user, issuer, room, until or for, and reason")
		}
		raw, err := value()
		if err != nil {
			return err
		}
		text, ok := textValue(raw)
		if !ok && raw.Kind() != 'n' {
			return stagedoor.Refuse(stagedoor.InvalidRequest, name+" must be a string")
		}
		fields[name] = text
		return nil
	})
	if err != nil {
		return ban, "", "", err
	}
	if fields["user"] == "" {
		return ban, "", "", stagedoor.Refuse(stagedoor.InvalidRequest, "name the user: the subject of their token, or their identity")
	}
	if fields["room"] != "" {
		if ban.Room, err = stagedoor.ParseRoom(nfc(fields["room"])); err != nil {
			return ban, "", "", err
		}
	}
	if ban.Until, err = banEnd(fields["until"], fields["for"], now); err != nil {
		return ban, "", "", err
	}
	if ban.Reason = fields["reason"]; len(ban.Reason) > maxReason {
		return ban, "", "", stagedoor.Refuse(stagedoor.InvalidRequest, "reason may have at most 500 bytes")
	}
	return ban, fields["user"], fields["issuer"], nil
}

// banEnd reads when a ban ends: at a time, after a duration, or never.
func banEnd(until, after string, now time.Time) (time.Time, error) {
	switch {
	case until != "" && after != "":
		return time.Time{}, stagedoor.Refuse(stagedoor.InvalidRequest, "give until or for, not both")
	case until != "":
		end, err := time.Parse(time.RFC3339, until)
		// A year of five digits, which a zone can make of the last one, has no
		// JSON: no list of bans with it could be shown again.
		if err != nil || !end.After(now) || end.UTC().Year() > 9999 {
			return time.Time{}, stagedoor.Refuse(stagedoor.InvalidRequest, "until must be a time to come, as 2026-12-31T18:00:00Z")
		}
		return end, nil
	case after != "":
		d, err := time.ParseDuration(after)
		if err != nil || d <= 0 {
			return time.Time{}, stagedoor.Refuse(stagedoor.InvalidRequest, "for must be a duration above zero, as 30m or 24h")
		}
		return now.Add(d), nil
	}
	return time.Time{}, nil
}
