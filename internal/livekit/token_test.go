package livekit

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func testSigner() *Signer {
	return &Signer{Key: "APIkey", Secret: stagedoor.NewSecret("a-secret-of-LiveKit-with-32-bytes-or-more"), Now: func() time.Time { return now }}
}

func admission(g stagedoor.Grants) stagedoor.Admission {
	return stagedoor.Admission{Room: "r", Identity: "ann", Name: "Ann", TTL: time.Hour, Grants: g}
}

// The whole payload, byte for byte but for the jti: conformance/ says what
// LiveKit makes of it.
func TestTokenSaysExactlyWhatWasGranted(t *testing.T) {
	for name, c := range map[string]struct {
		grants stagedoor.Grants
		video  string
	}{
		"TestNothingGrantedIsWrittenOut": {stagedoor.Grants{}, `{"room":"r","roomJoin":true,"canPublish":false,"canSubscribe":false,"canPublishData":false,"canUpdateOwnMetadata":false}`},
		"watching":                       {stagedoor.Grants{Subscribe: true}, `{"room":"r","roomJoin":true,"canPublish":false,"canSubscribe":true,"canPublishData":false,"canUpdateOwnMetadata":false}`},
		"publishing":                     {stagedoor.Grants{Subscribe: true, Publish: true, PublishData: true}, `{"room":"r","roomJoin":true,"canPublish":true,"canSubscribe":true,"canPublishData":true,"canUpdateOwnMetadata":false}`},
		"some sources":                   {stagedoor.Grants{Publish: true, Sources: []stagedoor.Source{stagedoor.Camera, stagedoor.ScreenShareAudio}}, `{"room":"r","roomJoin":true,"canPublish":true,"canSubscribe":false,"canPublishData":false,"canUpdateOwnMetadata":false,"canPublishSources":["camera","screen_share_audio"]}`},
		"sources without publishing":     {stagedoor.Grants{Sources: []stagedoor.Source{stagedoor.Camera}}, `{"room":"r","roomJoin":true,"canPublish":false,"canSubscribe":false,"canPublishData":false,"canUpdateOwnMetadata":false}`},
		"own metadata":                   {stagedoor.Grants{UpdateOwnMetadata: true}, `{"room":"r","roomJoin":true,"canPublish":false,"canSubscribe":false,"canPublishData":false,"canUpdateOwnMetadata":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSigner()
			token, err := s.Sign(admission(c.grants))
			if err != nil {
				t.Fatal(err)
			}
			claims := jwt.MapClaims{}
			parsed, err := jwt.NewParser(jwt.WithTimeFunc(s.Now)).ParseWithClaims(token.Reveal(), claims, func(*jwt.Token) (any, error) { return []byte(s.Secret.Reveal()), nil })
			if err != nil || parsed.Header["alg"] != "HS256" || len(parsed.Header) != 2 {
				t.Fatalf("%v %v", err, parsed.Header)
			}
			if id, _ := claims["jti"].(string); len(id) < 20 {
				t.Errorf("jti %q", id)
			}
			delete(claims, "jti")
			got, _ := json.Marshal(claims)
			want := `{"exp":1795352400,"iat":1795348800,"iss":"APIkey","name":"Ann","nbf":1795348790,"sub":"ann","video":` + c.video + `}`
			if !sameJSON(t, string(got), want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		t.Fatal("not JSON")
	}
	return reflect.DeepEqual(x, y)
}

func TestWhatCannotBeMeantIsNotSigned(t *testing.T) {
	for name, change := range map[string]func(*Signer, *stagedoor.Admission){
		"no key":                       func(s *Signer, _ *stagedoor.Admission) { s.Key = "" },
		"no secret":                    func(s *Signer, _ *stagedoor.Admission) { s.Secret = stagedoor.Secret{} },
		"no room":                      func(_ *Signer, a *stagedoor.Admission) { a.Room = "" },
		"no identity":                  func(_ *Signer, a *stagedoor.Admission) { a.Identity = "" },
		"no TTL":                       func(_ *Signer, a *stagedoor.Admission) { a.TTL = 0 },
		"a TTL that rounds to nothing": func(_ *Signer, a *stagedoor.Admission) { a.TTL = time.Millisecond },
		"TestEmptySourceListIsNotForEver": func(_ *Signer, a *stagedoor.Admission) {
			a.Grants = stagedoor.Grants{Publish: true, Sources: []stagedoor.Source{}}
		},
		"an unknown source": func(_ *Signer, a *stagedoor.Admission) {
			a.Grants = stagedoor.Grants{Publish: true, Sources: []stagedoor.Source{"CAMERA"}}
		},
		"a room that is not UTF-8":      func(_ *Signer, a *stagedoor.Admission) { a.Room = "r\xff" },
		"an identity that is not UTF-8": func(_ *Signer, a *stagedoor.Admission) { a.Identity = "ann\xff" },
		"a name that is not UTF-8":      func(_ *Signer, a *stagedoor.Admission) { a.Name = "Ann\xff" },
	} {
		s, a := testSigner(), admission(stagedoor.Grants{Subscribe: true})
		change(s, &a)
		if token, err := s.Sign(a); err == nil || !token.Empty() {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := (&Signer{}).Sign(admission(stagedoor.Grants{})); err == nil {
		t.Error("the zero signer signed")
	}
}

func TestEveryTokenHasItsOwnID(t *testing.T) {
	s := testSigner()
	first, _ := s.Sign(admission(stagedoor.Grants{}))
	second, _ := s.Sign(admission(stagedoor.Grants{}))
	if first.Reveal() == second.Reveal() {
		t.Error("two tokens are one")
	}
}

// What a policy let the caller ask for, and not a word more.
func TestWhatWasAskedForIsInTheToken(t *testing.T) {
	s := &Signer{Key: "APIkey", Secret: stagedoor.NewSecret("secret"), Now: time.Now}
	a := stagedoor.Admission{Room: "r", Identity: "ann", TTL: time.Hour, Metadata: "m", Attributes: map[string]string{"role": "host"},
		Agents: []stagedoor.Agent{{Name: "scribe", Metadata: "x"}, {Name: "guide"}}}
	token, err := s.Sign(a)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Reveal(), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	const want = `"metadata":"m","attributes":{"role":"host"},"roomConfig":{"agents":[{"agentName":"scribe","metadata":"x"},{"agentName":"guide"}]}}`
	if !strings.HasSuffix(string(payload), want) {
		t.Errorf("%s", payload)
	}
	for name, change := range map[string]func(*stagedoor.Admission){
		"an agent without a name": func(a *stagedoor.Admission) { a.Agents = []stagedoor.Agent{{}} },
		"broken metadata":         func(a *stagedoor.Admission) { a.Metadata = "\xff" },
		"a broken attribute":      func(a *stagedoor.Admission) { a.Attributes = map[string]string{"\xff": ""} },
	} {
		b := a
		change(&b)
		if _, err := s.Sign(b); stagedoor.KindOf(err) != stagedoor.Internal || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
