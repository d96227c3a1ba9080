//go:build !linux

package livekit

import "syscall"

// dieWithTest does nothing where the kernel has no such promise: there the
// cleanup alone ends the server.
func dieWithTest() *syscall.SysProcAttr { return nil }
