package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/livekit"
	"stagedoor/internal/policy"
)

// anyone is a door's surroundings for one random caller.
type anyone struct {
	principal   stagedoor.Principal
	entitlement stagedoor.Entitlement
	invitation  stagedoor.Invitation
	maker       stagedoor.Principal
	broken      bool // the database does not answer
}

func (a *anyone) Authenticate(context.Context, stagedoor.Credential) (stagedoor.Principal, error) {
	return a.principal, nil
}

func (a *anyone) Entitlement(context.Context, stagedoor.Principal) (stagedoor.Entitlement, error) {
	return a.entitlement, nil
}

func (a *anyone) Remember(_ context.Context, p stagedoor.Principal) (stagedoor.Principal, error) {
	return p, a.failing()
}

func (a *anyone) MintLater(stagedoor.Principal, stagedoor.Mint) {}

func (a *anyone) Minted(context.Context, stagedoor.Mint) error { return a.failing() }

func (a *anyone) failing() error {
	if a.broken {
		return context.DeadlineExceeded
	}
	return nil
}

func (a *anyone) Since(context.Context, stagedoor.PrincipalKey, stagedoor.Room) (time.Time, error) {
	return time.Time{}, nil
}

func (a *anyone) Invitation(context.Context, string) (stagedoor.Invitation, stagedoor.Principal, error) {
	return a.invitation, a.maker, nil
}

func (a *anyone) Admit(context.Context, string, stagedoor.PrincipalKey) error { return nil }

func (a *anyone) Record(context.Context, stagedoor.AuditRecord) error { return nil }

// randomPolicy writes a file of rules that open and close things at random.
func randomPolicy(r *rand.Rand) string {
	conditions := []string{"true", "false", "'publish' in features", "'screen' in features", "claims.role == 'host'", "claims.level > 2.0",
		"room.name.endsWith('x')", "principal.subject == 'ann'", "claims.missing == 1", "claims.role == 'host' || 'publish' in features"}
	some := func() string { return conditions[r.IntN(len(conditions))] }
	text := "rooms:\n"
	for _, room := range []string{"a-{n}", "b-{n}", "c-{rest...}"} {
		text += fmt.Sprintf("  - room: %q\n    join: %q\n    publish: %q\n    moderate: %q\n    invite: %q\n", room, some()+" || true", some(), some(), some())
		switch r.IntN(3) {
		case 0:
			text += fmt.Sprintf("    sources: {camera: %q, microphone: %q}\n", some(), some())
		case 1:
			text += "    sources: [microphone]\n"
		}
		for key, value := range map[string]string{"data": fmt.Sprintf("%q", some()), "agents": "[scribe]", "metadata": "true", "attributes": "[hand]",
			"devices": "many", "max_participants": "5", "max_session": "1h"} {
			if r.IntN(2) == 0 {
				text += "    " + key + ": " + value + "\n"
			}
		}
	}
	return text
}

// randomRequest asks for anything that a request can ask for.
func randomRequest(r *rand.Rand) stagedoor.Request {
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	now := func(all ...string) string { // now and then
		if r.IntN(8) > 0 {
			return ""
		}
		return pick(all...)
	}
	request := stagedoor.Request{Room: stagedoor.Room(pick("a-x", "a-1", "b-1", "b-x", "c-x-y", "c-1", "d")), ClientIP: "192.0.2.1",
		Name: pick("", "Ann", "Host"), Identity: now("ann", "bob", "guest:x"), Device: now("tablet"), Guest: now("guest-of-one-tab-1"), Metadata: now(`{"role":"host"}`)}
	if r.IntN(8) == 0 {
		request.Agents = []stagedoor.Agent{{Name: pick("scribe", "spy")}}
	}
	if r.IntN(8) == 0 {
		request.Attributes = map[string]string{pick("hand", "lk.agent.state"): "up"}
	}
	return request
}

// video is what a token says of a participant's rights.
type video struct {
	Metadata   string            `json:"metadata"`
	Attributes map[string]string `json:"attributes"`
	RoomConfig struct {
		Agents []struct {
			Name string `json:"agentName"`
		} `json:"agents"`
	} `json:"roomConfig"`
	Video map[string]any `json:"video"`
}

func tokenSays(t *testing.T, token stagedoor.Token) video {
	t.Helper()
	var says video
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Reveal(), ".")[1])
	if err != nil || json.Unmarshal(payload, &says) != nil {
		t.Fatal(err)
	}
	return says
}

// contained reports what the token grants beyond a decision.
func contained(says video, d stagedoor.Decision) string {
	for name, value := range says.Video {
		on, isFlag := value.(bool)
		allowed := map[string]bool{"roomJoin": true, "canSubscribe": d.Grants.Subscribe, "canPublish": d.Grants.Publish, "canPublishData": d.Grants.PublishData, "canUpdateOwnMetadata": d.Grants.UpdateOwnMetadata}
		if isFlag && on && !allowed[name] {
			return name
		}
	}
	if on, _ := says.Video["canPublish"].(bool); on {
		sources, limited := says.Video["canPublishSources"].([]any)
		if !limited && d.Grants.Sources != nil {
			return "every source"
		}
		for _, source := range sources {
			if !slices.Contains(d.Grants.EffectiveSources(), stagedoor.Source(source.(string))) {
				return source.(string)
			}
		}
	}
	if says.Metadata != "" && !d.Metadata {
		return "metadata"
	}
	for name := range says.Attributes {
		if !slices.Contains(d.Attributes, name) {
			return "attribute " + name
		}
	}
	for _, agent := range says.RoomConfig.Agents {
		if !slices.Contains(d.Agents, agent.Name) {
			return "agent " + agent.Name
		}
	}
	return ""
}

// Whatever is asked for, by whom and however: the token grants nothing that
// the rules alone, asked about the same principal, do not.
func TestNoRequestGetsBeyondThePolicy(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	signer := &livekit.Signer{Key: "key", Secret: stagedoor.NewSecret(strings.Repeat("s", 32)), Now: func() time.Time { return now }}
	granted, refused, publishing, guests := 0, 0, 0, 0
	for range 60 {
		file, err := policy.Parse("random.yaml", []byte(randomPolicy(r)), policy.Limits{PublishFeature: "publish", TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			who := []string{"ann", "bob"}[r.IntN(2)]
			a := &anyone{broken: r.IntN(10) == 0, principal: stagedoor.Principal{Issuer: "i", Subject: who, Handle: who,
				Claims: stagedoor.Claims{"role": []string{"host", "fan"}[r.IntN(2)], "level": float64(r.IntN(5))}}}
			for _, feature := range []stagedoor.Feature{"publish", "screen", "invite"} {
				if r.IntN(2) == 0 {
					a.entitlement.Features = append(a.entitlement.Features, feature)
				}
			}
			about, request := a.principal, randomRequest(r)
			a.maker, a.invitation = about, stagedoor.Invitation{ID: "inv_1", Room: request.Room, Publish: r.IntN(2) == 0}
			isGuest := r.IntN(4) == 0
			if isGuest {
				a.principal = stagedoor.Principal{Issuer: stagedoor.GuestIssuer, Subject: "inv_1", Handle: "inv_1", Invitation: "inv_1"}
				request.Guest = "guest-of-one-tab-1"
			}
			door := &stagedoor.Door{Authenticator: a, Memory: a, Entitlements: a, Policy: file, Sessions: a, Invitations: a, Signer: signer, AuditLog: a, NameFromRequest: true, Now: func() time.Time { return now }}
			got, err := door.Join(t.Context(), stagedoor.NewCredential("c"), func(stagedoor.Principal) (stagedoor.Request, error) { return request, nil })
			pure, pureErr := file.Decide(stagedoor.Situation{Principal: about, Room: request.Room, Entitlement: a.entitlement, Now: now, ClientIP: request.ClientIP})
			if err != nil {
				refused++
				continue
			}
			granted++
			if isGuest {
				guests++
				pure.Metadata, pure.Attributes, pure.Agents = false, nil, nil
				pure.Grants.Publish = pure.Grants.Publish && a.invitation.Publish && pure.Invite
				pure.Grants.PublishData = pure.Grants.PublishData && pure.Grants.Publish
			}
			if beyond := contained(tokenSays(t, got.Token), pure); pureErr != nil || beyond != "" || got.Moderate && (isGuest || !pure.Moderate) || got.Invite && (isGuest || !pure.Invite) {
				t.Fatalf("%q beyond %+v for %+v %+v: %+v", beyond, pure, a.principal, request, got)
			}
			if got.Grants.Publish {
				publishing++
			}
		}
	}
	if granted < 2000 || refused < 2000 || publishing < 300 || guests < 200 {
		t.Errorf("%d granted, %d refused, %d publishing, %d guests: too few to say anything", granted, refused, publishing, guests)
	}
	t.Logf("%d granted, %d of them to publish, %d guests; %d refused", granted, publishing, guests, refused)
}
