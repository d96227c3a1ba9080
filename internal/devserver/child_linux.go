package devserver

import (
	"os/exec"
	"syscall"
)

// bindToParent keeps the terminal's Ctrl-C from the child, which stop ends in
// order, and has the kernel kill the child when this process is killed.
func bindToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
