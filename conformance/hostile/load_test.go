//go:build load

package hostile

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// These tests measure. Their bounds are those that were promised for a quiet
// machine with two cores, times LOAD_SLACK (1 when unset). MAX_IN_FLIGHT is that
// of the environment, else the default.

func configured() own { return own{env: []string{"MAX_IN_FLIGHT=" + os.Getenv("MAX_IN_FLIGHT")}} }

func slack() float64 {
	if s, err := strconv.ParseFloat(os.Getenv("LOAD_SLACK"), 64); err == nil && s >= 1 {
		return s
	}
	return 1
}

// quantile is the value below which that part of the sorted durations lies.
func quantile(sorted []time.Duration, part float64) time.Duration {
	return sorted[int(part*float64(len(sorted)-1))]
}

func TestLoad_CrowdsAreServedWithinThreeSeconds(t *testing.T) {
	d := open(t, configured())
	for _, callers := range []int{200, 500, 1000, 2000} {
		answers := d.crowd(t, callers)
		last := answers.took[callers-1]
		t.Logf("%5d at once: %v, median %v, last %v", callers, answers.byStatus, quantile(answers.took, 0.5), last)
		if answers.byStatus[http.StatusOK] != callers || last > time.Duration(3*slack()*float64(time.Second)) {
			t.Errorf("%d at once: %v, last after %v", callers, answers.byStatus, last)
		}
		d.mustJoin(t, "between")
	}
}

func TestLoad_CrowdIsServedBesideTwoBusyLoops(t *testing.T) {
	d := open(t, configured())
	for range 2 {
		loop := exec.Command("sh", "-c", "while :; do :; done")
		loop.SysProcAttr = dieWithTest()
		if err := loop.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = loop.Process.Kill(); _ = loop.Wait() }()
	}
	for _, callers := range []int{200, 2000} {
		answers := d.crowd(t, callers)
		t.Logf("%d at once beside two busy loops: %v, last %v", callers, answers.byStatus, answers.took[callers-1])
		if answers.byStatus[http.StatusOK] != callers {
			t.Errorf("%d at once: %v", callers, answers.byStatus)
		}
	}
}

// client is one keep-alive connection of a caller.
func client(i int) *http.Client {
	dialer := &net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 2, byte(i>>8), byte(i))}}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, MaxConnsPerHost: 1}}
}

// result is what one answer was.
type result struct {
	status int
	took   time.Duration
	at     time.Time
}

// send sends a prepared join and returns the answer; status 0 for none.
func send(c *http.Client, prototype *http.Request, body []byte) result {
	request := prototype.Clone(prototype.Context())
	request.Body = io.NopCloser(bytes.NewReader(body))
	began := time.Now()
	response, err := c.Do(request)
	if err != nil {
		return result{took: time.Since(began), at: time.Now()}
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return result{status: response.StatusCode, took: time.Since(began), at: time.Now()}
}

// prepared returns a join request whose body can be sent again and again.
func (d *door) prepared(t *testing.T, subject string) (*http.Request, []byte) {
	t.Helper()
	request, err := d.joinRequest(subject)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = int64(len(body))
	return request, body
}

// closedLoop has so many callers ask back to back for a while, also after a
// refusal and whatever Retry-After says.
func (d *door) closedLoop(t *testing.T, callers int, lasting time.Duration) (results []result) {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	end := time.Now().Add(lasting)
	for i := range callers {
		request, body := d.prepared(t, fmt.Sprintf("loop-%d", i))
		group.Go(func() {
			c := client(i)
			defer c.CloseIdleConnections()
			var own []result
			for time.Now().Before(end) {
				own = append(own, send(c, request, body))
			}
			mu.Lock()
			results = append(results, own...)
			mu.Unlock()
		})
	}
	group.Wait()
	return results
}

// summary counts the served and sorts their times.
func summary(results []result) (served []time.Duration, byStatus map[int]int) {
	byStatus = map[int]int{}
	for _, r := range results {
		byStatus[r.status]++
		if r.status == http.StatusOK {
			served = append(served, r.took)
		}
	}
	slices.Sort(served)
	return served, byStatus
}

func TestLoad_FourConnectionsBackToBackAreServedQuickly(t *testing.T) {
	d := open(t, configured())
	served, byStatus := summary(d.closedLoop(t, 4, 5*time.Second))
	p99 := quantile(served, 0.99)
	t.Logf("4 connections: %v, median %v, p99 %v", byStatus, quantile(served, 0.5), p99)
	if len(byStatus) != 1 || p99 > time.Duration(20*slack()*float64(time.Millisecond)) {
		t.Errorf("%v, p99 %v", byStatus, p99)
	}
}

// capacity is how many joins a second are served to callers who ask back to back.
func (d *door) capacity(t *testing.T) float64 {
	t.Helper()
	const lasting = 5 * time.Second
	served, _ := summary(d.closedLoop(t, 16*runtime.NumCPU(), lasting))
	return float64(len(served)) / lasting.Seconds()
}

func TestLoad_TwiceTheCapacityLeavesTheGoodput(t *testing.T) {
	o := configured()
	o.processor = os.Getenv("LOAD_PROCESSOR")
	d := open(t, o)
	capacity := d.capacity(t)
	const lasting = 20 * time.Second
	interval := time.Duration(float64(time.Second) / (2 * capacity))
	var mu sync.Mutex
	var results []result
	var group sync.WaitGroup
	var sent atomic.Int64
	const callers = 4096
	clients := make(chan int, callers)
	pool := make([]*http.Client, callers)
	for i := range callers {
		pool[i] = client(i)
		clients <- i
	}
	request, body := d.prepared(t, "open-load")
	began := time.Now()
	for next := began; time.Since(began) < lasting; next = next.Add(interval) {
		time.Sleep(time.Until(next))
		i := <-clients // with as many as this the load stays open
		sent.Add(1)
		group.Go(func() {
			r := send(pool[i], request, body)
			clients <- i
			mu.Lock()
			results = append(results, r)
			mu.Unlock()
		})
	}
	offered := float64(sent.Load()) / time.Since(began).Seconds()
	group.Wait()
	served, byStatus := summary(results)
	goodput := float64(len(served)) / time.Since(began).Seconds()
	t.Logf("capacity %.0f/s, offered %.0f/s, goodput %.0f/s (%.0f %%), %v, p50 %v, p99 %v", capacity, offered, goodput,
		100*goodput/capacity, byStatus, quantile(served, 0.5), quantile(served, 0.99))
	if goodput < 0.85/slack()*capacity || quantile(served, 0.99) > time.Duration(5*slack()*float64(time.Second)) {
		t.Errorf("goodput %.0f of %.0f, p99 %v", goodput, capacity, quantile(served, 0.99))
	}
}

func TestLoad_FourHundredWhoIgnoreRetryAfterLeaveTheGoodput(t *testing.T) {
	d := open(t, configured())
	capacity := d.capacity(t)
	const lasting = 10 * time.Second
	served, byStatus := summary(d.closedLoop(t, 400, lasting))
	goodput := float64(len(served)) / lasting.Seconds()
	t.Logf("capacity %.0f/s, 400 callers %.0f/s (%.0f %%), %v, p50 %v, p99 %v", capacity, goodput, 100*goodput/capacity,
		byStatus, quantile(served, 0.5), quantile(served, 0.99))
	if goodput < 0.7/slack()*capacity {
		t.Errorf("goodput %.0f of %.0f", goodput, capacity)
	}
}
