package desk

import "fmt"

// Kind says what happened.
type Kind uint8

// The numbers are stored in every log: never change one, add at the end. 64 to 127 are the desks'. Every event has Desk.
const (
	DeskPut            Kind = 64 // Config
	AgentPut           Kind = 65 // Agent, Profile
	AgentRemoved       Kind = 66 // Agent, By, Reason
	AgentConnected     Kind = 67 // Agent, Conn; Receipt: of the pending offer, anew
	AgentDisconnected  Kind = 68 // Agent, Conn, Cause (lost, superseded); Until: when it was the last one and somebody must come back
	AgentOnline        Kind = 69 // Agent, State: accepting; at the back of the ring if they were not idle and accepting
	AgentPaused        Kind = 70 // Agent, Cause (agent, misses, staff), By, Reason: not accepting, the state as it was
	AgentOffline       Kind = 71 // Agent, Cause (agent, grace, agent_lost, restart, removal, staff), By, Reason
	AgentReady         Kind = 72 // Agent: the pause after something is over
	AgentHeard         Kind = 73 // Agent: a sign of life from who was silent
	RequestMade        Kind = 74 // Client, Ask, Conn; Until: when it has waited too long. Its seq is its id
	ClientConnected    Kind = 75 // Client, Request, Conn
	ClientDisconnected Kind = 76 // Client, Request, Conn, Cause; Until: when it was the last one and the client must come back
	OfferMade          Kind = 77 // Request, Agent, Client; Until: its end, Slack included; Receipt: when it must be received. Its seq is its id
	OfferReceived      Kind = 78 // Offer, Request, Agent
	OfferAccepted      Kind = 79 // Offer, Request, Agent, Client, Conn: over which, 0 = HTTP; Until: when the client must have come; zero = is there. Its seq is the session's id
	OfferEnded         Kind = 80 // Offer, Request, Agent, Outcome, Cause, Reason, By, State, Place, Until: the agent's pause
	SessionFinished    Kind = 81 // Session, Request, Agent, Client, Request's state in Then, Cause, Reason, By, State, Place, Until: the agent's pause
	RequestEnded       Kind = 82 // Request, Client, Then, Cause, Reason, By: it waited, and ends
)

var kindNames = [...]string{"desk_put", "agent_put", "agent_removed", "agent_connected", "agent_disconnected", "agent_online", "agent_paused",
	"agent_offline", "agent_ready", "agent_heard", "request_made", "client_connected", "client_disconnected", "offer_made", "offer_received",
	"offer_accepted", "offer_ended", "session_finished", "request_ended"}

// Owns says whether a kind is one of the desks'.
func Owns(k Kind) bool { return k >= DeskPut && k <= RequestEnded }

func (k Kind) String() string {
	if k >= DeskPut && int(k-DeskPut) < len(kindNames) {
		return kindNames[k-DeskPut]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Cause says what led to an event.
type Cause uint8

// The numbers are stored: never change one, add at the end. 0 is none.
const (
	ByAgent       Cause = 1  // the agent said so
	ByClient      Cause = 2  // the client said so
	ByStaff       Cause = 3  // staff, or a back end: By and Reason say more
	ByDeadline    Cause = 4  // the offer was not answered in time
	ByLostLink    Cause = 5  // the last connection ended
	BySuperseded  Cause = 6  // another connection took its place
	ByGrace       Cause = 7  // who was away did not come back in time
	ByRestart     Cause = 8  // who was away since a start did not come back in time
	ByUndelivered Cause = 9  // no device said that it had the offer
	ByMisses      Cause = 10 // too many offers in a row were not answered
	ByGoingAway   Cause = 11 // the agent paused or went offline with an offer pending
	ByRemoval     Cause = 12 // the agent was removed, or the topic taken from them
	ByMaxWait     Cause = 13 // it waited too long
	ByMaxAttempts Cause = 14 // it was offered too often
	ByNobodyLeft  Cause = 15 // everybody who could be asked has declined
	ByAgentLost   Cause = 16 // the agent was away too long in the session
	ByNoShow      Cause = 17 // the client did not come after the accept
)

var causeNames = [...]string{0: "", ByAgent: "agent", ByClient: "client", ByStaff: "staff", ByDeadline: "deadline", ByLostLink: "lost",
	BySuperseded: "superseded", ByGrace: "grace", ByRestart: "restart", ByUndelivered: "undelivered", ByMisses: "misses",
	ByGoingAway: "going_away", ByRemoval: "removal", ByMaxWait: "max_wait", ByMaxAttempts: "max_attempts",
	ByNobodyLeft: "nobody_left", ByAgentLost: "agent_lost", ByNoShow: "no_show"}

func (c Cause) String() string { return name(causeNames[:], uint8(c), "cause") }

// Place says where in the ring an agent stands who is idle again.
type Place uint8

// The numbers are stored: never change one, add at the end.
const (
	Kept     Place = iota // where they were: it was no fault of theirs
	Back                  // at the back
	BackMiss              // at the back, and one more offer is left unanswered
	KeptMute              // where they were, but not ready until something is heard
)

// Event is a fact about the desks of one realm. Its sequence, time and realm stand in the envelope around it. Which fields
// count stands beside each kind. It says what was decided, so that whoever keeps a copy (the mirror) needs no rules of its own.
type Event struct {
	Kind    Kind
	Cause   Cause
	Outcome OfferState   // OfferEnded
	Then    RequestState // SessionFinished, RequestEnded: the request's; Queued where it waits again
	Turned
	Who
	About
	Until   Time
	Receipt Time
	Staff
	Content
}

// Turned is how an agent is after an event.
type Turned struct {
	State AgentState
	Place Place // where State is Idle
}

// Who is whom an event is about.
type Who struct{ Desk, Agent, Client string }

// About is what an event is about, by id.
type About struct{ Request, Offer, Session, Conn uint64 }

// Staff is who did something, and why it was done, as they said.
type Staff struct{ By, Reason string }

// Content is what an event puts.
type Content struct {
	Config  *Config
	Profile *Profile
	Ask     *Ask
}
