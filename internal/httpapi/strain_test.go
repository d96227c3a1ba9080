package httpapi

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Many at the same moment are served, one after the other.
func TestBurstIsNoOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(1, 500, nil, callersPatience)
		var group sync.WaitGroup
		for range 19 {
			group.Go(func() {
				p, ok := c.enter(netip.Addr{})
				if !ok {
					t.Error("refused")
					return
				}
				time.Sleep(time.Millisecond)
				p.leave()
			})
		}
		group.Wait()
	})
}

// Where the queue has not been empty for a while, nobody waits long in it.
func TestStandingQueueIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(1, 31, nil, callersPatience)
		for range c.strain.few {
			p, _ := c.enter(netip.Addr{})
			p.leave()
		}
		held, _ := c.enter(netip.Addr{})
		for _, want := range []time.Duration{burst, callersPatience, callersPatience} {
			asked := time.Now()
			if _, ok := c.enter(netip.Addr{}); ok || time.Since(asked) != want {
				t.Errorf("a place: %v, after %v, not %v", ok, time.Since(asked), want)
			}
			time.Sleep(time.Millisecond)
		}
		held.leave()
		next, ok := c.enter(netip.Addr{})
		if !ok {
			t.Fatal("there is a place")
		}
		defer next.leave()
		time.Sleep(2 * calm)
		for range c.strain.few {
			asked := time.Now()
			if _, ok := c.enter(netip.Addr{}); ok || time.Since(asked) != burst {
				t.Errorf("after a calm: %v, after %v", ok, time.Since(asked))
			}
			c.strain.from = time.Now()
		}
	})
}

// The processors can be behind while places are free: a request that waits for
// nobody never shares its processor, and the others wait to be read.
func TestCallersAreRefusedWhileProcessorsAreBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var behind atomic.Bool
		h := newHarness(func(o *Options) {
			o.Limits.InFlight, o.Limits.Waiting, o.Limits.Behind = 4, 31, behind.Load
			o.StripeEvent = takesEvents
		})
		status := func(r request) int { return h.do(t, r).StatusCode }
		for range 4 * 4 {
			if got := status(request{}); got != 200 {
				t.Errorf("at ease: %d", got)
			}
		}
		event := request{path: "/webhooks/stripe", header: map[string]string{"Stripe-Signature": "x"}}
		behind.Store(true)
		for _, r := range []request{{}, event} {
			if got := status(r); got != 200 {
				t.Errorf("a burst: %d", got)
			}
		}
		time.Sleep(2 * burst)
		if got := status(event); got != 200 {
			t.Errorf("a webhook waits for no caller: %d", got)
		}
		asked := time.Now()
		if mustRefuse(t, h.do(t, request{}), 503, "unavailable"); time.Since(asked) < unhurried/2 {
			t.Errorf("refused after %v", time.Since(asked))
		}
		if got := status(request{method: "GET", path: "/healthz"}); got != 200 {
			t.Errorf("a probe: %d", got)
		}
		behind.Store(false)
		if got := status(request{}); got != 200 {
			t.Errorf("afterwards: %d", got)
		}
	})
}

// Nobody looks on while an event waits, and one that is refused comes again much later.
func TestEventsWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(func(o *Options) {
			o.Limits.InFlight, o.Limits.Waiting = 1, 500
			o.StripeEvent = func(context.Context, []byte, string) error { time.Sleep(4 * burst); return nil }
		})
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				resp := h.do(t, request{path: "/webhooks/stripe", header: map[string]string{"Stripe-Signature": "x"}})
				if resp.StatusCode != 200 {
					t.Error(resp.Status)
				}
			})
			time.Sleep(time.Millisecond) // the first is taken
		}
		group.Wait()
	})
}

// Overload is known by who asks much. What else keeps the processors busy, such
// as connections that dribble, keeps nobody out; nor does one network another.
func TestFewAreServedUnderAnybodysOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(4, 31, func() bool { return true }, callersPatience)
		ask := func(addr string) bool {
			p, ok := c.enter(netip.MustParseAddr(addr))
			if ok {
				p.leave()
			}
			return ok
		}
		for range 100 { // 60 a second
			if time.Sleep(calm / 6); !ask("192.0.2.1") {
				t.Fatal("few ask, and are refused")
			}
		}
		refused := 0
		for i := range 1000 { // 1,000 a second, and 20 of somebody else
			if time.Sleep(time.Millisecond); !ask("192.0.2.1") {
				refused++
			}
			if i%50 == 0 && !ask("198.51.100.1") {
				t.Fatalf("after %d ms: another network is refused", i)
			}
		}
		if refused < 900 {
			t.Errorf("of 1000 of one network %d were refused", refused)
		}
		refused = 0
		for i := range 1000 { // one of each
			if time.Sleep(time.Millisecond); !ask(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}).String()) {
				refused++
			}
		}
		if refused < 700 {
			t.Errorf("of 1000 of as many networks %d were refused", refused)
		}
		if len(c.strain.recent.of)+len(c.strain.before.of) > 250 {
			t.Errorf("%d and %d networks are remembered", len(c.strain.recent.of), len(c.strain.before.of))
		}
	})
}

// Whoever asks again at once is slowed down by the refusal itself, as far as there is room for it.
func TestRefusalsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := make(lull, 2)
		begun := time.Now()
		took := map[time.Duration]int{}
		for range 100 {
			l.wait()
			took[time.Since(begun)]++
			if d := time.Since(begun); d < unhurried/2 || d > unhurried*3/2 {
				t.Errorf("took %v", d)
			}
			begun = time.Now()
		}
		if len(took) < 90 {
			t.Errorf("refused together, back together: %d different pauses of 100", len(took))
		}
		var group sync.WaitGroup
		defer group.Wait()
		for range 2 {
			group.Go(l.wait)
		}
		synctest.Wait()
		if l.wait(); time.Since(begun) != 0 {
			t.Errorf("nobody has room to wait, and it took %v", time.Since(begun))
		}
	})
}
