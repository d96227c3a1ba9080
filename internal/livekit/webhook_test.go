package livekit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

const previousSecret = "the-secret-before-it-was-rotated-0123456789"

// joined is an event as livekit-server v1.13.5 writes it: lowerCamelCase,
// int64 as strings, false and zero left out.
const joined = `{"event":"participant_joined","room":{"sid":"RM_1","name":"r","emptyTimeout":300,"creationTime":"1795348790","numParticipants":1},
 "participant":{"sid":"PA_1","identity":"ann","state":"ACTIVE","joinedAt":"1795348800","joinedAtMs":"1795348800123","name":"Ann","version":3,
 "permission":{"canSubscribe":true,"canPublish":true,"canPublishSources":["CAMERA","MICROPHONE"],"canUpdateMetadata":true}},"id":"EV_1","createdAt":"1795348801"}`

func verifier() *WebhookVerifier {
	return &WebhookVerifier{Now: func() time.Time { return now }, Keys: map[string]stagedoor.Secret{
		"APIkey": testSigner().Secret, "APIprevious": stagedoor.NewSecret(previousSecret), "APIempty": {}, "": testSigner().Secret}}
}

// checksum is the claim sha256 of a body.
func checksum(body string) string {
	sum := sha256.Sum256([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// notice is what LiveKit signs for a body.
func notice(body string) jwt.MapClaims {
	return jwt.MapClaims{"iss": "APIkey", "nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "sha256": checksum(body)}
}

// with is the notice of joined with claims replaced; nil takes one out.
func with(changes jwt.MapClaims) jwt.MapClaims {
	claims := notice(joined)
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

func signed(t *testing.T, method jwt.SigningMethod, secret any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func signedHS256(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	return signed(t, jwt.SigningMethodHS256, []byte(testSigner().Secret.Reveal()), claims)
}

func TestEventIsRead(t *testing.T) {
	want := stagedoor.LiveKitEvent{ID: "EV_1", Name: "participant_joined", CreatedAt: now.Add(time.Second), Room: "r", Participant: ann()}
	previous := signed(t, jwt.SigningMethodHS256, []byte(previousSecret), with(jwt.MapClaims{"iss": "APIprevious"}))
	for name, authorization := range map[string]string{
		"raw": signedHS256(t, notice(joined)), "bearer": "Bearer " + signedHS256(t, notice(joined)), "lower case": "bearer " + signedHS256(t, notice(joined)),
		"the previous key": previous,
		"a minute late":    signedHS256(t, with(jwt.MapClaims{"exp": now.Unix() - 59})),
		"a minute early":   signedHS256(t, with(jwt.MapClaims{"nbf": now.Unix() + 59})),
		"no nbf":           signedHS256(t, with(jwt.MapClaims{"nbf": nil, "iat": nil})),
	} {
		if got, err := verifier().Verify(authorization, []byte(joined)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// forgeries are what anybody could send instead of LiveKit's signature of
// joined, each by the name of the attack.
func forgeries(t *testing.T, good string) map[string]string {
	t.Helper()
	secret := []byte(testSigner().Secret.Reveal())
	participants, err := testSigner().Sign(admission(stagedoor.Grants{Publish: true}))
	if err != nil {
		t.Fatal(err)
	}
	service := &RoomService{Key: "APIkey", Secret: testSigner().Secret, Now: testSigner().Now}
	admins, err := service.adminToken(adminGrant{RoomList: true})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	url := base64.URLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 32)))
	return map[string]string{
		"TestNoSignature":                       "",
		"TestBearerOfNothing":                   "Bearer ",
		"TestNotAToken":                         "hello",
		"TestParticipantsTokenIsNoSignature":    participants.Reveal(),
		"TestDoorsOwnTokenIsNoSignature":        admins.Reveal(),
		"TestAlgorithmNone":                     none,
		"TestAlgorithmNoneKeepsSignature":       none + parts[2],
		"TestHS384":                             signed(t, jwt.SigningMethodHS384, secret, notice(joined)),
		"TestHS512":                             signed(t, jwt.SigningMethodHS512, secret, notice(joined)),
		"TestUnknownKey":                        signedHS256(t, with(jwt.MapClaims{"iss": "APIstranger"})),
		"TestNoKey":                             signedHS256(t, with(jwt.MapClaims{"iss": nil})),
		"TestEmptyKeyName":                      signedHS256(t, with(jwt.MapClaims{"iss": ""})),
		"TestKeyOfAnotherCase":                  signedHS256(t, with(jwt.MapClaims{"iss": "apikey"})),
		"TestEmptySecretIsNoSecret":             signed(t, jwt.SigningMethodHS256, []byte{}, with(jwt.MapClaims{"iss": "APIempty"})),
		"TestWrongSecret":                       signed(t, jwt.SigningMethodHS256, []byte(previousSecret), notice(joined)),
		"TestPreviousKeyWithCurrentSecret":      signedHS256(t, with(jwt.MapClaims{"iss": "APIprevious"})),
		"TestReplayAfterItsTime":                signedHS256(t, with(jwt.MapClaims{"exp": now.Unix() - 61})),
		"TestForEver":                           signedHS256(t, with(jwt.MapClaims{"exp": nil})),
		"TestForEverAsZero":                     signedHS256(t, with(jwt.MapClaims{"exp": 0})),
		"TestExpiryAsText":                      signedHS256(t, with(jwt.MapClaims{"exp": "never"})),
		"TestOfTomorrow":                        signedHS256(t, with(jwt.MapClaims{"nbf": now.Unix() + 61})),
		"TestNoChecksum":                        signedHS256(t, with(jwt.MapClaims{"sha256": nil})),
		"TestEmptyChecksum":                     signedHS256(t, with(jwt.MapClaims{"sha256": ""})),
		"TestChecksumOfNothing":                 signedHS256(t, with(jwt.MapClaims{"sha256": checksum("")})),
		"TestChecksumOfAnotherEvent":            signedHS256(t, with(jwt.MapClaims{"sha256": checksum(joined + " ")})),
		"TestChecksumInHex":                     signedHS256(t, with(jwt.MapClaims{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"})),
		"TestChecksumInBase64URL":               signedHS256(t, with(jwt.MapClaims{"sha256": url})),
		"TestChecksumOfAnotherType":             signedHS256(t, with(jwt.MapClaims{"sha256": []string{checksum(joined)}})),
		"TestChecksumCutShort":                  signedHS256(t, with(jwt.MapClaims{"sha256": checksum(joined)[:40]})),
		"TestSignatureCut":                      good[:len(good)-2],
		"TestSignatureTakenOff":                 parts[0] + "." + parts[1] + ".",
		"TestTwoTokens":                         good + "." + parts[2],
		"TestOversizedToken":                    signedHS256(t, with(jwt.MapClaims{"pad": strings.Repeat("a", maxAuthorization)})),
		"TestWhiteSpaceInFront":                 " " + good,
		"TestOtherScheme":                       "Basic " + good,
		"TestSignatureSpelledAnotherWay":        good + "=",
		"TestPayloadOfAnotherTokenUnderThisOne": parts[0] + "." + strings.Split(participants.Reveal(), ".")[1] + "." + parts[2],
	}
}

func TestForgedEvents(t *testing.T) {
	good := signedHS256(t, notice(joined))
	for name, authorization := range forgeries(t, good) {
		t.Run(name, func(t *testing.T) { wantRefused(t, verifier(), authorization, joined) })
	}
	t.Run("TestZeroVerifierRefusesAll", func(t *testing.T) { wantRefused(t, &WebhookVerifier{}, good, joined) })
	for name, body := range map[string]string{
		"TestChangedBody":       strings.Replace(joined, "ann", "eve", 1),
		"TestBodyReformatted":   strings.ReplaceAll(joined, "\n", ""),
		"TestLineAddedAtTheEnd": joined + "\n",
		"TestNoBody":            "",
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, verifier(), good, body) })
	}
}

// wantRefused holds the verifier to one answer for whatever is wrong, and to
// an error without bytes of the sender's.
func wantRefused(t *testing.T, v *WebhookVerifier, authorization, body string) {
	t.Helper()
	event, err := v.Verify(authorization, []byte(body))
	var e *stagedoor.Error
	if !errors.As(err, &e) || e.Kind != stagedoor.InvalidSignature || e.Detail != "the event is not signed by LiveKit, or long ago" || e.Err == nil {
		t.Fatalf("%+v %v", event, err)
	}
	if !reflect.DeepEqual(event, stagedoor.LiveKitEvent{}) {
		t.Errorf("%+v besides the error", event)
	}
	if len(authorization) > 20 && strings.Contains(err.Error(), authorization[len(authorization)-20:]) || strings.Contains(err.Error(), "HS") {
		t.Errorf("the error repeats the token: %v", err)
	}
}

func TestEventsAsTheyMayBeWritten(t *testing.T) {
	for body, want := range map[string]stagedoor.LiveKitEvent{
		`{"event":"room_started","id":"EV","created_at":1795348800,"room":{"name":"r"}}`:                      {Name: "room_started", ID: "EV", CreatedAt: now, Room: "r"},
		`{"event":"event_of_tomorrow","id":"EV","new":{"deep":[{}]},"room":null,"participant":null}`:          {Name: "event_of_tomorrow", ID: "EV"},
		`{"event":"egress_ended","id":"EV","egressInfo":{"roomName":"r"}}`:                                    {Name: "egress_ended", ID: "EV"},
		`{"event":"track_published","id":"EV","room":{"name":"r"},"participant":{"sid":"PA","identity":"x"}}`: {Name: "track_published", ID: "EV", Room: "r", Participant: stagedoor.Participant{Room: "r", SID: "PA", Identity: "x", Standard: true}},
		`{"participant":{"sid":"PA","kind":"SIP"},"room":{"name":"後"},"event":"participant_left","id":"EV"}`:  {Name: "participant_left", ID: "EV", Room: "後", Participant: stagedoor.Participant{Room: "後", SID: "PA"}},
		`{"event":"x","id":"EV","room":{"name":"r"},"participant":{}}`:                                        {Name: "x", ID: "EV", Room: "r", Participant: stagedoor.Participant{Room: "r", Standard: true}},
		" \n{\"event\":\"x\",\"id\":\"E\\u0056\"}\n":                                                          {Name: "x", ID: "EV"},
	} {
		got, err := verifier().Verify(signedHS256(t, notice(body)), []byte(body))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v %v", body, got, err)
		}
	}
}

func TestSignedThingsThatAreNoEvent(t *testing.T) {
	for _, body := range []string{
		"", "hello", "null", "[]", `"event"`, "1", "{", `{"event":"x","id":"EV"`, `{"event":"x","id":"EV"}{}`, `{"event":"x","id":"EV"},`, "{\"event\":\"x\",\"id\":\"\xff\"}",
		`{}`, `{"event":"x"}`, `{"id":"EV"}`, `{"event":"","id":"EV"}`, `{"Event":"x","ID":"EV"}`, `{"event":1,"id":"EV"}`, `{"event":"x","id":["EV"]}`,
		`{"event":"x","id":"EV","createdAt":"now"}`, `{"event":"x","id":"EV","createdAt":1.5}`, `{"event":"x","id":"EV","room":"r"}`, `{"event":"x","id":"EV","room":[{"name":"r"}]}`,
		`{"event":"x","id":"EV","room":{"name":7}}`, `{"event":"x","id":"EV","participant":"ann"}`, `{"event":"x","id":"EV","participant":[]}`, `{"event":"x","id":"EV","participant":{"identity":1}}`,
		`{"event":"x","id":"EV","participant":{"permission":"all"}}`, `{"event":"x","id":"EV","participant":{"permission":{"canPublish":1}}}`,
		`{"event":"x","id":"EV","participant":{"permission":{"canPublish":"true"}}}`, `{"event":"x","id":"EV","event":"y"}`,
		`{"event":"x","id":"EV","created_at":"1","createdAt":"2"}`,
		`{"event":"x","id":"EV","participant":{"identity":"ann","identity":"eve"}}`,
	} {
		event, err := verifier().Verify(signedHS256(t, notice(body)), []byte(body))
		if stagedoor.KindOf(err) != stagedoor.InvalidEvent || !reflect.DeepEqual(event, stagedoor.LiveKitEvent{}) {
			t.Errorf("%s: %+v %v", body, event, err)
		}
	}
}

func TestEventsAtOnce(t *testing.T) {
	v, token := verifier(), signedHS256(t, notice(joined))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := v.Verify(token, []byte(joined)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// FuzzEvent reads any signed body: it is an event with id and name, or an error.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{joined, annInfo, `{"event":"x","id":"EV","room":{"name":"r"},"participant":{"permission":{"can_publish_sources":[1,"CAMERA"]}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := readEvent(parse(body))
		if err == nil && (event.ID == "" || event.Name == "" || !json.Valid(body)) || err != nil && !reflect.DeepEqual(event, stagedoor.LiveKitEvent{}) {
			t.Errorf("%q: %+v %v", body, event, err)
		}
	})
}
