package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stagedoor/docs"
)

// faultsOf lists every way in which the document and the answers differ.
func faultsOf(document []byte, answers []answer) []string {
	c, err := read(document)
	if err != nil {
		return []string{"the document: " + err.Error()}
	}
	var faults []string
	for _, a := range answers {
		faults = append(faults, c.judge(a)...)
	}
	faults = append(faults, c.unused()...)
	return append(faults, c.untrueExamples(answers)...)
}

// untrueExamples lists the examples of refusals whose words no answer had.
func (c contract) untrueExamples(answers []answer) []string {
	said := map[string]bool{}
	for _, a := range answers {
		said[a.text("code")+a.text("error")] = true
	}
	var faults []string
	check := func(at string, value any) {
		example, _ := value.(map[string]any)
		code, _ := example["code"].(string)
		text, _ := example["error"].(string)
		if !said[code+text] {
			faults = append(faults, at+": no answer says "+text)
		}
	}
	for name, response := range c.doc.Components.Responses {
		for _, media := range response.Value.Content {
			if media.Example != nil {
				check(name, media.Example)
			}
			for _, example := range media.Examples {
				check(name, example.Value.Value)
			}
		}
	}
	return faults
}

// TestContract holds document and answers to each other.
func TestContract(t *testing.T) {
	table := calls()
	answers := record(t, table)
	for _, a := range answers {
		if a.outcome() != a.foreseen() {
			t.Errorf("%s from %q: %s, want %s: %s", a, a.origin, a.outcome(), a.foreseen(), a.text("error"))
		}
	}
	for _, fault := range faultsOf(docs.OpenAPI, answers) {
		t.Error(fault)
	}
	if len(table) != wantCalls {
		t.Errorf("%d calls, want %d", len(table), wantCalls)
	}
	t.Logf("%d calls, %d answers", len(table), len(answers))
}

// wantCalls pins how many there are, so that none is lost unseen.
const wantCalls = 558

// TestEveryAnswer checks what the introduction of the document and the tables
// of headers in api.md say of all answers.
func TestEveryAnswer(t *testing.T) {
	for _, a := range record(t, calls()) {
		file, probe := slices.Contains(files, a.path) && a.status == http.StatusOK, slices.Contains(probes, a.path) && (a.method == http.MethodGet || a.method == http.MethodHead)
		want := map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "",
			"Strict-Transport-Security": "", "Retry-After": "", "WWW-Authenticate": "",
		}
		if a.origin == allowedOrigin || a.origin == ownOrigin {
			want["Access-Control-Allow-Origin"] = a.origin
		}
		if file {
			want["Cache-Control"], want["Access-Control-Allow-Origin"] = "public, max-age=300", "*"
		}
		if !a.plain && !probe && a.world != development {
			want["Strict-Transport-Security"] = "max-age=31536000"
		}
		for name, only := range map[string][]int{"Retry-After": {http.StatusServiceUnavailable, http.StatusTooManyRequests}, "WWW-Authenticate": {http.StatusUnauthorized}} {
			if slices.Contains(only, a.status) {
				delete(want, name) // the document says what it is then
			}
		}
		if a.body != nil {
			want["Content-Type"] = "application/json; charset=utf-8"
		}
		for name, value := range want {
			if got := strings.Join(a.header.Values(name), "|"); got != value {
				t.Errorf("%s: %d from %q: %s %q, want %q", a, a.status, a.origin, name, got, value)
			}
		}
		if id := a.header.Get("X-Request-Id"); a.body["code"] != nil && a.text("requestId") != id {
			t.Errorf("%s: request ids %q and %q", a, a.text("requestId"), id)
		}
		if !slices.Contains(a.header.Values("Vary"), "Origin") {
			t.Errorf("%s: Vary %q", a, a.header.Values("Vary"))
		}
		if path, wanted := a.header.Get("Location"), "https://"+publicHost+a.path; a.status == http.StatusPermanentRedirect && path != wanted {
			t.Errorf("%s: sent on to %q", a, path)
		}
	}
}

// TestHeadIsGetWithoutBody compares the two on every address that takes GET.
func TestHeadIsGetWithoutBody(t *testing.T) {
	compared := 0
	gets := map[string]answer{}
	for _, a := range record(t, openCalls()) {
		key := strings.Join([]string{a.path, string(a.world), a.host, a.origin, strconv.FormatBool(a.plain)}, " ")
		if a.method == http.MethodGet {
			gets[key] = a
		}
		if a.method != http.MethodHead {
			continue
		}
		compared++
		last := gets[key]
		if a.status != last.status || len(a.data) != 0 {
			t.Errorf("%s: %d and %d bytes, GET %d", a, a.status, len(a.data), last.status)
		}
		for name := range last.header {
			got, want := a.header.Get(name), last.header.Get(name)
			switch {
			case name == "Date", name == "X-Request-Id":
			case name == "Content-Length" && got == "": // RFC 9110 §8.6: may be left out
			case got != want:
				t.Errorf("%s: %s %q, GET %q", a, name, got, want)
			}
		}
	}
	if compared != 66 {
		t.Errorf("%d compared", compared)
	}
}
