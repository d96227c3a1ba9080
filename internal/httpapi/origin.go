package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"stagedoor"
)

// source is where a request comes from.
type source struct {
	// client is the client's address, or unknownClient.
	client string
	// https is whether it came over HTTPS.
	https bool
	// trusted is whether a trusted proxy spoke for it.
	trusted bool
	// doubt is why the trusted proxy's word on the client is not taken.
	doubt string
}

// unknownClient stands for everybody whose address is not known: to the
// limits they are one.
const unknownClient = "unknown"

// origin says where a request comes from. Forwarding headers of anybody but
// trusted proxies are not looked at, and RFC 7239's Forwarded is nobody's.
func (a *api) origin(r *http.Request) source {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return source{client: unknownClient, https: r.TLS != nil}
	}
	peer = peer.Unmap().WithZone("")
	if !a.trusts(peer) {
		return source{client: peer.String(), https: r.TLS != nil}
	}
	s := source{https: r.TLS != nil, trusted: true}
	// One header with one value: a list could have been begun by the client.
	if proto := r.Header.Values("X-Forwarded-Proto"); len(proto) == 1 && strings.EqualFold(proto[0], "https") {
		s.https = true
	}
	client, doubt := a.clientOf(r, peer)
	if s.client, s.doubt = client.String(), doubt; doubt != "" {
		s.client = unknownClient
	}
	return s
}

// trusts reports whether addr may speak X-Forwarded-* for others.
func (a *api) trusts(addr netip.Addr) bool {
	for _, prefix := range a.TrustedProxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// clientOf is the client's address as a trusted proxy tells it, or why that
// is not taken. A proxy that says nothing is the client itself: a service
// beside it, or a client that made it leave the header out, who is then no
// better off than all who do.
func (a *api) clientOf(r *http.Request, peer netip.Addr) (client netip.Addr, doubt string) {
	const forwardedFor = "X-Forwarded-For"
	name := http.CanonicalHeaderKey(a.ClientIPHeader)
	if name == "" {
		name = forwardedFor
	}
	if twin := underscored(r.Header, name, forwardedFor, "X-Forwarded-Proto"); twin != "" {
		return peer, twin + " is spelt with an underscore"
	}
	told := r.Header.Values(name)
	if name == forwardedFor {
		return a.lastUntrusted(told, peer), ""
	}
	switch len(told) {
	case 0:
		return peer, ""
	case 1:
		if addr, ok := parseHop(told[0]); ok {
			return addr, ""
		}
		return peer, a.ClientIPHeader + " is not one address"
	}
	// One is the proxy's and the other the client's: nobody can say which.
	return peer, "there are several " + a.ClientIPHeader
}

// underscored finds one of the names spelt with an underscore for a hyphen.
// Only somebody trying sends one: programs behind CGI read it as the name.
func underscored(header http.Header, names ...string) string {
	for sent := range header {
		if !strings.Contains(sent, "_") {
			continue
		}
		for _, name := range names {
			if strings.EqualFold(strings.ReplaceAll(sent, "_", "-"), name) {
				return name
			}
		}
	}
	return ""
}

// parseHop reads an address, with or without brackets and a port.
func parseHop(hop string) (netip.Addr, bool) {
	hop = strings.TrimSpace(hop)
	addr, err := netip.ParseAddr(hop)
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(hop)
		addr = withPort.Addr()
	}
	if inner, open := strings.CutPrefix(hop, "["); err != nil && open && strings.HasSuffix(inner, "]") {
		addr, err = netip.ParseAddr(strings.TrimSuffix(inner, "]"))
	}
	return addr.Unmap().WithZone(""), err == nil
}

// lastUntrusted walks X-Forwarded-For, whose several lines are one list, from
// the right past trusted proxies to the first address that none of them
// vouches for. What is no address ends the walk: behind it anything may stand.
//
// SPEC: RFC 9110 §5.3 (several lines of a list).
func (a *api) lastUntrusted(lines []string, peer netip.Addr) netip.Addr {
	client := peer
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			hop := rest
			comma := strings.LastIndexByte(rest, ',')
			if more = comma >= 0; more {
				rest, hop = rest[:comma], rest[comma+1:]
			}
			addr, ok := parseHop(hop)
			if !ok {
				return client
			}
			if client = addr; !a.trusts(client) {
				return client
			}
		}
	}
	return client
}

// requireHTTPS refuses plain HTTP. A GET is redirected, to the configured
// host only: a Host header could name anybody's.
//
// SPEC: RFC 6797 §7.1, §7.2 (HSTS only over HTTPS).
func (a *api) requireHTTPS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isProbe(r) || !a.RequireHTTPS:
		case recordOf(r.Context()).https:
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		case a.PublicHost != "" && strings.HasPrefix(r.URL.Path, "/") && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			target := "https://" + a.PublicHost + r.URL.EscapedPath()
			if r.URL.RawQuery != "" {
				target += "?" + r.URL.RawQuery
			}
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusPermanentRedirect)
			return
		default:
			refuse(w, r, stagedoor.Refuse(stagedoor.HTTPSRequired,
				"use https; if a proxy in front ends TLS, its address must be named in TRUSTED_PROXIES"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackOnly refuses requests whose Host is not this machine's own name, so
// that a web page elsewhere cannot reach a development door by DNS rebinding.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(r.Host)
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.Trim(host, "[]")
		addr, err := netip.ParseAddr(host)
		if !isProbe(r) && !(err == nil && addr.IsLoopback()) && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
			refuse(w, r, stagedoor.Refuse(stagedoor.OriginNotAllowed, "this address answers on localhost only"))
			return
		}
		next.ServeHTTP(w, r)
	})
}
