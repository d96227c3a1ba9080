package config

import (
	"slices"
	"testing"
)

const issuer = "OIDC_ISSUER=https://idp.acme.test/"

func TestNobodyCanAuthenticateIsRefused(t *testing.T) {
	check(t, []rule{
		{"neither issuer", Serve, []string{"JWT_SECRET="}, []string{"JWT_SECRET: OIDC_ISSUER"}, nil},
		{"the remedy names dev", Serve, []string{"JWT_SECRET="}, []string{"JWT_SECRET: stagedoor dev"}, nil},
		{"dev brings its own callers", Dev, []string{"JWT_SECRET="}, nil, nil},
		{"a tool has no callers", Tool, []string{"JWT_SECRET="}, nil, nil},
		{"a policy file may name issuers", Serve, []string{"JWT_SECRET=", "POLICY_FILE=rooms.yaml"}, nil, nil},
		{"a command that asks nobody", Offline, []string{"JWT_SECRET=", "LIVEKIT_URL=", "LIVEKIT_API_KEY=", "LIVEKIT_API_SECRET="}, nil, nil},
		{"OIDC alone", Serve, []string{"JWT_SECRET=", issuer, "OIDC_AUDIENCE=door"}, nil, nil},
	})
}

// Libraries skip an empty audience, and any application's token gets in.
func TestEmptyAudienceIsRefused(t *testing.T) {
	alone := func(env ...string) []string { return append(env, "JWT_SECRET=", issuer) }
	check(t, []rule{
		{"none", Serve, alone(), []string{"OIDC_AUDIENCE: OIDC_AUTHORIZED_PARTIES"}, nil},
		{"none in dev", Dev, alone(), []string{"OIDC_AUDIENCE: is missing"}, nil},
		{"empty", Serve, alone("OIDC_AUDIENCE="), []string{"OIDC_AUDIENCE: is missing"}, nil},
		{"a comma", Serve, alone("OIDC_AUDIENCE=,"), []string{"OIDC_AUDIENCE: empty entry"}, nil},
		{"a comma too many", Serve, alone("OIDC_AUDIENCE=door,"), []string{"OIDC_AUDIENCE: empty entry"}, nil},
		{"a blank entry", Serve, alone("OIDC_AUDIENCE=door, ,hall"), []string{"OIDC_AUDIENCE: empty entry"}, nil},
		{"parties with a comma", Serve, alone("OIDC_AUTHORIZED_PARTIES=,"), []string{"OIDC_AUTHORIZED_PARTIES: empty entry"}, nil},
		{"an audience", Serve, alone("OIDC_AUDIENCE=door"), nil, nil},
		{"parties", Serve, alone("OIDC_AUTHORIZED_PARTIES=web, app"), nil, nil},
		{"an empty audience for JWT_SECRET", Serve, []string{"JWT_AUDIENCE=,"}, []string{"JWT_AUDIENCE: empty entry"}, nil},
	})
	config, report := load(t, Serve, alone("OIDC_AUTHORIZED_PARTIES=web, app,web")...)
	if report.Err() != nil || !slices.Equal(config.OIDCAuthorizedParties, []string{"web", "app"}) {
		t.Errorf("parties are %q, %v", config.OIDCAuthorizedParties, report.Err())
	}
}

// Whoever sets one of these believes that it closes something.
func TestSettingsWithoutTheirIssuerAreRefused(t *testing.T) {
	oidc := []string{"JWT_SECRET=", issuer, "OIDC_AUDIENCE=door"}
	check(t, []rule{
		{"OIDC_AUDIENCE", Serve, []string{"OIDC_AUDIENCE=door"}, []string{"OIDC_AUDIENCE: without OIDC_ISSUER"}, nil},
		{"OIDC_AUTHORIZED_PARTIES", Serve, []string{"OIDC_AUTHORIZED_PARTIES=web"}, []string{"OIDC_AUTHORIZED_PARTIES: without OIDC_ISSUER"}, nil},
		{"OIDC_JWKS_URL", Serve, []string{"OIDC_JWKS_URL=https://idp.acme.test/keys"}, []string{"OIDC_JWKS_URL: without OIDC_ISSUER"}, nil},
		{"OIDC_IDENTITY_PREFIX", Serve, []string{"OIDC_IDENTITY_PREFIX=idp"}, []string{"OIDC_IDENTITY_PREFIX: without OIDC_ISSUER"}, nil},
		{"JWT_ISSUER", Serve, append([]string{"JWT_ISSUER=acme"}, oidc...), []string{"JWT_ISSUER: without JWT_SECRET"}, nil},
		{"JWT_AUDIENCE", Serve, append([]string{"JWT_AUDIENCE=door"}, oidc...), []string{"JWT_AUDIENCE: without JWT_SECRET"}, nil},
		{"JWT_SECRET_PREVIOUS", Serve, append([]string{"JWT_SECRET_PREVIOUS=" + goodOther}, oidc...), []string{"JWT_SECRET_PREVIOUS: without JWT_SECRET"}, nil},
		{"JWT_IDENTITY_PREFIX", Serve, append([]string{"JWT_IDENTITY_PREFIX=app"}, oidc...), []string{"JWT_IDENTITY_PREFIX: without JWT_SECRET"}, nil},
	})
}

// Each issuer chooses its own subjects, so alike ones must not be one person.
func TestTwoIssuersAreKeptApart(t *testing.T) {
	both := func(env ...string) []string { return append(env, issuer, "OIDC_AUDIENCE=door") }
	check(t, []rule{
		{"one string for both", Serve, both("JWT_ISSUER=https://idp.acme.test/", "OIDC_IDENTITY_PREFIX=idp"), []string{"JWT_ISSUER: equals OIDC_ISSUER"}, nil},
		{"a slash makes another issuer", Serve, both("JWT_ISSUER=https://idp.acme.test", "OIDC_IDENTITY_PREFIX=idp"), nil, nil},
		{"LiveKit's key", Serve, []string{"JWT_ISSUER=APIq7wJc2xYt9Lr"}, []string{"JWT_ISSUER: equals a LiveKit API key"}, nil},
		{"the invited guests' issuer", Serve, []string{"JWT_ISSUER=stagedoor:guest"}, []string{"JWT_ISSUER: come by invitation"}, nil},
		{"the guests' as a provider", Serve, []string{"JWT_SECRET=", "OIDC_ISSUER=stagedoor:guest", "OIDC_AUDIENCE=door"}, []string{"OIDC_ISSUER: must begin with http:// or https://"}, nil},
		{"one prefix for both", Serve, both("JWT_IDENTITY_PREFIX=a", "OIDC_IDENTITY_PREFIX=a"), []string{"OIDC_IDENTITY_PREFIX: equals JWT_IDENTITY_PREFIX"}, nil},
		{"guest", Serve, both("OIDC_IDENTITY_PREFIX=guest"), []string{"OIDC_IDENTITY_PREFIX: reserved"}, nil},
		{"guest alone", Serve, []string{"JWT_IDENTITY_PREFIX=guest"}, []string{"JWT_IDENTITY_PREFIX: reserved"}, nil},
		{"a colon", Serve, both("OIDC_IDENTITY_PREFIX=a:b"), []string{"OIDC_IDENTITY_PREFIX: lower-case"}, nil},
		{"upper case", Serve, both("OIDC_IDENTITY_PREFIX=Idp"), []string{"OIDC_IDENTITY_PREFIX: lower-case"}, nil},
	})
	for _, c := range []struct{ jwt, oidc, want string }{
		{"", "", "oidc"}, {"app", "", ""}, {"", "idp", "idp"}, {"app", "idp", "idp"},
	} {
		config, report := load(t, Serve, both("JWT_IDENTITY_PREFIX="+c.jwt, "OIDC_IDENTITY_PREFIX="+c.oidc)...)
		if report.Err() != nil {
			t.Fatal(report.Err())
		}
		if config.OIDCIdentityPrefix != c.want || config.JWTIdentityPrefix != c.jwt {
			t.Errorf("%+v gives %q and %q", c, config.JWTIdentityPrefix, config.OIDCIdentityPrefix)
		}
		if warned := mentions(report.Warnings, "OIDC_IDENTITY_PREFIX: begin with oidc:"); warned != (c.jwt == "" && c.oidc == "") {
			t.Errorf("%+v: warned %v", c, warned)
		}
	}
}

func TestIssuerIsKeptByteForByte(t *testing.T) {
	for _, s := range []string{"https://idp.acme.test/", "https://idp.acme.test", "https://IDP.acme.test:443/Realms/a%2Fb/"} {
		config, report := load(t, Serve, "JWT_SECRET=", "OIDC_ISSUER="+s, "OIDC_AUDIENCE=door")
		if report.Err() != nil || config.OIDCIssuer != s {
			t.Errorf("%s: %v", s, report.Err())
		}
	}
}

// Without rules everybody may watch everything: that is said, and what to do.
func TestDoorWithoutRulesIsSaid(t *testing.T) {
	check(t, []rule{{"no file", Serve, nil, nil, []string{"POLICY_FILE: is not set: every authenticated caller may watch every room write a policy file (docs/policy.md)"}}})
	config, report := load(t, Serve, "POLICY_FILE=rooms.yaml")
	if report.Err() != nil || mentions(report.Warnings, "POLICY_FILE: ") || config.PolicyFile != "rooms.yaml" {
		t.Errorf("with a file: %+v %v", report.Warnings, report.Err())
	}
}

// The secret of an invitation follows this address.
func TestInvitationsLeadToAPrivateOrEncryptedPage(t *testing.T) {
	check(t, []rule{
		{"clear text", Serve, []string{"INVITE_URL=http://rooms.acme.test/"}, []string{"INVITE_URL: clear text"}, nil},
		{"a private host", Serve, []string{"INVITE_URL=http://localhost:8080/guests"}, nil, nil},
		{"a fragment", Serve, []string{"INVITE_URL=https://rooms.acme.test/#here"}, []string{"INVITE_URL: fragment"}, nil},
		{"credentials", Serve, []string{"INVITE_URL=https://ann:hunter2hunter2@rooms.acme.test/"}, []string{"INVITE_URL: user name or password"}, nil},
		{"a path alone", Serve, []string{"INVITE_URL=/guests"}, []string{"INVITE_URL: must begin with"}, nil},
	})
	config, report := load(t, Serve, "INVITE_URL=https://rooms.acme.test/guests?lang=de")
	if report.Err() != nil || config.InviteURL.String() != "https://rooms.acme.test/guests?lang=de" {
		t.Errorf("%v", report.Err())
	}
}
