package inflight

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxNetworkConns is how many connections one network may have once the
	// server has more than manyConns: the head of a request costs memory before
	// anybody can look at it.
	maxNetworkConns = 512
	manyConns       = 4096
)

// ConnTracker counts the connections of a server. It closes those that exceed
// a network's share, and waits for the last request when the server shuts down:
// net/http drops a request that it has read but not begun. Safe for concurrent use.
type ConnTracker struct {
	exempt func(netip.Addr) bool

	mu        sync.Mutex
	open      int
	byNetwork map[netip.Prefix]int
	// busy are connections on which a request may be running.
	busy map[net.Conn]bool
}

// NewConnTracker returns a tracker. Addresses for which exempt is true, and
// loopback addresses, have no share: proxies bring the connections of many.
func NewConnTracker(exempt func(netip.Addr) bool) *ConnTracker {
	return &ConnTracker{exempt: exempt, byNetwork: map[netip.Prefix]int{}, busy: map[net.Conn]bool{}}
}

// ConnState is the hook of that name of http.Server.
func (t *ConnTracker) ConnState(conn net.Conn, state http.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch state {
	case http.StateNew:
		t.busy[conn] = true
		t.open++
		if network, limited := t.network(conn); limited {
			t.byNetwork[network]++
			if t.open > manyConns && t.byNetwork[network] > maxNetworkConns {
				_ = conn.Close()
			}
		}
		return
	case http.StateActive:
		t.busy[conn] = true
		return
	case http.StateClosed, http.StateHijacked:
		t.open--
		if network, limited := t.network(conn); limited {
			if t.byNetwork[network]--; t.byNetwork[network] <= 0 {
				delete(t.byNetwork, network)
			}
		}
	}
	delete(t.busy, conn)
}

// network returns the network of a connection, and whether it has a share.
func (t *ConnTracker) network(conn net.Conn) (netip.Prefix, bool) {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}, false
	}
	addr := tcp.AddrPort().Addr().Unmap()
	return Network(addr), !addr.IsLoopback() && !t.exempt(addr)
}

// Wait returns when no request can be running any more, or when ctx ends.
func (t *ConnTracker) Wait(ctx context.Context) {
	for ctx.Err() == nil {
		t.mu.Lock()
		busy := len(t.busy)
		t.mu.Unlock()
		if busy == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
