package ratelimit

import (
	"context"
	"time"
)

// Sizes of a Memory: 65,536 sets of 8 slots are 4 MiB, 4 rows of 16,384 cells
// 512 KiB. Three limiters and their logs stay under 16 MiB.
const (
	setBits = 16
	rowBits = 14
)

// Config is what a Memory needs.
type Config struct {
	// Policy limits each key.
	Policy Policy
	// Network also limits all of an IPv6 /48 together, with Policy.Network() as
	// a good choice; the zero value does not. A request must be within both, and
	// one that is refused by either is charged to neither.
	Network Policy
	// Now is the clock; nil is time.Now. One that is set back is borne.
	Now func() time.Time
}

// Memory is a Limiter in the memory of this process: 4.6 MiB, always, and no
// allocation after New. Each New has a random seed of its own. The zero value
// is not usable. Safe for concurrent use.
type Memory struct {
	own, network gcra
	clock        clock
	table        table
}

// New builds a Memory. It refuses a policy whose rate is not positive, or that
// its field could not tell.
func New(config Config) (*Memory, error) { return build(config, setBits, rowBits) }

func build(config Config, setBits, rowBits int) (*Memory, error) {
	m := &Memory{}
	var err error
	if m.own, err = newGCRA(config.Policy); err != nil {
		return nil, err
	}
	if config.Network != (Policy{}) {
		if m.network, err = newGCRA(config.Network); err != nil {
			return nil, err
		}
	}
	m.clock.begin(config.Now)
	m.table.build(setBits, rowBits)
	return m, nil
}

// Take charges cost units to the key, and for IPv6 to its network too, if both
// have them. Errors: ErrKey, ErrCost; the context is not looked at.
func (m *Memory) Take(_ context.Context, key Key, cost int) (Decision, error) {
	if cost < 1 || int64(cost) > m.own.burst {
		return Decision{}, ErrCost
	}
	return m.ask(key, int64(cost), true)
}

// Peek says what Take of one unit would, and charges nothing. Errors: ErrKey.
func (m *Memory) Peek(_ context.Context, key Key) (Decision, error) {
	return m.ask(key, 1, false)
}

func (m *Memory) ask(key Key, cost int64, charge bool) (Decision, error) {
	if key.kind == nobody {
		return Decision{}, ErrKey
	}
	t := &m.table
	hash := key.hash(t.seed)
	around, ok := key.around()
	if !ok || m.network.step == 0 {
		lock := &t.locks[t.lockOf(hash)]
		lock.Lock()
		defer lock.Unlock()
		now := m.clock.ticks()
		own := consider(t, &m.own, hash, now, cost)
		return own.settle(t, charge && own.ok), nil
	}
	wide := around.hash(t.seed)
	// Always the lower number first, or two callers could wait for each other.
	first, second := t.lockOf(hash), t.lockOf(wide)
	if first > second {
		first, second = second, first
	}
	t.locks[first].Lock()
	defer t.locks[first].Unlock()
	if second != first {
		t.locks[second].Lock()
		defer t.locks[second].Unlock()
	}
	now := m.clock.ticks()
	own := consider(t, &m.own, hash, now, cost)
	network := consider(t, &m.network, wide, now, cost)
	charge = charge && own.ok && network.ok
	return tighter(own.settle(t, charge), network.settle(t, charge)), nil
}

// asked is one key of a request, looked at but not yet charged.
type asked struct {
	gcra             *gcra
	hash             uint64
	now, full, after int64
	cost             int64
	ok               bool
}

func consider(t *table, g *gcra, hash uint64, now, cost int64) asked {
	_, full := t.find(hash, now)
	after, ok := g.judge(now, full, cost)
	return asked{gcra: g, hash: hash, now: now, full: full, after: after, cost: cost, ok: ok}
}

// settle charges, if it is to, and tells.
func (a *asked) settle(t *table, charge bool) Decision {
	full := a.full
	if charge {
		full = a.after
		t.put(a.hash, a.now, full)
	}
	return a.gcra.tell(a.now, full, a.ok, a.cost)
}

// tighter is the decision that the caller must heed: the refusal or, of two
// alike, the one that leaves less.
//
// SPEC: draft-ietf-httpapi-ratelimit-headers-11 §6, the policy closest to
// exhaustion.
func tighter(own, network Decision) Decision {
	switch {
	case own.Allowed != network.Allowed:
		if own.Allowed {
			return network
		}
		return own
	case !own.Allowed && network.RetryAfter > own.RetryAfter,
		own.Allowed && network.Remaining < own.Remaining:
		return network
	default:
		return own
	}
}
