package main

import (
	"context"
	"io"
	"log/slog"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/enforce"
)

// maxQueuedChanges bounds the audit records of running calls that wait to be written.
const maxQueuedChanges = 4096

// changeRecorder writes an audit record of every change in a running call.
// Enforcement must not wait for the audit log, so records queue here.
type changeRecorder struct {
	queue chan stagedoor.AuditRecord
	write func(context.Context, stagedoor.AuditRecord) error
	log   *slog.Logger
}

// add queues the record of one change. It never blocks.
func (c *changeRecorder) add(change enforce.Change) {
	record := stagedoor.AuditRecord{
		Principal: stagedoor.Principal{Issuer: change.Principal.Issuer, Subject: change.Principal.Subject},
		Action:    "enforce", Cause: change.Cause,
		Request:   stagedoor.Request{Room: change.Room},
		Admission: stagedoor.Admission{Identity: change.Identity},
	}
	if change.Removed {
		record.Err = stagedoor.Refuse(change.Why, "")
	} else {
		d := change.Decision
		record.Admission.Grants, record.Admission.PublishDenied = d.Grants, d.PublishDenied
		record.Admission.Rule, record.Admission.Entitlement = d.Rule, d.Entitlement
	}
	select {
	case c.queue <- record:
	default:
		c.log.Error("audit record dropped: the audit log is too slow", "action", record.Action, "room", change.Room, "identity", change.Identity)
	}
}

// run writes what is queued until the queue is closed. Once ctx has ended it
// also gives up at the first failure, so that a stuck log delays no shutdown.
func (c *changeRecorder) run(ctx context.Context) {
	for record := range c.queue {
		if c.write(context.WithoutCancel(ctx), record) != nil && ctx.Err() != nil {
			return
		}
	}
}

// audit writes one audit record, and logs it when it could not be written.
func (h *house) audit(ctx context.Context, r stagedoor.AuditRecord) error {
	err := h.door.AuditLog.Record(ctx, r)
	if err != nil {
		h.log.Error("audit record not written", "action", r.Action, "target", r.Target, "issuer", r.Principal.Issuer,
			"subject", r.Principal.Subject, "room", r.Request.Room, "by", r.By, "err", err)
	}
	return err
}

// directRecords is where a command writes audit records when no server runs:
// the file that AUDIT_LOG names, opened by the first record, or standard error.
func directRecords(cfg *config.Config, a *app, log *slog.Logger) (writer io.Writer, closeRecords func()) {
	if cfg.AuditLog == auditToStdout {
		return a.err, func() {}
	}
	r := &lazyRecords{open: func() (records, error) { return openRecords(cfg, a.out, a.now, log) }}
	return r, func() {
		if r.opened.close != nil {
			r.opened.close()
		}
	}
}

// lazyRecords opens the audit log when the first record is written.
type lazyRecords struct {
	open   func() (records, error)
	opened records
}

// Write writes one record.
func (l *lazyRecords) Write(p []byte) (int, error) {
	if l.opened.Writer == nil {
		opened, err := l.open()
		if err != nil {
			return 0, err
		}
		l.opened = opened
	}
	return l.opened.Write(p)
}
