package livekit

import (
	"slices"
	"strings"
	"testing"

	"stagedoor"
)

// place is one room and one identity in it.
type place struct {
	label    string
	room     stagedoor.Room
	identity stagedoor.Identity
}

// places are the rooms and identities every set of grants is tried in. Each
// passes the door's own text rules: what cannot be asked for need not be signed.
func places() []place {
	return []place{
		{"plain", "test-room", "user-1"},
		{"shortest", "r", "i"},
		{"longest", stagedoor.Room(strings.Repeat("é", 128)), stagedoor.Identity(strings.Repeat("會", 85) + "x")},
		{"scripts", "會議室 – مجلس 🎭", "acme:зрител-Ω"},
		{"joiners", "نشست می‌خواهم", "family 👩‍👩‍👧"},
		// Text that would become grants if a token were pasted together.
		{"json", `","roomAdmin":true,"x":"`, `"},"video":{"roomAdmin":true}}`},
		{"markup", `<b>&amp;\u0041\"</b>`, "https://issuer.example/|auth0|5f7c/ a+b%20c"},
	}
}

// names are the display names every set of grants is tried with.
func names() []string {
	return []string{
		"",
		"Alice",
		"Zoë Ångström",
		"李小龍",
		"علی‌رضا",
		"👩‍👩‍👧‍👦 family",
		`<script>"&\u0000</script>`,
		strings.Repeat("名", 85) + "!",
	}
}

// sourceLists returns nil (every source), the empty list, each of the fifteen
// other subsets, and each subset of two or more backwards, since the order is
// the operator's.
func sourceLists() [][]stagedoor.Source {
	all := stagedoor.AllSources()
	lists := [][]stagedoor.Source{nil}
	for mask := range 1 << len(all) {
		subset := []stagedoor.Source{}
		for i, source := range all {
			if mask>>i&1 == 1 {
				subset = append(subset, source)
			}
		}
		lists = append(lists, subset)
		if len(subset) > 1 {
			backwards := slices.Clone(subset)
			slices.Reverse(backwards)
			lists = append(lists, backwards)
		}
	}
	return lists
}

// everyGrants returns every combination of the four permissions and a list of sources.
func everyGrants() []stagedoor.Grants {
	var all []stagedoor.Grants
	for mask := range 1 << 4 {
		for _, sources := range sourceLists() {
			all = append(all, stagedoor.Grants{
				Subscribe: mask&1 != 0, Publish: mask&2 != 0,
				PublishData: mask&4 != 0, UpdateOwnMetadata: mask&8 != 0,
				Sources: sources,
			})
		}
	}
	return all
}

// unsignable reports the one inconsistency that grants can have: LiveKit reads
// an empty list of sources as all of them.
func unsignable(g stagedoor.Grants) bool {
	return g.Publish && g.Sources != nil && len(g.Sources) == 0
}

// TestCorpusIsWhatTheDoorAdmits keeps the corpus honest: it counts the
// combinations, so that a loop that runs over nothing fails, and holds every
// text to the door's own rules.
func TestCorpusIsWhatTheDoorAdmits(t *testing.T) {
	const lists = 1 + 16 + 11 // nil, every subset, every subset of two or more backwards
	if got := len(sourceLists()); got != lists {
		t.Errorf("%d lists of sources, want %d", got, lists)
	}
	if got := len(everyGrants()); got != 16*lists {
		t.Errorf("%d combinations of grants, want %d", got, 16*lists)
	}
	refused := 0
	for _, g := range everyGrants() {
		if unsignable(g) {
			refused++
		}
	}
	if refused != 8 {
		t.Errorf("%d combinations are inconsistent, want 8", refused)
	}
	for _, p := range places() {
		if err := stagedoor.CheckText(string(p.room)); err != nil {
			t.Errorf("%s: the room %v", p.label, err)
		}
		if err := stagedoor.CheckText(string(p.identity)); err != nil {
			t.Errorf("%s: the identity %v", p.label, err)
		}
	}
	for _, name := range names() {
		if err := stagedoor.CheckText(name); err != nil && name != "" {
			t.Errorf("name %q %v", name, err)
		}
	}
}
