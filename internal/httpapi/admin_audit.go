package httpapi

import (
	"context"
	"net/http"

	"stagedoor"
)

// operatorHeader names the operator who acts. Whoever holds the admin token
// may send any name: it is recorded, not proved.
const operatorHeader = "X-Operator"

// maxOperator bounds an operator's name, in bytes.
const maxOperator = 64

// The names of operators who send none: holders of ADMIN_TOKEN or
// ADMIN_TOKEN_PREVIOUS, and, where no token is set, whoever is on this machine.
const (
	tokenOperator = "admin"
	localOperator = "local"
)

// operator returns who acts, for the audit log. Errors: InvalidRequest.
func (m *Admin) operator(r *http.Request) (string, error) {
	names := r.Header.Values(operatorHeader)
	switch {
	case len(names) == 0 && m.Token.Empty():
		return localOperator, nil
	case len(names) == 0:
		return tokenOperator, nil
	case len(names) > 1 || len(names[0]) > maxOperator || stagedoor.CheckText(names[0]) != nil:
		return "", stagedoor.Refuse(stagedoor.InvalidRequest, operatorHeader+" must be one name of 1 to 64 bytes")
	}
	return names[0], nil
}

// record writes an audit record; without an Audit function there is no log.
func (m *Admin) record(ctx context.Context, r stagedoor.AuditRecord) error {
	if m.Audit == nil {
		return nil
	}
	if err := m.Audit(ctx, r); err != nil {
		return &stagedoor.Error{Kind: stagedoor.Internal, Err: err}
	}
	return nil
}

// recorded writes the record, then acts, and writes a second record with the
// error when that fails. It is for what gives somebody a right back or deletes
// data: without a record it does not happen.
func (m *Admin) recorded(ctx context.Context, r stagedoor.AuditRecord, act func() error) error {
	if err := m.record(ctx, r); err != nil {
		return err
	}
	if r.Err = act(); r.Err != nil {
		_ = m.record(context.WithoutCancel(ctx), r) // the first record says what was tried
	}
	return r.Err
}

// ban acts first: removing somebody must not depend on the audit log. A record
// that could not be written is logged and counted, and the ban stays.
func (m *Admin) ban(ctx context.Context, by string, ban stagedoor.Ban) (stagedoor.Ban, error) {
	set, err := m.Bans.Add(ctx, ban)
	_ = m.record(context.WithoutCancel(ctx), stagedoor.AuditRecord{
		Principal: principalOf(ban.Principal), Action: "ban", By: by, Target: set.ID, Until: ban.Until,
		Request: stagedoor.Request{Room: ban.Room}, Err: err,
	})
	return set, err
}

// unban lifts a ban; false when there is none of that ID.
func (m *Admin) unban(ctx context.Context, by, id string) (ban stagedoor.Ban, ok bool, err error) {
	record := stagedoor.AuditRecord{Action: "unban", By: by, Target: id}
	for _, b := range m.Bans.List(stagedoor.PrincipalKey{}) {
		if b.ID == id {
			record.Principal, record.Request.Room, record.Until = principalOf(b.Principal), b.Room, b.Until
		}
	}
	err = m.recorded(ctx, record, func() error {
		if ban, ok, err = m.Bans.Remove(ctx, id); err == nil && !ok {
			return stagedoor.Refuse(stagedoor.NotFound, "there is no such ban")
		}
		return err
	})
	if stagedoor.KindOf(err) == stagedoor.NotFound {
		err = nil
	}
	return ban, ok, err
}

// principalOf is a principal of whom no more than the key is known.
func principalOf(key stagedoor.PrincipalKey) stagedoor.Principal {
	return stagedoor.Principal{Issuer: key.Issuer, Subject: key.Subject}
}
