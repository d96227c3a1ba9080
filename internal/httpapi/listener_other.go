//go:build !linux

package httpapi

import "net"

// acceptOrClose closes: a connection that comes in this instant is reset.
func (l *lastCall) acceptOrClose() (net.Conn, error) {
	_ = l.Close()
	return nil, net.ErrClosed
}
