package devserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// child is a process that ends with this one.
type child struct {
	done   chan struct{} // closed when the process has ended
	output *outputTail
	cmd    *exec.Cmd
}

// startChild runs a program in its own process group with only the given
// environment, and keeps the end of its output.
func startChild(binary string, environ []string) (*child, error) {
	c := &child{done: make(chan struct{}), output: &outputTail{}, cmd: exec.Command(binary)}
	c.cmd.Env = environ
	c.cmd.Stdout = c.output
	c.cmd.Stderr = c.output
	bindToParent(c.cmd)
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child when the thread that started it ends, so
		// this thread stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_ = c.cmd.Wait()
		}
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// stop interrupts the process, and kills it when it has not ended after two seconds.
func (c *child) stop() {
	select {
	case <-c.done:
		return
	default:
	}
	_ = c.cmd.Process.Signal(os.Interrupt)
	select {
	case <-c.done:
	case <-time.After(2 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// waitReady waits until the probe is answered with 200. It fails when the
// process ends first, when the timeout passes, or when the probe's context ends.
func (c *child) waitReady(probe *http.Request, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(probe.Context(), timeout)
	defer cancel()
	client := &http.Client{Timeout: time.Second}
	for {
		if resp, err := client.Do(probe); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-c.done:
			return fmt.Errorf("the process ended:\n%s", c.output)
		case <-ctx.Done():
			if err := probe.Context().Err(); err != nil {
				return err
			}
			return errors.New("no answer in time:\n" + c.output.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// outputTail keeps the last 4 KiB written to it. Safe for concurrent use.
type outputTail struct {
	mu   sync.Mutex
	data []byte
}

const outputTailBytes = 4 << 10

// Write keeps the end of what was written so far.
func (t *outputTail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if excess := len(t.data) - outputTailBytes; excess > 0 {
		t.data = append(t.data[:0], t.data[excess:]...)
	}
	return len(p), nil
}

// String returns the kept output, indented.
func (t *outputTail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return "    " + strings.ReplaceAll(string(bytes.TrimSpace(t.data)), "\n", "\n    ")
}
