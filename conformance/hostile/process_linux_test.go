package hostile

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// dieWithTest makes the kernel end the door when the test process dies in any
// way, a kill or a crash included, when no cleanup runs.
func dieWithTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// usageOf asks the kernel what a process holds.
//
// SPEC: proc_pid_status(5), proc_pid_fd(5).
func usageOf(pid int) (usage, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return usage{}, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return usage{}, err
	}
	u := usage{files: len(files)}
	for _, file := range files {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, file.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			u.sockets++
		}
	}
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &u.resident)
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &u.peak)
	}
	return u, nil
}
