package check

import (
	"context"
	"fmt"
	"sync"
)

// looked is what the database said, asked once for all checks.
type looked struct {
	once sync.Once
	kept Kept
	err  error
}

// kept opens the database, the first time.
func (t *Target) kept(ctx context.Context) (Kept, error) {
	t.looked.once.Do(func() {
		if t.Store.Inspect == nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, t.each)
		defer cancel()
		t.looked.kept, t.looked.err = t.Store.Inspect(ctx)
	})
	return t.looked.kept, t.looked.err
}

// store looks at the database.
func (t *Target) store(ctx context.Context, f *findings) {
	s := t.Store
	if s.Elsewhere != "" {
		f.skip(s.Elsewhere, "store.database", "store.durable")
		return
	}
	if s.Inspect == nil {
		f.skip("DATABASE_URL is not usable: see Configuration", "store.database")
	} else if kept, err := t.kept(ctx); err != nil {
		f.add("store.database", Fail, err.Error(), "let the door's user write the file that DATABASE_URL names, and its directory, on a disk with room")
	} else if kept.Missing {
		f.pass("store.database", s.Path+" does not exist yet and can be made")
	} else {
		f.pass("store.database", fmt.Sprintf("%s, %.1f MiB, can be read and written", s.Path, float64(kept.Size)/(1<<20)))
	}
	switch {
	case s.Lost != "":
		f.add("store.durable", Fail, s.Lost, s.LostRemedy)
	case s.Path == "":
		f.skip("there is no database", "store.durable")
	default:
		f.pass("store.durable", s.Path+": nothing speaks against it")
	}
}

// configuration says what reading the configuration found, and what speaks
// against its secrets.
func (t *Target) configuration(ctx context.Context, f *findings) {
	for _, n := range t.Notes {
		state := Warn
		if n.Stops {
			state = Fail
		}
		f.keep(Result{ID: "config:" + n.Name, Title: n.Name, State: state, Seen: n.What, Remedy: n.Remedy})
	}
	switch {
	case len(t.Notes) > 0:
	case len(t.Weak) > 0:
		f.add("config", Fail, "it does not, because of a secret below", "change those named below")
	default:
		f.pass("config", "nothing is missing, malformed or contradictory")
	}
	for _, n := range t.Weak {
		if n.Name == livekitSecret && t.exchanged() {
			// A key is no secret that should be longer.
			n.What, n.Remedy = "looks swapped with LIVEKIT_API_KEY", "see livekit.credentials"
		}
		f.add("secrets.strong", Fail, n.Name+" "+n.What, n.Remedy)
	}
	switch {
	case len(t.Weak) > 0:
	case t.Secrets == 0:
		f.skip("no secret is configured", "secrets.strong")
	default:
		f.pass("secrets.strong", count(t.Secrets, "secret", "secrets")+": long enough, on no list of known ones, no two alike")
	}
	t.files(ctx, f)
}

// files searches files for the secrets.
func (t *Target) files(ctx context.Context, f *findings) {
	const id = "secrets.files"
	switch {
	case t.Scan == nil:
		f.skip("run stagedoor scan on what clients get: bundles, public and static directories", id)
		return
	case len(t.Files) == 0:
		f.skip("name what clients get with --files: bundles, public and static directories", id)
		return
	}
	found, err := t.Scan(ctx, t.Files)
	if err != nil {
		f.add(id, Fail, err.Error(), "correct --files")
		return
	}
	for _, place := range found {
		f.add(id, Fail, place, "take it out, and make a new secret: this one has been shown")
	}
	if len(found) == 0 {
		f.pass(id, "none in "+count(len(t.Files), "path", "paths"))
	}
}
