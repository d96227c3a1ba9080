package stagedoor

import "context"

// Limiter bounds how often a caller asks.
type Limiter interface {
	// Allow counts one request of an authenticated caller. Errors: RateLimited,
	// with RetryAfter.
	Allow(ctx context.Context, principal Principal) error
}

// Caller authenticates a caller and counts the request. Without a Limiter
// nobody asks too often. Errors: those of the Authenticator, RateLimited.
func (d *Door) Caller(ctx context.Context, credential Credential) (Principal, error) {
	principal, err := d.Authenticator.Authenticate(ctx, credential)
	if err != nil {
		return Principal{}, err
	}
	if d.Limiter != nil {
		if err := d.Limiter.Allow(ctx, principal); err != nil {
			return Principal{}, err
		}
	}
	return principal, nil
}
