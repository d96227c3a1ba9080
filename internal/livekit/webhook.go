package livekit

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
	"stagedoor/internal/clockskew"
)

const (
	// webhookLeeway is how far LiveKit's clock may be from ours.
	//
	// SPEC: livekit/protocol auth/verifier.go tokenLeeway.
	webhookLeeway = time.Minute
	// maxAuthorization is the longest header that is looked at, in bytes:
	// LiveKit's is shorter than 1 KiB.
	maxAuthorization = 8 << 10
	bearer           = "Bearer "
)

// Why an event is refused. Its sender is told none of them apart.
var (
	errAuthorization = errors.New("the Authorization is missing or too long")
	errUnknownKey    = errors.New("the event is signed with a key that is not configured")
	errChecksum      = errors.New("the signature is of another body")
)

// WebhookVerifier tells LiveKit's events from everybody else's. The zero
// value refuses every event. Safe for concurrent use as long as Keys does not
// change.
type WebhookVerifier struct {
	// Keys has the secret of each API key that LiveKit may sign with: the
	// current one and, while it is being replaced, the previous one.
	Keys map[string]stagedoor.Secret
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// webhookClaims are what LiveKit signs for one event.
type webhookClaims struct {
	jwt.RegisteredClaims
	// SHA256 is the checksum of the body in standard base64.
	SHA256 string `json:"sha256"`
}

// Verify checks that LiveKit sent the body, and reads the event in it.
// authorization is the header's value: the token, also after "Bearer ". body
// must be the bytes as they came. An event of a kind that the door does not know
// carries its name all the same. Events about tracks tell of the participant
// nothing but SID and identity: its grants are zero there, and mean nothing.
// Verify does not look for repetition: an event can come twice, with the same
// ID, and out of order. Errors: InvalidSignature with one detail whatever is
// wrong, InvalidEvent when LiveKit signed something that is no event.
//
// SPEC: livekit/protocol webhook/verifier.go and webhook/url_notifier.go.
func (v *WebhookVerifier) Verify(authorization string, body []byte) (stagedoor.LiveKitEvent, error) {
	if err := v.verify(authorization, body); err != nil {
		return stagedoor.LiveKitEvent{}, &stagedoor.Error{Kind: stagedoor.InvalidSignature,
			Detail: "the event is not signed by LiveKit, or long ago", Err: err}
	}
	event, err := readEvent(parse(body))
	if err != nil {
		return stagedoor.LiveKitEvent{}, &stagedoor.Error{Kind: stagedoor.InvalidEvent,
			Detail: "the body is not an event of LiveKit's", Err: err}
	}
	return event, nil
}

// verify checks the signature, its times and the checksum. A participant's
// token is signed with the same secret; it has no checksum.
func (v *WebhookVerifier) verify(authorization string, body []byte) error {
	if len(authorization) > maxAuthorization || authorization == "" {
		return errAuthorization
	}
	token := authorization
	if len(token) > len(bearer) && strings.EqualFold(token[:len(bearer)], bearer) {
		token = token[len(bearer):]
	}
	var claims webhookClaims
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(),
		jwt.WithLeeway(webhookLeeway), jwt.WithTimeFunc(v.Now), jwt.WithStrictDecoding())
	if _, err := parser.ParseWithClaims(token, &claims, v.secret); err != nil {
		return byTime(plainly(err), claims, v.now())
	}
	sum := sha256.Sum256(body)
	want := base64.StdEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(claims.SHA256), []byte(want)) != 1 {
		return errChecksum
	}
	return nil
}

// secret finds the key that the token names.
func (v *WebhookVerifier) secret(token *jwt.Token) (any, error) {
	claims, _ := token.Claims.(*webhookClaims)
	secret, known := v.Keys[claims.Issuer]
	if !known || claims.Issuer == "" || secret.Empty() {
		// An empty secret would let anybody sign.
		return nil, errUnknownKey
	}
	return []byte(secret.Reveal()), nil
}

// now is the verifier's time.
func (v *WebhookVerifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

// byTime adds to a refusal by time how far off the event is, and that a clock
// may be wrong. The signature holds then: the parser looks at times last.
func byTime(reason error, claims webhookClaims, now time.Time) error {
	switch {
	case errors.Is(reason, jwt.ErrTokenExpired) && claims.ExpiresAt != nil:
		return fmt.Errorf("%w, %s ago: it came late, or the clock of LiveKit or of this server is wrong", reason, clockskew.Say(now.Sub(claims.ExpiresAt.Time)))
	case errors.Is(reason, jwt.ErrTokenNotValidYet) && claims.NotBefore != nil:
		return fmt.Errorf("%w, for %s more: the clock of LiveKit or of this server is wrong", reason, clockskew.Say(claims.NotBefore.Sub(now)))
	}
	return reason
}

// plainly is the reason for the log without text of the token's.
func plainly(err error) error {
	for _, reason := range []error{errUnknownKey, jwt.ErrTokenMalformed, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenRequiredClaimMissing,
		jwt.ErrTokenExpired, jwt.ErrTokenNotValidYet} {
		if errors.Is(err, reason) {
			return reason
		}
	}
	return jwt.ErrTokenUnverifiable
}

// readEvent reads a WebhookEvent.
//
// SPEC: livekit/protocol protobufs/livekit_webhook.proto.
func readEvent(m *message) (stagedoor.LiveKitEvent, error) {
	event := stagedoor.LiveKitEvent{ID: m.text("id"), Name: m.text("event")}
	if seconds := m.integer("createdAt"); seconds > 0 {
		event.CreatedAt = time.Unix(seconds, 0).UTC()
	}
	if room := m.object("room"); room != nil {
		event.Room = stagedoor.Room(room.text("name"))
	}
	if participant := m.object("participant"); participant != nil {
		event.Participant = readParticipant(participant, event.Room)
	}
	if err := m.failure(); err != nil {
		return stagedoor.LiveKitEvent{}, err
	}
	if event.ID == "" || event.Name == "" {
		return stagedoor.LiveKitEvent{}, errors.New("an event without id or name")
	}
	return event, nil
}
