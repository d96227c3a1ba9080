package hostile

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// joinWithin bounds one join during an attack, on a machine that attacker
	// and door share.
	joinWithin = 10 * time.Second
	// filesLeft and memoryLeft (KiB) are what may remain of an attack: Go gives
	// memory back late, and keeps what it will soon need again.
	filesLeft = 10
	// listeners are the sockets of a door with no connection.
	listeners  = 2
	memoryLeft = 48 << 10
	// peakMost (KiB) bounds what an attack may cost while it lasts.
	peakMost = 256 << 10
	// backWithin is how long all of that may take.
	backWithin = 20 * time.Second
)

// caller is a client of its own: a connection for every request.
func (d *door) caller() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true}
	if d.roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: d.roots}
	}
	return &http.Client{Transport: transport, Timeout: joinWithin}
}

// joinRequest is a correct caller's.
func (d *door) joinRequest(subject string) (*http.Request, error) {
	scheme := "http://"
	if d.roots != nil {
		scheme = "https://"
	}
	request, err := http.NewRequest(http.MethodPost, scheme+d.address+"/api/join", strings.NewReader(`{"room":"stage"}`))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+callerToken(subject))
	request.Header.Set("Content-Type", "application/json")
	return request, nil
}

func (d *door) join(client *http.Client, subject string) error {
	request, err := d.joinRequest(subject)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", response.StatusCode, body)
	}
	return granted(body, subject)
}

// granted reports whether an answer admits the subject, and nobody else.
func granted(body []byte, subject string) error {
	var answer struct{ Token, Identity string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	var claims jwt.RegisteredClaims
	if _, err := jwt.ParseWithClaims(answer.Token, &claims, func(*jwt.Token) (any, error) { return []byte(livekitSecret), nil }); err != nil {
		return err
	}
	if answer.Identity != subject || claims.Subject != subject {
		return fmt.Errorf("%s was admitted as %s, with a token of %s", subject, answer.Identity, claims.Subject)
	}
	return nil
}

func (d *door) mustJoin(t *testing.T, subject string) {
	t.Helper()
	if err := d.join(d.caller(), subject); err != nil {
		t.Fatal("a join: ", err)
	}
}

// meanwhile has a caller after another join while the attack lasts. All of
// them are admitted.
func (d *door) meanwhile(t *testing.T, attack func()) {
	t.Helper()
	over := make(chan struct{})
	var took []time.Duration
	var failed []error
	var joiner sync.WaitGroup
	joiner.Go(func() {
		client := d.caller()
		for i := 0; ; i++ {
			begun := time.Now()
			if err := d.join(client, fmt.Sprintf("caller-%d", i)); err != nil {
				failed = append(failed, fmt.Errorf("after %v: %w", time.Since(begun).Round(time.Millisecond), err))
			}
			took = append(took, time.Since(begun))
			select {
			case <-over:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	attack()
	close(over)
	joiner.Wait()
	slices.Sort(took)
	t.Logf("%d joins meanwhile: median %v, slowest %v", len(took), took[len(took)/2].Round(100*time.Microsecond), took[len(took)-1].Round(time.Millisecond))
	if len(failed) > 0 {
		t.Errorf("%d of %d joins failed meanwhile: %v", len(failed), len(took), failed[0])
	}
}

// recovered proves that the attack has left nothing: joins work, memory, files
// and goroutines are back, and the log knows of no fault. It ends the door.
func (d *door) recovered(t *testing.T) {
	t.Helper()
	peak := d.usage(t).peak
	var now usage
	end := time.Now().Add(backWithin)
	for i := 0; ; i++ {
		if i%10 == 0 {
			d.mustJoin(t, "late")
		}
		now = d.usage(t)
		if now.sockets <= listeners && now.files <= d.before.files+filesLeft && now.resident <= d.before.resident+memoryLeft {
			break
		}
		if time.Now().After(end) {
			t.Errorf("before: %+v; %v after: %+v", d.before, backWithin, now)
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("memory: %d MiB before, %d at most, %d after; files: %d before, %d after", d.before.resident>>10, peak>>10, now.resident>>10, d.before.files, now.files)
	if peak > peakMost {
		t.Errorf("%d KiB were used meanwhile", peak)
	}
	d.mustBeFaultless(t)
	d.mustBeAlone(t)
}

// mustBeFaultless reads the log.
func (d *door) mustBeFaultless(t *testing.T) {
	t.Helper()
	log := d.out.String()
	if !utf8.ValidString(log) || strings.ContainsFunc(log, func(r rune) bool { return r != '\n' && (r < 0x20 || 0x7f <= r && r < 0xa0) }) {
		t.Error("the log holds bytes that steer a terminal")
	}
	if strings.Contains(log, "panic") {
		t.Error("the log says panic")
	}
	for line := range strings.Lines(log) {
		var object struct {
			Level, Msg, Limit string
			Status            int
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Errorf("a line of the log is not JSON: %q", line)
		}
		busy := object.Status == http.StatusServiceUnavailable && object.Limit == "in flight"
		if object.Status >= http.StatusInternalServerError && !busy || object.Level == "ERROR" {
			t.Errorf("a fault: %s", line)
			return
		}
	}
}

// mustBeAlone ends the door with its goroutines' stacks in the log, and looks
// for any that still serves a connection.
func (d *door) mustBeAlone(t *testing.T) {
	t.Helper()
	written := len(d.out.String())
	d.signal(syscall.SIGQUIT)
	select {
	case <-d.exited:
	case <-time.After(10 * time.Second):
		t.Error("the door does not end")
		return
	}
	stacks := d.out.String()[written:]
	all, serving := strings.Count(stacks, "\ngoroutine "), 0
	for stack := range strings.SplitSeq(stacks, "\n\n") {
		if strings.Contains(stack, "net/http.(*conn).serve(") || strings.Contains(stack, "net/http.(*http2serverConn)") {
			serving++
		}
	}
	t.Logf("%d goroutines at the end", all)
	if all == 0 || all > 60 || serving > 1 {
		t.Errorf("%d goroutines are left, %d of them serve connections:\n%s", all, serving, tail(stacks, 3000))
	}
	if err := d.out.Truncate(int64(written)); err != nil {
		t.Error(err)
	}
}

// aToken is what a grant looks like.
var aToken = regexp.MustCompile(`eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}`)

// mustHoldNoToken looks for a grant where there may be none.
func mustHoldNoToken(t *testing.T, where, answer string) {
	t.Helper()
	if aToken.MatchString(answer) {
		t.Errorf("%s was given a token: %s", where, tail(answer, 300))
	}
}
