package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/policy"
)

// limitsOf returns what policy files inherit from the configuration.
func limitsOf(cfg *config.Config) policy.Limits {
	return policy.Limits{
		PublishFeature: stagedoor.Feature(cfg.PublishFeature),
		TTL:            cfg.TokenTTL,
		PrivateHost:    config.PrivateHost,
	}
}

// openPolicy opens the policy that the configuration names, else the built-in
// one. It prints the mistakes of a file, one a line.
func (a *app) openPolicy(cfg *config.Config, builtIn string, log *slog.Logger) (*policy.Source, error) {
	o := policy.SourceOptions{Path: cfg.PolicyFile, BuiltIn: builtIn, Limits: limitsOf(cfg), Log: log}
	if !cfg.JWTSecret.Empty() {
		o.Configured = append(o.Configured,
			policy.ConfiguredIssuer{Variable: "JWT", Issuer: cfg.JWTIssuer, Prefix: cfg.JWTIdentityPrefix})
	}
	if cfg.OIDCIssuer != "" {
		o.Configured = append(o.Configured,
			policy.ConfiguredIssuer{Variable: "OIDC", Issuer: cfg.OIDCIssuer, Prefix: cfg.OIDCIdentityPrefix})
	}
	source, err := policy.Open(o)
	var unreadable *policy.UnreadableError
	switch {
	case errors.As(err, &unreadable):
		return nil, failure{exitUsage, fmt.Errorf("POLICY_FILE: %w", err)}
	case err != nil:
		_, _ = fmt.Fprintln(a.err, err)
		return nil, failure{exitUsage, errors.New("the policy file is refused")}
	}
	return source, nil
}

// reloadSignals delivers SIGHUP, which asks for the policy file to be read
// again, until release is called. Without a file SIGHUP ends the process.
func reloadSignals(source *policy.Source) (signals <-chan os.Signal, release func()) {
	if source.Path() == "" {
		return nil, func() {}
	}
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGHUP)
	return received, func() { signal.Stop(received) }
}
