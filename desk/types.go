// Package desk holds the rules of desks: which agent is offered which request, and what follows.
//
// It is pure, as package seat is. Step takes a command with its time inside and makes events; Apply takes an event and
// changes the State; nothing else does either. The same events always give the same State, whoever applies them.
//
// A State is all desks of one realm. It is not safe for concurrent use: the engine's shard lock guards it.
//
// The state machine is that of docs/DESKS.md: its transitions T1 to T17 and C1 to C9 are named where they are decided.
package desk

import (
	"fmt"
	"time"

	"holdfast/internal/rule"
)

// Time is an instant in microseconds since the Unix epoch, UTC. Zero means absent.
type Time = rule.Time

// Code names why something was refused. The names are on the wire: never change one.
type Code = rule.Code

// Invalid is a malformed command: nothing was decided and nothing changed.
type Invalid = rule.Invalid

// The limits of the rules, by name.
const (
	MaxID       = rule.MaxID // bytes of a desk's, agent's, client's or topic's id, and of a request's key
	MaxTopics   = 32         // topics of a desk
	MaxQueue    = 10_000     // requests that wait at one desk
	MaxData     = 1 << 10    // bytes of a request's data
	MaxReason   = 1_000      // bytes of a reason, and of who did it
	MaxPriority = 9          // of a request; 0 is the least and the default
	MaxAttempts = 100        // offers of one request
	MaxDevices  = 8          // connections of one agent, or of one client, at one desk; a further one supersedes the oldest
	MaxFinished = 1 << 20    // finished requests that a realm keeps; beyond, the oldest leave
	MaxEvents   = 1_000      // events that one turn makes
)

// KeepFinished is how long a finished request stays in the state, in logged time: so long its key is known.
const KeepFinished = 24 * time.Hour

// Slack is how much later than the deadline that is shown an offer really ends: an accept at the last instant is on its way.
const Slack = 500 * time.Millisecond

// Policy says what a desk does with a request for which nobody is ready.
type Policy uint8

// The numbers are stored: never change one, add at the end.
const (
	Refuse Policy = iota // it is refused; and one that nobody took ends all_declined
	Queue                // it waits
)

// Lost says what becomes of a request whose agent is lost in the session.
type Lost uint8

// The numbers are stored: never change one, add at the end.
const (
	Requeue Lost = iota // it waits again, at its original place
	Close               // it is closed
)

// Reach says how somebody is reached.
type Reach uint8

// The numbers are stored: never change one, add at the end.
const (
	Socket Reach = iota // over a connection; without one they are gone after a grace
	Push                // the feed tells the platform, which sends word; no connection is needed
)

// Config is what a desk is made with; PutDesk replaces the whole of it. Durations are whole milliseconds.
type Config struct {
	// Topics are what requests are about, at most MaxTopics; none: requests have no topic.
	Topics []string
	// Policy is Refuse or Queue.
	Policy Policy
	// QueueLimit is the most requests that wait under Queue, 1 to MaxQueue; 0 under Refuse.
	QueueLimit uint32
	// MaxWait is how long a request waits for somebody to accept it, from its making, 1 s to 24 h.
	MaxWait time.Duration
	// OfferTime is how long an agent has to answer an offer, 1 s to 15 min.
	OfferTime time.Duration
	// Receipt is how soon a device must say that it has an offer, for agents reached by socket, 100 ms to OfferTime; 0 = it need not.
	Receipt time.Duration
	// PushReceipt is Receipt for agents reached by push, 100 ms to OfferTime; 0 = it need not.
	PushReceipt time.Duration
	// IdleGrace, InitGrace and BusyGrace are how long an agent whose last connection was lost may stay away, by state; 0 to 1 h.
	IdleGrace, InitGrace, BusyGrace time.Duration
	// ClientGrace is how long a waiting client may stay away, 0 to 1 h.
	ClientGrace time.Duration
	// JoinWithin is how soon a client who was away at the accept must come, 0 to 1 h.
	JoinWithin time.Duration
	// Misses is how many offers in a row an agent may leave unanswered before they are paused, 0 to 100; 0 = never.
	Misses uint32
	// RejectPause and MissPause keep an agent from offers after a reject and after an offer left unanswered, 0 to 1 h.
	RejectPause, MissPause time.Duration
	// WrapUp keeps an agent from offers after a session, 0 to 1 h.
	WrapUp time.Duration
	// MaxAttempts is the most offers of one request, 1 to MaxAttempts.
	MaxAttempts uint32
	// SingleDevice lets an agent have one connection: a new one supersedes the old.
	SingleDevice bool
	// OnLost is Requeue or Close.
	OnLost Lost
	// RestartGrace is the least time that everybody who was there has to come back after a start, 0 to 1 h.
	RestartGrace time.Duration
	// WarmUp is how long after a start no new offer is made, so that those back first are not preferred, 0 to 1 min.
	WarmUp time.Duration
}

// DefaultConfig is a desk without topics and without a queue, with the times that suit people.
func DefaultConfig() Config {
	return Config{
		Policy: Refuse, MaxWait: 4 * time.Minute, OfferTime: 20 * time.Second, Receipt: 2 * time.Second,
		IdleGrace: 10 * time.Second, InitGrace: 5 * time.Second, BusyGrace: time.Minute,
		ClientGrace: time.Minute, JoinWithin: 30 * time.Second,
		Misses: 2, RejectPause: 2 * time.Second, MissPause: 10 * time.Second, MaxAttempts: 10,
		RestartGrace: 15 * time.Second, WarmUp: 1500 * time.Millisecond,
	}
}

// Profile is what an agent is put with; PutAgent replaces the whole of it.
type Profile struct {
	// Topics are those of the desk's that the agent serves; none: all of them, also later ones.
	Topics []string
	Reach  Reach
}

// AgentState is where an agent stands.
type AgentState uint8

// The numbers are stored: never change one, add at the end.
const (
	Offline AgentState = iota
	Idle               // and Ready, if connected (or reached by push), accepting, heard, and not pausing after something
	Init               // an offer is pending
	Busy               // in a session

	AgentStates = int(Busy) + 1 // how many there are
)

var agentStateNames = [...]string{Offline: "offline", Idle: "idle", Init: "init", Busy: "busy"}

func (s AgentState) String() string { return name(agentStateNames[:], uint8(s), "state") }

// RequestState is where a request stands.
type RequestState uint8

// The numbers are stored: never change one, add at the end.
const (
	Queued      RequestState = iota // waits
	Offering                        // an offer is pending
	Assigned                        // in a session
	Done                            // final: the session was finished
	Cancelled                       // final: by the client, or because they did not come back
	Expired                         // final: it waited too long, or was offered too often
	AllDeclined                     // final: everybody who could be asked has declined
	Aborted                         // final: the session came to nothing: the agent was lost, or the client did not come

	RequestStates = int(Aborted) + 1 // how many there are
)

var requestStateNames = [...]string{Queued: "queued", Offering: "offering", Assigned: "assigned", Done: "done", Cancelled: "cancelled",
	Expired: "expired", AllDeclined: "all_declined", Aborted: "aborted"}

func (s RequestState) String() string { return name(requestStateNames[:], uint8(s), "state") }

// Live says whether the request has not ended.
func (s RequestState) Live() bool { return s <= Assigned }

// Waits says whether nobody has accepted it yet.
func (s RequestState) Waits() bool { return s <= Offering }

// OfferState is where an offer stands. All but Pending are final.
type OfferState uint8

// The numbers are stored: never change one, add at the end.
const (
	Pending   OfferState = iota
	Accepted             // its session has its own id
	Rejected             // the agent said no, or went
	TimedOut             // the agent did not answer
	Rescinded            // the request ended
	Revoked              // it could not reach the agent, or staff took it back

	OfferStates = int(Revoked) + 1 // how many there are
)

var offerStateNames = [...]string{Pending: "pending", Accepted: "accepted", Rejected: "rejected", TimedOut: "timed_out", Rescinded: "rescinded", Revoked: "revoked"}

func (s OfferState) String() string { return name(offerStateNames[:], uint8(s), "state") }

// ParseOfferState, ParseRequestState and ParseAgentState are the inverses of String.
func ParseOfferState(s string) (OfferState, bool) {
	n, ok := parse(offerStateNames[:], s)
	return OfferState(n), ok
}

// ParseRequestState is the inverse of String.
func ParseRequestState(s string) (RequestState, bool) {
	n, ok := parse(requestStateNames[:], s)
	return RequestState(n), ok
}

// ParseAgentState is the inverse of String.
func ParseAgentState(s string) (AgentState, bool) {
	n, ok := parse(agentStateNames[:], s)
	return AgentState(n), ok
}

var (
	policyNames = [...]string{Refuse: "refuse", Queue: "queue"}
	lostNames   = [...]string{Requeue: "requeue", Close: "close"}
	reachNames  = [...]string{Socket: "socket", Push: "push"}
)

func (p Policy) String() string { return name(policyNames[:], uint8(p), "policy") }
func (l Lost) String() string   { return name(lostNames[:], uint8(l), "lost") }
func (r Reach) String() string  { return name(reachNames[:], uint8(r), "reach") }

// ParseReach is the inverse of String.
func ParseReach(s string) (Reach, bool) { n, ok := parse(reachNames[:], s); return Reach(n), ok }

// ParsePolicy is the inverse of String.
func ParsePolicy(s string) (Policy, bool) { n, ok := parse(policyNames[:], s); return Policy(n), ok }

// ParseLost is the inverse of String.
func ParseLost(s string) (Lost, bool) { n, ok := parse(lostNames[:], s); return Lost(n), ok }

func name(names []string, n uint8, what string) string {
	if int(n) < len(names) {
		return names[n]
	}
	return fmt.Sprintf("%s(%d)", what, n)
}

func parse(names []string, s string) (n uint8, ok bool) {
	for i, is := range names {
		if is == s && s != "" {
			return uint8(i), true
		}
	}
	return 0, false
}

// The refusals of desks. The names are on the wire: never change one.
const (
	UnknownDesk    Code = "unknown_desk"
	UnknownAgent   Code = "unknown_agent"   // the desk has no such agent
	UnknownTopic   Code = "unknown_topic"   // the desk has no such topic; or it has some and the request names none
	UnknownRequest Code = "unknown_request" // no such request (any more)
	NoAgent        Code = "no_agent"        // nobody is ready and the desk keeps no queue; Refusal.Version says as of which availability
	QueueFull      Code = "queue_full"      // as many wait as may
	OfferClosed    Code = "offer_closed"    // the offer is not (any more) the agent's to answer; Refusal.Offer says what became of it
	SessionEnded   Code = "session_ended"   // there is no such session (any more); Refusal.Session says what became of it
	NotConnected   Code = "not_connected"   // the connection is not (any more) one of the agent's or client's; or who goes online has none
	DeskLive       Code = "desk_live"       // topics in use cannot be taken away
)

// Refusal is a decision too: true at the instant it was made.
type Refusal struct {
	Code    Code
	Version uint64     // NoAgent: the availability's
	Limit   uint32     // QueueFull: the limit
	Topic   string     // UnknownTopic, DeskLive
	Offer   OfferState // OfferClosed
	Cause   Cause      // OfferClosed, SessionEnded: why it ended; 0 = it was never there, or of another
}

// Result is what Step decided: what the command was about, as it stands now, and the refusal, if it was refused.
type Result struct {
	Refusal Refusal // Code is empty when nothing was refused
	Desk    *DeskView
	Agent   *AgentView
	Request *RequestView
	Offer   *OfferView   // of AcceptOffer, RejectOffer, Receive
	Session *SessionView // of AcceptOffer, Finish
	// AcceptedElsewhere: the offer was accepted before, by the same agent: of AcceptOffer, which then shows that session.
	AcceptedElsewhere bool
}

// Refused says whether the command was refused.
func (r *Result) Refused() bool { return r.Refusal.Code != "" }

// DeskView is a desk as it stands.
type DeskView struct {
	Name     string
	Config   Config
	Agents   uint32
	States   [AgentStates]uint32 // agents by state
	Ready    uint32              // agents in the ring
	Waiting  uint32              // requests queued
	Offering uint32
	Sessions uint32
	Oldest   Time // when the oldest waiting request was made; zero = none waits
	Seq      uint64
	At       Time
}

// AgentView is an agent as it stands.
type AgentView struct {
	Desk, Agent string
	Profile     Profile
	State       AgentState
	Accepting   bool // wants requests: apart from State, so that a pause in a session takes effect after it
	Ready       bool // in the ring
	Away        bool // no connection lives; of agents reached by socket
	Silent      bool // an offer was not received: nothing is offered until something is heard
	Misses      uint32
	Connections []uint64
	IdleSince   Time // since when the agent is in line for an offer; zero unless Idle
	NotBefore   Time // until when the agent pauses after something; zero = not
	Until       Time // when Away ends: then the agent is offline; zero = never
	Offer       *OfferView
	Session     *SessionView
	Seq         uint64 // the last event that changed the agent
	At          Time
}

// RequestView is a request as it stands.
type RequestView struct {
	ID           uint64 // the event that made it
	Desk, Client string
	Ask
	State    RequestState
	Position uint32 // Queued: place among those that wait, of all topics, 1 is next
	Attempts uint32 // offers made
	Made     Time
	Expires  Time   // Queued, Offering: when it has waited too long
	Away     bool   // the client has no connection
	Until    Time   // when Away ends: then it is cancelled (or, assigned, aborted); zero = never
	Offer    uint64 // Offering: the offer
	Session  uint64 // the session, if there was one: the last
	Agent    string // Offering, Assigned and after: who
	Cause    Cause  // why it ended
	Reason   string // as given
	Seq      uint64 // the last event that changed it
	At       Time
}

// Ask is what a client asks for.
type Ask struct {
	Topic    string // empty where the desk has none
	Priority uint8  // 0 to MaxPriority, the higher the sooner
	Data     string // opaque, at most MaxData bytes of UTF-8; the agent sees it in the offer
	Key      string // idempotency: the same key of the same client is the same request; empty = none
	Reach    Reach
}

// OfferView is an offer as it stands.
type OfferView struct {
	ID       uint64 // the event that made it
	Desk     string
	Agent    string
	Request  uint64
	Client   string
	Topic    string
	Priority uint8
	Data     string
	State    OfferState
	Attempt  uint32 // 1 is the request's first
	Made     Time
	Deadline Time // as shown to the agent: Slack before it really ends
	Received bool
	Cause    Cause
	Reason   string
	Session  uint64 // Accepted: its session
}

// SessionView is a session as it stands.
type SessionView struct {
	ID      uint64 // the event that began it
	Desk    string
	Agent   string
	Client  string
	Request uint64
	Offer   uint64
	Topic   string
	Data    string
	Began   Time
	Joined  bool // the client was there, or came
	JoinBy  Time // not Joined: until when the client may come
	Ended   Time // zero = it lives
	Cause   Cause
	Reason  string
}

// Availability is what clients are told of a desk and topic. It is a hint: a request is decided by the ring.
type Availability struct {
	Desk, Topic string
	Open        bool   // a request now would not be refused
	Idle        uint32 // ready agents
	Waiting     uint32 // requests queued, of this topic
	Version     uint64 // rises with every change of Idle and Waiting, never falls
}
