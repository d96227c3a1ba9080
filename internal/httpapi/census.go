package httpapi

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// mostConnections is how many one network may have: the head of a request
// costs memory before anybody can look at it.
const mostConnections = 512

// census knows the connections on which a request may be under way. While
// it shuts down, net/http drops a request that it has read but not begun, so
// shutting down has to wait for these. It also counts those of each network.
type census struct {
	// exempt are proxies and this machine, which bring the connections of many.
	exempt func(netip.Addr) bool
	mu     sync.Mutex
	conns  map[net.Conn]bool
	of     map[netip.Prefix]int
}

func newCensus(exempt func(netip.Addr) bool) *census {
	return &census{exempt: exempt, conns: map[net.Conn]bool{}, of: map[netip.Prefix]int{}}
}

// count is the server's ConnState hook. It closes what is too much of one network.
func (c *census) count(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.conns[conn] = true
		if from, bounded := c.network(conn); bounded {
			if c.of[from]++; c.of[from] > mostConnections {
				_ = conn.Close()
			}
		}
		return
	case http.StateActive:
		c.conns[conn] = true
		return
	case http.StateClosed, http.StateHijacked:
		if from, bounded := c.network(conn); bounded {
			if c.of[from]--; c.of[from] <= 0 {
				delete(c.of, from)
			}
		}
	}
	delete(c.conns, conn)
}

// network is in whose number a connection counts, if in any.
func (c *census) network(conn net.Conn) (netip.Prefix, bool) {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}, false
	}
	addr := tcp.AddrPort().Addr().Unmap()
	return network(addr), !addr.IsLoopback() && !c.exempt(addr)
}

// wait returns when no connection is left or ctx ends.
func (c *census) wait(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		left := len(c.conns)
		c.mu.Unlock()
		if left == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
