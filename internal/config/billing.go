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
			what := "is not set: nobody is entitled by payment, so nobody may publish"
			if l.given["POLICY_FILE"] {
				what = "is not set: nobody is entitled by payment, and a rule that asks for a feature holds for nobody"
			}
			l.warn("STRIPE_SECRET_KEY", what, "set it to a restricted key (rk_…) that may read customers, subscriptions, products, prices, Checkout sessions, events and entitlements")
		}
		return
	case c.RequireLiveBilling && test:
		l.problem("STRIPE_SECRET_KEY", "is a test key, and REQUIRE_LIVE_BILLING is set: test subscriptions would open publishing", "use the live key (rk_live_… or sk_live_…)")
	case test && l.mode == Serve && l.platform():
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
	volume, state := l.directory("RAILWAY_VOLUME_MOUNT_PATH"), l.directory("STATE_DIRECTORY")
	switch {
	case !c.DatabaseURL.Empty():
		c.DatabasePath = sqlitePath(c.DatabaseURL.Reveal())
	case l.mode == Dev:
	case volume != "":
		c.DatabasePath = filepath.Join(volume, databaseFile)
	case state != "":
		c.DatabasePath = filepath.Join(state, databaseFile)
	default:
		c.DatabasePath = databaseFile
	}
	if c.Railway && !within(volume, c.DatabasePath) {
		remedy := "add a volume to the service in Railway; it is found by itself, unless DATABASE_URL names another place"
		if volume != "" {
			remedy = "unset it, or name a file on the volume"
		}
		l.warn("DATABASE_URL", "is on no volume: bans and links are lost at every deploy", remedy)
	}
}

// directory returns the directory that a platform names; empty where it names
// none. Of several, which systemd may name, the first is the unit's own.
func (l *loader) directory(name string) string {
	if l.settings[name].fromFile {
		return ""
	}
	dir, _, _ := strings.Cut(l.settings[name].value, string(os.PathListSeparator))
	return dir
}

// within reports whether the file is in the directory, as far as names tell;
// no file is in one without a name.
func within(dir, file string) bool {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return false
	}
	relative, err := filepath.Rel(dir, absolute)
	return err == nil && filepath.IsLocal(relative)
}

// sqlitePath returns the file that an address names: sqlite:PATH, or
// sqlite://PATH as other programs write it, so that three slashes begin an
// absolute path in both.
func sqlitePath(address string) string {
	_, path, _ := strings.Cut(address, ":")
	return strings.TrimPrefix(path, "//")
}

// checkDatabaseForm refuses what SQLite's own addresses or other programs'
// may mean and a file's name cannot: as one, each would be a file or directory
// of that odd name, and what is kept in it would be looked for elsewhere.
func checkDatabaseForm(raw string) *Problem {
	scheme, rest, ok := strings.Cut(raw, ":")
	path := sqlitePath(raw)
	switch {
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return notSupported("Postgres")
	case !ok || scheme != "sqlite" || strings.Trim(rest, "/") == "":
		return &Problem{What: "is not a database address", Remedy: "write sqlite:PATH"}
	case strings.HasPrefix(path, ":"):
		return &Problem{What: "names no file: bans and links have to outlive the process", Remedy: "write sqlite:PATH"}
	case strings.Contains(path, "?"):
		return &Problem{What: "must not have parameters (?)", Remedy: "write sqlite:PATH"}
	case strings.HasSuffix(path, "/") || filepath.Base(path) == "." || filepath.Base(path) == "..":
		return &Problem{What: "names a directory", Remedy: "name a file in it"}
	}
	return nil
}
