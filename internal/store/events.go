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
		// The link comes first: it tells whose customer this is.
		if _, err := addLink(t, e.Link, s.Now()); err != nil {
			return err
		}
		return markDirty(t, now, e.Objects)
	})
	return fresh && err == nil, err
}

// MarkDirty has objects asked for as an event does that names them; it is on
// the disk when this returns.
func (s *Store) MarkDirty(ctx context.Context, now time.Time, objects ...string) error {
	return s.write(ctx, acknowledged, "mark objects dirty", func(t tx) error { return markDirty(t, now, objects) })
}

// markDirty queues objects because of a hint. An object keeps its place in the
// queue when another hint comes.
func markDirty(t tx, now time.Time, objects []string) error {
	return enqueue(t, objects, func(object string, generation int64) error {
		priority, err := priorityOf(t, object)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO dirty (object, generation, since, due, attempts, priority) VALUES ($1, $2, $3, $3, 0, $4)
			ON CONFLICT (object) DO UPDATE SET generation = excluded.generation, attempts = 0,
				since = COALESCE(NULLIF(dirty.since, 0), excluded.since),
				due = CASE WHEN dirty.due < excluded.due THEN dirty.due ELSE excluded.due END,
				priority = CASE WHEN dirty.priority > excluded.priority THEN dirty.priority ELSE excluded.priority END`,
			object, generation, millis(now), int64(priority))
		return err
	})
}

// enqueue calls put with each object and a generation. Generations are never
// used twice, not even when an object was settled in between: a worker that is
// late must not settle a hint it has not seen.
func enqueue(t tx, objects []string, put func(object string, generation int64) error) error {
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
		if err := put(object, generation); err != nil {
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
// object whose last tries failed keeps its pause. A higher priority than the
// object has counts, a lower one does not.
func (s *Store) TouchDue(ctx context.Context, now time.Time, priority stagedoor.Priority, objects ...string) error {
	return s.write(ctx, retold, "queue objects", func(t tx) error {
		return enqueue(t, objects, func(object string, generation int64) error {
			_, err := t.exec(`INSERT INTO dirty (object, generation, since, due, attempts, priority) VALUES ($1, $2, 0, $3, 0, $4)
				ON CONFLICT (object) DO UPDATE SET
					due = CASE WHEN dirty.attempts = 0 AND dirty.due > excluded.due THEN excluded.due ELSE dirty.due END,
					priority = CASE WHEN dirty.priority > excluded.priority THEN dirty.priority ELSE excluded.priority END`,
				object, generation, millis(now), int64(priority))
			return err
		})
	})
}

// farthestDue is beyond every pause there is: what is due later was put off
// before the clock stepped back, and is due now.
const farthestDue = 3 * time.Minute

// selectDue reads what is due in the order in which it is to be asked for. The
// plus signs keep SQLite from sorting the whole queue by another index.
const selectDue = `SELECT object, generation, since, attempts, priority FROM dirty
	WHERE +due <= $1 OR +due > $2 ORDER BY priority DESC, due, object LIMIT $3`

// PendingDue returns up to limit objects that are due at now, those of the
// highest priority first and among them the longest due, and when the next is
// due after now; zero when none is.
func (s *Store) PendingDue(ctx context.Context, now time.Time, limit int) (due []stagedoor.Pending, next time.Time, err error) {
	const doing = "read the queue"
	args := []any{millis(now), millis(now.Add(farthestDue)), limit}
	err = s.reads.each(ctx, selectDue, args, func(scan scan) error {
		var p stagedoor.Pending
		var since int64
		err := scan(&p.Object, &p.Generation, &since, &p.Attempts, &p.Priority)
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
		_, err := t.exec(`UPDATE dirty SET since = 0, attempts = 0, priority = 0, due = $3
			WHERE object = $1 AND generation = $2`, p.Object, p.Generation, millis(again))
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

// Resume makes everything due at now that waits after a failure. It keeps the
// count of failures, so that what goes on failing waits long again.
func (s *Store) Resume(ctx context.Context, now time.Time) error {
	return s.write(ctx, retold, "resume the queue", func(t tx) error {
		_, err := t.exec("UPDATE dirty SET due = $1 WHERE attempts > 0 AND due > $1", millis(now))
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
