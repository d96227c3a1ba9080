package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"
)

// told is how a decision reads in the fields of an answer, in whole seconds.
func told(d Decision) (limit, policy, retry string) {
	up := func(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
	if !d.Allowed {
		retry = strconv.Itoa(max(1, up(d.RetryAfter)))
	}
	return fmt.Sprintf("%q;r=%d;t=%d", d.Policy, d.Remaining, up(d.Reset)), fmt.Sprintf("%q;q=%d;w=%d", d.Policy, d.Limit, up(d.Window)), retry
}

// TestFields: what a caller reads while they spend their budget.
func TestFields(t *testing.T) {
	clock := newHandClock()
	l := memory(t, Config{Policy: perMinute, Network: perMinute.Network(), Now: clock.now})
	key := address("2001:db8::1")
	expect := func(d Decision, limit, policy, retry string) {
		t.Helper()
		gotLimit, gotPolicy, gotRetry := told(d)
		if gotLimit != limit || gotPolicy != policy || gotRetry != retry {
			t.Errorf("%s | %s | %s, want %s | %s | %s", gotLimit, gotPolicy, gotRetry, limit, policy, retry)
		}
	}
	const policy = `"user";q=60;w=60`
	expect(peek(t, l, key), `"user";r=60;t=0`, policy, "")
	expect(take(t, l, key), `"user";r=59;t=1`, policy, "")
	for range 18 {
		take(t, l, key)
	}
	expect(peek(t, l, key), `"user";r=41;t=19`, policy, "")
	clock.pass(500 * time.Millisecond)
	expect(peek(t, l, key), `"user";r=41;t=19`, policy, "")
	spend(t, l, key)
	clock.pass(500 * time.Millisecond)
	expect(take(t, l, key), `"user";r=0;t=1`, policy, "") // the last: the next is back in a second
	expect(take(t, l, key), `"user";r=0;t=1`, policy, "1")
	clock.pass(999 * time.Millisecond)
	expect(take(t, l, key), `"user";r=0;t=1`, policy, "1")
	expect(Decision{}, `"";r=0;t=0`, `"";q=0;w=0`, "1")

	slow := memory(t, Config{Policy: Policy{Name: "slow", Count: 4, Per: time.Minute, Burst: 2}, Now: clock.now})
	if d, err := slow.Take(t.Context(), key, 1); err != nil || d.Remaining != 1 {
		t.Errorf("%+v %v", d, err)
	}
	clock.pass(time.Millisecond)
	d, err := slow.Take(t.Context(), key, 2)
	if err != nil {
		t.Fatal(err)
	}
	expect(d, `"slow";r=1;t=15`, `"slow";q=4;w=60`, "15")
	// Who waits as long as they were told is served.
	clock.pass(15 * time.Second)
	if d, err := slow.Take(t.Context(), key, 2); err != nil || !d.Allowed {
		t.Errorf("after Retry-After: %+v %v", d, err)
	}
}

// TestTheTighterOfTwoIsTold: of the /64 and its /48, the one with less left.
func TestTheTighterOfTwoIsTold(t *testing.T) {
	network := perMinute.Network()
	network.Count, network.Burst = 90, 90
	l := memory(t, Config{Policy: perMinute, Network: network, Now: newHandClock().now})
	for range 50 {
		take(t, l, address("2001:db8:0:1::1"))
	}
	if d := take(t, l, address("2001:db8:0:1::1")); d.Policy != "user" || d.Remaining != 9 {
		t.Errorf("%+v", d)
	}
	if d := take(t, l, address("2001:db8:0:2::1")); d.Policy != "user-network" || d.Remaining != 38 {
		t.Errorf("%+v", d)
	}
}

func TestNetworkBudget(t *testing.T) {
	got := Policy{Name: "ip", Count: 6000, Per: time.Minute, Burst: 100}.Network()
	if want := (Policy{Name: "ip-network", Count: 96_000, Per: time.Minute, Burst: 1600}); got != want {
		t.Errorf("%+v", got)
	}
}
