// Package check looks at a door as it is configured and as it runs, and says
// of every line of the security checklist whether it holds: what was seen, and
// what to do. It asks LiveKit, the callers' issuers, Stripe, the door's public
// address and its database, changes nothing at any of them, and sends no
// secret where it does not belong.
package check

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Patience is how long all checks together take at most, each of their
// questions [AskPatience].
const (
	Patience    = 9 * time.Second
	AskPatience = 4 * time.Second
)

// State is how a check came out. The zero value is not a state.
type State string

// The states. Only Fail makes the whole fail; Skip could not be looked at.
const (
	Pass State = "pass"
	Warn State = "warn"
	Fail State = "fail"
	Skip State = "skip"
)

// Result is one line of the checklist, or one finding of several under it. It
// holds no secret.
type Result struct {
	// ID is stable: programs and documents name a check by it.
	ID    string `json:"id"`
	Group string `json:"group"`
	Title string `json:"title"`
	State State  `json:"state"`
	// Seen is what was found, with figures, or why nothing was looked at.
	Seen string `json:"seen"`
	// Remedy is what to do; empty where there is nothing to do.
	Remedy string `json:"remedy,omitempty"`
}

// Item is one line of the checklist.
type Item struct{ ID, Group, Title string }

// Catalog is every check, in the order in which they are shown.
func Catalog() []Item {
	return []Item{
		{"config", "Configuration", "stagedoor serve starts with it"},
		{"secrets.strong", "Configuration", "secrets are strong and distinct"},
		{"secrets.files", "Configuration", "no credentials in clients' files"},
		{"livekit.server", "LiveKit", "LIVEKIT_URL leads to LiveKit"},
		{"livekit.credentials", "LiveKit", "the key and its secret are taken"},
		{"livekit.api", "LiveKit", "RoomService takes the door's calls"},
		{"livekit.clock", "LiveKit", "the clock agrees with LiveKit's"},
		{"livekit.autocreate", "LiveKit", "rooms are created by whom you want"},
		{"livekit.webhooks", "LiveKit", "LiveKit's webhooks arrive"},
		{"callers.auth", "Callers", "authentication is real"},
		{"callers.issuer", "Callers", "the issuer answers by its name"},
		{"callers.keys", "Callers", "the issuer's keys are usable"},
		{"callers.audience", "Callers", "tokens made for others are refused"},
		{"callers.clock", "Callers", "the clock agrees with the issuer's"},
		{"billing.key", "Billing", "the Stripe key is right"},
		{"billing.rights", "Billing", "the key may read what is needed"},
		{"billing.webhook", "Billing", "the webhook endpoint is registered"},
		{"billing.events", "Billing", "events arrive"},
		{"billing.clock", "Billing", "the clock agrees with Stripe's"},
		{"door.publish", "Door", "publishing is off by default"},
		{"door.running", "Door", "a door is running"},
		{"door.ready", "Door", "the public address serves"},
		{"door.auth", "Door", "a join without a token is refused"},
		{"door.proxy", "Door", "the proxy in front is trusted"},
		{"door.https", "Door", "HTTPS is enforced"},
		{"door.limits", "Door", "rate limits are on"},
		{"door.cors", "Door", "only listed origins may call"},
		{"store.database", "Store", "the database can be read and written"},
		{"store.durable", "Store", "the database outlives a deploy"},
	}
}

// Report is everything that was found.
type Report struct {
	OK     bool          `json:"ok"`
	Passed int           `json:"passed"`
	Warned int           `json:"warned"`
	Failed int           `json:"failed"`
	Unseen int           `json:"skipped"`
	Took   time.Duration `json:"-"`
	Checks []Result      `json:"checks"`
}

// Run makes every check of the target, at once, within Patience: what has not
// answered by then has failed. Safe for concurrent use.
func Run(ctx context.Context, t Target) Report {
	began := time.Now()
	if t.whole == 0 {
		t.whole, t.each = Patience, AskPatience
	}
	ctx, cancel := context.WithTimeout(ctx, t.whole)
	defer cancel()
	t.looked = &looked{}
	f := &findings{results: map[string][]Result{}}
	sections := []struct {
		group string
		run   func(context.Context, *findings)
	}{
		{"Configuration", t.configuration}, {"LiveKit", t.livekit}, {"Callers", t.callers},
		{"Billing", t.billing}, {"Door", t.door}, {"Store", t.store},
	}
	// A section that does not heed its context is not waited for.
	done := make(chan struct{})
	var running sync.WaitGroup
	for _, s := range sections {
		running.Go(func() { s.run(ctx, f) })
	}
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		// What was cut off says so itself, a moment later.
		select {
		case <-done:
		case <-time.After(500 * time.Millisecond):
		}
	}
	r := f.report()
	r.Took = time.Since(began)
	return r
}

// findings collects results. Safe for concurrent use.
type findings struct {
	mu      sync.Mutex
	results map[string][]Result
}

// add keeps one result; remedy may be empty.
func (f *findings) add(id string, state State, seen, remedy string) {
	f.keep(Result{ID: id, State: state, Seen: seen, Remedy: remedy})
}

func (f *findings) pass(id, seen string) { f.add(id, Pass, seen, "") }

func (f *findings) keep(r Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key, _, _ := strings.Cut(r.ID, ":")
	f.results[key] = append(f.results[key], r)
}

// skip says of several checks why they could not be looked at.
func (f *findings) skip(why string, ids ...string) {
	for _, id := range ids {
		f.add(id, Skip, why, "")
	}
}

// report puts what was found in the catalog's order. A check of which nothing
// was found has not answered in time.
func (f *findings) report() Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out Report
	for _, item := range Catalog() {
		found := slices.Clone(f.results[item.ID])
		if len(found) == 0 {
			found = []Result{{ID: item.ID, State: Fail, Seen: "no answer within " + Patience.String(), Remedy: "see what the address's server is doing, and run it again"}}
		}
		for _, r := range found {
			r.Group = item.Group
			if r.Title == "" {
				r.Title = item.Title
			}
			switch r.State {
			case Pass:
				out.Passed++
			case Warn:
				out.Warned++
			case Fail:
				out.Failed++
			case Skip:
				out.Unseen++
			}
			out.Checks = append(out.Checks, r)
		}
	}
	out.OK = out.Failed == 0
	return out
}
