package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"stagedoor"
	"stagedoor/internal/authn"
	"stagedoor/internal/config"
	"stagedoor/internal/policy"
)

// policyCmd are the commands that try a policy file, without a door.
type policyCmd struct {
	Test    policyTestCmd    `cmd:"" help:"Run the examples written in a policy file."`
	Explain policyExplainCmd `cmd:"" help:"Say step by step what a policy file decides about somebody in a room."`
}

type policyTestCmd struct {
	File string `arg:"" help:"The policy file."`
}

// Run says of every expectation whether it holds. What is written in the file
// decides the exit status: 1 where an example differs, 2 where it has mistakes.
func (c *policyTestCmd) Run(a *app) error {
	f, _, err := a.parsePolicy(c.File)
	if err != nil {
		return err
	}
	outcomes := f.Test()
	if len(outcomes) == 0 {
		_, err = fmt.Fprintf(a.out, "%s: %s and no examples\n", stagedoor.Printable(c.File), counted(f.Rules(), "rule"))
		return err
	}
	failed, err := printOutcomes(a.out, coloured(a.out, a.environ), outcomes)
	if err != nil {
		return err
	}
	if failed > 0 {
		return failure{status: exitFailed}
	}
	return nil
}

// parsePolicy reads a policy file for a command, or prints what is wrong with
// it and fails with the usage status.
func (a *app) parsePolicy(path string) (*policy.File, *config.Config, error) {
	cfg, _, err := a.configure(config.Offline)
	if err != nil {
		return nil, nil, err
	}
	data, err := policy.ReadFile(path)
	if err != nil {
		return nil, nil, failure{exitUsage, fmt.Errorf("%s %w", path, err)}
	}
	f, err := policy.Parse(path, data, limitsOf(cfg))
	if err != nil {
		_, _ = fmt.Fprintln(a.err, err)
		return nil, nil, failure{status: exitUsage}
	}
	return f, cfg, nil
}

// printOutcomes writes one line for each expectation under its rule, and a
// sum; it returns how many do not hold.
func printOutcomes(out io.Writer, colour bool, outcomes []policy.Outcome) (failed int, err error) {
	width := 0
	for _, o := range outcomes {
		width = max(width, utf8.RuneCountInString(o.What))
	}
	var text strings.Builder
	rule := "" // no rule is called so
	for _, o := range outcomes {
		if o.Rule != rule {
			rule = o.Rule
			fmt.Fprintf(&text, "%s\n", paint(colour, "1", stagedoor.Printable(rule)))
		}
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(o.What))
		mark, got := paint(colour, "32", "✓"), o.Got
		if !o.OK {
			failed++
			mark, got = paint(colour, "31", "✗"), paint(colour, "31", o.Got+", expected "+o.Want)+because(o.Why)
		}
		fmt.Fprintf(&text, "  %s %s%s  %s  %s\n", mark, o.What, pad, paint(colour, "2", fmt.Sprintf("line %-4d", o.Line)), got)
	}
	sum := paint(colour, "32", counted(len(outcomes), "expectation")+" met")
	if failed > 0 {
		sum = paint(colour, "31", fmt.Sprintf("%d of %s not met", failed, counted(len(outcomes), "expectation")))
	}
	_, err = fmt.Fprintf(out, "%s\n%s\n", text.String(), sum)
	return failed, err
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

type policyExplainCmd struct {
	File     string   `arg:"" help:"The policy file."`
	Room     string   `required:"" help:"The room in question."`
	User     string   `help:"The subject of their token; else the claim sub."`
	Issuer   string   `help:"Who issued their token; else the claim iss, else the first issuer that is configured."`
	Claims   string   `placeholder:"JSON" help:"The claims of their token, or @FILE to read them from."`
	Features []string `help:"What they have paid for, comma-separated."`
	IP       string   `name:"ip" help:"Their address."`
	Now      string   `placeholder:"TIME" help:"When, as 2026-01-31T20:00:00Z; else now."`
	JSON     bool     `help:"As JSON."`
}

// Run says which rule decides, and what each of its conditions says.
func (c *policyExplainCmd) Run(a *app) error {
	f, cfg, err := a.parsePolicy(c.File)
	if err != nil {
		return err
	}
	s, err := c.situation(cfg, f, a.now())
	if err != nil {
		return failure{exitUsage, err}
	}
	e := stagedoor.Explanation{User: s.Principal.Subject, Room: s.Room, Steps: f.Explain(s)}
	if s.ClientIP == "" {
		for i, step := range e.Steps {
			if step.Name == "join" && strings.Contains(step.Text, "request.ip") {
				e.Steps[i].Text += " (without --ip, what it asks of request.ip is taken to hold)"
			}
		}
	}
	if c.JSON {
		encoder := json.NewEncoder(a.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(e)
	}
	return printExplanation(a.out, coloured(a.out, a.environ), e)
}

// situation is what the flags describe.
func (c *policyExplainCmd) situation(cfg *config.Config, f *policy.File, now time.Time) (stagedoor.Situation, error) {
	var s stagedoor.Situation
	claims, err := c.claims()
	if err != nil {
		return s, err
	}
	if s.Principal, err = principalOf(issuersFrom(cfg, f.Issuers()), f.Issuers(), c.Issuer, claims); err != nil {
		return s, err
	}
	if s.Room, err = stagedoor.ParseRoom(norm.NFC.String(c.Room)); err != nil {
		return s, fmt.Errorf("--room: %w", err)
	}
	if s.Now = now; c.Now != "" {
		if s.Now, err = time.Parse(time.RFC3339, c.Now); err != nil {
			return s, errors.New("--now is not a point in time: write it as 2026-01-31T20:00:00Z")
		}
	}
	if c.IP != "" {
		ip, err := netip.ParseAddr(c.IP)
		if err != nil {
			return s, errors.New("--ip is not an IP address")
		}
		s.ClientIP = ip.Unmap().String()
	}
	s.Entitlement.Withheld = stagedoor.NoSubscription
	for _, feature := range c.Features {
		s.Entitlement.Features = append(s.Entitlement.Features, stagedoor.Feature(feature))
		s.Entitlement.Withheld = stagedoor.FeatureNotInPlan
	}
	return s, nil
}

// maxClaims is more than a token can carry, in bytes.
const maxClaims = 64 << 10

// claims reads the claims that are given, with the subject.
func (c *policyExplainCmd) claims() (stagedoor.Claims, error) {
	text := []byte(c.Claims)
	if path, isFile := strings.CutPrefix(c.Claims, "@"); isFile {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--claims: %s %w", path, policy.CannotRead(err))
		}
		defer func() { _ = file.Close() }()
		if text, err = io.ReadAll(io.LimitReader(file, maxClaims)); err != nil {
			return nil, fmt.Errorf("--claims: %s %w", path, policy.CannotRead(err))
		}
	}
	given := stagedoor.Claims{}
	if c.Claims != "" {
		if err := json.Unmarshal(text, &given); err != nil || given == nil {
			return nil, errors.New(`--claims is not a JSON object: write '{"role": "host"}'`)
		}
	}
	claims := maps.Clone(given)
	if c.User != "" {
		if sub, there := claims["sub"]; there && sub != c.User {
			return nil, errors.New("--user is not the claim sub: leave one of them out")
		}
		claims["sub"] = c.User
	}
	if subject, _ := claims["sub"].(string); subject == "" {
		return nil, errors.New("name the caller: --user")
	}
	return claims, nil
}

// principalOf makes of claims what their issuer's settings would. Without a
// name it is the issuer that the claims name, else the file's or the
// configuration's first.
func principalOf(all []authn.Issuer, file []policy.Issuer, name string, claims stagedoor.Claims) (stagedoor.Principal, error) {
	iss, _ := claims["iss"].(string)
	name = cmp.Or(name, iss)
	switch {
	case name != "":
	case len(file) > 0:
		name = file[0].Issuer
	case len(all) > 0:
		name = cmp.Or(all[0].ID, authn.SharedSecretIssuer)
	default:
		name = authn.SharedSecretIssuer
	}
	subject, _ := claims["sub"].(string)
	p := stagedoor.Principal{Issuer: name, Subject: subject, Handle: subject, Claims: claims}
	settings := authn.Issuer{NameClaim: "name"}
	for _, i := range all {
		if cmp.Or(i.ID, authn.SharedSecretIssuer) == name {
			settings = i
		}
	}
	p.IdentityPrefix = settings.IdentityPrefix
	if settings.IdentityClaim != "" {
		handle, _ := claims.At(settings.IdentityClaim)
		if p.Handle, _ = handle.(string); p.Handle == "" {
			return p, fmt.Errorf("--claims has no text %s, from which identities of this issuer are made", settings.IdentityClaim)
		}
	}
	vouched, _ := claims.At(settings.NameClaim)
	p.Name, _ = vouched.(string)
	return p, nil
}

// because adds the condition that made an expectation fail, where one did.
func because(why string) string {
	if why == "" {
		return ""
	}
	return "  (" + stagedoor.Printable(why) + ")"
}
