package hostile

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// deviations are h2spec's cases that Go's own HTTP/2 server fails, and why.
// One that is passed, and any other that is failed, fails the test.
var deviations = map[string]string{
	"http2/4.2/3":     "20 KB of headers exceed a frame; they do where 16 KiB are the most, and the door's settings say 1 MiB: it is answered 431",
	"http2/6.5.3/1":   "a setting may come twice in one frame; Go hangs up on that, which no real client does",
	"http2/8.1.2.2/1": "Connection: keep-alive is a reset; Go answers 400, as RFC 9113 §8.1.1 allows",
	"http2/8.1.2.2/2": "te: trailers, deflate is a reset; Go answers 400, as RFC 9113 §8.1.1 allows",
}

// tries is how often a case may be run. Some say what is wrong in a second
// frame, and race with the answer to the first: h2spec has no credential, and
// who has none is answered before the body comes.
const tries = 5

// cases are a group's and those of the groups in it, by h2spec's names.
func cases(group *spec.TestGroup, into map[string]*spec.TestCase) {
	for i, one := range append(group.Tests, group.StrictTests...) {
		into[fmt.Sprintf("%s/%d", group.ID(), i+1)] = one
	}
	for _, inner := range group.Groups {
		cases(inner, into)
	}
}

func TestH2Spec(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	host, port, err := net.SplitHostPort(d.address)
	if err != nil {
		t.Fatal(err)
	}
	settings := config.Config{Host: host, Path: "/openapi.yaml", Timeout: 3 * time.Second, MaxHeaderLen: 4000, Strict: true, TLS: true, Insecure: true}
	if settings.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	all := map[string]*spec.TestCase{}
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		cases(group, all)
	}
	var mu sync.Mutex
	passed, skipped := 0, 0
	var running sync.WaitGroup
	slots := make(chan struct{}, 8)
	for name, one := range all {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			reason, known := deviations[name]
			err := runCase(settings, one)
			for try := 1; err != nil && !known && try < tries; try++ {
				err = runCase(settings, one)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, spec.ErrSkipped):
				skipped++
			case err == nil && known:
				t.Errorf("%s is passed now; it was thought that %s", name, reason)
			case err == nil:
				passed++
			case !known:
				t.Errorf("%s, %s: %v", name, one.Desc, err)
			}
		})
	}
	running.Wait()
	t.Logf("%d cases: %d passed, %d skipped, %d known deviations", len(all), passed, skipped, len(deviations))
	d.recovered(t)
}

// runCase runs one case on a connection of its own.
func runCase(settings config.Config, one *spec.TestCase) error {
	conn, err := spec.Dial(&settings)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return one.Run(&settings, conn)
}
