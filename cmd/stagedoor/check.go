package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"stagedoor"
	"stagedoor/internal/authn"
	"stagedoor/internal/billing"
	"stagedoor/internal/check"
	"stagedoor/internal/config"
	"stagedoor/internal/livekit"
	"stagedoor/internal/policy"
	"stagedoor/internal/store"
)

type checkCmd struct {
	URL   string   `name:"url" placeholder:"URL" help:"The door's public address, such as https://door.example.com; where the platform names it, it is known."`
	Files []string `placeholder:"PATH" help:"Files and directories that clients get, to look for secrets in."`
	Token string   `placeholder:"TOKEN" help:"Say why this token is or is not taken: a caller's or LiveKit's. - reads it from standard input, so that no history keeps it."`
	JSON  bool     `help:"As JSON."`
}

// Run looks at everything on the security checklist.
func (c *checkCmd) Run(a *app) error {
	cfg, report := config.Inspect(a.environ, a.envFile)
	if c.Token != "" {
		return c.token(a, cfg)
	}
	target, err := c.target(a, cfg, report)
	if err != nil {
		return err
	}
	return c.print(a, check.Run(a.ctx, target))
}

// print writes a report; one with a failure is a failed command.
func (c *checkCmd) print(a *app, r check.Report) error {
	var err error
	if c.JSON {
		encoder := json.NewEncoder(a.out)
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(r)
	} else {
		err = r.Print(a.out, coloured(a.out, a.environ))
	}
	if err == nil && !r.OK {
		return failure{status: exitFailed}
	}
	return err
}

// maxToken is more than a token has, in bytes.
const maxToken = 64 << 10

// token walks through one token.
func (c *checkCmd) token(a *app, cfg *config.Config) error {
	token := stagedoor.NewSecret(c.Token)
	if c.Token == "-" {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, maxToken))
		if err != nil {
			return err
		}
		token = stagedoor.NewSecret(string(data))
	}
	target := check.Target{Now: a.now, Shared: sharedOf(cfg)}
	issuers, _, _ := c.issuers(a, cfg)
	target.Issuers = publishing(cfg, issuers)
	ring := check.Keyring{
		LiveKitKeys: map[string]string{},
		Verify: func(token stagedoor.Secret, set []byte) error {
			keys, err := authn.ParseJWKS(set)
			if err != nil {
				return err
			}
			signed, err := authn.ParseJWS(token.Reveal())
			if err != nil {
				return err
			}
			return keys.Verify(signed)
		},
	}
	for key, secret := range map[string]string{cfg.LiveKitAPIKey: "LIVEKIT_API_SECRET", cfg.LiveKitAPIKeyPrevious: "LIVEKIT_API_SECRET_PREVIOUS"} {
		if key != "" {
			ring.LiveKitKeys[key] = secret
		}
	}
	for _, s := range cfg.Secrets() {
		ring.Secrets = append(ring.Secrets, check.NamedSecret{Name: s.Name, Value: s.Value})
	}
	if callers, err := a.newAuthenticator(cfg, issuers, cfg.LiveKitAPIKey, unheard()); err == nil && len(issuers) > 0 {
		ring.Accept = func(ctx context.Context, token stagedoor.Secret) error {
			return accept(ctx, callers, stagedoor.NewCredential(token.Reveal()))
		}
	}
	return c.print(a, check.Token(a.ctx, target, ring, token))
}

// accept has the door's own authenticator judge a token, and gives an issuer
// whose keys it needs and has not as long as a check may take.
func accept(ctx context.Context, callers *authn.Authenticator, token stagedoor.Credential) error {
	_, err := callers.Authenticate(ctx, token)
	if stagedoor.KindOf(err) != stagedoor.Unavailable {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, check.AskPatience)
	defer cancel()
	defer background(ctx, callers.Run)()
	for {
		if _, err = callers.Authenticate(ctx, token); stagedoor.KindOf(err) != stagedoor.Unavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// issuers are those of the environment and of the policy file, with the rules
// or what is wrong with them.
func (c *checkCmd) issuers(a *app, cfg *config.Config) ([]authn.Issuer, *policy.Source, error) {
	var said strings.Builder
	silent := *a
	silent.err = &said
	r, err := silent.openPolicy(cfg, "", nil)
	if err != nil {
		if said.Len() > 0 {
			err = errors.New(strings.TrimSpace(said.String()))
		}
		return usable(issuersFrom(cfg, nil)), nil, err
	}
	return usable(issuersFrom(cfg, r.Issuers())), r, nil
}

// usable leaves out issuers that serve would not start with: what is wrong
// with them is among the problems.
func usable(all []authn.Issuer) []authn.Issuer {
	var list []authn.Issuer
	for _, i := range all {
		if _, err := authn.New(authn.Options{Issuers: []authn.Issuer{i}, Log: unheard()}); err == nil {
			list = append(list, i)
		}
	}
	return list
}

// target is everything that there is to look at.
func (c *checkCmd) target(a *app, cfg *config.Config, report *config.Report) (check.Target, error) {
	t := check.Target{Now: a.now, Files: c.Files, Secrets: len(cfg.Secrets()), Shared: sharedOf(cfg)}
	for _, p := range report.Problems {
		note := check.Note{Name: p.Name, What: p.What, Remedy: p.Remedy, Stops: true}
		if p.Weak {
			t.Weak = append(t.Weak, note)
		} else {
			t.Notes = append(t.Notes, note)
		}
	}
	for _, p := range report.Warnings {
		if !restated(p.Name) {
			t.Notes = append(t.Notes, check.Note{Name: p.Name, What: p.What, Remedy: p.Remedy})
		}
	}
	issuers, rules, broken := c.issuers(a, cfg)
	t.Issuers = publishing(cfg, issuers)
	t.Notes = append(t.Notes, startNotes(a, cfg, report, broken)...)
	t.LiveKit = livekitOf(a, cfg)
	t.Stripe = check.Stripe{Key: cfg.StripeSecretKey, API: "https://api.stripe.com", Webhook: len(cfg.StripeWebhookSecret) > 0,
		MustBeLive: cfg.RequireLiveBilling, Platform: cfg.Platform, Events: billing.Listened()}
	if cfg.StripeAPIURL != nil {
		t.Stripe.API = strings.TrimRight(cfg.StripeAPIURL.String(), "/")
	}
	t.Store = storeOf(cfg, report)
	t.Scan = scanFor(a, cfg, report)
	t.Door = doorOf(a, cfg)
	if t.Door.Broken = broken; rules != nil {
		t.Door.PolicyFile = rules.Path()
		if file := rules.File(); file != nil {
			t.Door.Rules, t.Door.Unpaid = file.Rules(), file.Unpaid()
		}
	}
	return t, c.publicAddress(cfg, &t.Door)
}

// restated are the variables whose warnings a check says with what it saw.
func restated(name string) bool {
	switch name {
	case "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "DATABASE_URL", "POLICY_FILE", "REQUIRE_HTTPS":
		return true
	}
	return false
}

// publicAddress takes the door's from --url, or from what the platform says.
// Errors: usage.
func (c *checkCmd) publicAddress(cfg *config.Config, d *check.Door) error {
	if c.URL == "" {
		if cfg.PublicHost != "" {
			d.URL = "https://" + cfg.PublicHost
		}
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return failure{exitUsage, errors.New("--url must be an address such as https://door.example.com")}
	}
	d.URL = strings.TrimRight(c.URL, "/")
	return nil
}

// sharedOf is the secret that an application signs with.
func sharedOf(cfg *config.Config) check.Shared {
	return check.Shared{Configured: !cfg.JWTSecret.Empty(), Issuer: cfg.JWTIssuer, Audiences: cfg.JWTAudience}
}

// publishing are the issuers that publish their keys.
func publishing(cfg *config.Config, all []authn.Issuer) []check.Issuer {
	var list []check.Issuer
	for _, i := range all {
		if !i.Remote {
			continue
		}
		found := check.Issuer{ID: i.ID, Variable: "issuer in POLICY_FILE", Audience: "audience in POLICY_FILE", JWKSURL: i.JWKSURL, Audiences: i.Audiences, Parties: i.AuthorizedParties,
			Usable: func(set []byte) (int, error) {
				keys, err := authn.ParseJWKS(set)
				return keys.Len(), err
			}}
		if i.ID == cfg.OIDCIssuer {
			found.Variable, found.Audience = "OIDC_ISSUER", "OIDC_AUDIENCE"
		}
		list = append(list, found)
	}
	return list
}

// livekitOf is the deployment as the door would call it.
func livekitOf(a *app, cfg *config.Config) check.LiveKit {
	l := check.LiveKit{API: cfg.APIURL(), Key: cfg.LiveKitAPIKey, Secret: cfg.LiveKitAPISecret, Webhooks: cfg.LiveKitWebhooks}
	if cfg.LiveKitURL != nil {
		public := *cfg
		public.LiveKitAPIURL = nil
		l.URL = public.APIURL()
	}
	l.Sign = func(room stagedoor.Room, identity stagedoor.Identity, ahead time.Duration) (stagedoor.Token, error) {
		signer := &livekit.Signer{Key: l.Key, Secret: l.Secret, Now: func() time.Time { return a.now().Add(ahead) }}
		return signer.Sign(stagedoor.Admission{Room: room, Identity: identity, TTL: time.Minute})
	}
	l.Rooms = func(ctx context.Context, ahead time.Duration) (int, error) {
		service := &livekit.RoomService{URL: l.API, Key: l.Key, Secret: l.Secret, Now: func() time.Time { return a.now().Add(ahead) }}
		rooms, err := service.Rooms(ctx)
		if errors.Is(err, livekit.ErrKeyRefused) {
			err = check.ErrKeyRefused
		}
		return len(rooms), err
	}
	return l
}

// storeOf is the database, which is only looked at.
func storeOf(cfg *config.Config, report *config.Report) check.Store {
	s := check.Store{Path: cfg.DatabasePath}
	if s.Path == "" {
		return s
	}
	if _, err := os.Stat(s.Path); cfg.AdminURL != nil && errors.Is(err, fs.ErrNotExist) {
		s.Elsewhere = "the door at ADMIN_URL has it; run check there, too"
		return s
	}
	s.Inspect = func(ctx context.Context) (check.Kept, error) {
		found, err := store.Inspect(ctx, s.Path)
		return check.Kept(found), err
	}
	for _, w := range report.Warnings {
		if w.Name == "DATABASE_URL" && cfg.Railway {
			s.Lost, s.LostRemedy = w.What, w.Remedy
		}
	}
	return s
}

// doorOf is how the door listens, and where a running one is asked.
func doorOf(a *app, cfg *config.Config) check.Door {
	d := check.Door{RequireHTTPS: cfg.RequireHTTPS, Loopback: cfg.Loopback(), Feature: cfg.PublishFeature, Origins: cfg.AllowedOrigins,
		OwnTLS: cfg.TLSCertFile != "" || len(cfg.TLSDomains) > 0, AdminURL: "http://" + cfg.AdminAddr, Named: cfg.AdminURL != nil,
		Limits: fmt.Sprintf("%s a caller, %s an address, %s failures", rateText(cfg.RateLimitUser), rateText(cfg.RateLimitIP), rateText(cfg.RateLimitFailures))}
	for _, p := range cfg.TrustedProxies {
		d.Proxies = append(d.Proxies, p.String())
	}
	if cfg.AdminURL != nil {
		d.AdminURL = strings.TrimRight(cfg.AdminURL.String(), "/")
	}
	o := &operations{client: &http.Client{}, base: d.AdminURL, token: cfg.AdminToken}
	d.Admin = func(ctx context.Context) error {
		if cfg.AdminURL == nil && !doorAt(ctx, o.base) {
			return errors.New("no door answers at " + o.base)
		}
		answer, err := o.call(ctx, http.MethodGet, "/api/bans", nil, nil)
		if err != nil {
			return err
		}
		return answer.Close()
	}
	return d
}

// rateText writes a rate as it is configured.
func rateText(r config.Rate) string {
	per := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[r.Per]
	return fmt.Sprintf("%d/%s", r.Count, per)
}
