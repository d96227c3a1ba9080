-- A guest's principal names the invitation by which it comes.
ALTER TABLE principals ADD COLUMN invitation TEXT NOT NULL DEFAULT '';

-- The names of the claims that were kept, as JSON; null where all were.
ALTER TABLE principals ADD COLUMN claim_names TEXT NOT NULL DEFAULT '[]';

-- Who is in a room now, among a week of those who left.
CREATE INDEX presence_taken ON presence (room, identity) WHERE left_at = 0;

CREATE INDEX mints_room ON mints (issuer, subject, room);

-- Seats of capped rooms whose holders have not arrived yet.
CREATE TABLE seats (
    room     TEXT NOT NULL,
    identity TEXT NOT NULL,
    until    BIGINT NOT NULL,
    PRIMARY KEY (room, identity)
);

CREATE INDEX seats_until ON seats (until);

-- Since when a principal's time in a room has been running.
CREATE TABLE sessions (
    room       TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    PRIMARY KEY (room, issuer, subject)
);

-- secret is the SHA-256 of the secret, in hex.
CREATE TABLE invitations (
    id         TEXT PRIMARY KEY,
    secret     TEXT NOT NULL UNIQUE,
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    room       TEXT NOT NULL,
    name       TEXT NOT NULL,
    publish    BOOLEAN NOT NULL,
    uses       BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);

CREATE INDEX invitations_maker ON invitations (issuer, subject, created_at);
CREATE INDEX invitations_expires ON invitations (expires_at);

-- Guests who were let in, each of whom spent a use.
CREATE TABLE guests (
    invitation  TEXT NOT NULL REFERENCES invitations (id),
    subject     TEXT NOT NULL,
    admitted_at BIGINT NOT NULL,
    PRIMARY KEY (invitation, subject)
);
