package main

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

// child is a process that lives no longer than this one.
type child struct {
	done chan struct{} // closed when it has ended
	tail *tail
	cmd  *exec.Cmd
}

// startChild runs a program in its own process group, with just the given
// environment, and keeps the end of what it prints.
func startChild(binary string, environ []string) (*child, error) {
	c := &child{done: make(chan struct{}), tail: &tail{}, cmd: exec.Command(binary)}
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = environ, c.tail, c.tail
	bindToParent(c.cmd)
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child when the thread that started it ends,
		// so that thread is kept until the child is gone.
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

// stop asks the child to end and, when it does not within two seconds, ends it.
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

// ready waits until the probe is answered with 200, the child ends, or the
// probe's context does.
func (c *child) ready(probe *http.Request, within time.Duration) error {
	ctx, cancel := context.WithTimeout(probe.Context(), within)
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
			return fmt.Errorf("it ended by itself:\n%s", c.tail.String())
		case <-ctx.Done():
			if err := probe.Context().Err(); err != nil {
				return err
			}
			return errors.New("it did not answer in time:\n" + c.tail.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail keeps the last lines written to it. Safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const tailBytes = 4 << 10

// Write keeps the end of what it is given.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - tailBytes; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

// String returns what is kept, indented.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return "    " + strings.ReplaceAll(string(bytes.TrimSpace(t.data)), "\n", "\n    ")
}
