package config

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMalformedValuesAreRefused(t *testing.T) {
	check(t, []rule{
		{"no unit", Serve, []string{"TOKEN_TTL=3600"}, []string{"TOKEN_TTL: write 3600s or 1h"}, nil},
		{"no duration", Serve, []string{"TOKEN_TTL=1d"}, []string{"TOKEN_TTL: is not a duration"}, nil},
		{"too short", Serve, []string{"TOKEN_TTL=119s"}, []string{"TOKEN_TTL: at least 2m"}, nil},
		{"too long", Serve, []string{"TOKEN_TTL=24h1s"}, []string{"TOKEN_TTL: at most 24h"}, nil},
		{"half a second", Serve, []string{"TOKEN_TTL=150500ms"}, []string{"TOKEN_TTL: multiple of 1s"}, nil},
		{"zero", Serve, []string{"TOKEN_TTL=0"}, []string{"TOKEN_TTL: at least 2m"}, nil},
		{"overflow", Serve, []string{"TOKEN_TTL=99999999999h"}, []string{"TOKEN_TTL: is not a duration"}, nil},
		{"a tool too", Tool, []string{"TOKEN_TTL=soon"}, []string{"TOKEN_TTL: is not a duration"}, nil},
		{"the bounds", Serve, []string{"TOKEN_TTL=2m", "DRAIN_DELAY=10s"}, nil, nil},
		{"no delay", Serve, []string{"DRAIN_DELAY=0", "TOKEN_TTL=24h"}, nil, nil},
		{"a long delay", Serve, []string{"DRAIN_DELAY=10001ms"}, []string{"DRAIN_DELAY: at most 10s"}, nil},
		{"a negative delay", Serve, []string{"DRAIN_DELAY=-1s"}, []string{"DRAIN_DELAY: at least 0s"}, nil},
		{"a negative grace", Serve, []string{"BILLING_GRACE=-1h"}, []string{"BILLING_GRACE: at least 0s"}, nil},
		{"neither yes nor no", Serve, []string{"NAME_FROM_REQUEST=maybe"}, []string{"NAME_FROM_REQUEST: true or false"}, nil},
		{"t is no yes", Serve, []string{"REQUIRE_HTTPS=t"}, []string{"REQUIRE_HTTPS: true or false"}, nil},
		{"level", Serve, []string{"LOG_LEVEL=INFO+2"}, []string{"LOG_LEVEL: debug, info, warn or error"}, nil},
		{"format", Serve, []string{"LOG_FORMAT=xml"}, []string{"LOG_FORMAT: json or text"}, nil},
		{"rate without unit", Serve, []string{"RATE_LIMIT_USER=60"}, []string{"RATE_LIMIT_USER: 60/m"}, nil},
		{"rate per day", Serve, []string{"RATE_LIMIT_IP=60/d"}, []string{"RATE_LIMIT_IP: 60/m"}, nil},
		{"rate of zero", Serve, []string{"RATE_LIMIT_IP=0/m"}, []string{"RATE_LIMIT_IP: 60/m"}, nil},
		{"signed rate", Serve, []string{"RATE_LIMIT_IP=+5/m"}, []string{"RATE_LIMIT_IP: 60/m"}, nil},
		{"rate without end", Serve, []string{"RATE_LIMIT_FAILURES=9999999999/s"}, []string{"RATE_LIMIT_FAILURES: 60/m"}, nil},
		{"size without unit", Serve, []string{"AUDIT_MAX_SIZE=100"}, []string{"AUDIT_MAX_SIZE: is so small"}, nil},
		{"half a size", Serve, []string{"AUDIT_MAX_SIZE=1.5GB"}, []string{"AUDIT_MAX_SIZE: 100MB"}, nil},
		{"signed size", Serve, []string{"AUDIT_MAX_SIZE=-1GB"}, []string{"AUDIT_MAX_SIZE: 100MB"}, nil},
		{"size of units", Serve, []string{"AUDIT_MAX_SIZE=1KMB"}, []string{"AUDIT_MAX_SIZE: 100MB"}, nil},
		{"size beyond all", Serve, []string{"AUDIT_MAX_SIZE=99999999999TB"}, []string{"AUDIT_MAX_SIZE: 100MB"}, nil},
		{"sizes", Serve, []string{"AUDIT_MAX_SIZE=0", "AUDIT_KEEP=0"}, nil, nil},
		{"a size", Serve, []string{"AUDIT_MAX_SIZE=2GB"}, nil, nil},
		{"kept below nothing", Serve, []string{"AUDIT_KEEP=-1"}, []string{"AUDIT_KEEP: from 0"}, nil},
		{"status", Serve, []string{"BILLING_STATUSES=active,paid"}, []string{"BILLING_STATUSES: entry 2"}, nil},
		{"claim", Serve, []string{"IDENTITY_CLAIM=user id"}, []string{"IDENTITY_CLAIM: white space"}, nil},
		{"feature", Serve, []string{"PUBLISH_FEATURE=publish,watch"}, []string{"PUBLISH_FEATURE: one feature"}, nil},
		{"header", Serve, []string{"CLIENT_IP_HEADER=X Real"}, []string{"CLIENT_IP_HEADER: name of a header"}, nil},
		{"header not ASCII", Serve, []string{"CLIENT_IP_HEADER=X-Řeal"}, []string{"CLIENT_IP_HEADER: name of a header"}, nil},
		{"publishable key", Serve, []string{"STRIPE_SECRET_KEY=pk_live_abc"}, []string{"STRIPE_SECRET_KEY: publishable"}, nil},
		{"no Stripe key", Serve, []string{"STRIPE_SECRET_KEY=abc"}, []string{"STRIPE_SECRET_KEY: not a Stripe key"}, nil},
		{"no signing secret", Serve, []string{"STRIPE_WEBHOOK_SECRET=whsec_a1b2c3d4e5f6g7h8,sk_live_b"}, []string{"STRIPE_WEBHOOK_SECRET: entry 2"}, nil},
		{"a database of another kind", Serve, []string{"DATABASE_URL=mysql://root:hunter2hunter2@db"}, []string{"DATABASE_URL: sqlite:PATH"}, nil},
		{"a database without a path", Serve, []string{"DATABASE_URL=sqlite://"}, []string{"DATABASE_URL: sqlite:PATH"}, nil},
		{"a newline at the end of a secret", Serve, []string{"JWT_SECRET=" + goodOther + "\n"}, []string{"JWT_SECRET: white space"}, nil},
		{"a line break in a secret", Serve, []string{"JWT_SECRET=" + goodOther + "\n" + goodMore}, []string{"JWT_SECRET: line break"}, nil},
		{"an escape sequence", Serve, []string{"JWT_ISSUER=\x1b[2Jacme"}, []string{"JWT_ISSUER: control character"}, nil},
		{"not UTF-8", Serve, []string{"JWT_ISSUER=acme\xff"}, []string{"JWT_ISSUER: UTF-8"}, nil},
		{"only white space", Serve, []string{"JWT_ISSUER= "}, []string{"JWT_ISSUER: white space"}, nil},
	})
}

func TestValues(t *testing.T) {
	for raw, want := range map[string]bool{"true": true, "1": true, "on": true, "yes": true, "True": true, "false": false, "0": false, "off": false, "no": false, "OFF": false} {
		config, report := load(t, Serve, "NAME_FROM_REQUEST="+raw)
		if report.Err() != nil || config.NameFromRequest != want {
			t.Errorf("%s: %v", raw, report.Err())
		}
	}
	for raw, want := range map[string]Rate{"5/s": {5, time.Second}, "60/m": {60, time.Minute}, "1000/h": {1000, time.Hour}} {
		config, report := load(t, Serve, "RATE_LIMIT_USER="+raw)
		if report.Err() != nil || config.RateLimitUser != want {
			t.Errorf("%s: %v", raw, report.Err())
		}
	}
	for raw, want := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
		config, report := load(t, Serve, "LOG_LEVEL="+raw)
		if report.Err() != nil || config.LogLevel != want {
			t.Errorf("%s: %v", raw, report.Err())
		}
	}
	config, report := load(t, Serve, "IDENTITY_CLAIM=https://acme.test/user_id", "NAME_CLAIM=profile.name", "JWT_AUDIENCE=a, b", "LOG_FORMAT=text")
	if report.Err() != nil || config.IdentityClaim != "https://acme.test/user_id" || config.NameClaim != "profile.name" ||
		!slices.Equal(config.JWTAudience, []string{"a", "b"}) || config.LogFormat != "text" {
		t.Errorf("%+v, %v", config, report.Err())
	}
}

// What the operator meant to close must not stay open in silence.
func TestWhatThisVersionCannotCloseIsRefused(t *testing.T) {
	const refused = ": is not supported in this version unset it"
	var rules []rule
	for _, set := range []string{
		"REDIS_URL=redis://cache",
	} {
		name, _, _ := strings.Cut(set, "=")
		rules = append(rules, rule{set, Serve, []string{set}, []string{name + refused}, nil},
			rule{set + " in dev", Dev, []string{set}, []string{name + refused}, nil},
			rule{set + " for a tool", Tool, []string{set}, nil, nil})
	}
	for _, url := range []string{"postgres://user:hunter2hunter2@db/door", "postgresql://db/door"} {
		rules = append(rules, rule{url, Serve, []string{"DATABASE_URL=" + url}, []string{"DATABASE_URL: Postgres is not supported in this version"}, nil},
			rule{url + " for a tool", Tool, []string{"DATABASE_URL=" + url}, nil, nil})
	}
	check(t, append(rules, rule{"a database that a command cannot open", Operate, []string{"DATABASE_URL=postgres://db/door"}, []string{"DATABASE_URL: Postgres is not supported in this version"}, nil}))
}

func TestSettingsThatWorkAreNotWarnedAbout(t *testing.T) {
	for _, set := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318", "RATE_LIMIT_IP=5/s", "RATE_LIMIT_FAILURES=5/s",
		"TRUSTED_PROXIES=10.0.0.1", "REQUIRE_HTTPS=true", "ALLOWED_ORIGINS=https://app.acme.test", "PUBLISH_FEATURE=speak", "TOKEN_TTL=10m", "IDENTITY_CLAIM=uid",
		"LIVEKIT_WEBHOOKS=off", "STRIPE_API_URL=http://localhost:12111", "BILLING_STATUSES=active", "BILLING_GRACE=72h", "SUBSCRIPTION_CLAIM=sub_id",
		"CUSTOMER_CLAIM=cus", "REQUIRE_LIVE_BILLING=true", "DATABASE_URL=sqlite:door.db", "ADMIN_ADDR=127.0.0.1:0", "ADMIN_TOKEN=" + goodOther,
		"ADMIN_URL=http://localhost:9464", "NAME_CLAIM=nick", "NAME_FROM_REQUEST=false", "DRAIN_DELAY=1s", "LOG_LEVEL=warn", "LOG_FORMAT=json", "JWT_SECRET_PREVIOUS=" + goodOther,
	} {
		if _, report := load(t, Serve, set); report.Err() != nil || len(report.Warnings) != 1 {
			t.Errorf("%s: %v, %+v", set, report.Err(), report.Warnings)
		}
	}
}

// A secret pasted into any variable whatever, whole or as a part of its value,
// is not repeated.
func TestNoValueIsEverPrinted(t *testing.T) {
	const canary = "Canary7Qx9vTz3"
	for _, name := range known() {
		for _, value := range []string{
			canary, canary + "\n", "https://" + canary + "@host", "https://user:" + canary + "@host:99999", "https://h/?" + canary, "http://" + canary + ".test",
			"http://h:" + canary, "a," + canary + ",", canary + ":" + canary, "/" + canary, "1/" + canary, "5" + canary, "mysql://" + canary, "\x1b" + canary, "*" + canary,
		} {
			for _, mode := range []Mode{Serve, Dev, Tool, Operate} {
				_, report := load(t, mode, name+"="+value)
				var out strings.Builder
				if err := report.Format(&out, true); err != nil {
					t.Fatal(err)
				}
				if text := out.String() + errorText(report); strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), strings.ToLower(canary)) {
					t.Errorf("%s=%q is printed: %s", name, value, text)
				}
			}
		}
	}
}

func errorText(r *Report) string {
	if err := r.Err(); err != nil {
		return err.Error()
	}
	return ""
}
