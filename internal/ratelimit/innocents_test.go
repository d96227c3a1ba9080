package ratelimit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// attack has attackers take at random, perSecond of them all together, while
// the clock moves on by a time.
func attack(t testing.TB, m *Memory, clock *handClock, attackers, perSecond int, during time.Duration) {
	dice := rand.New(rand.NewPCG(1, uint64(attackers)))
	ctx := context.Background()
	takes := int64(during.Seconds() * float64(perSecond))
	us, debt := during.Microseconds(), int64(0)
	for range takes {
		_, _ = m.Take(ctx, numbered(dice.IntN(attackers)), 1)
		debt += us
		clock.ticks.Add(debt / takes)
		debt %= takes
	}
}

// refusedInnocents is how many newcomers, in parts of one, would be refused
// one of their first ten requests. They only peek, so as not to fill the table.
func refusedInnocents(t testing.TB, m *Memory) float64 {
	const newcomers = 200_000
	refused := 0
	for i := range newcomers {
		if d := peek(t, m, Principal("innocent", fmt.Sprint(i))); d.Remaining < 10 {
			refused++
		}
	}
	return float64(refused) / newcomers
}

// TestInnocentsUnderAMillionAttackers has a million attackers, each below
// their limit, take all that a busy process could answer and more; then keys
// that are spent to the last unit, which do more harm.
func TestInnocentsUnderAMillionAttackers(t *testing.T) {
	during := 20 * time.Second
	if underRace || testing.Short() {
		during = 4 * time.Second
	}
	for _, perSecond := range []int{50_000, 300_000} {
		clock := newHandClock()
		m := memory(t, Config{Policy: perMinute, Now: clock.now})
		attack(t, m, clock, 1_000_000, perSecond, during)
		slots, cells := fill(m)
		refused := refusedInnocents(t, m)
		t.Logf("%d a second: %.3f of the slots, %.3f of the overflow in use; %.5f refused", perSecond, slots, cells, refused)
		if refused > 0.001 {
			t.Errorf("%d a second: %.5f of newcomers are refused", perSecond, refused)
		}
	}
	if underRace || testing.Short() {
		return
	}
	m := memory(t, Config{Policy: perMinute, Now: newHandClock().now})
	for i := range 450_000 {
		if _, err := m.Take(t.Context(), numbered(i), 60); err != nil {
			t.Fatal(err)
		}
	}
	refused := refusedInnocents(t, m)
	t.Logf("450000 spent: %.5f refused", refused)
	if refused > 0.001 {
		t.Errorf("450000 spent: %.5f of newcomers are refused", refused)
	}
}

// TestInnocentsWhoseSetsAreFull: the overflow tells its keys apart too, and so
// do the bits in the slots.
func TestInnocentsWhoseSetsAreFull(t *testing.T) {
	m, err := build(Config{Policy: perMinute, Now: newHandClock().now}, lockBits, rowBits)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6000 { // 2,048 have a slot
		if _, err := m.Take(t.Context(), numbered(i), 60); err != nil {
			t.Fatal(err)
		}
	}
	if slots, _ := fill(m); slots < 1 {
		t.Fatalf("only %.3f of the slots were filled", slots)
	}
	// With 4,000 keys in four rows of 16,384 one newcomer in 450 has all cells taken.
	if refused := refusedInnocents(t, m); refused > 0.004 {
		t.Errorf("%.5f of newcomers are refused", refused)
	}
}

// TestMemoryIsConstantUnderTenMillionAddresses holds all that the door needs,
// three limiters and a log for each, under a flood of ten million addresses.
func TestMemoryIsConstantUnderTenMillionAddresses(t *testing.T) {
	addresses := 10_000_000
	if underRace || testing.Short() {
		addresses = 500_000
	}
	heap := func() (bytes, allocations uint64) {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc, stats.Mallocs
	}
	before, _ := heap()
	var limiters []*Memory
	var logs []*Bursts
	for _, policy := range []Policy{sixThousand, {Name: "failures", Count: 30, Per: time.Minute}, perMinute} {
		limiters = append(limiters, memory(t, Config{Policy: policy, Network: policy.Network()}))
		logs = append(logs, NewBursts(BurstLines, BurstQuiet, nil))
	}
	_, built := heap()
	for i := range addresses {
		key := numbered(i)
		if i%2 == 0 {
			key = address6(i)
		}
		which := i % 3
		if i%5 == 0 || !take(t, limiters[which], key).Allowed {
			logs[which].Refused(key)
		}
	}
	after, flooded := heap()
	t.Logf("%d addresses: %.2f MiB, %d allocations after the start", addresses, float64(after-before)/(1<<20), flooded-built)
	if after-before > 16<<20 {
		t.Errorf("%d bytes are held", after-before)
	}
	if flooded-built > 10_000 {
		t.Errorf("%d allocations", flooded-built)
	}
	runtime.KeepAlive(limiters)
	runtime.KeepAlive(logs)
}
