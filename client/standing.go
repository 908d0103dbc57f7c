package client

import (
	"time"

	"holdfast/internal/wire"
	"holdfast/seat"
)

// Status is a person's standing in one pool.
type Status string

// The statuses. Empty in a refused answer.
const (
	None     Status = "none"     // never had a claim here
	Waiting  Status = "waiting"  // in line
	Offered  Status = "offered"  // a freed seat is held for the person until a deadline
	Seated   Status = "seated"   // has a seat
	Released Status = "released" // had a claim
	Entered  Status = "entered"  // in a lottery, before its draw
)

// Durability says how far an answer has got.
type Durability string

// The stages, in their order.
const (
	Preapproved Durability = "preapproved" // decided in memory: a crash may erase it. Send no mail, take no money
	Confirmed   Durability = "confirmed"   // on stable storage
	Recorded    Durability = "recorded"    // committed in the customer's SQL database
)

func (d Durability) rank() int {
	switch d {
	case Preapproved:
		return 1
	case Confirmed:
		return 2
	case Recorded:
		return 3
	}
	return 0
}

// Standing is where one person stands in one pool. As JSON it is what the server's API says.
type Standing struct {
	Realm    string    `json:"realm,omitempty"`
	Pool     string    `json:"pool,omitempty"`
	Person   string    `json:"person,omitempty"`
	Status   Status    `json:"status,omitempty"`
	Seat     int       `json:"seat,omitempty"`     // seated, offered: from 1
	Position int       `json:"position,omitempty"` // waiting: place in line, 1 is next
	Ticket   int       `json:"ticket,omitempty"`   // waiting: what orders the line; rises, with gaps
	Offer    uint64    `json:"offer,omitempty"`    // offered, confirmed: what Accept names
	Deadline time.Time `json:"deadline,omitzero"`  // offered: the last instant to accept, exclusive
	Swap     string    `json:"swap,omitempty"`     // waiting, offered: the pool whose seat is given up for this one
	Blocked  Code      `json:"blocked,omitempty"`  // waiting: why the person may not sit now; the place is kept
	Seq      uint64    `json:"seq,omitempty"`      // the event that made it; only once confirmed
	AsOf     uint64    `json:"as_of,omitempty"`    // where in the log it was true
	At       time.Time `json:"at,omitzero"`        // when it was made; none: when it was looked at
}

// Live says whether the claim still counts: waiting, offered, seated or entered.
func (s Standing) Live() bool {
	return s.Status == Waiting || s.Status == Offered || s.Status == Seated || s.Status == Entered
}

// Answer is what was decided about one person and pool: where they stand, or why not.
type Answer struct {
	Standing // refused: only the names, AsOf and At

	Durability Durability `json:"durability,omitempty"`
	Refusal    *Refusal   `json:"refused,omitempty"` // nil: not refused
}

// Refused says whether the answer is a refusal.
func (a Answer) Refused() bool { return a.Refusal != nil }

// RefusedAs says whether the answer is a refusal with that code.
func (a Answer) RefusedAs(code Code) bool { return a.Refusal != nil && a.Refusal.Code == code }

// Seated says whether the person has the seat. It may be only preapproved yet: see Certain.
func (a Answer) Seated() bool { return a.Refusal == nil && a.Status == Seated }

// Waiting says whether the person is in line.
func (a Answer) Waiting() bool { return a.Refusal == nil && a.Status == Waiting }

// Certain says whether the answer survives a crash: it is confirmed or recorded.
func (a Answer) Certain() bool { return a.Durability.rank() >= Confirmed.rank() }

// Refusal is why the rules said no. Nothing was changed.
type Refusal struct {
	Code     Code      `json:"code"`
	Title    string    `json:"title,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	OpensAt  time.Time `json:"opens_at,omitzero"`   // not_open
	ClosedAt time.Time `json:"closed_at,omitzero"`  // closed
	HeldPool string    `json:"held_pool,omitempty"` // group, no_seat, swap_pending
	Limit    int       `json:"limit,omitempty"`     // limit
	Seq      uint64    `json:"seq,omitempty"`       // precondition: the standing's true seq; 0 = there is none
}

// BasketAnswer is what was decided about a basket.
type BasketAnswer struct {
	Realm      string     `json:"realm,omitempty"`
	Person     string     `json:"person,omitempty"`
	Items      []Answer   `json:"items,omitempty"` // in the order of the command
	Durability Durability `json:"durability,omitempty"`
	AsOf       uint64     `json:"as_of,omitempty"`
	At         time.Time  `json:"at,omitzero"`
	// Refusal says why nothing was done: an "all" that failed, or an unknown pool. nil: the items speak for themselves.
	Refusal *Refusal `json:"refused,omitempty"`
}

// Certain says whether the answer survives a crash.
func (a BasketAnswer) Certain() bool { return a.Durability.rank() >= Confirmed.rank() }

// Refused says whether nothing was done.
func (a BasketAnswer) Refused() bool { return a.Refusal != nil }

func stdTime(t seat.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.Std()
}

func answerOf(w *wire.Answer) Answer {
	return Answer{
		Standing: Standing{
			Realm: w.Realm, Pool: w.Pool, Person: w.Person, Status: Status(w.Status),
			Seat: int(w.Seat), Position: int(w.Position), Ticket: int(w.Ticket), Offer: w.Offer,
			Deadline: stdTime(w.Deadline), Swap: w.Swap, Blocked: Code(w.Blocked), Seq: w.Seq, AsOf: w.AsOf, At: stdTime(w.At),
		},
		Durability: Durability(w.Durability),
		Refusal:    refusalOf(w.Refused),
	}
}

func refusalOf(p *wire.Problem) *Refusal {
	if p == nil {
		return nil
	}
	r := &Refusal{
		Code: Code(p.Code), Title: p.Title, Detail: p.Detail,
		OpensAt: stdTime(p.OpensAt), ClosedAt: stdTime(p.ClosedAt), HeldPool: p.HeldPool, Limit: int(p.Limit), Seq: p.Seq,
	}
	if r.Title == "" { // an item of a basket has the code and the fact only
		m := wire.Mean(p.Code)
		r.Title, r.Detail = m.Title, m.Detail
	}
	return r
}

func basketOf(w *wire.BasketAnswer) BasketAnswer {
	a := BasketAnswer{
		Realm: w.Realm, Person: w.Person, Durability: Durability(w.Durability), AsOf: w.AsOf, At: stdTime(w.At),
		Refusal: refusalOf(w.Refused),
	}
	for i := range w.Items {
		item := answerOf(&w.Items[i])
		item.Realm, item.Person, item.AsOf, item.Durability = a.Realm, a.Person, a.AsOf, a.Durability
		a.Items = append(a.Items, item)
	}
	return a
}
