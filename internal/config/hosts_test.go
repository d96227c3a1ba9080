package config

import "testing"

func TestPrivateHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "localhost.": true, "a.localhost": true, "livekit": true, "redis_1": true,
		"livekit.railway.internal": true, "sfu.local": true, "SFU.Local.": true,
		"127.0.0.1": true, "127.8.9.10": true, "::1": true, "[::1]": true, "10.1.2.3": true, "172.16.0.1": true, "172.31.255.255": true,
		"192.168.0.1": true, "fd12::1": true, "fc00::1": true, "[fd00::1%eth0]": true, "::ffff:127.0.0.1": true, "::ffff:10.0.0.1": true, "[::ffff:192.168.1.1]": true,

		"example.com": false, "example.com.": false, "livekit.cloud": false, "internal.example.com": false, "localhost.example.com": false,
		"8.8.8.8": false, "172.15.0.1": false, "172.32.0.1": false, "192.169.0.1": false, "100.64.0.1": false, "169.254.169.254": false,
		"0.0.0.0": false, "::": false, "[::]": false, "fe80::1": false, "fe80::1%eth0": false, "2001:db8::1": false, "::ffff:8.8.8.8": false, "::ffff:0.0.0.0": false,
		// inet_aton reads these as addresses
		"2130706433": false, "0x7f000001": false, "0x7f.1": false, "127.1": false, "0177.0.0.1": false, "017700000001": false, "0x": false, "10.0.0.1.": false,
		"": false, ".": false, "..": false, ".internal": false, "a..internal": false, "-a": false, "a-": false, "a b": false, "a/b": false, "[127.0.0.1]": false, "[::1": false, "::1]": false,
		"user@localhost": false, "localhost:80": false, "ｌocalhost": false, "example。com": false, "%6cocalhost": false, "local\x00host": false,
		"evil-internal.com": false, "evilinternal.test": false, "notlocalhost.test": false, "acme.notinternal": false, "acme.xlocal": false, "acme.xlocalhost": false,
	} {
		if got := PrivateHost(host); got != want {
			t.Errorf("PrivateHost(%q) is %v", host, got)
		}
	}
}

// Clear text over the Internet would hand out every token and key.
func TestClearTextToPublicHostsIsRefused(t *testing.T) {
	const clear = "clear text"
	oidc := func(env ...string) []string { return append(env, "OIDC_AUDIENCE=door", "OIDC_IDENTITY_PREFIX=idp") }
	check(t, []rule{
		{"ws", Serve, []string{"LIVEKIT_URL=ws://sfu.acme.test"}, []string{"LIVEKIT_URL: " + clear}, nil},
		{"http", Serve, []string{"LIVEKIT_URL=http://sfu.acme.test:7880"}, []string{"LIVEKIT_URL: " + clear}, nil},
		{"ws in dev", Dev, []string{"LIVEKIT_URL=ws://sfu.acme.test"}, []string{"LIVEKIT_URL: " + clear}, nil},
		{"ws to a number", Serve, []string{"LIVEKIT_URL=ws://2130706433"}, []string{"LIVEKIT_URL: host"}, nil},
		{"ws to a private name", Serve, []string{"LIVEKIT_URL=ws://livekit.railway.internal:7880"}, nil, nil},
		{"ws to loopback", Serve, []string{"LIVEKIT_URL=ws://[::1]:7880"}, nil, nil},
		{"wss anywhere", Serve, []string{"LIVEKIT_URL=wss://198.51.100.7:443/sfu/"}, nil, nil},
		{"LIVEKIT_API_URL", Serve, []string{"LIVEKIT_API_URL=http://sfu.acme.test"}, []string{"LIVEKIT_API_URL: " + clear}, nil},
		{"STRIPE_API_URL", Serve, []string{"STRIPE_API_URL=http://api.acme.test"}, []string{"STRIPE_API_URL: " + clear}, nil},
		{"OIDC_ISSUER", Serve, oidc("OIDC_ISSUER=http://idp.acme.test"), []string{"OIDC_ISSUER: " + clear}, nil},
		{"OIDC_ISSUER nearby", Serve, oidc("OIDC_ISSUER=http://localhost:8080/realms/a"), nil, nil},
		{"OIDC_JWKS_URL", Serve, oidc("OIDC_ISSUER=https://idp.acme.test", "OIDC_JWKS_URL=http://idp.acme.test/keys"), []string{"OIDC_JWKS_URL: " + clear}, nil},
		{"ADMIN_URL", Serve, []string{"ADMIN_URL=http://door.acme.test"}, []string{"ADMIN_URL: " + clear}, nil},
	})
}

func TestURLForms(t *testing.T) {
	oidc := func(env ...string) []string { return append(env, "OIDC_AUDIENCE=door", "OIDC_IDENTITY_PREFIX=idp") }
	check(t, []rule{
		{"another scheme", Serve, []string{"LIVEKIT_URL=ftp://sfu.acme.test"}, []string{"LIVEKIT_URL: must begin with ws://, wss://, http:// or https://"}, nil},
		{"no scheme", Serve, []string{"LIVEKIT_URL=sfu.acme.test"}, []string{"LIVEKIT_URL: must begin"}, nil},
		{"ws for the API", Serve, []string{"LIVEKIT_API_URL=wss://sfu.acme.test"}, []string{"LIVEKIT_API_URL: must begin with http:// or https://"}, nil},
		{"userinfo", Serve, []string{"LIVEKIT_URL=wss://user:hunter22@sfu.acme.test"}, []string{"LIVEKIT_URL: user name or password"}, nil},
		{"broken userinfo", Serve, []string{"LIVEKIT_URL=wss://user:hun ter@sfu.acme.test"}, []string{"LIVEKIT_URL: is not a URL"}, nil},
		{"query", Serve, []string{"LIVEKIT_URL=wss://sfu.acme.test/?a=b"}, []string{"LIVEKIT_URL: query"}, nil},
		{"empty query", Serve, []string{"LIVEKIT_URL=wss://sfu.acme.test?"}, []string{"LIVEKIT_URL: query"}, nil},
		{"fragment", Serve, []string{"LIVEKIT_URL=wss://sfu.acme.test/#a"}, []string{"LIVEKIT_URL: fragment"}, nil},
		{"empty fragment", Serve, []string{"LIVEKIT_URL=wss://sfu.acme.test#"}, []string{"LIVEKIT_URL: fragment"}, nil},
		{"no host", Serve, []string{"LIVEKIT_URL=wss:///rtc"}, []string{"LIVEKIT_URL: host"}, nil},
		{"opaque", Serve, []string{"LIVEKIT_URL=wss:sfu"}, []string{"LIVEKIT_URL: host"}, nil},
		{"port out of range", Serve, []string{"LIVEKIT_URL=wss://sfu.acme.test:70000"}, []string{"LIVEKIT_URL: port"}, nil},
		{"not ASCII", Serve, []string{"LIVEKIT_URL=wss://sfü.acme.test"}, []string{"LIVEKIT_URL: ASCII"}, nil},
		{"a keys address may have a query", Serve, oidc("OIDC_ISSUER=https://idp.acme.test", "OIDC_JWKS_URL=https://idp.acme.test/keys?p=b2c_1"), nil, nil},
		{"an issuer may not", Serve, oidc("OIDC_ISSUER=https://idp.acme.test/?p=b2c_1"), []string{"OIDC_ISSUER: query"}, nil},
	})
}

func TestLiveKitAddresses(t *testing.T) {
	for _, c := range []struct{ url, api, client, calls string }{
		{"wss://sfu.acme.test", "", "wss://sfu.acme.test", "https://sfu.acme.test"},
		{"https://sfu.acme.test/", "", "wss://sfu.acme.test", "https://sfu.acme.test"},
		{"ws://127.0.0.1:7880", "", "ws://127.0.0.1:7880", "http://127.0.0.1:7880"},
		{"http://livekit:7880/sfu/", "", "ws://livekit:7880/sfu", "http://livekit:7880/sfu"},
		{"WSS://sfu.acme.test", "http://livekit:7880/", "wss://sfu.acme.test", "http://livekit:7880"},
	} {
		config, report := load(t, Serve, "LIVEKIT_URL="+c.url, "LIVEKIT_API_URL="+c.api)
		if report.Err() != nil {
			t.Fatal(report.Err())
		}
		if config.ClientURL() != c.client || config.APIURL() != c.calls {
			t.Errorf("%s gives %s and %s", c.url, config.ClientURL(), config.APIURL())
		}
	}
	var none Config
	if none.ClientURL() != "" || none.APIURL() != "" {
		t.Error("no address is no address")
	}
}

func TestWildcardOriginIsRefused(t *testing.T) {
	for _, origin := range []string{"*", "https://*", "https://*.acme.test", "*.acme.test", "https://acme.test:*"} {
		_, report := load(t, Serve, "ALLOWED_ORIGINS=https://app.acme.test,"+origin)
		if !mentions(report.Problems, "ALLOWED_ORIGINS: entry 2 is a wildcard") {
			t.Errorf("%s: problems are %+v", origin, report.Problems)
		}
	}
}

func TestOrigins(t *testing.T) {
	for origin, want := range map[string]string{
		"https://app.acme.test":          "https://app.acme.test",
		"HTTPS://App.ACME.test:443":      "https://app.acme.test",
		"http://localhost:80":            "http://localhost",
		"http://localhost:3000":          "http://localhost:3000",
		"https://localhost:80":           "https://localhost:80",
		"https://app.acme.test:08443":    "https://app.acme.test:8443",
		"http://[::1]:3000":              "http://[::1]:3000",
		"http://[0:0:0:0:0:0:0:1]":       "http://[::1]",
		"http://127.0.0.1":               "http://127.0.0.1",
		"null":                           "",
		"NULL":                           "",
		"https://app.acme.test/":         "",
		"https://app.acme.test/app":      "",
		"https://app.acme.test?a":        "",
		"https://app.acme.test#":         "",
		"https://me@app.acme.test":       "",
		"app.acme.test":                  "",
		"ws://app.acme.test":             "",
		"capacitor://localhost":          "",
		"https://":                       "",
		"https://app.acme.test:0":        "",
		"https://app.acme.test:70000":    "",
		"https://app_ö.acme.test":        "",
		"http://2130706433":              "",
		"http://[fe80::1%25eth0]":        "",
		"https://app.acme.test evil":     "",
		"https://app.acme.test\\@evil.x": "",
	} {
		got, p := parseOrigin(origin)
		if got != want || (p == nil) != (want != "") {
			t.Errorf("parseOrigin(%q) is %q, %v; want %q", origin, got, p, want)
		}
	}
	check(t, []rule{
		{"without HTTPS", Serve, []string{"ALLOWED_ORIGINS=http://app.acme.test"}, nil, []string{"ALLOWED_ORIGINS: without HTTPS"}},
		{"without HTTPS, with a port", Serve, []string{"ALLOWED_ORIGINS=https://a.acme.test,http://app.acme.test:8080"}, nil, []string{"ALLOWED_ORIGINS: entry 2"}},
		{"sandboxed pages", Serve, []string{"ALLOWED_ORIGINS=null"}, []string{"ALLOWED_ORIGINS: sandboxed"}, nil},
		{"an empty entry", Serve, []string{"ALLOWED_ORIGINS=https://app.acme.test,"}, []string{"ALLOWED_ORIGINS: empty entry"}, nil},
	})
	for _, near := range []string{"http://localhost:5173", "http://[::1]:5173", "http://[::1]", "https://app.acme.test"} {
		if _, report := load(t, Serve, "ALLOWED_ORIGINS="+near); mentions(report.Warnings, "ALLOWED_ORIGINS: ") {
			t.Errorf("%s: warnings are %+v", near, report.Warnings)
		}
	}
}

// OTEL_EXPORTER_OTLP_HEADERS often holds a key, and is sent with each batch.
func TestOTLPEndpoint_RefusesClearTextToPublicHosts(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		refused := name + ": clear text to a host that is not private use https://"
		for _, host := range []string{"collector.acme.test:4318", "203.0.113.7:4318", "[2001:db8::7]:4318", "2130706433:4318", "169.254.169.254"} {
			_, report := load(t, Serve, name+"=http://"+host)
			if len(report.Problems) != 1 || host != "2130706433:4318" && !mentions(report.Problems, refused) {
				t.Errorf("%s: %+v", host, report.Problems)
			}
		}
		for _, url := range []string{"http://localhost:4318", "http://collector:4318", "http://10.1.2.3:4318", "http://collector.observe.internal", "https://collector.acme.test"} {
			if _, report := load(t, Serve, name+"="+url); report.Err() != nil {
				t.Errorf("%s: %v", url, report.Err())
			}
		}
	}
}

func TestTracesURL_AppendsThePathToTheBaseAddressOnly(t *testing.T) {
	const base, whole = "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318/base/", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:9/spans"
	for _, c := range []struct {
		environ []string
		want    string
	}{
		{environ: []string{base}, want: "http://localhost:4318/base/v1/traces"},
		{environ: []string{whole}, want: "http://localhost:9/spans"},
		{environ: []string{base, whole}, want: "http://localhost:9/spans"},
	} {
		cfg, report := load(t, Serve, c.environ...)
		if report.Err() != nil {
			t.Fatal(report.Err())
		}
		if got := cfg.TracesURL().String(); got != c.want {
			t.Errorf("%q: %s", c.environ, got)
		}
	}
	if cfg, _ := load(t, Serve); cfg.TracesURL() != nil {
		t.Errorf("without an endpoint: %s", cfg.TracesURL())
	}
}
