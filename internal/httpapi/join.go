package httpapi

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"stagedoor"
)

// permissions say in the answer what the token says, spelled out.
type permissions struct {
	CanSubscribe      bool               `json:"canSubscribe"`
	CanPublish        bool               `json:"canPublish"`
	CanPublishData    bool               `json:"canPublishData"`
	CanPublishSources []stagedoor.Source `json:"canPublishSources"`
}

// joinAnswer is the body of a successful POST /api/join.
type joinAnswer struct {
	Token         string             `json:"token"`
	URL           string             `json:"url"`
	TTL           int                `json:"ttl"`
	Room          stagedoor.Room     `json:"room"`
	Identity      stagedoor.Identity `json:"identity"`
	Permissions   permissions        `json:"permissions"`
	PublishDenied stagedoor.Denial   `json:"publishDenied,omitempty"`
	// Moderate and Invite say what else the caller may ask the door for.
	Moderate bool `json:"moderate,omitzero"`
	Invite   bool `json:"invite,omitzero"`
	// SessionLeft is in whole seconds; absent without a limit.
	SessionLeft int `json:"sessionLeft,omitzero"`
}

// join serves POST /api/join.
func (a *api) join(w http.ResponseWriter, r *http.Request) {
	admission, err := a.admit(w, r, parseJoin, errNoRoom)
	if err != nil {
		a.refuseCaller(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, joinAnswer{
		Token: admission.Token.Reveal(), URL: a.LiveKitURL, TTL: int(admission.TTL.Seconds()),
		Room: admission.Room, Identity: admission.Identity, PublishDenied: admission.PublishDenied,
		Moderate: admission.Moderate, Invite: admission.Invite, SessionLeft: int(admission.SessionLeft.Seconds()),
		Permissions: permissions{
			CanSubscribe: admission.Grants.Subscribe, CanPublish: admission.Grants.Publish,
			CanPublishData: admission.Grants.PublishData, CanPublishSources: admission.Grants.EffectiveSources(),
		},
	})
}

// errNoRoom has everybody but guests, whose invitation says it, name a room.
var errNoRoom = stagedoor.Refuse(stagedoor.RoomRequired, `name the room: {"room": "…"}`)

// admit takes one request through the door: the body is read and parsed only
// after the caller is authenticated.
func (a *api) admit(w http.ResponseWriter, r *http.Request, parse func([]byte) (stagedoor.Request, error), roomless error) (stagedoor.Admission, error) {
	credential, err := a.credential(r)
	if err != nil {
		return stagedoor.Admission{}, err
	}
	rec := recordOf(r.Context())
	admission, err := a.Door.Join(r.Context(), credential, func(p stagedoor.Principal) (stagedoor.Request, error) {
		rec.issuer, rec.subject = p.Issuer, p.Subject
		body, err := readBody(w, r)
		if err != nil {
			return stagedoor.Request{}, err
		}
		request, err := parse(body)
		if err == nil && request.Room == "" && p.Invitation == "" {
			err = roomless
		}
		rec.room, request.ClientIP = string(request.Room), rec.client
		return request, err
	})
	if err == nil {
		rec.room = string(admission.Room) // a guest's is the invitation's
	}
	rec.identity, rec.mayPublish, rec.publishDenied = string(admission.Identity), admission.Grants.Publish, string(admission.PublishDenied)
	return admission, err
}

// bearer takes the caller's token out of the one Authorization header. No
// token is an empty Credential. Errors: InvalidToken, for several headers.
//
// SPEC: RFC 6750 §2.1 (the other two ways to send a token are not taken).
func bearer(r *http.Request) (stagedoor.Credential, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return stagedoor.Credential{}, stagedoor.Refuse(stagedoor.InvalidToken, "send one Authorization header")
	}
	if len(headers) == 0 {
		return stagedoor.Credential{}, nil
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return stagedoor.Credential{}, nil
	}
	return stagedoor.NewCredential(strings.Trim(token, " ")), nil
}

// joinFields are what a join may say.
const joinFields = "room, username, device and guest"

// parseJoin reads the body of POST /api/join. The room may be missing.
// Errors: InvalidJSON, UnknownField, RoomRequired, InvalidRoom,
// InvalidUsername, InvalidRequest.
func parseJoin(body []byte) (stagedoor.Request, error) {
	var request stagedoor.Request
	err := readObject(body, func(name string, value func() (jsontext.Value, error)) error {
		switch name {
		case "room", "username", "device", "guest":
		default:
			return unknownField(name)
		}
		raw, err := value()
		if err != nil {
			return err
		}
		switch name {
		case "room":
			request.Room, err = roomValue(raw)
		case "username":
			request.Name, err = nameValue(raw)
		case "device":
			request.Device, err = deviceValue(raw)
		case "guest":
			request.Guest, err = guestValue(raw)
		}
		return err
	})
	if err != nil {
		return stagedoor.Request{}, err
	}
	return request, nil
}

// deviceValue reads the name of a device; null and "" are absent. Errors: InvalidRequest.
func deviceValue(raw jsontext.Value) (string, error) {
	text, ok := textValue(raw)
	if raw.Kind() == 'n' || ok && (text == "" || stagedoor.CheckDevice(text)) {
		return text, nil
	}
	return "", stagedoor.Refuse(stagedoor.InvalidRequest, "device must be 1 to 32 letters, digits, - and _")
}

// guestValue reads what tells guests apart; null and "" are absent. Errors: InvalidRequest.
func guestValue(raw jsontext.Value) (string, error) {
	text, ok := textValue(raw)
	if raw.Kind() == 'n' || ok && (text == "" || stagedoor.CheckGuest(text)) {
		return text, nil
	}
	return "", stagedoor.Refuse(stagedoor.InvalidRequest, "guest must be 16 to 64 letters, digits, - and _")
}

// unknownField names the field that was probably meant, never the bytes sent.
func unknownField(name string) error {
	for _, known := range []string{"room", "username", "device", "guest"} {
		if strings.EqualFold(name, known) {
			return stagedoor.Refuse(stagedoor.UnknownField, "unknown field; write "+known+" in lower case")
		}
	}
	if standardFields[name] != "" {
		return stagedoor.Refuse(stagedoor.UnknownField, "unknown field; LiveKit's standard fields are taken by /api/token, here it is "+joinFields)
	}
	return stagedoor.Refuse(stagedoor.UnknownField, "unknown field; only "+joinFields+" are taken here")
}

// nfc composes what people type: names are compared byte by byte.
func nfc(s string) string { return norm.NFC.String(s) }

// roomValue reads a room name. Errors: InvalidRoom.
func roomValue(raw jsontext.Value) (stagedoor.Room, error) {
	text, ok := textValue(raw)
	if !ok {
		return "", stagedoor.Refuse(stagedoor.InvalidRoom, "room must be a string")
	}
	return stagedoor.ParseRoom(nfc(text))
}

// nameValue reads a display name; null and "" are absent. Errors: InvalidUsername.
func nameValue(raw jsontext.Value) (string, error) {
	if raw.Kind() == 'n' {
		return "", nil
	}
	text, ok := textValue(raw)
	if !ok {
		return "", stagedoor.Refuse(stagedoor.InvalidUsername, "username must be a string")
	}
	if text == "" {
		return "", nil
	}
	return stagedoor.ParseName(nfc(text))
}
