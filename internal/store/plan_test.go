package store

import (
	"strings"
	"testing"
)

// What is asked at every join, arrival and ban must not read what others left
// behind: a week of sessions, or everybody's guests.
func TestFrequentQuestionsAreAnsweredByAnIndex(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct{ query, want string }{
		"seats taken":  {selectTaken, "presence_taken"},
		"second place": {selectAlone, "presence_taken"},
		"own places":   {selectOwnPlaces, "mints_room"},
		"guests":       {selectGuestsOf, "SEARCH m EXISTS USING COVERING INDEX mints_room (issuer=? AND subject=?)"},
	} {
		var plan []string
		err := f.reads.each(t.Context(), "EXPLAIN QUERY PLAN "+c.query, []any{"r", "x", 1, "i", "s"}[:strings.Count(c.query, "$")-repeated(c.query)], func(scan scan) error {
			var id, parent, unused int
			var detail string
			err := scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		})
		f.must(err)
		text := strings.Join(plan, "\n")
		if !strings.Contains(text, c.want) || strings.Contains(text, "SCAN presence") || strings.Contains(text, "SCAN m") || strings.Contains(text, "SCAN p") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// repeated is how many of a query's parameters are named again.
func repeated(query string) int {
	distinct := 0
	for _, name := range []string{"$1", "$2", "$3", "$4", "$5"} {
		if strings.Contains(query, name) {
			distinct++
		}
	}
	return strings.Count(query, "$") - distinct
}
