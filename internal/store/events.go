package store

import (
	"context"
	"errors"
	"time"

	"stagedoor"
)

// SaveEvent keeps an event, marks its objects dirty and keeps its link, all or
// nothing; it is on the disk when this returns. An event that was kept before
// is not fresh and changes nothing.
func (s *Store) SaveEvent(ctx context.Context, e stagedoor.BillingEvent, now time.Time) (fresh bool, err error) {
	if e.ID == "" {
		return false, wrap("keep an event", errors.New("it has no ID"))
	}
	err = s.write(ctx, acknowledged, "keep an event", func(t tx) error {
		inserted, err := t.exec("INSERT INTO events (id, type, created_at, received_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
			e.ID, e.Type, millis(e.Created), millis(now))
		if err != nil || inserted == 0 {
			return err
		}
		fresh = true
		if err := markDirty(t, now, e.Objects); err != nil {
			return err
		}
		_, err = addLink(t, e.Link, s.Now())
		return err
	})
	return fresh && err == nil, err
}

// MarkDirty has objects asked for as an event does that names them; it is on
// the disk when this returns.
func (s *Store) MarkDirty(ctx context.Context, now time.Time, objects ...string) error {
	return s.write(ctx, acknowledged, "mark objects dirty", func(t tx) error { return markDirty(t, now, objects) })
}

// markDirty queues objects because of a hint.
func markDirty(t tx, now time.Time, objects []string) error {
	return enqueue(t, objects, `INSERT INTO dirty (object, generation, since, due, attempts) VALUES ($1, $2, $3, $3, 0)
		ON CONFLICT (object) DO UPDATE SET generation = excluded.generation,
			since = COALESCE(NULLIF(dirty.since, 0), excluded.since), due = excluded.due, attempts = 0`, now)
}

// enqueue runs a query of the object, a generation and now for each object.
// Generations are never used twice, not even when an object was settled in
// between: a worker that is late must not settle a hint it has not seen.
func enqueue(t tx, objects []string, query string, now time.Time) error {
	if len(objects) == 0 {
		return nil
	}
	generation, err := nextGeneration(t)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if object == "" {
			continue
		}
		if _, err := t.exec(query, object, generation, millis(now)); err != nil {
			return err
		}
	}
	return nil
}

// NextGeneration returns a number that is higher than every one before. A
// question to Stripe takes one before it begins.
func (s *Store) NextGeneration(ctx context.Context) (generation int64, err error) {
	err = s.write(ctx, retold, "take a generation", func(t tx) error {
		generation, err = nextGeneration(t)
		return err
	})
	return generation, err
}

func nextGeneration(t tx) (generation int64, err error) {
	_, err = t.row("UPDATE meta SET value = value + 1 WHERE key = 'generation' RETURNING value", nil, &generation)
	return generation, err
}

// TouchDue has objects asked for soon without claiming that a hint came. An
// object whose last tries failed keeps its pause.
func (s *Store) TouchDue(ctx context.Context, now time.Time, objects ...string) error {
	return s.write(ctx, retold, "queue objects", func(t tx) error {
		return enqueue(t, objects, `INSERT INTO dirty (object, generation, since, due, attempts) VALUES ($1, $2, 0, $3, 0)
			ON CONFLICT (object) DO UPDATE SET due = excluded.due WHERE dirty.attempts = 0 AND dirty.due > excluded.due`, now)
	})
}

// farthestDue is beyond every pause there is: what is due later was put off
// before the clock stepped back, and is due now.
const farthestDue = 3 * time.Minute

// PendingDue returns up to limit objects that are due at now, the longest due
// first, and when the next is due after now; zero when none is.
func (s *Store) PendingDue(ctx context.Context, now time.Time, limit int) (due []stagedoor.Pending, next time.Time, err error) {
	const doing = "read the queue"
	err = s.reads.each(ctx, "SELECT object, generation, since, attempts FROM dirty WHERE due <= $1 OR due > $2 ORDER BY due, object LIMIT $3",
		[]any{millis(now), millis(now.Add(farthestDue)), limit}, func(scan scan) error {
			var p stagedoor.Pending
			var since int64
			err := scan(&p.Object, &p.Generation, &since, &p.Attempts)
			p.Since = fromMillis(since)
			due = append(due, p)
			return err
		})
	if err != nil {
		return nil, time.Time{}, wrap(doing, err)
	}
	var at int64
	if _, err = s.reads.row(ctx, "SELECT COALESCE(MIN(due), 0) FROM dirty WHERE due > $1", []any{millis(now)}, &at); err != nil {
		return nil, time.Time{}, wrap(doing, err)
	}
	return due, fromMillis(at), nil
}

// Settle keeps that an object was asked for with success: it leaves the queue,
// or is asked for once more at again unless that is zero. A hint that came
// since p was read keeps it where it is.
func (s *Store) Settle(ctx context.Context, p stagedoor.Pending, again time.Time) error {
	return s.write(ctx, retold, "settle an object", func(t tx) error {
		if again.IsZero() {
			_, err := t.exec("DELETE FROM dirty WHERE object = $1 AND generation = $2", p.Object, p.Generation)
			return err
		}
		_, err := t.exec("UPDATE dirty SET since = 0, attempts = 0, due = $3 WHERE object = $1 AND generation = $2", p.Object, p.Generation, millis(again))
		return err
	})
}

// Postpone keeps that asking for an object failed, and when it is due again.
// A hint that came since p was read keeps it due.
func (s *Store) Postpone(ctx context.Context, p stagedoor.Pending, until time.Time) error {
	return s.write(ctx, retold, "postpone an object", func(t tx) error {
		_, err := t.exec(`UPDATE dirty SET attempts = attempts + 1, due = CASE WHEN generation = $2 THEN $3 ELSE due END WHERE object = $1`,
			p.Object, p.Generation, millis(until))
		return err
	})
}

// PendingCount returns how many objects have a hint that is not answered, and
// since when the oldest waits; zero when none does.
func (s *Store) PendingCount(ctx context.Context) (count int, oldest time.Time, err error) {
	var since int64
	_, err = s.reads.row(ctx, "SELECT COUNT(*), COALESCE(MIN(since), 0) FROM dirty WHERE since > 0", nil, &count, &since)
	return count, fromMillis(since), wrap("count the queue", err)
}
