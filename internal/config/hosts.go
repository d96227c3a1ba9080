package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// PrivateHost reports whether host is one that clear text may be sent to: a
// loopback, RFC 1918 or unique local address, a single-label name, or a name
// under .internal, .local or .localhost. It is decided without DNS, whose
// answer an attacker may give. Brackets and a zone around an IPv6 address and
// a final dot of a name are allowed. Everything else is public: unspecified
// and link-local addresses, and names that a resolver may read as a number
// (2130706433, 0x7f.1).
//
// SPEC: RFC 1918 §3, RFC 4193 §3, RFC 6761 §6.3, RFC 6762 §3.
func PrivateHost(host string) bool {
	if addr, ok := hostAddr(host); ok {
		return addr.IsLoopback() || addr.IsPrivate()
	}
	if !validHostName(host) {
		return false
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	for _, suffix := range []string{".internal", ".local", ".localhost"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return !strings.Contains(name, ".")
}

// hostAddr reads host as an IP address, without brackets and zone, and an
// IPv4-mapped one as the IPv4 address that packets really go to.
func hostAddr(host string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(inner, ":") {
			return netip.Addr{}, false
		}
		host = inner
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.WithZone("").Unmap(), true
}

// validHostName reports whether host is a name in ASCII that no resolver or
// browser reads as an address.
//
// SPEC: RFC 1123 §2.1, with underscores, which container names use;
// https://url.spec.whatwg.org/#ends-in-a-number-checker.
func validHostName(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !letterOrDigit(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return !numeric(labels[len(labels)-1])
}

// numeric reports whether a label is a number to inet_aton: decimal, octal or
// hexadecimal.
func numeric(label string) bool {
	if digits, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func letterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// parseURL reads an absolute URL with one of the schemes. Without TLS it may
// only lead to a private host, since tokens, keys and signing keys travel there.
func parseURL(raw string, schemes []string, query bool) (*url.URL, *Problem) {
	u, err := url.Parse(raw)
	switch {
	case err != nil: // err quotes the URL, which may hold a password
		return nil, &Problem{What: "is not a URL", Remedy: "write it as " + schemes[len(schemes)-1] + "://host"}
	case !slices.Contains(schemes, u.Scheme):
		return nil, &Problem{What: "must begin with " + orList(schemes, "://")}
	case u.User != nil:
		return nil, &Problem{What: "must not hold a user name or password"}
	case strings.Contains(raw, "#"):
		return nil, &Problem{What: "must not have a fragment (#)"}
	case !query && strings.Contains(raw, "?"):
		return nil, &Problem{What: "must not have a query (?)"}
	case !validAuthority(u):
		return nil, &Problem{What: "has no valid host name or port", Remedy: "write the host in ASCII, the port as 1 to 65535"}
	case (u.Scheme == "http" || u.Scheme == "ws") && !PrivateHost(u.Hostname()):
		return nil, &Problem{What: "would send credentials in clear text to a host that is not private",
			Remedy: "use " + u.Scheme + "s://"}
	}
	return u, nil
}

// validAuthority checks the host and port of u.
func validAuthority(u *url.URL) bool {
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return false
		}
	}
	_, addr := hostAddr(u.Hostname())
	return addr || validHostName(u.Hostname())
}

// parseOrigin returns the form in which browsers send raw as Origin.
//
// SPEC: https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
func parseOrigin(raw string) (string, *Problem) {
	switch {
	case strings.Contains(raw, "*"):
		return "", &Problem{What: "is a wildcard: any site could call the door with its visitors' tokens", Remedy: "list every origin exactly"}
	case strings.EqualFold(raw, "null"):
		return "", &Problem{What: "is null, which every sandboxed page sends", Remedy: "list every origin exactly"}
	}
	wrong := &Problem{What: "is not an origin", Remedy: "write https://host or https://host:port, without path or final slash"}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Path != "" ||
		strings.ContainsAny(raw, "?#") || !validAuthority(u) {
		return "", wrong
	}
	host := strings.ToLower(u.Hostname())
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", wrong
		}
		host = addr.String()
		if addr.Is4In6() { // browsers write the last 32 bits in hexadecimal
			return "", wrong
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port, _ := strconv.Atoi(u.Port()) // "" gives 0; validAuthority has checked the rest
	if port == 0 || u.Scheme == "http" && port == 80 || u.Scheme == "https" && port == 443 {
		return u.Scheme + "://" + host, nil
	}
	return u.Scheme + "://" + host + ":" + strconv.Itoa(port), nil
}

// parsePrefix reads a CIDR, or an address as the CIDR that holds it alone. An
// IPv4-mapped one becomes IPv4, as which peers are compared.
func parsePrefix(raw string) (netip.Prefix, *Problem) {
	wrong := &Problem{What: "is not an address or CIDR", Remedy: "write addresses such as 10.0.0.5, ranges such as 10.0.0.0/8, or a word such as cloudflare (docs/configuration.md has them)"}
	prefix, err := netip.ParsePrefix(raw)
	if err != nil {
		addr, err := netip.ParseAddr(raw)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, wrong
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if prefix.Masked() != prefix {
		return netip.Prefix{}, &Problem{What: "has bits set behind the CIDR's length", Remedy: "clear the host bits, or write the length that was meant"}
	}
	if prefix.Addr().Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, wrong
		}
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix, nil
}

// validListen reports whether addr can be listened on: host:port with the
// host an address, a name or empty.
func validListen(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 || strings.Trim(port, "0123456789") != "" {
		return false
	}
	_, isAddr := hostAddr(host)
	return host == "" || isAddr || validHostName(host)
}

// loopback reports whether a checked host:port is bound to loopback.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	addr, ok := hostAddr(host)
	return ok && addr.IsLoopback() || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

// orList joins words as "a, b or c", each followed by suffix.
func orList(words []string, suffix string) string {
	list := strings.Join(words, suffix+", ") + suffix
	if i := strings.LastIndex(list, ", "); i >= 0 {
		list = list[:i] + " or " + list[i+2:]
	}
	return list
}
