//go:build !race

package ratelimit

import "testing"

// TestNoAllocation: a flood makes no garbage. The race detector makes some of its
// own, so that make test runs this without it.
func TestNoAllocation(t *testing.T) {
	m := memory(t, Config{Policy: sixThousand, Network: sixThousand.Network()})
	b := NewBursts(4, BurstQuiet, nil)
	for name, key := range map[string]Key{
		"IPv4": address("192.0.2.1"), "IPv6": address("2001:db8::1"), "principal": Principal("https://issuer", "ann"), "unknown": addressText(""),
	} {
		n := testing.AllocsPerRun(100, func() {
			_, _ = m.Take(t.Context(), key, 1)
			_, _ = m.Peek(t.Context(), key)
			b.Refused(key)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
