package config

import (
	"net/netip"
	"slices"
	"strings"
)

// preset is a proxy that TRUSTED_PROXIES knows by a word.
type preset struct {
	word string
	// header is where this proxy names the client; empty where no one header
	// is the proxy's own.
	header string
	// ranges are the addresses that the proxy connects from.
	ranges []netip.Prefix
	// detect are variables that the platform alone sets, and what they must be;
	// "" takes any value. One set is enough.
	detect [][]variable
}

// variable is a name in the environment and its value.
type variable struct{ name, value string }

func ranges(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// presets returns what TRUSTED_PROXIES knows by a word. Every header named here is
// overwritten by its proxy, so that a client cannot choose it; X-Forwarded-For,
// to which they all append, is not among them.
func presets() []preset {
	return []preset{
		cloudflare(), fly(), render(), railway(),
		// nginx on this machine. It overwrites X-Real-IP only when it is told to:
		// docs/deploy.md has the lines.
		{word: "nginx", header: "X-Real-IP", ranges: ranges("127.0.0.0/8", "::1/128")},
		// SPEC: RFC 1122 §3.2.1.3, RFC 4291 §2.5.3.
		{word: "loopback", ranges: ranges("127.0.0.0/8", "::1/128")},
		// SPEC: RFC 1918 §3, RFC 4193 §3.1.
		{word: "private", ranges: ranges("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")},
	}
}

// cloudflare is the only proxy here that publishes its addresses.
//
// SPEC: https://www.cloudflare.com/ips-v4, https://www.cloudflare.com/ips-v6,
// as of 2025; https://developers.cloudflare.com/fundamentals/reference/http-headers/
// (CF-Connecting-IP). X-Forwarded-For is not safe behind it even from the
// right: Workers, which are anybody's, come from one of these same addresses,
// and the walk would go on past it into what they wrote.
func cloudflare() preset {
	return preset{word: "cloudflare", header: "CF-Connecting-IP", ranges: ranges(
		"173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18",
		"190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13",
		"104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22",
		"2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32")}
}

// fly is Fly Proxy, which reaches a Machine through its private IPv4 address;
// Fly does not say which. A Machine's only private IPv4 neighbour is its host:
// the organization's own network is IPv6, and is not trusted.
//
// SPEC: https://fly.io/docs/networking/services/ (a private IPv4 address),
// https://fly.io/docs/networking/request-headers/ (Fly-Client-IP),
// https://fly.io/docs/machines/runtime-environment/ (variables).
func fly() preset {
	return preset{word: "fly", header: "Fly-Client-IP", ranges: ranges("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
		detect: [][]variable{{{"FLY_APP_NAME", ""}, {"FLY_MACHINE_ID", ""}}}}
}

// render is Render's proxy, with Cloudflare before it. Render publishes neither its
// addresses nor its headers; it is seen to connect from 10.0.0.0/8, with
// CF-Connecting-IP as Cloudflare wrote it (arcjet/arcjet-js issues 3899 and
// 5411). Services in the same private network connect from there too.
//
// SPEC: https://render.com/docs/environment-variables (variables).
func render() preset {
	return preset{word: "render", header: "CF-Connecting-IP", ranges: ranges("10.0.0.0/8"),
		detect: [][]variable{{{"RENDER", "true"}, {"RENDER_SERVICE_ID", ""}}}}
}

// railway is Railway's edge, which publishes no addresses. It is seen to
// connect from the shared address space of RFC 6598; Railway's own Caddy
// example trusted all of 100.0.0.0/8 for it (railwayapp/docs pull request 1353
// says that this may change), most of which is public, so only the unroutable
// part is taken. fd12::/16 is the private network of the project's own
// services. If Railway moves, every request is refused as plain HTTP, and
// TRUSTED_PROXIES is the remedy.
//
// SPEC: https://docs.railway.com/reference/variables;
// https://docs.railway.com/networking/public-networking/specs-and-limits: the
// edge overwrites X-Real-IP with the client's address. X-Forwarded-For is not
// documented there and ends in a changing address of the edge's own.
func railway() preset {
	p := preset{word: "railway", header: "X-Real-IP", ranges: ranges("100.64.0.0/10", "fd12::/16")}
	for _, name := range []string{"RAILWAY_ENVIRONMENT_NAME", "RAILWAY_ENVIRONMENT_ID", "RAILWAY_PROJECT_ID", "RAILWAY_SERVICE_ID", "RAILWAY_DEPLOYMENT_ID", "RAILWAY_REPLICA_ID"} {
		p.detect = append(p.detect, []variable{{name, ""}})
	}
	return p
}

// presetOf returns the preset of a word.
func presetOf(word string) (preset, bool) {
	all := presets()
	i := slices.IndexFunc(all, func(p preset) bool { return p.word == word })
	if i < 0 {
		return preset{}, false
	}
	return all[i], true
}

// parseProxies reads TRUSTED_PROXIES: addresses, CIDRs and the words of presets.
func parseProxies(raw string, into *[]netip.Prefix) *Problem {
	var entries []string
	if p := parseList(raw, &entries, func(entry string) (string, *Problem) {
		if _, known := presetOf(entry); known {
			return entry, nil
		}
		_, p := parsePrefix(entry)
		return entry, p
	}); p != nil {
		return p
	}
	var list []netip.Prefix
	for _, entry := range entries {
		if p, known := presetOf(entry); known {
			list = append(list, p.ranges...)
		} else if prefix, p := parsePrefix(entry); p == nil {
			list = append(list, prefix)
		}
	}
	for _, prefix := range list {
		if !slices.Contains(*into, prefix) {
			*into = append(*into, prefix)
		}
	}
	return nil
}

// checkClientHeader refuses the name of a header that says something else: it
// would be read for an address, which a caller could write, or which is never
// one, so that nobody's address is known.
func checkClientHeader(name string) *Problem {
	lower := strings.ToLower(name)
	switch lower {
	case "authorization", "cookie", "set-cookie", "host", "origin", "referer", "user-agent", "date", "from", "dnt",
		"x-request-id", "traceparent", "tracestate", "baggage", "stripe-signature", "idempotency-key", "forwarded", "via",
		"connection", "keep-alive", "upgrade", "te", "trailer", "transfer-encoding", "expect", "range", "cache-control", "pragma":
	default:
		forwarded := strings.HasPrefix(lower, "x-forwarded-") && lower != "x-forwarded-for" && lower != "x-forwarded-client-ip"
		if !forwarded && !slices.ContainsFunc([]string{"accept", "access-control-", "content-", "if-", "proxy-", "sec-"}, func(family string) bool { return strings.HasPrefix(lower, family) }) {
			return nil
		}
	}
	return &Problem{What: "is a header with a meaning of its own, not the client's address",
		Remedy: "name the header that your proxy overwrites with the client's address, such as X-Real-IP, or unset it for X-Forwarded-For"}
}

// checkPlatform recognizes the platform by variables that it alone sets, and
// only in the real environment: an .env file copied from there says nothing.
// A door on loopback is not behind its edge.
func (l *loader) checkPlatform() {
	c := l.config
	var on preset
	for _, p := range presets() {
		if slices.ContainsFunc(p.detect, l.inEnvironment) {
			on = p
			break
		}
	}
	if l.bad["LISTEN_ADDR"] || c.Loopback() {
		on = preset{}
	}
	c.Railway = on.word == "railway"
	if on.word != "" && !l.given["TRUSTED_PROXIES"] {
		c.TrustedProxies = on.ranges
	}
	if !l.given["CLIENT_IP_HEADER"] {
		c.ClientIPHeader = l.impliedHeader(on.header)
	}
	if c.Railway {
		l.takeRailwayDomain()
	}
}

// inEnvironment reports whether all the variables are in the real environment.
func (l *loader) inEnvironment(all []variable) bool {
	return !slices.ContainsFunc(all, func(v variable) bool {
		s := l.settings[v.name]
		return s.value == "" || s.fromFile || v.value != "" && s.value != v.value
	})
}

// impliedHeader is where the proxies of TRUSTED_PROXIES name the client when
// CLIENT_IP_HEADER does not say it; platform is what the platform's proxy
// does. Proxies that do it differently cannot be told apart by the request: who
// comes by one could write the other's header.
func (l *loader) impliedHeader(platform string) string {
	if !l.given["TRUSTED_PROXIES"] || l.bad["TRUSTED_PROXIES"] {
		return platform
	}
	var implied []string
	for entry := range strings.SplitSeq(l.settings["TRUSTED_PROXIES"].value, ",") {
		p, _ := presetOf(strings.TrimSpace(entry))
		if !slices.Contains(implied, p.header) {
			implied = append(implied, p.header)
		}
	}
	switch {
	case len(implied) > 1:
		l.problem("CLIENT_IP_HEADER", "is needed: the proxies in TRUSTED_PROXIES name the client in different headers",
			"set it to the header that the proxy nearest to the door writes itself, whatever the client sent; with several proxies in a row that append to it, X-Forwarded-For")
		return ""
	case implied[0] != "":
		return implied[0]
	}
	return platform
}

// takeRailwayDomain takes the host name under which Railway publishes the door.
func (l *loader) takeRailwayDomain() {
	const domain = "RAILWAY_PUBLIC_DOMAIN"
	s := l.settings[domain]
	if s.value == "" || s.fromFile {
		return
	}
	host := strings.ToLower(strings.TrimSuffix(s.value, "."))
	if !validHostName(host) || !strings.Contains(host, ".") {
		l.problem(domain, "is not a host name", "Railway sets it; remove what overrides it")
		return
	}
	l.config.PublicHost = host
}
