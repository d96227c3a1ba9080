package inflight

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
)

// fakeConn is a connection from an address.
type fakeConn struct {
	net.Conn
	from   netip.Addr
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.from, 4711))
}
func (c *fakeConn) Close() error { c.closed = true; return nil }

// connect opens n connections from an address and returns them.
func connect(t *ConnTracker, n int, from netip.Addr) []*fakeConn {
	conns := make([]*fakeConn, n)
	for i := range conns {
		conns[i] = &fakeConn{from: from}
		t.ConnState(conns[i], http.StateNew)
		t.ConnState(conns[i], http.StateActive)
	}
	return conns
}

func closedOf(conns []*fakeConn) int {
	n := 0
	for _, c := range conns {
		if c.closed {
			n++
		}
	}
	return n
}

func TestConnTracker_OneNetworkHasNoLimitWhileThereIsRoom(t *testing.T) {
	tracker := NewConnTracker(func(netip.Addr) bool { return false })
	if n := closedOf(connect(tracker, manyConns, netip.MustParseAddr("192.0.2.1"))); n != 0 {
		t.Errorf("%d connections of a crowd behind one address were closed", n)
	}
}

func TestConnTracker_ManyConnectionsLeaveEachNetworkItsShare(t *testing.T) {
	proxy := netip.MustParseAddr("10.0.0.7")
	for from, limited := range map[string]bool{
		"192.0.2.1": true, "2001:db8::1": true, "::ffff:192.0.2.1": true,
		"10.0.0.7": false, "127.0.0.1": false, "::1": false,
	} {
		tracker := NewConnTracker(func(a netip.Addr) bool { return a == proxy })
		var others []*fakeConn
		for i := range manyConns {
			addr := netip.MustParseAddr(fmt.Sprintf("198.51.%d.%d", i/256, i%256))
			others = append(others, connect(tracker, 1, addr)...)
		}

		conns := connect(tracker, maxNetworkConns+1, netip.MustParseAddr(from))

		want := 0
		if limited {
			want = 1
		}
		if n := closedOf(conns); n != want || closedOf(others) != 0 {
			t.Errorf("%s: %d of its connections were closed, want %d; of others %d", from, n, want, closedOf(others))
		}
		for _, c := range append(conns, others...) {
			tracker.ConnState(c, http.StateIdle)
			tracker.ConnState(c, http.StateClosed)
		}
		if len(tracker.byNetwork) != 0 || len(tracker.busy) != 0 || tracker.open != 0 {
			t.Errorf("%s: %v, %d busy and %d open are left", from, tracker.byNetwork, len(tracker.busy), tracker.open)
		}
	}
}
