// Package stagedoor holds the words of the door in front of LiveKit and the
// one sentence they form: Door.Join. It is the ground floor of the house: only
// the standard library, no I/O and no clock. ARCHITECTURE.md has the map.
package stagedoor

import (
	"context"
	"errors"
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
	// Minted marks a participant as the door's own, before its token leaves.
	// Errors: IdentityNotAllowed, when it is another principal's; any other
	// means that it could not be marked.
	Minted(ctx context.Context, mint Mint) error
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
	Room Room
	// Name is the display name asked for; empty means the issuer's.
	Name string
	// Identity is the identity asked for; empty means the caller's own, and
	// any other than that is refused.
	Identity string
	// ClientIP is the caller's address.
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
	// Agents, Metadata and Attributes are what the policy let the caller ask for.
	Agents     []Agent
	Metadata   string
	Attributes map[string]string
	Token      Token
}

// AuditRecord is one decision. Err is nil when Admission was handed out.
type AuditRecord struct {
	Principal Principal
	Request   Request
	Admission Admission
	Err       error
}

// Door joins the seams. Every field must be set but for Entitlements, which
// entitles nobody when nil, Bans, which bans nobody, and Memory, without which
// nothing can be changed once the token has left. Safe for concurrent use when
// its parts are.
type Door struct {
	Authenticator Authenticator
	Memory        Memory
	Bans          Bans
	Entitlements  Entitlements
	Policy        Policy
	Signer        Signer
	AuditLog      AuditLog
	// IdentityPrefixes are the prefixes of all issuers, none of which a
	// subject may begin with.
	IdentityPrefixes []string
	// NameFromRequest lets the request set the display name.
	NameFromRequest bool
	// Now is the clock that policies may ask; nil is the zero time.
	Now func() time.Time
}

var (
	errNobody  = errors.New("a principal without issuer or subject")
	errNoTTL   = errors.New("a decision without a positive TTL")
	errNoToken = errors.New("the signer returned an empty token")
)

// Join authenticates the caller, reads what they ask for, looks up what they
// paid for, decides, signs and records: in this order, and any step that
// fails is the end of it. ask is called once, after authentication, so that
// a stranger's body is never read. Errors are *Error, of every Kind a seam or
// ask returns; anything else is to be taken as Internal.
func (d *Door) Join(ctx context.Context, credential Credential, ask func(Principal) (Request, error)) (Admission, error) {
	principal, err := d.Authenticator.Authenticate(ctx, credential)
	if err != nil {
		return Admission{}, err
	}
	request, err := ask(principal)
	if err != nil {
		return Admission{}, err
	}
	admission, err := d.admit(ctx, principal, request)
	record := AuditRecord{Principal: principal, Request: request, Admission: admission, Err: err}
	if failed := d.AuditLog.Record(ctx, record); failed != nil && err == nil {
		return Admission{}, &Error{Kind: Internal, Err: failed}
	}
	if err != nil {
		return Admission{}, err
	}
	return admission, nil
}

// admit decides and signs for one authenticated caller.
func (d *Door) admit(ctx context.Context, principal Principal, request Request) (Admission, error) {
	identity, err := principal.Identity(d.IdentityPrefixes)
	if err != nil {
		return Admission{}, err
	}
	if request.Identity != "" && request.Identity != string(identity) {
		return Admission{}, Refuse(IdentityNotAllowed, "the identity is derived from the caller's token; leave it out")
	}
	name := principal.Name
	if request.Name != "" {
		if !d.NameFromRequest {
			return Admission{}, Refuse(FieldNotAllowed, "the display name comes from the caller's token; leave it out")
		}
		name = request.Name
	}
	principal, remembered := d.remember(ctx, principal)
	decision, err := d.decide(ctx, Situation{Principal: principal, Room: request.Room, ClientIP: request.ClientIP}, d.entitlement)
	if err != nil {
		return Admission{}, err
	}
	if err := decision.allows(request); err != nil {
		return Admission{}, err
	}
	minted, err := d.minted(ctx, Mint{Room: request.Room, Identity: identity, Principal: principal.Key()}, remembered)
	if err != nil {
		return Admission{}, err
	}
	if !minted {
		decision = decision.watchOnly()
	}
	admission := Admission{Room: request.Room, Identity: identity, Name: name,
		Grants: decision.Grants, TTL: decision.TTL, PublishDenied: decision.PublishDenied, Rule: decision.Rule,
		Agents: request.Agents, Metadata: request.Metadata, Attributes: request.Attributes}
	admission.Token, err = d.Signer.Sign(admission)
	if err != nil {
		return Admission{}, err
	}
	if admission.Token.Empty() {
		return Admission{}, &Error{Kind: Internal, Err: errNoToken}
	}
	return admission, nil
}

// Decide says what a principal may do in a room now, as a join would: for
// those who are in the room already. Errors: Banned, RoomForbidden, and
// whatever kept the facts from being known, on which nothing is to be changed.
func (d *Door) Decide(ctx context.Context, principal Principal, room Room) (Decision, error) {
	lookup := func(context.Context, Principal) (Entitlement, error) { return Entitlement{}, nil }
	if d.Entitlements != nil {
		lookup = d.Entitlements.Entitlement
	}
	return d.decide(ctx, Situation{Principal: principal, Room: room}, lookup)
}

// decide asks bans, then what was paid for, then the policy: for a join and
// mid-call alike.
func (d *Door) decide(ctx context.Context, s Situation, lookup func(context.Context, Principal) (Entitlement, error)) (Decision, error) {
	if d.Bans != nil {
		if err := d.Bans.Check(s.Principal, s.Room); err != nil {
			return Decision{}, err
		}
	}
	var err error
	if s.Entitlement, err = lookup(ctx, s.Principal); err != nil {
		return Decision{}, err
	}
	if d.Now != nil {
		s.Now = d.Now()
	}
	decision, err := d.Policy.Decide(s)
	if err != nil {
		return Decision{}, err
	}
	if decision.TTL <= 0 {
		return Decision{}, &Error{Kind: Internal, Err: errNoTTL}
	}
	if until := s.Entitlement.Until; decision.Until.IsZero() || (!until.IsZero() && until.Before(decision.Until)) {
		decision.Until = until
	}
	return decision, nil
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

// minted reports whether the participant is marked as the door's own. One who
// is not could never lose a right again, and is to get none but watching.
// Errors: IdentityNotAllowed, when the identity is another principal's there.
func (d *Door) minted(ctx context.Context, mint Mint, remembered bool) (bool, error) {
	if d.Memory == nil || !remembered {
		return remembered, nil
	}
	err := d.Memory.Minted(ctx, mint)
	if KindOf(err) == IdentityNotAllowed {
		return false, err
	}
	return err == nil, nil
}

// entitlement looks up what was paid for; whatever goes wrong entitles to nothing.
func (d *Door) entitlement(ctx context.Context, principal Principal) (Entitlement, error) {
	if d.Entitlements == nil {
		return Entitlement{}, nil
	}
	entitlement, err := d.Entitlements.Entitlement(ctx, principal)
	if err != nil {
		return Entitlement{Withheld: BillingUnavailable}, nil
	}
	return entitlement, nil
}
