package livekit

import (
	"errors"
	"fmt"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"

	"stagedoor"
	"stagedoor/internal/livekit"
)

var trackSources = map[stagedoor.Source]lkproto.TrackSource{
	stagedoor.Camera:           lkproto.TrackSource_CAMERA,
	stagedoor.Microphone:       lkproto.TrackSource_MICROPHONE,
	stagedoor.ScreenShare:      lkproto.TrackSource_SCREEN_SHARE,
	stagedoor.ScreenShareAudio: lkproto.TrackSource_SCREEN_SHARE_AUDIO,
}

// verify lets LiveKit's own code take the token, as its server does.
func verify(t *testing.T, token, secret string) (*jwt.RegisteredClaims, *auth.ClaimGrants) {
	t.Helper()
	parsed, err := auth.ParseAPIToken(token)
	if err != nil {
		t.Fatalf("LiveKit does not parse %s: %v", token, err)
	}
	if parsed.APIKey() != apiKey {
		t.Fatalf("LiveKit reads the API key %q", parsed.APIKey())
	}
	registered, claims, err := parsed.Verify(secret)
	if err != nil {
		t.Fatalf("LiveKit refuses %s: %v", token, err)
	}
	return registered, claims
}

// refused reports why LiveKit's own code refuses the token; nil if it takes it.
func refused(token, secret string) error {
	parsed, err := auth.ParseAPIToken(token)
	if err != nil {
		return err
	}
	_, _, err = parsed.Verify(secret)
	return err
}

// officialGrant is what somebody who follows LiveKit's manual would write for
// the same grants, with every permission set.
func officialGrant(a stagedoor.Admission) *auth.VideoGrant {
	grant := &auth.VideoGrant{RoomJoin: true, Room: string(a.Room)}
	grant.SetCanPublish(a.Grants.Publish)
	grant.SetCanSubscribe(a.Grants.Subscribe)
	grant.SetCanPublishData(a.Grants.PublishData)
	grant.SetCanUpdateOwnMetadata(a.Grants.UpdateOwnMetadata)
	if a.Grants.Publish && a.Grants.Sources != nil {
		var sources []lkproto.TrackSource
		for _, source := range a.Grants.Sources {
			sources = append(sources, trackSources[source])
		}
		grant.SetCanPublishSources(sources)
	}
	return grant
}

// officialToken is the token that LiveKit's own library makes of the admission.
func officialToken(t *testing.T, a stagedoor.Admission) string {
	t.Helper()
	token, err := auth.NewAccessToken(apiKey, apiSecret).
		SetIdentity(string(a.Identity)).
		SetName(a.Name).
		SetValidFor(a.TTL).
		SetVideoGrant(officialGrant(a)).
		ToJWT()
	if err != nil {
		t.Fatalf("LiveKit's library does not sign: %v", err)
	}
	return token
}

// wantSameRights compares the permission message that a server derives from
// each of two grants and hands to every other participant.
func wantSameRights(ours, official *auth.VideoGrant) error {
	if !proto.Equal(ours.ToPermission(), official.ToPermission()) {
		return fmt.Errorf("permission %v, official %v", ours.ToPermission(), official.ToPermission())
	}
	if !ours.MatchesPermission(official.ToPermission()) {
		return errors.New("the grants do not match the official permission")
	}
	return nil
}

// wantUnsigned holds the signer to refusing an admission as an internal error
// and to handing out nothing.
func wantUnsigned(t *testing.T, signer *livekit.Signer, a stagedoor.Admission) {
	t.Helper()
	token, err := signer.Sign(a)
	switch {
	case err == nil || !token.Empty():
		t.Errorf("%s TTL %v was signed", label(a), a.TTL)
	case stagedoor.KindOf(err) != stagedoor.Internal:
		t.Errorf("%s was refused as %v, want internal", label(a), stagedoor.KindOf(err))
	}
}
