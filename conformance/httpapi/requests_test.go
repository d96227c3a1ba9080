package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"golang.org/x/text/unicode/norm"
)

// admits reports whether the contract lets the request be sent: nil, or why not.
func (c contract) admits(t *testing.T, a answer) error {
	t.Helper()
	path, _, _ := strings.Cut(a.path, "?")
	item, path, params := c.address(path)
	if item == nil || item.GetOperation(asGet(a.method, path)) == nil {
		return errors.New("no such operation")
	}
	// The recorded request has been sent, and its body read.
	r := a.sent.Clone(context.Background())
	r.Body = http.NoBody
	if a.call.body != "" {
		r.Body = a.call.completed().request(t, "http://door", a.origin).Body
	}
	return openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params,
		Route:   &routers.Route{Spec: c.doc, Method: a.method, Path: path, PathItem: item, Operation: item.GetOperation(asGet(a.method, path))},
		Options: &openapi3filter.Options{AuthenticationFunc: hasProof},
	})
}

// hasProof looks for what the contract's security schemes name, as far as a
// request shows it.
func hasProof(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	request := in.RequestValidationInput.Request
	header := request.Header
	switch scheme := in.SecurityScheme; {
	case scheme.Type == "http" && scheme.Scheme == "bearer" && strings.HasPrefix(header.Get("Authorization"), "Bearer "):
	case scheme.Type == "apiKey" && scheme.In == "cookie" && len(request.CookiesNamed(scheme.Name)) == 1 && header.Get("Authorization") == "":
	case scheme.Type == "apiKey" && scheme.In == "header" && len(header.Values(scheme.Name)) == 1:
	default:
		return in.NewError(nil)
	}
	return nil
}

// TestWhatSucceedsIsInTheContract: the contract admits every request of the
// table that succeeded.
func TestWhatSucceedsIsInTheContract(t *testing.T) {
	c, succeeded := mustRead(t), 0
	for _, a := range record(t, calls()) {
		if a.status >= http.StatusMultipleChoices {
			continue
		}
		succeeded++
		if err := c.admits(t, a); err != nil {
			t.Errorf("%s: %d, and the contract forbids it: %v", a, a.status, err)
		}
	}
	if succeeded != wantSucceeded {
		t.Errorf("%d answers, want %d", succeeded, wantSucceeded)
	}
}

// wantSucceeded is how many answers of the table are no refusals.
const wantSucceeded = 336

// TestBodiesOfJoin gives /api/join every pair of values for its two fields,
// with and without a third one, and what is no object: what the contract
// forbids fails, and what succeeds it admits.
func TestBodiesOfJoin(t *testing.T) {
	long, longer := strings.Repeat("r", 256), strings.Repeat("r", 257)
	values := []string{"", `"r"`, `""`, `" r"`, `null`, `7`, `1.5`, `true`, `[]`, `["r"]`, `{}`, `{"a":"r"}`, `"é"`, `"\u0000"`, `"\u200b"`,
		`"` + long + `"`, `"` + longer + `"`, `"` + strings.Repeat("é", 128) + `"`, `"` + strings.Repeat("é", 129) + `"`,
		// Three characters that normalization makes one of two bytes.
		`"` + strings.Repeat("u\u0308\u0304", 128) + `"`, `"` + strings.Repeat("u\u0308\u0304", 128) + `r"`}
	var bodies []string
	for _, room := range values {
		for _, name := range values {
			for _, third := range []string{"", `"ttl":60`, `"identity":"bob"`, `"Room":"r"`} {
				var members []string
				if room != "" {
					members = append(members, `"room":`+room)
				}
				if name != "" {
					members = append(members, `"username":`+name)
				}
				if third != "" {
					members = append(members, third)
				}
				bodies = append(bodies, "{"+strings.Join(members, ",")+"}")
			}
		}
	}
	bodies = append(bodies, `[]`, `null`, `7`, `"r"`, `[{"room":"r"}]`, `{"room":"r"`, ` `)
	var table []call
	for _, body := range bodies {
		table = append(table, call{method: http.MethodPost, path: joinPath, body: body, from: ann})
	}
	c := mustRead(t)
	succeeded, forbidden := 0, 0
	for _, a := range record(t, table, "") {
		err := c.admits(t, a)
		switch {
		case a.status == http.StatusOK && err != nil:
			t.Errorf("%s succeeds, and the contract forbids it: %v", a, err)
		case a.status == http.StatusOK:
			succeeded++
		case a.status != http.StatusBadRequest:
			t.Errorf("%s: %d", a, a.status)
		case err != nil:
			forbidden++
		}
	}
	t.Logf("%d bodies: %d succeed, %d forbidden", len(bodies), succeeded, forbidden)
	if len(bodies) != wantBodies.all || succeeded != wantBodies.succeed || forbidden != wantBodies.forbidden {
		t.Errorf("want %+v", wantBodies)
	}
}

// wantBodies pins what comes of the bodies, so that neither side can refuse
// everything.
var wantBodies = struct{ all, succeed, forbidden int }{1771, 40, 1628}

// TestBodiesOfDevicesAndGuests gives /api/join every pair of values for who is
// asking on what, from a caller and from a guest, in a room of many devices:
// what the contract forbids fails, and what succeeds it admits.
func TestBodiesOfDevicesAndGuests(t *testing.T) {
	values := []string{"", `""`, `null`, `7`, `true`, `[]`, `{}`, `"a"`, `"Aa0_-"`, `"a b"`, `"a:b"`, `"a#b"`, `"ä"`, `"a\u0000"`, `"a\n"`,
		`"` + strings.Repeat("x", 15) + `"`, `"` + strings.Repeat("x", 16) + `"`, `"` + strings.Repeat("x", 32) + `"`, `"` + strings.Repeat("x", 33) + `"`,
		`"` + strings.Repeat("x", 64) + `"`, `"` + strings.Repeat("x", 65) + `"`, `"` + strings.Repeat("ä", 16) + `"`}
	var table []call
	for _, device := range values {
		for _, id := range values {
			for from, room := range map[caller]string{ann: `"room":"any"`, guest: ""} {
				var members []string
				for _, member := range []string{room, member("device", device), member("guest", id)} {
					if member != "" {
						members = append(members, member)
					}
				}
				table = append(table, call{method: http.MethodPost, path: joinPath, body: "{" + strings.Join(members, ",") + "}", from: from, world: hosted})
			}
		}
	}
	c := mustRead(t)
	got := struct{ all, succeed, forbidden, others int }{all: len(table)}
	for _, a := range record(t, table, "") {
		err := c.admits(t, a)
		switch {
		case a.status == http.StatusOK && err != nil:
			t.Errorf("%s succeeds, and the contract forbids it: %v", a, err)
		case a.status == http.StatusOK:
			got.succeed++
		case a.outcome() == "403 field_not_allowed": // well formed, and not for this caller
			got.others++
			if err != nil {
				t.Errorf("%s: %s, and the contract forbids it: %v", a, a.outcome(), err)
			}
		case a.outcome() != "400 invalid_request":
			t.Errorf("%s: %s", a, a.outcome())
		case err != nil:
			got.forbidden++
		}
	}
	if got != wantDevices {
		t.Errorf("%+v, want %+v", got, wantDevices)
	}
}

// wantDevices pins what comes of them.
var wantDevices = struct{ all, succeed, forbidden, others int }{968, 36, 856, 52}

// member is a member of an object; empty without a value.
func member(name, value string) string {
	if value == "" {
		return ""
	}
	return `"` + name + `":` + value
}

// TestLongestRoom shows why a request may hold 384 characters: no character
// comes of more than three for each two of its bytes.
func TestLongestRoom(t *testing.T) {
	for r := range rune(utf8.MaxRune + 1) {
		if !utf8.ValidRune(r) {
			continue
		}
		typed := utf8.RuneCountInString(norm.NFD.String(string(r)))
		kept := len(norm.NFC.String(string(r)))
		if 2*typed > 3*kept {
			t.Errorf("%U: %d characters become %d bytes", r, typed, kept)
		}
	}
}
