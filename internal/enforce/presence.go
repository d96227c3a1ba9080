package enforce

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"stagedoor"
)

// arrival is the cause of the work on somebody who has just come.
const arrival = "joined"

// LiveKitEvent takes one verified event. Errors are the store's or LiveKit's;
// then the event is to be sent again.
//
// SPEC: docs.livekit.io/home/server/webhooks; livekit/protocol webhook/consts.go.
func (e *Enforcer) LiveKitEvent(ctx context.Context, event stagedoor.LiveKitEvent) error {
	if e.seen.has(event.ID) {
		return nil
	}
	if err := e.handle(ctx, event); err != nil {
		return err
	}
	e.seen.add(event.ID)
	return nil
}

// handle has the participant that an event names decided about, whether or not
// the event can be stored.
func (e *Enforcer) handle(ctx context.Context, event stagedoor.LiveKitEvent) error {
	p := event.Participant
	switch event.Name {
	case "participant_joined":
		if p.SID == "" {
			return nil
		}
		err := e.Presence.Arrive(ctx, p)
		// The token it came with may be older than what was decided since.
		e.check(target{p.Room, p.Identity}, arrival, &p)
		return err
	case "participant_left", "participant_connection_aborted":
		if p.SID == "" {
			return nil
		}
		// Only this session has left: one of the same identity that replaced it
		// (DUPLICATE_IDENTITY) came before this event.
		return e.Presence.Leave(ctx, p, event.CreatedAt)
	case "room_finished":
		// A room of the same name may have begun since.
		_, err := e.passRoom(ctx, event.Room)
		return errors.Join(err, e.Places.EndSessions(ctx, event.Room, event.CreatedAt))
	}
	// A client whose primary connection never comes up is not reported to have
	// joined. Whatever else names a participant tells that it is there, and what
	// such an event says of its rights means nothing.
	if p.Identity != "" {
		e.check(target{p.Room, p.Identity}, "event", nil)
	}
	return nil
}

// pass asks LiveKit who is where, has everybody decided again, and corrects
// what is stored. Every step is tried: no failing write keeps anybody in a room.
func (e *Enforcer) pass(ctx context.Context) error {
	asked := e.Now()
	open, err := e.Rooms.Rooms(ctx)
	if err != nil {
		return fmt.Errorf("list rooms at LiveKit: %w", err)
	}
	var rooms []stagedoor.Room
	for _, room := range open {
		if !room.Empty {
			rooms = append(rooms, room.Room)
		}
	}
	present, err := e.Presence.Present(ctx)
	if err != nil {
		err = fmt.Errorf("read presence in the database: %w", err)
	}
	for _, p := range present {
		if !slices.Contains(rooms, p.Room) {
			rooms = append(rooms, p.Room)
		}
	}
	failed := make(chan error, len(rooms))
	slots := make(chan struct{}, maxConcurrent/2)
	var group sync.WaitGroup
	for _, room := range rooms {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			listed, err := e.passRoom(ctx, room)
			for _, p := range listed {
				e.check(target{p.Room, p.Identity}, "pass", &p)
			}
			failed <- err
		})
	}
	group.Wait()
	close(failed)
	for each := range failed {
		err = errors.Join(err, each)
	}
	if ended := e.endSessions(ctx, open, asked); ended != nil {
		err = errors.Join(err, fmt.Errorf("end sessions in the database: %w", ended))
	}
	return err
}

// lookEvery is how often LiveKit is asked about one room because somebody
// would be refused there: whoever is refused may ask again and again.
const lookEvery = 2 * time.Second

// Look asks LiveKit who is in a room, and corrects what is kept of it. It is
// false when LiveKit was asked a moment ago, or does not answer.
func (e *Enforcer) Look(ctx context.Context, room stagedoor.Room) bool {
	now := e.Now()
	e.mu.Lock()
	last, looked := e.looked[room]
	fresh := looked && now.Sub(last) < lookEvery
	if !fresh {
		for other, at := range e.looked {
			if now.Sub(at) >= lookEvery {
				delete(e.looked, other)
			}
		}
		e.looked[room] = now
	}
	e.mu.Unlock()
	if fresh {
		return false
	}
	_, err := e.passRoom(ctx, room)
	if err != nil {
		e.Log.Warn("checking a full room failed", "room", room, "err", err)
	}
	return err == nil
}

// passRoom asks LiveKit who is in a room and corrects what is stored of it. It
// returns who is there also when that cannot be stored.
func (e *Enforcer) passRoom(ctx context.Context, room stagedoor.Room) ([]stagedoor.Participant, error) {
	asked := e.Now()
	listed, err := e.Rooms.Participants(ctx, room)
	if err != nil {
		return nil, fmt.Errorf("list participants at LiveKit: %w", err)
	}
	if err := e.Presence.Reconcile(ctx, room, listed, asked); err != nil {
		return listed, fmt.Errorf("store presence: %w", err)
	}
	return listed, nil
}

// recent remembers the latest ids. The zero value is ready to use.
type recent struct {
	mu   sync.Mutex
	ids  map[string]bool
	ring []string
	next int
}

// remembered is how many ids are kept: far more than LiveKit queues for a room.
const remembered = 4096

func (r *recent) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return id != "" && r.ids[id]
}

func (r *recent) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == "" || r.ids[id] {
		return
	}
	if r.ids == nil {
		r.ids, r.ring = make(map[string]bool, remembered), make([]string, remembered)
	}
	delete(r.ids, r.ring[r.next])
	r.ids[id], r.ring[r.next] = true, id
	r.next = (r.next + 1) % remembered
}
