package enforce

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stagedoor"
)

// book keeps bans in memory, as a database that two processes share would.
type book struct {
	mu      sync.Mutex
	bans    []stagedoor.Ban
	version int64
	err     error
}

func (b *book) Bans(context.Context) ([]stagedoor.Ban, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.bans), b.err
}

func (b *book) BansVersion(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.version, b.err
}

func (b *book) AddBan(_ context.Context, ban stagedoor.Ban) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.bans = append(b.bans, ban)
		b.version++
	}
	return b.err
}

func (b *book) RemoveBan(_ context.Context, id string) (stagedoor.Ban, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, ban := range b.bans {
		if ban.ID == id {
			b.bans = slices.Delete(b.bans, i, i+1)
			b.version++
			return ban, true, nil
		}
	}
	return stagedoor.Ban{}, false, b.err
}

func TestBans(t *testing.T) {
	clock := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	var told []stagedoor.PrincipalKey
	kept := &book{}
	bans, err := LoadBans(t.Context(), kept, func() time.Time { return clock }, slog.New(slog.DiscardHandler),
		func(_ context.Context, keys []stagedoor.PrincipalKey) { told = append(told, keys...) })
	if err != nil {
		t.Fatal(err)
	}
	person := stagedoor.Principal{Issuer: "i", Subject: "ann", Handle: "any-device"}
	banned := func(room stagedoor.Room) bool {
		err := bans.Check(person, room)
		if err != nil && (stagedoor.KindOf(err) != stagedoor.Banned || strings.Contains(err.Error(), "spam")) {
			t.Errorf("refused with %v", err)
		}
		return err != nil
	}
	one, err := bans.Add(t.Context(), stagedoor.Ban{Principal: ann, Room: "red", Until: clock.Add(time.Hour), Reason: "spam"})
	if err != nil || !banned("red") || banned("blue") || len(told) != 1 {
		t.Fatalf("%v red %v blue %v told %v", err, banned("red"), banned("blue"), told)
	}
	if bans.Check(stagedoor.Principal{Issuer: "other", Subject: "ann"}, "red") != nil {
		t.Error("TestBanOfOneIssuersSubjectSparesTheOthers")
	}
	clock = clock.Add(time.Hour)
	if banned("red") || len(bans.List(ann)) != 0 {
		t.Error("the ban did not end")
	}
	all, _ := bans.Add(t.Context(), stagedoor.Ban{Principal: ann})
	if !banned("red") || !banned("blue") || len(bans.List(stagedoor.PrincipalKey{})) != 1 {
		t.Error("a ban of every room")
	}
	if _, ok, err := bans.Remove(t.Context(), all.ID); !ok || err != nil || banned("blue") {
		t.Error("not lifted")
	}
	if _, ok, _ := bans.Remove(t.Context(), "ban_x"); ok {
		t.Error("lifted what was not there")
	}
	kept.err = errors.New("disk full")
	if _, err := bans.Add(t.Context(), stagedoor.Ban{Principal: ann}); err == nil || banned("red") {
		t.Error("a ban that is not kept must not be said to be in force")
	}
	if _, err := LoadBans(t.Context(), kept, time.Now, slog.New(slog.DiscardHandler), nil); err == nil {
		t.Error("TestDoorWithoutItsBansDoesNotOpen")
	}
	_ = one
}

func TestBanOfAnotherProcessIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &book{bans: []stagedoor.Ban{{ID: "ban_old", Principal: ann, Room: "old"}}}
		told := make(chan []stagedoor.PrincipalKey, 9)
		bans, err := LoadBans(t.Context(), kept, time.Now, slog.New(slog.DiscardHandler), func(_ context.Context, keys []stagedoor.PrincipalKey) { told <- keys })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go bans.Run(ctx)
		bob := stagedoor.PrincipalKey{Issuer: "i", Subject: "bob"}
		_ = kept.AddBan(t.Context(), stagedoor.Ban{ID: "ban_new", Principal: bob})
		time.Sleep(reloadEvery + time.Millisecond)
		synctest.Wait()
		if keys := <-told; len(keys) != 1 || keys[0] != bob {
			t.Errorf("told of %v", keys)
		}
		if bans.Check(stagedoor.Principal{Issuer: "i", Subject: "bob"}, "r") == nil || len(told) != 0 {
			t.Error("not in force")
		}
		cancel()
	})
}
