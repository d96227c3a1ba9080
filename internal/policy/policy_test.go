package policy

import (
	"slices"
	"testing"
	"time"

	"stagedoor"
)

func TestPublishingNeedsTheFeature(t *testing.T) {
	p := Default{PublishFeature: "publish", TTL: time.Hour}
	for name, c := range map[string]struct {
		entitlement stagedoor.Entitlement
		publish     bool
		denied      stagedoor.Denial
	}{
		"TestNothingPaidPublishesNothing": {stagedoor.Entitlement{}, false, stagedoor.NoSubscription},
		"the feature":                     {stagedoor.Entitlement{Features: []stagedoor.Feature{"screen", "publish"}}, true, ""},
		"another feature":                 {stagedoor.Entitlement{Features: []stagedoor.Feature{"publishing", "PUBLISH"}, Withheld: stagedoor.FeatureNotInPlan}, false, stagedoor.FeatureNotInPlan},
		"billing is down":                 {stagedoor.Entitlement{Withheld: stagedoor.BillingUnavailable}, false, stagedoor.BillingUnavailable},
		"lapsed":                          {stagedoor.Entitlement{Withheld: stagedoor.SubscriptionInactive}, false, stagedoor.SubscriptionInactive},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := p.Decide(stagedoor.Situation{Room: "r", Entitlement: c.entitlement})
			want := stagedoor.Grants{Subscribe: true, Publish: c.publish, PublishData: c.publish}
			if err != nil || d.Grants.Publish != want.Publish || d.Grants.PublishData != want.PublishData || !d.Grants.Subscribe ||
				d.Grants.UpdateOwnMetadata || d.PublishDenied != c.denied || d.TTL != time.Hour {
				t.Errorf("%+v %v", d, err)
			}
		})
	}
}

func TestZeroPolicyLetsNobodyPublish(t *testing.T) {
	d, err := Default{}.Decide(stagedoor.Situation{Room: "r", Entitlement: stagedoor.Entitlement{Features: []stagedoor.Feature{"", "publish"}}})
	if err != nil || d.Grants.Publish || d.TTL != 0 {
		t.Errorf("%+v %v", d, err)
	}
}

func TestUnpaidRulesAreNamed(t *testing.T) {
	f, err := Parse("p.yaml", []byte(`rooms:
  - {name: default, room: a}
  - {name: paid, room: b, publish: "'pro' in features && claims.role == 'host'"}
  - {name: never, room: c, publish: "false"}
  - {name: always, room: d, publish: "true"}
  - {name: hosts, room: e, publish: "claims.role == 'host'"}
`), Limits{PublishFeature: "publish", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Unpaid(); !slices.Equal(got, []string{"always", "hosts"}) {
		t.Errorf("%q", got)
	}
}
