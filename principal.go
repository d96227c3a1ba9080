package stagedoor

import "strings"

// Claims are the verified claims of a caller's token as decoded JSON
// (string, float64, bool, nil, []any, map[string]any). Treat as read-only.
type Claims map[string]any

// Principal is a verified caller: issuer and subject. Bans, links and limits
// belong to it. The zero value is nobody and has no identity.
type Principal struct {
	// Issuer is the verified iss claim, or a fixed name for an issuer that
	// has none; never empty in a verified Principal.
	Issuer string
	// Subject is the verified sub claim; never empty in a verified Principal.
	Subject string
	// Handle is what the participant's identity is derived from: the
	// subject, unless the operator names another claim.
	Handle string
	// IdentityPrefix keeps issuers' subjects apart; empty for at most one issuer.
	IdentityPrefix string
	// Name is the display name the issuer vouches for; may be empty.
	Name string
	// Claims are all verified claims.
	Claims Claims
}

// Identity is a LiveKit participant's identity: derived from a Principal,
// never taken from a request.
type Identity string

// guestPrefix is kept for participants that come in by invitation.
const guestPrefix = "guest"

// Identity derives the caller's LiveKit identity, [prefix:]handle. prefixes
// are the identity prefixes of all configured issuers: a handle that begins
// with one of them and a colon could pass for somebody else's and is refused.
// Errors: IdentityNotAllowed.
//
// SPEC: LiveKit appends "#<publish>" to identities of WHIP sessions
// (livekit-server pkg/service/utils.go), so "#" is refused.
func (p Principal) Identity(prefixes []string) (Identity, error) {
	if p.Issuer == "" || p.Subject == "" {
		return "", &Error{Kind: Internal, Detail: "", Err: errNobody}
	}
	for _, prefix := range append([]string{guestPrefix}, prefixes...) {
		if prefix != "" && strings.HasPrefix(p.Handle, prefix+":") {
			return "", Refuse(IdentityNotAllowed, "the caller's subject begins with a reserved prefix")
		}
	}
	identity := p.Handle
	if p.IdentityPrefix != "" {
		identity = p.IdentityPrefix + ":" + p.Handle
	}
	if err := CheckText(p.Handle); err != nil {
		return "", Refuse(IdentityNotAllowed, "the caller's subject cannot be a participant identity: it "+err.Error())
	}
	if len(identity) > MaxTextBytes {
		return "", Refuse(IdentityNotAllowed, "the caller's subject cannot be a participant identity: with its prefix it must be at most 256 bytes")
	}
	if strings.Contains(p.Handle, "#") {
		return "", Refuse(IdentityNotAllowed, "the caller's subject cannot be a participant identity: it contains '#'")
	}
	return Identity(identity), nil
}
