package httpapi

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"stagedoor"
)

// forget serves POST /api/forget.
func (m *Admin) forget(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	var erasure stagedoor.Erasure
	var user, issuer string
	if err == nil {
		erasure, user, issuer, err = parseErasure(body)
	}
	if err == nil {
		erasure.Principal, err = m.Find(r.Context(), user, issuer)
	}
	by := ""
	if err == nil {
		by, err = m.operator(r)
	}
	var erased stagedoor.Erased
	switch {
	case err != nil:
	case erasure.DryRun:
		erased, err = m.Forget(r.Context(), erasure)
	default:
		record := stagedoor.AuditRecord{Principal: principalOf(erasure.Principal), Action: "forget", By: by}
		err = m.recorded(r.Context(), record, func() error {
			erased, err = m.Forget(r.Context(), erasure)
			return err
		})
	}
	if err != nil {
		refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, erased)
}

// parseErasure reads {"user", "issuer", "bans", "dryRun"}. Errors:
// InvalidJSON, UnknownField, InvalidRequest.
func parseErasure(body []byte) (e stagedoor.Erasure, user, issuer string, err error) {
	texts := map[string]*string{"user": &user, "issuer": &issuer}
	flags := map[string]*bool{"bans": &e.Bans, "dryRun": &e.DryRun}
	err = readObject(body, func(name string, value func() (jsontext.Value, error)) error {
		into, flag := texts[name], flags[name]
		if into == nil && flag == nil {
			return stagedoor.Refuse(stagedoor.UnknownField, "unknown field; there are user, issuer, bans and dryRun")
		}
		raw, err := value()
		if err != nil {
			return err
		}
		ok := raw.Kind() == 'n'
		if into != nil && !ok {
			*into, ok = textValue(raw)
		} else if !ok {
			*flag = raw.Kind() == 't'
			ok = *flag || raw.Kind() == 'f'
		}
		if !ok {
			return stagedoor.Refuse(stagedoor.InvalidRequest, "user and issuer must be strings, bans and dryRun true or false")
		}
		return nil
	})
	if err == nil && user == "" {
		err = stagedoor.Refuse(stagedoor.InvalidRequest, "name the user: the subject of their token, or their identity")
	}
	return e, user, issuer, err
}
