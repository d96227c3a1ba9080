-- Whether the claims were written with exact integers. Earlier versions rounded
-- those beyond 2^53, and what they wrote may be somebody else's number.
ALTER TABLE principals ADD COLUMN claims_exact BOOLEAN NOT NULL DEFAULT FALSE;
