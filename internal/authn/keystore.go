package authn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// storeTimeout bounds one read or write of a stored key set.
const storeTimeout = 2 * time.Second

// KeyStore keeps the last good key set of every issuer over a restart. It
// holds public keys alone. It must be safe for concurrent use.
type KeyStore interface {
	// LoadKeys returns the set that SaveKeys stored last for the issuer and the
	// source, and when it was fetched; a nil body when there is none.
	LoadKeys(ctx context.Context, issuer, source string) (body []byte, fetchedAt time.Time, err error)
	// SaveKeys replaces the issuer's set, whatever source it came from.
	SaveKeys(ctx context.Context, issuer, source string, body []byte, fetchedAt time.Time) error
}

// UseKeyStore takes the stored key sets of issuers, and has every good answer
// of an issuer stored from now on. A set counts for 24 hours from when it was
// fetched, as it would have without the restart. One that cannot be read, that
// is too old, that was fetched in the future by this clock or for another
// address is left alone. Call it before Run and before Authenticate.
func (a *Authenticator) UseKeyStore(ctx context.Context, store KeyStore) {
	for _, i := range a.issuers {
		if i.live != nil {
			i.live.restore(ctx, store)
		}
	}
}

// source tells an issuer's configurations apart. It is a hash, because the
// configured address may hold a key in its query.
func source(jwksURL string) string {
	sum := sha256.Sum256([]byte(jwksURL))
	return hex.EncodeToString(sum[:])
}

// restore takes the stored set if it still counts.
func (s *keySource) restore(ctx context.Context, store KeyStore) {
	s.store = store
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	body, fetchedAt, err := store.LoadKeys(ctx, s.issuer, s.source)
	if err != nil {
		s.log.Warn("load stored issuer keys failed", "issuer", s.issuer, "err", err)
		return
	}
	now := s.now()
	age := now.Sub(fetchedAt)
	if body == nil || age < 0 || age > maxStale || len(body) > maxFetchBytes {
		return
	}
	keys, err := usableKeys(body)
	if err != nil {
		s.log.Warn("stored issuer keys are unusable", "issuer", s.issuer, "err", err)
		return
	}
	// now carries the monotonic clock, so that a later step of the wall clock
	// does not change the age.
	s.current.Store(&snapshot{keys: keys, at: now.Add(-age)})
	s.log.Info("using stored issuer keys until the issuer answers", "issuer", s.issuer,
		"keys", keys.Len(), "age", age.Round(time.Second).String())
}

// save stores a good answer unless a newer one has come. A failure costs no
// caller anything now.
func (s *keySource) save(good *snapshot) {
	s.saving.Lock()
	defer s.saving.Unlock()
	if s.store == nil || s.current.Load() != good {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	body, err := good.keys.encode()
	if err == nil {
		err = s.store.SaveKeys(ctx, s.issuer, s.source, body, good.at)
	}
	if err != nil {
		s.log.Warn("store issuer keys failed, a restart while the issuer is down would refuse its callers",
			"issuer", s.issuer, "err", err)
	}
}
