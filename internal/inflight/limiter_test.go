package inflight

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// address returns one of many addresses, each of another network.
func address(i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255))
}

func mustAcquire(t *testing.T, l *Limiter, addr netip.Addr) *Slot {
	t.Helper()
	s, err := l.Acquire(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// empty fails the test unless every place is free.
func empty(t *testing.T, l *Limiter) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running != 0 || l.admitted != 0 || len(l.byNetwork) != 0 || l.arriving.Len() != 0 || l.returning.Len() != 0 {
		t.Errorf("%d run, %d are admitted, networks %v, %d and %d wait", l.running, l.admitted, l.byNetwork,
			l.arriving.Len(), l.returning.Len())
	}
}

func TestAcquire_CrowdIsServedInTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Running: 1, Waiting: 1000, QueueTimeout: 5 * time.Second})
		first := mustAcquire(t, l, address(0))
		var mu sync.Mutex
		var served []int
		for i := range 500 {
			go func() {
				s := mustAcquire(t, l, address(i))
				mu.Lock()
				served = append(served, i)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				s.Release()
			}()
			synctest.Wait()
		}
		first.Release()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(served) != 500 || !slices.IsSorted(served) {
			t.Errorf("%d served, in order: %v", len(served), slices.IsSorted(served))
		}
		empty(t, l)
	})
}

func TestAcquire_RefusesAfterTheQueueTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Running: 1, Waiting: 10, QueueTimeout: 5 * time.Second})
		running := mustAcquire(t, l, address(0))
		began := time.Now()
		_, err := l.Acquire(t.Context(), address(1))
		var refused *Refused
		if !errors.As(err, &refused) || refused.RetryAfter != 5*time.Second || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		running.Release()
		empty(t, l)
	})
}

func TestAcquire_CallerWhoLeavesGivesThePlaceUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Running: 1, Waiting: 1, QueueTimeout: 5 * time.Second})
		running := mustAcquire(t, l, address(0))
		ctx, leave := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); leave() }()
		if _, err := l.Acquire(ctx, address(1)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go func() { time.Sleep(time.Second); running.Release() }()
		mustAcquire(t, l, address(2)).Release()
		empty(t, l)
	})
}

func TestAcquire_FullQueueRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Running: 1, Waiting: 3, QueueTimeout: 5 * time.Second})
		running := mustAcquire(t, l, address(0))
		for i := range 3 {
			go func() { mustAcquire(t, l, address(1+i)).Release() }()
		}
		synctest.Wait()
		began := time.Now()
		_, err := l.Acquire(t.Context(), address(9))
		var refused *Refused
		if !errors.As(err, &refused) || refused.RetryAfter != time.Second || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		running.Release()
		synctest.Wait()
		empty(t, l)
	})
}

// Offered is twice the capacity of 100 a second: the queue fills up to what is
// served within the timeout, and whoever comes then is refused at once.
func TestAcquire_SustainedOverloadRefusesAtArrivalAndKeepsTheGoodput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Running: 1, Waiting: 100_000, QueueTimeout: 5 * time.Second})
		const seconds = 30
		var served, late, refusedAtOnce atomic.Int64
		var longest atomic.Int64
		for i := range seconds * 200 {
			go func() {
				began := time.Now()
				s, err := l.Acquire(t.Context(), address(i))
				switch waited := time.Since(began); {
				case err == nil:
					longest.Store(max(longest.Load(), int64(waited)))
					time.Sleep(10 * time.Millisecond)
					s.Release()
					served.Add(1)
				case waited == 0:
					refusedAtOnce.Add(1)
				default:
					late.Add(1)
				}
			}()
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if served.Load() < seconds*100 || late.Load() > 0 || refusedAtOnce.Load() == 0 {
			t.Errorf("%d served, %d refused at once, %d after a wait", served.Load(), refusedAtOnce.Load(), late.Load())
		}
		if wait := time.Duration(longest.Load()); wait > 5*time.Second {
			t.Errorf("the longest wait of a served request was %v", wait)
		}
		empty(t, l)
	})
}

// A quiet time before a crowd says nothing of how fast the queue drains.
func TestAcquire_CrowdAfterAQuietTimeIsNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Running: 1, Waiting: 1000, QueueTimeout: 5 * time.Second})
		for range 3 {
			var group sync.WaitGroup
			for i := range 400 {
				group.Go(func() {
					s := mustAcquire(t, l, address(i))
					time.Sleep(10 * time.Millisecond)
					s.Release()
				})
			}
			group.Wait()
			time.Sleep(time.Hour)
		}
		empty(t, l)
	})
}

func TestAcquire_OneNetworkIsLimitedOnlyWhenHalfOfThePlacesAreTaken(t *testing.T) {
	for one, same := range map[string]string{
		"192.0.2.1": "::ffff:192.0.2.1", "2001:db8:1:2::1": "2001:db8:1:ffff::9", "fe80::1%eth0": "fe80::2%eth1",
	} {
		l := New(Options{Running: 80, Waiting: 80, QueueTimeout: time.Second})
		for range 80 {
			mustAcquire(t, l, netip.MustParseAddr(one))
		}
		if _, err := l.Acquire(t.Context(), netip.MustParseAddr(same)); err == nil {
			t.Errorf("%s has half of all places, and %s of the same network gets one more", one, same)
		}
		l.mu.Lock()
		l.running = 0 // the slots do not matter here
		l.mu.Unlock()
		for range 20 {
			mustAcquire(t, l, address(1))
		}
		if _, err := l.Acquire(t.Context(), address(1)); err == nil {
			t.Error("another network has more than its share")
		}
		mustAcquire(t, l, address(2))
	}
}

func TestYield_LetsAnotherRunAndComesBackBeforeTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Running: 1, Waiting: 10, QueueTimeout: 5 * time.Second})
		ctx := WithSlot(t.Context(), mustAcquire(t, l, address(0)))
		resume := Yield(ctx)
		other := mustAcquire(t, l, address(1))
		var order []string
		go func() {
			s := mustAcquire(t, l, address(2))
			order = append(order, "arrived")
			s.Release()
		}()
		synctest.Wait()
		go func() {
			resume()
			order = append(order, "resumed")
			ctx.Value(slotKey{}).(*Slot).Release()
		}()
		synctest.Wait()
		other.Release()
		synctest.Wait()
		if fmt.Sprint(order) != "[resumed arrived]" {
			t.Error(order)
		}
		empty(t, l)
	})
}

func TestYield_OfARequestThatEndsGivesUpWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Running: 1, Waiting: 10, QueueTimeout: 5 * time.Second})
		slot := mustAcquire(t, l, address(0))
		ctx, end := context.WithCancel(t.Context())
		resume := slot.Yield(ctx)
		other := mustAcquire(t, l, address(1))
		end()
		resume()
		slot.Release()
		other.Release()
		empty(t, l)
		Yield(context.Background())() // without a slot
	})
}

func TestSlots_NoneIsLostWhateverIsYieldedAndReleasedWhen(t *testing.T) {
	l := New(Options{Running: 4, Waiting: 124, QueueTimeout: time.Minute})
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			for range 50 {
				s, err := l.Acquire(t.Context(), netip.Addr{})
				if err != nil {
					time.Sleep(10 * time.Microsecond)
					continue
				}
				resume, nothing := s.Yield(t.Context()), s.Yield(t.Context())
				group.Go(func() { s.Yield(t.Context())() }) // work that outlives the request
				resume()
				nothing()
				s.Release()
				s.Release()
				s.Yield(t.Context())()
			}
		})
	}
	group.Wait()
	empty(t, l)
}
