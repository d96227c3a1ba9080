package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// exec runs one statement in a transaction of its own.
func (f *fixture) exec(text string, args ...any) {
	f.t.Helper()
	f.must(f.write(f.t.Context(), retold, "prepare a test", func(t tx) error {
		_, err := t.exec(text, args...)
		return err
	}))
}

// fillMints stores n mints of a principal for rooms full-1, full-2 and so on.
func (f *fixture) fillMints(key stagedoor.PrincipalKey, n int, expires time.Time) {
	f.t.Helper()
	f.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO mints (room, identity, issuer, subject, minted_at, rights, expires_at) SELECT 'full-' || i, $3, $2, $3, $4, 1, $5 FROM n`,
		n, key.Issuer, key.Subject, millis(f.clock()), millis(expires))
}

// fillInvitations stores n invitations of the host's.
func (f *fixture) fillInvitations(n, uses int, created, expires time.Time) {
	f.t.Helper()
	f.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO invitations (id, secret, issuer, subject, room, name, publish, uses, expires_at, created_at, revoked_at)
		SELECT 'inv_' || $4 || '_' || i, $4 || '_' || i, $5, $6, 'r', '', false, $2, $4 + i, $3, 0 FROM n`,
		n, uses, millis(created), millis(expires), host.Issuer, host.Subject)
}

func (f *fixture) mustWait(err error, most time.Duration) {
	f.t.Helper()
	f.mustKind(err, stagedoor.RateLimited)
	var refused *stagedoor.Error
	if errors.As(err, &refused) && (refused.RetryAfter < time.Second || refused.RetryAfter > most) {
		f.t.Errorf("Retry-After %v, want 1s to %v", refused.RetryAfter, most)
	}
}

func (f *fixture) mint(key stagedoor.PrincipalKey, room stagedoor.Room) error {
	return f.Minted(f.t.Context(), stagedoor.Mint{Room: room, Identity: stagedoor.Identity(key.Subject), Principal: key, At: f.clock(), Expires: f.clock().Add(time.Hour)})
}

func TestMinted_RefusesACallerWithTooManyUsableTokens(t *testing.T) {
	f := newFixture(t)
	f.fillMints(ann, maxMints, f.clock().Add(30*time.Minute))
	f.mustWait(f.mint(ann, "another"), time.Hour)
	f.must(f.mint(ann, "full-7")) // has a row already
	f.must(f.mint(stagedoor.PrincipalKey{Issuer: "i", Subject: "bob"}, "another"))
	if n := f.count("SELECT COUNT(*) FROM mints WHERE subject = $1", ann.Subject); n != maxMints {
		t.Errorf("%d mints are kept", n)
	}
}

// The token of a late mint was handed out: without its mint no ban would reach it.
func TestWriteLate_IsNotBounded(t *testing.T) {
	f := newFixture(t)
	f.fillMints(ann, maxMints, f.clock().Add(time.Hour))
	m := stagedoor.Mint{Room: "late", Identity: "ann", Principal: ann, At: f.clock(), Expires: f.clock().Add(time.Minute)}
	f.must(f.writeLate(t.Context(), lateMint{mint: m, principal: stagedoor.Principal{Issuer: ann.Issuer, Subject: ann.Subject, Handle: "ann"}}))
	if f.count("SELECT COUNT(*) FROM mints WHERE room = 'late'") != 1 {
		t.Error("the mint was not stored")
	}
}

func TestMinted_DropsMintsWhoseTokensAreOver(t *testing.T) {
	f := newFixture(t)
	f.fillMints(ann, maxMints, f.clock().Add(30*time.Minute))
	in := stagedoor.Participant{Room: "full-1", Identity: "ann", SID: "PA_in", Standard: true, JoinedAt: f.clock()}
	f.must(f.Arrive(t.Context(), in)) // stays in the call
	f.pass(30*time.Minute + usableFor)
	f.mustWait(f.mint(ann, "another"), time.Hour)
	left := stagedoor.Participant{Room: "full-2", Identity: "ann", SID: "PA_left", Standard: true, JoinedAt: f.clock()}
	f.must(f.Leave(t.Context(), left, f.clock())) // may come back with a refreshed token
	f.pass(time.Second)
	f.must(f.mint(ann, "another"))
	if n := f.count("SELECT COUNT(*) FROM mints WHERE subject = $1", ann.Subject); n != maxMints-maxDropped+1 {
		t.Errorf("%d mints are kept", n)
	}
	for _, room := range []string{"full-1", "full-2", "another"} {
		if f.count("SELECT COUNT(*) FROM mints WHERE room = $1", room) != 1 {
			t.Errorf("the mint of %s is gone", room)
		}
	}
}

func TestMinted_StaysExactUnderARace(t *testing.T) {
	f := newFixture(t)
	f.fillMints(ann, maxMints-5, f.clock().Add(time.Hour))
	var group sync.WaitGroup
	f.writes.turn <- struct{}{} // so that all count before the first one writes
	for i := range 40 {
		group.Go(func() { _ = f.mint(ann, stagedoor.Room(fmt.Sprint("race-", i))) })
	}
	time.Sleep(200 * time.Millisecond)
	<-f.writes.turn
	group.Wait()
	if n := f.count("SELECT COUNT(*) FROM mints WHERE subject = $1", ann.Subject); n != maxMints {
		t.Errorf("%d mints are kept", n)
	}
}

func (f *fixture) invite(uses int, life time.Duration) error {
	_, _, err := f.AddInvitation(f.t.Context(), stagedoor.Invitation{By: host, Room: "r", Uses: uses, Expires: f.clock().Add(life)})
	return err
}

func TestAddInvitation_DropsTheOldestExpiredOne(t *testing.T) {
	f := newFixture(t)
	created := f.clock().Add(-5 * time.Hour)
	f.fillInvitations(maxInvitationsKept, 1, created, created.Add(time.Hour))
	oldest := fmt.Sprintf("inv_%d_1", millis(created.Add(time.Hour)))
	guest := stagedoor.Principal{Issuer: stagedoor.GuestIssuer, Subject: oldest + ".a", Handle: "a", IdentityPrefix: "guest", Invitation: oldest}
	_, err := f.Remember(t.Context(), guest)
	f.must(err)
	f.exec("INSERT INTO guests (invitation, subject, admitted_at) VALUES ($1, $2, 0)", oldest, guest.Subject)
	m := stagedoor.Mint{Room: "r", Identity: "guest:a", Principal: guest.Key(), At: created, Expires: created.Add(time.Hour)}
	f.must(f.Minted(t.Context(), m))
	f.must(f.Leave(t.Context(), stagedoor.Participant{Room: "r", Identity: "guest:a", SID: "PA_g"}, created.Add(time.Hour)))

	f.must(f.invite(1, time.Hour))
	if n := f.count("SELECT COUNT(*) FROM invitations"); n != maxInvitationsKept {
		t.Errorf("%d invitations are kept", n)
	}
	for _, left := range []string{"invitations WHERE id = '" + oldest + "'", "guests", "principals", "mints", "presence"} {
		if f.count("SELECT COUNT(*) FROM "+left) != 0 {
			t.Errorf("something is left in %s", left)
		}
	}
}

func TestAddInvitation_KeepsWhoseGuestsMayBeInACall(t *testing.T) {
	f := newFixture(t)
	created := f.clock().Add(-5 * time.Hour)
	f.fillInvitations(maxInvitationsKept, 1, created, created.Add(time.Hour))
	f.exec("INSERT INTO guests (invitation, subject, admitted_at) SELECT id, id || '.a', 0 FROM invitations")
	f.exec(`INSERT INTO mints (room, identity, issuer, subject, minted_at, rights, expires_at)
		SELECT 'r', 'guest:' || subject, $1, subject, 1, 1, $2 FROM guests`, stagedoor.GuestIssuer, millis(f.clock().Add(time.Minute)))
	f.mustWait(f.invite(1, time.Hour), time.Hour)
	if n := f.count("SELECT COUNT(*) FROM invitations"); n != maxInvitationsKept {
		t.Errorf("%d invitations are kept", n)
	}
	f.pass(time.Minute + usableFor + time.Second)
	f.must(f.invite(1, time.Hour))
}

func TestAddInvitation_RefusesTooManyWithinAnHour(t *testing.T) {
	f := newFixture(t)
	f.fillInvitations(maxInvitationsHour, 1, f.clock().Add(-50*time.Minute), f.clock().Add(-40*time.Minute))
	f.mustWait(f.invite(1, time.Hour), 10*time.Minute)
	f.pass(10 * time.Minute)
	f.must(f.invite(1, time.Hour))
}

func TestAddInvitation_BoundsTheGuestsOfAllInvitations(t *testing.T) {
	f := newFixture(t)
	f.must(f.invite(1000, time.Minute))
	f.fillInvitations(9, 1000, f.clock(), f.clock().Add(time.Minute))
	f.mustWait(f.invite(1, time.Hour), time.Minute)
	f.pass(time.Minute + time.Second)
	f.must(f.invite(1000, time.Hour)) // in the place of an expired one
	if n := f.count("SELECT SUM(uses) FROM invitations"); n != maxGuestsKept {
		t.Errorf("all admit %d guests", n)
	}
}

func TestAddInvitation_StaysExactUnderARace(t *testing.T) {
	f := newFixture(t)
	f.fillInvitations(maxInvitations-3, 1, f.clock().Add(-2*time.Hour), f.clock().Add(time.Hour))
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { _ = f.invite(1, time.Hour) })
	}
	group.Wait()
	if n := f.count("SELECT COUNT(*) FROM invitations"); n != maxInvitations {
		t.Errorf("%d invitations are kept", n)
	}
}

// Whoever holds a token can connect and leave again without end.
func TestLeave_KeepsTheLatestVisitsOnly(t *testing.T) {
	f := newFixture(t)
	for i := range 3 * maxVisits {
		f.pass(time.Second)
		f.must(f.Leave(t.Context(), stagedoor.Participant{Room: "r", Identity: "ann", SID: fmt.Sprint("PA_", i)}, f.clock()))
		copied := stagedoor.Participant{Room: "r", Identity: stagedoor.Identity(fmt.Sprint("ann#", i)), SID: fmt.Sprint("PA_copy", i), Standard: true}
		f.must(f.Arrive(t.Context(), copied))
		f.must(f.Leave(t.Context(), copied, f.clock()))
		missed := stagedoor.Participant{Room: "s", Identity: "bob", SID: fmt.Sprint("PA_", i), JoinedAt: f.clock()}
		f.must(f.Arrive(t.Context(), missed))
		f.must(f.Reconcile(t.Context(), "s", nil, f.pass(time.Second))) // LiveKit does not list it any more
	}
	for identity, want := range map[string]int{"ann": maxVisits, "bob": maxVisits, "ann#%": 0} {
		if n := f.count("SELECT COUNT(*) FROM presence WHERE identity LIKE $1", identity); n != want {
			t.Errorf("%s: %d visits are kept, want %d", identity, n, want)
		}
	}
	if f.count("SELECT COUNT(*) FROM presence WHERE room = 'r' AND sid = $1", fmt.Sprint("PA_", 3*maxVisits-1)) != 1 {
		t.Error("the latest visit is gone")
	}
}

func TestAddBan_BoundsTheBansOfOneModerator(t *testing.T) {
	f := newFixture(t)
	reason := stagedoor.RemovedBy(host)
	remove := func(subject string, length time.Duration) error {
		f.pass(time.Millisecond)
		return f.AddBan(t.Context(), stagedoor.Ban{ID: fmt.Sprint("ban_", millis(f.clock())), Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject},
			Room: "r", Until: f.clock().Add(length), Reason: reason})
	}
	for range 5 {
		f.must(remove("ann", time.Minute))
	}
	if n := f.count("SELECT COUNT(*) FROM bans"); n != 1 {
		t.Errorf("the same person: %d bans are kept", n)
	}
	f.exec(`WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO bans (id, issuer, subject, room, until, reason, created_at) SELECT 'ban_x' || i, 'i', 'x' || i, 'r', $2, $3, 0 FROM n`,
		maxRemovals, millis(f.clock().Add(time.Minute)), reason)
	f.mustWait(remove("bob", time.Hour), time.Minute)
	f.must(f.AddBan(t.Context(), stagedoor.Ban{ID: "ban_operator", Principal: ann, Reason: reason})) // for good: no moderator's
	f.pass(2 * time.Minute)
	f.must(remove("bob", time.Hour))
	if n := f.count("SELECT COUNT(*) FROM bans"); n != maxRemovals-maxDropped+2 {
		t.Errorf("%d bans are kept", n)
	}
}
