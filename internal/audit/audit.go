// Package audit keeps one record of every decision about an authenticated caller.
package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"time"

	"stagedoor"
)

// patience is how long a record may take to be written. Who reads the log may
// have stopped reading; then nobody is let in, but nobody is kept waiting.
const patience = 2 * time.Second

var errStuck = errors.New("the audit log takes no record")

// Log writes records as JSON lines. Safe for concurrent use.
type Log struct {
	turn chan struct{} // holds one token while a record is written
	out  io.Writer
	now  func() time.Time
	id   func(context.Context) string
}

// New returns a log that writes to out. requestID finds the request's id in
// its context.
func New(out io.Writer, now func() time.Time, requestID func(context.Context) string) *Log {
	return &Log{turn: make(chan struct{}, 1), out: out, now: now, id: requestID}
}

// entry is one line. The token itself is never in it: its hash is enough to
// find out later where a leaked token came from.
type entry struct {
	Time          time.Time `json:"time"`
	Audit         string    `json:"audit"`
	RequestID     string    `json:"requestId"`
	Outcome       string    `json:"outcome"`
	Issuer        string    `json:"issuer"`
	Subject       string    `json:"subject"`
	Room          string    `json:"room"`
	Target        string    `json:"target,omitempty"`
	Until         time.Time `json:"until,omitzero"`
	Uses          int       `json:"uses,omitempty"`
	Publish       bool      `json:"publish,omitempty"`
	Identity      string    `json:"identity,omitempty"`
	CanSubscribe  bool      `json:"canSubscribe"`
	CanPublish    bool      `json:"canPublish"`
	PublishDenied string    `json:"publishDenied,omitempty"`
	Rule          string    `json:"rule,omitempty"`
	TTL           int       `json:"ttl,omitempty"`
	TokenSHA256   string    `json:"tokenSha256,omitempty"`
}

// Record writes one line. Errors: whatever the writer says, a write that takes
// longer than two seconds, or ctx; then the decision must not be handed out.
func (l *Log) Record(ctx context.Context, r stagedoor.AuditRecord) error {
	a := r.Admission
	line := entry{
		Time: l.now().UTC(), Audit: cmp.Or(r.Action, "join"), Target: stagedoor.Printable(r.Target), Until: r.Until.UTC(), Uses: r.Uses, Publish: r.Publish, RequestID: l.id(ctx), Outcome: "granted",
		Issuer: stagedoor.Printable(r.Principal.Issuer), Subject: stagedoor.Printable(r.Principal.Subject), Room: string(r.Request.Room),
		Identity: string(a.Identity), CanSubscribe: a.Grants.Subscribe, CanPublish: a.Grants.Publish,
		PublishDenied: string(a.PublishDenied), Rule: a.Rule, TTL: int(a.TTL.Seconds()),
	}
	if r.Err != nil {
		line.Outcome = stagedoor.KindOf(r.Err).String()
	}
	if !a.Token.Empty() {
		sum := sha256.Sum256([]byte(a.Token.Reveal()))
		line.TokenSHA256 = hex.EncodeToString(sum[:])
	}
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case l.turn <- struct{}{}:
	case <-timer.C:
		return errStuck
	case <-ctx.Done():
		return ctx.Err()
	}
	written := make(chan error, 1)
	go func() {
		_, err := l.out.Write(append(data, '\n'))
		<-l.turn
		written <- err
	}()
	select {
	case err := <-written:
		return err
	case <-timer.C:
		return errStuck
	}
}
