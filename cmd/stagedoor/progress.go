package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress shows that long work goes on: one line that changes on a terminal,
// a line every ten seconds in a pipe.
type progress struct {
	out   io.Writer
	title string
	live  bool
	start time.Time
	stop  chan struct{}
	ended chan struct{}

	mu    sync.Mutex
	count int
	what  string
}

func newProgress(out io.Writer, title string) *progress {
	p := &progress{out: out, title: title, live: terminal(out), start: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
	every := 10 * time.Second
	if p.live {
		every = 200 * time.Millisecond
	}
	_, _ = fmt.Fprintf(out, "%s …\n", title)
	go func() {
		defer close(p.ended)
		ticker := time.NewTicker(every)
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

// step counts one line of the work's own output.
func (p *progress) step(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasPrefix(line, "go: downloading ") {
		p.what = "downloading " + strings.Fields(line)[2]
		return
	}
	p.count++
	p.what = line
}

func (p *progress) show() {
	p.mu.Lock()
	text := fmt.Sprintf("  %3.0f s  %4d packages  %s", time.Since(p.start).Seconds(), p.count, p.what)
	p.mu.Unlock()
	if len(text) > 78 {
		text = text[:78]
	}
	if p.live {
		_, _ = fmt.Fprintf(p.out, "\r%-78s", text)
		return
	}
	_, _ = fmt.Fprintln(p.out, text)
}

// end says how long it took.
func (p *progress) end(ok bool) {
	close(p.stop)
	<-p.ended
	if p.live {
		_, _ = fmt.Fprintf(p.out, "\r%-78s\r", "")
	}
	if ok {
		_, _ = fmt.Fprintf(p.out, "  built in %.0f s\n", time.Since(p.start).Seconds())
	}
}
