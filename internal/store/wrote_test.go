package store

import (
	"errors"
	"testing"
	"time"

	"stagedoor"
)

// Every write is told of, with what it survives and its error; reads are not.
func TestWritesAreToldOf(t *testing.T) {
	f := newFixture(t)
	var onDisk, later, failed int
	f.Wrote = func(kept bool, took time.Duration, err error) {
		switch {
		case err != nil:
			failed++
		case kept:
			onDisk++
		default:
			later++
		}
		if took <= 0 {
			t.Errorf("a write took %v", took)
		}
	}
	if err := f.AddBan(t.Context(), stagedoor.Ban{ID: "ban_1", Principal: stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}, CreatedAt: f.clock()}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []stagedoor.Participant{f.session("r", "PA_1"), f.session("r", "PA_2"), f.session("q", "PA_3")} {
		if err := f.Arrive(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Leave(t.Context(), f.session("q", "PA_3"), f.clock()); err != nil {
		t.Fatal(err)
	}
	if people, rooms, err := f.PresentCount(t.Context()); people != 2 || rooms != 1 || err != nil {
		t.Errorf("%d participants in %d rooms, %v", people, rooms, err)
	}
	wanted := errors.New("no")
	if err := f.write(t.Context(), retold, "fail", func(tx) error { return wanted }); !errors.Is(err, wanted) {
		t.Error(err)
	}
	if onDisk != 1 || later != 4 || failed != 1 {
		t.Errorf("%d acknowledged, %d retold, %d failed", onDisk, later, failed)
	}
}

// The size is that of the files, and a disk has some room left.
func TestSizeIsOfTheFiles(t *testing.T) {
	f := newFixture(t)
	if used, free := f.Size(); used < 4096 || free == 0 {
		t.Errorf("%d used, %d free", used, free)
	}
	f.Store.path += ".gone"
	if used, free := f.Size(); used != -1 || free != -1 {
		t.Errorf("of no file: %d used, %d free", used, free)
	}
}
