package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"testing"
)

// FuzzAddress: every spelling of an address is one caller, and every other
// network another.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"", "unknown", "192.0.2.1", "255.255.255.255", "0.0.0.0", "::", "::1", "::ffff:192.0.2.1", "::ffff:192.0.2.1%eth0",
		"::192.0.2.1", "fe80::1%eth0", "fe80::1%", "2001:db8:1:2:3:4:5:6", "2001:db8::%25en0", "64:ff9b::192.0.2.1",
		"2002:c000:201::1", "192.0.2.1:80", "[::1]:80", "010.0.0.1", "1.2.3", "\x00", "ff02::1%\x00",
	} {
		f.Add(seed, "192.0.2.7")
		f.Add("2001:db8:1:2::7", seed)
	}
	seed := maphash.MakeSeed()
	f.Fuzz(func(t *testing.T, one, other string) {
		a, b := addressText(one), addressText(other)
		if a == (Key{}) {
			t.Fatal("a key that is refused")
		}
		same := network(one) == network(other)
		if (a == b) != same {
			t.Fatalf("%q and %q: one key %v, one network %v", one, other, a == b, same)
		}
		if (a.hash(seed) == b.hash(seed)) != same {
			t.Fatalf("%q and %q: one hash %v, one network %v", one, other, !same, same)
		}
		around, ok := a.around()
		if addr, err := netip.ParseAddr(one); ok != (err == nil && addr.Unmap().Is6()) {
			t.Fatalf("%q has a network around it: %v", one, ok)
		}
		if ok && around == a {
			t.Fatal("a network and the one around it have one key")
		}
		if wide, found := b.around(); ok && found {
			p, q := netip.MustParseAddr(one).WithZone(""), netip.MustParseAddr(other).WithZone("")
			within, _ := p.Prefix(48)
			if (around == wide) != within.Contains(q) {
				t.Fatalf("%q and %q: one key for the /48 %v", one, other, around == wide)
			}
		}
	})
}

// network says by way of netip's prefixes what Address says by shifting.
func network(text string) netip.Prefix {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.WithZone("").Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	prefix, _ := addr.Prefix(bits)
	return prefix
}

// addressText is the key of an address in text, or of who has none that is known.
func addressText(text string) Key {
	addr, _ := netip.ParseAddr(text)
	return Address(addr)
}
