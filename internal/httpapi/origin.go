package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"stagedoor"
)

// origin says where a request comes from: the client's address, whether it
// came over HTTPS, and whether a trusted proxy spoke for it. Forwarding
// headers of anybody else are not looked at.
func (a *api) origin(r *http.Request) (client string, https, trusted bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown", r.TLS != nil, false
	}
	peer = peer.Unmap().WithZone("")
	trusted = a.trusts(peer)
	if !trusted {
		return peer.String(), r.TLS != nil, false
	}
	https = r.TLS != nil
	// One header with one value: a list could have been begun by the client.
	if proto := r.Header.Values("X-Forwarded-Proto"); len(proto) == 1 && strings.EqualFold(proto[0], "https") {
		https = true
	}
	return a.clientOf(r, peer).String(), https, true
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

// clientOf is the client's address as a trusted proxy tells it.
func (a *api) clientOf(r *http.Request, peer netip.Addr) netip.Addr {
	name := http.CanonicalHeaderKey(a.ClientIPHeader)
	if name == "" || name == "X-Forwarded-For" {
		return a.forwardedFor(r, peer)
	}
	// Anything but one address is nobody's word.
	if told := r.Header.Values(name); len(told) == 1 {
		if addr, err := netip.ParseAddr(strings.TrimSpace(told[0])); err == nil {
			return addr.Unmap().WithZone("")
		}
	}
	return peer
}

// forwardedFor walks X-Forwarded-For from the right, past trusted proxies, to
// the first address that none of them vouches for.
func (a *api) forwardedFor(r *http.Request, peer netip.Addr) netip.Addr {
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	client := peer
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		addr, err := netip.ParseAddr(hop)
		if err != nil {
			withPort, err := netip.ParseAddrPort(hop)
			if err != nil {
				return client
			}
			addr = withPort.Addr()
		}
		client = addr.Unmap().WithZone("")
		if !a.trusts(client) {
			return client
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
		case isProbe(r.URL.Path) || !a.RequireHTTPS:
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
		if !isProbe(r.URL.Path) && !(err == nil && addr.IsLoopback()) && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
			refuse(w, r, stagedoor.Refuse(stagedoor.OriginNotAllowed, "this address answers on localhost only"))
			return
		}
		next.ServeHTTP(w, r)
	})
}
