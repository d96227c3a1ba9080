package config

import (
	"crypto/subtle"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"stagedoor"
)

// NamedSecret is a configured secret and the variable it came from.
type NamedSecret struct {
	// Name is the variable, never with _FILE.
	Name string
	// Value is not empty.
	Value stagedoor.Secret
}

// Secrets returns every configured secret in the order of the fields; an
// entry of a list each under the list's name.
func (c *Config) Secrets() []NamedSecret {
	var all []NamedSecret
	for _, f := range fields() {
		var values []stagedoor.Secret
		switch v := reflect.ValueOf(c).Elem().FieldByIndex(f.Index).Interface().(type) {
		case stagedoor.Secret:
			values = []stagedoor.Secret{v}
		case []stagedoor.Secret:
			values = v
		}
		for _, v := range values {
			if !v.Empty() {
				all = append(all, NamedSecret{f.Tag.Get("env"), v})
			}
		}
	}
	return all
}

// IsSecret reports whether a variable holds a secret or several.
func IsSecret(name string) bool {
	return slices.ContainsFunc(fields(), func(f reflect.StructField) bool { return isSecret(f) && f.Tag.Get("env") == name })
}

// newSecret is the remedy for every secret that is ours to make.
const newSecret = "use the output of: openssl rand -base64 48"

// checkStrength judges the secrets that people make up.
func (l *loader) checkStrength() {
	for _, f := range fields() {
		name := f.Tag.Get("env")
		least, err := strconv.Atoi(f.Tag.Get("strength"))
		if err != nil || l.bad[name] {
			continue
		}
		secret := reflect.ValueOf(l.config).Elem().FieldByIndex(f.Index).Interface().(stagedoor.Secret)
		if secret.Empty() {
			continue
		}
		weak := weaknessOf(secret.Reveal(), least)
		what := explain(weak, least)
		livekits := strings.HasPrefix(name, "LIVEKIT_")
		remedy := newSecret
		if livekits {
			remedy = "copy the API secret from LiveKit Cloud, Settings, Keys; or give your own server a new key: openssl rand -base64 48"
		}
		switch {
		case weak == strong:
		case l.mode == Serve || l.mode == Dev && !livekits:
			l.weak(name, what, remedy)
		case l.mode == Dev && weak == short:
			// livekit-server --dev has the secret "secret"
		case livekits:
			l.warn(name, what, remedy)
		}
	}
}

// weak is problem for a secret that must not be used.
func (l *loader) weak(name, what, remedy string) {
	l.report.Problems = append(l.report.Problems, Problem{Name: name, What: what, Remedy: remedy, Weak: true})
}

// explain says what a weakness means, without a word of the secret.
func explain(w weakness, least int) string {
	switch w {
	case placeholder:
		return "is a placeholder, not a secret"
	case public:
		return "is a public key: everybody has it, and could sign with it; an issuer with published keys is named by OIDC_ISSUER"
	case short:
		return "is shorter than " + strconv.Itoa(least) + " bytes: it can be found by trying"
	case published:
		return "is published in documentation or a tutorial: everybody has it"
	case repetitive:
		return "is a pattern, not a random text: it can be found by trying"
	}
	return ""
}

// checkEqual refuses two names for one secret, and a secret that is public as
// the name of a key. Whoever holds one right would hold the other.
func (l *loader) checkEqual() {
	secrets := l.config.Secrets()
	for i, later := range secrets {
		for _, earlier := range secrets[:i] {
			if same(earlier.Value.Reveal(), later.Value.Reveal()) {
				l.weak(later.Name, "equals "+earlier.Name+": "+equalMeans(earlier.Name, later.Name), newSecret)
			}
		}
		for _, key := range []NamedSecret{
			{"LIVEKIT_API_KEY", stagedoor.NewSecret(l.config.LiveKitAPIKey)},
			{"LIVEKIT_API_KEY_PREVIOUS", stagedoor.NewSecret(l.config.LiveKitAPIKeyPrevious)},
		} {
			if same(later.Value.Reveal(), key.Value.Reveal()) {
				l.weak(later.Name, "equals "+key.Name+", which is public: every LiveKit token carries it", newSecret)
			}
		}
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// equalMeans says what follows from two equal secrets.
func equalMeans(a, b string) string {
	callers := strings.HasPrefix(a, "JWT_") || strings.HasPrefix(b, "JWT_")
	livekits := strings.HasPrefix(a, "LIVEKIT_") || strings.HasPrefix(b, "LIVEKIT_")
	switch {
	case callers && livekits:
		return "every LiveKit token that the door signs would authenticate its holder as a caller"
	case strings.TrimSuffix(b, "_PREVIOUS") == a:
		return "nothing was rotated"
	}
	return "each secret must open one thing only"
}
