package httpapi

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"stagedoor"
)

// tokenAnswer is the body of a successful POST /api/token, in the only
// spelling that every client SDK reads.
//
// SPEC: LiveKit docs, "Endpoint token generation"; livekit/protocol
// protobufs/livekit_token_source.proto.
type tokenAnswer struct {
	ServerURL        string         `json:"server_url"`
	ParticipantToken string         `json:"participant_token"`
	RoomName         stagedoor.Room `json:"room_name"`
	ParticipantName  string         `json:"participant_name"`
}

// token serves POST /api/token, LiveKit's standard token endpoint.
func (a *api) token(w http.ResponseWriter, r *http.Request) {
	admission, err := a.admit(w, r, parseToken)
	if err != nil {
		refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, tokenAnswer{
		ServerURL: a.LiveKitURL, ParticipantToken: admission.Token.Reveal(),
		RoomName: admission.Room, ParticipantName: admission.Name,
	})
}

// standardFields maps both spellings that protobuf's JSON allows to one name.
var standardFields = map[string]string{
	"room_name": "room_name", "roomName": "room_name",
	"participant_name": "participant_name", "participantName": "participant_name",
	"participant_identity": "participant_identity", "participantIdentity": "participant_identity",
	"participant_metadata": "participant_metadata", "participantMetadata": "participant_metadata",
	"participant_attributes": "participant_attributes", "participantAttributes": "participant_attributes",
	"room_config": "room_config", "roomConfig": "room_config",
}

// parseToken reads the body of POST /api/token. Unknown keys are ignored, as
// the standard's readers do; a field that the caller may not set is refused.
// Errors: InvalidJSON, RoomRequired, InvalidRoom, InvalidUsername, FieldNotAllowed.
func parseToken(body []byte) (stagedoor.Request, error) {
	var request stagedoor.Request
	seen := make(map[string]bool)
	err := readObject(body, func(name string, value func() (jsontext.Value, error)) error {
		field := standardFields[name]
		if field != "" && seen[field] {
			return stagedoor.Refuse(stagedoor.InvalidJSON, field+" is given in two spellings")
		}
		seen[field] = true
		raw, err := value()
		if err != nil {
			return err
		}
		if field == "" {
			return nil
		}
		return setField(&request, field, raw)
	})
	if err == nil && request.Room == "" {
		err = stagedoor.Refuse(stagedoor.RoomRequired, "name the room: room_name")
	}
	if err != nil {
		return stagedoor.Request{}, err
	}
	return request, nil
}

// setField takes one field. A protobuf zero value counts as absent: some SDKs
// always send "room_config": {}.
func setField(request *stagedoor.Request, field string, raw jsontext.Value) error {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return errNotObject
	}
	absent := isZero(value)
	var err error
	switch field {
	case "room_name":
		if value != nil && value != "" {
			request.Room, err = roomValue(raw)
		}
	case "participant_name":
		request.Name, err = nameValue(raw)
	case "participant_identity":
		request.Identity, err = stringField(field, value)
	case "participant_metadata":
		if _, err = stringField(field, value); err == nil && !absent {
			err = notAllowed(field)
		}
	case "participant_attributes":
		members, isObject := value.(map[string]any)
		switch {
		case value != nil && !isObject:
			err = wrongType(field)
		case len(members) > 0:
			err = notAllowed(field)
		}
	case "room_config":
		if _, isObject := value.(map[string]any); value != nil && !isObject {
			err = wrongType(field)
		} else if !absent {
			err = notAllowed(field)
		}
	}
	return err
}

func stringField(field string, value any) (string, error) {
	text, isText := value.(string)
	if value != nil && !isText {
		return "", wrongType(field)
	}
	return text, nil
}

func wrongType(field string) error {
	return stagedoor.Refuse(stagedoor.InvalidJSON, field+" has the wrong type")
}

func notAllowed(field string) error {
	return stagedoor.Refuse(stagedoor.FieldNotAllowed, field+" may not be set by the caller; leave it out")
}

// isZero reports whether a decoded value is what protobuf's JSON may write
// for a field that was never set.
//
// SPEC: protobuf.dev/programming-guides/json, "Presence and default values".
func isZero(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, member := range v {
			if !isZero(member) {
				return false
			}
		}
		return true
	}
	return false
}
