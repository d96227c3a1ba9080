package main

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/url"
	"reflect"

	"stagedoor"
	"stagedoor/internal/authn"
	"stagedoor/internal/config"
	"stagedoor/internal/policy"
)

// newAuthenticator builds the callers' issuers.
func (a *app) newAuthenticator(cfg *config.Config, issuers []authn.Issuer, mintingKey string, log *slog.Logger) (*authn.Authenticator, error) {
	return authn.New(authn.Options{Transport: a.clocks.Transport("issuer", authn.NewTransport()), Issuers: issuers, MintingKeys: []string{mintingKey, cfg.LiveKitAPIKeyPrevious}, PlainHTTP: config.PrivateHost, Now: a.now, Log: log})
}

// issuersFrom are the issuers whose callers' tokens are taken: those of the
// environment, then those of the policy file.
func issuersFrom(cfg *config.Config, file []policy.Issuer) []authn.Issuer {
	var list []authn.Issuer
	if !cfg.JWTSecret.Empty() {
		issuer := authn.Issuer{ID: cfg.JWTIssuer, Secrets: []stagedoor.Secret{cfg.JWTSecret}, IdentityPrefix: cfg.JWTIdentityPrefix,
			IdentityClaim: cfg.IdentityClaim, NameClaim: cfg.NameClaim, Audiences: cfg.JWTAudience}
		if !cfg.JWTSecretPrevious.Empty() {
			issuer.Secrets = append(issuer.Secrets, cfg.JWTSecretPrevious)
		}
		list = append(list, issuer)
	}
	if cfg.OIDCIssuer != "" {
		jwksURL := ""
		if cfg.OIDCJWKSURL != nil {
			jwksURL = cfg.OIDCJWKSURL.String()
		}
		list = append(list, authn.Issuer{ID: cfg.OIDCIssuer, Remote: true, JWKSURL: jwksURL,
			Audiences: cfg.OIDCAudience, AuthorizedParties: cfg.OIDCAuthorizedParties, IdentityPrefix: cfg.OIDCIdentityPrefix,
			IdentityClaim: cfg.IdentityClaim, NameClaim: cfg.NameClaim})
	}
	for _, i := range file {
		list = append(list, authn.Issuer{ID: i.Issuer, Remote: true, JWKSURL: i.JWKSURL,
			Audiences: i.Audiences, AuthorizedParties: i.AuthorizedParties, IdentityPrefix: i.IdentityPrefix,
			IdentityClaim: cmp.Or(i.IdentityClaim, cfg.IdentityClaim), NameClaim: cmp.Or(i.NameClaim, cfg.NameClaim)})
	}
	return list
}

// newLogger writes logs as the configuration says: JSON, or text on a terminal.
func newLogger(cfg *config.Config, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: harmless}
	if cfg.LogFormat == "text" || (cfg.LogFormat == "" && terminal(out)) {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}

// harmless makes every text of a log print as what it is, whoever wrote it:
// the handlers escape line breaks, but neither changes of direction nor the
// terminal's escapes beyond ASCII. A stack is the program's own.
func harmless(_ []string, a slog.Attr) slog.Attr {
	switch value := a.Value.Any().(type) {
	case []string:
		texts := make([]string, len(value))
		for i, text := range value {
			texts[i] = stagedoor.Printable(text)
		}
		a.Value = slog.AnyValue(texts)
	case error:
		a.Value = slog.StringValue(stagedoor.Printable(value.Error()))
	default: // a string, or a room, an identity and the like
		if text := reflect.ValueOf(value); text.Kind() == reflect.String && a.Key != "stack" {
			a.Value = slog.StringValue(stagedoor.Printable(text.String()))
		}
	}
	return a
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

// text is a URL as it is written; empty where there is none.
func text(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.String()
}

// unheard is a log that nobody reads.
func unheard() *slog.Logger { return slog.New(slog.DiscardHandler) }
