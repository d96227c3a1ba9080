package store

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

var host = stagedoor.PrincipalKey{Issuer: "i", Subject: "host"}

// invites keeps an invitation of the host's, who is known.
func (f *fixture) invites(uses int) (stagedoor.Invitation, stagedoor.Secret) {
	f.t.Helper()
	_, err := f.Remember(f.t.Context(), stagedoor.Principal{Issuer: "i", Subject: "host", Handle: "host", Claims: stagedoor.Claims{"role": "host"}})
	f.must(err)
	v, secret, err := f.AddInvitation(f.t.Context(), stagedoor.Invitation{By: host, Room: "r", Name: "Guest", Publish: true, Uses: uses, Expires: f.clock().Add(time.Hour)})
	f.must(err)
	return v, secret
}

func guestOf(v stagedoor.Invitation, name string) stagedoor.PrincipalKey {
	return stagedoor.PrincipalKey{Issuer: stagedoor.GuestIssuer, Subject: v.ID + "." + name}
}

func TestInvitationIsFoundByItsSecretAlone(t *testing.T) {
	f := newFixture(t)
	v, secret := f.invites(2)
	if !strings.HasPrefix(secret.Reveal(), stagedoor.InvitationPrefix) || len(secret.Reveal()) < 30 || strings.Contains(secret.Reveal(), v.ID) {
		t.Errorf("secret of %d bytes", len(secret.Reveal()))
	}
	got, ok, err := f.InvitationOf(t.Context(), secret)
	f.must(err)
	equal(t, "invitation", got, v)
	for _, other := range []string{"", v.ID, secret.Reveal() + "A", hashOf(secret)} {
		if _, found, err := f.InvitationOf(t.Context(), stagedoor.NewSecret(other)); found || err != nil || !ok {
			t.Errorf("found by another text: %v", err)
		}
	}
	byID, maker, err := f.Invitation(t.Context(), v.ID)
	f.must(err)
	equal(t, "by ID", byID, v)
	if maker.Key() != host || maker.Claims["role"] != "host" {
		t.Errorf("maker %+v", maker)
	}
	_, _, err = f.Invitation(t.Context(), "inv_nobody")
	f.mustKind(err, stagedoor.RoomForbidden)
}

// Whoever reads the database can let nobody in.
func TestSecretIsNotInTheDatabase(t *testing.T) {
	f := newFixture(t)
	_, secret := f.invites(1)
	f.must(f.Close())
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(f.path + end)
		if err == nil && strings.Contains(string(data), strings.TrimPrefix(secret.Reveal(), stagedoor.InvitationPrefix)) {
			t.Error("the secret stands in " + end)
		}
	}
}

func TestUsesAreSpentPerGuestUnderARace(t *testing.T) {
	f := newFixture(t)
	v, _ := f.invites(5)
	var group sync.WaitGroup
	var mu sync.Mutex
	let, refused := map[string]int{}, 0
	for i := range 100 {
		group.Go(func() {
			name := fmt.Sprint("g", i%20) // each guest five times
			err := f.Admit(t.Context(), v.ID, guestOf(v, name))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				let[name]++
			} else if stagedoor.KindOf(err) == stagedoor.RoomForbidden {
				refused++
			}
		})
	}
	group.Wait()
	if len(let) != 5 || refused != 75 {
		t.Errorf("%v let in, %d refused", let, refused)
	}
	for name, times := range let {
		if times != 5 {
			t.Errorf("%s: %d of 5", name, times)
		}
	}
	if got, _, _ := f.Invitation(t.Context(), v.ID); got.Used != 5 {
		t.Errorf("used %d", got.Used)
	}
}

func TestRevokedInvitationLetsNobodyIn(t *testing.T) {
	f := newFixture(t)
	v, secret := f.invites(5)
	f.must(f.Admit(t.Context(), v.ID, guestOf(v, "a")))
	_, err := f.RevokeInvitation(t.Context(), stagedoor.PrincipalKey{Issuer: "i", Subject: "mallory"}, v.ID)
	f.mustKind(err, stagedoor.NotFound)
	guests, err := f.RevokeInvitation(t.Context(), host, v.ID)
	f.must(err)
	equal(t, "guests", guests, []stagedoor.PrincipalKey{guestOf(v, "a")})
	_, _, err = f.Invitation(t.Context(), v.ID)
	f.mustKind(err, stagedoor.RoomForbidden)
	f.mustKind(f.Admit(t.Context(), v.ID, guestOf(v, "b")), stagedoor.RoomForbidden)
	if got, ok, err := f.InvitationOf(t.Context(), secret); !ok || err != nil || got.RevokedAt.IsZero() {
		t.Errorf("%+v %v", got, err)
	}
	first := f.clock()
	f.pass(time.Minute)
	_, err = f.RevokeInvitation(t.Context(), host, v.ID) // again
	f.must(err)
	if list, err := f.InvitationsBy(t.Context(), host); err != nil || len(list) != 1 || !list[0].RevokedAt.Equal(first) || list[0].Used != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

// Who was put out does not come back as the next guest of the same link.
func TestRemovedGuestCannotComeBackAsAnother(t *testing.T) {
	f := newFixture(t)
	v, _ := f.invites(5)
	other, _ := f.invites(5)
	f.must(f.Admit(t.Context(), v.ID, guestOf(v, "a")))
	f.must(f.Admit(t.Context(), v.ID, guestOf(v, "spare")))
	f.must(f.Admit(t.Context(), v.ID, guestOf(v, "there")))
	f.must(f.Minted(t.Context(), stagedoor.Mint{Room: "r", Identity: "guest:there", Principal: guestOf(v, "there"), At: f.clock()}))
	f.comes("r", "guest:there", "PA_1")
	f.must(f.AddBan(t.Context(), stagedoor.Ban{ID: "ban_1", Principal: guestOf(v, "a"), Room: "r", Until: f.clock().Add(time.Minute)}))
	f.mustKind(f.Admit(t.Context(), v.ID, guestOf(v, "b")), stagedoor.Banned)
	f.mustKind(f.Admit(t.Context(), v.ID, guestOf(v, "spare")), stagedoor.Banned) // admitted in advance
	f.must(f.Admit(t.Context(), v.ID, guestOf(v, "there")))                       // who is there stays
	f.must(f.Admit(t.Context(), other.ID, guestOf(other, "b")))
	f.pass(time.Minute)
	f.must(f.Admit(t.Context(), v.ID, guestOf(v, "b")))
}

func TestOnlySoManyInvitationsAreOpen(t *testing.T) {
	f := newFixture(t)
	for range maxInvitations {
		v, _ := f.invites(1)
		_, err := f.RevokeInvitation(t.Context(), host, v.ID) // makes no room for the next
		f.must(err)
	}
	one := stagedoor.Invitation{By: host, Room: "r", Uses: 1, Expires: f.clock().Add(2 * time.Hour)}
	_, _, err := f.AddInvitation(t.Context(), one)
	f.mustWait(err, time.Hour)
	other := one
	other.By.Subject = "other"
	_, _, err = f.AddInvitation(t.Context(), other)
	f.must(err)
	f.pass(time.Hour) // the first two hundred have expired
	_, _, err = f.AddInvitation(t.Context(), one)
	f.must(err)
}

func TestGuestIsRememberedWithTheInvitation(t *testing.T) {
	f := newFixture(t)
	v, _ := f.invites(1)
	guest := stagedoor.Principal{Issuer: stagedoor.GuestIssuer, Subject: v.ID + ".a", Handle: "a", IdentityPrefix: "guest", Invitation: v.ID}
	_, err := f.Remember(t.Context(), guest)
	f.must(err)
	got, ok, err := f.Principal(t.Context(), guest.Key())
	if err != nil || !ok || got.Invitation != v.ID || got.IdentityPrefix != "guest" {
		t.Errorf("%+v %v", got, err)
	}
	f.must(f.Admit(t.Context(), v.ID, guest.Key()))
	if guests, err := f.GuestsOf(t.Context(), host); err != nil || len(guests) != 0 {
		t.Errorf("guests without a token: %v %v", guests, err)
	}
	for _, room := range []stagedoor.Room{"r", "s"} {
		f.must(f.Minted(t.Context(), stagedoor.Mint{Room: room, Identity: "guest:a", Principal: guest.Key(), At: f.clock()}))
	}
	guests, err := f.GuestsOf(t.Context(), host)
	f.must(err)
	equal(t, "guests", guests, []stagedoor.PrincipalKey{guest.Key()})
}

func TestOldInvitationsAreForgotten(t *testing.T) {
	f := newFixture(t)
	v, _ := f.invites(1)
	f.must(f.Admit(t.Context(), v.ID, guestOf(v, "a")))
	f.must(f.seat("r", "ann", 1))
	f.must(f.Purge(t.Context(), f.pass(keepInvitations), time.Hour))
	if f.count("SELECT COUNT(*) FROM invitations") != 1 || f.count("SELECT COUNT(*) FROM guests") != 1 || f.count("SELECT COUNT(*) FROM seats") != 0 {
		t.Error("forgotten too early, or a lapsed seat is kept")
	}
	f.must(f.Purge(t.Context(), f.pass(2*time.Hour), time.Hour))
	if f.count("SELECT COUNT(*) FROM invitations") != 0 || f.count("SELECT COUNT(*) FROM guests") != 0 {
		t.Error("not forgotten")
	}
}
