package httpapi

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"stagedoor"
)

// moderateAnswer is the body of a successful POST /api/moderate.
type moderateAnswer struct {
	Room     stagedoor.Room     `json:"room"`
	Identity stagedoor.Identity `json:"identity"`
	Action   stagedoor.Action   `json:"action"`
	// Muted is how many tracks were muted; of mute alone.
	Muted *int `json:"muted,omitempty"`
	// Until is how long they are kept out; of remove alone.
	Until *time.Time `json:"until,omitempty"`
}

// moderate serves POST /api/moderate.
func (a *api) moderate(w http.ResponseWriter, r *http.Request) {
	credential, err := a.credential(r)
	if err != nil {
		a.refuseCaller(w, r, err)
		return
	}
	rec := recordOf(r.Context())
	done, err := a.Door.Moderate(r.Context(), credential, func(p stagedoor.Principal) (stagedoor.Motion, error) {
		rec.issuer, rec.subject = p.Issuer, p.Subject
		body, err := readBody(w, r)
		if err != nil {
			return stagedoor.Motion{}, err
		}
		motion, err := parseMotion(body)
		rec.room, motion.ClientIP = string(motion.Room), rec.client
		return motion, err
	})
	if err != nil {
		a.refuseCaller(w, r, err)
		return
	}
	answer := moderateAnswer{Room: done.Room, Identity: done.Identity, Action: done.Action}
	if done.Action == stagedoor.Mute {
		answer.Muted = &done.Muted
	} else {
		until := done.Until.UTC().Truncate(time.Second)
		answer.Until = &until
	}
	writeJSON(w, http.StatusOK, answer)
}

// parseMotion reads {"room", "identity", "action"}. Errors: InvalidJSON,
// UnknownField, RoomRequired, InvalidRoom, InvalidRequest.
func parseMotion(body []byte) (stagedoor.Motion, error) {
	var motion stagedoor.Motion
	err := readObject(body, func(name string, value func() (jsontext.Value, error)) error {
		switch name {
		case "room", "identity", "action":
		default:
			return stagedoor.Refuse(stagedoor.UnknownField, "unknown field; only room, identity and action are taken here")
		}
		raw, err := value()
		if err != nil {
			return err
		}
		if name == "room" {
			motion.Room, err = roomValue(raw)
			return err
		}
		text, ok := textValue(raw)
		switch {
		case name == "identity" && (!ok || text == "" || len(text) > stagedoor.MaxTextBytes):
			return stagedoor.Refuse(stagedoor.InvalidRequest, "identity must be the participant's identity in the room")
		case name == "identity":
			motion.Identity = stagedoor.Identity(text)
		case text == string(stagedoor.Mute) || text == string(stagedoor.Remove):
			motion.Action = stagedoor.Action(text)
		default:
			return stagedoor.Refuse(stagedoor.InvalidRequest, "action must be mute or remove")
		}
		return nil
	})
	switch {
	case err != nil:
	case motion.Room == "":
		err = stagedoor.Refuse(stagedoor.RoomRequired, "name the room")
	case motion.Identity == "" || motion.Action == "":
		err = stagedoor.Refuse(stagedoor.InvalidRequest, "name the participant's identity, and the action: mute or remove")
	}
	if err != nil {
		return stagedoor.Motion{}, err
	}
	return motion, nil
}
