package policy

// The types of the file. Each field with a `key` is one key: `doc` describes
// it in the JSON Schema and in docs/policy.md, `need` makes it required and
// says what to write, `default` is what its absence means.

// fileSpec is the whole file.
type fileSpec struct {
	At          place
	Rooms       []ruleSpec   `key:"rooms" max:"1000" need:"write at least one rule under rooms:" doc:"The rules. The first one whose room pattern fits decides, alone; a room that fits none is refused."`
	Issuers     []issuerSpec `key:"issuers" max:"100" doc:"Identity providers whose tokens are taken, beside those of the environment."`
	DefaultRoom text         `key:"default_room" doc:"The room of a /api/token request that names none. Without it such a request is refused."`
}

// ruleSpec is one rule.
type ruleSpec struct {
	At              place
	Name            text          `key:"name" default:"the room pattern" doc:"What explanations and records call the rule."`
	Room            text          `key:"room" need:"write room: \"team-{team}\"" doc:"The rooms it is about: literal text; {segment} takes one segment without '-' and binds it as room.segment; {rest...}, last, takes all that follows."`
	Join            condition     `key:"join" default:"true" doc:"Who may join, and watch. Only here request.ip is known."`
	Publish         condition     `key:"publish" default:"'<PUBLISH_FEATURE>' in features" doc:"Who may publish."`
	Sources         sources       `key:"sources" default:"all four" doc:"What may be published: camera, microphone, screen_share, screen_share_audio. As a mapping each has a condition of its own; whom none is left to may not publish."`
	Data            condition     `key:"data" default:"whoever may publish" doc:"Who may send data messages."`
	Moderate        condition     `key:"moderate" default:"false" doc:"Who may mute and remove others through POST /api/moderate."`
	Invite          condition     `key:"invite" default:"'invite' in features" doc:"Who may invite guests through POST /api/invites."`
	Agents          names         `key:"agents" default:"none" doc:"Names of agents that a /api/token request may ask for in room_config."`
	Metadata        toggle        `key:"metadata" default:"false" doc:"Whether a /api/token request may set the participant's metadata."`
	Attributes      names         `key:"attributes" default:"none" doc:"Names of participant attributes that a /api/token request may set."`
	MaxParticipants number        `key:"max_participants" min:"1" max:"100000" default:"no cap" doc:"How many connections the room holds. In a capped room a token lives 2m, whatever ttl says."`
	MaxSession      duration      `key:"max_session" min:"1m" max:"720h" default:"no limit" doc:"How long somebody may be in the room, counted since their first join until the room finishes, over all their devices."`
	TTL             duration      `key:"ttl" min:"2m" max:"24h" default:"TOKEN_TTL" doc:"How long a token may be used to connect."`
	Devices         text          `key:"devices" enum:"one,many" default:"one" doc:"many: each device has an identity of its own. one: a second device takes the place of the first."`
	RefuseSecond    toggle        `key:"refuse_second" default:"false" doc:"With devices: one, whether a second device is refused instead."`
	RemoveFor       duration      `key:"remove_for" min:"1m" max:"720h" default:"1h" doc:"How long somebody stays out whom a moderator removed."`
	Examples        []exampleSpec `key:"examples" max:"1000" doc:"What the rule is to say of somebody; run by stagedoor policy test and before the door starts."`
}

// exampleSpec is one example.
type exampleSpec struct {
	At       place
	Claims   values     `key:"claims" doc:"The claims of the caller's token. sub is 'example' unless given."`
	Features names      `key:"features" default:"none" doc:"What the caller has paid for."`
	Room     text       `key:"room" need:"name a room that this rule decides" doc:"The room asked for; this rule must be the one that decides it."`
	Now      moment     `key:"now" doc:"When; required where a condition of the rule reads now."`
	IP       address    `key:"ip" doc:"The caller's address; required where join reads request.ip."`
	Issuer   text       `key:"issuer" default:"claims.iss, else the file's first issuer" doc:"Who issued the caller's token."`
	Expect   expectSpec `key:"expect" need:"write expect: {join: true, publish: false}" doc:"What must come out; what is not named is not looked at."`
}

// expectSpec is what an example expects.
type expectSpec struct {
	At       place
	Join     toggle `key:"join" doc:"Whether the caller may join."`
	Publish  toggle `key:"publish" doc:"Whether the caller may publish."`
	Sources  names  `key:"sources" enum:"camera,microphone,screen_share,screen_share_audio" doc:"Exactly what the caller may publish."`
	Data     toggle `key:"data" doc:"Whether the caller may send data messages."`
	Moderate toggle `key:"moderate" doc:"Whether the caller may mute and remove."`
	Invite   toggle `key:"invite" doc:"Whether the caller may invite guests."`
	Denied   text   `key:"denied" enum:"no_subscription,subscription_inactive,feature_not_in_plan,billing_unavailable,policy" doc:"Why publishing is denied. Without features in the example billing says no_subscription, with others feature_not_in_plan."`
}

// issuerSpec is one issuer.
type issuerSpec struct {
	At                place
	Issuer            text  `key:"issuer" need:"write the iss claim of its tokens, such as https://login.example.com" doc:"The iss claim of its tokens, byte for byte: a trailing slash counts."`
	JWKSURL           text  `key:"jwks_url" default:"from discovery" doc:"Where its keys are."`
	Audiences         names `key:"audiences" doc:"Audiences of which a token must name one. Required unless authorized_parties is there."`
	AuthorizedParties names `key:"authorized_parties" doc:"Clients of which a token must name one as azp, client_id or cid."`
	IdentityPrefix    text  `key:"identity_prefix" default:"none" doc:"Put before the identities of its callers, as prefix:subject. At most one issuer may do without."`
	IdentityClaim     text  `key:"identity_claim" default:"IDENTITY_CLAIM" doc:"Claim from which the participant's identity is derived."`
	NameClaim         text  `key:"name_claim" default:"NAME_CLAIM" doc:"Claim that holds the display name."`
}
