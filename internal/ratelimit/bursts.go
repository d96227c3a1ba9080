package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

// Bursts says which refusals are worth a line in the log: the first of each
// burst. It keeps a fixed number of keys; when all have a burst running, the
// bursts of further ones count as one that they share, so that a flood from
// ever new addresses writes no more than that many lines in a quiet time. The
// zero value is not usable: see NewBursts. Safe for concurrent use.
type Bursts struct {
	seed  maphash.Seed
	clock clock
	quiet int64
	most  int

	mu   sync.Mutex
	runs map[uint64]run
	// shared is the burst of those who found no place.
	shared run
	// untold is what was refused in bursts that were forgotten since.
	untold int
	// passed is a time before which no burst in runs can be over.
	passed int64
}

// run is a burst that runs, or ran: when it was last seen and how many were
// refused since a line told of it.
type run struct {
	last  int64
	count int
}

// Burst is what to write about one refusal. The zero value is: nothing.
type Burst struct {
	// Begins is whether to write a line.
	Begins bool
	// Refused is how many of the key's requests were refused since its last
	// line, this one included: 1 for a key that is new.
	Refused int
	// Shared is whether the line stands for all keys that found no place of
	// their own, so that naming this one would mislead.
	Shared bool
	// Untold is how many were refused in bursts whose key was forgotten before
	// another line of theirs; in the line that begins next.
	Untold int
}

// Lines that a flood may cause in BurstQuiet, and how long a key must not have
// been refused for its next refusal to begin a burst.
const (
	// BurstLines is a good bound: under one line in a quarter of a second.
	BurstLines = 256
	// BurstQuiet is a good quiet time.
	BurstQuiet = time.Minute
)

// NewBursts builds a Bursts of at most most keys, at least 1, and a quiet time
// of at least a millisecond; less counts as that. now is the clock, nil is
// time.Now.
func NewBursts(most int, quiet time.Duration, now func() time.Time) *Bursts {
	b := &Bursts{seed: maphash.MakeSeed(), most: max(1, most), quiet: int64(max(quiet, time.Millisecond) / tick)}
	b.runs = make(map[uint64]run, b.most)
	b.clock.begin(now)
	return b
}

// Refused counts a refusal of the key and says what to write about it.
func (b *Bursts) Refused(key Key) Burst {
	hash := key.hash(b.seed)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.ticks()
	r, known := b.runs[hash]
	if !known && len(b.runs) >= b.most && !b.forget(now) {
		burst := b.count(&b.shared, now)
		burst.Shared = burst.Begins
		return burst
	}
	burst := b.count(&r, now)
	b.runs[hash] = r
	return burst
}

// count adds a refusal to a burst, which begins if there was quiet before.
func (b *Bursts) count(r *run, now int64) Burst {
	begins := r.last == 0 || now-r.last > b.quiet
	r.last = now
	r.count++
	if !begins {
		return Burst{}
	}
	burst := Burst{Begins: true, Refused: r.count, Untold: b.untold}
	r.count, b.untold = 0, 0
	return burst
}

// forget makes room by dropping bursts that are over, and says whether there
// was one. It looks only once one can be over, so that a flood costs no search.
func (b *Bursts) forget(now int64) bool {
	if now <= b.passed {
		return false
	}
	oldest := now
	for hash, r := range b.runs {
		if now-r.last > b.quiet {
			b.untold += r.count
			delete(b.runs, hash)
		} else {
			oldest = min(oldest, r.last)
		}
	}
	b.passed = oldest + b.quiet
	return len(b.runs) < b.most
}
