// Package audit keeps one record of every decision about an authenticated caller.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"sync"
	"time"

	"stagedoor"
)

// Log writes records as JSON lines. Safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	out io.Writer
	now func() time.Time
	id  func(context.Context) string
}

// New returns a log that writes to out. requestID finds the request's id in
// its context.
func New(out io.Writer, now func() time.Time, requestID func(context.Context) string) *Log {
	return &Log{out: out, now: now, id: requestID}
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
	Identity      string    `json:"identity,omitempty"`
	CanSubscribe  bool      `json:"canSubscribe"`
	CanPublish    bool      `json:"canPublish"`
	PublishDenied string    `json:"publishDenied,omitempty"`
	TTL           int       `json:"ttl,omitempty"`
	TokenSHA256   string    `json:"tokenSha256,omitempty"`
}

// Record writes one line. Errors: whatever the writer says; then the decision
// must not be handed out.
func (l *Log) Record(ctx context.Context, r stagedoor.AuditRecord) error {
	a := r.Admission
	line := entry{
		Time: l.now().UTC(), Audit: "join", RequestID: l.id(ctx), Outcome: "granted",
		Issuer: r.Principal.Issuer, Subject: r.Principal.Subject, Room: string(r.Request.Room),
		Identity: string(a.Identity), CanSubscribe: a.Grants.Subscribe, CanPublish: a.Grants.Publish,
		PublishDenied: string(a.PublishDenied), TTL: int(a.TTL.Seconds()),
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
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.out.Write(append(data, '\n'))
	return err
}
