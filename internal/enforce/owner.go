package enforce

import (
	"context"
	"sync"
	"time"

	"stagedoor"
)

// owner is the caller whom a participant stands for.
type owner struct {
	mint      stagedoor.Mint
	principal stagedoor.Principal
	// known is false when the principal was erased: the mint is ours, and nobody
	// stands behind it.
	known bool
	// seen is when LiveKit last reported the participant; zero: never.
	seen time.Time
}

// usableUntil is when none of the participant's tokens can be used any more:
// neither those that were handed out, nor one that LiveKit refreshed.
func (o owner) usableUntil() time.Time {
	if refreshed := o.seen.Add(refreshedFor); !o.seen.IsZero() && refreshed.After(o.mint.Expires) {
		return refreshed
	}
	return o.mint.Expires
}

// owner returns whom a participant stands for; false when no token was handed
// out for it. When the database cannot be read, memory answers.
func (e *Enforcer) owner(ctx context.Context, t target) (owner, bool, error) {
	minted := target{t.room, t.identity.Minted()}
	mint, ours, err := e.People.Mint(ctx, minted.room, minted.identity)
	if err == nil && !ours {
		return owner{}, false, nil
	}
	who := owner{mint: mint}
	if err == nil {
		who.principal, who.known, err = e.People.Principal(ctx, mint.Principal)
	}
	if err != nil {
		if last, ok := e.owners.get(minted); ok {
			return last, true, nil
		}
		return owner{}, false, err
	}
	if !who.known {
		who.principal = stagedoor.Principal{Issuer: mint.Principal.Issuer, Subject: mint.Principal.Subject}
	}
	return e.owners.put(minted, who), true, nil
}

// maxOwners bounds what owners remembers: participants of the last hours.
const maxOwners = 50_000

// owners remembers whom participants stand for, for the time when the database
// cannot be read. The zero value is ready to use. Safe for concurrent use.
type owners struct {
	mu  sync.Mutex
	all map[target]owner
}

func (o *owners) get(t target) (owner, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	who, ok := o.all[t]
	return who, ok
}

// put remembers an owner and returns it with the time that it was last seen.
// When there are too many it drops any other one.
func (o *owners) put(t target, who owner) owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	if who.seen.IsZero() {
		who.seen = o.all[t].seen
	}
	if o.all == nil {
		o.all = map[target]owner{}
	}
	if _, there := o.all[t]; !there && len(o.all) >= maxOwners {
		for other := range o.all {
			delete(o.all, other)
			break
		}
	}
	o.all[t] = who
	return who
}

// of lists the participants of a principal.
func (o *owners) of(key stagedoor.PrincipalKey) []target {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []target
	for t, who := range o.all {
		if who.mint.Principal == key {
			all = append(all, t)
		}
	}
	return all
}
