package stagedoor

import "context"

// placeKey is where a context carries what gives a request's place away.
type placeKey struct{}

// WithPlace tells those who serve a request how its place among those that are
// worked on is given away while it waits, and how it is taken again. give may
// be called at any time, from any goroutine, also when the request is over.
func WithPlace(ctx context.Context, give func() (take func())) context.Context {
	return context.WithValue(ctx, placeKey{}, give)
}

// Waiting is called before a wait for somebody outside (the rest of a body, an
// issuer, Stripe, LiveKit), and what it returns after it: meanwhile another
// request may be worked on, so that one who answers slowly, or a caller who
// sends slowly, keeps nobody out. It may be called with every context; the
// returned function is never nil and may wait for a place.
func Waiting(ctx context.Context) (over func()) {
	if give, ok := ctx.Value(placeKey{}).(func() func()); ok {
		return give()
	}
	return func() {}
}
