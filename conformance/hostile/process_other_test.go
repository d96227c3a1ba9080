//go:build !linux

package hostile

import "syscall"

// dieWithTest does nothing where the kernel has no such promise: there the
// cleanup alone ends the door.
func dieWithTest() *syscall.SysProcAttr { return nil }

// usageOf knows nothing here: what a process holds is measured on Linux,
// where the door is run. Goroutines are counted everywhere.
func usageOf(int) (usage, error) { return usage{}, nil }
