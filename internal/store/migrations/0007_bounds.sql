-- What one caller makes the database keep is bounded; each bound counts by an index.
CREATE INDEX mints_expires ON mints (issuer, subject, expires_at);
CREATE INDEX invitations_kept ON invitations (issuer, subject, expires_at, uses, created_at);
CREATE INDEX bans_reason ON bans (reason, until);
