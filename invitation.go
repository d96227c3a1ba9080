package stagedoor

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"
)

// GuestIssuer is the issuer of principals who come in by invitation. No
// configured issuer may have this name.
const GuestIssuer = "stagedoor:guest"

// InvitationPrefix begins every invitation's secret, which is its guests' credential.
const InvitationPrefix = "invite_"

// Invitation lets guests into one room in the name of the principal who made
// it. The zero value lets nobody in.
type Invitation struct {
	// ID names it; it is no secret.
	ID string
	// By is who made it: what its guests may do follows what that principal may.
	By   PrincipalKey
	Room Room
	// Name is its guests' display name; empty: they choose one.
	Name string
	// Publish lets its guests publish as long as its maker may.
	Publish bool
	// Uses is how many guests it lets in, Used how many have come.
	Uses, Used int
	// Expires is from when on it lets nobody in any more. Who is in the room stays.
	Expires   time.Time
	CreatedAt time.Time
	// RevokedAt is when it was taken back; zero: it was not.
	RevokedAt time.Time
}

// Invitations knows who invited whom.
type Invitations interface {
	// Invitation returns an invitation that was not revoked, and its maker as
	// last remembered. Errors: RoomForbidden, when there is none such.
	Invitation(ctx context.Context, id string) (Invitation, Principal, error)
	// Admit spends a use for a guest, once for the same one. Errors:
	// RoomForbidden when no use is left, Banned when another guest of it is
	// kept out, since who is put out must not come back under another name.
	Admit(ctx context.Context, id string, guest PrincipalKey) error
}

// InvitationBook keeps invitations.
type InvitationBook interface {
	// Add keeps an invitation, gives it its ID and times, and returns the secret
	// that lets its guests in. Errors: RateLimited, when its maker has too many.
	Add(ctx context.Context, invitation Invitation) (Invitation, Secret, error)
	// Revoke takes an invitation back and has its guests put out. Errors:
	// NotFound, when it is not that principal's.
	Revoke(ctx context.Context, by PrincipalKey, id string) error
}

var (
	errNoInvitations = errors.New("there is nothing that keeps invitations")
	errSeparated     = errors.New("the invitation is for another room")
)

// guest is the principal of one guest. The id is known to the guest's page
// alone: what others see of it in the room does not let them be that guest.
func (v Invitation) guest(id string) Principal {
	sum := sha256.Sum256([]byte(v.ID + "." + id))
	handle := base64.RawURLEncoding.EncodeToString(sum[:16])
	return Principal{Issuer: GuestIssuer, Subject: v.ID + "." + handle, Handle: handle, IdentityPrefix: guestPrefix, Name: v.Name, Invitation: v.ID}
}

// narrow is what a guest may do where the maker of the invitation may do d:
// watch, and publish if the invitation says so and the maker may publish and
// invite there now.
func (v Invitation) narrow(d Decision) Decision {
	grants := Grants{Subscribe: d.Grants.Subscribe}
	if v.Publish && d.Invite && d.Grants.Publish {
		grants.Publish, grants.PublishData, grants.Sources = true, d.Grants.PublishData, d.Grants.Sources
	} else if !v.Publish || d.PublishDenied == "" {
		d.PublishDenied = DeniedByPolicy
	}
	d.Grants, d.SessionEnds = grants, time.Time{}
	d.Moderate, d.Invite, d.Agents, d.Metadata, d.Attributes, d.ManyDevices = false, false, nil, false, nil, false
	return d
}

// welcome makes one guest of the holder of an invitation, and has everybody
// name a room. Errors: RoomRequired, InvalidRequest, FieldNotAllowed,
// RoomForbidden.
func (d *Door) welcome(ctx context.Context, principal Principal, request Request) (Principal, Request, error) {
	if principal.Invitation == "" {
		switch {
		case request.Guest != "":
			return principal, request, Refuse(FieldNotAllowed, "guest is for those who come by invitation; leave it out")
		case request.Room == "":
			return principal, request, Refuse(RoomRequired, "name the room")
		}
		return principal, request, nil
	}
	switch {
	case d.Invitations == nil:
		return principal, request, &Error{Kind: Internal, Err: errNoInvitations}
	case request.Guest == "":
		return principal, request, Refuse(InvalidRequest, "send guest: a random id of 16 to 64 letters, digits, - and _ that the guest's page keeps")
	case request.Device != "":
		return principal, request, Refuse(FieldNotAllowed, "a guest has no device; leave it out")
	}
	invitation, _, err := d.Invitations.Invitation(ctx, principal.Invitation)
	if err != nil {
		return principal, request, err
	}
	guest := invitation.guest(request.Guest)
	if request.Room == "" {
		request.Room = invitation.Room
	}
	if request.Room != invitation.Room {
		return guest, request, Refuse(RoomForbidden, "the invitation is for another room")
	}
	if invitation.Name != "" && request.Name != "" && request.Name != invitation.Name {
		return guest, request, Refuse(FieldNotAllowed, "the invitation names its guest; leave the name out")
	}
	return guest, request, nil
}

// byInvitation decides about a guest by what the invitation's maker may do in
// the room now. Errors: Banned, RoomForbidden.
func (d *Door) byInvitation(ctx context.Context, s Situation, find lookup) (Decision, error) {
	if d.Invitations == nil {
		return Decision{}, &Error{Kind: Internal, Err: errNoInvitations}
	}
	if err := d.checkBans(s.Principal, s.Room); err != nil {
		return Decision{}, err
	}
	invitation, maker, err := d.Invitations.Invitation(ctx, s.Principal.Invitation)
	if err != nil {
		return Decision{}, err
	}
	if invitation.Room != s.Room {
		return Decision{}, &Error{Kind: RoomForbidden, Detail: "the invitation is for another room", Err: errSeparated}
	}
	s.Principal = maker
	decision, err := d.byRules(ctx, s, find)
	if err == nil { // who has no time left there has none to give
		decision, err = d.timed(ctx, s, decision)
	}
	if kind := KindOf(err); err != nil && (kind == Banned || kind == RoomForbidden || kind == SessionOver) {
		return Decision{}, &Error{Kind: RoomForbidden, Detail: "the invitation does not let anybody in any more", Err: err}
	}
	if err != nil {
		return Decision{}, err
	}
	return invitation.narrow(decision), nil
}

// Invite has an authenticated caller invite guests, and returns the
// invitation and the secret that lets them in. ask is called once, after
// authentication. Errors: those of Join, RoomForbidden when the caller may not
// invite there, FieldNotAllowed when they may not let others publish.
func (d *Door) Invite(ctx context.Context, credential Credential, clientIP string, ask func(Principal) (Invitation, error)) (Invitation, Secret, error) {
	principal, err := d.Caller(ctx, credential)
	if err != nil {
		return Invitation{}, Secret{}, err
	}
	invitation, err := ask(principal)
	if err != nil {
		return Invitation{}, Secret{}, err
	}
	invitation.By = principal.Key()
	made, secret, grounds, err := d.invite(ctx, principal, clientIP, invitation)
	record := AuditRecord{Principal: principal, Action: "invite", Target: made.ID, Until: invitation.Expires, Uses: invitation.Uses, Publish: invitation.Publish, Admission: grounds,
		Request: Request{Room: invitation.Room, ClientIP: clientIP}, Err: err}
	if failed := d.record(ctx, record); failed != nil {
		if err == nil { // what is not recorded is not in force
			err = d.InvitationBook.Revoke(context.WithoutCancel(ctx), principal.Key(), made.ID)
		}
		return Invitation{}, Secret{}, errors.Join(failed, err)
	}
	return made, secret, nil
}

func (d *Door) invite(ctx context.Context, principal Principal, clientIP string, v Invitation) (Invitation, Secret, Admission, error) {
	decision, err := d.decideFor(ctx, principal, v.Room, clientIP)
	switch {
	case err != nil:
		return Invitation{}, Secret{}, decision.grounds(), err
	case !decision.Invite:
		return Invitation{}, Secret{}, decision.grounds(), Refuse(RoomForbidden, "you may not invite guests to this room")
	case v.Publish && !decision.Grants.Publish:
		return Invitation{}, Secret{}, decision.grounds(), Refuse(FieldNotAllowed, "you may not publish in this room, and cannot let guests publish there")
	case d.InvitationBook == nil:
		return Invitation{}, Secret{}, decision.grounds(), &Error{Kind: Internal, Err: errNoInvitations}
	}
	made, secret, err := d.InvitationBook.Add(ctx, v)
	return made, secret, decision.grounds(), err
}

// Revoke takes back one of the caller's invitations. ask is called once, after
// authentication, and names it. Errors: those of authentication, NotFound.
func (d *Door) Revoke(ctx context.Context, credential Credential, ask func(Principal) string) error {
	principal, err := d.Caller(ctx, credential)
	if err != nil {
		return err
	}
	id := ask(principal)
	if d.InvitationBook == nil {
		return &Error{Kind: Internal, Err: errNoInvitations}
	}
	err = d.InvitationBook.Revoke(ctx, principal.Key(), id)
	return d.record(ctx, AuditRecord{Principal: principal, Action: "revoke", Target: id, Err: err})
}

// decideFor decides about a caller with a token of their own who asks for
// something else than to join. Errors: those of Join.
func (d *Door) decideFor(ctx context.Context, principal Principal, room Room, clientIP string) (Decision, error) {
	if principal.Invitation != "" {
		return Decision{}, Refuse(RoomForbidden, "a guest may only join")
	}
	if clientIP == "" {
		return Decision{}, &Error{Kind: Internal, Err: errNoIP}
	}
	if _, err := principal.Identity(d.IdentityPrefixes); err != nil {
		return Decision{}, err
	}
	principal, remembered := d.remember(ctx, principal)
	if !remembered {
		return Decision{}, &Error{Kind: Unavailable, Detail: "this cannot be decided now", RetryAfter: 5 * time.Second}
	}
	return d.decide(ctx, Situation{Principal: principal, Room: room, ClientIP: clientIP}, d.entitlement)
}
