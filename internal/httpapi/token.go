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
	admission, err := a.admit(w, r, a.parseToken, stagedoor.Refuse(stagedoor.RoomRequired, "name the room: room_name"))
	if err != nil {
		a.refuseCaller(w, r, err)
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

// parseToken reads the body of POST /api/token, and takes the policy's room
// where none is named. Errors: those of the function parseToken.
func (a *api) parseToken(body []byte) (stagedoor.Request, error) {
	request, err := parseToken(body)
	if err == nil && request.Room == "" && request.Guest == "" && a.DefaultRoom != nil {
		request.Room = a.DefaultRoom()
	}
	return request, err
}

// parseToken reads the body of POST /api/token. Unknown keys are ignored, as
// the standard's readers do; a field that the caller may not set is refused.
// The room may be missing. Errors: InvalidJSON, InvalidRoom, InvalidUsername,
// FieldNotAllowed, InvalidRequest.
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
		request.Metadata, err = stringField(field, value)
		if err == nil && len(request.Metadata) > maxCarried {
			err = tooMuch(field)
		}
	case "participant_attributes":
		if request.Attributes, err = attributesField(value); err == nil {
			err = takeOwn(request)
		}
	case "room_config":
		if _, isObject := value.(map[string]any); value != nil && !isObject {
			err = wrongType(field)
		} else if !absent {
			request.Agents, err = agentsField(value.(map[string]any))
		}
	}
	return err
}

// maxCarried bounds what a caller can have put into a token, in bytes:
// clients send it in the address of their connection, and proxies in between
// take some 8 KiB of that.
const maxCarried = 2 << 10

func tooMuch(field string) error {
	return stagedoor.Refuse(stagedoor.InvalidRequest, field+" may have at most 2 KiB")
}

// attributesField reads participant_attributes: an object of strings.
func attributesField(value any) (map[string]string, error) {
	const field = "participant_attributes"
	members, isObject := value.(map[string]any)
	if value != nil && !isObject {
		return nil, wrongType(field)
	}
	var attributes map[string]string
	size := 0
	for name, member := range members {
		text, isText := member.(string)
		if !isText {
			return nil, wrongType(field)
		}
		if size += len(name) + len(text); size > maxCarried {
			return nil, tooMuch(field)
		}
		if attributes == nil {
			attributes = map[string]string{}
		}
		attributes[name] = text
	}
	return attributes, nil
}

// takeOwn takes out of the attributes what the standard has no field for:
// which device and which guest a request is for. Errors: InvalidRequest.
func takeOwn(request *stagedoor.Request) (err error) {
	own := func(name string, read func(jsontext.Value) (string, error)) string {
		text, there := request.Attributes[name]
		delete(request.Attributes, name)
		if !there || err != nil {
			return ""
		}
		var raw jsontext.Value
		if raw, err = jsontext.AppendQuote(nil, text); err == nil {
			text, err = read(raw)
		}
		return text
	}
	request.Device, request.Guest = own("device", deviceValue), own("guest", guestValue)
	return err
}

// agentsField reads the one thing of a room_config that a policy can allow:
// agents, by name and metadata. Everything else is refused.
//
// SPEC: livekit/protocol protobufs/livekit_room.proto, RoomConfiguration;
// livekit_agent_dispatch.proto, RoomAgentDispatch.
func agentsField(config map[string]any) ([]stagedoor.Agent, error) {
	const field = "room_config"
	var agents []stagedoor.Agent
	size := 0
	for name, member := range config {
		if isZero(member) && name != "agents" {
			continue
		}
		list, isList := member.([]any)
		switch {
		case name != "agents":
			return nil, notAllowed(field + " but for agents")
		case member != nil && !isList:
			return nil, wrongType(field)
		}
		for _, entry := range list {
			agent, err := agentField(entry)
			if err != nil {
				return nil, err
			}
			if size += len(agent.Name) + len(agent.Metadata); size > maxCarried {
				return nil, tooMuch(field)
			}
			agents = append(agents, agent)
		}
	}
	return agents, nil
}

// agentField reads one agent, in either of protobuf's spellings.
func agentField(entry any) (agent stagedoor.Agent, err error) {
	members, isObject := entry.(map[string]any)
	if !isObject {
		return agent, wrongType("room_config")
	}
	for name, member := range members {
		switch name {
		case "agent_name", "agentName":
			agent.Name, err = stringField("room_config", member)
		case "metadata":
			agent.Metadata, err = stringField("room_config", member)
		default:
			if !isZero(member) {
				err = notAllowed("room_config's agents but for agent_name and metadata")
			}
		}
		if err != nil {
			return agent, err
		}
	}
	return agent, nil
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
