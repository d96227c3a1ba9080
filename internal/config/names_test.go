package config

import (
	"slices"
	"testing"
)

func TestMisspeltNames(t *testing.T) {
	check(t, []rule{
		{"Go's own SSL_CERT_FILE", Serve, []string{"SSL_CERT_FILE=/etc/ssl/certs/ca.pem"}, nil, nil},
		{"a letter lost", Serve, []string{"OIDC_ISUER=https://idp.acme.test"}, nil, []string{"OIDC_ISUER: did you mean OIDC_ISSUER?"}},
		{"two swapped", Serve, []string{"OIDC_AUDEINCE=door"}, nil, []string{"OIDC_AUDEINCE: did you mean OIDC_AUDIENCE?"}},
		{"lower case", Serve, []string{"trusted_proxies=10.0.0.1"}, nil, []string{"trusted_proxies: did you mean TRUSTED_PROXIES?"}},
		{"a file", Serve, []string{"JWT_SECRT_FILE=jwt"}, nil, []string{"JWT_SECRT_FILE: did you mean JWT_SECRET_FILE?"}},
		{"one letter in a short name", Serve, []string{"LOGLEVEL=info"}, nil, []string{"LOGLEVEL: did you mean LOG_LEVEL?"}},
		{"meant for us", Serve, []string{"STAGEDOOR_COLOUR=red"}, []string{"STAGEDOOR_COLOUR: is not known"}, nil},
		{"with our name before it", Serve, []string{"STAGEDOOR_JWT_SECRET=" + goodOther}, []string{"STAGEDOOR_JWT_SECRET: its name is JWT_SECRET"}, nil},
		{"in lower case", Serve, []string{"stagedoor_port=1"}, []string{"stagedoor_port: its name is PORT"}, nil},
		{"for a tool too", Tool, []string{"STAGEDOOR_X=1"}, []string{"STAGEDOOR_X: is not known"}, nil},
		{"empty is unset", Serve, []string{"STAGEDOOR_X=", "OIDC_ISUER="}, nil, nil},
	})
}

// The names of shells, containers, platforms and other programs.
func TestOtherProgramsNamesAreLeftAlone(t *testing.T) {
	names := known()
	for _, name := range []string{
		"HOST", "HOSTNAME", "HOME", "PATH", "PWD", "USER", "TERM", "LANG", "SHELL", "SHLVL", "OLDPWD", "LOGNAME", "MAIL", "EDITOR", "PS1", "TZ", "PGPORT", "PGHOST", "SPORT", "EXPORT",
		"LC_ALL", "NODE_ENV", "LOG_FILE", "LOG_DIR", "LOG_PATH", "GOPATH", "GOFLAGS", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "LS_COLORS", "INVOCATION_ID",
		"RAILWAY_PROJECT_ID", "RAILWAY_PUBLIC_DOMAIN", "RAILWAY_VOLUME_MOUNT_PATH", "FLY_APP_NAME", "RENDER", "DYNO", "KUBERNETES_SERVICE_HOST", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY",
		"DATABASE_HOST", "DATABASE_USER", "DATABASE_PUBLIC_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_TLS_URL", "STRIPE_API_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_PRICE_ID",
		"JWT_EXPIRY", "JWT_ALGORITHM", "SESSION_SECRET", "TOKEN_URL", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_SCOPE", "OIDC_ISSUER_URL", "LIVEKIT_TOKEN", "LIVEKIT_CONFIG", "LIVEKIT_WS_URL", "NEXT_PUBLIC_LIVEKIT_URL",
		"OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_EXPORTER", "ADMIN_EMAIL", "ADMIN_PASSWORD", "ADMIN_USER", "TLS_CERT", "TLS_KEY", "PUBLIC_URL", "BASE_URL", "NO_COLOR", "CI",
	} {
		if meant := nearest(name, names); meant != "" {
			t.Errorf("%s is taken for %s", name, meant)
		}
	}
}

// A NAME_FILE must not be another variable's name.
func TestKnownNamesAreUnique(t *testing.T) {
	names := known()
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("a name is known twice: %q", names)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "ABC", 3}, {"ABC", "ABC", 0}, {"ABC", "ACB", 1}, {"ABC", "AC", 1}, {"ABC", "ABXC", 1}, {"ABC", "AXC", 1},
		{"OIDC_ISUER", "OIDC_ISSUER", 1}, {"HOST", "PORT", 2}, {"CA", "ABC", 3},
	} {
		if got, back := distance(c.a, c.b), distance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("distance(%q, %q) is %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
