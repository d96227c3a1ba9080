// Package stagedoor holds the words of the door in front of LiveKit and the
// one sentence they form: Door.Join. It is the ground floor of the house: only
// the standard library, no I/O and no clock. ARCHITECTURE.md has the map.
package stagedoor

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"
)

// Authenticator turns a credential into a verified Principal.
// Errors: MissingToken, InvalidToken, ExpiredToken, Unavailable.
type Authenticator interface {
	Authenticate(ctx context.Context, credential Credential) (Principal, error)
}

// Entitlements looks up what a principal has paid for. An error means that
// nothing is known now; it withholds publishing and never stops watching.
type Entitlements interface {
	Entitlement(ctx context.Context, principal Principal) (Entitlement, error)
}

// Policy decides, without I/O and clock, what a principal may do in a room.
// Errors: RoomForbidden.
type Policy interface {
	Decide(situation Situation) (Decision, error)
}

// Bans says who is kept out of which room.
type Bans interface {
	// Check refuses a principal who is kept out. Errors: Banned.
	Check(principal Principal, room Room) error
}

// Memory keeps what decisions stand on once the request is over.
type Memory interface {
	// Remember keeps the claims that decisions name and returns the principal
	// with those of the newest token seen, which an older one does not undo.
	Remember(ctx context.Context, principal Principal) (Principal, error)
	// Minted marks a participant as the door's own, before its token leaves,
	// and takes its seat. Errors: IdentityNotAllowed, when it is another
	// principal's; RoomFull and AlreadyInRoom; RateLimited, when the principal has
	// tokens for too many participants; any other means that it could
	// not be marked.
	Minted(ctx context.Context, mint Mint) error
	// MintLater records a mint that Minted could not store, and its principal: in
	// memory at once, and in the database as soon as that can be written.
	MintLater(principal Principal, mint Mint)
}

// Sessions knows since when a principal's time in a room has been running.
type Sessions interface {
	// Since is the principal's first arrival in the room since it opened; zero
	// when there was none.
	Since(ctx context.Context, principal PrincipalKey, room Room) (time.Time, error)
}

// Signer signs the LiveKit access token that says what was decided.
type Signer interface {
	Sign(admission Admission) (Token, error)
}

// AuditLog keeps one record of every decision about an authenticated caller.
// A decision that cannot be recorded is not handed out.
type AuditLog interface {
	Record(ctx context.Context, record AuditRecord) error
}

// Request is what a caller asks for, parsed and checked but not yet allowed.
type Request struct {
	// Room may be empty in a guest's request: it is the invitation's.
	Room Room
	// Name is the display name asked for; empty means the issuer's.
	Name string
	// Identity is the identity asked for; empty means the caller's own, and
	// any other than that is refused.
	Identity string
	// Device tells one of the caller's devices from the others; may be empty.
	Device string
	// Guest tells one guest of an invitation from the others; empty for callers
	// with a token of their own.
	Guest string
	// ClientIP is the caller's address; never empty, since rules may ask for it.
	ClientIP string
	// Agents, Metadata and Attributes are what the caller asks for of their
	// own participant; the policy says whether they may.
	Agents     []Agent
	Metadata   string
	Attributes map[string]string
}

// Agent is an agent that a caller asks for in their room.
type Agent struct {
	// Name is the agent's, Metadata is handed to it.
	Name, Metadata string
}

// Admission is what one caller got: everything that the token says, and the token.
type Admission struct {
	Room          Room
	Identity      Identity
	Name          string
	Grants        Grants
	TTL           time.Duration
	PublishDenied Denial
	// Rule names the rule of the policy that decided; empty without a policy file.
	Rule string
	// Entitlement is what it stands on.
	Entitlement Entitlement
	// Moderate and Invite say what else the caller may do in the room, through the door.
	Moderate, Invite bool
	// MaxParticipants is the room's cap, for LiveKit to hold too; 0: none.
	MaxParticipants int
	// SessionLeft is how long the caller may still be in the room; 0: no limit.
	SessionLeft time.Duration
	// Agents, Metadata and Attributes are what the policy let the caller ask for.
	Agents     []Agent
	Metadata   string
	Attributes map[string]string
	Token      Token
}

// AuditRecord is one decision. Err is nil when what was asked for was done:
// when Admission was handed out or, with an Action, that was carried out.
type AuditRecord struct {
	Principal Principal
	// Action is "mute", "remove", "invite" or "revoke", which the Principal asked
	// for; "ban", "unban", "forget" or "enforce", which were done to the
	// Principal; empty for a join.
	Action string
	// By is the operator who acted; empty where the Principal did or nobody.
	By string
	// Cause is why a running call was looked at again; of "enforce" alone.
	Cause string
	// Target is whom or which invitation the Action is about, Until how long it
	// lasts; zero where it does not.
	Target string
	Until  time.Time
	// Uses and Publish are the invitation's.
	Uses    int
	Publish bool
	Request Request
	// Admission has no more than Rule and Entitlement beside an Err or an Action,
	// and for "enforce" also Identity, Grants and PublishDenied.
	Admission Admission
	Err       error
}

// Door joins the seams. Every field must be set but for Entitlements, which
// entitles nobody when nil, Limiter, without which nobody asks too often, Bans,
// which bans nobody, Memory, without which
// nothing can be changed once the token has left, and Sessions, Invitations,
// InvitationBook and Moderators, without which what needs them is refused.
// Safe for concurrent use when its parts are.
type Door struct {
	Authenticator  Authenticator
	Limiter        Limiter
	Memory         Memory
	Bans           Bans
	Entitlements   Entitlements
	Policy         Policy
	Sessions       Sessions
	Invitations    Invitations
	InvitationBook InvitationBook
	Moderators     Moderators
	Signer         Signer
	AuditLog       AuditLog
	// IdentityPrefixes are the prefixes of all issuers, none of which a
	// subject may begin with.
	IdentityPrefixes []string
	// Issuers are whose callers may come in; nil does not ask. Those of an issuer
	// that is configured no more are known from before, and so are their guests.
	Issuers []string
	// NameFromRequest lets the request set the display name.
	NameFromRequest bool
	// Now is the clock that policies may ask; nil is the zero time.
	Now func() time.Time
}

var (
	errNobody  = errors.New("a principal without issuer or subject")
	errNoTTL   = errors.New("a decision without a positive TTL")
	errNoToken = errors.New("the signer returned an empty token")
	errNoIP    = errors.New("a request without the caller's address")
)

// Join authenticates the caller, reads what they ask for, looks up what they
// paid for, decides, signs and records: in this order, and any step that
// fails is the end of it. ask is called once, after authentication, so that
// a stranger's body is never read. Errors are *Error, of every Kind a seam or
// ask returns; anything else is to be taken as Internal.
func (d *Door) Join(ctx context.Context, credential Credential, ask func(Principal) (Request, error)) (Admission, error) {
	principal, err := d.Caller(ctx, credential)
	if err != nil {
		return Admission{}, err
	}
	request, err := ask(principal)
	if err != nil {
		return Admission{}, err
	}
	admission := Admission{}
	if principal, request, err = d.welcome(ctx, principal, request); err == nil {
		admission, err = d.admit(ctx, principal, request)
	}
	record := AuditRecord{Principal: principal, Request: request, Admission: admission, Err: err}
	if err := d.record(ctx, record); err != nil {
		return Admission{}, err
	}
	return admission, nil
}

// record keeps what was decided, and returns the decision's error or, where
// it could not be kept, another.
func (d *Door) record(ctx context.Context, r AuditRecord) error {
	if failed := d.AuditLog.Record(ctx, r); failed != nil && r.Err == nil {
		return &Error{Kind: Internal, Err: failed}
	}
	return r.Err
}

// admit decides and signs for one authenticated caller. Beside an error it
// returns on what that stands, for the record alone.
func (d *Door) admit(ctx context.Context, principal Principal, request Request) (Admission, error) {
	if _, _, err := d.present(principal, request); err != nil {
		return Admission{}, err
	}
	if request.ClientIP == "" { // rules that ask for it would not be asked
		return Admission{}, &Error{Kind: Internal, Err: errNoIP}
	}
	remembered := false
	if principal.Invitation == "" { // a guest is remembered once they are let in
		principal, remembered = d.remember(ctx, principal)
	}
	identity, name, err := d.present(principal, request) // by the newest token
	if err != nil {
		return Admission{}, err
	}
	decision, err := d.decide(ctx, Situation{Principal: principal, Room: request.Room, ClientIP: request.ClientIP}, d.entitlement)
	if err != nil {
		return decision.grounds(), err
	}
	if err := decision.allows(request); err != nil {
		return decision.grounds(), err
	}
	left, err := decision.sessionLeft(d.now())
	if err != nil {
		return decision.grounds(), err
	}
	mint := Mint{Room: request.Room, Identity: identity, Principal: principal.Key()}
	if left > 0 {
		mint.SessionEnds = d.now().Add(left)
	}
	if decision, err = d.mark(ctx, principal, decision, mint, remembered); err != nil {
		return decision.grounds(), err
	}
	if decision.allows(request) != nil { // what was allowed is not any more
		return decision.grounds(), &Error{Kind: Unavailable, Detail: "what you ask for beside the room cannot be granted now", RetryAfter: 5 * time.Second}
	}
	admission := Admission{Room: request.Room, Identity: identity, Name: name,
		Grants: decision.Grants, TTL: decision.TTL, PublishDenied: decision.PublishDenied, Rule: decision.Rule, Entitlement: decision.Entitlement,
		Moderate: decision.Moderate, Invite: decision.Invite, MaxParticipants: decision.MaxParticipants, SessionLeft: left,
		Agents: request.Agents, Metadata: request.Metadata, Attributes: request.Attributes}
	if left > 0 {
		admission.TTL = min(admission.TTL, left)
	}
	admission.Token, err = d.Signer.Sign(admission)
	if err != nil {
		return decision.grounds(), err
	}
	if admission.Token.Empty() {
		return decision.grounds(), &Error{Kind: Internal, Err: errNoToken}
	}
	return admission, nil
}

// present returns as whom the caller's participant appears. Errors:
// IdentityNotAllowed, FieldNotAllowed.
func (d *Door) present(principal Principal, request Request) (Identity, string, error) {
	own, err := principal.Identity(d.IdentityPrefixes)
	if err != nil {
		return "", "", err
	}
	identity, err := own.on(request.Device)
	if err != nil {
		return "", "", err
	}
	if identity != own && slices.Contains(append([]string{guestPrefix}, d.IdentityPrefixes...), string(own)) {
		// "staff" with the device "ann" would be the issuer staff's ann.
		return "", "", Refuse(IdentityNotAllowed, "the caller's subject is a reserved prefix, and can have no devices")
	}
	if asked := Identity(request.Identity); asked != "" && asked != own && asked != identity {
		return "", "", Refuse(IdentityNotAllowed, "the identity is derived from the caller's token; leave it out")
	}
	if request.Name == "" || principal.Invitation != "" && request.Name == principal.Name {
		return identity, principal.Name, nil
	}
	if !d.NameFromRequest {
		return "", "", Refuse(FieldNotAllowed, "the display name comes from the caller's token; leave it out")
	}
	return identity, request.Name, nil
}

// remember returns the principal to decide about, and whether what the
// decision stands on is kept.
func (d *Door) remember(ctx context.Context, principal Principal) (Principal, bool) {
	if d.Memory == nil {
		return principal, true
	}
	known, err := d.Memory.Remember(ctx, principal)
	if err != nil {
		return principal, false
	}
	return known, true
}

// mark stores the mint of a participant, with its seat, and returns what it may
// do. A mint that cannot be stored is kept in memory, and its token may only
// watch and lives two minutes. Without the database there are no seats and no
// session limits, so that a join which needs one fails. Errors:
// IdentityNotAllowed, when the identity is another principal's in that room;
// RoomFull; AlreadyInRoom; RateLimited; Unavailable.
func (d *Door) mark(ctx context.Context, principal Principal, decision Decision, mint Mint, remembered bool) (Decision, error) {
	mint.Seats, mint.SeatFor, mint.Alone = decision.MaxParticipants, decision.TTL+seatSlack, decision.RefuseSecond
	mint.Rights, mint.Expires = decision.Grants.Rights(), d.now().Add(decision.TTL)
	counted := mint.Seats > 0 || mint.Alone
	if principal.Invitation != "" {
		if err := d.Invitations.Admit(ctx, principal.Invitation, principal.Key()); err != nil {
			return decision, err
		}
		// Not before: one secret makes any number of guests, and those who are
		// refused must leave nothing behind. No token of theirs can be newer.
		_, remembered = d.remember(ctx, principal)
	}
	if d.Memory == nil && !counted {
		return decision, nil
	}
	if counted && !remembered { // what keeps a seat is worth a second try
		var known Principal
		known, remembered = d.remember(ctx, principal)
		remembered = remembered && reflect.DeepEqual(known.Claims, principal.Claims) // else it was decided on an older token's
	}
	err := error(nil)
	switch {
	case d.Memory == nil:
		err = errNoMemory
	case remembered:
		err = d.Memory.Minted(ctx, mint)
	}
	switch kind := KindOf(err); {
	case err == nil && remembered:
		return decision, nil
	case kind == IdentityNotAllowed || kind == RoomFull || kind == AlreadyInRoom || kind == RateLimited:
		return decision, err
	case counted:
		return decision, &Error{Kind: Unavailable, Detail: "seat availability is unknown; try again", RetryAfter: 5 * time.Second, Err: err}
	case decision.MaxSession > 0:
		return decision, &Error{Kind: Unavailable, Detail: "your time in this room cannot be recorded; try again", RetryAfter: 5 * time.Second, Err: err}
	}
	decision = decision.watchOnly()
	decision.TTL = min(decision.TTL, unrecordedTTL)
	mint.Rights, mint.Expires = decision.Grants.Rights(), d.now().Add(decision.TTL)
	d.Memory.MintLater(principal, mint)
	return decision, nil
}

// unrecordedTTL is the longest life of a token whose mint is not stored: it is
// in memory alone, and must not outlive an outage by much.
const unrecordedTTL = 2 * time.Minute

// now is the moment by the door's clock.
func (d *Door) now() time.Time {
	if d.Now == nil {
		return time.Time{}
	}
	return d.Now()
}
