package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stagedoor"
	"stagedoor/internal/audit"
	"stagedoor/internal/authn"
	"stagedoor/internal/billing"
	"stagedoor/internal/clockskew"
	"stagedoor/internal/config"
	"stagedoor/internal/enforce"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/livekit"
	"stagedoor/internal/policy"
	"stagedoor/internal/store"
)

// house is a door with everything around it, wired.
type house struct {
	store    *store.Store
	door     *stagedoor.Door
	bans     *enforce.Bans
	billing  *billing.Billing // nil without a Stripe key
	enforcer *enforce.Enforcer
	events   *livekit.WebhookVerifier
	admin    *httpapi.Admin
	rules    *policy.Source
	clocks   *clockskew.Monitor
	pinging  sync.Mutex
	pinged   time.Time
	pingErr  error
	log      *slog.Logger
	now      func() time.Time
	// received is told when LiveKit made an event that has come; nil: nobody is.
	received func(created time.Time)
	// changes writes audit records of what is changed in running calls.
	changes *changeRecorder
}

// deployment is a LiveKit deployment and the key to it.
type deployment struct {
	// url is for clients, api for the server's own calls.
	url, api, key string
	secret        stagedoor.Secret
}

// plans is what billing needs to know beside the configuration.
type plans struct {
	key      stagedoor.Secret
	secrets  []stagedoor.Secret
	url      string
	database string
}

// plansOf takes them from the configuration.
func plansOf(cfg *config.Config) plans {
	p := plans{key: cfg.StripeSecretKey, secrets: cfg.StripeWebhookSecret, database: cfg.DatabasePath}
	if cfg.StripeAPIURL != nil {
		p.url = cfg.StripeAPIURL.String()
	}
	return p
}

// newHouse opens the store and wires every part to it.
func newHouse(ctx context.Context, a *app, cfg *config.Config, d deployment, callers stagedoor.Authenticator, rules *policy.Source, issuers issuers, p plans, records io.Writer, log *slog.Logger) (*house, error) {
	kept, err := openStore(ctx, cfg, issuers.prefixes, p.database)
	if err != nil {
		return nil, err
	}
	h := &house{store: kept, rules: rules, clocks: a.clocks, log: log, now: a.now}
	h.changes = &changeRecorder{queue: make(chan stagedoor.AuditRecord, maxQueuedChanges), write: h.audit, log: log}
	changed := func(cause string) func(context.Context, []stagedoor.PrincipalKey) {
		return func(ctx context.Context, keys []stagedoor.PrincipalKey) { h.enforcer.Recheck(ctx, cause, keys) }
	}
	if h.bans, err = enforce.LoadBans(ctx, kept, a.now, log, changed("ban")); err == nil {
		h.billing, err = a.newBilling(ctx, cfg, issuers.prefixes, p, kept, log, func(keys []stagedoor.PrincipalKey) { changed("billing")(ctx, keys) })
	}
	if err != nil {
		_ = kept.Close()
		return nil, err
	}
	h.door = newDoor(cfg, d, callers, rules, issuers.prefixes, records, a.now)
	h.door.Issuers = issuers.names
	h.door.Authenticator = authn.Guests{Find: kept.InvitationOf, Others: callers, Now: a.now}
	h.door.Sessions, h.door.Invitations, h.door.InvitationBook = kept, kept, invitationBook{kept, changed("invitation")}
	h.door.Memory, h.door.Bans = memory{kept, claimsKept(cfg), rules, log, rate.NewLimiter(rate.Every(10*time.Second), 1), func() *enforce.Enforcer { return h.enforcer }}, h.bans
	mid := *h.door
	if h.billing != nil {
		h.door.Entitlements, mid.Entitlements = h.billing, h.billing.Known()
	}
	rooms := &livekit.RoomService{URL: d.api, Key: d.key, Secret: d.secret, Now: a.now,
		Client: &http.Client{Transport: a.clocks.Transport("livekit", http.DefaultTransport)}}
	h.enforcer = enforce.New(enforce.Options{People: kept, Presence: kept, Places: kept, Rooms: rooms, Media: rooms, Decide: mid.Decide, OnChange: h.changes.add, Now: a.now, Log: log})
	h.door.Moderators = enforce.Moderator{Enforcer: h.enforcer, Ban: h.bans.Add}
	h.events = &livekit.WebhookVerifier{Keys: map[string]stagedoor.Secret{d.key: d.secret}, Now: a.now}
	if cfg.LiveKitAPIKeyPrevious != "" {
		h.events.Keys[cfg.LiveKitAPIKeyPrevious] = cfg.LiveKitAPISecretPrevious
	}
	h.admin = newAdmin(cfg, desk{store: kept, bans: h.bans, billing: h.billing, enforcer: h.enforcer, rooms: rooms, decide: mid.Decide, ending: a.ctx, issuers: issuers, rules: rules, audit: h.audit, now: a.now})
	return h, nil
}

// openStore opens the database that the configuration names.
func openStore(ctx context.Context, cfg *config.Config, prefixes []string, path string) (*store.Store, error) {
	kept, err := store.Open(ctx, path, store.Index{CustomerClaim: cfg.CustomerClaim, SubscriptionClaim: cfg.SubscriptionClaim, Prefixes: prefixes})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return kept, nil
}

// newBilling follows Stripe, or is nil where no key names an account.
func (a *app) newBilling(ctx context.Context, cfg *config.Config, prefixes []string, p plans, kept *store.Store, log *slog.Logger, changed func([]stagedoor.PrincipalKey)) (*billing.Billing, error) {
	if p.key.Empty() {
		return nil, nil
	}
	return billing.New(ctx, billing.Options{
		Key: p.key, WebhookSecrets: p.secrets, APIURL: p.url, Store: kept,
		Rules:         billing.Rules{Statuses: cfg.BillingStatuses, Grace: cfg.BillingGrace},
		CustomerClaim: cfg.CustomerClaim, SubscriptionClaim: cfg.SubscriptionClaim, IdentityPrefixes: prefixes,
		Changed: changed, Transport: a.clocks.Transport("stripe", http.DefaultTransport), Now: a.now, Log: log,
	})
}

// newDoor wires the seams together.
func newDoor(cfg *config.Config, d deployment, callers stagedoor.Authenticator, rules *policy.Source, prefixes []string, records io.Writer, now func() time.Time) *stagedoor.Door {
	return &stagedoor.Door{
		Authenticator:    callers,
		Policy:           rules,
		Signer:           &livekit.Signer{Key: d.key, Secret: d.secret, Now: now},
		AuditLog:         audit.New(records, now, httpapi.RequestID),
		IdentityPrefixes: prefixes,
		NameFromRequest:  cfg.NameFromRequest,
		Now:              now,
	}
}

// claimsKept are the claims that decisions name: what is not kept of a token
// cannot be decided on once the request is over. Those of the rules come to them.
func claimsKept(cfg *config.Config) []string {
	return []string{cfg.CustomerClaim, cfg.SubscriptionClaim}
}

// memory keeps of a principal no more claims than decisions name. A database
// that does not answer keeps nobody waiting for long: they may watch.
type memory struct {
	*store.Store
	claims []string
	rules  *policy.Source
	log    *slog.Logger
	logged *rate.Limiter
	// enforcer is made after the door whose memory this is.
	enforcer func() *enforce.Enforcer
}

// memoryPatience is how long a join waits for the database.
const memoryPatience = time.Second

// seatPatience is the same where there is a seat to take: without it they
// could not even watch, and many may ask at once.
const seatPatience = 3 * time.Second

// policyChanged has everybody decided again by other rules.
func (h *house) policyChanged(ctx context.Context) { h.enforcer.Recheck(ctx, "policy", nil) }

// Remember keeps the named claims and returns the principal with these alone,
// so that a join stands on what a decision mid-call will stand on.
func (m memory) Remember(ctx context.Context, p stagedoor.Principal) (stagedoor.Principal, error) {
	p = m.rules.KeepClaims(p, m.claims)
	patient, cancel := context.WithTimeout(ctx, memoryPatience)
	defer cancel()
	known, err := m.Store.Remember(patient, p)
	m.note(ctx, err)
	return known, err
}

// Minted marks a participant as the door's own, with its seat.
func (m memory) Minted(ctx context.Context, mint stagedoor.Mint) error {
	err := seated(ctx, func(ctx context.Context, mint stagedoor.Mint) error {
		patience := memoryPatience
		if mint.Seats > 0 || mint.Alone {
			patience = seatPatience
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return m.Store.Minted(ctx, mint)
	}, m.enforcer(), mint)
	if stagedoor.KindOf(err) == stagedoor.Internal {
		m.note(ctx, err)
	}
	if err == nil && !mint.SessionEnds.IsZero() {
		m.enforcer().Expect(mint.Room, mint.Identity, mint.SessionEnds)
	}
	return err
}

// note logs a failure of the database, one line for many: every join has one
// then. A caller who has left says nothing of the database.
func (m memory) note(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && m.logged.Allow() {
		m.log.Error("saving caller failed; join downgraded to subscribe-only", "err", err)
	}
}

// takeStripeEvent takes one webhook of Stripe's; nil where none can be proved.
func (h *house) takeStripeEvent() func(context.Context, []byte, string) error {
	if h.billing == nil || len(h.billing.WebhookSecrets) == 0 {
		return nil
	}
	return h.billing.Receive
}

// takeLiveKitEvent takes one webhook of LiveKit's.
func (h *house) takeLiveKitEvent(on bool) func(context.Context, []byte, string) error {
	if !on {
		return nil
	}
	// stagedoor check says when the last one came; to the minute is enough.
	noted := rate.NewLimiter(rate.Every(time.Minute), 1)
	return func(ctx context.Context, body []byte, authorization string) error {
		event, err := h.events.Verify(authorization, body)
		if err != nil {
			return err
		}
		if noted.Allow() {
			if err := h.store.Heard(ctx, h.now()); err != nil {
				h.log.Warn("the database does not keep when LiveKit was heard", "err", err)
			}
		}
		if h.received != nil && !event.CreatedAt.IsZero() {
			h.received(event.CreatedAt)
		}
		return h.enforcer.LiveKitEvent(ctx, event)
	}
}

// mintsKept is how long it is kept that a participant is the door's own. One
// may come back with the token that was handed out, which lives for a day at
// most and is taken for a minute longer, or with one that LiveKit refreshed;
// and a mint's time may be an hour before the last token's.
const mintsKept = 50 * time.Hour

// purgeEvery is how often what is no longer needed is dropped.
const purgeEvery = time.Hour

// run does what goes on beside requests, until ctx ends.
func (h *house) run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() {
		h.enforcer.Run(ctx)
		close(h.changes.queue) // nothing is changed any more
	})
	group.Go(func() { h.changes.run(ctx) })
	group.Go(func() { h.bans.Run(ctx) })
	group.Go(func() { h.store.WriteLate(ctx, h.log) })
	if h.billing != nil {
		group.Go(func() { h.billing.Run(ctx) })
	}
	group.Go(func() {
		ticker := time.NewTicker(purgeEvery)
		defer ticker.Stop()
		for {
			if err := h.store.Purge(ctx, h.now(), mintsKept); err != nil && ctx.Err() == nil {
				h.log.Error("the database could not be tidied", "err", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	group.Wait()
}

// reachable says within a second whether the database can be read and written.
// The answer counts for a second: everybody may ask, as often as they like.
func (h *house) reachable(ctx context.Context) error {
	h.pinging.Lock()
	defer h.pinging.Unlock()
	if !h.pinged.IsZero() && time.Since(h.pinged) < time.Second {
		return h.pingErr
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	h.pingErr = h.store.Ping(ctx)
	h.pinged = time.Now()
	return h.pingErr
}

// close closes the database.
func (h *house) close() {
	if err := h.store.Close(); err != nil {
		h.log.Error("the database could not be closed", "err", err)
	}
}
