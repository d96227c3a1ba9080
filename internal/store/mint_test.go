package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"stagedoor"
)

func TestMint_RightsAreThoseOfEveryTokenThatCanBeUsed(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "test.db"))
	clock := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return clock }
	publish := stagedoor.Grants{Subscribe: true, Publish: true}.Rights()
	watch := stagedoor.Grants{Subscribe: true}.Rights()
	mint := func(rights stagedoor.Rights, lifetime time.Duration) stagedoor.Mint {
		t.Helper()
		m := stagedoor.Mint{Room: "r", Identity: "ann", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}}
		m.At, m.Rights, m.Expires = clock, rights, clock.Add(lifetime)
		if err := s.Minted(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		kept, ok, err := s.Mint(t.Context(), "r", "ann")
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if kept.Expires.Before(m.Expires.Add(time.Minute)) {
			t.Errorf("watched until %v, and the token can be used until %v", kept.Expires, m.Expires.Add(time.Minute))
		}
		return kept
	}
	if got := mint(publish, time.Hour); got.Rights != publish {
		t.Errorf("rights %b", got.Rights)
	}
	clock = clock.Add(10 * time.Minute)
	if got := mint(watch, time.Hour); got.Rights != publish {
		t.Errorf("the first token can be used still: %b", got.Rights)
	}
	mint(watch, 24*time.Hour)
	clock = clock.Add(30 * time.Hour)
	if got := mint(watch, time.Hour); got.Rights != watch {
		t.Errorf("every token with more has expired: %b", got.Rights)
	}
	if got := mint(publish, time.Hour); got.Rights != publish {
		t.Errorf("more rights within the hour: %b", got.Rights)
	}
}

func TestBannedMints_AreThoseOfBansInForce(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "test.db"))
	now := time.Now()
	s.Now = func() time.Time { return now }
	for _, subject := range []string{"ann", "bob", "eve", "old"} {
		m := stagedoor.Mint{Room: "r", Identity: stagedoor.Identity(subject), Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}}
		if m.At = now; subject == "old" {
			m.At = now.Add(-48 * time.Hour)
		}
		if err := s.Minted(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for subject, until := range map[string]time.Time{"ann": {}, "bob": now.Add(-time.Minute), "old": {}} {
		ban := stagedoor.Ban{ID: "ban_" + subject, Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: subject}, Until: until}
		if err := s.AddBan(t.Context(), ban); err != nil {
			t.Fatal(err)
		}
	}
	mints, err := s.BannedMints(t.Context(), now.Add(-26*time.Hour))
	if err != nil || len(mints) != 1 || mints[0].Identity != "ann" {
		t.Errorf("%+v %v", mints, err)
	}
}

// A client that left before any pass, and whose arrival no event reported, has
// used its time all the same.
func TestLeave_AccountsForASessionWhoseArrivalWasNotReported(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "test.db"))
	key := stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}
	if err := s.Minted(t.Context(), stagedoor.Mint{Room: "r", Identity: "ann", Principal: key}); err != nil {
		t.Fatal(err)
	}
	came := time.Now().Add(-50 * time.Second).Truncate(time.Millisecond)
	p := stagedoor.Participant{Room: "r", Identity: "ann", SID: "PA_1", JoinedAt: came, Standard: true}
	if err := s.Leave(t.Context(), p, time.Now()); err != nil {
		t.Fatal(err)
	}
	since, err := s.Since(t.Context(), key, "r")
	if err != nil || !since.Equal(came) {
		t.Errorf("since %v, want %v; %v", since, came, err)
	}
}

func TestEachUsableMint_SkipsThoseWhoseTokensHaveExpired(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "test.db"))
	now := time.Now()
	for i := range 2*page + 7 {
		m := stagedoor.Mint{
			Room: "r", Identity: stagedoor.Identity(fmt.Sprintf("user-%04d", i)),
			Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}, At: now, Expires: now.Add(time.Hour),
		}
		if i%2 == 1 {
			m.Expires = now.Add(-2 * time.Hour)
		}
		if err := s.Minted(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	err := s.EachUsableMint(t.Context(), now, func(stagedoor.Mint) error { seen++; return nil })
	if err != nil || seen != page+4 {
		t.Errorf("%d of %d, want every second one; %v", seen, 2*page+7, err)
	}
	stop := errors.New("stop")
	if err := s.EachUsableMint(t.Context(), now, func(stagedoor.Mint) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}
