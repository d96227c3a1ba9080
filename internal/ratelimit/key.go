package ratelimit

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
)

// kind keeps keys of different worlds apart.
type kind byte

const (
	nobody kind = iota
	unknown
	ipv4
	ipv6Net64
	ipv6Net48
	principal
)

// Key is whom to limit. The zero value is nobody and is refused. Comparable.
type Key struct {
	kind            kind
	network         uint64
	issuer, subject string
}

// Address is the key of a client's address: IPv4 whole; IPv6 its /64, which is
// what one household or one server has for itself, and with it the /48 around
// it where the limiter has a policy for networks. IPv4 in IPv6's clothes
// (::ffff:192.0.2.1) is IPv4, and zones do not count. The zero address stands
// for all callers whose address is not known: they share one key.
//
// SPEC: RFC 4291 §2.5.1 (interface identifiers have 64 bits), §2.5.5.2
// (mapped addresses); RFC 6177 (an end site has a /48 to a /64).
func Address(addr netip.Addr) Key {
	addr = addr.Unmap()
	switch {
	case addr.Is4():
		four := addr.As4()
		return Key{kind: ipv4, network: uint64(binary.BigEndian.Uint32(four[:]))}
	case addr.Is6():
		sixteen := addr.As16()
		return Key{kind: ipv6Net64, network: binary.BigEndian.Uint64(sixteen[:8])}
	default:
		return Key{kind: unknown}
	}
}

// Principal is the key of a verified caller, on whatever address or device.
// Without an issuer or a subject it is the zero Key.
func Principal(issuer, subject string) Key {
	if issuer == "" || subject == "" {
		return Key{}
	}
	return Key{kind: principal, issuer: issuer, subject: subject}
}

// around is the /48 of an IPv6 address.
func (k Key) around() (network Key, ok bool) {
	return Key{kind: ipv6Net48, network: k.network >> 16 << 16}, k.kind == ipv6Net64
}

// hash is the key under a seed. The seed is random and never leaves the
// process, and maphash is made for adversaries who choose what is hashed:
// nobody can look for two keys that share a place beforehand.
func (k Key) hash(seed maphash.Seed) uint64 {
	var head [9]byte
	head[0] = byte(k.kind)
	if k.kind != principal {
		binary.BigEndian.PutUint64(head[1:], k.network)
		return maphash.Bytes(seed, head[:])
	}
	// The issuer's length comes first: ("a", "bc") is not ("ab", "c").
	binary.BigEndian.PutUint64(head[1:], uint64(len(k.issuer)))
	var h maphash.Hash
	h.SetSeed(seed)
	h.Write(head[:])
	h.WriteString(k.issuer)
	h.WriteString(k.subject)
	return h.Sum64()
}
