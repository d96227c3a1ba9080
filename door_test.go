package stagedoor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// parts is a door's whole surroundings, each of which a test may replace.
type parts struct {
	principal    Principal
	authErr      error
	entitlement  Entitlement
	lookupErr    error
	decision     Decision
	decideErr    error
	token        string
	signErr      error
	auditErr     error
	asked        bool
	records      []AuditRecord
	seen         Entitlement
	signed       Admission
	signedCalled bool
}

func (p *parts) Authenticate(context.Context, Credential) (Principal, error) {
	return p.principal, p.authErr
}

func (p *parts) Entitlement(context.Context, Principal) (Entitlement, error) {
	return p.entitlement, p.lookupErr
}

func (p *parts) Decide(s Situation) (Decision, error) {
	p.seen = s.Entitlement
	return p.decision, p.decideErr
}

func (p *parts) Sign(a Admission) (Token, error) {
	p.signed, p.signedCalled = a, true
	return NewToken(p.token), p.signErr
}

func (p *parts) Record(_ context.Context, r AuditRecord) error {
	p.records = append(p.records, r)
	return p.auditErr
}

func good() *parts {
	return &parts{
		principal: Principal{Issuer: "i", Subject: "ann", Handle: "ann", Name: "Ann"},
		decision:  Decision{TTL: time.Hour, Grants: Grants{Subscribe: true}, PublishDenied: NoSubscription},
		token:     "signed",
	}
}

func (p *parts) join(request Request, nameFromRequest bool) (Admission, error) {
	door := &Door{Authenticator: p, Entitlements: p, Policy: p, Signer: p, AuditLog: p, NameFromRequest: nameFromRequest}
	return door.Join(context.Background(), NewCredential("c"), func(Principal) (Request, error) {
		p.asked = true
		request.ClientIP = "192.0.2.1"
		return request, nil
	})
}

func TestJoinHandsOutWhatWasDecided(t *testing.T) {
	p := good()
	got, err := p.join(Request{Room: "r", Name: "Annie", Identity: "ann"}, true)
	if err != nil || got.Token.Reveal() != "signed" || got.Identity != "ann" || got.Name != "Annie" || got.TTL != time.Hour || !got.Grants.Subscribe {
		t.Fatalf("%+v %v", got, err)
	}
	if len(p.records) != 1 || p.records[0].Err != nil || p.records[0].Admission.Token.Empty() {
		t.Errorf("records %+v", p.records)
	}
	if got, _ := good().join(Request{Room: "r"}, true); got.Name != "Ann" {
		t.Errorf("without a name of its own the issuer's counts, got %q", got.Name)
	}
}

func TestStrangersBodyIsNeverRead(t *testing.T) {
	p := good()
	p.authErr = Refuse(InvalidToken, "no")
	if _, err := p.join(Request{Room: "r"}, true); KindOf(err) != InvalidToken || p.asked || len(p.records) != 0 {
		t.Errorf("err %v asked %v records %d", err, p.asked, len(p.records))
	}
}

func TestAnyFailingStepGivesNoToken(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		breakIt func(*parts)
		request Request
		want    Kind
		records int
	}{
		"nobody":                         {func(p *parts) { p.principal = Principal{} }, Request{Room: "r"}, Internal, 1},
		"another identity":               {func(*parts) {}, Request{Room: "r", Identity: "bob"}, IdentityNotAllowed, 1},
		"a name where none may be given": {func(*parts) {}, Request{Room: "r", Name: "X"}, FieldNotAllowed, 1},
		"policy refuses":                 {func(p *parts) { p.decideErr = Refuse(RoomForbidden, "no") }, Request{Room: "r"}, RoomForbidden, 1},
		"TestZeroDecisionMintsNothing":   {func(p *parts) { p.decision = Decision{} }, Request{Room: "r"}, Internal, 1},
		"a negative TTL":                 {func(p *parts) { p.decision.TTL = -1 }, Request{Room: "r"}, Internal, 1},
		"the signer fails":               {func(p *parts) { p.signErr = boom }, Request{Room: "r"}, Internal, 1},
		"the signer signs nothing":       {func(p *parts) { p.token = "" }, Request{Room: "r"}, Internal, 1},
		"TestNoRecordNoToken":            {func(p *parts) { p.auditErr = boom }, Request{Room: "r"}, Internal, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := good()
			c.breakIt(p)
			got, err := p.join(c.request, false)
			if err == nil || KindOf(err) != c.want || !got.Token.Empty() || got.Identity != "" || len(p.records) != c.records {
				t.Errorf("got %+v err %v records %d", got, err, len(p.records))
			}
		})
	}
}

func TestPaymentProblemNeverStopsWatching(t *testing.T) {
	p := good()
	p.entitlement, p.lookupErr = Entitlement{Features: []Feature{"publish"}}, errors.New("stripe is down")
	if _, err := p.join(Request{Room: "r"}, true); err != nil {
		t.Fatal(err)
	}
	if p.seen.Has("publish") || p.seen.Withheld != BillingUnavailable {
		t.Errorf("decided on %+v", p.seen)
	}
	door := &Door{Authenticator: p, Policy: p, Signer: p, AuditLog: p}
	p.seen = Entitlement{Features: []Feature{"publish"}}
	if _, err := door.Join(context.Background(), NewCredential("c"), func(Principal) (Request, error) { return Request{Room: "r", ClientIP: "192.0.2.1"}, nil }); err != nil || p.seen.Has("publish") {
		t.Errorf("without entitlements: %v %+v", err, p.seen)
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	const canary = "canary-7f3a"
	for _, v := range []any{NewSecret(canary), NewCredential(canary), NewToken(canary), Admission{Token: NewToken(canary)}, &Admission{Token: NewToken(canary)},
		[]Secret{NewSecret(canary)}, map[string]Secret{"x": NewSecret(canary)}} {
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all := log.String() + string(encoded)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
			all += fmt.Sprintf(verb, v)
		}
		if strings.Contains(all, canary) || strings.Contains(all, fmt.Sprintf("%x", canary)) {
			t.Errorf("%T leaks: %s", v, all)
		}
	}
}

func TestErrors(t *testing.T) {
	if KindOf(nil) != Internal || KindOf(errors.New("x")) != Internal || KindOf(fmt.Errorf("x: %w", Refuse(NotFound, "d"))) != NotFound {
		t.Error("KindOf")
	}
	seen := make(map[string]bool)
	for _, k := range Kinds() {
		if seen[k.String()] || k.String() == "" {
			t.Errorf("kind %d has no code of its own: %q", k, k)
		}
		seen[k.String()] = true
	}
	if Kind(200).String() != "internal" {
		t.Error("an unknown Kind must read internal")
	}
}

func TestGrantsDefaultToNothing(t *testing.T) {
	if got := (Grants{}).EffectiveSources(); got == nil || len(got) != 0 {
		t.Errorf("zero grants allow %v", got)
	}
	if got := (Grants{Sources: []Source{Camera}}).EffectiveSources(); len(got) != 0 {
		t.Errorf("sources without publishing allow %v", got)
	}
	if got := (Grants{Publish: true}).EffectiveSources(); len(got) != 4 {
		t.Errorf("unlimited publishing allows %v", got)
	}
	if (Entitlement{}).Has("publish") || (Entitlement{Features: []Feature{""}}).Has("") {
		t.Error("nothing paid for entitles")
	}
}
