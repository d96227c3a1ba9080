package livekit

import "syscall"

// dieWithTest makes the kernel end the server when the test process dies in
// any way, a kill or a crash included, when no cleanup runs.
func dieWithTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
