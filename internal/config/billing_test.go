package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBilling(t *testing.T) {
	none := []string{"STRIPE_SECRET_KEY=", "STRIPE_WEBHOOK_SECRET="}
	with := func(set ...string) []string { return append(append([]string{}, none...), set...) }
	check(t, []rule{
		{"a live key and a secret", Serve, nil, nil, nil},
		{"no Stripe", Serve, none, nil, []string{"STRIPE_SECRET_KEY: nobody may publish"}},
		{"no webhook", Serve, []string{"STRIPE_WEBHOOK_SECRET="}, nil, []string{"STRIPE_WEBHOOK_SECRET: within two minutes"}},
		{"TestWebhookSecretWithoutKeyIsRefused", Serve, with("STRIPE_WEBHOOK_SECRET=whsec_2xYt9LrB4vN8sHd3"), []string{"STRIPE_WEBHOOK_SECRET: no meaning without STRIPE_SECRET_KEY"}, nil},
		{"an address without a key", Serve, with("STRIPE_API_URL=https://stripe.test"), []string{"STRIPE_API_URL: no meaning without STRIPE_SECRET_KEY"}, nil},
		{"TestTestKeyIsRefusedWhereLiveIsRequired", Serve, []string{"STRIPE_SECRET_KEY=sk_test_q7wJc2xYt9LrB4vN", "REQUIRE_LIVE_BILLING=true"}, []string{"STRIPE_SECRET_KEY: is a test key"}, nil},
		{"no key where live is required", Serve, with("REQUIRE_LIVE_BILLING=true"), []string{"REQUIRE_LIVE_BILLING: needs STRIPE_SECRET_KEY"}, nil},
		{"a test key on Railway", Serve, []string{"STRIPE_SECRET_KEY=rk_test_q7wJc2xYt9LrB4vN", "RAILWAY_PROJECT_ID=p", "RAILWAY_VOLUME_MOUNT_PATH=/data"}, nil, []string{"STRIPE_SECRET_KEY: test card"}},
		{"a test key on Fly", Serve, []string{"STRIPE_SECRET_KEY=rk_test_q7wJc2xYt9LrB4vN", "FLY_APP_NAME=door"}, nil, []string{"STRIPE_SECRET_KEY: test card"}},
		{"a publishable key", Serve, []string{"STRIPE_SECRET_KEY=pk_live_q7wJc2xYt9LrB4vN"}, []string{"STRIPE_SECRET_KEY: publishable"}, nil},
		{"another's secret", Serve, []string{"STRIPE_WEBHOOK_SECRET=hunter2"}, []string{"STRIPE_WEBHOOK_SECRET: is not a signing secret"}, nil},
		{"dev needs none", Dev, none, nil, nil},
		{"clear text to a public host", Serve, []string{"STRIPE_API_URL=http://stripe.test"}, []string{"STRIPE_API_URL: clear text"}, nil},
	})
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
	})
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
		{"Railway without a volume", Serve, []string{"RAILWAY_PROJECT_ID=p"}, nil, []string{"DATABASE_URL: lost at every deploy"}},
		{"no path", Serve, []string{"DATABASE_URL=sqlite:"}, []string{"DATABASE_URL: is not a database address"}, nil},
		{"no scheme", Serve, []string{"DATABASE_URL=/srv/door.db"}, []string{"DATABASE_URL: is not a database address"}, nil},
	})
}
