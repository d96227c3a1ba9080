package httpapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"stagedoor"
)

var errAudit = errors.New("disk full")

// audited is a desk whose records are collected; fail makes every record fail.
func audited(fail *bool) (*harness, *desk, *[]string) {
	lines := &[]string{}
	h, d := newDesk(func(m *Admin) {
		m.Forget = func(_ context.Context, e stagedoor.Erasure) (stagedoor.Erased, error) {
			if e.Principal.Subject == "present" {
				return stagedoor.Erased{}, stagedoor.Refuse(stagedoor.InvalidRequest, "they are in a call")
			}
			*lines = append(*lines, "forgotten "+e.Principal.Subject)
			return stagedoor.Erased{DryRun: e.DryRun}, nil
		}
		m.Audit = func(_ context.Context, r stagedoor.AuditRecord) error {
			if *fail {
				return errAudit
			}
			outcome := "granted"
			if r.Err != nil {
				outcome = stagedoor.KindOf(r.Err).String()
			}
			*lines = append(*lines, fmt.Sprintf("%s %s of %s/%s in %q by %s: %s", r.Action, r.Target, r.Principal.Issuer, r.Principal.Subject, r.Request.Room, r.By, outcome))
			return nil
		}
	})
	return h, d, lines
}

func TestAdmin_RecordsWhoDidWhatToWhom(t *testing.T) {
	fail := false
	h, _, lines := audited(&fail)
	as := map[string]string{"X-Operator": "Zoë from support"}
	bodyOf(t, h.ask(t, "POST", "/api/bans", `{"user":"ann","room":"red"}`, as))
	bodyOf(t, h.ask(t, "POST", "/api/bans", `{"user":"bob"}`, nil))
	bodyOf(t, h.ask(t, "DELETE", "/api/bans/ban_ann", "", as))
	bodyOf(t, h.ask(t, "DELETE", "/api/bans?user=bob", "", nil))
	bodyOf(t, h.ask(t, "DELETE", "/api/bans/ban_none", "", nil))
	bodyOf(t, h.ask(t, "POST", "/api/forget", `{"user":"ann","dryRun":true}`, as))
	bodyOf(t, h.ask(t, "POST", "/api/forget", `{"user":"ann"}`, as))
	bodyOf(t, h.ask(t, "POST", "/api/forget", `{"user":"present"}`, as))
	want := []string{
		`ban ban_ann of i/ann in "red" by Zoë from support: granted`,
		`ban ban_bob of i/bob in "" by local: granted`,
		`unban ban_ann of i/ann in "red" by Zoë from support: granted`,
		`unban ban_bob of i/bob in "" by local: granted`,
		`unban ban_none of / in "" by local: granted`,
		`unban ban_none of / in "" by local: not_found`,
		`forgotten ann`, // the dry run deletes nothing and is not recorded
		`forget  of i/ann in "" by Zoë from support: granted`,
		`forgotten ann`,
		`forget  of i/present in "" by Zoë from support: granted`,
		`forget  of i/present in "" by Zoë from support: invalid_request`,
	}
	if !slices.Equal(*lines, want) {
		t.Errorf("got\n%q, want\n%q", *lines, want)
	}
}

func TestAdmin_NamesTheHolderOfTheToken(t *testing.T) {
	fail := false
	h, _, lines := audited(&fail)
	operator := ""
	withToken, _ := newDesk(func(m *Admin) {
		m.Token = stagedoor.NewSecret(adminSecret)
		m.Audit = func(_ context.Context, r stagedoor.AuditRecord) error { operator = r.By; return nil }
	})
	bodyOf(t, withToken.ask(t, "POST", "/api/bans", `{"user":"ann"}`, map[string]string{"Authorization": "Bearer " + adminSecret}))
	if operator != "admin" {
		t.Errorf("by %q", operator)
	}
	for _, name := range []string{" ", "a\u202eb", long("x", 65)} {
		mustRefuse(t, h.ask(t, "POST", "/api/bans", `{"user":"ann"}`, map[string]string{"X-Operator": name}), 400, "invalid_request")
	}
	if len(*lines) != 0 {
		t.Errorf("%q", *lines)
	}
}

// A ban must not depend on the audit log. Whatever gives a right back, or
// deletes, does not happen without its record.
func TestAdmin_FailingAuditLogStopsNoBanAndEveryUnban(t *testing.T) {
	fail := true
	h, d, lines := audited(&fail)
	if resp := h.ask(t, "POST", "/api/bans", `{"user":"ann"}`, nil); resp.StatusCode != 201 || len(d.bans) != 1 {
		t.Errorf("ban: %d, %v", resp.StatusCode, d.bans)
	}
	mustRefuse(t, h.ask(t, "DELETE", "/api/bans/ban_ann", "", nil), 500, "internal")
	mustRefuse(t, h.ask(t, "DELETE", "/api/bans?user=ann", "", nil), 500, "internal")
	mustRefuse(t, h.ask(t, "POST", "/api/forget", `{"user":"ann"}`, nil), 500, "internal")
	if len(d.bans) != 1 || len(*lines) != 0 {
		t.Errorf("left %v, done %q", d.bans, *lines)
	}
}
