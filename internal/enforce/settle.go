package enforce

import (
	"context"
	"errors"
	"time"

	"stagedoor"
)

var errNotHeld = errors.New("LiveKit reports other permissions than it was sent")

// settle decides about one participant and changes what differs. nil means
// that LiveKit reports what was decided, or that nobody is there. It decides
// first and writes afterwards: no failing write keeps anybody in the room.
func (e *Enforcer) settle(ctx context.Context, t target, j *job) error {
	who, ours, err := e.owner(ctx, t)
	if err != nil || !ours {
		return err
	}
	j.principal = who.mint.Principal
	reported, present := j.reported, true
	if reported == nil {
		asked, there, err := e.Rooms.Participant(ctx, t.room, t.identity)
		if err != nil {
			return err
		}
		reported, present = &asked, there
	}
	if present {
		who.seen = e.Now()
		e.owners.put(target{t.room, t.identity.Minted()}, who)
	}
	v, err := e.verdict(ctx, t, who, reported, present)
	if err == nil {
		e.follow(t, who, v)
	}
	switch {
	case !present: // there is nothing to change, whether or not it can be decided
		e.forget(t)
		return nil
	case err != nil:
		return err
	case !reported.Standard:
		return nil // an agent or another service's, under an identity of ours
	case v.remove:
		return e.remove(ctx, t, j, v.why)
	}
	e.remind(t, nextLook(v.Decision, reported.JoinedAt, e.Now()))
	if !reported.Grants.Same(v.Grants) {
		if err := e.update(ctx, t, j, v.Decision); err != nil {
			return err
		}
	}
	return e.warn(ctx, t, reported, v.SessionEnds)
}

// verdict is a decision about a participant, or that it must go, and why.
type verdict struct {
	stagedoor.Decision
	remove bool
	why    stagedoor.Kind
}

// removes reports whether an error of Decide means that the participant may not
// be in the room, rather than that nothing could be decided.
func removes(kind stagedoor.Kind) bool {
	return kind == stagedoor.Banned || kind == stagedoor.RoomForbidden || kind == stagedoor.SessionOver
}

// verdict decides about a participant. Errors: what kept it from being decided;
// then nothing may change.
func (e *Enforcer) verdict(ctx context.Context, t target, who owner, p *stagedoor.Participant, present bool) (verdict, error) {
	decision, err := e.decide(ctx, t, who)
	switch kind := stagedoor.KindOf(err); {
	case err != nil && removes(kind):
		return verdict{remove: true, why: kind}, nil
	case err != nil:
		return verdict{}, err
	case t.identity.Minted() != t.identity:
		return verdict{remove: true, why: stagedoor.IdentityNotAllowed}, nil
	case !present || !p.Standard:
		return verdict{Decision: decision}, nil
	}
	if decision.MaxSession > 0 && decision.SessionEnds.IsZero() {
		// No event reported the arrival, so that the store has no session yet.
		if err := e.Presence.Arrive(ctx, *p); err != nil {
			e.Log.Warn("storing an arrival failed; the next pass tries again", "room", t.room, "err", err)
		}
		decision.SessionEnds = p.JoinedAt.Add(decision.MaxSession)
		if !e.Now().Before(decision.SessionEnds) {
			return verdict{remove: true, why: stagedoor.SessionOver}, nil
		}
		if decision.Until.IsZero() || decision.SessionEnds.Before(decision.Until) {
			decision.Until = decision.SessionEnds
		}
	}
	if decision.MaxParticipants > 0 {
		surplus, err := e.Places.Surplus(ctx, t.room, p.SID, decision.MaxParticipants)
		if err != nil || surplus {
			return verdict{remove: surplus, why: stagedoor.RoomFull}, err
		}
	}
	if decision.RefuseSecond {
		second, err := e.isSecond(ctx, t, who.mint.Principal, p)
		if err != nil || second {
			return verdict{remove: second, why: stagedoor.AlreadyInRoom}, err
		}
	}
	return verdict{Decision: decision}, nil
}

// decide asks for a decision about a participant's principal. A principal that
// is not known any more, as after an erasure, has no rights; its bans count.
func (e *Enforcer) decide(ctx context.Context, t target, who owner) (stagedoor.Decision, error) {
	decision, err := e.Decide(ctx, who.principal, t.room)
	if !who.known && (err == nil || !removes(stagedoor.KindOf(err))) {
		return stagedoor.Decision{}, stagedoor.Refuse(stagedoor.RoomForbidden, "the caller is not known any more")
	}
	return decision, err
}

// isSecond reports whether another participant of the same principal came
// before this one and is still there. LiveKit itself replaces a participant
// of the same identity, so that only other identities are looked at.
func (e *Enforcer) isSecond(ctx context.Context, t target, key stagedoor.PrincipalKey, p *stagedoor.Participant) (bool, error) {
	present, err := e.Presence.PresentOf(ctx, key)
	if err != nil {
		return false, err
	}
	for _, other := range present {
		before := other.JoinedAt.Before(p.JoinedAt) || other.JoinedAt.Equal(p.JoinedAt) && other.SID < p.SID
		if other.Room != t.room || other.Identity == t.identity || !before {
			continue
		}
		if _, there, err := e.Rooms.Participant(ctx, t.room, other.Identity); err != nil || there {
			return there, err
		}
	}
	return false, nil
}

// update sets a participant's whole permission at LiveKit.
func (e *Enforcer) update(ctx context.Context, t target, j *job, decision stagedoor.Decision) error {
	after, present, err := e.Rooms.UpdatePermission(ctx, t.room, t.identity, decision.Grants)
	if err != nil || !present {
		return err
	}
	if !after.Grants.Same(decision.Grants) {
		return errNotHeld
	}
	e.Told("update", j.cause, e.Now().Sub(j.asked))
	e.changed(t, j, Change{Decision: decision})
	e.Log.Info("enforced", "room", t.room, "identity", t.identity, "cause", j.cause, "canPublish", decision.Grants.Publish,
		"publishDenied", string(decision.PublishDenied), "ms", milliseconds(e.Now().Sub(j.asked)))
	return nil
}

// remove puts somebody out who may not be there.
func (e *Enforcer) remove(ctx context.Context, t target, j *job, why stagedoor.Kind) error {
	there, err := e.out(ctx, t)
	if err != nil {
		return err
	}
	if there {
		e.Told("remove", j.cause, e.Now().Sub(j.asked))
		e.changed(t, j, Change{Removed: true, Why: why})
		e.Log.Info("put out", "room", t.room, "identity", t.identity, "cause", j.cause, "why", why.String(), "ms", milliseconds(e.Now().Sub(j.asked)))
	}
	e.forget(t)
	return nil
}

// out has LiveKit put somebody out, once for all who ask for it meanwhile: to the
// second of two that overlap LiveKit v1.13.5 may answer only "unavailable", after
// three seconds. It does not end with ctx. false when there was nobody.
func (e *Enforcer) out(ctx context.Context, t target) (bool, error) {
	there, err, _ := e.leaving.Do(string(t.room)+"\x00"+string(t.identity), func() (any, error) {
		return e.Rooms.Remove(context.WithoutCancel(ctx), t.room, t.identity)
	})
	return there == true, err
}

// remind has a target decided again at a known end that comes before a later
// pass would see it.
func (e *Enforcer) remind(t target, at time.Time) {
	wait := at.Sub(e.Now())
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.timers[t]; old != nil {
		old.Stop()
		delete(e.timers, t)
	}
	if at.IsZero() || wait > 2*passEvery || e.ctx == nil {
		return
	}
	e.timers[t] = time.AfterFunc(max(wait, 0)+time.Millisecond, func() { e.check(t, "a known end", nil) })
}

// forget drops what is kept for somebody who has left.
func (e *Enforcer) forget(t target) {
	e.remind(t, time.Time{})
	e.mu.Lock()
	delete(e.warned, t)
	e.mu.Unlock()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
