package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"stagedoor"
	"stagedoor/internal/authn"
	"stagedoor/internal/billing"
	"stagedoor/internal/config"
	"stagedoor/internal/enforce"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/livekit"
	"stagedoor/internal/policy"
	"stagedoor/internal/store"
)

// issuers are the configured issuers of callers' tokens.
type issuers struct {
	names    []string
	prefixes []string
}

// issuersOf names the issuers, after any of the program's own.
func issuersOf(all []authn.Issuer, own ...string) issuers {
	list := issuers{names: own}
	for _, i := range all {
		list.names = append(list.names, cmp.Or(i.ID, authn.SharedSecretIssuer))
		if i.IdentityPrefix != "" {
			list.prefixes = append(list.prefixes, i.IdentityPrefix)
		}
	}
	return list
}

// desk is where operators ask. billing, enforcer and rooms may be nil.
type desk struct {
	store    *store.Store
	bans     *enforce.Bans
	billing  *billing.Billing
	enforcer *enforce.Enforcer
	rooms    *livekit.RoomService
	decide   func(context.Context, stagedoor.Principal, stagedoor.Room) (stagedoor.Decision, error)
	// ending is over when the process is told to end; what takes long ends then too.
	ending  context.Context
	issuers issuers
	rules   *policy.Source
	audit   func(context.Context, stagedoor.AuditRecord) error
	now     func() time.Time
}

// newAdmin builds the operators' API.
func newAdmin(cfg *config.Config, d desk) *httpapi.Admin {
	m := &httpapi.Admin{Token: cfg.AdminToken, TokenPrevious: cfg.AdminTokenPrevious, Bans: d.bans, Audit: d.audit, Now: d.now, Find: d.find, HasTokens: d.hasTokens, Explain: d.explain, Forget: d.forget, Live: d.live, Profiles: httpapi.Profiles()}
	if d.billing != nil {
		m.Billing = func(ctx context.Context) (any, error) { return d.billing.Status(ctx) }
		m.Sync = func(ctx context.Context, progress func(string, int)) (any, error) { return d.sync(ctx, progress) }
	}
	return m
}

// find returns the one principal that a name stands for. Who was never here
// is taken for a subject of the only issuer. Errors: InvalidRequest.
func (d desk) find(ctx context.Context, user, issuer string) (stagedoor.PrincipalKey, error) {
	if issuer != "" {
		// Who can choose their handle must not be able to hide behind another's subject.
		if p, ok, err := d.store.Principal(ctx, stagedoor.PrincipalKey{Issuer: issuer, Subject: user}); err != nil || ok {
			return p.Key(), err
		}
	}
	known, err := d.store.FindPrincipals(ctx, user, 100)
	if err != nil {
		return stagedoor.PrincipalKey{}, err
	}
	known = slices.DeleteFunc(known, func(p stagedoor.Principal) bool { return issuer != "" && p.Issuer != issuer })
	exact := slices.DeleteFunc(slices.Clone(known), func(p stagedoor.Principal) bool { return p.Subject != user })
	if len(exact) == 1 {
		known = exact
	}
	switch {
	case len(known) == 1:
		return known[0].Key(), nil
	case len(known) > 1:
		return stagedoor.PrincipalKey{}, stagedoor.Refuse(stagedoor.InvalidRequest, "more than one person goes by that name: name the issuer too, and the subject of their token")
	case issuer != "" && !slices.Contains(d.issuers.names, issuer):
		return stagedoor.PrincipalKey{}, stagedoor.Refuse(stagedoor.InvalidRequest, "no issuer of that name is configured")
	case issuer != "":
		return stagedoor.PrincipalKey{Issuer: issuer, Subject: user}, nil
	case len(d.issuers.names) == 1:
		return stagedoor.PrincipalKey{Issuer: d.issuers.names[0], Subject: user}, nil
	}
	return stagedoor.PrincipalKey{}, stagedoor.Refuse(stagedoor.InvalidRequest, "nobody of that name was here yet, and there are several issuers: name the issuer too")
}

// hasTokens reports whether a principal has a token that can still be used.
func (d desk) hasTokens(ctx context.Context, key stagedoor.PrincipalKey) (bool, error) {
	now := d.now()
	mints, err := d.store.MintsOf(ctx, key, now.Add(-mintsKept), 1000)
	return slices.ContainsFunc(mints, func(m stagedoor.Mint) bool { return m.Expires.After(now) }), err
}

// mostRewritten is the largest database that is written anew while the door
// runs, in bytes: joins are held up meanwhile. Measured: docs/adr/0010-forgetting.md.
const mostRewritten = 16 << 20

// forget deletes what is kept of somebody. Who came by their invitations is
// let in no more, and put out.
func (d desk) forget(ctx context.Context, e stagedoor.Erasure) (stagedoor.Erased, error) {
	most := int64(mostRewritten)
	if d.enforcer == nil { // no door runs
		most = math.MaxInt64
	}
	erased, guests, err := d.store.Forget(ctx, e, mintsKept, most)
	if len(guests) > 0 && d.enforcer != nil { // done even where the answer is an error
		d.enforcer.Recheck(context.WithoutCancel(ctx), "invitation", guests)
	}
	return erased, err
}

// liveParticipant is one line of what /api/live shows.
type liveParticipant struct {
	Room     stagedoor.Room     `json:"room"`
	Identity stagedoor.Identity `json:"identity"`
	SID      string             `json:"sid"`
	JoinedAt time.Time          `json:"joinedAt"`
	// Ours is false for participants whose token another service handed out:
	// they are shown and never changed.
	Ours    bool   `json:"ours"`
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// live lists who is in which room.
func (d desk) live(ctx context.Context) (any, error) {
	present, err := d.store.Present(ctx)
	if err != nil {
		return nil, err
	}
	shown := make([]liveParticipant, 0, len(present))
	for _, p := range present {
		line := liveParticipant{Room: p.Room, Identity: p.Identity, SID: p.SID, JoinedAt: p.JoinedAt.UTC()}
		mint, ours, err := d.store.Mint(ctx, p.Room, p.Identity.Minted())
		if err != nil {
			return nil, err
		}
		if line.Ours = ours && p.Standard; line.Ours {
			line.Issuer, line.Subject = mint.Principal.Issuer, mint.Principal.Subject
		}
		shown = append(shown, line)
	}
	return map[string][]liveParticipant{"participants": shown}, nil
}

// syncPatience is how long a comparison waits for what it found to be asked for.
const syncPatience = 10 * time.Minute

// syncSummary is what a comparison found and what became of it.
type syncSummary struct {
	billing.Summary
	// Left is how many changes Stripe has not been asked about yet.
	Left int `json:"left"`
}

// sync compares with Stripe and waits until what differed has been asked for.
func (d desk) sync(ctx context.Context, progress func(string, int)) (syncSummary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.ending, cancel)()
	found, err := d.billing.Sync(ctx, progress)
	summary := syncSummary{Summary: found}
	if err != nil {
		return summary, err
	}
	for deadline := d.now().Add(syncPatience); ; {
		status, err := d.billing.Status(ctx)
		if err != nil {
			return summary, err
		}
		if summary.Left = status.Pending; summary.Left == 0 || d.now().After(deadline) {
			return summary, nil
		}
		progress("changes left to ask about", summary.Left)
		select {
		case <-ctx.Done():
			return summary, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// explain says step by step why somebody may or may not come in or publish.
func (d desk) explain(ctx context.Context, user, issuer string, room stagedoor.Room) (stagedoor.Explanation, error) {
	out := stagedoor.Explanation{User: user, Room: room}
	key, err := d.find(ctx, user, issuer)
	if err != nil {
		return out, err
	}
	principal, known, err := d.store.Principal(ctx, key)
	if err != nil {
		return out, err
	}
	add := func(name string, mark stagedoor.Mark, format string, args ...any) {
		out.Steps = append(out.Steps, stagedoor.Step{Name: name, Mark: mark, Text: fmt.Sprintf(format, args...)})
	}
	if !known {
		principal = stagedoor.Principal{Issuer: key.Issuer, Subject: key.Subject, Handle: key.Subject}
		add("caller", stagedoor.Remark, "%s of %s has not been here yet: no token of theirs has been seen", stagedoor.Printable(key.Subject), stagedoor.Printable(key.Issuer))
	} else {
		add("issuer", stagedoor.Good, "%s, subject %s", stagedoor.Printable(key.Issuer), stagedoor.Printable(key.Subject))
	}
	if identity, err := principal.Identity(nil); err == nil {
		add("identity", stagedoor.Good, "%s", identity)
	} else {
		add("identity", stagedoor.Bad, "%s", err)
	}
	for _, ban := range d.bans.List(key) {
		out.Steps = append(out.Steps, explainBan(ban, room))
	}
	if d.billing == nil {
		add("billing", stagedoor.Bad, "STRIPE_SECRET_KEY is not set: nobody is entitled by payment")
	} else {
		steps, err := d.billing.Explain(ctx, principal)
		if err != nil {
			return out, err
		}
		out.Steps = append(out.Steps, steps...)
	}
	if !known {
		out.Steps = append(out.Steps, d.explainStranger(principal, room))
		return out, nil
	}
	return out, d.explainRoom(ctx, &out, principal, room)
}

// explainStranger says what is decided about somebody before their first token:
// a ban needs nothing else, every rule may ask for claims.
func (d desk) explainStranger(principal stagedoor.Principal, room stagedoor.Room) stagedoor.Step {
	s := stagedoor.Step{Name: "decision", Mark: stagedoor.Remark, Text: "unknown until their first token: rules may ask for its claims"}
	if err := d.bans.Check(principal, room); err != nil {
		s.Mark, s.Text = stagedoor.Bad, "may not join "+string(cmp.Or(room, "any room"))+": "+stagedoor.KindOf(err).String()
	}
	return s
}

// explainBan says whom a ban keeps out of where.
func explainBan(ban stagedoor.Ban, room stagedoor.Room) stagedoor.Step {
	s := stagedoor.Step{Name: "ban", Mark: stagedoor.Bad, Text: ban.ID + " keeps them out of every room"}
	if ban.Room != "" {
		s.Text = ban.ID + " keeps them out of " + string(ban.Room)
		if room != "" && room != ban.Room {
			s.Mark = stagedoor.Remark
		}
	}
	if !ban.Until.IsZero() {
		s.Text += " until " + ban.Until.UTC().Format(time.RFC3339)
	}
	if ban.Reason != "" {
		s.Text += ": " + stagedoor.Printable(ban.Reason)
	}
	return s
}

// explainRoom adds what is decided and what LiveKit reports.
func (d desk) explainRoom(ctx context.Context, out *stagedoor.Explanation, principal stagedoor.Principal, room stagedoor.Room) error {
	where := room
	if where == "" {
		where = "any room"
	}
	if err := d.explainRules(ctx, out, principal, room); err != nil {
		return err
	}
	decision, err := d.decide(ctx, principal, where)
	s := stagedoor.Step{Name: "decision", Mark: stagedoor.Good, Text: "may join " + string(where) + " and publish"}
	switch kind := stagedoor.KindOf(err); {
	case err == nil && !decision.Grants.Publish:
		s.Mark, s.Text = stagedoor.Bad, "may join "+string(where)+" and watch; publishing is withheld: "+string(decision.PublishDenied)
	case err != nil && (kind == stagedoor.Banned || kind == stagedoor.RoomForbidden || kind == stagedoor.SessionOver):
		s.Mark, s.Text = stagedoor.Bad, "may not join "+string(where)+": "+kind.String()
	case err != nil:
		return err
	}
	out.Steps = append(out.Steps, s)
	present, err := d.store.PresentOf(ctx, principal.Key())
	if err != nil {
		return err
	}
	found := false
	for _, p := range present {
		if room == "" || p.Room == room {
			found = true
			out.Steps = append(out.Steps, d.explainPresence(ctx, p, decision))
		}
	}
	if !found {
		out.Steps = append(out.Steps, stagedoor.Step{Name: "presence", Mark: stagedoor.Remark, Text: "not in " + string(where) + " now"})
	}
	return nil
}

// explainRules adds what the policy file says of a room, on what a decision
// stands on. A guest's rules are their inviter's.
func (d desk) explainRules(ctx context.Context, out *stagedoor.Explanation, principal stagedoor.Principal, room stagedoor.Room) error {
	if room == "" || principal.Invitation != "" {
		return nil
	}
	s := stagedoor.Situation{Principal: principal, Room: room, Now: d.now()}
	if d.billing != nil {
		var err error
		if s.Entitlement, err = d.billing.Known().Entitlement(ctx, principal); err != nil {
			return err
		}
	}
	out.Steps = append(out.Steps, d.rules.Explain(s)...)
	return nil
}

// explainPresence compares what LiveKit reports with what was decided.
func (d desk) explainPresence(ctx context.Context, p stagedoor.Participant, decided stagedoor.Decision) stagedoor.Step {
	age := int64(d.now().Sub(p.JoinedAt).Seconds())
	s := stagedoor.Step{Name: "presence", Mark: stagedoor.Remark, Age: &age, Text: fmt.Sprintf("in %s as %s", p.Room, p.Identity)}
	if d.rooms == nil {
		return s
	}
	reported, there, err := d.rooms.Participant(ctx, p.Room, p.Identity)
	switch {
	case err != nil:
		s.Text += "; LiveKit does not answer: " + err.Error()
	case !there:
		s.Text += " as far as events said, but LiveKit does not see them any more"
	case reported.Grants.Same(decided.Grants):
		s.Mark, s.Text = stagedoor.Good, s.Text+"; LiveKit reports what was decided"
	default:
		s.Mark, s.Text = stagedoor.Bad, s.Text+fmt.Sprintf("; LiveKit reports other rights (may publish: %t), which are being corrected", reported.Grants.Publish)
	}
	return s
}
