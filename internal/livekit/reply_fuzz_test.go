package livekit

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"stagedoor"
)

// FuzzReply reads any answer to a call: a participant is gone only in
// RoomService's own words, nothing is both an answer and an error, and an
// error holds nothing of the answer.
func FuzzReply(f *testing.F) {
	const canary = "zq7canary"
	for _, status := range []int{200, 404, 401, 500} {
		for _, seed := range []string{
			annInfo, `{"participants":[` + annInfo + `]}`, `{"rooms":[{"name":"a","num_participants":2,"creation_time":"1795348800"}]}`, `{"code":"not_found","msg":"` + canary + `"}`, `{"code":"` + canary + `"}`,
			`{"code":7}`, `{}`, `[]`, `null`, ``, `<html>`, `{"identity":"ann","identity":"bob"}`, `{"joined_at":"1","joinedAt":2}`, `{"permission":{"can_publish_sources":[1,"CAMERA",99,null]}}`,
			`{"participants":[null,7]}`, `{"tracks":[{"sid":"T","type":"AUDIO","muted":1}]}`, "{\"identity\":\"\xff\"}", `{"joined_at_ms":"99999999999999999999"}`, `{"permission":null,"kind":"AGENT"}`,
		} {
			f.Add(status, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		reply, found, err := readReply(status, body)
		if err != nil {
			if reply != nil || found || strings.Contains(err.Error(), canary) || strings.ContainsAny(err.Error(), "\n\x1b<") || stagedoor.KindOf(err) != stagedoor.Unavailable {
				t.Fatalf("%d %q: %v %v", status, body, found, err)
			}
			return
		}
		if !found {
			var answer struct{ Code string }
			if status != http.StatusNotFound || json.Unmarshal(body, &answer) != nil || answer.Code != "not_found" {
				t.Fatalf("%d %q is taken as gone", status, body)
			}
			return
		}
		if status != http.StatusOK || !json.Valid(body) {
			t.Fatalf("%d %q is taken as an answer", status, body)
		}
		one := readParticipant(reply, "r")
		for _, item := range append(reply.messages("participants"), reply) {
			p := readParticipant(item, "r")
			if p.Grants.Sources != nil && len(p.Grants.Sources) > len(stagedoor.AllSources()) {
				t.Fatalf("%q: %+v", body, p)
			}
		}
		for _, room := range reply.messages("rooms") {
			_ = room.text("name")
		}
		// What is read without a fault is what the JSON says, field for field.
		var said map[string]any
		if reply.failure() == nil && json.Unmarshal(body, &said) == nil {
			if text, ok := said["identity"].(string); ok && string(one.Identity) != text {
				t.Fatalf("%q is read as %q", body, one.Identity)
			}
			if permission, ok := said["permission"].(map[string]any); ok && permission["canPublish"] == true && !one.Grants.Publish || said["permission"] == nil && !reflect.DeepEqual(one.Grants, stagedoor.Grants{}) {
				t.Fatalf("%q is read as %+v", body, one.Grants)
			}
		}
	})
}
