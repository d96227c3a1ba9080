package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"stagedoor"
)

const (
	// warnBefore is how long before their time is over somebody is told.
	warnBefore = time.Minute
	// settling is how long somebody who has just come is left alone: before
	// that their data channel may not be open, and what is sent is lost.
	settling = 3 * time.Second
	// topic is the topic of the door's own data messages.
	topic = "stagedoor"
	// skew is how far LiveKit's clock may be from the door's when it is asked
	// which rooms there are.
	skew = 10 * time.Second
)

// warning is the one that a session was given.
type warning struct {
	sid  string
	ends time.Time
}

// notice is what a participant is sent; docs/clients.md describes it.
type notice struct {
	Event       string `json:"event"`
	SecondsLeft int    `json:"secondsLeft"`
}

// nextLook is when somebody is to be looked at again: when the decision may
// change, or when they are to be warned.
func nextLook(d stagedoor.Decision, joined, now time.Time) time.Time {
	at := d.Until
	if d.SessionEnds.IsZero() {
		return at
	}
	warnAt := d.SessionEnds.Add(-warnBefore)
	if heard := joined.Add(settling); !warnAt.After(now) && heard.After(now) {
		warnAt = heard
	}
	if warnAt.After(now) && (at.IsZero() || warnAt.Before(at)) {
		at = warnAt
	}
	return at
}

// warn tells a participant once per session that less than a minute is left.
func (e *Enforcer) warn(ctx context.Context, t target, p *stagedoor.Participant, ends time.Time) error {
	sid, left := p.SID, ends.Sub(e.Now())
	if ends.IsZero() || left > warnBefore || e.Now().Before(p.JoinedAt.Add(settling)) {
		return nil
	}
	e.mu.Lock()
	told := e.warned[t] == warning{sid, ends}
	e.mu.Unlock()
	if told {
		return nil
	}
	message, err := json.Marshal(notice{"session_ending", int((left + time.Second/2) / time.Second)})
	if err != nil {
		return err
	}
	if _, err := e.Media.Send(ctx, t.room, t.identity, topic, message); err != nil {
		return err
	}
	e.mu.Lock()
	e.warned[t] = warning{sid, ends}
	e.mu.Unlock()
	e.Log.Info("warned: the session is about to end", "room", t.room, "identity", t.identity, "seconds", int(left.Seconds()))
	return nil
}

// endSessions forgets whose time was running in rooms that have closed since,
// or have closed and opened again. open is what LiveKit said when asked at asked.
func (e *Enforcer) endSessions(ctx context.Context, open []stagedoor.OpenRoom, asked time.Time) error {
	running, err := e.Places.SessionRooms(ctx)
	if err != nil {
		return err
	}
	opened := map[stagedoor.Room]time.Time{}
	for _, room := range open {
		opened[room.Room] = room.CreatedAt
	}
	for room, since := range running {
		before, isOpen := opened[room]
		if !isOpen {
			before = asked.Add(-skew)
		}
		if !since.Before(before) {
			continue
		}
		err = errors.Join(err, e.Places.EndSessions(ctx, room, before))
	}
	return err
}
