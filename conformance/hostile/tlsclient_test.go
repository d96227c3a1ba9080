package hostile

import (
	"crypto/tls"
	"net"
)

// tlsClient speaks TLS on a connection, without having shaken hands.
func tlsClient(conn net.Conn, d *door) *tls.Conn {
	return tls.Client(conn, &tls.Config{RootCAs: d.roots, ServerName: "127.0.0.1", NextProtos: []string{"h2", "http/1.1"}})
}

// reset closes a connection so that the other side learns of it at once.
func reset(conn net.Conn) {
	raw := conn
	if encrypted, ok := conn.(*tls.Conn); ok {
		raw = encrypted.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
}
