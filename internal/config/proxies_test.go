package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// believes reports whether a door of this configuration trusts an address.
func believes(c *Config, addr string) bool {
	return slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(addr)) })
}

func TestProxiesKnownByAWord(t *testing.T) {
	for _, c := range []struct {
		set, header     string
		trusted, others []string
	}{
		{"cloudflare", "CF-Connecting-IP", []string{"104.23.5.6", "172.70.247.28", "2606:4700::1"}, []string{"10.0.0.1", "127.0.0.1", "172.80.0.1", "1.1.1.1"}},
		{"fly", "Fly-Client-IP", []string{"172.16.4.1", "172.19.0.129"}, []string{"fdaa::3", "66.241.124.230", "127.0.0.1", "2a09:8280:1::1"}},
		{"render", "CF-Connecting-IP", []string{"10.21.157.68"}, []string{"172.16.4.1", "104.22.17.40"}},
		{"railway", "X-Real-IP", []string{"100.64.0.3", "fd12::7"}, []string{"100.0.0.1", "10.0.0.1"}},
		{"nginx", "X-Real-IP", []string{"127.0.0.1", "::1"}, []string{"10.0.0.1", "::2"}},
		{"loopback", "", []string{"127.8.0.1", "::1"}, []string{"10.0.0.1"}},
		{"private", "", []string{"10.1.2.3", "172.31.0.1", "192.168.1.1", "fd00::1"}, []string{"127.0.0.1", "172.32.0.1", "192.169.0.1", "fe80::1", "169.254.1.1"}},
		{"private, loopback, 203.0.113.7", "", []string{"10.1.2.3", "127.0.0.1", "203.0.113.7"}, []string{"203.0.113.8"}},
		{"render,cloudflare", "CF-Connecting-IP", []string{"10.0.0.1", "104.16.0.1"}, nil},
	} {
		config, report := load(t, Serve, "TRUSTED_PROXIES="+c.set)
		if report.Err() != nil {
			t.Errorf("%s: %v", c.set, report.Err())
			continue
		}
		if config.ClientIPHeader != c.header {
			t.Errorf("%s: the client is looked for in %q, want %q", c.set, config.ClientIPHeader, c.header)
		}
		for _, addr := range c.trusted {
			if !believes(config, addr) {
				t.Errorf("%s does not trust %s", c.set, addr)
			}
		}
		for _, addr := range c.others {
			if believes(config, addr) {
				t.Errorf("%s trusts %s", c.set, addr)
			}
		}
		if mentions(report.Warnings, "TRUSTED_PROXIES: ") {
			t.Errorf("%s: %+v", c.set, report.Warnings)
		}
	}
	config, _ := load(t, Serve, "TRUSTED_PROXIES=cloudflare", "CLIENT_IP_HEADER=X-Forwarded-For")
	if config.ClientIPHeader != "X-Forwarded-For" {
		t.Error("the operator's own header counts")
	}
}

// Only Cloudflare publishes its addresses; nobody else's word may reach beyond
// what is routed nowhere in public.
func TestNoWordTrustsAPublicRangeByGuess(t *testing.T) {
	unroutable := ranges("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7")
	for _, p := range presets() {
		if len(p.ranges) == 0 || p.word == "cloudflare" {
			continue
		}
		for _, prefix := range p.ranges {
			if !slices.ContainsFunc(unroutable, func(u netip.Prefix) bool { return u.Bits() <= prefix.Bits() && u.Contains(prefix.Addr()) }) {
				t.Errorf("%s trusts %s, which is public", p.word, prefix)
			}
		}
	}
	if n := len(cloudflare().ranges); n != 22 {
		t.Errorf("%d ranges, Cloudflare publishes 15 and 7", n)
	}
}

// Behind proxies that name the client in different headers, who comes by one
// could write the other's.
func TestProxiesThatDifferNeedAHeader(t *testing.T) {
	needed := []string{"CLIENT_IP_HEADER: is needed"}
	check(t, []rule{
		{"two words", Serve, []string{"TRUSTED_PROXIES=cloudflare,nginx"}, needed, nil},
		{"a word and an address", Serve, []string{"TRUSTED_PROXIES=cloudflare,10.0.0.1"}, needed, nil},
		{"a word and one that implies none", Serve, []string{"TRUSTED_PROXIES=fly,loopback"}, needed, nil},
		{"said", Serve, []string{"TRUSTED_PROXIES=cloudflare,nginx", "CLIENT_IP_HEADER=X-Forwarded-For"}, nil, nil},
		{"words that imply none", Serve, []string{"TRUSTED_PROXIES=private,loopback"}, nil, nil},
		{"another word", Serve, []string{"TRUSTED_PROXIES=heroku"}, []string{"TRUSTED_PROXIES: entry 1 is not an address"}, nil},
		{"upper case", Serve, []string{"TRUSTED_PROXIES=Cloudflare"}, []string{"TRUSTED_PROXIES: entry 1 is not an address"}, nil},
		{"an empty entry", Serve, []string{"TRUSTED_PROXIES=fly,"}, []string{"TRUSTED_PROXIES: empty entry"}, nil},
	})
}

func TestFlyAndRenderAreRecognized(t *testing.T) {
	fly := []string{"TRUSTED_PROXIES=", "FLY_APP_NAME=door", "FLY_MACHINE_ID=148e"}
	render := []string{"TRUSTED_PROXIES=", "RENDER=true", "RENDER_SERVICE_ID=srv-1"}
	for _, c := range []struct {
		env          []string
		header, peer string
	}{{fly, "Fly-Client-IP", "172.19.0.1"}, {render, "CF-Connecting-IP", "10.21.157.68"}} {
		config, report := load(t, Serve, c.env...)
		if report.Err() != nil || config.ClientIPHeader != c.header || !believes(config, c.peer) || !config.RequireHTTPS || config.Railway {
			t.Errorf("%q: %v, %+v", c.env, report.Err(), config)
		}
		config, report = load(t, Serve, append(c.env, "CLIENT_IP_HEADER=X-Forwarded-For", "TRUSTED_PROXIES=203.0.113.7")...)
		if report.Err() != nil || config.ClientIPHeader != "X-Forwarded-For" || believes(config, c.peer) {
			t.Errorf("%q: the operator's own words count: %v, %+v", c.env, report.Err(), config)
		}
		config, _ = load(t, Serve, append(c.env, "TRUSTED_PROXIES=203.0.113.7")...)
		if config == nil || config.ClientIPHeader != c.header {
			t.Errorf("%q: the platform's proxy under another address still writes %s", c.env, c.header)
		}
		config, _ = load(t, Serve, append(c.env, "LISTEN_ADDR=127.0.0.1:0")...)
		if config == nil || len(config.TrustedProxies) > 0 || config.ClientIPHeader != "" {
			t.Errorf("%q: a door on loopback is not behind a platform's proxy", c.env)
		}
		config, _ = load(t, Dev, c.env...)
		if config == nil || len(config.TrustedProxies) > 0 {
			t.Errorf("%q: stagedoor dev is not behind a platform's proxy", c.env)
		}
		copied := filepath.Join(t.TempDir(), "copied")
		if err := os.WriteFile(copied, []byte(strings.Join(c.env[1:], "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		env := serving()
		env["TRUSTED_PROXIES"], env["REQUIRE_HTTPS"] = "", "off"
		config, report = Load(Serve, environ(env), copied)
		if report.Err() != nil || len(config.TrustedProxies) > 0 || config.ClientIPHeader != "" {
			t.Errorf("%q in a copied .env file is taken for the platform: %v", c.env, report.Err())
		}
	}
	for _, half := range [][]string{fly[:2], {"TRUSTED_PROXIES=", "FLY_MACHINE_ID=148e"}, render[:2], {"TRUSTED_PROXIES=", "RENDER=1", "RENDER_SERVICE_ID=srv-1"}} {
		if _, report := load(t, Serve, half...); !mentions(report.Problems, "REQUIRE_HTTPS: TRUSTED_PROXIES") {
			t.Errorf("%q is taken for a platform", half)
		}
	}
}

func TestCookieThatASiblingCanSetIsWarnedOf(t *testing.T) {
	check(t, []rule{
		{"bound to its host", Serve, []string{"AUTH_COOKIE=__Host-session"}, nil, nil},
		{"secure alone", Serve, []string{"AUTH_COOKIE=__Secure-session"}, nil, []string{"AUTH_COOKIE: sibling host"}},
		{"plain", Serve, []string{"AUTH_COOKIE=session"}, nil, []string{"AUTH_COOKIE: __Host-"}},
		{"white space", Serve, []string{"AUTH_COOKIE=my session"}, []string{"AUTH_COOKIE: name of a cookie"}, nil},
		{"with its value", Serve, []string{"AUTH_COOKIE=session=x"}, []string{"AUTH_COOKIE: name of a cookie"}, nil},
		{"two", Serve, []string{"AUTH_COOKIE=a;b"}, []string{"AUTH_COOKIE: name of a cookie"}, nil},
		{"a list", Serve, []string{"AUTH_COOKIE=a,b"}, []string{"AUTH_COOKIE: name of a cookie"}, nil},
		{"not ASCII", Serve, []string{"AUTH_COOKIE=sitzung-ä"}, []string{"AUTH_COOKIE: name of a cookie"}, nil},
	})
	for _, c := range []struct {
		mode Mode
		env  []string
	}{
		{Serve, []string{"AUTH_COOKIE=session", "LISTEN_ADDR=127.0.0.1:0"}},
		{Dev, []string{"AUTH_COOKIE=session"}},
		{Serve, []string{"AUTH_COOKIE=__Host-session"}},
		{Serve, nil},
	} {
		if config, report := load(t, c.mode, c.env...); report.Err() != nil || mentions(report.Warnings, "AUTH_COOKIE: ") {
			t.Errorf("%q: %+v %+v %v", c.env, report.Problems, report.Warnings, config)
		}
	}
}

// In these a caller writes what they like, or they never hold an address.
func TestHeaderWithAMeaningOfItsOwnNamesNoClient(t *testing.T) {
	for _, name := range []string{"Authorization", "authorization", "X-Forwarded-Proto", "X-Forwarded-Host", "Cookie", "Host", "Origin", "Referer", "X-Request-Id", "Stripe-Signature",
		"Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Traceparent", "User-Agent", "Accept", "Accept-Language", "Access-Control-Request-Method",
		"Sec-Fetch-Site", "If-None-Match", "Proxy-Authorization", "Forwarded", "Via"} {
		_, report := load(t, Serve, "CLIENT_IP_HEADER="+name)
		if len(report.Problems) != 1 || !mentions(report.Problems, "CLIENT_IP_HEADER: meaning of its own") || !strings.Contains(report.Problems[0].Remedy, "X-Real-IP") {
			t.Errorf("%s: %+v", name, report.Problems)
		}
	}
	for _, name := range []string{"X-Forwarded-For", "x-forwarded-for", "X-Real-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "Fly-Client-IP", "True-Client-IP", "Fastly-Client-IP", "X-Client-IP", "X-Azure-ClientIP",
		"X-Envoy-External-Address", "X-Original-Forwarded-For", "X-Appengine-User-IP", "DO-Connecting-IP"} {
		if _, report := load(t, Serve, "CLIENT_IP_HEADER="+name); report.Err() != nil {
			t.Errorf("%s: %v", name, report.Err())
		}
	}
}
