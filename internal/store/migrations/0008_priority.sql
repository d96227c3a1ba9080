-- In which order Stripe is asked: the highest first, as stagedoor.Priority has it.
ALTER TABLE dirty ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
UPDATE dirty SET priority = 1 WHERE since > 0;
CREATE INDEX dirty_priority ON dirty (priority DESC, due, object);
