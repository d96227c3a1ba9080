package config

import (
	"maps"
	"slices"
	"strings"
)

// ownPrefix marks names that can be meant for nobody else.
const ownPrefix = "STAGEDOOR_"

// othersNames are near ours and belong to others: Go's TLS reads these two.
var othersNames = []string{"SSL_CERT_FILE", "SSL_CERT_DIR"}

// names returns the variables of Config in order.
func (l *loader) names() []string {
	var names []string
	for _, f := range fields() {
		names = append(names, f.Tag.Get("env"))
	}
	return names
}

// known returns every name that is read, NAME_FILE included.
func known() []string {
	var names []string
	for _, f := range fields() {
		names = append(names, f.Tag.Get("env"))
		if isSecret(f) {
			names = append(names, f.Tag.Get("env")+fileSuffix)
		}
	}
	return names
}

// checkNames refuses names that are surely meant for Stagedoor and warns of
// those that probably are: a misspelt OIDC_AUDIENCE must not pass in silence.
func (l *loader) checkNames() {
	names := known()
	for _, name := range slices.Sorted(maps.Keys(l.settings)) {
		if slices.Contains(names, name) || slices.Contains(othersNames, name) || l.settings[name].value == "" {
			continue
		}
		upper := strings.ToUpper(name)
		if bare, ok := strings.CutPrefix(upper, ownPrefix); ok {
			remedy := "unset it; docs/configuration.md lists every name"
			if slices.Contains(names, bare) {
				remedy = "its name is " + bare + ", without " + ownPrefix
			}
			l.problem(name, "is not known", remedy)
			continue
		}
		if bare, ok := strings.CutSuffix(upper, fileSuffix); ok && slices.Contains(names, bare) {
			l.warn(name, "is not read: "+bare+" is not a secret and comes from no file", "set "+bare+" itself")
			continue
		}
		if meant := nearest(upper, names); meant != "" {
			l.warn(name, "is not known: did you mean "+meant+"?", "")
		}
	}
}

// nearest returns the known name that name is a misspelling of, or "". Short
// names of other programs are often near each other (HOST, PORT), so names
// with fewer than five letters are left alone and those up to ten characters
// may differ by one letter only.
func nearest(name string, names []string) string {
	best, least := "", 3
	for _, candidate := range names {
		allowed := 2
		if len(candidate) <= 10 {
			allowed = 1
		}
		if letters(candidate) < 5 || letters(name) < 5 || len(name)-len(candidate) > 2 || len(candidate)-len(name) > 2 {
			continue
		}
		if d := distance(name, candidate); d <= allowed && d < least {
			best, least = candidate, d
		}
	}
	return best
}

func letters(s string) int { return len(s) - strings.Count(s, "_") }

// distance is the number of letters inserted, left out, changed or swapped
// with their neighbour between a and b: Damerau and Levenshtein's, restricted
// to one edit per place.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := 1
			if a[i-1] == b[j-1] {
				changed = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
