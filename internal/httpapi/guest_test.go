package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

const (
	guestSecret = "invite_CANARY"
	guestID     = "tab_1234567890-ABC"
)

// house is a door with rules: "ann" may do everything on many devices, "bob"
// watches, and whoever holds guestSecret is a guest of ann's.
type house struct {
	*harness
	door       *stagedoor.Door
	rule       stagedoor.Decision // ann's
	signed     stagedoor.Admission
	invitation stagedoor.Invitation
	minted     error
	made       []stagedoor.Invitation
	listed     []stagedoor.Invitation
	listedFor  stagedoor.PrincipalKey
	revoked    string
	did        []string
	failure    error // of moderating, inviting, listing and revoking
	now        time.Time
}

func newHouse(change func(*Options)) *house {
	h := &house{
		rule: stagedoor.Decision{TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true, Publish: true}, Moderate: true, Invite: true,
			ManyDevices: true, RemoveFor: time.Hour, Attributes: []string{"role"}},
		invitation: stagedoor.Invitation{ID: "inv_1", Room: "r", By: stagedoor.PrincipalKey{Issuer: "test", Subject: "ann"}, Uses: 1},
		now:        time.Date(2026, 11, 24, 12, 0, 0, 5e8, time.UTC),
	}
	h.harness = newHarness(func(o *Options) {
		callers := o.Door.Authenticator
		o.Door = &stagedoor.Door{Authenticator: doorkeeper{callers}, Policy: h, Signer: h, AuditLog: o.Door.AuditLog, Memory: h, Invitations: h,
			InvitationBook: h, Moderators: h, NameFromRequest: true, Now: func() time.Time { return h.now }}
		h.door = o.Door
		o.Now, o.DefaultRoom = o.Door.Now, func() stagedoor.Room { return "lobby" }
		o.Invitations = func(_ context.Context, by stagedoor.PrincipalKey) ([]stagedoor.Invitation, error) {
			h.listedFor = by
			return h.listed, h.failure
		}
		if change != nil {
			change(o)
		}
	})
	return h
}

// doorkeeper knows the one invitation too.
type doorkeeper struct{ callers stagedoor.Authenticator }

func (d doorkeeper) Authenticate(ctx context.Context, c stagedoor.Credential) (stagedoor.Principal, error) {
	if c.Reveal() == guestSecret {
		return stagedoor.Principal{Issuer: stagedoor.GuestIssuer, Subject: "inv_1", Handle: "inv_1", Invitation: "inv_1"}, nil
	}
	return d.callers.Authenticate(ctx, c)
}

func (h *house) Decide(s stagedoor.Situation) (stagedoor.Decision, error) {
	if s.Principal.Subject != "ann" {
		return stagedoor.Decision{TTL: time.Hour, Grants: stagedoor.Grants{Subscribe: true}, PublishDenied: stagedoor.NoSubscription}, nil
	}
	return h.rule, nil
}

func (h *house) Sign(a stagedoor.Admission) (stagedoor.Token, error) {
	h.signed = a
	return stagedoor.NewToken("minted"), nil
}

func (h *house) Remember(_ context.Context, p stagedoor.Principal) (stagedoor.Principal, error) {
	return p, nil
}

func (h *house) MintLater(stagedoor.Principal, stagedoor.Mint) {}

func (h *house) Minted(context.Context, stagedoor.Mint) error { return h.minted }

func (h *house) Invitation(context.Context, string) (stagedoor.Invitation, stagedoor.Principal, error) {
	return h.invitation, stagedoor.Principal{Issuer: "test", Subject: "ann", Handle: "ann"}, nil
}

func (h *house) Admit(context.Context, string, stagedoor.PrincipalKey) error { return nil }

// guest makes a request one of the guest's.
func (r request) guest() request {
	r.header = map[string]string{"Authorization": "Bearer " + guestSecret}
	return r
}

// entrances write one request for both ways into a room.
var entrances = map[string]func(room, device, guest string) string{
	"/api/join": func(room, device, guest string) string {
		return object(`"room":`, room, `"device":`, device, `"guest":`, guest)
	},
	"/api/token": func(room, device, guest string) string {
		return object(`"room_name":`, room, `"participant_attributes":`, object(`"device":`, device, `"guest":`, guest))
	},
}

// object is a JSON object of those members that have a value.
func object(members ...string) string {
	var written []string
	for i := 0; i < len(members); i += 2 {
		if members[i+1] != "" {
			written = append(written, members[i]+members[i+1])
		}
	}
	return "{" + strings.Join(written, ",") + "}"
}

func isOK(resp *http.Response) bool { return resp.StatusCode/100 == 2 }

func TestGuestNeedsAnId(t *testing.T) {
	for path, write := range entrances {
		h := newHouse(nil)
		for _, id := range []string{"", `""`} {
			mustRefuse(t, h.do(t, request{path: path, body: write(`"r"`, "", id)}.guest()), http.StatusBadRequest, "invalid_request")
			mustRefuse(t, h.do(t, request{path: path, body: write("", "", id)}.guest()), http.StatusBadRequest, "invalid_request")
		}
		if h.signed.Identity != "" {
			t.Errorf("%s: a token for %s all the same", path, h.signed.Identity)
		}
		for _, room := range []string{"", `"r"`} {
			resp := h.do(t, request{path: path, body: write(room, "", `"`+guestID+`"`)}.guest())
			if !isOK(resp) || h.signed.Room != "r" || !strings.HasPrefix(string(h.signed.Identity), "guest:") {
				t.Errorf("%s: %d %+v", path, resp.StatusCode, h.signed)
			}
		}
		mustRefuse(t, h.do(t, request{path: path, body: write(`"other"`, "", `"`+guestID+`"`)}.guest()), http.StatusForbidden, "room_forbidden")
	}
}

func TestGuestFieldIsNotForCallers(t *testing.T) {
	for path, write := range entrances {
		h := newHouse(nil)
		mustRefuse(t, h.do(t, request{path: path, body: write(`"r"`, "", `"`+guestID+`"`)}), http.StatusForbidden, "field_not_allowed")
		mustRefuse(t, h.do(t, request{path: path, body: write("", "", `"`+guestID+`"`)}), http.StatusBadRequest, "room_required")
		if h.signed.Identity != "" {
			t.Errorf("%s: a token for %s all the same", path, h.signed.Identity)
		}
	}
}

func TestDeviceIsRefusedWhereOneCounts(t *testing.T) {
	for path, write := range entrances {
		h := newHouse(nil)
		body := write(`"r"`, `"tablet"`, "")
		if resp := h.do(t, request{path: path, body: body}); !isOK(resp) || h.signed.Identity != "ann:tablet" {
			t.Errorf("%s: %d %s", path, resp.StatusCode, h.signed.Identity)
		}
		mustRefuse(t, h.do(t, request{path: path, body: body, header: map[string]string{"Authorization": "Bearer bob"}}), http.StatusForbidden, "field_not_allowed")
		mustRefuse(t, h.do(t, request{path: path, body: write(`"r"`, `"tablet"`, `"`+guestID+`"`)}.guest()), http.StatusForbidden, "field_not_allowed")
	}
}

// A device becomes part of an identity, which others read and rules compare:
// nothing but letters, digits, - and _ gets there.
func TestDeviceAndGuestAreAsWritten(t *testing.T) {
	text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	common := []string{`"a:b"`, `"guest:a"`, `"a#b"`, `"ä"`, `"a b"`, `" "`, `"a\u0000b"`, `"a\n"`, `"a\u200b"`, `"aaaaaaaaaaaaaaaa/"`, `"ａａａａａａａａａａａａａａａａ"`}
	for path, write := range entrances {
		h := newHouse(nil)
		for _, bad := range append(common, text(33), text(64)) {
			mustRefuse(t, h.do(t, request{path: path, body: write(`"r"`, bad, "")}), http.StatusBadRequest, "invalid_request")
		}
		for _, bad := range append(common, text(1), text(15), text(65)) {
			mustRefuse(t, h.do(t, request{path: path, body: write("", "", bad)}.guest()), http.StatusBadRequest, "invalid_request")
		}
		// A text of the standard's attributes; what else is there is no attribute.
		code := map[string]string{"/api/join": "invalid_request", "/api/token": "invalid_json"}[path]
		for _, bad := range []string{`7`, `1.5`, `true`, `false`, `[]`, `["tablet"]`, `{}`, `{"a":"b"}`} {
			mustRefuse(t, h.do(t, request{path: path, body: write(`"r"`, bad, "")}), http.StatusBadRequest, code)
			mustRefuse(t, h.do(t, request{path: path, body: write("", "", bad)}.guest()), http.StatusBadRequest, code)
		}
		for _, good := range []string{text(1), text(32), `"Az09-_"`, `""`} {
			if resp := h.do(t, request{path: path, body: write(`"r"`, good, "")}); !isOK(resp) {
				t.Errorf("%s: device %s: %d", path, good, resp.StatusCode)
			}
		}
		for _, good := range []string{text(16), text(64), `"Az09-_Az09-_Az09-_"`} {
			if resp := h.do(t, request{path: path, body: write("", "", good)}.guest()); !isOK(resp) {
				t.Errorf("%s: guest %s: %d", path, good, resp.StatusCode)
			}
		}
	}
	h := newHouse(nil)
	for _, absent := range []string{`null`, `""`} {
		if resp := h.do(t, request{body: `{"room":"r","device":` + absent + `,"guest":` + absent + `}`}); !isOK(resp) || h.signed.Identity != "ann" {
			t.Errorf("%s: %d %s", absent, resp.StatusCode, h.signed.Identity)
		}
	}
	for _, body := range []string{`{"room":"r","Device":"tablet"}`, `{"room":"r","GUEST":"x"}`, `{"room":"r","participant_attributes":{}}`} {
		mustRefuse(t, h.do(t, request{body: body}), http.StatusBadRequest, "unknown_field")
	}
	mustRefuse(t, h.do(t, request{body: `{"device":"a b","room":7}`}), http.StatusBadRequest, "invalid_request")
	mustRefuse(t, h.do(t, request{body: `{"room":7,"device":"a b"}`}), http.StatusBadRequest, "invalid_room")
	mustRefuse(t, h.do(t, request{body: `{"room":"r","device":"a","device":"b"}`}), http.StatusBadRequest, "invalid_json")
}

// What names a device or a guest is the door's: in LiveKit everybody in the
// room would read the id with which the guest can be played.
func TestDeviceAndGuestAreNoAttributes(t *testing.T) {
	h := newHouse(nil)
	h.rule.Attributes = []string{"role", "device", "guest"}
	resp := h.do(t, request{path: "/api/token", body: `{"room_name":"r","participant_attributes":{"device":"tablet","role":"host"}}`})
	if got := h.signed.Attributes; !isOK(resp) || len(got) != 1 || got["role"] != "host" || h.signed.Identity != "ann:tablet" {
		t.Errorf("%d %+v", resp.StatusCode, h.signed)
	}
	resp = h.do(t, request{path: "/api/token", body: `{"participant_attributes":{"guest":"` + guestID + `","device":""}}`}.guest())
	if !isOK(resp) || len(h.signed.Attributes) != 0 {
		t.Errorf("%d %+v", resp.StatusCode, h.signed)
	}
	for _, write := range []string{`{"participantAttributes":{"guest":"` + guestID + `"}}`, `{"participant_attributes":{"guest":"` + guestID + `"},"room_name":""}`} {
		if resp := h.do(t, request{path: "/api/token", body: write}.guest()); !isOK(resp) || len(h.signed.Attributes) != 0 {
			t.Errorf("%s: %d %+v", write, resp.StatusCode, h.signed)
		}
	}
	mustRefuse(t, h.do(t, request{path: "/api/token", body: `{"participant_attributes":{"guest":"` + guestID + `","role":"host"}}`}.guest()), http.StatusForbidden, "field_not_allowed")
	h.rule.Attributes = nil
	mustRefuse(t, h.do(t, request{path: "/api/token", body: `{"room_name":"r","participant_attributes":{"Device":"tablet"}}`}), http.StatusForbidden, "field_not_allowed")
}

func TestDefaultRoomIsForTheStandardEndpointAlone(t *testing.T) {
	h := newHouse(nil)
	mustRefuse(t, h.do(t, request{body: `{}`}), http.StatusBadRequest, "room_required")
	for _, body := range []string{`{}`, `{"room_name":""}`, `{"roomName":null,"room_config":{}}`} {
		if got := bodyOf(t, h.do(t, request{path: "/api/token", body: body})); got["room_name"] != "lobby" {
			t.Errorf("%s: %v", body, got)
		}
	}
	if got := bodyOf(t, h.do(t, request{path: "/api/token", body: `{"room_name":"r"}`})); got["room_name"] != "r" {
		t.Errorf("another room is named: %v", got)
	}
	// A guest's room is the invitation's, never the default.
	if got := bodyOf(t, h.do(t, request{path: "/api/token", body: `{"participant_attributes":{"guest":"` + guestID + `"}}`}.guest())); got["room_name"] != "r" {
		t.Errorf("a guest: %v", got)
	}
	mustRefuse(t, h.do(t, request{path: "/api/token", body: `{"room_name":7}`}), http.StatusBadRequest, "invalid_room")
	for _, none := range []func() stagedoor.Room{nil, func() stagedoor.Room { return "" }} {
		h := newHouse(func(o *Options) { o.DefaultRoom = none })
		mustRefuse(t, h.do(t, request{path: "/api/token", body: `{}`}), http.StatusBadRequest, "room_required")
	}
}

func TestJoinSaysWhatElseTheCallerMay(t *testing.T) {
	h := newHouse(nil)
	h.rule.MaxSession = 90*time.Minute + 900*time.Millisecond
	h.door.Sessions = timeless{}
	body := bodyOf(t, h.do(t, request{}))
	if body["moderate"] != true || body["invite"] != true || body["sessionLeft"] != 5400.0 {
		t.Errorf("ann: %v", body)
	}
	others := map[string]request{"bob": {header: map[string]string{"Authorization": "Bearer bob"}}, "a guest": request{body: `{"guest":"` + guestID + `"}`}.guest()}
	h.rule.MaxSession = 0
	for name, r := range others {
		body := bodyOf(t, h.do(t, r))
		for _, field := range []string{"moderate", "invite", "sessionLeft"} {
			if got, there := body[field]; there {
				t.Errorf("%s: %s %v", name, field, got)
			}
		}
	}
}

// timeless knows nobody's time.
type timeless struct{}

func (timeless) Since(context.Context, stagedoor.PrincipalKey, stagedoor.Room) (time.Time, error) {
	return time.Time{}, nil
}

func TestSeatsAreRefusedWithTheirOwnCodes(t *testing.T) {
	for kind, status := range map[stagedoor.Kind]int{stagedoor.RoomFull: http.StatusForbidden, stagedoor.AlreadyInRoom: http.StatusConflict} {
		for path, write := range entrances {
			h := newHouse(nil)
			h.minted = stagedoor.Refuse(kind, "no seat")
			body := mustRefuse(t, h.do(t, request{path: path, body: write(`"r"`, "", "")}), status, kind.String())
			if !strings.HasPrefix(body["error"].(string), http.StatusText(status)+": no seat") || h.signed.Identity != "" {
				t.Errorf("%s: %v", path, body)
			}
		}
	}
}

// The invitation is a credential: it stands in no line and no answer.
func TestGuestsSecretAndIdAreNotSaid(t *testing.T) {
	h := newHouse(nil)
	for _, r := range []request{{body: `{"guest":"` + guestID + `"}`}, {body: `{"guest":"` + guestID + `!"}`}, {path: "/api/token", body: `{"participant_attributes":{"guest":"` + guestID + `"}}`},
		{body: `{"` + guestID + `":1}`}, {path: "/api/moderate", body: `{}`}, {path: "/api/invites", method: http.MethodGet}} {
		resp := h.do(t, r.guest())
		said := h.log.String()
		for name, values := range resp.Header {
			said += name + strings.Join(values, "")
		}
		if body := bodyOf(t, resp); body != nil {
			for _, value := range body {
				if text, ok := value.(string); ok {
					said += text
				}
			}
		}
		if strings.Contains(said, "CANARY") || strings.Contains(said, guestID) {
			t.Errorf("%+v: %s", r, said)
		}
	}
	if !strings.Contains(h.log.String(), `"subject":"inv_1"`) {
		t.Errorf("nobody can tell by which invitation: %s", h.log)
	}
}
