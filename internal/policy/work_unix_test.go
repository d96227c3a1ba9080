//go:build unix

package policy

import (
	"syscall"
	"testing"
	"time"
)

// workDone is how long this process has worked. Unlike the time that passes it
// does not grow while other programs have the processors.
//
// SPEC: getrusage(2).
func workDone(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
