package wire

import (
	"encoding/json"
	"fmt"

	"holdfast"
	"holdfast/seat"
)

// Media types of the answers.
const (
	JSON        = "application/json"
	ProblemJSON = "application/problem+json"
	NDJSON      = "application/x-ndjson"
	EventStream = "text/event-stream"
	CSV         = "text/csv; charset=utf-8"
)

// Durability says how far an answer has got. The words are on the wire: never change one.
type Durability string

const (
	Preapproved Durability = "preapproved" // decided in memory
	Confirmed   Durability = "confirmed"   // everything it rests on is on stable storage
	Recorded    Durability = "recorded"    // the mirror has committed it in the customer's database
)

// Answer is what a claim, a release, an accept, an override or a look answers, and one item of a basket or a list.
type Answer struct {
	Realm    string        `json:"realm,omitempty"`
	Pool     string        `json:"pool,omitempty"`
	Person   string        `json:"person,omitempty"`
	Status   string        `json:"status,omitempty"` // none, waiting, offered, seated, released, entered; empty when refused
	Seat     uint32        `json:"seat,omitempty"`
	Position uint32        `json:"position,omitempty"` // 1 is next
	Ticket   uint32        `json:"ticket,omitempty"`
	Offer    uint64        `json:"offer,omitempty"` // what accept names; only once confirmed
	Deadline seat.Time     `json:"deadline,omitempty"`
	Swap     string        `json:"swap,omitempty"`
	Blocked  holdfast.Code `json:"blocked,omitempty"`

	Durability Durability `json:"durability,omitempty"` // not on items: the whole says it
	Seq        uint64     `json:"seq,omitempty"`        // only once confirmed
	AsOf       uint64     `json:"as_of,omitempty"`
	At         seat.Time  `json:"at,omitempty"`

	// Refused is set where the command was refused or could not be decided (busy, unknown).
	Refused *Problem `json:"refused,omitempty"`
}

// BasketAnswer is what a basket answers.
type BasketAnswer struct {
	Realm      string     `json:"realm"`
	Person     string     `json:"person"`
	Mode       string     `json:"mode"`
	Items      []Answer   `json:"items"` // in the order of the command
	Durability Durability `json:"durability"`
	AsOf       uint64     `json:"as_of"`
	At         seat.Time  `json:"at"`

	// Refused is set where the whole basket was: Items then says which item and why.
	Refused *Problem `json:"-"`
}

// Problem is a refusal or an error, in the form of RFC 9457.
type Problem struct {
	Type   string        `json:"type,omitempty"`
	Title  string        `json:"title,omitempty"`
	Status int           `json:"status,omitempty"`
	Detail string        `json:"detail,omitempty"`
	Code   holdfast.Code `json:"code"`

	Field    string    `json:"field,omitempty"` // malformed: what is wrong
	Realm    string    `json:"realm,omitempty"`
	Pool     string    `json:"pool,omitempty"`
	Person   string    `json:"person,omitempty"`
	OpensAt  seat.Time `json:"opens_at,omitempty"`  // not_open
	ClosedAt seat.Time `json:"closed_at,omitempty"` // closed
	HeldPool string    `json:"held_pool,omitempty"` // group, no_seat, swap_pending, unknown_pool of an item
	Limit    uint32    `json:"limit,omitempty"`     // limit, queue_full
	Seq      uint64    `json:"seq,omitempty"`       // precondition, once confirmed: the standing's true seq
	First    uint64    `json:"first,omitempty"`     // trimmed: the oldest event that can still be had
	Last     uint64    `json:"last,omitempty"`      // other_log: the durable end of this log

	Desk       string `json:"desk,omitempty"`
	Topic      string `json:"topic,omitempty"`       // unknown_topic, desk_live
	Version    uint64 `json:"version,omitempty"`     // no_agent, once confirmed: as of which availability
	Offer      string `json:"offer,omitempty"`       // offer_closed: what became of it
	Cause      string `json:"cause,omitempty"`       // offer_closed, session_ended: why it ended
	AgentState string `json:"agent_state,omitempty"` // offer_closed: where the agent stands

	RetryAfterMS int64 `json:"retry_after_ms,omitempty"` // busy, unknown

	Durability Durability `json:"durability,omitempty"`
	AsOf       uint64     `json:"as_of,omitempty"`
	At         seat.Time  `json:"at,omitempty"`

	Items []Answer `json:"items,omitempty"` // a basket's
}

// Error makes a Problem usable as an error.
func (p *Problem) Error() string {
	if p.Field != "" {
		return fmt.Sprintf("%s: %s: %s", p.Code, p.Field, p.Detail)
	}
	return fmt.Sprintf("%s: %s", p.Code, p.Detail)
}

// DecodeAnswer reads what the server answered to a claim, release, accept, override or look, with the HTTP status it came
// with. A refusal is an Answer with Refused set. The error means that body is not an answer of this server at all.
func DecodeAnswer(status int, body []byte) (a Answer, err error) {
	if status < 300 {
		if err = json.Unmarshal(body, &a); err == nil && (a.Status == "" || a.Durability == "") {
			err = fmt.Errorf("it has no status or durability")
		}
		return a, wrapStatus(status, err)
	}
	p, err := DecodeProblem(status, body)
	if err != nil {
		return a, err
	}
	return Answer{
		Realm: p.Realm, Pool: p.Pool, Person: p.Person,
		Durability: p.Durability, AsOf: p.AsOf, At: p.At, Refused: p,
	}, nil
}

// DecodeBasket is DecodeAnswer for a basket.
func DecodeBasket(status int, body []byte) (a BasketAnswer, err error) {
	if status < 300 {
		if err = json.Unmarshal(body, &a); err == nil && a.Durability == "" {
			err = fmt.Errorf("it has no durability")
		}
		return a, wrapStatus(status, err)
	}
	p, err := DecodeProblem(status, body)
	if err != nil {
		return a, err
	}
	return BasketAnswer{
		Realm: p.Realm, Person: p.Person, Items: p.Items,
		Durability: p.Durability, AsOf: p.AsOf, At: p.At, Refused: p,
	}, nil
}

// DecodeProblem reads an answer of status 400 or more.
func DecodeProblem(status int, body []byte) (*Problem, error) {
	p := new(Problem)
	err := json.Unmarshal(body, p)
	if err == nil && p.Code == "" {
		err = fmt.Errorf("it has no code")
	}
	if err != nil {
		return nil, wrapStatus(status, err)
	}
	p.Status = status
	return p, nil
}

func wrapStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the answer with status %d is not Holdfast's: %w", status, err)
}
