package hostile

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// overloadMedian is how far the median of the accepted may be from that of a
// caller who is alone, as a ratio. Callers share the processors with the door here
// and come all at once, so that it is wide, and the slowest hundredth says more
// about the callers: what a door does that has its processors to itself is in
// docs/adr/0007-limits.md. A door that hurries its refusals was at 150, one that
// counts requests and not what its processors are behind with at 65.
const overloadMedian = 40

// quantile is the value below which that part of the sorted durations lies.
func quantile(sorted []time.Duration, part float64) time.Duration {
	return sorted[int(part*float64(len(sorted)-1))]
}

// crowdOf lets so many callers join again and again, at once after a refusal,
// and returns how long each join took that succeeded, sorted, and how many were refused.
func (d *door) crowdOf(t *testing.T, callers int, lasting time.Duration) (took []time.Duration, refused int) {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	end := time.Now().Add(lasting)
	for i := range callers {
		group.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: joinWithin}
			defer client.CloseIdleConnections()
			for time.Now().Before(end) {
				request, err := d.joinRequest(fmt.Sprintf("crowd-%d", i))
				if err != nil {
					t.Error(err)
					return
				}
				begun := time.Now()
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				mu.Lock()
				switch response.StatusCode {
				case http.StatusOK:
					took = append(took, time.Since(begun))
				case http.StatusServiceUnavailable:
					if refused++; response.Header.Get("Retry-After") == "" {
						t.Error("503 without Retry-After")
					}
				default:
					t.Error(response.Status)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	slices.Sort(took)
	return took, refused
}

// Overload is refusals, and not everybody's time. What else the machine does
// comes and goes, so that one good try of five is enough: a door that does not do
// it has none.
func TestOverloadLeavesTheAcceptedQuick(t *testing.T) {
	d := open(t, own{env: []string{"MAX_IN_FLIGHT="}})
	for range 5 {
		alone, _ := d.crowdOf(t, 1, 2*time.Second)
		crowd, refused := d.crowdOf(t, 300, 4*time.Second)
		if len(alone) == 0 || len(crowd) == 0 || refused == 0 {
			t.Fatalf("alone %d joins; of many %d, and %d were refused", len(alone), len(crowd), refused)
		}
		median := float64(quantile(crowd, 0.5)) / float64(quantile(alone, 0.5))
		t.Logf("alone %v, p99 %v (%d); of 300 who ask again at once %v, p99 %v (%d, and %d refused): %.1f times", quantile(alone, 0.5), quantile(alone, 0.99), len(alone),
			quantile(crowd, 0.5), quantile(crowd, 0.99), len(crowd), refused, median)
		if median <= overloadMedian {
			d.recovered(t)
			return
		}
	}
	t.Errorf("the accepted take more than %d times as long as alone", overloadMedian)
}
