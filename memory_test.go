package stagedoor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// notes is a Memory and Bans that a test can break.
type notes struct {
	remember, minted, banned error
	kept                     Claims
	order                    []string
	mint                     Mint
}

func (n *notes) Remember(_ context.Context, p Principal) (Principal, error) {
	n.order = append(n.order, "remember")
	p.Claims = n.kept
	return p, n.remember
}

func (n *notes) Minted(_ context.Context, m Mint) error {
	n.order = append(n.order, "minted")
	n.mint = m
	return n.minted
}

func (n *notes) MintLater(_ Principal, m Mint) {
	n.order = append(n.order, "later")
	n.mint = m
}

func (n *notes) Check(Principal, Room) error {
	n.order = append(n.order, "bans")
	return n.banned
}

// ordered notes when it is asked.
type ordered struct {
	*notes
	entitlement Entitlement
	err         error
	principal   Principal
}

func (o *ordered) Entitlement(_ context.Context, p Principal) (Entitlement, error) {
	o.order = append(o.order, "entitlement")
	o.principal = p
	return o.entitlement, o.err
}

// byFeature publishes for whoever has the feature.
type byFeature struct{}

func (byFeature) Decide(s Situation) (Decision, error) {
	e := s.Entitlement
	if e.Has("publish") {
		return Decision{TTL: time.Hour, Grants: Grants{Subscribe: true, Publish: true, PublishData: true}}, nil
	}
	return Decision{TTL: time.Hour, Grants: Grants{Subscribe: true}, PublishDenied: e.Withheld}, nil
}

func kept() (*Door, *notes, *ordered) {
	n := &notes{kept: Claims{"plan": "newest"}}
	o := &ordered{notes: n, entitlement: Entitlement{Features: []Feature{"publish"}}}
	p := good()
	return &Door{Authenticator: p, Signer: p, AuditLog: p, Memory: n, Bans: n, Entitlements: o, Policy: byFeature{}}, n, o
}

func join(d *Door) (Admission, error) {
	return d.Join(context.Background(), NewCredential("c"), func(Principal) (Request, error) { return Request{Room: "r", ClientIP: "192.0.2.1"}, nil })
}

func TestWhatIsDecidedOnIsKeptBeforeTheTokenLeaves(t *testing.T) {
	d, n, o := kept()
	got, err := join(d)
	if err != nil || !got.Grants.Publish || got.Token.Empty() {
		t.Fatalf("%+v %v", got, err)
	}
	if strings.Join(n.order, " ") != "remember bans entitlement minted" {
		t.Errorf("order %v", n.order)
	}
	if o.principal.Claims["plan"] != "newest" {
		t.Error("decided on an older token's claims")
	}
	want := Mint{
		Room: "r", Identity: "ann", Principal: PrincipalKey{"i", "ann"}, SeatFor: time.Hour + time.Minute,
		Rights: got.Grants.Rights(), Expires: time.Time{}.Add(time.Hour),
	}
	if n.mint != want {
		t.Errorf("mint %+v", n.mint)
	}
}

// Who could never lose a right again gets none but watching.
func TestUnrecordedParticipantMayOnlyWatch(t *testing.T) {
	for name, breakIt := range map[string]func(*notes){
		"not remembered": func(n *notes) { n.remember = errors.New("disk full") },
		"not marked":     func(n *notes) { n.minted = errors.New("disk full") },
	} {
		d, n, _ := kept()
		breakIt(n)
		got, err := join(d)
		if err != nil || got.Grants.Publish || got.Grants.PublishData || !got.Grants.Subscribe || got.PublishDenied != BillingUnavailable || got.Token.Empty() {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		if got.TTL != unrecordedTTL || n.mint.Expires != (time.Time{}.Add(unrecordedTTL)) || n.mint.Rights != got.Grants.Rights() {
			t.Errorf("%s: the token lives %v, recorded is %+v", name, got.TTL, n.mint)
		}
	}
	// Whoever may only watch anyway is told the true reason.
	d, n, o := kept()
	n.minted, o.entitlement = errors.New("disk full"), Entitlement{Withheld: NoSubscription}
	if got, err := join(d); err != nil || got.PublishDenied != NoSubscription {
		t.Errorf("%+v %v", got, err)
	}
}

// limited is a policy whose sessions end.
type limited struct{ byFeature }

func (l limited) Decide(s Situation) (Decision, error) {
	decision, err := l.byFeature.Decide(s)
	decision.MaxSession = time.Hour
	return decision, err
}

type noSessions struct{}

func (noSessions) Since(context.Context, PrincipalKey, Room) (time.Time, error) {
	return time.Time{}, nil
}

func TestUnrecordedParticipant_GetsNoTokenWhereSessionsAreLimited(t *testing.T) {
	d, n, _ := kept()
	d.Policy, d.Sessions = limited{}, noSessions{}
	n.minted = errors.New("disk full")
	if _, err := join(d); KindOf(err) != Unavailable {
		t.Errorf("%v", err)
	}
}

func TestBannedCallerIsRefusedBeforeAnythingIsLookedUp(t *testing.T) {
	d, n, o := kept()
	n.banned = Refuse(Banned, "out")
	if got, err := join(d); KindOf(err) != Banned || !got.Token.Empty() || slices.Contains(n.order, "entitlement") || slices.Contains(n.order, "minted") {
		t.Errorf("%+v %v %v", got, err, n.order)
	}
	if _, err := d.Decide(context.Background(), Principal{}, "r"); KindOf(err) != Banned {
		t.Error(err)
	}
	_ = o
}

// A join and a change mid-call never disagree; only what could not be known differs.
func TestJoinAndDecideAreOneDecision(t *testing.T) {
	for _, e := range []Entitlement{{}, {Withheld: SubscriptionInactive}, {Features: []Feature{"publish"}}, {Features: []Feature{"x"}, Withheld: FeatureNotInPlan}} {
		d, _, o := kept()
		o.entitlement = e
		o.entitlement.Until = time.Unix(9, 0)
		joined, err := join(d)
		decided, second := d.Decide(context.Background(), Principal{Issuer: "i", Subject: "ann"}, "r")
		if err != nil || second != nil || !joined.Grants.Same(decided.Grants) || joined.PublishDenied != decided.PublishDenied || !decided.Until.Equal(o.entitlement.Until) {
			t.Errorf("%+v and %+v, %v %v", joined, decided, err, second)
		}
	}
	d, _, o := kept()
	o.err = errors.New("the database is away")
	if got, err := join(d); err != nil || got.PublishDenied != BillingUnavailable {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := d.Decide(context.Background(), Principal{}, "r"); !errors.Is(err, o.err) {
		t.Errorf("mid-call nothing may be changed on what is not known: %v", err)
	}
}

// until is a policy whose decision ends at a time.
type until struct {
	at  time.Time
	now *time.Time
}

func (u until) Decide(s Situation) (Decision, error) {
	*u.now = s.Now
	return Decision{TTL: time.Hour, Grants: Grants{Subscribe: true}, Until: u.at}, nil
}

// What ends first is when the decision is to be taken again.
func TestDecisionEndsWithWhatEndsFirst(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	for _, c := range []struct{ policy, entitlement, want time.Time }{
		{early, late, early}, {late, early, early}, {early, time.Time{}, early}, {time.Time{}, late, late}, {},
	} {
		d, _, o := kept()
		var now time.Time
		d.Policy, o.entitlement.Until = until{c.policy, &now}, c.entitlement
		got, err := d.Decide(context.Background(), Principal{Issuer: "i", Subject: "ann"}, "r")
		if err != nil || !got.Until.Equal(c.want) || !now.IsZero() {
			t.Errorf("%+v: %v %v, decided at %v", c, got.Until, err, now)
		}
		d.Now = func() time.Time { return late }
		if _, err := join(d); err != nil || !now.Equal(late) {
			t.Errorf("a join was decided at %v, %v", now, err)
		}
	}
}

func TestReferences(t *testing.T) {
	for _, c := range []struct{ prefix, subject, want string }{
		{"", "ann", "b64_YW5u ann"},
		{"", "auth0|123", "b64_YXV0aDB8MTIz auth0|123"},
		{"oidc", "ann", "oidc_b64_YW5u oidc_ann"},
		{"", "b64_YW5u", "b64_YjY0X1lXNXU"},
		{"", "oidc_ann", "b64_b2lkY19hbm4"},
		{"oidc", "b64_x", "oidc_b64_YjY0X3g"},
		{"", "oidcann", "b64_b2lkY2Fubg oidcann"},
		{"", "_ann", "b64_X2Fubg _ann"},
		{"oidc", "oidc_ann", "oidc_b64_b2lkY19hbm4 oidc_oidc_ann"},
	} {
		p := Principal{Issuer: "i", Subject: c.subject, IdentityPrefix: c.prefix}
		if got := strings.Join(p.References([]string{"oidc", ""}), " "); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.prefix, c.subject, got, c.want)
		}
	}
	if (Principal{Subject: "ann"}).References(nil) != nil || (Principal{Issuer: "i"}).References(nil) != nil {
		t.Error("nobody has a reference")
	}
}

// No two principals share a reference, however they choose their subjects.
func FuzzReferences(f *testing.F) {
	f.Add("ann", "b64_YW5u", true, false)
	f.Add("oidc_ann", "ann", false, true)
	f.Fuzz(func(t *testing.T, a, b string, prefixedA, prefixedB bool) {
		of := func(subject string, prefixed bool) Principal {
			p := Principal{Issuer: "one", Subject: subject}
			if prefixed {
				p.Issuer, p.IdentityPrefix = "two", "oidc"
			}
			return p
		}
		one, other := of(a, prefixedA), of(b, prefixedB)
		if one.Key() == other.Key() {
			return
		}
		for _, reference := range one.References([]string{"oidc"}) {
			if slices.Contains(other.References([]string{"oidc"}), reference) {
				t.Errorf("%q and %q are both %q", a, b, reference)
			}
		}
	})
}

func TestClaimsAtAndKeep(t *testing.T) {
	claims := Claims{"a": 1.0, "https://x.example/app": map[string]any{"customer": "cus_1"}, "app": map[string]any{"b": map[string]any{"c": "d"}, "b.c": "longer"}, "zero": nil}
	for path, want := range map[string]any{"a": 1.0, "https://x.example/app.customer": "cus_1", "app.b.c": "longer", "zero": nil} {
		if got, ok := claims.At(path); !ok || got != want {
			t.Errorf("%s: %v %v", path, got, ok)
		}
	}
	for _, path := range []string{"", "b", "a.b", "app.x", ".a", "a.", "https://x.example/app.customer.x"} {
		if got, ok := claims.At(path); ok {
			t.Errorf("%q: %v", path, got)
		}
	}
	kept := claims.Keep([]string{"https://x.example/app.customer", "app.b.c", "none", ""})
	if len(kept) != 2 {
		t.Errorf("kept %v", kept)
	}
	if got, ok := kept.At("https://x.example/app.customer"); !ok || got != "cus_1" {
		t.Errorf("not found again: %v", kept)
	}
}

func TestGrantsSame(t *testing.T) {
	full := Grants{Subscribe: true, Publish: true, PublishData: true}
	listed := full
	listed.Sources = []Source{ScreenShareAudio, ScreenShare, Microphone, Camera}
	one := full
	one.Sources = []Source{Camera}
	if !full.Same(listed) || full.Same(one) || !(Grants{Sources: []Source{Camera}}).Same(Grants{}) {
		t.Error("sources")
	}
	for _, change := range []func(*Grants){func(g *Grants) { g.Subscribe = false }, func(g *Grants) { g.Publish = false }, func(g *Grants) { g.PublishData = false }, func(g *Grants) { g.UpdateOwnMetadata = true }} {
		other := full
		change(&other)
		if full.Same(other) {
			t.Errorf("%+v is not %+v", other, full)
		}
	}
}

func TestBanCovers(t *testing.T) {
	now := time.Unix(1000, 0)
	ann := PrincipalKey{"i", "ann"}
	for name, c := range map[string]struct {
		ban  Ban
		want bool
	}{
		"every room, for good": {Ban{Principal: ann}, true},
		"this room":            {Ban{Principal: ann, Room: "r"}, true},
		"another room":         {Ban{Principal: ann, Room: "R"}, false},
		"another issuer":       {Ban{Principal: PrincipalKey{"j", "ann"}}, false},
		"still on":             {Ban{Principal: ann, Until: now.Add(1)}, true},
		"over":                 {Ban{Principal: ann, Until: now}, false},
	} {
		if c.ban.Covers(ann, "r", now) != c.want {
			t.Error(name)
		}
	}
}
