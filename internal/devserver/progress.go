package devserver

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progressWidth is the width of a progress line, in columns.
const progressWidth = 78

// progress shows that long work goes on: one changing line on a terminal, a
// line every ten seconds in a pipe.
type progress struct {
	out      io.Writer
	terminal bool
	start    time.Time
	stop     chan struct{}
	ended    chan struct{}

	mu       sync.Mutex
	packages int
	current  string
}

func newProgress(out io.Writer, terminal bool, title string) *progress {
	p := &progress{out: out, terminal: terminal, start: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
	interval := 10 * time.Second
	if terminal {
		interval = 200 * time.Millisecond
	}
	_, _ = fmt.Fprintf(out, "%s …\n", title)
	go func() {
		defer close(p.ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				p.show()
			case <-p.stop:
				return
			}
		}
	}()
	return p
}

// step counts one line of go build's output.
func (p *progress) step(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasPrefix(line, "go: downloading ") {
		p.current = "downloading " + strings.Fields(line)[2]
		return
	}
	p.packages++
	p.current = line
}

func (p *progress) show() {
	p.mu.Lock()
	text := fmt.Sprintf("  %3.0f s  %4d packages  %s", time.Since(p.start).Seconds(), p.packages, p.current)
	p.mu.Unlock()
	if len(text) > progressWidth {
		text = text[:progressWidth]
	}
	if p.terminal {
		_, _ = fmt.Fprintf(p.out, "\r%-*s", progressWidth, text)
		return
	}
	_, _ = fmt.Fprintln(p.out, text)
}

// end clears the line and, after success, prints how long the work took.
func (p *progress) end(ok bool) {
	close(p.stop)
	<-p.ended
	if p.terminal {
		_, _ = fmt.Fprintf(p.out, "\r%-*s\r", progressWidth, "")
	}
	if ok {
		_, _ = fmt.Fprintf(p.out, "  built in %.0f s\n", time.Since(p.start).Seconds())
	}
}
