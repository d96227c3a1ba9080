package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// checkListener decides where the door listens and whom it believes there.
func (l *loader) checkListener() {
	c := l.config
	if c.ListenAddr == "" && !l.bad["LISTEN_ADDR"] {
		host := ""
		if l.mode == Dev {
			host = "127.0.0.1"
		}
		c.ListenAddr = net.JoinHostPort(host, strconv.Itoa(c.Port))
	}
	if l.mode == Dev {
		l.checkDevListener()
		return
	}
	l.checkPlatform()
	if l.bad["LISTEN_ADDR"] || l.bad["TRUSTED_PROXIES"] || l.bad["REQUIRE_HTTPS"] {
		return // what follows depends on them
	}
	l.checkProxies()
	if !l.given["REQUIRE_HTTPS"] {
		c.RequireHTTPS = !c.Loopback()
	}
	ownTLS := l.checkTLS()
	unreachable := c.RequireHTTPS && !ownTLS && len(c.TrustedProxies) == 0
	switch {
	case unreachable && c.Loopback():
		// Somebody asked for it by name: it harms nobody and is seen at the first request.
		l.warn("REQUIRE_HTTPS", "every request will be refused as plain HTTP: no proxy is trusted", "name the proxy in TRUSTED_PROXIES, or unset it")
	case unreachable:
		l.problem("REQUIRE_HTTPS", "every request would be refused as plain HTTP: the listener has no TLS of its own and trusts no proxy",
			"behind a proxy that speaks HTTPS, name its addresses in TRUSTED_PROXIES; without one, set TLS_DOMAINS or TLS_CERT_FILE; on your own machine, run stagedoor dev or set LISTEN_ADDR=127.0.0.1:3000")
	case !c.RequireHTTPS && !c.Loopback():
		l.warn("REQUIRE_HTTPS", "is off on a public listener: callers' tokens and LiveKit tokens may travel in clear text", "unset it, and name the proxy that speaks HTTPS in TRUSTED_PROXIES")
	}
	l.warnPlainOrigins()
}

// checkTLS reports whether the door speaks TLS itself, and refuses half of it.
func (l *loader) checkTLS() bool {
	c := l.config
	cert, key, domains := l.given["TLS_CERT_FILE"], l.given["TLS_KEY_FILE"], l.given["TLS_DOMAINS"]
	switch {
	case cert && !key:
		l.problem("TLS_KEY_FILE", "is missing beside TLS_CERT_FILE", "name the file of the private key")
	case key && !cert:
		l.problem("TLS_CERT_FILE", "is missing beside TLS_KEY_FILE", "name the file of the certificate chain")
	case cert && domains:
		l.problem("TLS_DOMAINS", "is set beside TLS_CERT_FILE: the certificate is either given or obtained", "unset one of them")
	}
	if !domains {
		l.pointless("TLS_DOMAINS", "TLS_ACME_URL")
	}
	if domains && !l.bad["TLS_DOMAINS"] && c.PublicHost == "" {
		c.PublicHost = c.TLSDomains[0]
	}
	return cert || key || domains
}

// checkDevListener keeps stagedoor dev on this machine: its demo callers
// would otherwise be everybody's.
func (l *loader) checkDevListener() {
	c := l.config
	if l.given["LISTEN_ADDR"] && !l.bad["LISTEN_ADDR"] && !c.Loopback() {
		l.problem("LISTEN_ADDR", "is not a loopback address: stagedoor dev lets anybody in who reaches it", "unset it, set 127.0.0.1:3000, or run stagedoor serve")
	}
	if c.RequireHTTPS {
		l.warn("REQUIRE_HTTPS", "is off under stagedoor dev, which is reached over plain HTTP on this machine alone", "")
	}
	if l.given["ADMIN_ADDR"] && !l.bad["ADMIN_ADDR"] && !loopback(c.AdminAddr) {
		l.problem("ADMIN_ADDR", "is not a loopback address: stagedoor dev is for this machine alone", "unset it, or run stagedoor serve")
	}
	if l.given["TLS_CERT_FILE"] || l.given["TLS_KEY_FILE"] || l.given["TLS_DOMAINS"] {
		l.warn("TLS_CERT_FILE", "and TLS_DOMAINS are not used under stagedoor dev, which is reached over plain HTTP on this machine alone", "")
	}
	c.RequireHTTPS = false
	l.warnPlainOrigins()
}

// checkProxies warns when strangers are among those believed.
func (l *loader) checkProxies() {
	private := netip.MustParsePrefix("fc00::/7")
	for _, prefix := range l.config.TrustedProxies {
		least := 8
		if prefix.Addr().Is6() {
			least = 16
		}
		if prefix.Bits() < least && !(prefix.Bits() >= private.Bits() && private.Contains(prefix.Addr())) {
			l.warn("TRUSTED_PROXIES", "trusts a large part of the Internet: whoever reaches the door directly can claim any address and HTTPS", "name the proxy's own addresses alone")
			return
		}
	}
}

// warnPlainOrigins warns of pages that anybody on their way can rewrite.
func (l *loader) warnPlainOrigins() {
	for i, origin := range l.config.AllowedOrigins {
		host, ok := strings.CutPrefix(origin, "http://")
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if ok && !PrivateHost(host) {
			l.warn("ALLOWED_ORIGINS", "entry "+strconv.Itoa(i+1)+" is a page without HTTPS: whoever stands between it and its reader can use its reader's tokens", "use the https:// origin")
		}
	}
}

// Loopback reports whether the public listener is bound to loopback, so that
// only this machine reaches it. localhost counts.
func (c *Config) Loopback() bool { return loopback(c.ListenAddr) }

// checkAdmin keeps the admin listener from standing open.
func (l *loader) checkAdmin() {
	if !l.given["ADMIN_TOKEN"] {
		l.pointless("ADMIN_TOKEN", "ADMIN_TOKEN_PREVIOUS")
		if l.config.AdminOnPublic {
			l.problem("ADMIN_ON_PUBLIC", "needs ADMIN_TOKEN: anybody could use the admin API", "set ADMIN_TOKEN to the output of: openssl rand -base64 48")
		}
	}
	if l.bad["ADMIN_ADDR"] || loopback(l.config.AdminAddr) || l.given["ADMIN_TOKEN"] || l.mode == Dev {
		return
	}
	l.problem("ADMIN_ADDR", "is not a loopback address, and there is no ADMIN_TOKEN: anybody could use the admin API", "set ADMIN_TOKEN to the output of: openssl rand -base64 48")
}
