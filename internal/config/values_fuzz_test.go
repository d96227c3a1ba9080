package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// fuzzCanary is put into values that are then refused: no Problem may hold it.
const fuzzCanary = "Zq7canary3kW"

// written is a parsed value as an operator would write it again; false for a
// type that this does not know.
func written(value any) (string, bool) {
	switch v := value.(type) {
	case stagedoor.Secret:
		return v.Reveal(), true
	case []stagedoor.Secret:
		var list []string
		for _, secret := range v {
			list = append(list, secret.Reveal())
		}
		return strings.Join(list, ","), true
	case string:
		return v, true
	case []string:
		return strings.Join(v, ","), true
	case []netip.Prefix:
		var list []string
		for _, prefix := range v {
			list = append(list, prefix.String())
		}
		return strings.Join(list, ","), true
	case *url.URL:
		return v.String(), true
	case bool, int:
		return fmt.Sprint(v), true
	case time.Duration:
		return v.String(), true
	case Rate:
		unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[v.Per]
		return fmt.Sprintf("%d/%s", v.Count, unit), unit != "" && v.Count >= 1
	case Bytes:
		return writtenBytes(v), true
	case slog.Level:
		return strings.ToLower(v.String()), true
	}
	return "", false
}

// writtenBytes writes a size with the largest unit that divides it: parseBytes
// takes at most 31 bits of digits.
func writtenBytes(size Bytes) string {
	for _, unit := range []struct {
		bytes Bytes
		name  string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "KB"}} {
		if size != 0 && size%unit.bytes == 0 {
			return fmt.Sprint(int64(size/unit.bytes)) + unit.name
		}
	}
	return fmt.Sprint(int64(size))
}

// FuzzValues gives any text to the parser of every variable. What is taken is,
// written out again, taken as the same value; what is refused is not quoted.
func FuzzValues(f *testing.F) {
	list := fields()
	texts := []string{"json", "127.0.0.1:3000", ":3000", "[::1]:65536", "X-Real-IP", "door.example.com", "1.2.3.4", "0x7f.1", "guest", "team-a", "https://a.example/claim", "publish", " x", "a\nb", "\xff", "\u2028"}
	addresses := []string{"wss://sfu.acme.test", "http://10.0.0.1:7880/x", "https://user:pw@h", "http://example.com", "https://h:0", "https://a#b", "https://A.example:443", "http://[fe80::1%25eth0]", "https://h?q=1"}
	secrets := []string{"sk_live_q7wJc2xYt9LrB4vN", "pk_live_x", "whsec_2xYt9LrB4vN8sHd3,whsec_other2xYt9LrB4", "sqlite:door.db", "sqlite:///var/x.db", "sqlite::memory:", "sqlite:a?b", "postgres://u:p@h/d", "sqlite:..", goodJWT}
	seeds := map[reflect.Type][]string{
		reflect.TypeFor[bool](): {"true", "Off", "t"}, reflect.TypeFor[int](): {"3000", "0", "65536", "+5", "\u0663"}, reflect.TypeFor[slog.Level](): {"info", "INFO+2"},
		reflect.TypeFor[time.Duration](): {"1h", "90s", "150500ms", "-1h", "0", "60"}, reflect.TypeFor[Rate](): {"5/s", "60/m", "0/h", "1000000001/h", "\u0663/m", "+5/m"},
		reflect.TypeFor[*url.URL](): addresses, reflect.TypeFor[stagedoor.Secret](): secrets, reflect.TypeFor[[]stagedoor.Secret](): secrets, reflect.TypeFor[string](): texts,
		reflect.TypeFor[[]string](): {"a,b, c ,a", "a,,b", "active,trialing", "https://a.example,https://[::1]:3000", "*", "null", "door.example.com,x"}, reflect.TypeFor[[]netip.Prefix](): {"10.0.0.0/8,fd00::/8", "::ffff:10.0.0.0/104", "10.0.0.1/8"},
		reflect.TypeFor[Bytes](): {"0", "100MB", "2147483647TB", "2147483648", "1999999", "1500KB", "2000001", "0TB", "+5MB", "5mb"},
	}
	seen := map[string]bool{}
	for i, field := range list {
		if kind := field.Type.String() + field.Tag.Get("as") + field.Tag.Get("oneof"); !seen[kind] {
			seen[kind] = true
			if len(seeds[field.Type]) == 0 {
				f.Fatalf("%s: there are no seeds of its type %v", field.Name, field.Type)
			}
			for at, seed := range seeds[field.Type] {
				f.Add(uint8(i), seed, uint8(at))
			}
		}
	}
	f.Fuzz(func(t *testing.T, field uint8, raw string, at uint8) {
		if raw == "" {
			return // no value at all
		}
		of := list[int(field)%len(list)]
		into := reflect.New(of.Type).Elem()
		p := parse(of, raw, into)
		i := min(int(at), len(raw))
		marked := raw[:i] + fuzzCanary + raw[i:]
		if p := parse(of, marked, reflect.New(of.Type).Elem()); p != nil && (strings.Contains(p.What+p.Remedy, fuzzCanary) || p.Name != "") {
			t.Fatalf("%s: %q is quoted: %+v", of.Name, marked, p)
		}
		if p != nil {
			if p.What == "" || strings.ContainsAny(p.What+p.Remedy, "\n\x1b") {
				t.Fatalf("%s: %q: %+v", of.Name, raw, p)
			}
			return
		}
		again, ok := written(into.Interface())
		if !ok {
			t.Fatalf("%s: %q became %+v, which cannot be written", of.Name, raw, into)
		}
		back := reflect.New(of.Type).Elem()
		if p := parse(of, again, back); p != nil {
			t.Fatalf("%s: %q became %q, which is refused: %+v", of.Name, raw, again, p)
		}
		if twice, _ := written(back.Interface()); twice != again {
			t.Fatalf("%s: %q became %q, and that %q", of.Name, raw, again, twice)
		}
	})
}

// FuzzOrigins compares what an operator may write with what browsers send: an
// origin has one spelling, and two texts give one exactly when scheme, host
// and port are the same.
func FuzzOrigins(f *testing.F) {
	for _, seed := range []string{
		"https://app.example", "https://APP.example:443", "http://app.example:80", "http://app.example:0443", "https://app.example:8443", "http://[::1]:3000", "http://[0:0::1]:3000",
		"https://[::ffff:1.2.3.4]", "https://app.example.", "https://app.example/", "https://app.example?", "https://a@app.example", "https://*.example", "null", "https://xn--bcher-kva.example",
		"https://bücher.example", "https://app.example:", "HTTPS://app.example", "https://0x7f.1", "https://1.2.3.4", "https://app.example:+443", "https://[fe80::1%25en0]", "https://a%41.example",
	} {
		f.Add(seed, "https://app.example")
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		a, p := parseOrigin(one)
		if p != nil {
			if a != "" {
				t.Fatalf("%q is refused and is %q", one, a)
			}
			return
		}
		if back, p := parseOrigin(a); p != nil || back != a {
			t.Fatalf("%q became %q, and that %q", one, a, back)
		}
		u, err := url.Parse(a)
		if err != nil || u.Scheme+"://"+u.Host != a || a != strings.ToLower(a) || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("%q became %q, which no browser sends", one, a)
		}
		if b, p := parseOrigin(other); p == nil {
			if same := place(t, one) == place(t, other); same != (a == b) {
				t.Fatalf("%q and %q: one place %v, but %q and %q", one, other, same, a, b)
			}
		} else if other == a {
			t.Fatalf("%q is refused and is what %q became", other, one)
		}
	})
}

// place is where an accepted origin leads, found another way.
func place(t *testing.T, origin string) string {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	host, port := strings.ToLower(u.Hostname()), strings.TrimLeft(u.Port(), "0")
	if ip := net.ParseIP(host); ip != nil {
		host = ip.String()
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + " " + host + " " + port
}

// FuzzProxies compares TRUSTED_PROXIES with the standard library's older
// reader of the same: the same addresses are within.
func FuzzProxies(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "10.0.0.5", "10.0.0.5/8", "::/0", "0.0.0.0/0", "fd00::/8", "::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "::ffff:0:0/95", "fe80::1%eth0", "10.0.0.0/08", "010.0.0.1", "1.2.3", ""} {
		f.Add(seed, "10.0.0.5")
		f.Add(seed, "fd00::5")
	}
	f.Fuzz(func(t *testing.T, raw, text string) {
		prefix, p := parsePrefix(raw)
		if p != nil {
			if prefix.IsValid() {
				t.Fatalf("%q is refused and is %v", raw, prefix)
			}
			return
		}
		if !prefix.IsValid() || prefix.Masked() != prefix || prefix.Addr().Is4In6() || prefix.Addr().Zone() != "" {
			t.Fatalf("%q became %v", raw, prefix)
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return
		}
		addr = addr.Unmap().WithZone("") // as peers are compared
		var want bool
		if _, network, err := net.ParseCIDR(raw); err == nil {
			want = network.Contains(net.IP(addr.AsSlice()))
		} else {
			want = net.ParseIP(raw).Equal(net.IP(addr.AsSlice()))
		}
		// To the older reader an IPv4 address is within ::ffff:0:0/96 and 0/0 of
		// IPv6 alike; peers are compared as what they are.
		if prefix.Addr().Is4() == addr.Is4() && prefix.Contains(addr) != want {
			t.Fatalf("%v is within %q: %v, want %v", addr, raw, !want, want)
		}
		if prefix.Addr().Is4() != addr.Is4() && prefix.Contains(addr) {
			t.Fatalf("%v is within %v", addr, prefix)
		}
	})
}

// FuzzHosts: to nothing but private hosts may clear text go, however a host
// is spelt.
func FuzzHosts(f *testing.F) {
	for _, seed := range []string{
		"localhost", "db", "10.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "[fe80::1%25eth0]", "fd00::1", "example.com", "example.com.", "x.internal",
		"internal", "evil.internal.example.com", "a..internal", ".internal", "-x", "0.0.0.0", "::", "169.254.169.254", "100.64.0.1", "local\u2024internal", "1.local", "8.8.8.8.internal", "host:80", "8.8.8.8.",
	} {
		f.Add("http", seed, "/")
		f.Add("https", seed, "?a#b")
	}
	f.Fuzz(func(t *testing.T, scheme, host, rest string) {
		private := PrivateHost(host)
		if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil && private && !ip.IsLoopback() && !ip.IsPrivate() {
			t.Fatalf("%q is private", host)
		}
		if private && strings.ContainsAny(host, "@/?#\\ \t\r\n\x00") && !strings.Contains(host, "%") {
			t.Fatalf("%q is private", host)
		}
		raw := scheme + "://" + host + rest
		u, p := parseURL(raw, []string{"http", "https", "ws", "wss"}, true)
		if (u == nil) == (p == nil) {
			t.Fatalf("%q: %v %+v", raw, u, p)
		}
		if p != nil {
			return
		}
		clear := u.Scheme == "http" || u.Scheme == "ws"
		if clear && !PrivateHost(u.Hostname()) || u.User != nil || u.Fragment != "" || u.Host == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) {
			t.Fatalf("%q is taken as %+v", raw, u)
		}
		// What the HTTP client will dial is the host that was judged.
		if again, err := url.Parse(u.String()); err != nil || again.Hostname() != u.Hostname() || again.Port() != u.Port() || again.User != nil {
			t.Fatalf("%q is taken as %q, and that as %+v", raw, u, again)
		}
	})
}

// FuzzLoad starts every mode on any environment: a configuration or a report
// of problems, never both and never neither; the report holds no value; and
// what is taken keeps the rules that everything behind it relies on.
func FuzzLoad(f *testing.F) {
	base := strings.Join(environ(serving()), "\n")
	f.Add(uint8(Serve), base)
	f.Add(uint8(Dev), "")
	f.Add(uint8(Serve), base+"\nOIDC_ISSUER=https://idp.example/\nOIDC_AUDIENCE=door\nPOLICY_FILE=p.yaml\nTOKEN_TTL=2m\nRATE_LIMIT_USER=1/s")
	f.Add(uint8(Serve), strings.ReplaceAll(base, "TRUSTED_PROXIES", "TLS_DOMAINS")+"\nRAILWAY_PROJECT_ID=x\nRAILWAY_PUBLIC_DOMAIN=A.example.")
	f.Add(uint8(Tool), "LIVEKIT_URL=ws://10.0.0.1\nLIVEKIT_API_KEY=k\nLIVEKIT_API_SECRET="+goodOther)
	f.Add(uint8(Operate), "ADMIN_URL=http://example.com\nADMIN_TOKEN="+goodMore+"\nSTAGEDOOR_X=1\nOIDC_ISUER=y")
	f.Add(uint8(Offline), "DATABASE_URL=sqlite:x.db\nLISTEN_ADDR=0.0.0.0:1\nALLOWED_ORIGINS=*")
	f.Add(uint8(Serve), base+"\nADMIN_ADDR=0.0.0.0:1\nADMIN_TOKEN="+goodJWT+"\nJWT_SECRET_PREVIOUS="+goodLiveKit)
	f.Fuzz(func(t *testing.T, mode uint8, text string) {
		var env []string
		for line := range strings.SplitSeq(text, "\n") {
			if name, _, _ := strings.Cut(line, "="); !strings.HasSuffix(name, fileSuffix) { // no file of this machine's
				env = append(env, line)
			}
		}
		marked := append(slices.Clone(env), "JWT_ISSUER="+fuzzCanary+" ", "OIDC_JWKS_URL=https://u:"+fuzzCanary+"@h", "DATABASE_URL=mysql://"+fuzzCanary, "RATE_LIMIT_IP="+fuzzCanary)
		_, report := Load(Mode(mode%5), marked, "testdata/empty.env")
		var shown strings.Builder
		report.Format(&shown, false)
		if !strings.Contains(text, fuzzCanary) && strings.Contains(shown.String()+fmt.Sprint(report.Err()), fuzzCanary) {
			t.Fatalf("the report holds a value: %s", &shown)
		}
		config, report := Load(Mode(mode%5), env, "testdata/empty.env")
		if (config == nil) != (report.Err() != nil) {
			t.Fatalf("%+v %v", config, report.Err())
		}
		if config == nil || config.Mode != Serve {
			return
		}
		switch {
		case config.TokenTTL < 2*time.Minute || config.TokenTTL > 24*time.Hour, config.LiveKitAPISecret.Len() < 32, config.JWTSecret.Len() > 0 && config.JWTSecret.Len() < 32,
			same(config.JWTSecret.Reveal(), config.LiveKitAPISecret.Reveal()), config.RateLimitUser.Count < 1, config.RateLimitIP.Count < 1,
			config.JWTSecret.Empty() && config.OIDCIssuer == "" && config.PolicyFile == "",
			config.OIDCIssuer != "" && len(config.OIDCAudience)+len(config.OIDCAuthorizedParties) == 0,
			!loopback(config.AdminAddr) && config.AdminToken.Empty(), config.AdminOnPublic && config.AdminToken.Empty(),
			slices.Contains(config.OIDCAudience, "") || slices.Contains(config.AllowedOrigins, "*") || slices.Contains(config.AllowedOrigins, ""):
			t.Fatalf("taken: %+v", config)
		}
	})
}
