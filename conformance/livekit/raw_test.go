package livekit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"stagedoor"
)

// What a token may say (DESIGN.md, "The token"). always is written out in each.
var (
	topAlways   = []string{"iss", "sub", "iat", "nbf", "exp", "jti", "video"}
	topMaybe    = []string{"name"}
	videoAlways = []string{"room", "roomJoin", "canPublish", "canSubscribe", "canPublishData", "canUpdateOwnMetadata"}
	videoMaybe  = []string{"canPublishSources"}
)

// rawToken is a token as the bytes say, read by a strict parser that is
// neither LiveKit's nor the signer's: it refuses duplicate names, unknown
// members and a changed case.
type rawToken struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	IssuedAt int64    `json:"iat"`
	NotYet   int64    `json:"nbf"`
	Expires  int64    `json:"exp"`
	ID       string   `json:"jti"`
	Name     string   `json:"name"`
	Video    rawVideo `json:"video"`

	top, video map[string]jsontext.Value
}

type rawVideo struct {
	Room                 string             `json:"room"`
	RoomJoin             bool               `json:"roomJoin"`
	CanPublish           bool               `json:"canPublish"`
	CanSubscribe         bool               `json:"canSubscribe"`
	CanPublishData       bool               `json:"canPublishData"`
	CanUpdateOwnMetadata bool               `json:"canUpdateOwnMetadata"`
	CanPublishSources    []stagedoor.Source `json:"canPublishSources"`
}

func readRaw(token string) (rawToken, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return rawToken{}, fmt.Errorf("a token of %d parts", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		data, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return rawToken{}, err
		}
		decoded[i] = data
	}
	if string(decoded[0]) != `{"alg":"HS256","typ":"JWT"}` {
		return rawToken{}, fmt.Errorf("the header is %s", decoded[0])
	}
	if len(decoded[2]) != 32 {
		return rawToken{}, fmt.Errorf("a signature of %d bytes", len(decoded[2]))
	}
	var r rawToken
	if err := json.Unmarshal(decoded[1], &r, json.RejectUnknownMembers(true)); err != nil {
		return rawToken{}, err
	}
	if err := json.Unmarshal(decoded[1], &r.top); err != nil {
		return rawToken{}, err
	}
	return r, json.Unmarshal(r.top["video"], &r.video)
}

// wantExact holds the bytes to the admission: exactly the allowed claims, none
// left for LiveKit to fill in, and the right times.
func (r rawToken) wantExact(a stagedoor.Admission, now time.Time) error {
	if err := wantKeys(r.top, topAlways, topMaybe); err != nil {
		return err
	}
	if err := wantKeys(r.video, videoAlways, videoMaybe); err != nil {
		return fmt.Errorf("video: %w", err)
	}
	want := rawVideo{Room: string(a.Room), RoomJoin: true, CanPublish: a.Grants.Publish, CanSubscribe: a.Grants.Subscribe,
		CanPublishData: a.Grants.PublishData, CanUpdateOwnMetadata: a.Grants.UpdateOwnMetadata}
	if a.Grants.Publish {
		want.CanPublishSources = a.Grants.Sources
	}
	if !reflect.DeepEqual(r.Video, want) {
		return fmt.Errorf("video says %+v", r.Video)
	}
	// An empty list would read as every source, so it must not even be there.
	if _, listed := r.video["canPublishSources"]; listed != (want.CanPublishSources != nil) {
		return fmt.Errorf("canPublishSources written out: %t", listed)
	}
	if r.Issuer != apiKey || r.Subject != string(a.Identity) || r.Name != a.Name {
		return fmt.Errorf("iss %q sub %q name %q", r.Issuer, r.Subject, r.Name)
	}
	if r.IssuedAt != now.Unix() || r.NotYet != now.Add(-10*time.Second).Unix() || r.Expires != now.Add(a.TTL).Unix() {
		return fmt.Errorf("iat %d nbf %d exp %d at %d with %v", r.IssuedAt, r.NotYet, r.Expires, now.Unix(), a.TTL)
	}
	if len(r.ID) < 16 {
		return errors.New("a jti too short to be unique")
	}
	return nil
}

// wantKeys holds a JSON object's names to those that must and those that may stand in it.
func wantKeys(object map[string]jsontext.Value, always, maybe []string) error {
	for _, name := range always {
		if value, ok := object[name]; !ok || string(value) == "null" {
			return fmt.Errorf("%s is not written out", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(always, name) && !slices.Contains(maybe, name) {
			return fmt.Errorf("%s is written out", name)
		}
	}
	return nil
}
