package httpapi

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// What overload is: many that come at the same moment are none, and are
// served for as long as a burst lasts; a queue that does not empty is, since
// everybody would wait as long as anybody may, and for nothing.
//
// SPEC: queue.acm.org/detail.cfm?id=2839461, "Controlled delay".
const (
	// burst is how long the door may be strained before that is overload, and how
	// long a request may wait for a place until then.
	burst = 20 * time.Millisecond
	// calm is how long it must have been at ease before it may have a burst again,
	// and the time over which requests are counted.
	calm = 100 * time.Millisecond
	// callersPatience is how long a caller may wait for a place under overload, and
	// eventsPatience how long an event may: nobody looks on, and who sent it sends it
	// again only minutes later.
	callersPatience = 2 * time.Millisecond
	eventsPatience  = 100 * time.Millisecond
)

// strain tells a burst from overload, and whose it is. Safe for concurrent use.
type strain struct {
	// few is how many requests in a time of calm keep no door busy: if that is all
	// that comes, then something else does, and refusing helps nobody.
	few int
	mu  sync.Mutex
	// from and last are when strain was first and last seen.
	from, last time.Time
	// recent are the networks that asked since begun, before those that did until then.
	begun          time.Time
	recent, before turnout
}

// turnout is how often each network asked, and all of them together.
type turnout struct {
	of  map[netip.Prefix]int
	all int
}

// overload counts a request of a network, and reports whether it comes under
// an overload to which its network contributes: one that asks less than half as
// often as they do on average is served as if there were none. strained is
// whether the door is, now.
func (s *strain) overload(from netip.Prefix, strained bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now()
	if strained {
		if at.Sub(s.last) > calm {
			s.from = at
		}
		s.last = at
	}
	if since := at.Sub(s.begun); since > calm || s.recent.of == nil {
		s.before = turnout{}
		if since <= 2*calm {
			s.before = s.recent
		}
		s.recent, s.begun = turnout{of: map[netip.Prefix]int{}}, at
	}
	s.recent.of[from]++
	s.recent.all++
	all, networks := s.recent.all+s.before.all, max(len(s.recent.of), len(s.before.of))
	own := s.recent.of[from] + s.before.of[from]
	return at.Sub(s.last) <= calm && at.Sub(s.from) > burst && all > s.few && 2*own*networks >= all
}

// unhurried is how long a refusal takes on average, and mostUnhurried how many
// may take that long at once. Whoever asks again at once, whatever Retry-After
// says, would have the door do nothing but refuse: the time goes by without the
// door. It is spread, so that those who were refused together do not come back
// together.
const (
	unhurried     = 250 * time.Millisecond
	mostUnhurried = 1024
)

// lull lets refusals take their time. Safe for concurrent use.
type lull chan struct{}

// wait returns after a while, or at once when too many wait.
func (l lull) wait() {
	select {
	case l <- struct{}{}:
		time.Sleep(unhurried/2 + rand.N(unhurried))
		<-l
	default:
	}
}
