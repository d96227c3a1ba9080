//go:build !unix

package policy

import (
	"testing"
	"time"
)

var started = time.Now()

// workDone is the time that has passed: this system does not say how long a
// process has worked.
func workDone(*testing.T) time.Duration { return time.Since(started) }
