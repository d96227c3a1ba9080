package ratelimit

import (
	"testing"
	"time"
)

// TestOneLinePerBurst follows one key through two bursts.
func TestOneLinePerBurst(t *testing.T) {
	clock := newHandClock()
	b := NewBursts(10, time.Minute, clock.now)
	key := address("192.0.2.1")
	if got := b.Refused(key); got != (Burst{Begins: true, Refused: 1}) {
		t.Fatalf("%+v", got)
	}
	for range 500 { // longer than the quiet time in all, never quiet for so long
		clock.pass(time.Second)
		if got := b.Refused(key); got != (Burst{}) {
			t.Fatalf("in a burst: %+v", got)
		}
	}
	clock.pass(time.Minute)
	if got := b.Refused(key); got.Begins {
		t.Fatalf("after just the quiet time: %+v", got)
	}
	if got := b.Refused(address("192.0.2.2")); got != (Burst{Begins: true, Refused: 1}) {
		t.Fatalf("somebody else: %+v", got)
	}
	clock.pass(time.Minute + time.Microsecond)
	if got := b.Refused(key); got != (Burst{Begins: true, Refused: 502}) {
		t.Fatalf("the second burst: %+v", got)
	}
	clock.pass(-time.Hour)
	if got := b.Refused(key); got.Begins {
		t.Fatalf("a clock set back: %+v", got)
	}
}

// TestFloodCannotFillTheLog: refusals of ever new addresses write few lines,
// and the lines tell of all of them.
func TestFloodCannotFillTheLog(t *testing.T) {
	clock := newHandClock()
	b := NewBursts(16, time.Minute, clock.now)
	const refusals = 600_000
	lines, own, told := 0, 0, 0
	for i := range refusals {
		key := numbered(i) // every other time somebody new
		if i%2 == 0 {
			key = numbered(1<<31 | i/5000) // and for five seconds the same one
		}
		got := b.Refused(key)
		if got.Begins {
			lines++
			if !got.Shared {
				own++
			}
			told += got.Refused + got.Untold
		}
		if len(b.runs) > 16 {
			t.Fatalf("%d keys are held", len(b.runs))
		}
		clock.pass(time.Millisecond) // ten minutes in all
	}
	if lines > 17*10 {
		t.Errorf("%d lines in ten minutes", lines)
	}
	if own < 16*5 {
		t.Errorf("only %d lines with a key of their own", own)
	}
	clock.pass(2 * time.Minute)
	for i := range 40 {
		got := b.Refused(numbered(1<<30 + i))
		if got.Begins {
			told += got.Refused + got.Untold
		}
	}
	// What the last forty began is told but for those of the shared burst.
	if left := refusals + 40 - told; left < 0 || left > 40 {
		t.Errorf("%d of %d refusals were never told of", left, refusals)
	}
}

// TestAFullLogKeepsItsKeys: who has a place keeps it and its count.
func TestAFullLogKeepsItsKeys(t *testing.T) {
	clock := newHandClock()
	b := NewBursts(1, time.Minute, clock.now)
	for range 5 {
		b.Refused(numbered(1))
		b.Refused(numbered(2))
	}
	clock.pass(2 * time.Minute)
	if got := b.Refused(numbered(1)); got != (Burst{Begins: true, Refused: 5}) {
		t.Errorf("%+v", got)
	}
	if got := b.Refused(numbered(2)); got != (Burst{Begins: true, Refused: 5, Shared: true}) {
		t.Errorf("%+v", got)
	}
}

func TestBurstsOfAtLeastOne(t *testing.T) {
	b := NewBursts(-5, -1, newHandClock().now)
	if got := b.Refused(numbered(1)); !got.Begins || got.Shared {
		t.Errorf("%+v", got)
	}
	if got := b.Refused(numbered(2)); !got.Begins || !got.Shared {
		t.Errorf("%+v", got)
	}
	if got := b.Refused(numbered(3)); got != (Burst{}) {
		t.Errorf("%+v", got)
	}
}
