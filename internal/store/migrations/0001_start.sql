-- Times are milliseconds since 1970 and 0 where there is none; columns that
-- end in _ns are nanoseconds. JSON is TEXT. SQLite and Postgres both take this.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO meta (key, value) VALUES
    ('bans_version', 0), ('generation', 0),
    ('chain_start_ns', 0), ('confirmed_at_ns', 0), ('full_at_ns', 0);

CREATE TABLE principals (
    issuer             TEXT NOT NULL,
    subject            TEXT NOT NULL,
    handle             TEXT NOT NULL,
    prefix             TEXT NOT NULL,
    name               TEXT NOT NULL,
    claims             TEXT NOT NULL,
    issued_at          BIGINT NOT NULL,
    claim_customer     TEXT NOT NULL,
    claim_subscription TEXT NOT NULL,
    ref_a              TEXT NOT NULL,
    ref_b              TEXT NOT NULL,
    seen_at            BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX principals_subject ON principals (subject);
CREATE INDEX principals_handle ON principals (handle);
CREATE INDEX principals_customer ON principals (claim_customer);
CREATE INDEX principals_subscription ON principals (claim_subscription);
CREATE INDEX principals_ref_a ON principals (ref_a);
CREATE INDEX principals_ref_b ON principals (ref_b);
CREATE INDEX principals_seen ON principals (seen_at);

CREATE TABLE mints (
    room      TEXT NOT NULL,
    identity  TEXT NOT NULL,
    issuer    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    minted_at BIGINT NOT NULL,
    PRIMARY KEY (room, identity)
);

CREATE INDEX mints_principal ON mints (issuer, subject, minted_at);
CREATE INDEX mints_minted ON mints (minted_at);

-- noted_at is when the door last heard of the session, by its own clock.
CREATE TABLE presence (
    room      TEXT NOT NULL,
    sid       TEXT NOT NULL,
    identity  TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    standard  BOOLEAN NOT NULL,
    noted_at  BIGINT NOT NULL,
    left_at   BIGINT NOT NULL,
    PRIMARY KEY (room, sid)
);

CREATE INDEX presence_present ON presence (room, joined_at, sid) WHERE left_at = 0;
CREATE INDEX presence_identity ON presence (room, identity);
CREATE INDEX presence_left ON presence (left_at) WHERE left_at > 0;

CREATE TABLE bans (
    id         TEXT PRIMARY KEY,
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    room       TEXT NOT NULL,
    until      BIGINT NOT NULL,
    reason     TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE events (
    id          TEXT PRIMARY KEY,
    type        TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    received_at BIGINT NOT NULL
);

CREATE INDEX events_received ON events (received_at);

-- Objects of Stripe's that are to be asked for; since is 0 when every hint
-- has been answered.
CREATE TABLE dirty (
    object     TEXT PRIMARY KEY,
    generation BIGINT NOT NULL,
    since      BIGINT NOT NULL,
    due        BIGINT NOT NULL,
    attempts   BIGINT NOT NULL
);

CREATE INDEX dirty_due ON dirty (due);

-- asked_at_ns: two questions may begin within one millisecond.
CREATE TABLE customers (
    customer    TEXT PRIMARY KEY,
    facts       TEXT NOT NULL,
    reference   TEXT NOT NULL,
    asked_at_ns BIGINT NOT NULL
);

CREATE TABLE subscriptions (
    subscription TEXT PRIMARY KEY,
    customer     TEXT NOT NULL REFERENCES customers (customer)
);

CREATE INDEX subscriptions_customer ON subscriptions (customer);

CREATE TABLE links (
    reference TEXT NOT NULL,
    customer  TEXT NOT NULL,
    source    TEXT NOT NULL,
    added_at  BIGINT NOT NULL,
    PRIMARY KEY (reference, customer, source)
);

CREATE INDEX links_customer ON links (customer);

CREATE TABLE catalog (
    id          TEXT PRIMARY KEY,
    features    TEXT NOT NULL,
    malformed   BOOLEAN NOT NULL,
    asked_at_ns BIGINT NOT NULL
);
