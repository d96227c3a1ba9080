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
	"strings"
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

// New returns a log that writes to out, one line at a time. requestID finds the request's id in
// its context.
func New(out io.Writer, now func() time.Time, requestID func(context.Context) string) *Log {
	return &Log{turn: make(chan struct{}, 1), out: out, now: now, id: requestID}
}

// Entry is one line. The token itself is never in it: its hash is enough to
// find out later where a leaked token came from. What was not decided, or is
// not known, is absent; so is the caller's address, which no question about a
// decision needs, and which is in the log beside the same RequestID.
type Entry struct {
	Time      time.Time `json:"time"`
	Audit     string    `json:"audit"`
	RequestID string    `json:"requestId"`
	// Outcome is granted or the code of the refusal; of "enforce" it is granted
	// when rights were changed, and else why the participant was removed.
	Outcome string `json:"outcome"`
	// By is the operator who did it, Cause why a running call was changed.
	By    string `json:"by,omitempty"`
	Cause string `json:"cause,omitempty"`
	// Issuer and Subject are who asked; of what an operator or Stagedoor did
	// (ban, unban, forget, enforce), to whom.
	Issuer   string    `json:"issuer"`
	Subject  string    `json:"subject"`
	Room     string    `json:"room"`
	Target   string    `json:"target,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	Uses     int       `json:"uses,omitempty"`
	Publish  bool      `json:"publish,omitempty"`
	Identity string    `json:"identity,omitempty"`

	CanSubscribe bool `json:"canSubscribe"`
	CanPublish   bool `json:"canPublish"`
	// Sources are all that may be published; absent where nothing may be.
	Sources       []stagedoor.Source `json:"canPublishSources,omitempty"`
	CanData       bool               `json:"canPublishData,omitempty"`
	CanMetadata   bool               `json:"canUpdateOwnMetadata,omitempty"`
	Moderate      bool               `json:"moderate,omitempty"`
	Invite        bool               `json:"invite,omitempty"`
	PublishDenied string             `json:"publishDenied,omitempty"`
	Rule          string             `json:"rule,omitempty"`
	// Features are those that the caller held.
	Features []stagedoor.Feature `json:"features,omitempty"`
	// FactsAge is how old the oldest fact of Stripe's was, in seconds.
	FactsAge    *int64 `json:"factsAgeSeconds,omitempty"`
	TTL         int    `json:"ttl,omitempty"`
	TokenSHA256 string `json:"tokenSha256,omitempty"`
	// Cut is set when the line would have been longer than can be written at
	// once, so that features were left out and texts end in "…".
	Cut bool `json:"cut,omitempty"`
}

// maxLine is how long a line may be, in bytes: a pipe that others write to as
// well takes so much at once, and no more, without another's text in it.
//
// SPEC: pipe(7), PIPE_BUF on Linux.
const maxLine = 4096

// maxText is what is left of a text in a line that is too long, in bytes: a
// room's and an identity's longest is shorter.
const maxText = 300

// entry is the line of one decision.
func (l *Log) entry(ctx context.Context, r stagedoor.AuditRecord) Entry {
	a, now := r.Admission, l.now().UTC()
	line := Entry{
		Time: now, Audit: cmp.Or(r.Action, "join"), Target: stagedoor.Printable(r.Target), Until: r.Until.UTC(), Uses: r.Uses, Publish: r.Publish, RequestID: l.id(ctx), Outcome: "granted",
		By: stagedoor.Printable(r.By), Cause: r.Cause,
		Issuer: stagedoor.Printable(r.Principal.Issuer), Subject: stagedoor.Printable(r.Principal.Subject), Room: string(r.Request.Room),
		Identity: string(a.Identity), CanSubscribe: a.Grants.Subscribe, CanPublish: a.Grants.Publish, Sources: a.Grants.EffectiveSources(),
		CanData: a.Grants.PublishData, CanMetadata: a.Grants.UpdateOwnMetadata, Moderate: a.Moderate, Invite: a.Invite,
		PublishDenied: string(a.PublishDenied), Rule: a.Rule, Features: a.Entitlement.Features, TTL: int(a.TTL.Seconds()),
	}
	if at := a.Entitlement.ConfirmedAt; !at.IsZero() {
		age := max(0, int64(now.Sub(at).Seconds()))
		line.FactsAge = &age
	}
	if r.Err != nil {
		line.Outcome = stagedoor.KindOf(r.Err).String()
	}
	if !a.Token.Empty() {
		line.TokenSHA256 = HashOf(a.Token.Reveal())
	}
	return line
}

// HashOf is a token's SHA-256 as records have it, in hex.
func HashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// encode writes an entry as one line of maxLine bytes at most.
func encode(e Entry) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil || len(data) < maxLine {
		return append(data, '\n'), err
	}
	e.Cut, e.Features = true, nil
	for most := maxText; len(data) >= maxLine && err == nil; most /= 2 { // what JSON escapes grows
		for _, text := range []*string{&e.RequestID, &e.By, &e.Issuer, &e.Subject, &e.Room, &e.Target, &e.Identity, &e.Rule} {
			if len(*text) > most {
				*text = strings.ToValidUTF8((*text)[:most], "") + "…"
			}
		}
		data, err = json.Marshal(e)
	}
	return append(data, '\n'), err
}

// Record writes one line. Errors: whatever the writer says, a write that takes
// longer than two seconds, or ctx; then the decision must not be handed out.
func (l *Log) Record(ctx context.Context, r stagedoor.AuditRecord) error {
	data, err := encode(l.entry(ctx, r))
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
		_, err := l.out.Write(data)
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
