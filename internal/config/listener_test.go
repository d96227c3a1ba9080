package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestListener(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		env  []string
		want string
		loop bool
	}{
		{Serve, nil, ":3000", false},
		{Serve, []string{"PORT=0"}, ":0", false},
		{Serve, []string{"PORT=8080"}, ":8080", false},
		{Serve, []string{"PORT=8080", "LISTEN_ADDR=127.0.0.1:9000"}, "127.0.0.1:9000", true},
		{Serve, []string{"LISTEN_ADDR=[::1]:9000"}, "[::1]:9000", true},
		{Serve, []string{"LISTEN_ADDR=[::ffff:127.0.0.1]:9000"}, "[::ffff:127.0.0.1]:9000", true},
		{Serve, []string{"LISTEN_ADDR=LocalHost:9000"}, "LocalHost:9000", true},
		{Serve, []string{"LISTEN_ADDR=0.0.0.0:9000"}, "0.0.0.0:9000", false},
		{Serve, []string{"LISTEN_ADDR=[::]:9000"}, "[::]:9000", false},
		{Serve, []string{"LISTEN_ADDR=localhost.acme.test:9000"}, "localhost.acme.test:9000", false},
		{Serve, []string{"LISTEN_ADDR=192.168.0.2:9000"}, "192.168.0.2:9000", false},
		{Dev, nil, "127.0.0.1:3000", true},
		{Dev, []string{"PORT=8080"}, "127.0.0.1:8080", true},
		{Dev, []string{"LISTEN_ADDR=localhost:8080"}, "localhost:8080", true},
	} {
		config, report := load(t, c.mode, c.env...)
		if report.Err() != nil {
			t.Errorf("%q: %v", c.env, report.Err())
			continue
		}
		if config.ListenAddr != c.want || config.Loopback() != c.loop {
			t.Errorf("%q listens on %s, loopback %v", c.env, config.ListenAddr, config.Loopback())
		}
		if config.RequireHTTPS == c.loop {
			t.Errorf("%q: REQUIRE_HTTPS is %v", c.env, config.RequireHTTPS)
		}
	}
	check(t, []rule{
		{"port too high", Serve, []string{"PORT=65536"}, []string{"PORT: from 0 to 65535"}, nil},
		{"negative port", Serve, []string{"PORT=-1"}, []string{"PORT: "}, nil},
		{"port with a sign", Serve, []string{"PORT=+80"}, []string{"PORT: "}, nil},
		{"no port", Serve, []string{"LISTEN_ADDR=127.0.0.1"}, []string{"LISTEN_ADDR: host:port"}, nil},
		{"named port", Serve, []string{"LISTEN_ADDR=127.0.0.1:http"}, []string{"LISTEN_ADDR: host:port"}, nil},
		{"signed port", Serve, []string{"LISTEN_ADDR=127.0.0.1:+80"}, []string{"LISTEN_ADDR: host:port"}, nil},
		{"number as a host", Serve, []string{"LISTEN_ADDR=2130706433:80"}, []string{"LISTEN_ADDR: host:port"}, nil},
		{"dev for everybody", Dev, []string{"LISTEN_ADDR=0.0.0.0:3000"}, []string{"LISTEN_ADDR: loopback"}, nil},
		{"dev on all addresses", Dev, []string{"LISTEN_ADDR=:3000"}, []string{"LISTEN_ADDR: loopback"}, nil},
	})
}

func TestHTTPSCannotBeForgotten(t *testing.T) {
	refused := []string{"REQUIRE_HTTPS: TRUSTED_PROXIES"}
	check(t, []rule{
		{"public, no proxy", Serve, []string{"TRUSTED_PROXIES="}, refused, nil},
		{"names stagedoor dev", Serve, []string{"TRUSTED_PROXIES="}, []string{"REQUIRE_HTTPS: stagedoor dev"}, nil},
		{"names loopback", Serve, []string{"TRUSTED_PROXIES="}, []string{"REQUIRE_HTTPS: LISTEN_ADDR=127.0.0.1:3000"}, nil},
		{"loopback, no proxy", Serve, []string{"TRUSTED_PROXIES=", "LISTEN_ADDR=127.0.0.1:3000"}, nil, nil},
		{"demanded on loopback, no proxy", Serve, []string{"TRUSTED_PROXIES=", "LISTEN_ADDR=127.0.0.1:3000", "REQUIRE_HTTPS=true"}, nil, []string{"REQUIRE_HTTPS: TRUSTED_PROXIES"}},
		{"demanded on loopback, a proxy", Serve, []string{"TRUSTED_PROXIES=127.0.0.1", "LISTEN_ADDR=127.0.0.1:3000", "REQUIRE_HTTPS=true"}, nil, nil},
		{"off in public", Serve, []string{"TRUSTED_PROXIES=", "REQUIRE_HTTPS=off"}, nil, []string{"REQUIRE_HTTPS: clear text"}},
		{"dev, although demanded", Dev, []string{"TRUSTED_PROXIES=", "REQUIRE_HTTPS=on"}, nil, []string{"REQUIRE_HTTPS: off under stagedoor dev"}},
		{"everybody a proxy", Serve, []string{"TRUSTED_PROXIES=0.0.0.0/0"}, nil, []string{"TRUSTED_PROXIES: large part of the Internet"}},
		{"everybody with IPv6", Serve, []string{"TRUSTED_PROXIES=10.0.0.0/8,::/0"}, nil, []string{"TRUSTED_PROXIES: large part"}},
		{"everybody in two halves", Serve, []string{"TRUSTED_PROXIES=0.0.0.0/1,128.0.0.0/1"}, nil, []string{"TRUSTED_PROXIES: large part"}},
		{"host bits", Serve, []string{"TRUSTED_PROXIES=10.0.0.5/8"}, []string{"TRUSTED_PROXIES: bits set"}, nil},
		{"a name", Serve, []string{"TRUSTED_PROXIES=10.0.0.1,proxy"}, []string{"TRUSTED_PROXIES: entry 2"}, nil},
		{"a zone", Serve, []string{"TRUSTED_PROXIES=fe80::1%eth0"}, []string{"TRUSTED_PROXIES: entry 1"}, nil},
		{"a mapped range too wide", Serve, []string{"TRUSTED_PROXIES=::ffff:0:0/90"}, []string{"TRUSTED_PROXIES: "}, nil},
	})
	if config, report := load(t, Dev, "REQUIRE_HTTPS=on"); report.Err() != nil || config.RequireHTTPS {
		t.Error("stagedoor dev must be reachable over plain HTTP")
	}
	if _, report := load(t, Serve, "TRUSTED_PROXIES=10.0.0.0/8,fc00::/7,100.0.0.0/8"); mentions(report.Warnings, "TRUSTED_PROXIES: ") {
		t.Errorf("warnings are %+v", report.Warnings)
	}
}

func TestRailway(t *testing.T) {
	config, report := load(t, Serve, "TRUSTED_PROXIES=", "RAILWAY_ENVIRONMENT_NAME=production", "RAILWAY_PUBLIC_DOMAIN=Door.up.railway.app")
	if report.Err() != nil {
		t.Fatal(report.Err())
	}
	if !config.Railway || !config.RequireHTTPS || config.PublicHost != "door.up.railway.app" || config.ClientIPHeader != "X-Real-IP" {
		t.Errorf("%+v", config)
	}
	trusts := func(addr string) bool {
		return slices.ContainsFunc(config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(addr)) })
	}
	for addr, want := range map[string]bool{"100.64.0.3": true, "100.127.255.255": true, "100.63.0.1": false, "100.128.0.1": false, "10.0.0.1": false, "fd12::7": true, "fd13::7": false} {
		if trusts(addr) != want {
			t.Errorf("%s is trusted: %v", addr, !want)
		}
	}
	config, _ = load(t, Serve, "RAILWAY_PROJECT_ID=p")
	if !slices.Equal(config.TrustedProxies, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}) {
		t.Errorf("the operator's own proxies count: %v", config.TrustedProxies)
	}
	config, _ = load(t, Serve, "TRUSTED_PROXIES=", "RAILWAY_PROJECT_ID=p", "LISTEN_ADDR=127.0.0.1:0")
	if config.Railway || len(config.TrustedProxies) > 0 {
		t.Error("a door on loopback is not behind Railway's edge")
	}
	config, _ = load(t, Dev, "TRUSTED_PROXIES=", "RAILWAY_PROJECT_ID=p")
	if config.Railway || len(config.TrustedProxies) > 0 {
		t.Error("stagedoor dev is not behind Railway's edge")
	}
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.WriteFile(copied, []byte("RAILWAY_PROJECT_ID=p\nRAILWAY_PUBLIC_DOMAIN=door.up.railway.app\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, report = Load(Serve, environ(serving()), copied)
	if report.Err() != nil || config.Railway || config.PublicHost != "" {
		t.Error("an .env file copied from Railway is taken for Railway")
	}
	for _, domain := range []string{"door", "door.up.railway.app:443", "door.up.railway.app/x", "https://door.up.railway.app", "a b.c", "1.2.3.4"} {
		if _, report := load(t, Serve, "RAILWAY_PROJECT_ID=p", "RAILWAY_PUBLIC_DOMAIN="+domain); !mentions(report.Problems, "RAILWAY_PUBLIC_DOMAIN: host name") {
			t.Errorf("%q passes for a host name", domain)
		}
	}
}

func TestOpenAdminListenerIsRefused(t *testing.T) {
	check(t, []rule{
		{"public, no token", Serve, []string{"ADMIN_ADDR=:9464"}, []string{"ADMIN_ADDR: ADMIN_TOKEN"}, nil},
		{"public with a token", Serve, []string{"ADMIN_ADDR=:9464", "ADMIN_TOKEN=" + goodOther}, nil, nil},
		{"loopback", Serve, []string{"ADMIN_ADDR=[::1]:0"}, nil, nil},
		{"dev for everybody", Dev, []string{"ADMIN_ADDR=:9464"}, []string{"ADMIN_ADDR: stagedoor dev"}, nil},
		{"dev for everybody with a token", Dev, []string{"ADMIN_ADDR=:9464", "ADMIN_TOKEN=" + goodOther}, []string{"ADMIN_ADDR: stagedoor dev"}, nil},
	})
}

func TestOwnTLSIsWholeOrRefused(t *testing.T) {
	check(t, []rule{
		{"a certificate of its own", Serve, []string{"TRUSTED_PROXIES=", "TLS_CERT_FILE=a.pem", "TLS_KEY_FILE=b.pem"}, nil, nil},
		{"certificates are obtained", Serve, []string{"TRUSTED_PROXIES=", "TLS_DOMAINS=door.acme.test,www.acme.test", "TLS_ACME_URL=https://ca.acme.test/dir"}, nil, nil},
		{"no key", Serve, []string{"TLS_CERT_FILE=a.pem"}, []string{"TLS_KEY_FILE: missing beside TLS_CERT_FILE"}, nil},
		{"no certificate", Serve, []string{"TLS_KEY_FILE=b.pem"}, []string{"TLS_CERT_FILE: missing beside TLS_KEY_FILE"}, nil},
		{"both ways", Serve, []string{"TLS_CERT_FILE=a.pem", "TLS_KEY_FILE=b.pem", "TLS_DOMAINS=door.acme.test"}, []string{"TLS_DOMAINS: unset one of them"}, nil},
		{"an authority for nothing", Serve, []string{"TLS_ACME_URL=https://ca.acme.test/dir"}, []string{"TLS_ACME_URL: TLS_DOMAINS"}, nil},
		{"an authority without TLS", Serve, []string{"TLS_DOMAINS=door.acme.test", "TLS_ACME_URL=http://ca.acme.test/dir"}, []string{"TLS_ACME_URL: https"}, nil},
		{"dev", Dev, []string{"TLS_DOMAINS=door.acme.test"}, nil, []string{"TLS_CERT_FILE: not used under stagedoor dev"}},
	})
	for _, name := range []string{"*.acme.test", "door", "Door.acme.test", "door.acme.test.", "192.0.2.1", "door_.acme.test", "door.acme.test:443", "https://door.acme.test", ""} {
		check(t, []rule{{"domain " + name, Serve, []string{"TLS_DOMAINS=door.acme.test," + name}, []string{"TLS_DOMAINS: "}, nil}})
	}
	if config, _ := load(t, Serve, "TLS_DOMAINS=door.acme.test,www.acme.test"); config.PublicHost != "door.acme.test" {
		t.Errorf("a plain GET is sent to %q", config.PublicHost)
	}
}
