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
		"guests":       {selectGuestsOf, "SEARCH m EXISTS USING COVERING INDEX mints_"},
		"in call":      {selectInCall, "SEARCH p USING COVERING INDEX presence_taken"},
		"due":          {selectDue, "SCAN dirty USING INDEX dirty_priority"},

		"mints kept":           {selectMintCount, "USING COVERING INDEX mints_"},
		"first expiry":         {selectFirstExpiry, "USING COVERING INDEX mints_expires"},
		"ended mints":          {selectEndedMints, "USING INDEX mints_expires (issuer=? AND subject=? AND expires_at<?)"},
		"old visits":           {deleteOldVisits, "presence USING INDEX presence_identity (room=? AND identity=?)"},
		"invitations kept":     {selectMade, "USING COVERING INDEX invitations_kept (issuer=? AND subject=?)"},
		"ended invitations":    {selectEndedInvitations, "invitations_kept (issuer=? AND subject=? AND expires_at<?)"},
		"moderator's removals": {selectRemovals, "USING COVERING INDEX bans_reason (reason=?)"},
	} {
		var plan []string
		err := f.reads.each(t.Context(), "EXPLAIN QUERY PLAN "+c.query, []any{"r", "x", 1, "i", "s", 1, 1, 1}[:strings.Count(c.query, "$")-repeated(c.query)], func(scan scan) error {
			var id, parent, unused int
			var detail string
			err := scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		})
		f.must(err)
		text := strings.Join(plan, "\n")
		if !strings.Contains(text, c.want) || strings.Contains(text, "SCAN presence") || strings.Contains(text, "SCAN m") || strings.Contains(text, "SCAN p") || strings.Contains(text, "SCAN i") || strings.Contains(text, "SCAN g") || strings.Contains(text, "SCAN b") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// repeated is how many of a query's parameters are named again.
func repeated(query string) int {
	distinct := 0
	for _, name := range []string{"$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8"} {
		if strings.Contains(query, name) {
			distinct++
		}
	}
	return strings.Count(query, "$") - distinct
}
