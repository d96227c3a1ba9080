package check

import (
	"context"
	"net/http"
	"time"

	"stagedoor"
)

// Target is the door that is looked at. Functions that are nil are not there
// to be asked, and what they would say is skipped. Safe for concurrent use
// when its functions are.
type Target struct {
	// Now is this machine's clock.
	Now func() time.Time
	// Transport carries the questions; nil: net/http's own.
	Transport http.RoundTripper

	// Notes are what reading the configuration found.
	Notes []Note
	// Secrets are configured; Weak says what speaks against any of them.
	Secrets int
	Weak    []Note
	// Files are to be searched for the secrets; Scan does it, and returns
	// where it found which, without the secret.
	Files []string
	Scan  func(ctx context.Context, paths []string) (found []string, err error)

	LiveKit LiveKit
	Issuers []Issuer
	Shared  Shared
	Stripe  Stripe
	Door    Door
	Store   Store

	looked *looked
	// whole and each are the patience with all and with each question.
	whole, each time.Duration
}

// Note is what the configuration's own check said of a variable.
type Note struct {
	Name, What, Remedy string
	// Stops is set where serve would not start.
	Stops bool
}

// LiveKit is the deployment that the door mints for.
type LiveKit struct {
	// URL is where browsers are sent, as http or https; API is where the door
	// calls. Empty: not usable, the notes say why.
	URL, API string
	Key      string
	Secret   stagedoor.Secret
	// Sign signs a token that may join the room and nothing else, by a clock
	// that is this far ahead.
	Sign func(room stagedoor.Room, identity stagedoor.Identity, ahead time.Duration) (stagedoor.Token, error)
	// Rooms counts the rooms, by a clock that is this far ahead.
	Rooms func(ctx context.Context, ahead time.Duration) (int, error)
	// Webhooks says whether /webhooks/livekit is open.
	Webhooks bool
}

// Issuer is one that publishes its keys.
type Issuer struct {
	// ID is byte for byte what its tokens must name; Variable is where it is
	// configured, Audience where its audience is.
	ID, Variable, Audience string
	// JWKSURL is where the keys are, when not to be discovered.
	JWKSURL            string
	Audiences, Parties []string
	// Usable counts the keys of a set that the door would use.
	Usable func(set []byte) (int, error)
}

// Shared is the secret with which an application signs its callers' tokens.
type Shared struct {
	Configured bool
	// Issuer and Audiences that its tokens must name; empty: any, none.
	Issuer    string
	Audiences []string
}

// Stripe is the account that says who has paid.
type Stripe struct {
	Key stagedoor.Secret
	// API is where Stripe is asked.
	API string
	// Webhook says whether there is a secret to prove events with.
	Webhook bool
	// MustBeLive and Platform: a test key is refused, or a mistake.
	MustBeLive, Platform bool
	// Events are all that the door takes.
	Events []string
}

// Door is the door's own address and rules.
type Door struct {
	// URL is where callers reach it, without a final slash; empty: not known.
	URL string
	// Admin asks a running door's operators' API; nil: none answers. It is
	// found at AdminURL.
	Admin    func(ctx context.Context) error
	AdminURL string
	// Named is set where somebody named that door: it must be there.
	Named bool

	// RequireHTTPS, Loopback, OwnTLS and Proxies are how it listens.
	RequireHTTPS, Loopback, OwnTLS bool
	Proxies                        []string
	// Limits are the configured rates, said as they are configured.
	Limits string
	// Origins may call from a browser.
	Origins []string

	// PolicyFile has the rules; empty: there are none. Unpaid are the rules
	// whose publishing does not ask for a feature.
	PolicyFile string
	Rules      int
	Unpaid     []string
	// Broken says what is wrong with the policy file.
	Broken error
	// Feature opens publishing where no rule says otherwise.
	Feature string
}

// Store is the database.
type Store struct {
	Path string
	// Inspect opens it and changes nothing.
	Inspect func(ctx context.Context) (Kept, error)
	// Elsewhere says why it is not on this machine; empty: it is.
	Elsewhere string
	// Lost says why it does not outlive a deploy; empty: it does, as far as known.
	Lost, LostRemedy string
}

// Kept is what a database holds, as far as checks go by it.
type Kept struct {
	// Missing: there is none yet, and it can be made.
	Missing bool
	// Size is the file's, in bytes.
	Size int64
	// StripeEvent and LiveKitEvent are when the newest of each was taken in;
	// zero: never.
	StripeEvent, LiveKitEvent time.Time
}
