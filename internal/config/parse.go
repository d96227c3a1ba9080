package config

import (
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stagedoor"
)

// parse sets into, a field described by f, to raw, which is not empty. The
// Problem it returns has no name and never holds raw.
func parse(f reflect.StructField, raw string, into reflect.Value) *Problem {
	if p := checkRaw(raw); p != nil {
		return p
	}
	switch field := into.Addr().Interface().(type) {
	case *stagedoor.Secret:
		if p := checkSecretForm(f.Tag.Get("as"), raw); p != nil {
			return p
		}
		*field = stagedoor.NewSecret(raw)
		return nil
	case *[]stagedoor.Secret:
		return parseList(raw, field, func(entry string) (stagedoor.Secret, *Problem) {
			return stagedoor.NewSecret(entry), checkSecretForm(f.Tag.Get("as"), entry)
		})
	case *string:
		if p := checkText(f.Tag, raw); p != nil {
			return p
		}
		*field = raw
		return nil
	case *[]string:
		return parseList(raw, field, func(entry string) (string, *Problem) {
			if f.Tag.Get("as") == "origin" {
				return parseOrigin(entry)
			}
			return entry, checkText(f.Tag, entry)
		})
	case *[]netip.Prefix:
		return parseProxies(raw, field)
	case **url.URL:
		u, p := parseURL(raw, strings.Split(f.Tag.Get("schemes"), ","), f.Tag.Get("query") == "ok")
		*field = u
		return p
	case *bool:
		return parseBool(raw, field)
	case *int:
		return parseInt(f.Tag, raw, field)
	case *time.Duration:
		return parseDuration(f.Tag, raw, field)
	case *Rate:
		return parseRate(raw, field)
	case *Bytes:
		return parseBytes(raw, field)
	case *slog.Level:
		return parseLevel(raw, field)
	}
	panic("config: no parser for " + f.Type.String())
}

// checkRaw refuses what a careless paste leaves behind, in every value alike:
// a secret with a line break at its end is another secret.
func checkRaw(raw string) *Problem {
	if !utf8.ValidString(raw) {
		return &Problem{What: "is not UTF-8 text"}
	}
	if strings.TrimSpace(raw) != raw {
		return &Problem{What: "begins or ends with white space", Remedy: "remove it"}
	}
	if strings.ContainsFunc(raw, unicode.IsControl) {
		return &Problem{What: "contains a line break or another control character", Remedy: "remove it"}
	}
	return nil
}

// parseList reads comma-separated entries. An empty entry is refused: as an
// audience, for one, it would match tokens that name none.
func parseList[T comparable](raw string, into *[]T, parse func(string) (T, *Problem)) *Problem {
	var list []T
	for i, entry := range strings.Split(raw, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			return &Problem{What: "has an empty entry", Remedy: "remove the extra comma, or the variable"}
		}
		value, p := parse(entry)
		if p != nil {
			p.What = "entry " + strconv.Itoa(i+1) + " " + p.What
			return p
		}
		if !slices.Contains(list, value) {
			list = append(list, value)
		}
	}
	*into = list
	return nil
}

// checkText checks a text by its tags.
func checkText(tag reflect.StructTag, raw string) *Problem {
	if words := tag.Get("oneof"); words != "" && !slices.Contains(strings.Split(words, ","), raw) {
		return &Problem{What: "must be " + orList(strings.Split(words, ","), "")}
	}
	switch tag.Get("as") {
	case "listen":
		if !validListen(raw) {
			return &Problem{What: "is not host:port", Remedy: "write 127.0.0.1:3000, [::1]:3000 or :3000"}
		}
	case "header":
		if strings.ContainsFunc(raw, func(r rune) bool { return r > '~' || !letterOrDigit(byte(r)) && r != '-' }) {
			return &Problem{What: "is not the name of a header"}
		}
		return checkClientHeader(raw)
	case "cookie":
		// SPEC: RFC 6265 §4.1.1: a cookie's name is a token (RFC 9110 §5.6.2).
		if strings.ContainsFunc(raw, func(r rune) bool {
			return r > '~' || !letterOrDigit(byte(r)) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
		}) {
			return &Problem{What: "is not the name of a cookie", Remedy: "write the name alone, such as __Host-session"}
		}
	case "domain":
		if _, err := netip.ParseAddr(raw); err == nil || raw != strings.ToLower(raw) || !validHostName(raw) || !strings.Contains(raw, ".") || strings.HasSuffix(raw, ".") || strings.Contains(raw, "_") {
			return &Problem{What: "is not a full host name in lower case", Remedy: "write door.example.com"}
		}
	case "prefix":
		if strings.Trim(raw, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(raw) > 64 {
			return &Problem{What: "must be at most 64 lower-case letters, digits and hyphens"}
		}
		switch raw {
		case "guest":
			return &Problem{What: "is reserved for participants who come by invitation", Remedy: "choose another prefix"}
		case "b64":
			return &Problem{What: "is reserved for encoded subjects in Stripe's client_reference_id", Remedy: "choose another prefix"}
		}
	case "claim":
		if strings.ContainsFunc(raw, unicode.IsSpace) {
			return &Problem{What: "must not contain white space", Remedy: "name one claim"}
		}
	case "feature":
		if strings.ContainsFunc(raw, unicode.IsSpace) || strings.Contains(raw, ",") {
			return &Problem{What: "must be one feature, without white space and commas"}
		}
	case "issuer": // kept byte for byte: it is compared with the iss claim
		_, p := parseURL(raw, []string{"http", "https"}, false)
		return p
	}
	return nil
}

// leastWebhookSecret is the fewest bytes behind whsec_; Stripe's have 32 or more.
const leastWebhookSecret = 16

// checkSecretForm checks the shape of a secret that somebody else makes.
func checkSecretForm(form, raw string) *Problem {
	switch form {
	case "stripe-key":
		if strings.HasPrefix(raw, "pk_") {
			return &Problem{What: "is a publishable key", Remedy: "use the secret key (sk_…) or a restricted one (rk_…)"}
		}
		if isPlaceholder(raw) {
			return &Problem{What: "is a placeholder, not a key", Remedy: "copy the key from Stripe"}
		}
		if !strings.HasPrefix(raw, "sk_") && !strings.HasPrefix(raw, "rk_") || strings.ContainsFunc(raw, func(r rune) bool { return r > '~' || !letterOrDigit(byte(r)) && r != '_' }) {
			return &Problem{What: "is not a Stripe key", Remedy: "use the secret key (sk_…) or a restricted one (rk_…)"}
		}
	case "stripe-webhook":
		rest, ok := strings.CutPrefix(raw, "whsec_")
		remedy := "copy the endpoint's signing secret (whsec_…) from Stripe"
		switch {
		case !ok:
			return &Problem{What: "is not a signing secret", Remedy: remedy}
		case isPlaceholder(raw) || strings.Contains(rest, "…"):
			return &Problem{What: "is a placeholder, not a secret", Remedy: remedy}
		case len(rest) < leastWebhookSecret:
			// Who can sign an event can say whose customer somebody is.
			return &Problem{What: "is shorter than any that Stripe makes: it can be found by trying", Remedy: remedy}
		}
	case "database":
		return checkDatabaseForm(raw)
	}
	return nil
}

// notSupported is the Problem of a variable that this version cannot honour.
func notSupported(what string) *Problem {
	return &Problem{What: strings.TrimSpace(what + " is not supported in this version"), Remedy: "unset it"}
}

func parseBool(raw string, into *bool) *Problem {
	switch strings.ToLower(raw) {
	case "true", "1", "on", "yes":
		*into = true
	case "false", "0", "off", "no":
		*into = false
	default:
		return &Problem{What: "is neither yes nor no", Remedy: "write true or false"}
	}
	return nil
}

func parseInt(tag reflect.StructTag, raw string, into *int) *Problem {
	least, _ := strconv.Atoi(tag.Get("min"))
	most, _ := strconv.Atoi(tag.Get("max"))
	n, err := strconv.Atoi(raw)
	if err != nil || n < least || n > most || strings.Trim(raw, "0123456789") != "" {
		return &Problem{What: "must be a number from " + tag.Get("min") + " to " + tag.Get("max")}
	}
	*into = n
	return nil
}

func parseDuration(tag reflect.StructTag, raw string, into *time.Duration) *Problem {
	least, most, step := tag.Get("min"), tag.Get("max"), tag.Get("step")
	if raw != "0" && strings.Trim(raw, "0123456789") == "" {
		return &Problem{What: "has no unit", Remedy: "write 3600s or 1h"}
	}
	d, err := time.ParseDuration(raw)
	if err != nil {
		return &Problem{What: "is not a duration", Remedy: "write 90s, 15m or 1h; a day is 24h"}
	}
	// A bound that is not given parses as 0 with an error, which is no bound.
	if bound, err := time.ParseDuration(least); err == nil && d < bound {
		return &Problem{What: "must be at least " + least}
	}
	if bound, err := time.ParseDuration(most); err == nil && d > bound {
		return &Problem{What: "must be at most " + most}
	}
	if unit, err := time.ParseDuration(step); err == nil && d%unit != 0 {
		return &Problem{What: "must be a multiple of " + step}
	}
	*into = d
	return nil
}

// maxRate bounds a Rate's count, so that no arithmetic with it overflows.
const maxRate = 1_000_000_000

func parseRate(raw string, into *Rate) *Problem {
	wrong := &Problem{What: "is not a rate", Remedy: "write a whole number per second, minute or hour: 60/m"}
	count, unit, ok := strings.Cut(raw, "/")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 1 || n > maxRate || strings.Trim(count, "0123456789") != "" {
		return wrong
	}
	switch unit {
	case "s":
		*into = Rate{n, time.Second}
	case "m":
		*into = Rate{n, time.Minute}
	case "h":
		*into = Rate{n, time.Hour}
	default:
		return wrong
	}
	return nil
}

// leastFile is the least size after which another file is begun: below it a
// busy door would do little else.
const leastFile = 1 << 20

func parseBytes(raw string, into *Bytes) *Problem {
	digits := strings.TrimRight(raw, "KMGTB")
	unit, known := map[string]int64{"": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[raw[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || !known || strings.Trim(digits, "0123456789") != "" {
		return &Problem{What: "is not a size", Remedy: "write 100MB or 1GB"}
	}
	if n > math.MaxInt64/unit {
		return &Problem{What: "is larger than any file can be", Remedy: "write 100MB or 1GB"}
	}
	if *into = Bytes(n * unit); *into != 0 && *into < leastFile {
		return &Problem{What: "is so small that files would be begun all the time", Remedy: "write 2MB or more, or 0 for one file without end"}
	}
	return nil
}

// parseLevel takes four words; slog's own parser also takes "INFO+2".
func parseLevel(raw string, into *slog.Level) *Problem {
	switch raw {
	case "debug":
		*into = slog.LevelDebug
	case "info":
		*into = slog.LevelInfo
	case "warn":
		*into = slog.LevelWarn
	case "error":
		*into = slog.LevelError
	default:
		return &Problem{What: "must be debug, info, warn or error"}
	}
	return nil
}
