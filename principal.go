package stagedoor

import (
	"encoding/base64"
	"strings"
	"time"
)

// Claims are the verified claims of a caller's token as decoded JSON
// (string, bool, nil, []any, map[string]any, and for numbers int64, float64 or
// json.Number as Number returns them). Treat as read-only.
type Claims map[string]any

// At finds a claim by its whole name or, failing that, by a dotted path
// through objects. At each level the longest name that fits wins, so that a
// namespaced claim such as https://example.com/app keeps its dots.
func (c Claims) At(path string) (any, bool) {
	if value, ok := c[path]; ok {
		return value, true
	}
	for end := strings.LastIndexByte(path, '.'); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		inner, ok := c[path[:end]].(map[string]any)
		if !ok {
			continue
		}
		if value, ok := Claims(inner).At(path[end+1:]); ok {
			return value, true
		}
	}
	return nil, false
}

// StripeIDs returns the customer and the subscription that the claims at the
// paths name; empty where they name none that Stripe could know.
//
// SPEC: docs.stripe.com/upgrades: ids have at most 255 characters.
func (c Claims) StripeIDs(customerPath, subscriptionPath string) (customer, subscription string) {
	id := func(path, prefix string) string {
		value, _ := c.At(path)
		text, _ := value.(string)
		rest, ok := strings.CutPrefix(text, prefix)
		if path == "" || !ok || rest == "" || len(text) > 255 || strings.Trim(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			return ""
		}
		return text
	}
	return id(customerPath, "cus_"), id(subscriptionPath, "sub_")
}

// Keep returns the claims that the paths name, each under its path, so that
// At finds them there again. Absent ones stay absent.
func (c Claims) Keep(paths []string) Claims {
	kept := Claims{}
	for _, path := range paths {
		if value, ok := c.At(path); ok && path != "" {
			kept[path] = value
		}
	}
	return kept
}

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
	// Claims are all verified claims; of a principal from the store just the
	// claims that decisions name.
	Claims Claims
	// ClaimNames are the names of the claims that were kept of all that there
	// were; nil where Claims are all of them. Of a claim that is not among them
	// nobody knows whether the token had it.
	ClaimNames []string
	// IssuedAt is the iat of the token the claims come from; zero when it says none.
	IssuedAt time.Time
	// Invitation is the ID of the invitation by which a guest comes; empty for
	// everybody else.
	Invitation string
}

// PrincipalKey is what tells principals apart. The zero value is nobody.
type PrincipalKey struct{ Issuer, Subject string }

// Key returns what tells the principal apart from every other.
func (p Principal) Key() PrincipalKey { return PrincipalKey{p.Issuer, p.Subject} }

// encodedReference marks a reference that holds a subject in base64url.
const encodedReference = "b64_"

// References returns the texts under which Stripe may name the principal, as
// client_reference_id of a Checkout session or as a customer's metadata
// user_id: the subject, or b64_ and its base64url, either behind "<prefix>_"
// where the issuer has an identity prefix. A subject that could be read as
// another issuer's or as an encoded one has its b64_ form alone. prefixes are
// the identity prefixes of all issuers. Nobody has none.
//
// SPEC: docs.stripe.com/payment-links/url-parameters: client_reference_id
// keeps letters, digits, dashes and underscores, up to 200 characters.
func (p Principal) References(prefixes []string) []string {
	if p.Issuer == "" || p.Subject == "" {
		return nil
	}
	before := ""
	if p.IdentityPrefix != "" {
		before = p.IdentityPrefix + "_"
	}
	references := []string{before + encodedReference + base64.RawURLEncoding.EncodeToString([]byte(p.Subject))}
	if strings.HasPrefix(p.Subject, encodedReference) {
		return references
	}
	for _, prefix := range prefixes {
		if before == "" && prefix != "" && strings.HasPrefix(p.Subject, prefix+"_") {
			return references
		}
	}
	return append(references, before+p.Subject)
}

// Identity is a LiveKit participant's identity: derived from a Principal,
// never taken from a request.
type Identity string

// Minted is the identity of the token that a participant came with. LiveKit
// lets whoever holds a token come in once more beside themselves, as
// "<identity>#<publish>", by a parameter of the address: such a copy has the
// token's rights, and no ban or end of a plan would be looked up for its name.
// The door hands out no identity with a '#' and lets no copy stay.
//
// SPEC: livekit-server pkg/service/utils.go, ValidateConnectRequest.
func (i Identity) Minted() Identity {
	minted, _, _ := strings.Cut(string(i), "#")
	return Identity(minted)
}

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

// maxDevice is the longest name of a device, in bytes.
const maxDevice = 32

// CheckDevice reports whether a text can name a device: 1 to 32 letters,
// digits, - and _.
func CheckDevice(text string) bool { return plain(text, 1, maxDevice) }

// CheckGuest reports whether a text can tell guests apart: 16 to 64 letters,
// digits, - and _.
func CheckGuest(text string) bool { return plain(text, 16, 64) }

func plain(text string, least, most int) bool {
	return len(text) >= least && len(text) <= most &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// on is the identity of one device, identity:device; without a device it is
// the identity itself. Errors: IdentityNotAllowed.
func (i Identity) on(device string) (Identity, error) {
	if device == "" {
		return i, nil
	}
	if !CheckDevice(device) || len(i)+1+len(device) > MaxTextBytes {
		return "", Refuse(IdentityNotAllowed, "the caller's subject with this device cannot be a participant identity: together they must be at most 256 bytes")
	}
	return i + Identity(":"+device), nil
}
