-- Lotteries. The rule of a status is widened in the schema's text, as SQLite's page on ALTER TABLE describes for changes that touch
-- no row: a large table need not be copied, and what others have made on it stays. The table that comes and goes makes every
-- connection read the schema again.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '(''seated'', ''waiting'', ''offered'', ''released'')',
	'(''seated'', ''waiting'', ''offered'', ''released'', ''entered'')') WHERE type = 'table' AND name = 'claims';
PRAGMA writable_schema = RESET;
CREATE TABLE IF NOT EXISTS schema_changes (x integer) STRICT;
DROP TABLE schema_changes;

-- IF NOT EXISTS is not SQLite's: the mirror leaves out what is there.
ALTER TABLE pools ADD COLUMN IF NOT EXISTS pool_order text NOT NULL DEFAULT 'arrival' CHECK (pool_order IN ('arrival', 'lottery'));
ALTER TABLE pools ADD COLUMN IF NOT EXISTS seed_hash text CHECK ((seed_hash IS NOT NULL) = (pool_order = 'lottery'));
ALTER TABLE pools ADD COLUMN IF NOT EXISTS seed text CHECK (seed IS NULL OR seed_hash IS NOT NULL);
ALTER TABLE pools ADD COLUMN IF NOT EXISTS entered integer NOT NULL DEFAULT 0 CHECK (entered >= 0);
