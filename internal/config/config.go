// Package config reads everything an operator can set, checks it, and says
// every mistake at once. [Config] is the single source of what a variable
// means: docs/configuration.md is generated from its comments and tags.
//
// The package looks at the environment it is handed, at one .env file and at
// the files that NAME_FILE variables point to; it asks no network and no clock.
// No value that it read is ever printed: a secret pasted into the wrong
// variable must not end up in a log.
package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"stagedoor"
)

// Config is the whole configuration, every field checked. The zero value is
// not usable; Load makes one. Treat it as read-only once shared.
//
// Tags: env is the variable, default what an unset one means, derived the
// documentation's words for a default that is computed, min, max and step the
// bounds of a number or duration, oneof the permitted words, schemes those of
// a URL, query whether the URL may carry one, as the form of a text, strength
// the least bytes of a key that people make up, and later what happens to a
// variable whose feature is not in this version: "refuse" where going on would
// leave open what the operator meant to close, "warn" where nothing is lost.
type Config struct {
	// # LiveKit

	// Address of the LiveKit server. Browsers are sent the `ws` or `wss` form, the door itself calls the `http` or `https` form. Without TLS only to a private host.
	LiveKitURL *url.URL `env:"LIVEKIT_URL" derived:"required" schemes:"ws,wss,http,https"`
	// Name of the API key that signs LiveKit tokens. It is public: every token carries it.
	LiveKitAPIKey string `env:"LIVEKIT_API_KEY" derived:"required"`
	// Secret of that key, at least 32 bytes except under `stagedoor dev`. Whoever has it can enter every room and publish.
	LiveKitAPISecret stagedoor.Secret `env:"LIVEKIT_API_SECRET" derived:"required" strength:"32"`
	// Name of the key being rotated out, together with its secret: LiveKit's webhooks signed with it are still accepted, nothing is signed with it.
	LiveKitAPIKeyPrevious string `env:"LIVEKIT_API_KEY_PREVIOUS"`
	// Secret of the key being rotated out.
	LiveKitAPISecretPrevious stagedoor.Secret `env:"LIVEKIT_API_SECRET_PREVIOUS" strength:"32"`
	// Where the door itself calls the LiveKit server, if browsers reach it under another address: to change and end what those in a call may do.
	LiveKitAPIURL *url.URL `env:"LIVEKIT_API_URL" derived:"from LIVEKIT_URL" schemes:"http,https"`
	// Whether LiveKit's events are accepted at `/webhooks/livekit`. Without them an old token is noticed within a minute instead of at once.
	LiveKitWebhooks bool `env:"LIVEKIT_WEBHOOKS" default:"true"`

	// # Listener

	// Port of the public listener on all addresses, IPv4 and IPv6; 0 takes any free one. Platforms set it.
	Port int `env:"PORT" default:"3000" min:"0" max:"65535"`
	// `host:port` of the public listener; wins over PORT. `stagedoor dev` takes only a loopback address.
	ListenAddr string `env:"LISTEN_ADDR" derived:"':PORT'; '127.0.0.1:PORT' in dev" as:"listen"`
	// After SIGTERM: how long the door reports not ready but still serves, so that load balancers stop sending. 0s to 10s.
	DrainDelay time.Duration `env:"DRAIN_DELAY" default:"2s" min:"0s" max:"10s"`
	// Refuse plain-HTTP requests, redirect GET, send HSTS. Callers' tokens travel in the clear without it.
	RequireHTTPS bool `env:"REQUIRE_HTTPS" derived:"'true' unless bound to loopback"`
	// Addresses or CIDRs of the proxies whose `X-Forwarded-*` and client-address headers are believed, or `cloudflare`, `fly`, `render`, `railway`, `nginx`, `private` or `loopback` for those listed below. Anybody in them can claim any address and HTTPS, so name no more than your proxy.
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" derived:"none; the platform's on Railway, Fly and Render"`
	// Header in which a trusted proxy names the client's address, and nothing else. X-Forwarded-For is read from the right, past trusted proxies; any other header must hold one address, or the caller is refused.
	ClientIPHeader string `env:"CLIENT_IP_HEADER" derived:"'X-Forwarded-For'; what TRUSTED_PROXIES or the platform implies" as:"header"`
	// Exact origins (`https://app.example.com`) whose pages may call the door from a browser. There is no wildcard.
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" as:"origin"`
	// PEM file of the certificate chain, if the door itself speaks TLS; together with TLS_KEY_FILE.
	TLSCertFile string `env:"TLS_CERT_FILE"`
	// PEM file of the private key. Both files are read again when they change.
	TLSKeyFile string `env:"TLS_KEY_FILE"`
	// Host names for which the door itself obtains certificates (ACME), instead of TLS_CERT_FILE and TLS_KEY_FILE: the authority must reach the listener at port 443 of each. They are kept in `certificates` beside the database. Setting it accepts the authority's terms of service.
	TLSDomains []string `env:"TLS_DOMAINS" as:"domain"`
	// Directory of another certificate authority that speaks ACME.
	TLSACMEURL *url.URL `env:"TLS_ACME_URL" derived:"that of Let’s Encrypt" schemes:"https"`

	// # Callers

	// Shared secret, at least 32 bytes, with which your application signs its callers' tokens (HS256, HS384, HS512). JWT_SECRET, OIDC_ISSUER or an issuer in POLICY_FILE is required, except under `stagedoor dev`.
	JWTSecret stagedoor.Secret `env:"JWT_SECRET" strength:"32"`
	// Secret being rotated out: tokens signed with it are still accepted.
	JWTSecretPrevious stagedoor.Secret `env:"JWT_SECRET_PREVIOUS" strength:"32"`
	// Required `iss` of tokens signed with JWT_SECRET; unset takes any.
	JWTIssuer string `env:"JWT_ISSUER"`
	// Audiences of which tokens signed with JWT_SECRET must name one. Unset: a token that names any audience is refused (RFC 7519 §4.1.3).
	JWTAudience []string `env:"JWT_AUDIENCE"`
	// Put before the identities of JWT_SECRET's callers, as `prefix:subject`, so that two issuers' subjects cannot meet.
	JWTIdentityPrefix string `env:"JWT_IDENTITY_PREFIX" as:"prefix"`
	// Identity provider that signs callers' tokens, byte for byte as in their `iss`: a trailing slash counts.
	OIDCIssuer string `env:"OIDC_ISSUER" as:"issuer"`
	// Audiences of which the provider's tokens must name one. Required with OIDC_ISSUER unless OIDC_AUTHORIZED_PARTIES is set: without either, a token made for another application would open the door.
	OIDCAudience []string `env:"OIDC_AUDIENCE"`
	// Clients of which the provider's tokens must name one as `azp`, `client_id` or `cid`, for providers that issue tokens without a useful audience.
	OIDCAuthorizedParties []string `env:"OIDC_AUTHORIZED_PARTIES"`
	// Where the provider's keys are, if its discovery document is not to be asked.
	OIDCJWKSURL *url.URL `env:"OIDC_JWKS_URL" derived:"from discovery" schemes:"http,https" query:"ok"`
	// Put before the identities of the provider's callers. At most one of two issuers may do without a prefix.
	OIDCIdentityPrefix string `env:"OIDC_IDENTITY_PREFIX" derived:"none; 'oidc' beside JWT_SECRET if neither issuer has one" as:"prefix"`
	// Cookie from which the token of a caller without an `Authorization` header is read. Pages of other origins than the door's own and ALLOWED_ORIGINS cannot use it. Its name should begin with `__Host-`, so that no sibling host can set it.
	AuthCookie string `env:"AUTH_COOKIE" derived:"off" as:"cookie"`

	// # Tokens and rooms

	// Claim from which the participant's identity is derived: a name, a dotted path, or a namespaced URL.
	IdentityClaim string `env:"IDENTITY_CLAIM" default:"sub" as:"claim"`
	// Claim that holds the display name.
	NameClaim string `env:"NAME_CLAIM" default:"name" as:"claim"`
	// Whether a request's `username` may set the display name. With `false` only the claim counts, and a name in the request is refused.
	NameFromRequest bool `env:"NAME_FROM_REQUEST" default:"true"`
	// How long a LiveKit token may be used to connect, in whole seconds: 2m to 24h.
	TokenTTL time.Duration `env:"TOKEN_TTL" default:"1h" min:"2m" max:"24h" step:"1s"`
	// Feature that opens publishing where no policy says otherwise.
	PublishFeature string `env:"PUBLISH_FEATURE" default:"publish" as:"feature"`
	// File of room rules ([policy.md](policy.md)), read again when it changes. Missing, invalid or failing its own examples it stops the start: without rules every authenticated caller may watch every room.
	PolicyFile string `env:"POLICY_FILE" derived:"none; the demo's own in dev"`
	// The page where invited guests come in; the invitation follows it, behind `#`. Unset, it is the root of the page that asked for the invitation.
	InviteURL *url.URL `env:"INVITE_URL" derived:"the inviter's page" schemes:"http,https" query:"ok"`

	// # Billing

	// Stripe key, `sk_…` or `rk_…`. Without one nobody is entitled by payment. A restricted key needs to read customers, subscriptions, products, prices, Checkout sessions, events and entitlements.
	StripeSecretKey stagedoor.Secret `env:"STRIPE_SECRET_KEY" as:"stripe-key"`
	// Signing secrets of the Stripe webhook, `whsec_…`, comma-separated while one is rotated. Without one `/webhooks/stripe` is 404, and a change is noticed within two minutes instead of at once.
	StripeWebhookSecret []stagedoor.Secret `env:"STRIPE_WEBHOOK_SECRET" as:"stripe-webhook"`
	// Where Stripe's API is, for tests. Without TLS only on a private host: the key travels there.
	StripeAPIURL *url.URL `env:"STRIPE_API_URL" derived:"Stripe's own" schemes:"http,https"`
	// Subscription statuses that count as paid.
	BillingStatuses []string `env:"BILLING_STATUSES" default:"active,trialing" oneof:"active,trialing,past_due,unpaid,paused,incomplete,incomplete_expired,canceled"`
	// How long a subscription that is past due still counts, from when that was first seen.
	BillingGrace time.Duration `env:"BILLING_GRACE" default:"0s" min:"0s"`
	// Claim of the caller's token that names the subscription.
	SubscriptionClaim string `env:"SUBSCRIPTION_CLAIM" default:"subscriptionId" as:"claim"`
	// Claim of the caller's token that names the Stripe customer.
	CustomerClaim string `env:"CUSTOMER_CLAIM" default:"stripe_customer_id" as:"claim"`
	// Refuse to start without a live-mode Stripe key.
	RequireLiveBilling bool `env:"REQUIRE_LIVE_BILLING" default:"false"`

	// # State

	// Database: `sqlite:PATH`, such as `sqlite:door.db` or `sqlite:/var/lib/stagedoor/door.db`; `sqlite://` is read as `sqlite:`, so `sqlite:///var/…` is absolute too. What is in it cannot all be learnt again: bans and links would be lost. It may hold a password, so it is treated as a secret.
	DatabaseURL stagedoor.Secret `env:"DATABASE_URL" derived:"stagedoor.db in $RAILWAY_VOLUME_MOUNT_PATH, $STATE_DIRECTORY or the working directory; a temporary one in dev" as:"database"`
	// Redis that makes rate limits exact across instances. It may hold a password, so it is treated as a secret.
	RedisURL stagedoor.Secret `env:"REDIS_URL" later:"refuse"`

	// # Rate limits

	// Requests of one authenticated caller, as COUNT/s, COUNT/m or COUNT/h.
	RateLimitUser Rate `env:"RATE_LIMIT_USER" default:"60/m"`
	// Requests of one address (IPv6: one /64), counted before any cryptography.
	RateLimitIP Rate `env:"RATE_LIMIT_IP" default:"6000/m"`
	// Failed authentications of one address. Once spent, only further failing requests are refused.
	RateLimitFailures Rate `env:"RATE_LIMIT_FAILURES" default:"30/m"`

	// Requests that run at once. Others wait in a queue, first come first served.
	MaxInFlight int `env:"MAX_IN_FLIGHT" derived:"4 for each processor" min:"1" max:"100000"`
	// How long a request may wait in that queue. Then it is 503 with `Retry-After`; so is, at once, a request that would have to wait longer.
	QueueTimeout time.Duration `env:"QUEUE_TIMEOUT" default:"5s" min:"100ms" max:"8s"`

	// # Operators

	// `host:port` of the admin listener, where operators set bans and ask why. Off loopback ADMIN_TOKEN is required.
	AdminAddr string `env:"ADMIN_ADDR" default:"127.0.0.1:9464" as:"listen"`
	// Token of the admin API, at least 32 characters.
	AdminToken stagedoor.Secret `env:"ADMIN_TOKEN" strength:"32"`
	// Token being rotated out: still accepted.
	AdminTokenPrevious stagedoor.Secret `env:"ADMIN_TOKEN_PREVIOUS" strength:"32"`
	// Serve `/admin/api/*` on the public listener too, for platforms with one port. ADMIN_TOKEN is required then.
	AdminOnPublic bool `env:"ADMIN_ON_PUBLIC" default:"false"`
	// Where the operator's commands find a running door: `http://127.0.0.1:9464`, or `https://door.example.com/admin` with ADMIN_ON_PUBLIC. Unset, they look at ADMIN_ADDR, and open the database themselves when nobody answers there.
	AdminURL *url.URL `env:"ADMIN_URL" schemes:"http,https"`
	// Where audit records go, one JSON line a decision: `stdout`, or a file, which only grows and is readable by its owner alone ([operations.md](operations.md#the-audit-log)).
	AuditLog string `env:"AUDIT_LOG" default:"stdout"`
	// After how many bytes another file is begun, such as `100MB`; the one before is kept under its time. `0`: never, for those who rotate it otherwise.
	AuditMaxSize Bytes `env:"AUDIT_MAX_SIZE" default:"100MB"`
	// How many files are kept that were begun anew; older ones are removed. `0` keeps all.
	AuditKeep int `env:"AUDIT_KEEP" default:"10" min:"0" max:"100000"`
	// Least level that is logged: debug, info, warn or error.
	LogLevel slog.Level `env:"LOG_LEVEL" default:"info"`
	// Form of the log: `json` or `text`.
	LogFormat string `env:"LOG_FORMAT" derived:"'json'; 'text' on a terminal" oneof:"json,text"`
	// Where OpenTelemetry traces are sent: a collector's address for OTLP over HTTP, such as `http://localhost:4318`; `/v1/traces` is appended. The exporter reads its other variables (OTEL_EXPORTER_OTLP_HEADERS and more, [operations.md](operations.md#traces)) from the environment.
	OTLPEndpoint *url.URL `env:"OTEL_EXPORTER_OTLP_ENDPOINT" derived:"off" schemes:"http,https"`
	// The whole address that traces are sent to, such as `https://collector.example.com/otlp/v1/traces`. It takes precedence over OTEL_EXPORTER_OTLP_ENDPOINT, and nothing is appended.
	OTLPTracesEndpoint *url.URL `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" schemes:"http,https"`

	// Mode is what the configuration was checked for.
	Mode Mode
	// Railway reports that the door serves on Railway, behind its edge.
	Railway bool
	// Platform reports that the door runs on a hosting platform, Railway or another.
	Platform bool
	// DatabasePath is the file that DATABASE_URL names or stands in for; empty
	// in dev without DATABASE_URL.
	DatabasePath string
	// PublicHost is the host name under which Railway publishes the door;
	// empty elsewhere.
	PublicHost string
}

// TracesURL returns the URL that spans are posted to; nil when traces are off.
//
// SPEC: OpenTelemetry Protocol Exporter, "Endpoint URLs for OTLP/HTTP".
func (c *Config) TracesURL() *url.URL {
	if c.OTLPTracesEndpoint != nil || c.OTLPEndpoint == nil {
		return c.OTLPTracesEndpoint
	}
	return c.OTLPEndpoint.JoinPath("v1/traces")
}

// Mode is what a configuration is needed for. The zero value is Serve, the
// strictest.
type Mode uint8

// The modes.
const (
	// Serve is production: everything is demanded.
	Serve Mode = iota
	// Dev is `stagedoor dev`: always on loopback, may do without LiveKit
	// credentials and callers' issuers, which it brings along.
	Dev
	// Tool is a command that needs the LiveKit key and secret alone: what
	// concerns listener, callers and other secrets is not judged.
	Tool
	// Operate is a command that asks a running door or its database: it needs
	// no LiveKit key.
	Operate
	// Offline is a command that asks nobody: it needs no key and no secret at all.
	Offline
)

// Rate is a number of requests in a time. The zero value allows none.
type Rate struct {
	// Count is at least 1 in a loaded Config.
	Count int
	// Per is a second, a minute or an hour.
	Per time.Duration
}

// Bytes is a size.
type Bytes int64
