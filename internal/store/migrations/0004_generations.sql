-- The generation of the question to which a row is the answer. Of two answers
-- the one of the later question counts, whatever the clock said.
ALTER TABLE customers ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE catalog ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
