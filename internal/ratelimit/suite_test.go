package ratelimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// handClock is a clock that a test sets.
type handClock struct{ ticks atomic.Int64 }

func newHandClock() *handClock { c := &handClock{}; c.ticks.Store(1e15); return c }

func (c *handClock) now() time.Time        { return time.UnixMicro(c.ticks.Load()) }
func (c *handClock) pass(by time.Duration) { c.ticks.Add(int64(by / time.Microsecond)) }

var perMinute = Policy{Name: "user", Count: 60, Per: time.Minute}

func address(text string) Key { return Address(netip.MustParseAddr(text)) }

func numbered(i int) Key {
	return Address(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}))
}

func take(t testing.TB, l Limiter, key Key) Decision {
	t.Helper()
	d, err := l.Take(context.Background(), key, 1)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func peek(t testing.TB, l Limiter, key Key) Decision {
	t.Helper()
	d, err := l.Peek(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// spend takes one by one until refused, and returns how many were allowed.
func spend(t testing.TB, l Limiter, key Key) int {
	t.Helper()
	for n := 0; ; n++ {
		if !take(t, l, key).Allowed {
			return n
		}
	}
}

func TestMemory(t *testing.T) {
	testLimiter(t, func(t *testing.T, config Config) Limiter { return memory(t, config) })
}

func memory(t testing.TB, config Config) *Memory {
	t.Helper()
	m, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testLimiter is what every Limiter must do, in whatever memory.
func testLimiter(t *testing.T, build func(*testing.T, Config) Limiter) {
	t.Run("DecidesAsAnExactBucketDoes", func(t *testing.T) { testExact(t, build) })
	t.Run("ARefusalCostsNothing", func(t *testing.T) { testRefusal(t, build) })
	t.Run("APeekCostsNothing", func(t *testing.T) { testPeek(t, build) })
	t.Run("ConcurrentCallersShareOneBudget", func(t *testing.T) { testConcurrent(t, build) })
	t.Run("ClockSetBackNeitherLocksNorRefills", func(t *testing.T) { testSetBack(t, build) })
	t.Run("NobodyAndImpossibleCostsAreErrors", func(t *testing.T) { testErrors(t, build) })
	t.Run("AddressesOfOneCallerAreOne", func(t *testing.T) { testAddresses(t, build) })
	t.Run("OneRefusalOfTwoChargesNeither", func(t *testing.T) { testNetwork(t, build) })
	t.Run("FailuresOfOneLeaveOthersBehindTheAddressAlone", func(t *testing.T) { testFailures(t, build) })
}

// bucket is the exact limiter that a Limiter is compared with: it fills up
// unit by unit, where a Limiter counts back from the time when it is full.
type bucket struct {
	policy Policy
	burst  int64
	level  int64 // in units / per
	at     int64
}

func (b *bucket) take(now, cost int64) (allowed bool, remaining int, retry time.Duration) {
	per, count := b.policy.Per.Microseconds(), int64(b.policy.Count)
	b.level = min(b.burst*per, b.level+(now-b.at)*count)
	b.at = now
	if b.level < cost*per {
		missing := cost*per - b.level
		return false, int(b.level / per), time.Duration((missing+count-1)/count) * time.Microsecond
	}
	b.level -= cost * per
	return true, int(b.level / per), 0
}

func testExact(t *testing.T, build func(*testing.T, Config) Limiter) {
	for _, policy := range []Policy{
		perMinute,
		{Name: "ip", Count: 6000, Per: time.Minute},
		{Name: "failures", Count: 30, Per: time.Minute, Burst: 5},
		{Name: "one", Count: 1, Per: time.Hour},
		{Name: "fast", Count: 500_000, Per: time.Second, Burst: 3},
	} {
		clock, dice := newHandClock(), rand.New(rand.NewPCG(5, uint64(policy.Count)))
		l := build(t, Config{Policy: policy, Now: clock.now})
		burst := int64(policy.Burst)
		if burst == 0 {
			burst = int64(policy.Count)
		}
		buckets := map[int]*bucket{}
		step := policy.Per.Microseconds() / int64(policy.Count)
		refused := 0
		for range 20_000 {
			who, cost := dice.IntN(20), 1+dice.Int64N(min(burst, 1+dice.Int64N(burst)))
			b := buckets[who]
			if b == nil {
				b = &bucket{policy: policy, burst: burst, level: burst * policy.Per.Microseconds(), at: clock.ticks.Load()}
				buckets[who] = b
			}
			allowed, remaining, retry := b.take(clock.ticks.Load(), cost)
			d, err := l.Take(context.Background(), numbered(who), int(cost))
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed != allowed || d.Remaining != remaining || d.RetryAfter != retry {
				t.Fatalf("%s: cost %d: %+v, exactly %v %d %v", policy.Name, cost, d, allowed, remaining, retry)
			}
			if !allowed {
				refused++
			}
			clock.ticks.Add(dice.Int64N(1 + step*burst/3*dice.Int64N(2) + step/3))
		}
		if refused < 100 || refused > 19_900 {
			t.Errorf("%s: %d of 20000 refused: nothing was tried", policy.Name, refused)
		}
	}
}

func testRefusal(t *testing.T, build func(*testing.T, Config) Limiter) {
	clock := newHandClock()
	l := build(t, Config{Policy: perMinute, Now: clock.now})
	key := address("192.0.2.1")
	if n := spend(t, l, key); n != 60 {
		t.Fatalf("a burst of %d", n)
	}
	for range 1000 {
		take(t, l, key)
	}
	clock.pass(time.Second - time.Microsecond)
	if d := take(t, l, key); d.Allowed || d.RetryAfter != time.Microsecond {
		t.Errorf("one tick early: %+v", d)
	}
	clock.pass(time.Microsecond)
	if n := spend(t, l, key); n != 1 {
		t.Errorf("after a second %d came back", n)
	}
	clock.pass(time.Hour)
	if n := spend(t, l, key); n != 60 {
		t.Errorf("after an hour %d came back", n)
	}
}

func testPeek(t *testing.T, build func(*testing.T, Config) Limiter) {
	clock := newHandClock()
	l := build(t, Config{Policy: perMinute, Network: perMinute.Network(), Now: clock.now})
	for _, key := range []Key{address("192.0.2.1"), address("2001:db8::1"), Principal("https://issuer", "ann")} {
		for range 100 {
			if d := peek(t, l, key); !d.Allowed || d.Remaining != 60 || d.Reset != 0 {
				t.Fatalf("%+v", d)
			}
		}
		if n := spend(t, l, key); n != 60 {
			t.Errorf("after peeks %d were left", n)
		}
		for range 100 {
			if d := peek(t, l, key); d.Allowed || d.RetryAfter != time.Second {
				t.Fatalf("%+v", d)
			}
		}
	}
}

func testConcurrent(t *testing.T, build func(*testing.T, Config) Limiter) {
	clock := newHandClock()
	policy := Policy{Name: "ip", Count: 6000, Per: time.Minute}
	l := build(t, Config{Policy: policy, Network: policy.Network(), Now: clock.now})
	for _, key := range []Key{address("192.0.2.1"), address("2001:db8::1")} {
		var allowed atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 2000 {
					if d, err := l.Take(context.Background(), key, 1); err == nil && d.Allowed {
						allowed.Add(1)
					}
				}
			})
		}
		all.Wait()
		if n := allowed.Load(); n != 6000 {
			t.Errorf("%d of 6000 were allowed", n)
		}
	}
}

func testSetBack(t *testing.T, build func(*testing.T, Config) Limiter) {
	for _, back := range []time.Duration{time.Millisecond, time.Second, time.Hour, 100_000 * time.Hour} {
		clock := newHandClock()
		l := build(t, Config{Policy: perMinute, Now: clock.now})
		key, other := address("192.0.2.1"), address("192.0.2.2")
		clock.pass(10 * time.Minute)
		spend(t, l, key)
		clock.pass(-back)
		if d := take(t, l, key); d.Allowed || d.RetryAfter > time.Second {
			t.Errorf("set back by %v: %+v", back, d)
		}
		if d := take(t, l, other); !d.Allowed || d.Remaining != 59 {
			t.Errorf("set back by %v: somebody new: %+v", back, d)
		}
		// A short set-back may be waited for.
		clock.pass(5*time.Second + 10*time.Millisecond)
		if n := spend(t, l, key); n != 5 {
			t.Errorf("set back by %v, in five seconds %d came back", back, n)
		}
		clock.pass(back) // and where it was set right again, only time is gained
		if n := spend(t, l, key); n > int(min(60, back/time.Second)) {
			t.Errorf("set right by %v: %d", back, n)
		}
	}
}

func testErrors(t *testing.T, build func(*testing.T, Config) Limiter) {
	l := build(t, Config{Policy: Policy{Name: "x", Count: 60, Per: time.Minute, Burst: 10}})
	ctx, key := context.Background(), address("192.0.2.1")
	for _, nobody := range []Key{{}, Principal("", "ann"), Principal("https://issuer", "")} {
		if d, err := l.Take(ctx, nobody, 1); !errors.Is(err, ErrKey) || d.Allowed {
			t.Errorf("nobody: %+v %v", d, err)
		}
		if d, err := l.Peek(ctx, nobody); !errors.Is(err, ErrKey) || d.Allowed {
			t.Errorf("nobody: %+v %v", d, err)
		}
	}
	for _, cost := range []int{-1 << 62, -1, 0, 11, 1 << 62} {
		if d, err := l.Take(ctx, key, cost); !errors.Is(err, ErrCost) || d.Allowed {
			t.Errorf("cost %d: %+v %v", cost, d, err)
		}
	}
	if d, err := l.Take(ctx, key, 10); err != nil || !d.Allowed || d.Remaining != 0 {
		t.Errorf("the whole burst: %+v %v", d, err)
	}
}
