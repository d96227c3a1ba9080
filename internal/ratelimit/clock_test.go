package ratelimit

import (
	"sync"
	"testing"
	"time"
)

// TestClockSetAheadDoesNotUseUpTheYears sets the clock ahead and back by a
// century again and again: limits go on.
func TestClockSetAheadDoesNotUseUpTheYears(t *testing.T) {
	clock := newHandClock()
	m := memory(t, Config{Policy: perMinute, Now: clock.now})
	key := address("192.0.2.1")
	const century = 876_000 * time.Hour
	for i := range 20 {
		if n := spend(t, m, key); n != 60 {
			t.Fatalf("time %d: %d", i, n)
		}
		clock.pass(century)
		if n := spend(t, m, key); n != 60 {
			t.Fatalf("time %d, ahead: %d", i, n)
		}
		clock.pass(-century)
		if n := spend(t, m, key); n != 0 {
			t.Fatalf("time %d, back: %d", i, n)
		}
		clock.pass(time.Minute)
	}
}

// TestAfterTheLastTickAllAreRefused: when a slot cannot hold the time any more,
// nobody passes without being counted.
func TestAfterTheLastTickAllAreRefused(t *testing.T) {
	clock := newHandClock()
	m := memory(t, Config{Policy: perMinute, Now: clock.now})
	m.clock.shift.Store(lastTick - 100)
	m.clock.high.Store(lastTick - 100)
	key := address("192.0.2.1")
	for _, on := range []time.Duration{0, time.Hour, 1000 * time.Hour, 1000 * time.Hour} {
		clock.pass(on)
		if n := spend(t, m, key); n > 60 {
			t.Fatalf("after %v: %d", on, n)
		}
	}
	if now := m.clock.ticks(); now != lastTick {
		t.Errorf("tick %d", now)
	}
	if take(t, m, key).Allowed {
		t.Error("the last tick refills")
	}
}

// TestTimeDoesNotGoBackALittleEither: not even by what is not looked into.
func TestTimeDoesNotGoBackALittleEither(t *testing.T) {
	hand := newHandClock()
	var c clock
	c.begin(hand.now)
	before := c.ticks()
	for _, by := range []time.Duration{time.Microsecond, 5 * time.Millisecond, time.Second} {
		hand.pass(-by)
		if now := c.ticks(); now != before {
			t.Errorf("set back by %v: %d after %d", by, now, before)
		}
	}
}

// TestTimeIsOneForAll: no reader sees a time before one that another saw.
func TestTimeIsOneForAll(t *testing.T) {
	var c clock
	c.begin(nil)
	var mu sync.Mutex
	latest := int64(0)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20_000 {
				mu.Lock()
				before := latest
				mu.Unlock()
				now := c.ticks()
				if now < before {
					t.Errorf("%d after %d", now, before)
				}
				mu.Lock()
				latest = max(latest, now)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if shift := c.shift.Load(); shift != 0 {
		t.Errorf("a clock that was not set is off by %d", shift)
	}
}
