package livekit

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protojson"

	"stagedoor"
	"stagedoor/internal/livekit"
)

// eventNames are LiveKit's.
//
// SPEC: livekit/protocol webhook/consts.go.
func eventNames() []string {
	return []string{"room_started", "room_finished", "participant_joined", "participant_left", "participant_connection_aborted",
		"track_published", "track_unpublished", "egress_started", "egress_updated", "egress_ended", "ingress_started", "ingress_ended",
		"agent_job_pending", "agent_job_started", "agent_job_ended"}
}

func webhookVerifier() *livekit.WebhookVerifier {
	return &livekit.WebhookVerifier{Keys: map[string]stagedoor.Secret{apiKey: stagedoor.NewSecret(apiSecret)}, Now: time.Now}
}

// notify signs a body with LiveKit's library, step by step as its notifier
// does. Importing the notifier itself would bring an HTTP client; the real
// server below runs it.
//
// SPEC: livekit/protocol webhook/url_notifier.go send.
func notify(t *testing.T, body []byte) string {
	t.Helper()
	sum := sha256.Sum256(body)
	token, err := auth.NewAccessToken(apiKey, apiSecret).
		SetValidFor(5 * time.Minute).
		SetSha256(base64.StdEncoding.EncodeToString(sum[:])).
		ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// receive is what LiveKit tells everybody to do with an event.
//
// SPEC: livekit/protocol webhook/verifier.go Receive and ReceiveWebhookEvent.
func receive(authorization string, body []byte, keys auth.KeyProvider) (*lkproto.WebhookEvent, error) {
	token, err := auth.ParseAPIToken(authorization)
	if err != nil {
		return nil, err
	}
	secret := keys.GetSecret(token.APIKey())
	if secret == "" {
		return nil, errors.New("API secret could not be found")
	}
	_, claims, err := token.Verify(secret)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if subtle.ConstantTimeCompare([]byte(claims.Sha256), []byte(base64.StdEncoding.EncodeToString(sum[:]))) != 1 {
		return nil, errors.New("could not verify authenticity of message")
	}
	event := &lkproto.WebhookEvent{}
	return event, protojson.UnmarshalOptions{DiscardUnknown: true, AllowPartial: true}.Unmarshal(body, event)
}

// TestWebhooksOfEveryEvent writes events of every name with LiveKit's own
// types, filled at random down to the last field, in each spelling that
// protobuf's JSON has, and compares what we read with what LiveKit does.
func TestWebhooksOfEveryEvent(t *testing.T) {
	spellings := []protojson.MarshalOptions{{}, {UseProtoNames: true}, {UseEnumNumbers: true}, {EmitUnpopulated: true}, {Multiline: true, UseProtoNames: true, EmitUnpopulated: true}}
	random := rand.New(rand.NewPCG(7, 7))
	read := 0
	for _, name := range eventNames() {
		for i := range 10 {
			event := &lkproto.WebhookEvent{}
			fill(event.ProtoReflect(), random, 4)
			event.Event, event.Id = name, fmt.Sprintf("EV_%d", i)
			if i == 0 {
				// Nothing but the name, as one of another server's might be.
				event = &lkproto.WebhookEvent{Event: name, Id: "EV_0"}
			}
			for _, spelling := range spellings {
				spelling.AllowPartial = true
				body, err := spelling.Marshal(event)
				if err != nil {
					t.Fatal(err)
				}
				if err := wantSameEvent(notify(t, body), body, webhookVerifier(), auth.NewSimpleKeyProvider(apiKey, apiSecret)); err != nil {
					t.Fatalf("%v\n%s", err, body)
				}
				read++
			}
		}
	}
	t.Logf("%d events", read)
}

// wantSameEvent holds our reading of an accepted event to LiveKit's.
func wantSameEvent(authorization string, body []byte, v *livekit.WebhookVerifier, keys auth.KeyProvider) error {
	theirs, err := receive(authorization, body, keys)
	if err != nil {
		return fmt.Errorf("LiveKit refuses: %w", err)
	}
	ours, err := v.Verify(authorization, body)
	if err != nil {
		return fmt.Errorf("we refuse: %w", err)
	}
	created := time.Time{}
	if theirs.GetCreatedAt() != 0 {
		created = time.Unix(theirs.GetCreatedAt(), 0)
	}
	if ours.ID != theirs.GetId() || ours.Name != theirs.GetEvent() || string(ours.Room) != theirs.GetRoom().GetName() || !ours.CreatedAt.Equal(created) {
		return fmt.Errorf("we read %+v, LiveKit %v", ours, theirs)
	}
	if theirs.GetParticipant() == nil {
		if ours.Participant.SID != "" || ours.Participant.Identity != "" {
			return fmt.Errorf("we read a participant: %+v", ours.Participant)
		}
		return nil
	}
	return wantSameParticipant(ours.Participant, theirs.GetParticipant(), theirs.GetRoom().GetName())
}

// TestForgedWebhooks changes an event and its token: LiveKit's own code and
// ours refuse each.
func TestForgedWebhooks(t *testing.T) {
	keys := auth.NewSimpleKeyProvider(apiKey, apiSecret)
	body, err := protojson.Marshal(&lkproto.WebhookEvent{Event: "participant_joined", Id: "EV_1", CreatedAt: time.Now().Unix(), Room: &lkproto.Room{Name: "r"},
		Participant: &lkproto.ParticipantInfo{Sid: "PA_1", Identity: "ann", Permission: &lkproto.ParticipantPermission{CanPublish: true}}})
	if err != nil {
		t.Fatal(err)
	}
	good := notify(t, body)
	if err := wantSameEvent(good, body, webhookVerifier(), keys); err != nil {
		t.Fatal(err)
	}
	for i := range body {
		changed := bytes.Clone(body)
		changed[i] ^= 1
		wantBothRefuse(t, fmt.Sprintf("byte %d of the body", i), good, changed)
	}
	for i := range good {
		changed := []byte(good)
		changed[i] = digit(changed[i])
		wantBothRefuse(t, fmt.Sprintf("byte %d of the token", i), string(changed), body)
	}
	wantBothRefuse(t, "a participant's token", sign(t, signerAt(time.Now()), plain()), body)
	wantBothRefuse(t, "nothing", "", body)
	wantBothRefuse(t, "a token without signature", good[:strings.LastIndexByte(good, '.')+1], body)
}

// wantBothRefuse holds LiveKit's own code and ours to refusing an event.
func wantBothRefuse(t *testing.T, name, authorization string, body []byte) {
	t.Helper()
	if _, err := receive(authorization, body, auth.NewSimpleKeyProvider(apiKey, apiSecret)); err == nil {
		t.Errorf("%s: LiveKit accepts", name)
	}
	if event, err := webhookVerifier().Verify(authorization, body); stagedoor.KindOf(err) != stagedoor.InvalidSignature {
		t.Errorf("%s: %+v %v", name, event, err)
	}
}

// TestForgedWebhookTokens does the same with tokens that somebody else signed.
func TestForgedWebhookTokens(t *testing.T) {
	now, body := time.Now(), []byte(`{"event":"room_started","id":"EV_1"}`)
	sum := sha256.Sum256(body)
	token := func(method jwt.SigningMethod, secret any, changes jwt.MapClaims) string {
		claims := jwt.MapClaims{"iss": apiKey, "exp": now.Add(time.Minute).Unix(), "nbf": now.Unix(), "sha256": base64.StdEncoding.EncodeToString(sum[:])}
		for name, value := range changes {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		signed, err := jwt.NewWithClaims(method, claims).SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	hs256, secret := jwt.SigningMethodHS256, []byte(apiSecret)
	for name, forged := range map[string]string{
		"another secret":             token(hs256, []byte(apiSecret+"x"), nil),
		"an empty secret":            token(hs256, []byte{}, nil),
		"an unknown key":             token(hs256, secret, jwt.MapClaims{"iss": "APIstranger"}),
		"no key":                     token(hs256, secret, jwt.MapClaims{"iss": nil}),
		"HS384":                      token(jwt.SigningMethodHS384, secret, nil),
		"HS512":                      token(jwt.SigningMethodHS512, secret, nil),
		"none":                       token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"an expired token":           token(hs256, secret, jwt.MapClaims{"exp": now.Unix() - 62}),
		"a token without an end":     token(hs256, secret, jwt.MapClaims{"exp": nil}),
		"a token of tomorrow":        token(hs256, secret, jwt.MapClaims{"nbf": now.Unix() + 90}),
		"no checksum":                token(hs256, secret, jwt.MapClaims{"sha256": nil}),
		"an empty checksum":          token(hs256, secret, jwt.MapClaims{"sha256": ""}),
		"a checksum of another type": token(hs256, secret, jwt.MapClaims{"sha256": 1}),
	} {
		wantBothRefuse(t, name, forged, body)
	}
	// Unchanged they are taken: the table tests what it says.
	if err := wantSameEvent(token(hs256, secret, nil), body, webhookVerifier(), auth.NewSimpleKeyProvider(apiKey, apiSecret)); err != nil {
		t.Error(err)
	}
}

// digit returns another character of base64url, one that differs in its
// first bit: a last character's last bits may carry nothing.
func digit(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(alphabet, c)
	if at < 0 {
		return '~'
	}
	return alphabet[at^32]
}
