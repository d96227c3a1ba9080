package ratelimit

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
)

// table keeps a time per key in a fixed number of places and forgets none that
// has not passed.
//
// A key has two sets of eight slots, a cache line each, and takes a slot in the
// emptier one. A slot holds a time and 16 bits of the key. A slot whose time has
// passed says nothing any more and is free; one whose time has not is never
// given away, so that no flood of other keys can move anybody's count out. A
// key that finds both sets full of others goes to the overflow: four rows of
// times, with one cell of each for a key. The key's time there is the least of
// its four cells, and to charge it raises those that are lower and no other (a
// count-min sketch with conservative update, of times instead of counts). A
// cell is never less than the time of any key that uses it, so the overflow can
// only count too much, and it needs no cleaning, since its times pass too. A
// key that moves from the overflow into a slot takes its time along.
//
// What an attacker can do with it. Taking nothing back is exact, above. To
// starve a key that is not theirs they must either hold a slot of its sets with
// the same 16 bits, spent: at most 16 in 65,536 newcomers meet one with all
// slots held and spent; or fill both sets, and all four cells up to the brim,
// with other keys. They cannot aim, since places come from a seed that they
// never see, so they must fill the whole table. A charged unit holds a slot for
// one step: R requests a second hold R × step slots on average, however they
// are spread over keys. The 524,288 slots hold 450,000 keys that are all spent
// before one newcomer in a thousand is refused: at 60 a minute that takes
// 450,000 requests a second that were let in, and at 6,000 a minute a hundred
// times as many, all from other keys. TestInnocentsUnderAMillionAttackers
// measures it.
type table struct {
	seed     maphash.Seed
	locks    [lockCount]paddedMutex
	slots    []uint64
	setBits  int
	overflow []atomic.Int64
	rowBits  int
	// brim is the latest time in the overflow: once it has passed, nobody need
	// look there.
	brim atomic.Int64
}

const (
	ways      = 8
	rows      = 4
	tagBits   = 16
	lockBits  = 8
	lockCount = 1 << lockBits
)

// paddedMutex has a cache line for itself.
type paddedMutex struct {
	sync.Mutex
	_ [56]byte
}

func (t *table) build(setBits, rowBits int) {
	t.seed = maphash.MakeSeed()
	t.setBits, t.rowBits = setBits, rowBits
	t.slots = make([]uint64, ways<<setBits)
	t.overflow = make([]atomic.Int64, rows<<rowBits)
}

// lockOf is the number of the lock that guards the key's set. Whoever reads or
// charges a key holds it, and reads the clock after taking it: of one key and
// one set, time and charges come one after the other.
func (t *table) lockOf(hash uint64) int { return int(hash >> (64 - lockBits)) }

// find returns the slot where the key is or should be, -1 when its sets are
// full, and the time that the key has.
func (t *table) find(hash uint64, now int64) (slot int, full int64) {
	// Both sets have the lock's bits in common.
	inLock := t.setBits - lockBits
	one := hash >> (64 - t.setBits)
	two := one>>inLock<<inLock | hash>>tagBits&(1<<inLock-1)
	slot, free, full := t.look(one, hash, now)
	if full > 0 {
		return slot, full
	}
	other, more, full := t.look(two, hash, now)
	if full > 0 {
		return other, full
	}
	// The emptier set, so that few fill up before all do.
	if more > free {
		slot = other
	}
	return slot, t.estimate(hash, now)
}

// look returns the key's slot in a set and its time or, when it is not there,
// a free slot, how many there are, and 0.
func (t *table) look(set, hash uint64, now int64) (slot, free int, full int64) {
	first := int(set) * ways
	slot = -1
	for i, word := range t.slots[first : first+ways : first+ways] {
		full := int64(word >> tagBits)
		if full <= now {
			slot = first + i
			free++
		} else if uint16(word) == uint16(hash) {
			return first + i, 0, full
		}
	}
	return slot, free, 0
}

// estimate is the key's time in the overflow; 0 when it has none.
func (t *table) estimate(hash uint64, now int64) int64 {
	if t.brim.Load() <= now {
		return 0
	}
	least := int64(1<<63 - 1)
	for row := range rows {
		least = min(least, t.cell(hash, row).Load())
	}
	return least
}

// put gives the key a later time.
func (t *table) put(hash uint64, now, full int64) {
	slot, before := t.find(hash, now)
	full = max(full, before)
	if slot >= 0 {
		t.slots[slot] = uint64(full)<<tagBits | hash&(1<<tagBits-1)
		return
	}
	// The brim first: who sees it passed must not miss a cell. Cells are
	// shared by keys of other locks, hence raised, never stored.
	raise(&t.brim, full)
	for row := range rows {
		raise(t.cell(hash, row), full)
	}
}

func (t *table) cell(hash uint64, row int) *atomic.Int64 {
	column := mix(hash+uint64(row+1)*0x9e3779b97f4a7c15) >> (64 - t.rowBits)
	return &t.overflow[row<<t.rowBits|int(column)]
}

// mix scatters what is hashed already, so that keys of one set, which share
// their upper bits, have cells of their own.
func mix(x uint64) uint64 {
	high, low := bits.Mul64(x^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	return (high ^ low) * 0x9fb21c651e98df25
}

func raise(cell *atomic.Int64, to int64) {
	for {
		is := cell.Load()
		if is >= to || cell.CompareAndSwap(is, to) {
			return
		}
	}
}
