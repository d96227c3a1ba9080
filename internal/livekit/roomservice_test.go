package livekit

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// annInfo is a participant as LiveKit's API writes it: snake_case, int64 as strings.
const annInfo = `{"sid":"PA_1","identity":"ann","state":"ACTIVE","tracks":[],"metadata":"","joined_at":"1795348800","joined_at_ms":"1795348800123",
 "name":"Ann","version":3,"permission":{"can_subscribe":true,"can_publish":true,"can_publish_data":false,"can_publish_sources":["MICROPHONE","CAMERA"],
 "hidden":false,"recorder":false,"can_update_metadata":true,"agent":false},"kind":"STANDARD","attributes":{"sid":"x"},"later":{"a":[1,{}]}}`

func ann() stagedoor.Participant {
	return stagedoor.Participant{Room: "r", Identity: "ann", SID: "PA_1", JoinedAt: now.Add(123 * time.Millisecond), Standard: true,
		Grants: stagedoor.Grants{Subscribe: true, Publish: true, UpdateOwnMetadata: true, Sources: []stagedoor.Source{stagedoor.Camera, stagedoor.Microphone}}}
}

func TestEveryCallAsksExactlyItsQuestion(t *testing.T) {
	admin := map[string]any{"roomAdmin": true, "room": "r"}
	for name, c := range map[string]struct {
		method, reply, body string
		video               map[string]any
		want                any
	}{
		"Rooms": {"ListRooms", `{"rooms":[{"name":"a","num_participants":2,"creation_time":"1795348800","creation_time_ms":"1795348800123"},{"name":"empty","num_participants":0},{"name":"unsaid","creation_time":"1795348800"},{"sid":"RM_"}]}`, `{}`,
			map[string]any{"roomList": true}, []stagedoor.OpenRoom{{Room: "a", CreatedAt: now.Add(123 * time.Millisecond)}, {Room: "empty", Empty: true}, {Room: "unsaid", CreatedAt: now}}},
		"Participants": {"ListParticipants", `{"participants":[` + annInfo + `]}`, `{"room":"r"}`, admin, []stagedoor.Participant{ann()}},
		"Participant":  {"GetParticipant", annInfo, `{"room":"r","identity":"ann"}`, admin, answered{ann(), true}},
		"UpdatePermission": {"UpdateParticipant", annInfo, `{"room":"r","identity":"ann","permission":{"can_subscribe":false,"can_publish":false,"can_publish_data":false,
			"can_publish_sources":[],"hidden":false,"recorder":false,"can_update_metadata":false,"agent":false,"can_subscribe_metrics":false,"can_manage_agent_session":false}}`,
			admin, answered{ann(), true}},
		"Mute":   {"MutePublishedTrack", `{}`, `{"room":"r","identity":"ann","track_sid":"TR_1","muted":true}`, admin, true},
		"Send":   {"SendData", `{}`, `{"room":"r","data":"e30=","kind":"RELIABLE","destination_identities":["ann"],"topic":"stagedoor"}`, admin, true},
		"Remove": {"RemoveParticipant", `{}`, `{"room":"r","identity":"ann","revoke_token_ts":"1795348800"}`, admin, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &double{status: 200, reply: c.reply}
			got, err := everyCall(t, start(t, d))[name]()
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
			if want := "POST /twirp/livekit.RoomService/" + c.method + " application/json"; d.path != want {
				t.Errorf("asked %s, want %s", d.path, want)
			}
			if body, _ := json.Marshal(d.body); !sameJSON(t, string(body), c.body) {
				t.Errorf("asked %s\nwant %s", body, c.body)
			}
			claims := map[string]any{"iss": "APIkey", "nbf": float64(now.Unix() - 10), "exp": float64(now.Unix() + 60), "video": c.video}
			if !reflect.DeepEqual(map[string]any(d.claims), claims) {
				t.Errorf("with %v\nwant %v", d.claims, claims)
			}
		})
	}
}

func TestPermissionIsWrittenOutWhole(t *testing.T) {
	d := &double{status: 200, reply: annInfo}
	s := start(t, d)
	all := []any{"CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"}
	for _, c := range []struct {
		grants  stagedoor.Grants
		sources []any
	}{
		{stagedoor.Grants{}, []any{}},
		{stagedoor.Grants{Subscribe: true, Publish: true}, []any{}},
		{stagedoor.Grants{Publish: true, PublishData: true, Sources: stagedoor.AllSources()}, all},
		{stagedoor.Grants{UpdateOwnMetadata: true, Publish: true, Sources: []stagedoor.Source{stagedoor.ScreenShareAudio}}, all[3:]},
		{stagedoor.Grants{PublishData: true, Sources: []stagedoor.Source{stagedoor.Camera}}, []any{}},
	} {
		if _, found, err := s.UpdatePermission(t.Context(), "r", "ann", c.grants); err != nil || !found {
			t.Fatal(found, err)
		}
		want := map[string]any{"can_subscribe": c.grants.Subscribe, "can_publish": c.grants.Publish, "can_publish_data": c.grants.PublishData,
			"can_update_metadata": c.grants.UpdateOwnMetadata, "can_publish_sources": c.sources, "hidden": false, "recorder": false, "agent": false,
			"can_subscribe_metrics": false, "can_manage_agent_session": false}
		if !reflect.DeepEqual(d.body["permission"], want) || len(d.body) != 3 {
			t.Errorf("%+v: %v", c.grants, d.body)
		}
	}
}

func TestWhatCannotBeAskedIsNotAsked(t *testing.T) {
	d := &double{status: 200, reply: `{}`}
	s := start(t, d)
	ctx := t.Context()
	wantInternal := func(name string, err error) {
		t.Helper()
		if stagedoor.KindOf(err) != stagedoor.Internal || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, sources := range [][]stagedoor.Source{{}, {"CAMERA"}, {""}, {stagedoor.Camera, "hologram"}} {
		_, _, err := s.UpdatePermission(ctx, "r", "ann", stagedoor.Grants{Publish: true, Sources: sources})
		wantInternal("sources", err)
	}
	for _, bad := range []string{"", "r\xff"} {
		_, err := s.Participants(ctx, stagedoor.Room(bad))
		wantInternal("room", err)
		_, _, err = s.Participant(ctx, "r", stagedoor.Identity(bad))
		wantInternal("identity", err)
		_, err = s.Remove(ctx, stagedoor.Room(bad), "ann")
		wantInternal("remove", err)
	}
	for name, call := range everyCall(t, &RoomService{}) {
		_, err := call()
		wantInternal("the zero service: "+name, err)
	}
	s.URL = "http://bad host"
	_, err := s.Rooms(ctx)
	wantInternal("url", err)
	if d.calls != 0 {
		t.Errorf("%d calls", d.calls)
	}
}

func TestParticipantsAsTheyMayBeWritten(t *testing.T) {
	of := func(change func(*stagedoor.Participant)) stagedoor.Participant {
		p := stagedoor.Participant{Room: "r", Identity: "ann", Standard: true}
		change(&p)
		return p
	}
	sources := func(s ...stagedoor.Source) func(*stagedoor.Participant) {
		return func(p *stagedoor.Participant) { p.Grants.Publish, p.Grants.Sources = true, s }
	}
	publishing := func(list string) string {
		return `{"identity":"ann","permission":{"canPublish":true,"canPublishSources":` + list + `}}`
	}
	for reply, want := range map[string]stagedoor.Participant{
		`{"identity":"ann"}`: of(func(*stagedoor.Participant) {}),
		`{"identity":"ann","kind":null,"permission":null}`:  of(func(*stagedoor.Participant) {}),
		`{"identity":"ann","kind":0,"joinedAt":1795348800}`: of(func(p *stagedoor.Participant) { p.JoinedAt = now }),
		`{"identity":"ann","joined_at":"1795348800"}`:       of(func(p *stagedoor.Participant) { p.JoinedAt = now }),
		`{"identity":"ann","joinedAt":"-62135596800"}`:      of(func(*stagedoor.Participant) {}),
		`{"identity":"ann","kind":"AGENT"}`:                 of(func(p *stagedoor.Participant) { p.Standard = false }),
		`{"identity":"ann","kind":4}`:                       of(func(p *stagedoor.Participant) { p.Standard = false }),
		`{"identity":"ann","kind":"OF_TOMORROW"}`:           of(func(p *stagedoor.Participant) { p.Standard = false }),
		`{"identity":"ann","kind":99}`:                      of(func(p *stagedoor.Participant) { p.Standard = false }),
		publishing(`[]`):                                    of(sources()),
		publishing(`null`):                                  of(sources()),
		publishing(`["SCREEN_SHARE"]`):                      of(sources(stagedoor.ScreenShare)),
		publishing(`[4,"CAMERA",1]`):                        of(sources(stagedoor.Camera, stagedoor.ScreenShareAudio)),
		// What the door does not know must not read as every source.
		publishing(`["HOLOGRAM"]`):          of(sources([]stagedoor.Source{}...)),
		publishing(`[0]`):                   of(sources([]stagedoor.Source{}...)),
		publishing(`[17]`):                  of(sources([]stagedoor.Source{}...)),
		publishing(`["camera"]`):            of(sources([]stagedoor.Source{}...)),
		publishing(`["HOLOGRAM","CAMERA"]`): of(sources(stagedoor.Camera)),
	} {
		got, found, err := start(t, &double{status: 200, reply: reply}).Participant(t.Context(), "r", "ann")
		if err != nil || !found || !reflect.DeepEqual(got, want) && !strings.Contains(reply, "Sources") || !got.Grants.Same(want.Grants) {
			t.Errorf("%s: %+v %v %v\nwant %+v", reply, got, found, err, want)
		}
		unlimited := strings.HasSuffix(reply, `:[]}}`) || strings.HasSuffix(reply, `:null}}`)
		if got.Grants.Publish && (got.Grants.Sources == nil) != unlimited {
			t.Errorf("%s: every source is %t", reply, got.Grants.Sources == nil)
		}
	}
}

func TestCallsAtOnce(t *testing.T) {
	s := start(t, &double{status: 200, reply: annInfo})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, _, err := s.Participant(context.Background(), "r", "ann"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestSignerCannotBeMadeToMintAnAdminsToken(t *testing.T) {
	// Neither what is decided nor what is signed for it has a word for a privilege.
	for _, structure := range []any{stagedoor.Admission{}, stagedoor.Grants{}, claims{}, videoGrant{}} {
		kind := reflect.TypeOf(structure)
		for i := range kind.NumField() {
			name := strings.ToLower(kind.Field(i).Name + string(kind.Field(i).Tag))
			if kind.Field(i).Name == "Agents" {
				continue // to ask for an agent is not to be one
			}
			for _, privilege := range []string{"admin", "create", "list", "record", "hidden", "agent", "sha256"} {
				if strings.Contains(name, privilege) {
					t.Errorf("%s has %s", kind, kind.Field(i).Name)
				}
			}
		}
	}
}
