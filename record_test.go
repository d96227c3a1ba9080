package stagedoor

import (
	"context"
	"testing"
	"time"
)

// TestRecordSaysOnWhatADecisionStands: the rule, the features and the age of
// the facts are in the record of a refusal too, and nothing that was decided.
func TestRecordSaysOnWhatADecisionStands(t *testing.T) {
	confirmed := time.Date(2026, 11, 24, 11, 59, 0, 0, time.UTC)
	ask := func(Principal) (Request, error) {
		return Request{Room: "r", ClientIP: "192.0.2.1", Metadata: "", Device: ""}, nil
	}
	for name, change := range map[string]func(*parts, *Door){
		"granted":               func(*parts, *Door) {},
		"refused by the policy": func(p *parts, _ *Door) { p.decideErr = Refuse(RoomForbidden, "no") },
		"without a token":       func(p *parts, _ *Door) { p.token = "" },
		"without a lifetime":    func(p *parts, _ *Door) { p.decision.TTL = 0 },
		"the session is over": func(p *parts, d *Door) {
			p.decision.MaxSession, d.Sessions = time.Hour, since(confirmed.Add(-2*time.Hour))
		},
		"asks for what is refused": func(p *parts, _ *Door) { p.decision.Metadata = false },
	} {
		p := good()
		p.decision.Rule = "team rooms"
		p.entitlement = Entitlement{Features: []Feature{"hd"}, ConfirmedAt: confirmed}
		d := &Door{Authenticator: p, Entitlements: p, Policy: p, Signer: p, AuditLog: p, Now: func() time.Time { return confirmed.Add(time.Minute) }}
		change(p, d)
		asked := ask
		if name == "asks for what is refused" {
			asked = func(Principal) (Request, error) { return Request{Room: "r", ClientIP: "192.0.2.1", Metadata: "x"}, nil }
		}
		_, err := d.Join(t.Context(), Credential{}, asked)
		if (err == nil) != (name == "granted") || len(p.records) != 1 {
			t.Fatalf("%s: %v, %d records", name, err, len(p.records))
		}
		a := p.records[0].Admission
		if a.Rule != "team rooms" || len(a.Entitlement.Features) != 1 || !a.Entitlement.ConfirmedAt.Equal(confirmed) {
			t.Errorf("%s: %+v", name, a)
		}
		if err != nil && (a.Grants.Subscribe || a.TTL != 0 || a.Identity != "" || !a.Token.Empty()) {
			t.Errorf("%s: recorded as if granted: %+v", name, a)
		}
	}
}

// since is when everybody's time in every room began.
type since time.Time

func (s since) Since(context.Context, PrincipalKey, Room) (time.Time, error) {
	return time.Time(s), nil
}
