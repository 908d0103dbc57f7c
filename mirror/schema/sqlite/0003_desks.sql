-- Desks. IF NOT EXISTS: a rebuild makes only what somebody has dropped.
CREATE TABLE IF NOT EXISTS desks (
	realm  text NOT NULL,
	desk   text NOT NULL,
	config text NOT NULL,
	seq    integer NOT NULL,
	at     text NOT NULL,
	PRIMARY KEY (realm, desk)
) STRICT;

CREATE TABLE IF NOT EXISTS agents (
	realm       text NOT NULL,
	desk        text NOT NULL,
	agent       text NOT NULL,
	topics      text,
	reach       text NOT NULL CHECK (reach IN ('socket', 'push')),
	state       text NOT NULL CHECK (state IN ('offline', 'idle', 'init', 'busy')),
	accepting   integer NOT NULL CHECK (accepting IN (0, 1)),
	connections integer NOT NULL CHECK (connections >= 0),
	state_since text NOT NULL,
	removed_at  text,
	seq         integer NOT NULL,
	at          text NOT NULL,
	PRIMARY KEY (realm, desk, agent),
	CONSTRAINT agents_offline_accept_nothing CHECK (NOT accepting OR state <> 'offline'),
	CONSTRAINT agents_removed_are_offline CHECK (removed_at IS NULL OR state = 'offline')
) STRICT;

CREATE TABLE IF NOT EXISTS requests (
	request        INTEGER PRIMARY KEY,
	realm          text NOT NULL,
	desk           text NOT NULL,
	client         text NOT NULL,
	topic          text,
	priority       integer NOT NULL CHECK (priority >= 0),
	data           text,
	key            text,
	reach          text NOT NULL CHECK (reach IN ('socket', 'push')),
	state          text NOT NULL CHECK (state IN ('queued', 'offering', 'assigned', 'done', 'cancelled', 'expired', 'all_declined', 'aborted')),
	made_at        text NOT NULL,
	expires_at     text,
	first_offer_at text,
	assigned_at    text,
	ended_at       text,
	attempts       integer NOT NULL CHECK (attempts >= 0),
	agent          text,
	session        integer,
	cause          text,
	reason         text,
	seq            integer NOT NULL,
	at             text NOT NULL,
	CONSTRAINT requests_end_of_state CHECK ((ended_at IS NULL) = (state IN ('queued', 'offering', 'assigned'))),
	CONSTRAINT requests_expiry_of_state CHECK ((expires_at IS NOT NULL) = (state IN ('queued', 'offering'))),
	CONSTRAINT requests_agent_of_state CHECK (agent IS NOT NULL OR state NOT IN ('offering', 'assigned')),
	CONSTRAINT requests_session_of_state CHECK (session IS NOT NULL OR state NOT IN ('assigned', 'done', 'aborted'))
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS requests_one_per_client ON requests (realm, desk, client) WHERE ended_at IS NULL;

CREATE TABLE IF NOT EXISTS offers (
	offer       INTEGER PRIMARY KEY,
	realm       text NOT NULL,
	desk        text NOT NULL,
	request     integer NOT NULL,
	agent       text NOT NULL,
	attempt     integer NOT NULL CHECK (attempt > 0),
	state       text NOT NULL CHECK (state IN ('pending', 'accepted', 'rejected', 'timed_out', 'rescinded', 'revoked')),
	made_at     text NOT NULL,
	deadline_at text NOT NULL,
	received_at text,
	ended_at    text,
	session     integer,
	cause       text,
	reason      text,
	seq         integer NOT NULL,
	at          text NOT NULL,
	CONSTRAINT offers_end_of_state CHECK ((ended_at IS NULL) = (state = 'pending')),
	CONSTRAINT offers_session_of_state CHECK ((session IS NOT NULL) = (state = 'accepted'))
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS offers_one_per_attempt ON offers (request, attempt);
CREATE UNIQUE INDEX IF NOT EXISTS offers_one_per_agent ON offers (realm, desk, agent) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS offers_one_per_request ON offers (request) WHERE ended_at IS NULL;

CREATE TABLE IF NOT EXISTS sessions (
	session    INTEGER PRIMARY KEY,
	realm      text NOT NULL,
	desk       text NOT NULL,
	agent      text NOT NULL,
	client     text NOT NULL,
	request    integer NOT NULL,
	offer      integer NOT NULL,
	began_at   text NOT NULL,
	ended_at   text,
	wrap_until text,
	cause      text,
	reason     text,
	seq        integer NOT NULL,
	at         text NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS sessions_one_per_agent ON sessions (realm, desk, agent) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS sessions_one_per_request ON sessions (request) WHERE ended_at IS NULL;
