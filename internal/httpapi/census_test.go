package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"testing"
)

// peer is a connection from somewhere.
type peer struct {
	net.Conn
	from   string
	closed bool
}

func (p *peer) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(p.from), 4711))
}
func (p *peer) Close() error { p.closed = true; return nil }

// The head of a request costs memory before a limit can see it.
func TestOneNetworkCannotOpenConnectionsWithoutEnd(t *testing.T) {
	for from, bounded := range map[string]bool{"192.0.2.1": true, "2001:db8::1": true, "::ffff:192.0.2.1": true, "10.0.0.7": false, "127.0.0.1": false, "::1": false} {
		c := newCensus(func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.7") })
		open := make([]*peer, mostConnections)
		for i := range open {
			open[i] = &peer{from: from}
			c.count(open[i], http.StateNew)
			c.count(open[i], http.StateActive)
			if open[i].closed {
				t.Fatalf("%s: connection %d is closed", from, i)
			}
		}
		more := &peer{from: from}
		if c.count(more, http.StateNew); more.closed != bounded {
			t.Errorf("%s: one more is closed: %v", from, more.closed)
		}
		c.count(more, http.StateClosed)
		c.count(open[0], http.StateClosed)
		again := &peer{from: from}
		if c.count(again, http.StateNew); again.closed {
			t.Errorf("%s: one has left, and none may come", from)
		}
		for _, p := range append(open[1:], again) {
			c.count(p, http.StateIdle)
			c.count(p, http.StateClosed)
		}
		if len(c.of) != 0 || len(c.conns) != 0 {
			t.Errorf("%s: %v and %d connections are left", from, c.of, len(c.conns))
		}
	}
}
