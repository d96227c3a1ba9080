-- What tokens that can still be used may do, as bits, and when the last of them
-- expires: for so long somebody who lost a right is looked for in the room. The
-- defaults stand for tokens of which nothing is known.
ALTER TABLE mints ADD COLUMN rights BIGINT NOT NULL DEFAULT 127;
ALTER TABLE mints ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;
