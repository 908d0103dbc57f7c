-- Desks. IF NOT EXISTS: a rebuild makes only what somebody has dropped.
CREATE TABLE IF NOT EXISTS holdfast.desks (
	realm  text NOT NULL,
	desk   text NOT NULL,
	config json NOT NULL,
	seq    bigint NOT NULL,
	at     timestamptz NOT NULL,
	PRIMARY KEY (realm, desk)
);

CREATE TABLE IF NOT EXISTS holdfast.agents (
	realm       text NOT NULL,
	desk        text NOT NULL,
	agent       text NOT NULL,
	topics      json,
	reach       text NOT NULL CHECK (reach IN ('socket', 'push')),
	state       text NOT NULL CHECK (state IN ('offline', 'idle', 'init', 'busy')),
	accepting   boolean NOT NULL,
	connections bigint NOT NULL CHECK (connections >= 0),
	state_since timestamptz NOT NULL,
	removed_at  timestamptz,
	seq         bigint NOT NULL,
	at          timestamptz NOT NULL,
	PRIMARY KEY (realm, desk, agent),
	CONSTRAINT agents_offline_accept_nothing CHECK (NOT accepting OR state <> 'offline'),
	CONSTRAINT agents_removed_are_offline CHECK (removed_at IS NULL OR state = 'offline')
);

CREATE TABLE IF NOT EXISTS holdfast.requests (
	request        bigint PRIMARY KEY,
	realm          text NOT NULL,
	desk           text NOT NULL,
	client         text NOT NULL,
	topic          text,
	priority       bigint NOT NULL CHECK (priority >= 0),
	data           text,
	key            text,
	reach          text NOT NULL CHECK (reach IN ('socket', 'push')),
	state          text NOT NULL CHECK (state IN ('queued', 'offering', 'assigned', 'done', 'cancelled', 'expired', 'all_declined', 'aborted')),
	made_at        timestamptz NOT NULL,
	expires_at     timestamptz,
	first_offer_at timestamptz,
	assigned_at    timestamptz,
	ended_at       timestamptz,
	attempts       bigint NOT NULL CHECK (attempts >= 0),
	agent          text,
	session        bigint,
	cause          text,
	reason         text,
	seq            bigint NOT NULL,
	at             timestamptz NOT NULL,
	CONSTRAINT requests_end_of_state CHECK ((ended_at IS NULL) = (state IN ('queued', 'offering', 'assigned'))),
	CONSTRAINT requests_expiry_of_state CHECK ((expires_at IS NOT NULL) = (state IN ('queued', 'offering'))),
	CONSTRAINT requests_agent_of_state CHECK (agent IS NOT NULL OR state NOT IN ('offering', 'assigned')),
	CONSTRAINT requests_session_of_state CHECK (session IS NOT NULL OR state NOT IN ('assigned', 'done', 'aborted'))
);
CREATE UNIQUE INDEX IF NOT EXISTS requests_one_per_client ON holdfast.requests (realm, desk, client) WHERE ended_at IS NULL;

CREATE TABLE IF NOT EXISTS holdfast.offers (
	offer       bigint PRIMARY KEY,
	realm       text NOT NULL,
	desk        text NOT NULL,
	request     bigint NOT NULL,
	agent       text NOT NULL,
	attempt     bigint NOT NULL CHECK (attempt > 0),
	state       text NOT NULL CHECK (state IN ('pending', 'accepted', 'rejected', 'timed_out', 'rescinded', 'revoked')),
	made_at     timestamptz NOT NULL,
	deadline_at timestamptz NOT NULL,
	received_at timestamptz,
	ended_at    timestamptz,
	session     bigint,
	cause       text,
	reason      text,
	seq         bigint NOT NULL,
	at          timestamptz NOT NULL,
	CONSTRAINT offers_end_of_state CHECK ((ended_at IS NULL) = (state = 'pending')),
	CONSTRAINT offers_session_of_state CHECK ((session IS NOT NULL) = (state = 'accepted'))
);
CREATE UNIQUE INDEX IF NOT EXISTS offers_one_per_attempt ON holdfast.offers (request, attempt);
CREATE UNIQUE INDEX IF NOT EXISTS offers_one_per_agent ON holdfast.offers (realm, desk, agent) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS offers_one_per_request ON holdfast.offers (request) WHERE ended_at IS NULL;

CREATE TABLE IF NOT EXISTS holdfast.sessions (
	session    bigint PRIMARY KEY,
	realm      text NOT NULL,
	desk       text NOT NULL,
	agent      text NOT NULL,
	client     text NOT NULL,
	request    bigint NOT NULL,
	offer      bigint NOT NULL,
	began_at   timestamptz NOT NULL,
	ended_at   timestamptz,
	wrap_until timestamptz,
	cause      text,
	reason     text,
	seq        bigint NOT NULL,
	at         timestamptz NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS sessions_one_per_agent ON holdfast.sessions (realm, desk, agent) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS sessions_one_per_request ON holdfast.sessions (request) WHERE ended_at IS NULL;
