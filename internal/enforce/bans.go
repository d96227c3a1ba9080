package enforce

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"stagedoor"
)

// reloadEvery is how soon a ban set by another process counts here.
const reloadEvery = 2 * time.Second

// BanBook keeps bans.
type BanBook interface {
	Bans(ctx context.Context) ([]stagedoor.Ban, error)
	// BansVersion changes with every change of the bans, whoever made it.
	BansVersion(ctx context.Context) (int64, error)
	AddBan(ctx context.Context, b stagedoor.Ban) error
	RemoveBan(ctx context.Context, id string) (stagedoor.Ban, bool, error)
}

// Bans are all bans, in memory, so that a join asks no database about them.
// Safe for concurrent use.
type Bans struct {
	book    BanBook
	now     func() time.Time
	log     *slog.Logger
	changed func(context.Context, []stagedoor.PrincipalKey)

	// turn is held while the book is read or written, so that what was read
	// before a change does not undo it.
	turn    sync.Mutex
	mu      sync.RWMutex
	version int64
	of      map[stagedoor.PrincipalKey][]stagedoor.Ban
}

// LoadBans reads the bans. changed, which may be nil, is told whose bans are
// new. Errors are the book's: without its bans the door must not open.
func LoadBans(ctx context.Context, book BanBook, now func() time.Time, log *slog.Logger, changed func(context.Context, []stagedoor.PrincipalKey)) (*Bans, error) {
	if changed == nil {
		changed = func(context.Context, []stagedoor.PrincipalKey) {}
	}
	b := &Bans{book: book, now: now, log: log, changed: changed, version: -1}
	_, err := b.reload(ctx)
	return b, err
}

// reload reads the bans anew if they changed, and returns whose are new.
func (b *Bans) reload(ctx context.Context) ([]stagedoor.PrincipalKey, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	version, err := b.book.BansVersion(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.RLock()
	same := version == b.version
	b.mu.RUnlock()
	if same {
		return nil, nil
	}
	all, err := b.book.Bans(ctx)
	if err != nil {
		return nil, err
	}
	of := make(map[stagedoor.PrincipalKey][]stagedoor.Ban, len(all))
	known := map[string]bool{}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bans := range b.of {
		for _, ban := range bans {
			known[ban.ID] = true
		}
	}
	var fresh []stagedoor.PrincipalKey
	for _, ban := range all {
		of[ban.Principal] = append(of[ban.Principal], ban)
		if !known[ban.ID] {
			fresh = append(fresh, ban.Principal)
		}
	}
	b.of, b.version = of, version
	return fresh, nil
}

// Check refuses a principal who is kept out of the room. Errors: Banned,
// without the reason, which is for operators.
func (b *Bans) Check(p stagedoor.Principal, room stagedoor.Room) error {
	now := b.now()
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, ban := range b.of[p.Key()] {
		if !ban.Covers(p.Key(), room, now) {
			continue
		}
		where := "every room"
		if ban.Room != "" {
			where = "this room"
		}
		if ban.Until.IsZero() {
			return stagedoor.Refuse(stagedoor.Banned, "you are kept out of "+where)
		}
		return stagedoor.Refuse(stagedoor.Banned, "you are kept out of "+where+" until "+ban.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

// List returns the bans that are in force, of one principal or, for the zero
// key, of all.
func (b *Bans) List(key stagedoor.PrincipalKey) []stagedoor.Ban {
	now := b.now()
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := []stagedoor.Ban{}
	for owner, bans := range b.of {
		for _, ban := range bans {
			if (key == stagedoor.PrincipalKey{} || key == owner) && ban.Covers(owner, ban.Room, now) {
				list = append(list, ban)
			}
		}
	}
	return list
}

// Add keeps somebody out from now on, and has them put out where they are.
// It gives the ban its ID and time. Errors are the book's; then nothing is in force.
func (b *Bans) Add(ctx context.Context, ban stagedoor.Ban) (stagedoor.Ban, error) {
	ban.ID, ban.CreatedAt = "ban_"+rand.Text()[:16], b.now()
	b.turn.Lock()
	err := b.book.AddBan(ctx, ban)
	if err == nil {
		b.mu.Lock()
		b.of[ban.Principal] = append(slices.Clone(b.of[ban.Principal]), ban)
		b.mu.Unlock()
	}
	b.turn.Unlock()
	if err != nil {
		return stagedoor.Ban{}, err
	}
	b.log.Info("ban set", "id", ban.ID, "issuer", stagedoor.Printable(ban.Principal.Issuer), "subject", stagedoor.Printable(ban.Principal.Subject), "room", ban.Room, "until", ban.Until)
	b.changed(context.WithoutCancel(ctx), []stagedoor.PrincipalKey{ban.Principal})
	return ban, nil
}

// Remove lifts a ban; false when there is none of that ID. Errors are the book's.
func (b *Bans) Remove(ctx context.Context, id string) (stagedoor.Ban, bool, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	ban, ok, err := b.book.RemoveBan(ctx, id)
	if err != nil || !ok {
		return ban, ok, err
	}
	b.mu.Lock()
	b.of[ban.Principal] = slices.DeleteFunc(slices.Clone(b.of[ban.Principal]), func(other stagedoor.Ban) bool { return other.ID == id })
	b.mu.Unlock()
	b.log.Info("ban lifted", "id", ban.ID, "issuer", stagedoor.Printable(ban.Principal.Issuer), "subject", stagedoor.Printable(ban.Principal.Subject))
	return ban, true, nil
}

// Run takes over bans that other processes set, until ctx ends.
func (b *Bans) Run(ctx context.Context) {
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		fresh, err := b.reload(ctx)
		if err != nil && ctx.Err() == nil {
			b.log.Error("bans cannot be read", "err", err)
		}
		if len(fresh) > 0 {
			b.changed(ctx, fresh)
		}
	}
}
