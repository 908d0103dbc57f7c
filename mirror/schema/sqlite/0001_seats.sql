-- IF NOT EXISTS: a rebuild makes only what somebody has dropped.
CREATE TABLE IF NOT EXISTS progress (
	shard   text NOT NULL PRIMARY KEY,
	log_id  text NOT NULL,
	epoch   integer NOT NULL,
	seq     integer NOT NULL CHECK (seq >= 0),
	hash    text NOT NULL,
	at      text NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS realms (
	realm                text NOT NULL PRIMARY KEY,
	max_seats_per_person integer,
	max_waits_per_person integer NOT NULL,
	seq                  integer NOT NULL,
	at                   text NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS pools (
	realm          text NOT NULL,
	pool           text NOT NULL,
	capacity       integer NOT NULL,
	waitlist       integer,
	opens_at       text,
	closes_at      text,
	promote_until  text,
	promotion      text NOT NULL CHECK (promotion IN ('auto', 'offer')),
	answer_seconds integer,
	pool_group     text,
	data           text,
	seated         integer NOT NULL DEFAULT 0 CHECK (seated >= 0),
	offered        integer NOT NULL DEFAULT 0 CHECK (offered >= 0),
	waiting        integer NOT NULL DEFAULT 0 CHECK (waiting >= 0),
	seq            integer NOT NULL,
	at             text NOT NULL,
	PRIMARY KEY (realm, pool)
) STRICT;

CREATE TABLE IF NOT EXISTS claims (
	realm    text NOT NULL,
	pool     text NOT NULL,
	person   text NOT NULL,
	status   text NOT NULL CHECK (status IN ('seated', 'waiting', 'offered', 'released')),
	seat     integer CHECK (seat > 0),
	ticket   integer CHECK (ticket > 0),
	deadline text,
	swap     text CHECK (swap IS NULL OR status IN ('waiting', 'offered')),
	cause    text,
	seq      integer NOT NULL,
	at       text NOT NULL,
	PRIMARY KEY (realm, pool, person),
	CONSTRAINT claims_seat_of_status CHECK ((seat IS NOT NULL) = (status IN ('seated', 'offered'))),
	CONSTRAINT claims_ticket_of_status CHECK ((ticket IS NOT NULL) = (status = 'waiting')),
	CONSTRAINT claims_deadline_of_status CHECK ((deadline IS NOT NULL) = (status = 'offered'))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS claims_one_per_seat ON claims (realm, pool, seat) WHERE seat IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS claims_one_per_ticket ON claims (realm, pool, ticket) WHERE ticket IS NOT NULL;
CREATE INDEX IF NOT EXISTS claims_by_deadline ON claims (realm, pool) WHERE deadline IS NOT NULL;
CREATE INDEX IF NOT EXISTS claims_by_person ON claims (realm, person);

CREATE TABLE IF NOT EXISTS events (
	seq   INTEGER PRIMARY KEY,
	at    text NOT NULL,
	realm text NOT NULL,
	kind  text NOT NULL,
	body  text NOT NULL
) STRICT;
