package httpapi

import (
	"context"
	"errors"
	"testing"

	"stagedoor"
)

func TestForgetForOperators(t *testing.T) {
	var asked []stagedoor.Erasure
	var fail error
	h, _ := newDesk(func(m *Admin) {
		m.Forget = func(_ context.Context, e stagedoor.Erasure) (stagedoor.Erased, error) {
			asked = append(asked, e)
			return stagedoor.Erased{Subject: e.Principal.Subject, DryRun: e.DryRun, Principals: 1}, fail
		}
	})
	body := bodyOf(t, h.ask(t, "POST", "/api/forget", `{"user":"ann","issuer":"x","bans":true,"dryRun":true}`, nil))
	if body["subject"] != "ann" || body["dryRun"] != true || body["principals"] != 1.0 {
		t.Errorf("%v", body)
	}
	bodyOf(t, h.ask(t, "POST", "/api/forget", `{"user":"bob"}`, nil))
	if len(asked) != 2 || asked[0] != (stagedoor.Erasure{Principal: stagedoor.PrincipalKey{Issuer: "ix", Subject: "ann"}, Bans: true, DryRun: true}) || asked[1].Bans || asked[1].DryRun {
		t.Errorf("%+v", asked)
	}
	for body, code := range map[string]string{
		`{}`: "invalid_request", `{"user":""}`: "invalid_request", `{"user":"twin"}`: "invalid_request", `{"user":["ann"]}`: "invalid_request",
		// A dry run that is misspelt must not be a real one.
		`{"user":"ann","dryRun":"true"}`: "invalid_request", `{"user":"ann","dryRun":1}`: "invalid_request", `{"user":"ann","dry_run":true}`: "unknown_field",
		`{"user":"ann","dryRun":true,"dryRun":false}`: "invalid_json",
	} {
		mustRefuse(t, h.ask(t, "POST", "/api/forget", body, nil), 400, code)
	}
	mustRefuse(t, h.ask(t, "GET", "/api/forget", "", nil), 405, "method_not_allowed")
	mustRefuse(t, h.ask(t, "POST", "/api/forget", `{"user":"ann"}`, map[string]string{"Origin": "https://attacker.example"}), 403, "origin_not_allowed")
	if len(asked) != 2 {
		t.Errorf("a refused request deleted: %+v", asked)
	}
	fail = errors.New("disk full")
	mustRefuse(t, h.ask(t, "POST", "/api/forget", `{"user":"ann"}`, nil), 500, "internal")
	h, _ = newDesk(nil)
	mustRefuse(t, h.ask(t, "POST", "/api/forget", `{"user":"ann"}`, nil), 404, "not_found")
}
