package httpapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestTokenAnswers(t *testing.T) {
	h := newHarness(nil)
	resp := h.do(t, request{path: "/api/token", body: `{"room_name":"r","participant_name":"Alice"}`})
	body, _ := io.ReadAll(resp.Body)
	want := `{"server_url":"wss://livekit.example","participant_token":"minted-for-ann","room_name":"r","participant_name":"Alice"}`
	if resp.StatusCode != http.StatusCreated || string(body) != want {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestTokenBodies(t *testing.T) {
	h := newHarness(nil)
	for name, c := range map[string]struct {
		body, want string
		status     int
	}{
		"Swift, Android, Flutter with nothing": {`{"room_config":{}}`, "room_required", 400},
		"JS with nothing":                      {`{}`, "room_required", 400},
		"room_name empty":                      {`{"room_name":""}`, "room_required", 400},
		"room_name null":                       {`{"room_name":null}`, "room_required", 400},
		"the usual":                            {`{"room_name":"r","room_config":{}}`, "", 201},
		"room_config null":                     {`{"room_name":"r","room_config":null}`, "", 201},
		"all zero":                             {`{"room_name":"r","participant_name":"","participant_identity":"","participant_metadata":"","participant_attributes":{},"room_config":{"name":"","agents":[],"empty_timeout":0,"egress":{}}}`, "", 201},
		"all null":                             {`{"room_name":"r","participant_name":null,"participant_identity":null,"participant_metadata":null,"participant_attributes":null}`, "", 201},
		"protobuf's other spelling":            {`{"roomName":"r","participantName":"A","roomConfig":{}}`, "", 201},
		"unknown keys":                         {`{"room_name":"r","future":{"x":[1e999]},"Room_Name":7}`, "", 201},
		"one's own identity":                   {`{"room_name":"r","participant_identity":"ann"}`, "", 201},
		"TestAnotherIdentityIsRefused":         {`{"room_name":"r","participant_identity":"bob"}`, "identity_not_allowed", 403},
		"another identity, other spelling":     {`{"room_name":"r","participantIdentity":"bob"}`, "identity_not_allowed", 403},
		"metadata":                             {`{"room_name":"r","participant_metadata":"x"}`, "field_not_allowed", 403},
		"attributes":                           {`{"room_name":"r","participant_attributes":{"a":""}}`, "field_not_allowed", 403},
		"TestAgentDispatchIsRefused":           {`{"room_name":"r","room_config":{"agents":[{"agent_name":"x"}]}}`, "field_not_allowed", 403},
		"an empty agent":                       {`{"room_name":"r","room_config":{"agents":[{}]}}`, "field_not_allowed", 403},
		"agents, other spelling":               {`{"room_name":"r","roomConfig":{"agents":[{"agentName":"x"}]}}`, "field_not_allowed", 403},
		"max_participants":                     {`{"room_name":"r","room_config":{"max_participants":1000}}`, "field_not_allowed", 403},
		"egress":                               {`{"room_name":"r","room_config":{"egress":{"room":{"audio_only":true}}}}`, "field_not_allowed", 403},
		"room_name a number":                   {`{"room_name":7}`, "invalid_room", 400},
		"room_name blank":                      {`{"room_name":" "}`, "invalid_room", 400},
		"participant_name a list":              {`{"room_name":"r","participant_name":[]}`, "invalid_username", 400},
		"participant_identity a number":        {`{"room_name":"r","participant_identity":7}`, "invalid_json", 400},
		"participant_metadata an object":       {`{"room_name":"r","participant_metadata":{}}`, "invalid_json", 400},
		"participant_attributes a list":        {`{"room_name":"r","participant_attributes":[]}`, "invalid_json", 400},
		"room_config a string":                 {`{"room_name":"r","room_config":"x"}`, "invalid_json", 400},
		"duplicate":                            {`{"room_name":"r","room_name":"s"}`, "invalid_json", 400},
		"duplicate in two spellings":           {`{"room_name":"r","roomName":"r"}`, "invalid_json", 400},
		"duplicate inside":                     {`{"room_name":"r","room_config":{"agents":[],"agents":[{}]}}`, "invalid_json", 400},
		"not an object":                        {`[]`, "invalid_json", 400},
	} {
		t.Run(name, func(t *testing.T) {
			resp := h.do(t, request{path: "/api/token", body: c.body})
			if c.want == "" {
				if resp.StatusCode != c.status {
					t.Errorf("%d %v", resp.StatusCode, bodyOf(t, resp))
				}
				return
			}
			mustRefuse(t, resp, c.status, c.want)
		})
	}
}

func TestTokenNameRulesFollowTheDoor(t *testing.T) {
	h := newHarness(func(o *Options) { o.Door.NameFromRequest = false })
	mustRefuse(t, h.do(t, request{path: "/api/token", body: `{"room_name":"r","participant_name":"X"}`}), http.StatusForbidden, "field_not_allowed")
	mustRefuse(t, h.do(t, request{body: `{"room":"r","username":"X"}`}), http.StatusForbidden, "field_not_allowed")
	body := bodyOf(t, h.do(t, request{path: "/api/token", body: `{"room_name":"r"}`}))
	if body["participant_name"] != "From claim" {
		t.Errorf("%v", body)
	}
}

func FuzzParseJoin(f *testing.F) {
	f.Add([]byte(`{"room":"r","username":"A"}`))
	f.Add([]byte(`{"room":"\ud83d\ude00","room":1}`))
	f.Add([]byte("{\"room\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := parseJoin(body)
		if err == nil && (len(request.Room) > 256 || request.Identity != "") {
			t.Fatalf("%q gave %+v", body, request)
		}
		checkRefusal(t, err)
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte(`{"room_name":"r","room_config":{"agents":[]}}`))
	f.Add([]byte(`{"roomName":"r","participant_attributes":{"a":"b"}}`))
	f.Add([]byte(`{"room_name":"r","participant_metadata":null,"x":1e999}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := parseToken(body)
		if err == nil && (len(request.Room) > 256 || len(request.Name) > 256) {
			t.Fatalf("%q gave %+v", body, request)
		}
		checkRefusal(t, err)
	})
}

func FuzzBearer(f *testing.F) {
	f.Add("Bearer abc")
	f.Add("bearer  a b ")
	f.Add("Basic Og==")
	f.Fuzz(func(t *testing.T, header string) {
		r, err := http.NewRequest(http.MethodPost, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Authorization"] = []string{header}
		credential, err := bearer(r)
		if err != nil || (!credential.Empty() && !strings.Contains(header, credential.Reveal())) {
			t.Fatalf("%q gave %q, %v", header, credential.Reveal(), err)
		}
	})
}
