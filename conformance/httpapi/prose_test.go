package httpapi

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stagedoor"
	"stagedoor/docs"
)

// prose reads docs/api.md through a link in this module: go test looks for
// changes, before it answers from its cache, in the module's own files only.
func prose(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tables returns the rows, as their cells, of every table under the heading
// row given.
func tables(text, heading string) [][]string {
	var rows [][]string
	in := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == heading:
			in = true
		case !strings.HasPrefix(line, "|"):
			in = false
		case in && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

// said is the status that the door gives each code.
func said(t *testing.T) map[string]string {
	t.Helper()
	statuses := map[string]string{}
	for _, a := range record(t, calls()) {
		code := a.text("code")
		if code == "" {
			continue
		}
		status := strconv.Itoa(a.status)
		if known := statuses[code]; known != "" && known != status {
			t.Errorf("%s: %s is %s and %s", a, code, status, known)
		}
		statuses[code] = status
	}
	return statuses
}

// tableFaults lists where the table of codes differs from the door.
func tableFaults(text string, statuses map[string]string) []string {
	var faults, listed []string
	for _, row := range tables(text, "| status | code | when | ask again? |") {
		code := strings.Trim(row[1], "`")
		if slices.Contains(listed, code) {
			faults = append(faults, code+" is listed twice")
		}
		listed = append(listed, code)
		if statuses[code] != row[0] {
			faults = append(faults, code+" is listed with "+row[0]+", the door gives "+statuses[code])
		}
	}
	for _, kind := range stagedoor.Kinds() {
		if !slices.Contains(listed, kind.String()) {
			faults = append(faults, kind.String()+" is not listed")
		}
	}
	return faults
}

// mention is a status with its code, as both documents write it in a sentence.
var mention = regexp.MustCompile("([1-5][0-9]{2}),? `([a-z_]+)`")

// mentionFaults lists the sentences whose status is not the code's.
func mentionFaults(text string, statuses map[string]string) []string {
	var faults []string
	for _, found := range mention.FindAllStringSubmatch(text, -1) {
		if statuses[found[2]] != found[1] {
			faults = append(faults, found[0]+": the door gives "+statuses[found[2]])
		}
	}
	return faults
}

// TestCodesInProse: api.md lists exactly the door's codes with the statuses
// that it gives, and no sentence of either document says another.
func TestCodesInProse(t *testing.T) {
	text, statuses := prose(t), said(t)
	for _, fault := range slices.Concat(tableFaults(text, statuses), mentionFaults(text, statuses), mentionFaults(string(docs.OpenAPI), statuses)) {
		t.Error(fault)
	}
	if n := len(mention.FindAllString(text, -1)); n < 20 {
		t.Errorf("only %d sentences with a code", n)
	}
	for _, c := range []struct{ old, new string }{
		{"| 413 | `body_too_large`", "| 400 | `body_too_large`"},
		{"| 413 | `body_too_large`", "| 413 | `too_large`"},
		{"| 404 | `not_found` | nothing at this address, nobody of that identity in the room, or no such invitation or ban | no |\n", ""},
		{"| 404 | `not_found` | nothing at this address, nobody of that identity in the room, or no such invitation or ban | no |\n", "| 404 | `not_found` | | |\n| 404 | `not_found` | | |\n"},
		{"400 `unknown_field`", "422 `unknown_field`"},
		{"400 `unknown_field`", "400 `unknown_key`"},
	} {
		changed := strings.Replace(text, c.old, c.new, 1)
		if changed == text || len(tableFaults(changed, statuses))+len(mentionFaults(changed, statuses)) == 0 {
			t.Errorf("%q instead of %q is not seen", c.new, c.old)
		}
	}
}

// TestReasonsInProse: the table of reasons has those of the contract, in order.
func TestReasonsInProse(t *testing.T) {
	var listed []string
	for _, row := range tables(prose(t), "| `publishDenied` | |") {
		listed = append(listed, strings.Trim(row[0], "`"))
	}
	if want := enum(mustRead(t).doc, "PublishDenied"); !slices.Equal(listed, want) {
		t.Errorf("%q, the contract has %q", listed, want)
	}
}

// quoted is what stands between backticks.
var quoted = regexp.MustCompile("`([^`]+)`")

// TestBodiesInProse sends the bodies that api.md gives for examples.
func TestBodiesInProse(t *testing.T) {
	var table []call
	for _, row := range tables(prose(t), "| body | answer |") {
		c := call{method: "POST", path: joinPath, from: ann, world: production, want: strings.ReplaceAll(mention.FindString(row[1]), "`", "")}
		if strings.Contains(row[0], string(noNames)) {
			c.world = noNames
		}
		for _, body := range quoted.FindAllStringSubmatch(row[0], -1) {
			if c.body = body[1]; strings.ContainsAny(c.body[:1], `{["`) {
				table = append(table, c)
			}
		}
	}
	for _, a := range record(t, table) {
		if a.outcome() != a.want {
			t.Errorf("%s: %s, api.md says %q", a, a.outcome(), a.want)
		}
	}
	if len(table) != 16 {
		t.Errorf("%d bodies", len(table))
	}
}

// asked is a method with an address, as api.md writes it for the admin listener.
var asked = regexp.MustCompile("`(GET|POST|DELETE) (/api/[a-z{}/]+)(\\?[a-z]+=)?`")

// TestOperatorsInProse: the table of the operators' addresses has those of the
// contract, and the tables of fields have its fields.
func TestOperatorsInProse(t *testing.T) {
	text, doc := prose(t), mustRead(t).doc
	var listed, want []string
	for _, row := range tables(text, "| on the admin listener | 2xx | refusals of its own |") {
		if found := asked.FindStringSubmatch(row[0]); found != nil {
			listed = append(listed, found[1]+" /admin"+found[2])
		}
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if strings.HasPrefix(path, adminPath) {
				want = append(want, method+" "+path)
			}
		}
	}
	slices.Sort(listed)
	slices.Sort(want)
	if len(want) != len(operations) || !slices.Equal(listed, want) {
		t.Errorf("%q, the contract has %q", listed, want)
	}
	for heading, schemas := range map[string][]string{
		"| field of the request | | |":                   {"BanRequest", "ForgetRequest"},
		"| field | |\n|---|---|\n| `testMode` | whether": {"Billing", "StripeHealth"},
	} {
		var fields, members []string
		rows := text
		if head, rest, cut := strings.Cut(heading, "\n"); cut { // a heading that others have too
			_, after, ok := strings.Cut(text, heading)
			if !ok {
				t.Fatalf("no %q", heading)
			}
			rows, heading = head+"\n"+rest+after, head
		}
		for _, row := range tables(rows, heading) {
			cells := row[:1]
			if slices.Contains(schemas, "StripeHealth") && row[0] == "`stripe`" {
				cells = row[:2]
			}
			for _, word := range quoted.FindAllStringSubmatch(strings.Join(cells, " "), -1) {
				fields = append(fields, word[1])
			}
		}
		for _, schema := range schemas {
			for member := range doc.Components.Schemas[schema].Value.Properties {
				members = append(members, member)
			}
		}
		slices.Sort(fields)
		slices.Sort(members)
		if !slices.Equal(fields, members) {
			t.Errorf("%s: %q, the contract has %q", schemas, fields, members)
		}
	}
}

// command is a line of api.md's that asks the operators' API.
var command = regexp.MustCompile(`curl -sSN?( -X [A-Z]+)? '?http://127\.0\.0\.1:9464(/api/[^'\s]+)'?((?:.*\\\n)*.*)`)

// TestCommandsInProse sends what these lines would.
func TestCommandsInProse(t *testing.T) {
	var table []call
	for _, found := range command.FindAllStringSubmatch(prose(t), -1) {
		c := call{method: strings.TrimPrefix(found[1], " -X "), path: "/admin" + found[2], from: operator}
		if _, body, ok := strings.Cut(found[3], "-d '"); ok {
			c.body, _, _ = strings.Cut(body, "'")
		}
		c.path = strings.Replace(c.path, "ban_2WQ7K3M5X4PZ6TRA", "ban_1", 1)
		table = append(table, c)
	}
	for _, a := range record(t, table, "") {
		if a.status >= 300 {
			t.Errorf("%s: %s", a, a.outcome())
		}
	}
	with := len(slices.DeleteFunc(slices.Clone(table), func(c call) bool { return c.body == "" }))
	if len(table) != 9 || with != 2 {
		t.Errorf("%d commands, %d with a body", len(table), with)
	}
}
