package authn

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
)

// MaxTokenBytes is the longest caller's token that is looked at: longer ones
// are refused before they are split.
const MaxTokenBytes = 8 << 10

// JWS is a caller's token taken apart and not yet verified.
type JWS struct {
	// Alg is one of the algorithms this package speaks.
	Alg string
	// Kid is the key id the token names; empty when it names none.
	Kid string
	// Typ is the header's typ; empty when absent.
	Typ string
	// Payload is the decoded payload.
	Payload []byte

	signed    string // header.payload as sent
	signature []byte
}

var errMalformed = errors.New("not a compact JWS")

// ParseJWS takes a compact JWS apart: three strict base64url parts of at most
// MaxTokenBytes in all, a strict JSON header, an algorithm out of the fixed
// list. JWE, none, crit, b64 and zip are refused; keys embedded in the header
// (jwk, jku, x5c, x5u) are never looked at.
//
// SPEC: RFC 7515 §3.1, §4.1.11 (crit: nothing is understood), RFC 7797 (b64),
// RFC 8725 §3.1.
func ParseJWS(token string) (JWS, error) {
	if len(token) > MaxTokenBytes {
		return JWS{}, errors.New("longer than 8 KiB")
	}
	if strings.Count(token, ".") != 2 {
		return JWS{}, errMalformed
	}
	parts := strings.Split(token, ".")
	headerJSON, err := decodeSegment(parts[0])
	if err != nil {
		return JWS{}, err
	}
	var header map[string]any
	if err := json.Unmarshal(headerJSON, &header); err != nil || header == nil {
		return JWS{}, errors.New("the header is not one strict JSON object")
	}
	j := JWS{signed: token[:len(parts[0])+1+len(parts[1])]}
	if err := j.readHeader(header); err != nil {
		return JWS{}, err
	}
	if j.Payload, err = decodeSegment(parts[1]); err != nil {
		return JWS{}, err
	}
	if j.signature, err = decodeSegment(parts[2]); err != nil {
		return JWS{}, err
	}
	if len(j.signature) == 0 {
		return JWS{}, errors.New("no signature")
	}
	return j, nil
}

// readHeader takes alg, kid and typ and refuses what would change the meaning.
func (j *JWS) readHeader(header map[string]any) error {
	for _, name := range []string{"crit", "b64", "zip", "enc"} {
		if _, ok := header[name]; ok {
			return errors.New("the header has " + name)
		}
	}
	alg, _ := header["alg"].(string)
	if _, known := algorithms[alg]; !known {
		return errors.New("the algorithm is not accepted")
	}
	j.Alg = alg
	for name, field := range map[string]*string{"kid": &j.Kid, "typ": &j.Typ} {
		value, ok := header[name]
		if !ok {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return errors.New("the header's " + name + " is not a string")
		}
		*field = text
	}
	return nil
}

// decodeSegment decodes unpadded base64url and refuses anything that a second
// spelling could hide in: Go's decoder by itself skips line breaks.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errMalformed
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errMalformed
	}
	return data, nil
}
