// Package clockskew compares this machine's clock with the Date headers of
// answers that other servers give anyway.
package clockskew

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Skew is how far this machine's clock is ahead of a server's; negative where
// it is behind. The zero value is no difference.
type Skew struct {
	// Ahead is the middle of what is possible, Within how far the true value may
	// be from it: the request takes time, and Date has whole seconds.
	Ahead, Within time.Duration
}

// Of reads the skew from an answer's header. sent and received are by this
// machine's clock; false when the answer has no Date. A cache adds its Age to
// the Date of the server behind it.
//
// SPEC: RFC 9110 §6.6.1 (Date), RFC 9111 §5.1 (Age).
func Of(header http.Header, sent, received time.Time) (Skew, bool) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return Skew{}, false
	}
	const half = time.Second / 2
	s := Skew{Within: received.Sub(sent).Abs()/2 + half}
	if age, err := strconv.ParseUint(header.Get("Age"), 10, 31); err == nil && age > 0 {
		date = date.Add(time.Duration(age) * time.Second)
		s.Within += half
	}
	middle := sent.Add(received.Sub(sent) / 2)
	s.Ahead = middle.Sub(date.Add(half))
	return s, true
}

// Exceeds reports whether the clocks are more than d apart for certain.
func (s Skew) Exceeds(d time.Duration) bool { return s.Ahead.Abs()-s.Within > d }

// Against says the skew in words: "95 s ahead of LiveKit's".
func (s Skew) Against(whose string) string {
	way := "ahead of"
	if s.Ahead < 0 {
		way = "behind"
	}
	return fmt.Sprintf("%s %s %s", Say(s.Ahead), way, whose)
}

// Say writes a duration, without its sign, as people do.
func Say(d time.Duration) string {
	switch d = d.Abs(); {
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
