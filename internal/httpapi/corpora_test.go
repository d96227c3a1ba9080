package httpapi

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"stagedoor"
)

// corpus reads a file of testdata: a base64 text a line, or a name and one.
func corpus(t *testing.T, path string) (names []string, texts [][]byte) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		name, coded, named := strings.Cut(lines.Text(), " ")
		if !named {
			coded = name
		}
		text, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(coded, "\n"))
		if err != nil && coded != "=" { // the empty text
			t.Fatalf("%s: %v", name, err)
		}
		names, texts = append(names, name), append(texts, text)
	}
	return names, texts
}

// What a parser must reject is rejected wherever a body can carry it: as the
// whole body, in a field that is read, and in one that is ignored.
func TestJSONThatMustBeRejectedIs(t *testing.T) {
	names, texts := corpus(t, "testdata/jsontestsuite.txt")
	names = append(names, "n_structure_100000_opening_arrays", "n_structure_open_array_object")
	texts = append(texts, bytes.Repeat([]byte("["), 100_000), append(bytes.Repeat([]byte(`[{"":`), 50_000), '\n'))
	h, rejected, accepted := newHouse(nil), 0, 0
	for i, name := range names {
		text := string(texts[i])
		bodies := map[string]string{
			"/api/join": text, "/api/token": text, "/api/invites": text, "/api/moderate": text,
			"/api/join?room":     `{"room":` + text + `}`,
			"/api/join?username": `{"room":"r","username":` + text + `}`,
			"/api/token?ignored": `{"room_name":"r","whatever":` + text + `}`,
			"/api/token?config":  `{"room_name":"r","room_config":` + text + `}`,
		}
		for path, body := range bodies {
			resp := h.do(t, request{path: path, body: body})
			fine := resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated
			switch {
			case strings.HasPrefix(name, "n_") && body != "":
				rejected++
				if fine || resp.StatusCode >= 500 {
					t.Errorf("%s at %s: %d", name, path, resp.StatusCode)
				}
			case strings.HasPrefix(name, "y_") && path == "/api/token?ignored" && !strings.Contains(name, "duplicated"):
				accepted++
				if !fine {
					t.Errorf("%s at %s: %d", name, path, resp.StatusCode)
				}
			case resp.StatusCode >= 500:
				t.Errorf("%s at %s: %d", name, path, resp.StatusCode)
			}
		}
	}
	if rejected != 188*8-4 || accepted != 93 { // one of the 188 is nothing at all: the harness sends a body of its own for it
		t.Errorf("%d had to be rejected, %d accepted", rejected, accepted)
	}
}

// steers reports what in a log could steer whoever reads it.
func steers(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
}

// Naughty strings are refused as names or are taken as they are: never
// changed into another, never an error of ours, never a second line of the log.
func TestNaughtyStringsAreTakenWholeOrRefused(t *testing.T) {
	_, texts := corpus(t, "testdata/naughtystrings.txt")
	taken := map[string]int{}
	for _, text := range texts {
		sent, composed := string(text), norm.NFC.String(string(text))
		quoted, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		for field, body := range map[string]string{"room": `{"room":` + string(quoted) + `}`, "username": `{"room":"r","username":` + string(quoted) + `}`} {
			h := newHarness(nil)
			resp := h.do(t, request{body: body})
			answer := bodyOf(t, resp)
			fit := stagedoor.CheckText(composed) == nil || field == "username" && sent == ""
			switch {
			case resp.StatusCode == http.StatusOK && fit:
				taken[field]++
				if field == "room" && answer["room"] != composed {
					t.Errorf("%q became %q", sent, answer["room"])
				}
			case resp.StatusCode != http.StatusBadRequest || fit || answer["code"] != "invalid_"+field:
				t.Errorf("%s %q: %d %v", field, sent, resp.StatusCode, answer)
			}
			if log := h.log.String(); strings.Count(log, "\n") != 1 || steers(log) {
				t.Errorf("%s %q is logged as %q", field, sent, log)
			}
		}
		identity, err := stagedoor.Principal{Issuer: "i", Subject: sent, Handle: sent}.Identity(nil)
		switch {
		case err == nil && (string(identity) != sent || strings.ContainsAny(sent, "#\x00\r\n") || steers(strings.NewReplacer("\u200c", "", "\u200d", "").Replace(sent))):
			t.Errorf("subject %q became %q", sent, identity)
		case err != nil && sent != "" && stagedoor.KindOf(err) != stagedoor.IdentityNotAllowed:
			t.Errorf("subject %q: %v", sent, err)
		case err == nil:
			taken["subject"]++
		}
	}
	if len(texts) != 515 || taken["room"] != 487 || taken["username"] != 488 || taken["subject"] != 469 {
		t.Errorf("of %d strings these were taken: %v", len(texts), taken)
	}
}

// Names are compared byte by byte: what looks alike is another room, and what
// other systems read a meaning into has none here.
func TestRoomsThatLookAlikeStayApart(t *testing.T) {
	h := newHarness(nil)
	seen := map[any]string{}
	for _, room := range []string{"admin", "Admin", "аdmin", "ａdmin", "adm\u0131n", "admin.", "admin ̷x", "ADMIN", "*", "%2a", "room*", "../admin", "a/../admin", "..", ".", "/", "\\",
		"admin%00", "null", "undefined", "[object Object]", "true", "0", "-1", "{{7*7}}", "${x}", "$(id)", "'; DROP TABLE rooms; --", "<script>", "CON", "NUL", "con.", "::1", "a,b", "a;b", "a|b", "`id`"} {
		quoted, _ := json.Marshal(room)
		resp := h.do(t, request{body: `{"room":` + string(quoted) + `}`})
		answer := bodyOf(t, resp)
		if resp.StatusCode != http.StatusOK || answer["room"] != room {
			t.Errorf("%q: %d %v", room, resp.StatusCode, answer)
		}
		if other, again := seen[answer["room"]]; again {
			t.Errorf("%q and %q are one room", room, other)
		}
		seen[answer["room"]] = room
	}
}

// injections are what a value must not do to a log.
var injections = []string{
	"a\r\nb", "a\nlevel=ERROR msg=forged", "a\",\"forged\":\"b", "\x1b[2J\x1b[31m", "\x1b]0;title\a", "\u009b31m", "a\u2028b\u2029c", "a\u202eb", "a\u2066b", "\x00", "\x7f", "\x08\x08", "\ufeff", "\u200b", "\u0085x", "\xff\xfe",
	strings.Repeat("long", 4000),
}

// Every value of a request that a line of the log can hold.
func TestLogInjectionThroughEveryValue(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		for _, evil := range injections {
			var log bytes.Buffer
			h := newHarness(func(o *Options) {
				o.Log = slog.New(slog.NewJSONHandler(&log, nil))
				if format == "text" {
					o.Log = slog.New(slog.NewTextHandler(&log, nil))
				}
				o.TrustedProxies = trustAll
				o.Door.Authenticator = anybody(evil)
			})
			check := func(what any) {
				t.Helper()
				if text := log.String(); strings.Count(text, "\n") != 1 || steers(text) || strings.Contains(text, `,"forged":"b`) || len(text) > 2048 {
					t.Errorf("%s, %.40q in %.200q: %.2000q", format, evil, fmt.Sprint(what), text)
				}
				log.Reset()
			}
			strange := httptest.NewRequest("GET", "/", nil)
			strange.Method, strange.RemoteAddr = "GET"+evil, evil
			serve(h, strange)
			check("the method")
			quoted, _ := json.Marshal(evil)
			for _, r := range []request{
				{path: "/" + evil}, {path: "/api/join?" + evil},
				{header: map[string]string{"Origin": "https://" + evil}}, {header: map[string]string{"X-Request-Id": "12345678" + evil}},
				{header: map[string]string{"X-Forwarded-For": evil}}, {header: map[string]string{"X-Forwarded-For": "fe80::1%" + evil}},
				{header: map[string]string{"Host": evil}}, {header: map[string]string{"User-Agent": evil, "Referer": evil}},
				{header: map[string]string{"Authorization": "Bearer refuse " + evil}},
				{body: `{"room":` + string(quoted) + `}`}, {body: `{"room":"r","username":` + string(quoted) + `}`}, {body: `{` + string(quoted) + `:1}`},
				{body: `{"room":"r","device":` + string(quoted) + `}`}, {body: "{\"room\":\"" + evil},
			} {
				h.do(t, r)
				check(r)
			}
		}
	}
}
