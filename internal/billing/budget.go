package billing

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stagedoor"
)

// How many requests go to Stripe. The rate leaves the account's other software
// ten of the 25 a second that Stripe grants a sandbox, and each endpoint in live
// mode. The burst is what 40 people in calls need at once; Stripe limits by token
// buckets too, and where its own is smaller, its answers lower ours.
//
// SPEC: docs.stripe.com/rate-limits; stripe.com/blog/rate-limiters.
const (
	budgetRate  = 15
	budgetBurst = 40
	// joinShare gives every third request to a waiting join while requests for
	// people in calls wait too.
	joinShare = 3
	// learnEvery is how long Stripe must take everything before the budget grows again.
	learnEvery = time.Minute
)

// budget says when a request may go to Stripe: those of the highest priority
// first. The burst is kept for people in calls and for joins: anything else goes
// only while it is whole. Safe for concurrent use.
type budget struct {
	mu      sync.Mutex
	limit   *rate.Limiter
	waiting [stagedoor.PriorityInCall + 1][]chan struct{}
	// passedBy counts requests for people in calls since the last one of a join.
	passedBy int
	timer    *time.Timer
	learntAt time.Time
}

func newBudget() *budget {
	return &budget{limit: rate.NewLimiter(budgetRate, budgetBurst)}
}

// wait returns when a request of the context's priority may go. Errors: the
// context's.
func (b *budget) wait(ctx context.Context) error {
	priority, turn := priorityOf(ctx), make(chan struct{})
	b.mu.Lock()
	b.waiting[priority] = append(b.waiting[priority], turn)
	b.grant()
	b.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := func(other chan struct{}) bool { return other == turn }
	b.waiting[priority] = slices.DeleteFunc(b.waiting[priority], gone)
	return ctx.Err()
}

// grant lets go whoever may go now, and comes back when the next may. The
// caller holds mu.
func (b *budget) grant() {
	if b.timer != nil {
		b.timer.Stop()
	}
	for {
		priority, ok := b.next()
		if !ok {
			return
		}
		need := 1.0
		if priority < stagedoor.PriorityJoin {
			need = float64(b.limit.Burst())
		}
		now := time.Now()
		missing := need - b.limit.TokensAt(now)
		if missing > 1e-3 || !b.limit.AllowN(now, 1) {
			wait := time.Duration(max(missing, 1e-3) / float64(b.limit.Limit()) * float64(time.Second))
			b.timer = time.AfterFunc(wait, func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.grant()
			})
			return
		}
		close(b.waiting[priority][0])
		b.waiting[priority] = b.waiting[priority][1:]
		b.passedBy++
		if priority != stagedoor.PriorityInCall {
			b.passedBy = 0
		}
	}
}

// next is the priority whose turn it is; false when nobody waits.
func (b *budget) next() (stagedoor.Priority, bool) {
	if len(b.waiting[stagedoor.PriorityJoin]) > 0 && b.passedBy >= joinShare-1 {
		return stagedoor.PriorityJoin, true
	}
	for priority := stagedoor.PriorityInCall; priority >= stagedoor.PriorityRest; priority-- {
		if len(b.waiting[priority]) > 0 {
			return priority, true
		}
	}
	return 0, false
}

// lower is told that Stripe refused a request as one too many. Stripe's own
// bucket is empty then, and so becomes ours: first the burst is halved, and the
// rate when that was not enough. Refusals within a second count once.
func (b *budget) lower() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if !b.learntAt.IsZero() && now.Sub(b.learntAt) < time.Second {
		return
	}
	b.learntAt = now
	if b.limit.Burst() > 1 {
		b.limit.SetBurstAt(now, b.limit.Burst()/2)
	} else {
		b.limit.SetLimitAt(now, max(b.limit.Limit()/2, 1))
	}
	b.limit.AllowN(now, int(b.limit.TokensAt(now)))
}

// raise is told that Stripe answered: after a minute without refusals the budget
// doubles until it is whole again.
func (b *budget) raise() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.learntAt.IsZero() || now.Sub(b.learntAt) < learnEvery {
		return
	}
	b.learntAt = now
	b.limit.SetLimitAt(now, min(b.limit.Limit()*2, budgetRate))
	b.limit.SetBurstAt(now, min(b.limit.Burst()*2, budgetBurst))
	if b.limit.Limit() == budgetRate && b.limit.Burst() == budgetBurst {
		b.learntAt = time.Time{}
	}
}

type priorityKey struct{}

// withPriority returns a context whose requests to Stripe have a priority.
func withPriority(ctx context.Context, p stagedoor.Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// priorityOf is a context's priority; PriorityRest where it has none.
func priorityOf(ctx context.Context) stagedoor.Priority {
	p, _ := ctx.Value(priorityKey{}).(stagedoor.Priority)
	return p
}
