package policy

import (
	"bytes"
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// PollEvery is how often the server reads the policy file to see whether it
// changed.
const PollEvery = time.Second

// watched is what Watch knows of the file on disk.
type watched struct {
	// tried is what was compiled last, whether it was valid or not. seen is what
	// the last poll read, nil when it could not read. inForce is what the policy
	// in force was compiled from.
	tried, seen, inForce []byte
	// unreadable says why the last poll could not read the file; logged is set
	// once that has been logged.
	unreadable string
	logged     bool
}

// Watch reloads the policy file when it changes, and at once on a signal, until
// ctx ends. It polls every interval, and calls changed after each reload that
// puts another policy in force. Without a file it returns at once.
func (s *Source) Watch(ctx context.Context, signals <-chan os.Signal, interval time.Duration, changed func(context.Context)) {
	if s.options.Path == "" {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		reloaded := false
		select {
		case <-ctx.Done():
			return
		case <-signals:
			reloaded = s.poll(true)
		case <-ticker.C:
			reloaded = s.poll(false)
		}
		if reloaded {
			changed(ctx)
		}
	}
}

// poll reads the file and reloads it when it has changed and two polls in a row
// read the same: a file that is being written is left alone. With force one
// poll is enough. It compares contents, because neither time nor inode shows
// every change that an editor or a swapped volume makes. It reports whether
// another policy is in force.
func (s *Source) poll(force bool) bool {
	w := &s.watched
	data, err := readRegular(s.options.Path)
	if err != nil {
		s.noteUnreadable(err, force)
		return false
	}
	log := s.options.Log.With("file", s.options.Path)
	if w.logged {
		log.Info("policy file is readable again")
	}
	w.logged, w.unreadable = false, ""
	stable := w.seen != nil && bytes.Equal(w.seen, data)
	w.seen = data
	if !force && (!stable || bytes.Equal(w.tried, data)) {
		return false
	}
	truncated := len(data) > 0 && len(data) < len(w.inForce) && bytes.HasPrefix(w.inForce, data)
	w.tried = data
	if truncated && !force {
		s.refused.Add(1)
		log.Error("policy file looks truncated, keeping the current policy; send SIGHUP to force the reload")
		return false
	}
	if !s.reload(data) {
		s.refused.Add(1)
		return false
	}
	w.inForce = data
	s.loaded.Store(time.Now().UnixMilli())
	return true
}

// noteUnreadable logs once that the file cannot be read. The first failure is
// not logged unless the reload was forced: an editor may be replacing the file.
func (s *Source) noteUnreadable(err error, force bool) {
	w := &s.watched
	again := w.unreadable == err.Error()
	if force || again && !w.logged {
		s.options.Log.Error("policy reload failed, keeping the current policy", "file", s.options.Path, "err", "the file "+err.Error())
		s.refused.Add(1)
		w.logged = true
	}
	w.logged, w.unreadable, w.seen = w.logged && (again || force), err.Error(), nil
}

// reload puts a file's policy in force if it is valid.
func (s *Source) reload(data []byte) bool {
	const failed = "policy reload failed, keeping the current policy"
	log := s.options.Log.With("file", s.options.Path)
	f, err := Compile(s.options.Path, data, s.options.Limits)
	if err != nil {
		log.Error(failed, "mistakes", strings.Split(err.Error(), "\n"))
		return false
	}
	old := s.file.Load()
	if !sameIssuers(old.Issuers(), f.Issuers()) {
		log.Error(failed, "err", "issuers changed: restart the server")
		return false
	}
	s.file.Store(f)
	attrs := []any{"rules", f.Rules()}
	if names := newClaims(old, f); len(names) > 0 {
		// These claims were not stored for callers who joined before.
		attrs = append(attrs, "claims_unknown_until_next_join", names)
	}
	log.Info("policy reloaded", attrs...)
	return true
}

// sameIssuers compares issuers without their position in the file.
func sameIssuers(a, b []Issuer) bool {
	return slices.EqualFunc(a, b, func(a, b Issuer) bool {
		a.Line, b.Line = 0, 0
		return reflect.DeepEqual(a, b)
	})
}

// newClaims lists the claims that the new file reads and the old one did not.
func newClaims(old, current *File) []string {
	known, all := old.Claims()
	if all {
		return nil
	}
	names, every := current.Claims()
	if every {
		names = append(names, "all")
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(known, name) })
}
