package httpapi

import (
	"net"
	"sync/atomic"
	"time"
)

// lastCall is a listener that can stop without resetting connections which
// the kernel has taken and the server has not yet: a listener that is just
// closed does, and under a steady load that cuts requests at every restart.
type lastCall struct {
	*net.TCPListener
	closing atomic.Bool
}

// Accept returns the next connection; after finish, those still waiting.
func (l *lastCall) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err == nil || !l.closing.Load() {
		return conn, err
	}
	return l.acceptOrClose()
}

// finish has Accept hand out what is waiting, then close.
func (l *lastCall) finish() {
	l.closing.Store(true)
	_ = l.SetDeadline(time.Now())
}
