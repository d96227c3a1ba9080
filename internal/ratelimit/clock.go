package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"
)

// tick is the unit in which time is counted. A slot has 48 bits for it, 8.9
// years.
const tick = time.Microsecond

// leap is the longest time that can pass between two readings; a longer one
// counts as that. It is more than any bucket needs to be full again, so that
// nobody loses by it, and a clock that is set ahead does not use up the years.
const leap = int64(1) << 41

// lastTick is where the clock stands still, and everybody is refused in the end:
// beyond it a slot could not hold the time at which a bucket is full.
const lastTick = 1<<48 - 1 - leap

// slack is how far behind the latest reading another may be before the clock
// is looked at again: goroutines come late by themselves.
const slack = int64(10 * time.Millisecond / tick)

// clock counts ticks since it began. It never goes back: where the clock under
// it is set back, it goes on from where it was, so that nothing is refilled
// and nobody waits for the old time to come round. time.Now cannot be set
// back, since Go measures with the monotonic clock; others may be.
type clock struct {
	// since is how long it has been running by the clock under it.
	since func() time.Duration
	// shift is what all set-backs so far took away.
	shift atomic.Int64
	// high is the latest time told.
	high atomic.Int64
	mu   sync.Mutex
}

// begin starts the clock at tick 1, since 0 is the time of an unused place.
func (c *clock) begin(now func() time.Time) {
	if now == nil {
		start := time.Now()
		// Since reads the monotonic clock alone: half the price of Now.
		c.since = func() time.Duration { return time.Since(start) }
	} else {
		start := now()
		c.since = func() time.Duration { return now().Sub(start) }
	}
	c.high.Store(1)
}

func (c *clock) read() int64 { return int64(c.since()/tick) + 1 + c.shift.Load() }

// ticks is the time now; never less than what any earlier call told.
func (c *clock) ticks() int64 {
	now := c.read()
	for {
		now = min(now, lastTick)
		high := c.high.Load()
		switch {
		case now < high-slack, now > high+leap:
			now = c.resume()
		case now <= high:
			return high
		case c.high.CompareAndSwap(high, now):
			return now
		}
	}
}

// resume looks again and, if the clock was set indeed, goes on from the latest
// time told.
func (c *clock) resume() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	// In this order: a reading after high was told is less only if set back.
	high := c.high.Load()
	now := c.read()
	if goOn := min(max(now, high), high+leap); goOn != now {
		c.shift.Add(goOn - now)
		return goOn
	}
	return now
}
