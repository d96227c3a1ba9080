package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Secrets as openssl rand -base64 36 makes them.
const (
	goodLiveKit = "aXzs9UgQ0KkVwM0b1Zp3q3nqTq6Zb2mJd8vS5mJwR1yHcE7t"
	goodJWT     = "kQ7pWc2xYt9LrB4vN8sHd3JfGm6ZuA1eXo5TiKlPqRwSyVbE"
	goodOther   = "Zt5nHx8LmQw2RvKb7JcYd4FgPs9EuTa3XoVi6BkMrNyWqLhC"
	goodMore    = "Vb3xKt8WnLq5RzHy2MdJc7PgFs4EuQa9ToXi6BkNrCvYwLhS"
)

// serving is the least that serve accepts, on a listener behind a proxy.
func serving() map[string]string {
	return map[string]string{
		"LIVEKIT_URL":           "wss://sfu.acme.test",
		"LIVEKIT_API_KEY":       "APIq7wJc2xYt9Lr",
		"LIVEKIT_API_SECRET":    goodLiveKit,
		"JWT_SECRET":            goodJWT,
		"TRUSTED_PROXIES":       "10.0.0.0/8",
		"STRIPE_SECRET_KEY":     "rk_live_q7wJc2xYt9LrB4vN",
		"STRIPE_WEBHOOK_SECRET": "whsec_2xYt9LrB4vN8sHd3",
	}
}

// load loads env (changes to serving; "" removes) without any .env file.
func load(t *testing.T, mode Mode, changes ...string) (*Config, *Report) {
	t.Helper()
	env := serving()
	for _, change := range changes {
		name, value, ok := strings.Cut(change, "=")
		if !ok {
			t.Fatalf("%q is not NAME=VALUE", change)
		}
		env[name] = value
	}
	return Load(mode, environ(env), "testdata/empty.env")
}

func environ(env map[string]string) []string {
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

// rule is one row: with these changes, exactly these problems and at least
// these warnings, each as "NAME: words it contains".
type rule struct {
	about    string
	mode     Mode
	env      []string
	problems []string
	warnings []string
}

func check(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.about, func(t *testing.T) {
			config, report := load(t, r.mode, r.env...)
			if len(report.Problems) != len(r.problems) {
				t.Errorf("problems are %+v, want %q", report.Problems, r.problems)
			}
			for _, want := range r.problems {
				if !mentions(report.Problems, want) {
					t.Errorf("problems are %+v, want %q", report.Problems, want)
				}
			}
			for _, want := range r.warnings {
				if !mentions(report.Warnings, want) {
					t.Errorf("warnings are %+v, want %q", report.Warnings, want)
				}
			}
			if (config == nil) != (len(report.Problems) > 0) {
				t.Errorf("config is nil: %v, with %d problems", config == nil, len(report.Problems))
			}
			noValueLeaks(t, report, r.env)
		})
	}
}

func mentions(list []Problem, want string) bool {
	name, words, _ := strings.Cut(want, ": ")
	return slices.ContainsFunc(list, func(p Problem) bool {
		return p.Name == name && strings.Contains(p.What+" "+p.Remedy, words)
	})
}

// noValueLeaks fails if the report repeats a value that is too long to be a
// word of the report's own.
func noValueLeaks(t *testing.T, report *Report, env []string) {
	t.Helper()
	var out strings.Builder
	if err := report.Format(&out, false); err != nil {
		t.Fatal(err)
	}
	text := out.String() + fmt.Sprint(report.Err())
	for _, change := range append(env, environ(serving())...) {
		_, value, _ := strings.Cut(change, "=")
		if len(value) >= 16 && strings.Contains(text, value) {
			t.Errorf("the report repeats a value: %s", text)
		}
	}
}

func TestTheLeastConfigurationServes(t *testing.T) {
	config, report := load(t, Serve)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if len(report.Warnings) != 1 || !mentions(report.Warnings, "POLICY_FILE: every authenticated caller may watch every room") {
		t.Errorf("warnings are %+v, want the one about POLICY_FILE", report.Warnings)
	}
	for name, same := range map[string]bool{
		"ListenAddr":      config.ListenAddr == ":3000",
		"RequireHTTPS":    config.RequireHTTPS,
		"DrainDelay":      config.DrainDelay == 2*time.Second,
		"TokenTTL":        config.TokenTTL == time.Hour,
		"IdentityClaim":   config.IdentityClaim == "sub",
		"NameClaim":       config.NameClaim == "name",
		"NameFromRequest": config.NameFromRequest,
		"PublishFeature":  config.PublishFeature == "publish",
		"LogLevel":        config.LogLevel == slog.LevelInfo,
		"LogFormat":       config.LogFormat == "",
		"RateLimitUser":   config.RateLimitUser == Rate{60, time.Minute},
		"BillingStatuses": slices.Equal(config.BillingStatuses, []string{"active", "trialing"}),
		"AdminAddr":       config.AdminAddr == "127.0.0.1:9464",
		"Mode":            config.Mode == Serve,
		"Railway":         !config.Railway && config.PublicHost == "",
		"IdentityPrefix":  config.JWTIdentityPrefix+config.OIDCIdentityPrefix == "",
	} {
		if !same {
			t.Errorf("%s is not its default: %+v", name, config)
		}
	}
}

func TestEveryFieldIsTagged(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range fields() {
		name := f.Tag.Get("env")
		if seen[name] || name != strings.ToUpper(name) {
			t.Errorf("%s is twice or not upper case", name)
		}
		seen[name] = true
		if later := f.Tag.Get("later"); later != "" && later != "refuse" {
			t.Errorf("%s: later is %q", name, later)
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d variables", len(seen))
	}
}

func TestMissingCredentialsAreNamed(t *testing.T) {
	const phrase = "LiveKit credentials not configured"
	check(t, []rule{
		{"all three", Serve, []string{"LIVEKIT_URL=", "LIVEKIT_API_KEY=", "LIVEKIT_API_SECRET="},
			[]string{"LIVEKIT_URL: " + phrase, "LIVEKIT_API_KEY: " + phrase, "LIVEKIT_API_SECRET: " + phrase}, nil},
		{"the secret", Serve, []string{"LIVEKIT_API_SECRET="}, []string{"LIVEKIT_API_SECRET: " + phrase}, nil},
		{"dev brings its own", Dev, []string{"LIVEKIT_URL=", "LIVEKIT_API_KEY=", "LIVEKIT_API_SECRET="}, nil, nil},
		{"dev with some of them", Dev, []string{"LIVEKIT_URL=", "LIVEKIT_API_KEY="},
			[]string{"LIVEKIT_URL: " + phrase + ": only some", "LIVEKIT_API_KEY: unset the others"}, nil},
		{"a tool needs no address", Tool, []string{"LIVEKIT_URL=", "JWT_SECRET=", "TRUSTED_PROXIES="}, nil, nil},
		{"a tool needs the key", Tool, []string{"LIVEKIT_API_KEY="}, []string{"LIVEKIT_API_KEY: " + phrase}, nil},
		{"half a previous pair", Serve, []string{"LIVEKIT_API_KEY_PREVIOUS=APIold"}, []string{"LIVEKIT_API_SECRET_PREVIOUS: is missing beside LIVEKIT_API_KEY_PREVIOUS"}, nil},
		{"the other half", Serve, []string{"LIVEKIT_API_SECRET_PREVIOUS=" + goodOther}, []string{"LIVEKIT_API_KEY_PREVIOUS: is missing beside LIVEKIT_API_SECRET_PREVIOUS"}, nil},
		{"a previous pair", Serve, []string{"LIVEKIT_API_KEY_PREVIOUS=APIold", "LIVEKIT_API_SECRET_PREVIOUS=" + goodOther}, nil, nil},
	})
}

// The guide's .env, to the letter.
func TestTheGuidesPlaceholders(t *testing.T) {
	guide := []string{"LIVEKIT_URL=wss://your-project.livekit.cloud", "LIVEKIT_API_KEY=your-dev-api-key", "LIVEKIT_API_SECRET=your-dev-api-secret", "PORT=3000"}
	three := []string{"LIVEKIT_URL: placeholder", "LIVEKIT_API_KEY: placeholder", "LIVEKIT_API_SECRET: placeholder"}
	check(t, []rule{
		{"serve refuses them", Serve, guide, three, nil},
		{"dev warns of them", Dev, guide, nil, three},
		{"a tool warns of them", Tool, guide, nil, three},
		{"an issuer", Serve, []string{"OIDC_ISSUER=https://your-tenant.idp.test/", "OIDC_AUDIENCE=door"}, []string{"OIDC_ISSUER: placeholder"}, nil},
		{"a company called so", Serve, []string{"LIVEKIT_URL=wss://your-voice.acme.test"}, nil, nil},
	})
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	check(t, []rule{
		{"one newline is trimmed", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + file("lf", goodOther+"\n")}, nil, nil},
		{"one CRLF is trimmed", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + file("crlf", goodOther+"\r\n")}, nil, nil},
		{"a second newline is not", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + file("lflf", goodOther+"\n\n")}, []string{"JWT_SECRET: white space"}, nil},
		{"set twice", Serve, []string{"JWT_SECRET_FILE=" + file("twice", goodOther)}, []string{"JWT_SECRET: set twice"}, nil},
		{"missing", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + filepath.Join(dir, "none")}, []string{"JWT_SECRET: no such file"}, nil},
		{"the secret itself", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + goodOther}, []string{"JWT_SECRET: cannot be read"}, nil},
		{"a directory", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + dir}, []string{"JWT_SECRET: cannot be read"}, nil},
		{"empty", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + file("empty", "")}, []string{"JWT_SECRET: empty"}, nil},
		{"only a newline", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + file("blank", "\n")}, []string{"JWT_SECRET: empty"}, nil},
		{"huge", Serve, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + file("huge", strings.Repeat(goodOther, 2000))}, []string{"JWT_SECRET: larger"}, nil},
		{"a tool does without", Tool, []string{"JWT_SECRET=", "JWT_SECRET_FILE=" + filepath.Join(dir, "none")}, nil, []string{"JWT_SECRET: no such file"}},
		{"a tool needs this one", Tool, []string{"LIVEKIT_API_SECRET=", "LIVEKIT_API_SECRET_FILE=" + filepath.Join(dir, "none")}, []string{"LIVEKIT_API_SECRET: no such file"}, nil},
		{"no secret", Serve, []string{"LIVEKIT_API_KEY_FILE=" + file("key", "APIabc")}, nil, []string{"LIVEKIT_API_KEY_FILE: LIVEKIT_API_KEY is not a secret"}},
		{"a list", Serve, []string{"STRIPE_WEBHOOK_SECRET=", "STRIPE_WEBHOOK_SECRET_FILE=" + file("list", "whsec_a1b2c3d4e5f6g7h8,whsec_h8g7f6e5d4c3b2a1\n")}, nil, nil},
	})
	config, report := load(t, Serve, "JWT_SECRET=", "JWT_SECRET_FILE="+filepath.Join(dir, "lf"))
	if report.Err() != nil || config.JWTSecret.Reveal() != goodOther {
		t.Errorf("the file's secret was not read: %v", report.Err())
	}
}

func TestEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := environ(serving())
	write("PORT=4000\nTOKEN_TTL=10m\nJWT_ISSUER=acme\nSOMETHING_ELSE=1\n")
	config, report := Load(Serve, append(env, "TOKEN_TTL=20m", "JWT_ISSUER="), path)
	if report.Err() != nil {
		t.Fatal(report.Err())
	}
	if config.ListenAddr != ":4000" || config.TokenTTL != 20*time.Minute || config.JWTIssuer != "" {
		t.Errorf("the real environment must win, even when empty: %+v", config)
	}
	write("PORT=4000\nJWT_SECRET='unclosed-" + goodOther + "\nPORT=1\n")
	_, report = Load(Serve, env, path)
	if len(report.Problems) != 2 || !mentions(report.Problems, "--env-file: line 2") || !mentions(report.Problems, "--env-file: line 3") {
		t.Errorf("problems are %+v", report.Problems)
	}
	noValueLeaks(t, report, []string{"x=" + goodOther})
	if _, report = Load(Serve, env, path+"-none"); !mentions(report.Problems, "--env-file: no such file") {
		t.Errorf("problems are %+v", report.Problems)
	}
	t.Chdir(t.TempDir())
	if _, report = Load(Serve, env, ""); report.Err() != nil {
		t.Errorf("a missing .env is fine: %v", report.Err())
	}
	if err := os.WriteFile(".env", []byte("PORT=70000"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, report = Load(Serve, env, ""); !mentions(report.Problems, "PORT: from 0 to 65535") {
		t.Errorf("problems are %+v", report.Problems)
	}
}

func TestSecretsListsEveryOne(t *testing.T) {
	config, report := load(t, Serve, "STRIPE_WEBHOOK_SECRET=whsec_a1b2c3d4e5f6g7h8, whsec_h8g7f6e5d4c3b2a1", "ADMIN_TOKEN="+goodOther, "DATABASE_URL=sqlite:door.db")
	if report.Err() != nil {
		t.Fatal(report.Err())
	}
	var names []string
	for _, s := range config.Secrets() {
		names = append(names, s.Name)
	}
	want := []string{"LIVEKIT_API_SECRET", "JWT_SECRET", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRET", "DATABASE_URL", "ADMIN_TOKEN"}
	if !slices.Equal(names, want) {
		t.Errorf("Secrets() are %q, want %q", names, want)
	}
	if text := fmt.Sprintf("%+v %v", config, config.Secrets()); strings.Contains(text, goodJWT) || strings.Contains(text, "whsec_a1b2c3d4e5f6g7h8") {
		t.Error("printing a Config prints secrets")
	}
}

func TestTrustedProxyForms(t *testing.T) {
	config, report := load(t, Serve, "TRUSTED_PROXIES=192.0.2.7, 10.0.0.0/8,2001:db8::/32,::1,::ffff:192.0.2.0/120")
	if report.Err() != nil {
		t.Fatal(report.Err())
	}
	var want []netip.Prefix
	for _, s := range []string{"192.0.2.7/32", "10.0.0.0/8", "2001:db8::/32", "::1/128", "192.0.2.0/24"} {
		want = append(want, netip.MustParsePrefix(s))
	}
	if !slices.Equal(config.TrustedProxies, want) {
		t.Errorf("TrustedProxies are %v, want %v", config.TrustedProxies, want)
	}
}
