package ratelimit

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

var sixThousand = Policy{Name: "ip", Count: 6000, Per: perMinute.Per}

func benchmark(b *testing.B, key func(i uint64) Key) {
	m := memory(b, Config{Policy: sixThousand, Network: sixThousand.Network()})
	ctx := context.Background()
	b.ReportAllocs()
	var worker atomic.Uint64
	b.RunParallel(func(p *testing.PB) {
		i := worker.Add(1) << 32
		for p.Next() {
			i++
			if _, err := m.Take(ctx, key(i), 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func scattered(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 >> 32 }

// One address, over its limit all the time.
func BenchmarkTakeOneAddress(b *testing.B) { benchmark(b, func(uint64) Key { return numbered(1) }) }

// 65,536 addresses.
func BenchmarkTakeIPv4(b *testing.B) {
	benchmark(b, func(i uint64) Key { return numbered(int(scattered(i) & 0xffff)) })
}

// Ever new addresses.
func BenchmarkTakeFlood(b *testing.B) {
	benchmark(b, func(i uint64) Key { return numbered(int(scattered(i))) })
}

// 65,536 networks of /64, each charged with its /48.
func BenchmarkTakeIPv6(b *testing.B) {
	benchmark(b, func(i uint64) Key { return address6(int(scattered(i) & 0xffff)) })
}

func BenchmarkTakePrincipal(b *testing.B) {
	var keys [4096]Key
	for i := range keys {
		keys[i] = Principal("https://issuer.example.com/realms/main", string(rune('a'+i%26))+"-0d9f8a7c-1b2c-4d3e-9f00-aabbccddeeff")
	}
	benchmark(b, func(i uint64) Key { return keys[i%4096] })
}

func BenchmarkPeek(b *testing.B) {
	m := memory(b, Config{Policy: sixThousand})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Peek(context.Background(), numbered(1)); err != nil {
			b.Fatal(err)
		}
	}
}

// A full Bursts under a flood from ever new addresses.
func BenchmarkBurstsFlood(b *testing.B) {
	bursts := NewBursts(BurstLines, BurstQuiet, nil)
	b.ReportAllocs()
	for b.Loop() {
		bursts.Refused(numbered(int(rand.Uint32())))
	}
}
