package livekit

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protojson"

	"stagedoor"
)

// tampering is what happens to an event's token between LiveKit and the door.
const (
	honest = iota
	flipped
	anotherSecret
	emptySecret
	anotherMethod
	unsigned
	rawParts
	padded
	anotherBody
	tampers
)

// forgeEvent signs header and payload as one of LiveKit's events, or not
// quite. @KEY, @EXP, @NBF and @SHA in them are what they have to be.
func forgeEvent(header, payload string, body []byte, seconds int16, tamper, at uint8, now time.Time) string {
	sum := sha256.Sum256(body)
	fill := strings.NewReplacer("@KEY", apiKey, "@EXP", strconv.FormatInt(now.Unix()+int64(seconds), 10), "@NBF", strconv.FormatInt(now.Unix()-int64(seconds), 10),
		"@SHA", base64.StdEncoding.EncodeToString(sum[:]))
	header, payload = fill.Replace(header), fill.Replace(payload)
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	method, secret := jwt.SigningMethodHS256, []byte(apiSecret)
	switch tamper % tampers {
	case rawParts:
		input = header + "." + payload
	case anotherSecret:
		secret = append(secret, 'x')
	case emptySecret:
		secret = []byte{}
	case anotherMethod:
		method = jwt.SigningMethodHS512
	}
	signature, _ := method.Sign(input, secret)
	switch tamper % tampers {
	case flipped:
		signature[int(at)%len(signature)] ^= 1 << (at % 8)
	case unsigned:
		signature = nil
	case padded:
		return input + "." + base64.URLEncoding.EncodeToString(signature)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// proved is LiveKit's own judgement of an event's token.
//
// SPEC: livekit/protocol webhook/verifier.go Receive.
func proved(authorization string, body []byte) error {
	token, err := auth.ParseAPIToken(authorization)
	if err != nil {
		return err
	}
	if token.APIKey() != apiKey {
		return errors.New("another key")
	}
	_, claims, err := token.Verify(apiSecret)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if subtle.ConstantTimeCompare([]byte(claims.Sha256), []byte(base64.StdEncoding.EncodeToString(sum[:]))) != 1 {
		return errors.New("another body")
	}
	return nil
}

// FuzzOursIsNeverMoreLenient gives events and their tokens, of any header and
// payload, signed well or not, to our verifier and to LiveKit's own. What ours
// takes for LiveKit's, LiveKit does too; and where LiveKit can read the event,
// both read the same.
func FuzzOursIsNeverMoreLenient(f *testing.F) {
	addEvents(f)
	f.Add(`{"alg":"HS256"}`, `{"iss":"@KEY","exp":@EXP,"sha256":"@SHA"}`, []byte(`{"event":"room_started","id":"EV_1"}`), int16(-50), uint8(honest), uint8(0), "")
	verifier := webhookVerifier()
	f.Fuzz(func(t *testing.T, header, payload string, body []byte, seconds int16, tamper, at uint8, scheme string) {
		now := time.Now()
		token := forgeEvent(header, payload, body, seconds, tamper, at, now)
		if tamper%tampers == anotherBody {
			body = append([]byte{' '}, body...)
		}
		verifier.Now = func() time.Time { return now }
		ours, err := verifier.Verify(scheme+token, body)
		switch kind := stagedoor.KindOf(err); {
		case err != nil && kind != stagedoor.InvalidSignature && kind != stagedoor.InvalidEvent:
			t.Fatalf("refused as %v: %v", kind, err)
		case err != nil && kind == stagedoor.InvalidSignature:
			return
		}
		if strings.EqualFold(scheme, "Bearer ") {
			scheme = "" // LiveKit sends the token alone; a proxy may have put this before it
		}
		// LiveKit's clock goes on: what ends at this very second may have ended for it.
		if refused := proved(scheme+token, body); refused != nil && !(errors.Is(refused, jwt.ErrTokenExpired) && seconds > -62 && seconds < -58) {
			t.Fatalf("we accept what LiveKit refuses (%v): %s . %s", refused, header, payload)
		}
		if tamper%tampers != honest && tamper%tampers != padded && tamper%tampers != rawParts {
			t.Fatalf("a tampered token was accepted: %s . %s", header, payload)
		}
		if err != nil {
			return // signed, and no event
		}
		theirs := &lkproto.WebhookEvent{}
		reader := protojson.UnmarshalOptions{DiscardUnknown: true, AllowPartial: true}
		if !json.Valid(body) || reader.Unmarshal(body, theirs) != nil {
			return // a field that we do not read is of the wrong type
		}
		if ours.ID != theirs.GetId() || ours.Name != theirs.GetEvent() || string(ours.Room) != theirs.GetRoom().GetName() ||
			string(ours.Participant.Identity) != theirs.GetParticipant().GetIdentity() || ours.Participant.SID != theirs.GetParticipant().GetSid() ||
			ours.Participant.Grants.Publish != theirs.GetParticipant().GetPermission().GetCanPublish() {
			t.Fatalf("we read %+v, LiveKit %v", ours, theirs)
		}
	})
}

// addEvents seeds every way of tampering, and headers, payloads and bodies
// that some verifier somewhere reads otherwise.
func addEvents(f *testing.F) {
	f.Helper()
	const header, payload = `{"alg":"HS256","typ":"JWT"}`, `{"iss":"@KEY","exp":@EXP,"nbf":@NBF,"sha256":"@SHA"}`
	event := []byte(`{"event":"participant_joined","id":"EV_1","createdAt":"1795521600","room":{"name":"r"},"participant":{"sid":"PA_1","identity":"ann","permission":{"can_publish":true,"canPublishSources":["CAMERA",2]},"kind":0}}`)
	for tamper := range uint8(tampers) {
		f.Add(header, payload, event, int16(300), tamper, uint8(3), "")
		f.Add(header, payload, event, int16(300), tamper, uint8(3), "Bearer ")
	}
	for _, other := range []string{`{"alg":"none"}`, `{"alg":"HS384"}`, `{"alg":"RS256"}`, `{"alg":"HS256","alg":"none"}`, `{"Alg":"HS256"}`, `{"alg":"HS256","crit":["x"],"b64":false}`, `{}`, `null`} {
		f.Add(other, payload, event, int16(300), uint8(honest), uint8(0), "")
	}
	for _, other := range []string{
		`{"iss":"@KEY","sha256":"@SHA"}`, `{"iss":"@KEY","exp":@EXP,"sha256":""}`, `{"ISS":"@KEY","EXP":@EXP,"SHA256":"@SHA"}`, `{"iss":"@KEY","exp":@EXP,"nbf":"@NBF","sha256":"@SHA"}`,
		`{"iss":"@KEY","iss":"x","exp":@EXP,"sha256":"@SHA"}`, `{"iss":"","exp":@EXP,"sha256":"@SHA"}`, `{"iss":"@KEY","exp":@EXP.9,"iat":99999999999,"sha256":"@SHA","aud":7}`,
		`{"iss":"@KEY","exp":@EXP,"sha256":"@SHA","video":{"roomJoin":true},"sub":7,"metadata":{}}`, `{"iss":"@KEY","exp":1e40,"nbf":-1e40,"sha256":"@SHA"}`,
	} {
		f.Add(header, other, event, int16(300), uint8(honest), uint8(0), "bearer ")
	}
	for _, body := range []string{``, `{}`, `[]`, `{"event":"x","id":"EV","id":"EV2"}`, `{"event":"x","id":"EV","room":{"name":"\ud800"}}`, `{"event":"x","id":"EV","participant":{"identity":null,"tracks":[{"sid":"T","type":1}]}}`} {
		f.Add(header, payload, []byte(body), int16(30), uint8(honest), uint8(0), "")
	}
	f.Add(header, payload, event, int16(-300), uint8(honest), uint8(0), "")
}
