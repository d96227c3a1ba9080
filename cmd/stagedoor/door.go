package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"stagedoor"
	"stagedoor/internal/authn"
	"stagedoor/internal/config"
)

// newAuthenticator builds the callers' issuers that the configuration names.
func newAuthenticator(cfg *config.Config, mintingKey string, now func() time.Time, log *slog.Logger) (*authn.Authenticator, error) {
	options := authn.Options{MintingKeys: []string{mintingKey, cfg.LiveKitAPIKeyPrevious}, PlainHTTP: config.PrivateHost, Now: now, Log: log}
	if !cfg.JWTSecret.Empty() {
		issuer := authn.Issuer{ID: cfg.JWTIssuer, Secrets: []stagedoor.Secret{cfg.JWTSecret}, IdentityPrefix: cfg.JWTIdentityPrefix,
			IdentityClaim: cfg.IdentityClaim, NameClaim: cfg.NameClaim, Audiences: cfg.JWTAudience}
		if !cfg.JWTSecretPrevious.Empty() {
			issuer.Secrets = append(issuer.Secrets, cfg.JWTSecretPrevious)
		}
		options.Issuers = append(options.Issuers, issuer)
	}
	if cfg.OIDCIssuer != "" {
		jwksURL := ""
		if cfg.OIDCJWKSURL != nil {
			jwksURL = cfg.OIDCJWKSURL.String()
		}
		options.Issuers = append(options.Issuers, authn.Issuer{ID: cfg.OIDCIssuer, Remote: true, JWKSURL: jwksURL,
			Audiences: cfg.OIDCAudience, AuthorizedParties: cfg.OIDCAuthorizedParties, IdentityPrefix: cfg.OIDCIdentityPrefix,
			IdentityClaim: cfg.IdentityClaim, NameClaim: cfg.NameClaim})
	}
	return authn.New(options)
}

// newLogger writes logs as the configuration says: JSON, or text on a terminal.
func newLogger(cfg *config.Config, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" || (cfg.LogFormat == "" && terminal(out)) {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}

// background runs work until stop is called, which waits for its end.
func background(ctx context.Context, work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
