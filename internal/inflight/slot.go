package inflight

import (
	"context"
	"net/netip"
	"sync"
)

// Slot is the right of one request to run. Safe for concurrent use: work that a
// request began may outlive it.
type Slot struct {
	limiter *Limiter
	network netip.Prefix

	mu sync.Mutex
	// yielded is set while another request may run, released for good.
	yielded, released bool
}

// Yield gives the slot up until resume is called, which waits for a slot again,
// at most until ctx ends; the request then goes on without one. A slot that is
// yielded or released already stays so, and resume does nothing.
func (s *Slot) Yield(ctx context.Context) (resume func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.yielded || s.released {
		return func() {}
	}
	s.yielded = true
	s.limiter.mu.Lock()
	s.limiter.handOn()
	s.limiter.mu.Unlock()
	return sync.OnceFunc(func() { s.reacquire(ctx) })
}

// reacquire waits for a slot ahead of the requests that have not begun.
func (s *Slot) reacquire(ctx context.Context) {
	l := s.limiter
	l.mu.Lock()
	if l.running < l.o.Running {
		l.running++
		l.mu.Unlock()
		s.resumed()
		return
	}
	granted := make(chan struct{})
	place := l.returning.PushBack(granted)
	l.mu.Unlock()
	select {
	case <-granted:
		s.resumed()
		return
	case <-ctx.Done():
	}
	l.mu.Lock()
	select {
	case <-granted: // in the same moment
		l.mu.Unlock()
		s.resumed()
	default:
		l.returning.Remove(place)
		l.mu.Unlock()
	}
}

// resumed takes a slot over, or hands it on when the request has ended meanwhile.
func (s *Slot) resumed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.released {
		s.yielded = false
		return
	}
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	s.limiter.handOn()
}

// Release ends the request. It may be called again.
func (s *Slot) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return
	}
	s.released = true
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	s.limiter.dismiss(s.network)
	if !s.yielded {
		s.limiter.handOn()
	}
}

// slotKey is where a context carries a request's Slot.
type slotKey struct{}

// WithSlot returns a context that carries a request's slot to Yield.
func WithSlot(ctx context.Context, s *Slot) context.Context {
	return context.WithValue(ctx, slotKey{}, s)
}

// Yield is called before a wait for somebody else, and resume after it:
// meanwhile another request may run. It may be called with every context;
// without a slot it does nothing.
func Yield(ctx context.Context) (resume func()) {
	if s, ok := ctx.Value(slotKey{}).(*Slot); ok {
		return s.Yield(ctx)
	}
	return func() {}
}
