package server

import (
	"net/http"

	"holdfast/auth"
	"holdfast/internal/wire"
)

// Public marks a route that anybody may use who reaches the server, without a token.
const Public auth.Role = "public"

// class is how a request is treated when more ask than can be served.
type class uint8

const (
	newcomer class = iota // who asks for a place, or looks on: one of MaxInFlight, limited per person, turned away when there is too much to do
	placed                // who has a place already, and who sets up: never turned away; one of MaxConnections
	feeding               // one of MaxFeeds
	open                  // it must answer when nothing else does
)

// route is one row of the API.
type route struct {
	method string
	path   string
	role   auth.Role // the least that may use it: person < staff < backend < admin
	class  class
	handle func(*call) int // returns the status it answered with
	op     operation

	own   bool        // names no realm, and yet is for who is of one: it shows only that
	desks bool        // it is of desks, or of all: who is of one desk may use it, and sees only that
	also  []auth.Role // of these: who may beside role, for themselves
	names struct {    // which ids the path has; set by table
		realm, pool, person, desk, agent bool
		number                           string // of an event: request, offer, session
	}
}

func (r *route) pattern() string { return r.method + " " + r.path }

func (r *route) takes(param string) bool {
	for _, name := range r.op.query {
		if name == param {
			return true
		}
	}
	return false
}

// operation is what /openapi.json says of a route beside its path.
type operation struct {
	id      string
	summary string
	query   []string // names in schemas.json, components.parameters
	headers []string // the same
	body    string   // schema of the body; empty = takes none
	answers []answer
}

// answer is one way a route answers. The errors that every route of a door has are added to them.
type answer struct {
	status int
	media  string
	schema string // empty: text
}

const (
	realmPath  = "/v1/realms/{realm}"
	poolPath   = realmPath + "/pools/{pool}"
	claimPath  = poolPath + "/claims/{person}"
	peoplePath = realmPath + "/people/{person}"
)

var (
	waits   = []string{"wait", "timeout"}
	matches = []string{"If-Match", "If-None-Match"}
)

func paged(more ...string) []string {
	return append([]string{"wait", "timeout", "limit", "after"}, more...)
}

func ok(schema string) []answer { return []answer{{http.StatusOK, wire.JSON, schema}} }

// decided is how a command answers: 200, 202 while preapproved, 409 refused, and what else it can meet.
func decided(schema string, more ...answer) []answer {
	return append([]answer{
		{http.StatusOK, wire.JSON, schema},
		{http.StatusAccepted, wire.JSON, schema},
		{http.StatusNotFound, wire.ProblemJSON, "Problem"},
		{http.StatusConflict, wire.ProblemJSON, "Problem"},
	}, more...)
}

func read(schema string, more ...answer) []answer {
	return append([]answer{
		{http.StatusOK, wire.JSON, schema},
		{http.StatusAccepted, wire.JSON, schema},
		{http.StatusNotFound, wire.ProblemJSON, "Problem"},
	}, more...)
}

var mismatch = answer{http.StatusPreconditionFailed, wire.ProblemJSON, "Problem"}

// routes lists the whole API.
func routes() []route {
	table := append(append(setupRoutes(), claimRoutes()...), socketRoutes()...)
	return append(append(table, deskRoutes()...), operatorRoutes()...)
}

func setupRoutes() []route {
	return []route{
		{method: "PUT", path: realmPath, role: auth.Admin, class: placed, handle: putRealm,
			op: operation{"putRealm", "Make a realm, or replace its limits", waits, nil, "RealmConfig", decided("Realm")}},
		{method: "GET", path: realmPath, role: auth.Backend, handle: getRealm,
			op: operation{"getRealm", "A realm as it stands", waits, nil, "", read("Realm")}},
		{method: "GET", path: "/v1/realms", role: auth.Backend, own: true, handle: listRealms,
			op: operation{"listRealms", "The realms, in the order they were made", paged(), nil, "", read("RealmList")}},
		{method: "PUT", path: poolPath, role: auth.Admin, class: placed, handle: putPool,
			op: operation{"putPool", "Make a pool, or replace the whole of its configuration", waits, nil, "PoolConfig", decided("Pool")}},
		{method: "GET", path: poolPath, role: auth.Person, handle: getPool,
			op: operation{"getPool", "A pool as it stands", waits, nil, "", read("Pool")}},
		{method: "GET", path: realmPath + "/pools", role: auth.Person, handle: listPools,
			op: operation{"listPools", "The pools of a realm, in the order they were made", paged(), nil, "", read("PoolList")}},
	}
}

func claimRoutes() []route {
	return []route{
		{method: "PUT", path: claimPath, role: auth.Person, handle: putClaim,
			op: operation{"claim", "Ask for a seat or a place in line; shows the standing if there is one", waits, matches, "Condition", decided("Claim", mismatch)}},
		{method: "GET", path: claimPath, role: auth.Person, class: placed, handle: getClaim,
			op: operation{"getClaim", "Where a person stands in a pool", waits, nil, "", read("Claim")}},
		{method: "DELETE", path: claimPath, role: auth.Person, class: placed, handle: deleteClaim,
			op: operation{"release", "Give up a seat, a seat offer or a place in line", waits, matches, "Condition", decided("Claim", mismatch)}},
		{method: "POST", path: claimPath + "/accept", role: auth.Person, class: placed, handle: postAccept,
			op: operation{"accept", "Take a seat offer", waits, nil, "Accept", decided("Claim")}},
		{method: "POST", path: claimPath + "/override", role: auth.Staff, class: placed, handle: postOverride,
			op: operation{"override", "Seat or remove a person out of order, with a reason that is recorded", waits, nil, "Override", decided("Claim")}},
		{method: "GET", path: poolPath + "/claims", role: auth.Staff, handle: getRoster,
			op: operation{"roster", "The claims of a pool, in the order the persons first claimed", paged("status", "format"), nil, "", read("ClaimList", answer{http.StatusOK, wire.CSV, ""}, answer{http.StatusAccepted, wire.CSV, ""}, answer{http.StatusNotAcceptable, wire.ProblemJSON, "Problem"})}},
		{method: "POST", path: realmPath + "/baskets", role: auth.Person, handle: postBasket,
			op: operation{"basket", "Several claims and swaps of one person, decided in one place of the order", waits, nil, "Basket", decided("BasketAnswer", mismatch)}},
		{method: "GET", path: peoplePath, role: auth.Person, class: placed, handle: getPerson,
			op: operation{"person", "All standings of a person", paged(), nil, "", read("PersonClaims")}},
	}
}

// socketRoutes are the connections that stay open. The WebSocket is public: its first message says who comes.
func socketRoutes() []route {
	return []route{
		{method: "GET", path: realmPath + "/ws", role: Public, class: open, handle: getSocket,
			op: operation{"socket", "A WebSocket: commands, their answers, and what changes (docs/PROTOCOL.md)", nil, nil, "", []answer{
				{http.StatusSwitchingProtocols, "", ""}, {http.StatusUnauthorized, wire.ProblemJSON, "Problem"},
				{http.StatusUpgradeRequired, wire.ProblemJSON, "Problem"}, {http.StatusServiceUnavailable, wire.ProblemJSON, "Problem"}}}},
		{method: "GET", path: peoplePath + "/events", role: auth.Person, class: open, handle: getPersonEvents,
			op: operation{"personEvents", "What changes of a person's claims, as server-sent events", []string{"since"}, []string{"Last-Cursor"}, "", []answer{
				{http.StatusOK, wire.EventStream, ""}, {http.StatusNotFound, wire.ProblemJSON, "Problem"}, {http.StatusTooManyRequests, wire.ProblemJSON, "Problem"}, {http.StatusServiceUnavailable, wire.ProblemJSON, "Problem"}}}},
		{method: "POST", path: realmPath + "/tickets", role: auth.Person, also: eachParty, class: placed, desks: true, handle: postTicket,
			op: operation{"ticket", "A one-use ticket of 30 s, with which a WebSocket says who comes", nil, nil, "TicketRequest", []answer{
				{http.StatusOK, wire.JSON, "Ticket"}, {http.StatusNotFound, wire.ProblemJSON, "Problem"},
				{http.StatusConflict, wire.ProblemJSON, "Problem"}, {http.StatusTooManyRequests, wire.ProblemJSON, "Problem"}}}},
	}
}

func operatorRoutes() []route {
	return []route{
		{method: "GET", path: realmPath + "/events", role: auth.Backend, class: feeding, desks: true, handle: getEvents,
			op: operation{"events", "The feed: confirmed events, in order", []string{"after", "limit", "follow", "log"}, []string{"Last-Event-ID"}, "", []answer{
				{http.StatusOK, wire.NDJSON, "Event"}, {http.StatusOK, wire.EventStream, ""},
				{http.StatusNotFound, wire.ProblemJSON, "Problem"}, {http.StatusConflict, wire.ProblemJSON, "Problem"},
				{http.StatusGone, wire.ProblemJSON, "Problem"}}}},
		{method: "GET", path: "/v1/log", role: auth.Admin, class: open, handle: getLog,
			op: operation{"log", "Where the log stands: its id, its ends, and the mirror's cursor", nil, nil, "", ok("Log")}},
		{method: "GET", path: "/healthz", role: Public, class: open, handle: getHealth,
			op: operation{"health", "200 while the process lives and its log has not failed", nil, nil, "", append(ok("Health"), answer{http.StatusServiceUnavailable, wire.JSON, "Health"})}},
		{method: "GET", path: "/readyz", role: Public, class: open, handle: getReady,
			op: operation{"ready", "200 while commands are taken", nil, nil, "", append(ok("Ready"), answer{http.StatusServiceUnavailable, wire.JSON, "Ready"})}},
		{method: "GET", path: "/metrics", role: auth.Admin, class: open, handle: getMetrics,
			op: operation{"metrics", "Metrics in the text format of Prometheus", []string{"name[]"}, nil, "", []answer{{http.StatusOK, "text/plain", ""}}}},
		{method: "GET", path: "/openapi.json", role: Public, class: open, handle: getOpenAPI,
			op: operation{"openapi", "This description", nil, nil, "", ok("OpenAPI")}},
	}
}
