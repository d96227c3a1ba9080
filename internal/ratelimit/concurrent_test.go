package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestConcurrentFloodCannotGainInTheOverflow has keys that share cells charged
// at the same time by all.
func TestConcurrentFloodCannotGainInTheOverflow(t *testing.T) {
	clock := newHandClock()
	policy := Policy{Name: "x", Count: 5, Per: time.Minute}
	m, err := build(Config{Policy: policy, Network: policy.Network(), Now: clock.now}, lockBits, 12)
	if err != nil {
		t.Fatal(err)
	}
	const keys = 6000
	var allowed [keys]atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 8 * keys {
				if d, err := m.Take(context.Background(), address6(i%keys), 1); err == nil && d.Allowed {
					allowed[i%keys].Add(1)
				}
			}
		})
	}
	all.Wait()
	total := int64(0)
	for i := range allowed {
		n := allowed[i].Load()
		total += n
		if n > 5 {
			t.Fatalf("key %d was allowed %d of 5", i, n)
		}
	}
	if _, cells := fill(m); cells < 0.3 || total < keys {
		t.Errorf("%.2f of the overflow in use, %d allowed: nothing was tried", cells, total)
	}
}

// TestCallersDoNotWaitForEachOther finds two addresses, each of which has its
// network under the other's lock, and lets them come at once.
func TestCallersDoNotWaitForEachOther(t *testing.T) {
	m := memory(t, Config{Policy: sixThousand, Network: sixThousand.Network()})
	seen := map[[2]int]Key{}
	var pair [2]Key
	for i := 0; pair[0] == (Key{}); i++ {
		key := address6(i)
		around, _ := key.around()
		own, wide := m.table.lockOf(key.hash(m.table.seed)), m.table.lockOf(around.hash(m.table.seed))
		if other, ok := seen[[2]int{wide, own}]; ok && own != wide {
			pair = [2]Key{key, other}
		}
		seen[[2]int{own, wide}] = key
	}
	done := make(chan struct{})
	go func() {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 50_000 {
					_, _ = m.Take(context.Background(), pair[i%2], 1)
				}
			})
		}
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("they wait for each other")
	}
}
