package main

import (
	"os/exec"
	"syscall"
)

// bindToParent keeps the terminal's Ctrl-C from the child, which is stopped in
// order, and has the kernel end it should this process be killed.
func bindToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
