-- Lotteries. NOT VALID: what is there was checked by the narrower rule before, and a large table need not be read for it.
ALTER TABLE holdfast.claims DROP CONSTRAINT IF EXISTS claims_status_check;
ALTER TABLE holdfast.claims ADD CONSTRAINT claims_status_check
	CHECK (status IN ('seated', 'waiting', 'offered', 'released', 'entered')) NOT VALID;

ALTER TABLE holdfast.pools ADD COLUMN IF NOT EXISTS pool_order text NOT NULL DEFAULT 'arrival' CHECK (pool_order IN ('arrival', 'lottery'));
ALTER TABLE holdfast.pools ADD COLUMN IF NOT EXISTS seed_hash text CHECK ((seed_hash IS NOT NULL) = (pool_order = 'lottery'));
ALTER TABLE holdfast.pools ADD COLUMN IF NOT EXISTS seed text CHECK (seed IS NULL OR seed_hash IS NOT NULL);
ALTER TABLE holdfast.pools ADD COLUMN IF NOT EXISTS entered bigint NOT NULL DEFAULT 0 CHECK (entered >= 0);
