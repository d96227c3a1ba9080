-- The last good key set of each issuer: public keys, as JSON. source is a hash
-- of where it was configured to come from.
CREATE TABLE key_sets (
    issuer     TEXT PRIMARY KEY,
    source     TEXT NOT NULL,
    body       TEXT NOT NULL,
    fetched_at BIGINT NOT NULL
);
