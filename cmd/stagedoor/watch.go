package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"stagedoor/internal/policy"
)

// lookEvery is how often the policy file is looked at. What is the same twice
// is taken: a file that is being written is not.
const lookEvery = time.Second

// watched is what is known of the policy file on disk.
type watched struct {
	// taken was looked into last, whether it was fit or not; seen was there at
	// the last look, nil when nothing could be read.
	taken, seen []byte
	// inForce is what the rules in force were read from.
	inForce []byte
	// missing says why it could not be read at the last look, told that this
	// has been logged.
	missing string
	told    bool
}

// watch reads the policy file again when it changes, and at once on a signal,
// until ctx ends. changed is called when other rules are in force.
func (r *rules) watch(ctx context.Context, signals <-chan os.Signal, every time.Duration, changed func(context.Context), log *slog.Logger) {
	if r.path == "" {
		return
	}
	log = log.With("file", r.path)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		other := false
		select {
		case <-ctx.Done():
			return
		case <-signals:
			other = r.look(true, log)
		case <-ticker.C:
			other = r.look(false, log)
		}
		if other {
			changed(ctx)
		}
	}
}

// hangups takes SIGHUP for the file to be read again, until release is
// called. Without a file it goes on ending the process.
func (r *rules) hangups() (signals <-chan os.Signal, release func()) {
	if r.path == "" {
		return nil, func() {}
	}
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, syscall.SIGHUP)
	return taken, func() { signal.Stop(taken) }
}

// look looks at the file and takes what is new and, unless it is told to take
// it at once, was there at the last look too. It compares what the file
// holds, since neither its time nor its inode says what a volume that is swapped in
// place, or an editor, made of it. It reports whether other rules are in force.
func (r *rules) look(atOnce bool, log *slog.Logger) bool {
	w := &r.watched
	data, err := readRegular(r.path)
	if err != nil {
		again := w.missing == err.Error()
		if atOnce || again && !w.told { // an editor may be replacing it
			log.Error("the policy file " + err.Error() + "; the rules in force stay")
			w.told = true
			r.refused.Add(1)
		}
		w.told, w.missing, w.seen = w.told && (again || atOnce), err.Error(), nil
		return false
	}
	if w.told {
		log.Info("the policy file can be read again")
	}
	w.told, w.missing = false, ""
	stable := w.seen != nil && bytes.Equal(w.seen, data)
	w.seen = data
	if !atOnce && (!stable || bytes.Equal(w.taken, data)) {
		return false
	}
	if !atOnce && len(data) > 0 && len(data) < len(w.inForce) && bytes.HasPrefix(w.inForce, data) {
		w.taken = data
		r.refused.Add(1)
		log.Error("the policy file ends before the rules in force do, as if it had been cut short; they stay: send SIGHUP if it is meant so")
		return false
	}
	w.taken = data
	if !r.take(data, log) {
		r.refused.Add(1)
		return false
	}
	w.inForce = data
	r.loaded.Store(time.Now().UnixMilli())
	return true
}

// take puts a file's rules in force if it is fit.
func (r *rules) take(data []byte, log *slog.Logger) bool {
	const stay = "the policy file is not taken, and the rules in force stay: "
	f, err := compile(r.path, data, r.limits)
	if err != nil {
		faults := strings.Split(err.Error(), "\n")
		log.Error(stay+"it has mistakes", "faults", faults)
		return false
	}
	old := r.file.Load()
	if !sameIssuers(old.Issuers(), f.Issuers()) {
		log.Error(stay + "issuers changed: restart")
		return false
	}
	r.file.Store(f)
	attrs := []any{"rules", f.Rules()}
	if names := newClaims(old, f); len(names) > 0 {
		// They were not kept of those who are here.
		attrs = append(attrs, "claimsUnknownUntilTheNextJoin", names)
	}
	log.Info("the policy file is in force", attrs...)
	return true
}

// sameIssuers compares all but where in the file they stand.
func sameIssuers(a, b []policy.Issuer) bool {
	return slices.EqualFunc(a, b, func(a, b policy.Issuer) bool {
		a.Line, b.Line = 0, 0
		return reflect.DeepEqual(a, b)
	})
}

// newClaims are those that a file reads and the one before it did not.
func newClaims(before, after *policy.File) []string {
	known, all := before.Claims()
	if all {
		return nil
	}
	names, every := after.Claims()
	if every {
		names = append(names, "all")
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(known, name) })
}
