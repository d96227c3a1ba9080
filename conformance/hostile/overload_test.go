package hostile

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// crowdAnswers is what callers got who asked at the same moment.
type crowdAnswers struct {
	// byStatus counts answers, with 0 for requests that got none; took is how
	// long each answer took, sorted.
	byStatus map[int]int
	took     []time.Duration
}

// crowd has so many callers join at the same moment, each from an address of
// their own and with one request on a new connection.
func (d *door) crowd(t *testing.T, callers int) crowdAnswers {
	t.Helper()
	requests := make([]*http.Request, callers)
	for i := range requests {
		var err error
		if requests[i], err = d.joinRequest(fmt.Sprintf("crowd-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	answers := crowdAnswers{byStatus: map[int]int{}}
	var mu sync.Mutex
	var group sync.WaitGroup
	start := make(chan struct{})
	for i, request := range requests {
		group.Go(func() {
			<-start
			began := time.Now()
			status, err := d.once(request, net.IPv4(127, 1, byte(i>>8), byte(i)))
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			answers.byStatus[status]++
			answers.took = append(answers.took, took)
		})
	}
	close(start)
	group.Wait()
	slices.Sort(answers.took)
	return answers
}

// once sends a request on a new connection from an address, and returns the
// answer's status.
func (d *door) once(request *http.Request, from net.IP) (status int, err error) {
	dialer := &net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: from}}
	conn, err := dialer.Dial("tcp", d.address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if err := request.Write(conn); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return 0, err
	}
	_ = response.Body.Close()
	return response.StatusCode, nil
}

// An event that starts on the hour turns nobody away.
func TestCrowd_TwoThousandCallersAtOnceAreAllServed(t *testing.T) {
	d := open(t, own{env: []string{"MAX_IN_FLIGHT=", "QUEUE_TIMEOUT=8s"}})
	for _, callers := range []int{200, 2000} {
		answers := d.crowd(t, callers)
		if answers.byStatus[http.StatusOK] != callers {
			t.Errorf("%d at once: %v", callers, answers.byStatus)
		}
		t.Logf("%d at once: %v, last answer after %v", callers, answers.byStatus, answers.took[callers-1])
	}
	d.mustJoin(t, "late")
}
