package httpapi

import (
	"net"
	"os"
	"syscall"
)

// acceptOrClose returns a connection that waits, or stops listening in the
// same breath as it sees that none does. Errors: net.ErrClosed.
//
// SPEC: accept4(2), shutdown(2).
func (l *lastCall) acceptOrClose() (net.Conn, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	accepted, failed := -1, error(nil)
	err = raw.Control(func(fd uintptr) {
		accepted, _, failed = syscall.Accept4(int(fd), syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
		if failed != nil {
			_ = syscall.Shutdown(int(fd), syscall.SHUT_RD)
		}
	})
	if err != nil || failed != nil {
		_ = l.Close()
		return nil, net.ErrClosed
	}
	file := os.NewFile(uintptr(accepted), "connection")
	defer func() { _ = file.Close() }()
	return net.FileConn(file)
}
