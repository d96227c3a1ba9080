package ratelimit

import "time"

// gcra is the generic cell rate algorithm. All that is known of a key is one
// time, at which its bucket will be full again: each unit moves it by a step,
// and it may be ahead of now by at most the span. A time that has passed is the
// same as none, which is why a key may then be forgotten without a loss.
//
// SPEC: ITU-T I.371 §A.1 (virtual scheduling), with burst × step for T + τ.
type gcra struct {
	policy Policy
	burst  int64
	// step is the ticks in which one unit comes back, rounded up: a rate that
	// does not divide its time is a little stricter, never looser.
	step int64
	// span is the ticks in which all come back.
	span int64
}

func newGCRA(p Policy) (gcra, error) {
	if err := p.check(); err != nil {
		return gcra{}, err
	}
	g := gcra{policy: p, burst: int64(p.Burst)}
	if g.burst == 0 {
		g.burst = int64(p.Count)
	}
	per, count := int64(p.Per/tick), int64(p.Count)
	g.step = (per + count - 1) / count
	g.span = g.burst * g.step
	return g, nil
}

// judge says when a bucket that is full again at full would be so after cost
// units more, and whether they may be taken.
func (g *gcra) judge(now, full, cost int64) (after int64, ok bool) {
	after = max(now, full) + cost*g.step
	return after, after-now <= g.span
}

// tell is the Decision about a bucket that is full again at full.
func (g *gcra) tell(now, full int64, ok bool, cost int64) Decision {
	ahead := min(max(0, full-now), g.span)
	left := (g.span - ahead) / g.step
	d := Decision{Allowed: ok, Limit: g.policy.Count, Remaining: int(left), Policy: g.policy.Name, Window: g.policy.Per}
	wait := ahead
	switch {
	case !ok:
		wait = ahead + cost*g.step - g.span
		d.RetryAfter = time.Duration(wait) * tick
	case left == 0:
		wait = ahead + g.step - g.span
	}
	d.Reset = time.Duration(wait) * tick
	return d
}
