package config

import (
	"os"
	"path/filepath"
	"strings"
)

// checkBilling says what of paying is not as it should be in production.
func (l *loader) checkBilling() {
	c := l.config
	key := c.StripeSecretKey.Reveal()
	test := !strings.Contains(key, "_live_")
	switch {
	case l.bad["STRIPE_SECRET_KEY"]:
		return
	case !l.given["STRIPE_SECRET_KEY"]:
		l.pointless("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_URL")
		if c.RequireLiveBilling {
			l.problem("REQUIRE_LIVE_BILLING", "needs STRIPE_SECRET_KEY", "set STRIPE_SECRET_KEY to a live key, or unset REQUIRE_LIVE_BILLING")
		}
		if l.mode == Serve {
			l.warn("STRIPE_SECRET_KEY", "is not set: nobody is entitled by payment, so nobody may publish", "set it to a restricted key (rk_…) that may read customers, subscriptions, products, prices, Checkout sessions, events and entitlements")
		}
		return
	case c.RequireLiveBilling && test:
		l.problem("STRIPE_SECRET_KEY", "is a test key, and REQUIRE_LIVE_BILLING is set: test subscriptions would open publishing", "use the live key (rk_live_… or sk_live_…)")
	case test && l.platform():
		l.warn("STRIPE_SECRET_KEY", "is a test key on a platform: anybody with a test card may publish", "use the live key, and set REQUIRE_LIVE_BILLING=true")
	}
	if l.mode == Serve && !l.given["STRIPE_WEBHOOK_SECRET"] {
		l.warn("STRIPE_WEBHOOK_SECRET", "is not set: /webhooks/stripe is closed, and a change in Stripe is noticed within two minutes instead of at once", "add an endpoint for /webhooks/stripe in Stripe and copy its signing secret")
	}
}

// platform reports whether a hosting platform says that the door runs there.
func (l *loader) platform() bool {
	if l.config.Railway {
		return true
	}
	for _, name := range []string{"FLY_APP_NAME", "RENDER", "K_SERVICE", "DYNO", "KUBERNETES_SERVICE_HOST"} {
		if s := l.settings[name]; s.value != "" && !s.fromFile {
			return true
		}
	}
	return false
}

// databaseFile is the database's name where DATABASE_URL does not give one.
const databaseFile = "stagedoor.db"

// checkDatabase decides where the database is.
//
// SPEC: docs.railway.com/reference/volumes; systemd.exec(5), StateDirectory=.
func (l *loader) checkDatabase() {
	c := l.config
	if l.bad["DATABASE_URL"] {
		return
	}
	if !c.DatabaseURL.Empty() {
		_, path, _ := strings.Cut(c.DatabaseURL.Reveal(), ":")
		c.DatabasePath = strings.TrimPrefix(path, "//")
		return
	}
	if l.mode == Dev {
		return
	}
	c.DatabasePath = databaseFile
	for _, name := range []string{"RAILWAY_VOLUME_MOUNT_PATH", "STATE_DIRECTORY"} {
		// systemd may name several directories; the first is the unit's own.
		if dir, _, _ := strings.Cut(l.settings[name].value, string(os.PathListSeparator)); dir != "" && !l.settings[name].fromFile {
			c.DatabasePath = filepath.Join(dir, databaseFile)
			return
		}
	}
	if c.Railway {
		l.warn("DATABASE_URL", "is on no volume: bans and links are lost at every deploy", "add a volume to the service in Railway; it is found by itself")
	}
}
