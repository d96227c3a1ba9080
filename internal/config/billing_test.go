package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBilling(t *testing.T) {
	none := []string{"STRIPE_SECRET_KEY=", "STRIPE_WEBHOOK_SECRET="}
	with := func(set ...string) []string { return append(append([]string{}, none...), set...) }
	check(t, []rule{
		{"a live key and a secret", Serve, nil, nil, nil},
		{"no Stripe", Serve, none, nil, []string{"STRIPE_SECRET_KEY: nobody may publish"}},
		{"no Stripe, but rules", Serve, append([]string{"POLICY_FILE=rooms.yaml"}, none...), nil, []string{"STRIPE_SECRET_KEY: a rule that asks for a feature"}},
		{"no webhook", Serve, []string{"STRIPE_WEBHOOK_SECRET="}, nil, []string{"STRIPE_WEBHOOK_SECRET: within two minutes"}},
		{"TestWebhookSecretWithoutKeyIsRefused", Serve, with("STRIPE_WEBHOOK_SECRET=whsec_2xYt9LrB4vN8sHd3"), []string{"STRIPE_WEBHOOK_SECRET: no meaning without STRIPE_SECRET_KEY"}, nil},
		{"an address without a key", Serve, with("STRIPE_API_URL=https://stripe.test"), []string{"STRIPE_API_URL: no meaning without STRIPE_SECRET_KEY"}, nil},
		{"TestTestKeyIsRefusedWhereLiveIsRequired", Serve, []string{"STRIPE_SECRET_KEY=sk_test_q7wJc2xYt9LrB4vN", "REQUIRE_LIVE_BILLING=true"}, []string{"STRIPE_SECRET_KEY: is a test key"}, nil},
		{"no key where live is required", Serve, with("REQUIRE_LIVE_BILLING=true"), []string{"REQUIRE_LIVE_BILLING: needs STRIPE_SECRET_KEY"}, nil},
		{"a test key on Railway", Serve, []string{"STRIPE_SECRET_KEY=rk_test_q7wJc2xYt9LrB4vN", "RAILWAY_PROJECT_ID=p", "RAILWAY_VOLUME_MOUNT_PATH=/data"}, nil, []string{"STRIPE_SECRET_KEY: test card"}},
		{"a test key on Fly", Serve, []string{"STRIPE_SECRET_KEY=rk_test_q7wJc2xYt9LrB4vN", "FLY_APP_NAME=door"}, nil, []string{"STRIPE_SECRET_KEY: test card"}},
		{"a live key where live is required", Serve, []string{"REQUIRE_LIVE_BILLING=true"}, nil, nil},
		{"documentation's key", Serve, []string{"STRIPE_SECRET_KEY=rk_live_…"}, []string{"STRIPE_SECRET_KEY: is not a Stripe key"}, nil},
		{"a placeholder key", Serve, []string{"STRIPE_SECRET_KEY=sk_live_your_secret_key"}, []string{"STRIPE_SECRET_KEY: is a placeholder"}, nil},
		// Who signs an event says whose customer somebody is.
		{"TestWebhookSecretThatIsOnlyAPrefixIsRefused", Serve, []string{"STRIPE_WEBHOOK_SECRET=whsec_"}, []string{"STRIPE_WEBHOOK_SECRET: found by trying"}, nil},
		{"TestShortWebhookSecretIsRefused", Serve, []string{"STRIPE_WEBHOOK_SECRET=whsec_2xYt9LrB4vN8sHd"}, []string{"STRIPE_WEBHOOK_SECRET: found by trying"}, nil},
		{"a placeholder secret", Serve, []string{"STRIPE_WEBHOOK_SECRET=whsec_your_signing_secret"}, []string{"STRIPE_WEBHOOK_SECRET: is a placeholder"}, nil},
		{"documentation's secret", Serve, []string{"STRIPE_WEBHOOK_SECRET=whsec_…"}, []string{"STRIPE_WEBHOOK_SECRET: is a placeholder"}, nil},
		{"a publishable key", Serve, []string{"STRIPE_SECRET_KEY=pk_live_q7wJc2xYt9LrB4vN"}, []string{"STRIPE_SECRET_KEY: publishable"}, nil},
		{"another's secret", Serve, []string{"STRIPE_WEBHOOK_SECRET=hunter2"}, []string{"STRIPE_WEBHOOK_SECRET: is not a signing secret"}, nil},
		{"dev needs none", Dev, none, nil, nil},
		{"dev demands live too where it is told to", Dev, []string{"STRIPE_SECRET_KEY=sk_test_q7wJc2xYt9LrB4vN", "REQUIRE_LIVE_BILLING=true"}, []string{"STRIPE_SECRET_KEY: is a test key"}, nil},
		{"clear text to a public host", Serve, []string{"STRIPE_API_URL=http://stripe.test"}, []string{"STRIPE_API_URL: clear text"}, nil},
	})
}

// quiet fails if a configuration is warned of under a name.
func quiet(t *testing.T, name string, mode Mode, env ...string) {
	t.Helper()
	if _, report := load(t, mode, env...); report.Err() != nil || mentions(report.Warnings, name+": ") {
		t.Errorf("%q: %v, %+v", env, report.Err(), report.Warnings)
	}
}

// A warning that is always there is not read.
func TestNoWarningWithoutReason(t *testing.T) {
	const key = "STRIPE_SECRET_KEY=rk_test_q7wJc2xYt9LrB4vN"
	quiet(t, "STRIPE_SECRET_KEY", Serve)
	quiet(t, "STRIPE_WEBHOOK_SECRET", Serve)
	quiet(t, "STRIPE_SECRET_KEY", Serve, key)
	quiet(t, "STRIPE_SECRET_KEY", Serve, "FLY_APP_NAME=door")
	quiet(t, "STRIPE_SECRET_KEY", Serve, key, "FLY_APP_NAME=")
	quiet(t, "STRIPE_SECRET_KEY", Dev, "STRIPE_SECRET_KEY=", "STRIPE_WEBHOOK_SECRET=")
	quiet(t, "STRIPE_WEBHOOK_SECRET", Dev, "STRIPE_WEBHOOK_SECRET=")
	// A developer's own container is on no platform.
	quiet(t, "STRIPE_SECRET_KEY", Dev, key, "KUBERNETES_SERVICE_HOST=10.0.0.1")
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.WriteFile(copied, []byte("FLY_APP_NAME=door\nRAILWAY_VOLUME_MOUNT_PATH=/data\nSTATE_DIRECTORY=/data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := serving()
	env["STRIPE_SECRET_KEY"] = strings.TrimPrefix(key, "STRIPE_SECRET_KEY=")
	config, report := Load(Serve, environ(env), copied)
	if report.Err() != nil || mentions(report.Warnings, "STRIPE_SECRET_KEY: ") || config.DatabasePath != databaseFile {
		t.Errorf("an .env file copied from a platform is taken for it: %v, %+v", report.Err(), report.Warnings)
	}
}

func TestOperators(t *testing.T) {
	check(t, []rule{
		{"TestPublicAdminWithoutTokenIsRefused", Serve, []string{"ADMIN_ON_PUBLIC=true"}, []string{"ADMIN_ON_PUBLIC: needs ADMIN_TOKEN"}, nil},
		{"with one", Serve, []string{"ADMIN_ON_PUBLIC=true", "ADMIN_TOKEN=" + goodOther}, nil, nil},
		{"off loopback without one", Serve, []string{"ADMIN_ADDR=:9464"}, []string{"ADMIN_ADDR: anybody"}, nil},
		{"a previous one alone", Serve, []string{"ADMIN_TOKEN_PREVIOUS=" + goodOther}, []string{"ADMIN_TOKEN_PREVIOUS: no meaning without ADMIN_TOKEN"}, nil},
		{"a prefix that reads as encoded", Serve, []string{"JWT_IDENTITY_PREFIX=b64"}, []string{"JWT_IDENTITY_PREFIX: reserved"}, nil},
		{"a command needs no LiveKit and no callers", Operate, []string{"LIVEKIT_URL=", "LIVEKIT_API_KEY=", "LIVEKIT_API_SECRET=", "JWT_SECRET=", "TRUSTED_PROXIES=", "STRIPE_SECRET_KEY=", "STRIPE_WEBHOOK_SECRET="}, nil, nil},
		{"nor secrets that it may not read", Operate, []string{"JWT_SECRET=", "JWT_SECRET_FILE=/nowhere/jwt"}, nil, []string{"JWT_SECRET: no such file"}},
		{"nor LiveKit's", Operate, []string{"LIVEKIT_API_SECRET=", "LIVEKIT_API_SECRET_FILE=/nowhere/livekit"}, nil, []string{"LIVEKIT_API_SECRET: no such file"}},
		{"nor Stripe's", Operate, []string{"STRIPE_SECRET_KEY=abc"}, nil, []string{"STRIPE_SECRET_KEY: is not a Stripe key"}},
		{"the token opens the door", Operate, []string{"ADMIN_TOKEN_FILE=/nowhere/admin"}, []string{"ADMIN_TOKEN: no such file"}, nil},
		{"no database where a door is named", Operate, []string{"ADMIN_URL=https://door.acme.test/admin", "DATABASE_URL=postgres://db/door"}, nil, []string{"DATABASE_URL: Postgres"}},
		{"a token for a test needs no former secret", Tool, []string{"LIVEKIT_API_SECRET_PREVIOUS_FILE=/nowhere/livekit"}, nil, []string{"LIVEKIT_API_SECRET_PREVIOUS: no such file"}},
		{"nor the database", Tool, []string{"DATABASE_URL=sqlite:"}, nil, []string{"DATABASE_URL: is not a database address"}},
		{"a door needs them", Serve, []string{"LIVEKIT_API_KEY_PREVIOUS=APIold", "LIVEKIT_API_SECRET_PREVIOUS_FILE=/nowhere/livekit"}, []string{"LIVEKIT_API_SECRET_PREVIOUS: no such file"}, nil},
	})
}

// A command that opens the database must know people by the names that the
// door gave them.
func TestCommandsNameTheSamePeople(t *testing.T) {
	for _, prefixes := range [][]string{nil, {"JWT_IDENTITY_PREFIX=app"}, {"OIDC_IDENTITY_PREFIX=idp"}, {"JWT_IDENTITY_PREFIX=app", "OIDC_IDENTITY_PREFIX=idp"}, {"OIDC_ISSUER="}} {
		env := append([]string{issuer, "OIDC_AUDIENCE=door"}, prefixes...)
		if len(prefixes) == 1 && prefixes[0] == "OIDC_ISSUER=" {
			env = prefixes
		}
		door, first := load(t, Serve, env...)
		command, second := load(t, Operate, env...)
		if first.Err() != nil || second.Err() != nil {
			t.Fatal(first.Err(), second.Err())
		}
		if door.OIDCIdentityPrefix != command.OIDCIdentityPrefix || door.JWTIdentityPrefix != command.JWTIdentityPrefix {
			t.Errorf("%q: the door has %q and %q, a command %q and %q", env, door.JWTIdentityPrefix, door.OIDCIdentityPrefix, command.JWTIdentityPrefix, command.OIDCIdentityPrefix)
		}
	}
}

func TestWhereTheDatabaseIs(t *testing.T) {
	volume := []string{"RAILWAY_PROJECT_ID=p", "RAILWAY_VOLUME_MOUNT_PATH=/data"}
	for about, c := range map[string]struct {
		mode Mode
		env  []string
		want string
	}{
		"the working directory":     {Serve, nil, "stagedoor.db"},
		"Railway's volume":          {Serve, volume, "/data/stagedoor.db"},
		"systemd's state":           {Serve, []string{"STATE_DIRECTORY=/var/lib/stagedoor" + string(os.PathListSeparator) + "/var/lib/other"}, "/var/lib/stagedoor/stagedoor.db"},
		"as named":                  {Serve, append(volume, "DATABASE_URL=sqlite:/srv/door.db"), "/srv/door.db"},
		"as a URL":                  {Serve, []string{"DATABASE_URL=sqlite:///srv/door.db"}, "/srv/door.db"},
		"relative":                  {Serve, []string{"DATABASE_URL=sqlite:state/door.db"}, "state/door.db"},
		"relative, as a URL":        {Serve, []string{"DATABASE_URL=sqlite://door.db"}, "door.db"},
		"a colon in its name":       {Serve, []string{"DATABASE_URL=sqlite:door:1.db"}, "door:1.db"},
		"a volume before a state":   {Serve, append(volume, "STATE_DIRECTORY=/var/lib/stagedoor"), "/data/stagedoor.db"},
		"dev's own":                 {Dev, nil, ""},
		"dev's, as named":           {Dev, []string{"DATABASE_URL=sqlite:dev.db"}, "dev.db"},
		"a command finds the same":  {Operate, volume, "/data/stagedoor.db"},
		"an empty name is no place": {Serve, []string{"STATE_DIRECTORY="}, "stagedoor.db"},
	} {
		config, report := load(t, c.mode, c.env...)
		if report.Err() != nil || config.DatabasePath != filepath.FromSlash(c.want) {
			t.Errorf("%s: %v, %+v", about, report.Err(), config)
		}
	}
	check(t, []rule{
		{"Railway without a volume", Serve, []string{"RAILWAY_PROJECT_ID=p"}, nil, []string{"DATABASE_URL: lost at every deploy add a volume"}},
		{"named, without a volume", Serve, []string{"RAILWAY_PROJECT_ID=p", "DATABASE_URL=sqlite:/data/door.db"}, nil, []string{"DATABASE_URL: lost at every deploy add a volume"}},
		{"beside the volume", Serve, append(volume, "DATABASE_URL=sqlite:/database/door.db"), nil, []string{"DATABASE_URL: lost at every deploy unset it"}},
		{"out of the volume", Serve, append(volume, "DATABASE_URL=sqlite:/data/../door.db"), nil, []string{"DATABASE_URL: lost at every deploy unset it"}},
		{"in the working directory", Serve, append(volume, "DATABASE_URL=sqlite:door.db"), nil, []string{"DATABASE_URL: lost at every deploy unset it"}},
		{"TestMemoryThatForgetsBansIsRefused", Serve, []string{"DATABASE_URL=sqlite::memory:"}, []string{"DATABASE_URL: names no file"}, nil},
		{"in memory, as a URL", Serve, []string{"DATABASE_URL=sqlite://:memory:"}, []string{"DATABASE_URL: names no file"}, nil},
		{"two colons", Serve, []string{"DATABASE_URL=sqlite::"}, []string{"DATABASE_URL: names no file"}, nil},
		{"parameters", Serve, []string{"DATABASE_URL=sqlite:door.db?mode=memory"}, []string{"DATABASE_URL: parameters"}, nil},
		{"a directory", Serve, []string{"DATABASE_URL=sqlite:/data/"}, []string{"DATABASE_URL: names a directory name a file in it"}, nil},
		{"this directory", Serve, []string{"DATABASE_URL=sqlite:."}, []string{"DATABASE_URL: names a directory"}, nil},
		{"the one above", Serve, []string{"DATABASE_URL=sqlite:/data/.."}, []string{"DATABASE_URL: names a directory"}, nil},
		{"SQLite's own address", Serve, []string{"DATABASE_URL=file:door.db"}, []string{"DATABASE_URL: write sqlite:PATH"}, nil},
		{"no path", Serve, []string{"DATABASE_URL=sqlite:"}, []string{"DATABASE_URL: is not a database address"}, nil},
		{"no scheme", Serve, []string{"DATABASE_URL=/srv/door.db"}, []string{"DATABASE_URL: is not a database address"}, nil},
	})
	quiet(t, "DATABASE_URL", Serve, volume...)
	quiet(t, "DATABASE_URL", Serve, append(volume, "DATABASE_URL=sqlite:/data/state/door.db")...)
	quiet(t, "DATABASE_URL", Serve, append(volume, "DATABASE_URL=sqlite:///data/door.db")...)
	quiet(t, "DATABASE_URL", Serve)
}
