package main

import (
	"context"
	"time"

	"stagedoor"
)

// joinKey marks the context of a request for a token: only its stages are
// those of a join.
type joinKey struct{}

// stages stands between the door and its parts, to tell how long each takes.
func (o *observers) stages(d *stagedoor.Door) {
	d.Authenticator = timedAuthenticator{d.Authenticator, o}
	if d.Entitlements != nil {
		d.Entitlements = timedEntitlements{d.Entitlements, o}
	}
	if d.Memory != nil {
		d.Memory = timedMemory{d.Memory, o}
	}
	d.Policy, d.Signer, d.AuditLog = timedPolicy{d.Policy, o}, timedSigner{d.Signer, o}, timedAudit{d.AuditLog, o}
}

// stage begins one stage; end takes its error. Times are the machine's, which
// no clock that is set can turn back.
func (o *observers) stage(ctx context.Context, name string) (_ context.Context, end func(error)) {
	began := time.Now()
	ctx, over := o.traces.Stage(ctx, name)
	return ctx, func(err error) {
		if ctx.Value(joinKey{}) != nil {
			o.metrics.Stage(name, time.Since(began))
		}
		code := ""
		if err != nil {
			code = stagedoor.KindOf(err).String()
		}
		over(code)
	}
}

type timedAuthenticator struct {
	stagedoor.Authenticator
	o *observers
}

// Authenticate is the authenticator's, timed.
func (t timedAuthenticator) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	ctx, end := t.o.stage(ctx, "authenticate")
	p, err := t.Authenticator.Authenticate(ctx, c)
	end(err)
	return p, err
}

type timedEntitlements struct {
	stagedoor.Entitlements
	o *observers
}

// Entitlement is the entitlements', timed.
func (t timedEntitlements) Entitlement(ctx context.Context, p stagedoor.Principal) (stagedoor.Entitlement, error) {
	ctx, end := t.o.stage(ctx, "look_up")
	e, err := t.Entitlements.Entitlement(ctx, p)
	end(err)
	return e, err
}

type timedMemory struct {
	stagedoor.Memory
	o *observers
}

// Remember is the memory's, timed.
func (t timedMemory) Remember(ctx context.Context, p stagedoor.Principal) (stagedoor.Principal, error) {
	ctx, end := t.o.stage(ctx, "remember")
	known, err := t.Memory.Remember(ctx, p)
	end(err)
	return known, err
}

// Minted is the memory's, timed.
func (t timedMemory) Minted(ctx context.Context, m stagedoor.Mint) error {
	ctx, end := t.o.stage(ctx, "mark")
	err := t.Memory.Minted(ctx, m)
	end(err)
	return err
}

// timedPolicy counts its time without a span: deciding waits for nothing, and
// so knows no context.
type timedPolicy struct {
	stagedoor.Policy
	o *observers
}

// Decide is the policy's, timed.
func (t timedPolicy) Decide(s stagedoor.Situation) (stagedoor.Decision, error) {
	began := time.Now()
	d, err := t.Policy.Decide(s)
	t.o.metrics.Stage("decide", time.Since(began))
	return d, err
}

// timedSigner counts its time without a span, as timedPolicy does.
type timedSigner struct {
	stagedoor.Signer
	o *observers
}

// Sign is the signer's, timed.
func (t timedSigner) Sign(a stagedoor.Admission) (stagedoor.Token, error) {
	began := time.Now()
	token, err := t.Signer.Sign(a)
	t.o.metrics.Stage("sign", time.Since(began))
	return token, err
}

type timedAudit struct {
	stagedoor.AuditLog
	o *observers
}

// Record is the audit log's, timed and counted.
func (t timedAudit) Record(ctx context.Context, r stagedoor.AuditRecord) error {
	ctx, end := t.o.stage(ctx, "audit")
	err := t.AuditLog.Record(ctx, r)
	end(err)
	t.o.metrics.Audited(err)
	return err
}
