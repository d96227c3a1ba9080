package ratelimit

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// testAddresses goes round the limit in one caller's other addresses.
func testAddresses(t *testing.T, build func(*testing.T, Config) Limiter) {
	for _, c := range []struct {
		name   string
		one    string
		same   []string
		others []string
	}{
		{"TestIPv6HostRotationWithinA64IsOneCaller", "2001:db8:1:2::1",
			[]string{"2001:db8:1:2::2", "2001:db8:1:2:ffff:ffff:ffff:ffff"}, []string{"2001:db8:1:3::1", "2001:db9:1:2::1", "::1"}},
		{"TestMappedAddressIsTheSameCaller", "192.0.2.1", []string{"::ffff:192.0.2.1", "::ffff:c000:201"}, []string{"192.0.2.2", "::ffff:192.0.2.2", "::192.0.2.1"}},
		{"TestZoneIsTheSameCaller", "fe80::1", []string{"fe80::1%eth0", "fe80::1%1", "fe80::2%x"}, []string{"fe80:0:0:1::1"}},
		{"TestZoneOfAMappedAddressIsTheSameCaller", "192.0.2.1", []string{"::ffff:192.0.2.1%eth0"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := build(t, Config{Policy: perMinute, Now: newHandClock().now})
			spend(t, l, address(c.one))
			for _, same := range c.same {
				if d := take(t, l, address(same)); d.Allowed {
					t.Errorf("%s goes round the limit of %s", same, c.one)
				}
			}
			for _, other := range c.others {
				if d := take(t, l, address(other)); !d.Allowed {
					t.Errorf("%s pays for %s", other, c.one)
				}
			}
		})
	}
	t.Run("TestCallersWithoutAddressShareOne", func(t *testing.T) {
		l := build(t, Config{Policy: perMinute, Now: newHandClock().now})
		spend(t, l, Address(netip.Addr{}))
		for _, text := range []string{"", "unknown", "192.0.2.256", "192.0.2.1:80", "192.0.2.010", "[::1]"} {
			if take(t, l, addressText(text)).Allowed {
				t.Errorf("%q has a budget of its own", text)
			}
		}
		if !take(t, l, addressText("192.0.2.1")).Allowed {
			t.Error("an address pays for those without one")
		}
	})
	t.Run("TestSplitNamesAreOtherCallers", func(t *testing.T) {
		l := build(t, Config{Policy: perMinute, Now: newHandClock().now})
		spend(t, l, Principal("ab", "c"))
		for _, other := range []Key{Principal("a", "bc"), Principal("abc", "c"), Principal("c", "ab"), Principal("ba", "c"), Principal("ab", "C"), Principal("ab", "c\x00")} {
			if !take(t, l, other).Allowed {
				t.Errorf("%+v pays for another", other)
			}
		}
		if take(t, l, Principal("ab", "c")).Allowed {
			t.Error("the caller does not")
		}
	})
}

// testNetwork spends a /48 by rotating through its /64.
func testNetwork(t *testing.T, build func(*testing.T, Config) Limiter) {
	clock := newHandClock()
	l := build(t, Config{Policy: perMinute, Network: perMinute.Network(), Now: clock.now})
	in := func(net int) Key { return address(fmt.Sprintf("2001:db8:5:%x::1", net*257)) }
	for range 500 { // refused by the /64: the /48 must not pay for it
		take(t, l, in(0))
	}
	allowed := 60
	for net := 1; net < 40; net++ {
		for range 40 {
			d := take(t, l, in(net))
			if d.Allowed {
				allowed++
			} else if d.Policy != "user-network" || d.Limit != 960 {
				t.Fatalf("refused by %+v", d)
			}
		}
	}
	if allowed != 960 {
		t.Errorf("the /48 was allowed %d", allowed)
	}
	// A /64 that the /48 refused has not paid: with the /48's next units it has
	// all its own.
	fresh := in(99)
	for range 100 {
		take(t, l, fresh)
	}
	clock.pass(10 * time.Second) // the /48 gets 160 back
	if n := spend(t, l, fresh); n != 60 {
		t.Errorf("a /64 had %d left after refusals by its /48", n)
	}
	if d := take(t, l, fresh); d.Allowed || d.Policy != "user" {
		t.Errorf("%+v", d)
	}
	if !take(t, l, address("2001:db8:6::1")).Allowed {
		t.Error("another /48 pays")
	}
	// Both refuse: the one to wait for is told.
	for net := 200; take(t, l, in(net)).Allowed || take(t, l, in(net+1)).Allowed; net++ {
		spend(t, l, in(net))
	}
	if d := take(t, l, fresh); d.Allowed || d.RetryAfter != time.Second || d.Policy != "user" {
		t.Errorf("refused by both: %+v", d)
	}
}

// testFailures is the office with one guesser in it.
func testFailures(t *testing.T, build func(*testing.T, Config) Limiter) {
	clock := newHandClock()
	failures := build(t, Config{Policy: Policy{Name: "failures", Count: 30, Per: time.Minute}, Now: clock.now})
	office := address("192.0.2.1")
	request := func(valid bool) int {
		if valid {
			return 200
		}
		if take(t, failures, office).Allowed {
			return 401
		}
		return 429
	}
	answers := map[int]int{}
	for i := range 100 {
		answers[request(i%2 == 0)]++
	}
	if answers[200] != 50 || answers[401] != 30 || answers[429] != 20 {
		t.Errorf("%v", answers)
	}
	if d := peek(t, failures, office); d.Allowed {
		t.Errorf("%+v", d)
	}
	clock.pass(2 * time.Second)
	if d := peek(t, failures, office); !d.Allowed || d.Remaining != 1 {
		t.Errorf("%+v", d)
	}
}

// TestFloodCannotEvictItsOwnCount floods until every slot and cell is in use,
// and looks for attackers whose count was lost.
func TestFloodCannotEvictItsOwnCount(t *testing.T) {
	clock := newHandClock()
	m := memory(t, Config{Policy: perMinute, Now: clock.now})
	const flood = 1_500_000
	ctx := context.Background()
	var attackers []Key
	for i := range 400 {
		if i == 200 { // the second half comes when most sets are full
			for j := range flood / 2 {
				_, _ = m.Take(ctx, numbered(j), 1)
			}
		}
		attackers = append(attackers, Principal("attacker", fmt.Sprint(i)))
		spend(t, m, attackers[i])
	}
	for j := range flood / 2 {
		_, _ = m.Take(ctx, numbered(flood/2+j), 1)
	}
	slots, _ := fill(m)
	if slots < 0.999 {
		t.Fatalf("only %.3f of the slots were filled", slots)
	}
	for i, key := range attackers {
		if d := take(t, m, key); d.Allowed {
			t.Fatalf("attacker %d got round: %+v", i, d)
		}
	}
	// And once the flood has passed, those that were in the overflow move into
	// slots with what they owe.
	clock.pass(20 * time.Second)
	for i, key := range attackers {
		if n := spend(t, m, key); n > 20 {
			t.Fatalf("attacker %d: %d came back in 20 s", i, n)
		}
	}
	clock.pass(time.Minute)
	if d := take(t, m, attackers[399]); d.Remaining != 59 {
		t.Errorf("after a minute: %+v", d)
	}
}

// fill is how much of the slots and of the overflow has a time to come.
func fill(m *Memory) (slots, cells float64) {
	now := m.clock.ticks()
	for _, word := range m.table.slots {
		if int64(word>>tagBits) > now {
			slots++
		}
	}
	for i := range m.table.overflow {
		if m.table.overflow[i].Load() > now {
			cells++
		}
	}
	return slots / float64(len(m.table.slots)), cells / float64(len(m.table.overflow))
}

// TestNobodyGetsMoreThanExactlyTheirs plays with many keys in a table far too
// small for them: whatever is allowed, an exact bucket would allow too.
func TestNobodyGetsMoreThanExactlyTheirs(t *testing.T) {
	clock := newHandClock()
	m, err := build(Config{Policy: perMinute, Network: perMinute.Network(), Now: clock.now}, lockBits, 5)
	if err != nil {
		t.Fatal(err)
	}
	const callers = 20_000
	buckets := make([]bucket, callers)
	for i := range buckets {
		buckets[i] = bucket{policy: perMinute, burst: 60, level: 60 * perMinute.Per.Microseconds(), at: clock.ticks.Load()}
	}
	allowed, refused := 0, 0
	state := uint64(7)
	takes := 2_000_000
	if underRace {
		takes = 400_000
	}
	for range takes {
		state = state*6364136223846793005 + 1442695040888963407
		// Few that come often among many that come seldom.
		who := int(state>>33) % (1 + int(state>>40)%callers)
		d, err := m.Take(context.Background(), address6(who), 1)
		if err != nil {
			t.Fatal(err)
		}
		if d.Allowed {
			allowed++
			if ok, _, _ := buckets[who].take(clock.ticks.Load(), 1); !ok {
				t.Fatalf("caller %d was allowed what an exact bucket refuses, after %d", who, allowed)
			}
		} else {
			refused++
		}
		clock.ticks.Add(int64(state>>50) % 200)
	}
	if allowed < 1000 || refused < 1000 {
		t.Errorf("%d allowed, %d refused: nothing was tried", allowed, refused)
	}
}

// address6 is an address in a /64 of its own, two to a /48.
func address6(i int) Key {
	return Address(netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 17), byte(i >> 9), byte(i >> 1), 0, 0, byte(i & 1)}))
}

// TestCollisionsCannotBePrepared: what shares a place in one process does not
// in another.
func TestCollisionsCannotBePrepared(t *testing.T) {
	one, two := memory(t, Config{Policy: perMinute}), memory(t, Config{Policy: perMinute})
	same := 0
	for i := range 1000 {
		for _, key := range []Key{numbered(i), Principal("issuer", fmt.Sprint(i))} {
			if key.hash(one.table.seed)>>48 == key.hash(two.table.seed)>>48 {
				same++
			}
		}
	}
	if same > 5 {
		t.Errorf("%d of 2000 keys have the same set in both", same)
	}
}

// TestRefusesToBuild: a limit that limits nothing, or cannot be told, is an error.
func TestRefusesToBuild(t *testing.T) {
	good := perMinute
	for name, spoil := range map[string]func(*Policy){
		"no rate":          func(p *Policy) { p.Count = 0 },
		"negative rate":    func(p *Policy) { p.Count = -1 },
		"huge rate":        func(p *Policy) { p.Count = MaxCount + 1 },
		"no time":          func(p *Policy) { p.Per = 0 },
		"negative time":    func(p *Policy) { p.Per = -time.Minute },
		"half a second":    func(p *Policy) { p.Per = 1500 * time.Millisecond },
		"two days":         func(p *Policy) { p.Per = 48 * time.Hour },
		"negative burst":   func(p *Policy) { p.Burst = -1 },
		"burst over count": func(p *Policy) { p.Burst = 61 },
		"no name":          func(p *Policy) { p.Name = "" },
		"header injection": func(p *Policy) { p.Name = "user\";q=1" },
		"line break":       func(p *Policy) { p.Name = "user\r\nX: y" },
		"long name":        func(p *Policy) { p.Name = "123456789012345678901234567890123" },
	} {
		bad := good
		spoil(&bad)
		if _, err := New(Config{Policy: bad}); err == nil {
			t.Errorf("%s was taken", name)
		}
		if _, err := New(Config{Policy: good, Network: bad}); err == nil {
			t.Errorf("%s was taken for networks", name)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("the zero Config was taken")
	}
	most := Policy{Name: "x", Count: MaxCount, Per: 24 * time.Hour, Burst: MaxCount}
	m, err := New(Config{Policy: most, Network: most.Network()})
	if err != nil {
		t.Fatal(err)
	}
	if d := take(t, m, address("2001:db8::1")); !d.Allowed {
		t.Errorf("%+v", d)
	}
}
