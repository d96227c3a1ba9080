package httpapi

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFieldsInProse: api.md's tables of what callers send and get have the
// contract's fields.
func TestFieldsInProse(t *testing.T) {
	text, doc := prose(t), mustRead(t).doc
	for heading, schema := range map[string]string{
		"| field | | |":                  "JoinRequest",
		"| field | |":                    "JoinResponse",
		"| field of a motion | | |":      "ModerateRequest",
		"| field of an invitation | | |": "InviteRequest",
	} {
		var listed, members []string
		_, after, ok := strings.Cut(text, heading+"\n")
		if !ok {
			t.Fatalf("no %q", heading)
		}
		after, _, _ = strings.Cut(after, "\n\n") // others may have the same heading
		for _, row := range tables(heading+"\n"+after, heading) {
			for _, word := range quoted.FindAllStringSubmatch(row[0], -1) {
				if !strings.Contains(word[1], ".") { // a member's member
					listed = append(listed, word[1])
				}
			}
		}
		for member := range doc.Components.Schemas[schema].Value.Properties {
			members = append(members, member)
		}
		slices.Sort(listed)
		slices.Sort(members)
		if !slices.Equal(listed, members) {
			t.Errorf("%s: %q, the contract has %q", heading, listed, members)
		}
	}
}

// asking is a line of api.md's that a caller or a guest would send.
var asking = regexp.MustCompile(`curl -sS( -X [A-Z]+)? https://door\.example\.com(/api/[^\s]+)((?:.*\\\n)*.*)`)

// TestCallersCommandsInProse sends what these lines would, in a house where
// the people and invitations they name are others.
func TestCallersCommandsInProse(t *testing.T) {
	others := strings.NewReplacer("user-2", "bob", "inv_2WQ7K3M5X4PZ6TRA", "inv_dropped", "4f0PyqZx0S3gq8cWb1nT2A", tab)
	var table []call
	for _, found := range asking.FindAllStringSubmatch(prose(t), -1) {
		c := call{method: strings.TrimPrefix(found[1], " -X "), path: others.Replace(found[2]), from: ann, world: hosted}
		if strings.Contains(found[3], "Bearer invite_") {
			c.from = guest
		}
		if _, body, ok := strings.Cut(found[3], "-d '"); ok {
			body, _, _ = strings.Cut(body, "'")
			c.body = others.Replace(body)
		}
		table = append(table, c)
	}
	for _, a := range record(t, table, "") {
		if a.status >= 300 {
			t.Errorf("%s: %s", a, a.outcome())
		}
	}
	if len(table) != 7 {
		t.Errorf("%d commands", len(table))
	}
}
