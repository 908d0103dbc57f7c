-- IF NOT EXISTS: a rebuild makes only what somebody has dropped.
CREATE TABLE IF NOT EXISTS holdfast.progress (
	shard   text PRIMARY KEY,
	log_id  text NOT NULL,
	epoch   bigint NOT NULL,
	seq     bigint NOT NULL CHECK (seq >= 0),
	hash    text NOT NULL,
	at      timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS holdfast.realms (
	realm                text PRIMARY KEY,
	max_seats_per_person integer,
	max_waits_per_person integer NOT NULL,
	seq                  bigint NOT NULL,
	at                   timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS holdfast.pools (
	realm          text NOT NULL,
	pool           text NOT NULL,
	capacity       integer NOT NULL,
	waitlist       bigint,
	opens_at       timestamptz,
	closes_at      timestamptz,
	promote_until  timestamptz,
	promotion      text NOT NULL CHECK (promotion IN ('auto', 'offer')),
	answer_seconds integer,
	pool_group     text,
	data           json,
	seated         bigint NOT NULL DEFAULT 0 CHECK (seated >= 0),
	offered        bigint NOT NULL DEFAULT 0 CHECK (offered >= 0),
	waiting        bigint NOT NULL DEFAULT 0 CHECK (waiting >= 0),
	seq            bigint NOT NULL,
	at             timestamptz NOT NULL,
	PRIMARY KEY (realm, pool)
);

CREATE TABLE IF NOT EXISTS holdfast.claims (
	realm    text NOT NULL,
	pool     text NOT NULL,
	person   text NOT NULL,
	status   text NOT NULL CHECK (status IN ('seated', 'waiting', 'offered', 'released')),
	seat     bigint CHECK (seat > 0),
	ticket   bigint CHECK (ticket > 0),
	deadline timestamptz,
	swap     text CHECK (swap IS NULL OR status IN ('waiting', 'offered')),
	cause    text,
	seq      bigint NOT NULL,
	at       timestamptz NOT NULL,
	PRIMARY KEY (realm, pool, person),
	CONSTRAINT claims_seat_of_status CHECK ((seat IS NOT NULL) = (status IN ('seated', 'offered'))),
	CONSTRAINT claims_ticket_of_status CHECK ((ticket IS NOT NULL) = (status = 'waiting')),
	CONSTRAINT claims_deadline_of_status CHECK ((deadline IS NOT NULL) = (status = 'offered'))
);
CREATE UNIQUE INDEX IF NOT EXISTS claims_one_per_seat ON holdfast.claims (realm, pool, seat) WHERE seat IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS claims_one_per_ticket ON holdfast.claims (realm, pool, ticket) WHERE ticket IS NOT NULL;
CREATE INDEX IF NOT EXISTS claims_by_deadline ON holdfast.claims (realm, pool) WHERE deadline IS NOT NULL;
CREATE INDEX IF NOT EXISTS claims_by_person ON holdfast.claims (realm, person);

CREATE TABLE IF NOT EXISTS holdfast.events (
	seq   bigint PRIMARY KEY,
	at    timestamptz NOT NULL,
	realm text NOT NULL,
	kind  text NOT NULL,
	body  json NOT NULL
);
