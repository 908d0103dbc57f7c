// Package seat holds the rules of pools: who is seated, who waits, who is offered a freed seat.
//
// It is pure. Step takes a command with its time inside and makes events; Apply takes an event and changes the State;
// nothing else does either. There is no clock, lock, goroutine, randomness or I/O here, so the same events always give
// the same State, whoever applies them: the engine, recovery, the verifier, a test.
//
// A State is one realm's seats. It is not safe for concurrent use: the engine's shard lock guards it.
package seat

import (
	"fmt"
	"time"

	"holdfast/internal/rule"
)

// Time is an instant in microseconds since the Unix epoch, UTC. Zero means absent.
type Time = rule.Time

// TimeOf converts t, truncated to the microsecond.
func TimeOf(t time.Time) Time { return rule.TimeOf(t) }

// Status is a person's standing in one pool.
type Status uint8

// The numbers are stored: never change one, add at the end.
const (
	None     Status = iota // never had a claim here
	Waiting                // in line
	Offered                // a freed seat is held for the person until a deadline
	Seated                 // has a seat
	Released               // had a claim; its seq stays, so that late duplicates are recognised
	Entered                // in a lottery, before its draw

	Statuses = int(Entered) + 1 // how many there are
)

var statusNames = [...]string{None: "none", Waiting: "waiting", Offered: "offered", Seated: "seated", Released: "released", Entered: "entered"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// ParseStatus is the inverse of String.
func ParseStatus(name string) (Status, bool) {
	for s, n := range statusNames {
		if n == name {
			return Status(s), true
		}
	}
	return None, false
}

// Live says whether the claim still counts: entered, waiting, offered or seated.
func (s Status) Live() bool { return s == Waiting || s == Offered || s == Seated || s == Entered }

// holds says whether a seat of the pool is taken by it.
func (s Status) holds() bool { return s == Offered || s == Seated }

// Promotion says what happens when a seat becomes free and somebody eligible waits.
type Promotion uint8

const (
	// Auto seats the first eligible waiting person at once.
	Auto Promotion = iota
	// Offer holds the seat for that person, who has Config.AnswerWithin to accept.
	Offer
)

func (p Promotion) String() string {
	if p == Offer {
		return "offer"
	}
	return "auto"
}

// Order says who comes first when a pool opens.
type Order uint8

const (
	// Arrival: claims are taken from the opening on, in the order in which they come.
	Arrival Order = iota
	// Lottery: claims before the opening are entered; at the opening a draw puts them in order. Later ones come behind.
	Lottery
)

func (o Order) String() string {
	if o == Lottery {
		return "lottery"
	}
	return "arrival"
}

// Config is what a pool is made with; PutPool replaces the whole of it.
type Config struct {
	// Capacity is the number of seats, 0 to MaxCapacity.
	Capacity uint32
	// Waitlist is the most people that may wait; nil = no limit, 0 = no waiting line.
	Waitlist *uint32
	// OpensAt is the instant from which claims are taken; zero = from the start.
	OpensAt Time
	// ClosesAt is the instant from which claims are refused; zero = never. It must lie after OpensAt.
	ClosesAt Time
	// PromoteUntil stops promotion and caps the deadlines of seat offers; zero = as ClosesAt.
	PromoteUntil Time
	// Promotion is Auto or Offer.
	Promotion Promotion
	// AnswerWithin is the time to accept a seat offer, 1 s to 90 days; whole seconds; zero unless Promotion is Offer.
	AnswerWithin time.Duration
	// Group names pools of which a person may hold one seat in all; empty = none.
	Group string
	// Order is Arrival or Lottery; Lottery needs OpensAt. It cannot change while claims live.
	Order Order
	// SeedHash is the SHA-256 of the seed that orders the draw: fixed before anybody enters, so that nobody can choose the
	// seed afterwards. The engine makes the seed and fills this in; a pool keeps the hash it was made a lottery with.
	SeedHash [32]byte
	// Data is the customer's own JSON value about the pool, at most MaxData bytes; empty = none.
	Data string
}

// promoteUntil is PromoteUntil with its default; zero = no end.
func (c *Config) promoteUntil() Time {
	if c.PromoteUntil != 0 {
		return c.PromoteUntil
	}
	return c.ClosesAt
}

// Limits hold for each person of a realm.
type Limits struct {
	// MaxSeats is the most seats (seated and offered) a person holds; nil = no limit. 1 to MaxPerPerson.
	MaxSeats *uint32
	// MaxWaits is the most lines a person waits in, 0 to MaxPerPerson.
	MaxWaits uint32
}

// DefaultLimits is what a realm is made with when nothing else is said: no limit of seats, 20 waits.
func DefaultLimits() Limits { return Limits{MaxWaits: 20} }

// The limits of the rules, by name.
const (
	MaxCapacity  = 10_000_000 // seats of one pool
	MaxPerPerson = 1_000      // highest value of each of Limits
	MaxData      = 16 << 10   // bytes of Config.Data
	MaxBasket    = 32         // items of one basket
	MaxEvents    = 1_000      // events that one command makes; what goes further continues as due work
	MaxID        = rule.MaxID // bytes of a realm's, pool's, person's or group's id
	MaxReason    = 1_000      // bytes of Override.Reason and .By
)

// Code names why something was refused. The names are on the wire: never change one.
type Code = rule.Code

// The refusals of pools.
const (
	NotOpen     Code = "not_open"     // the pool opens later; Refusal.Time says when
	Closed      Code = "closed"       // the pool takes no claims any more; Refusal.Time says since when
	Full        Code = "full"         // no seat is free for the person and the line is full or there is none
	LimitSeats  Code = "limit"        // the person has as many seats or waits as the realm allows; Refusal.Limit says how many
	HeldInGroup Code = "group"        // the person holds a seat of the pool's group; Refusal.Pool says where
	Mismatch    Code = "precondition" // the standing's seq is not the one the caller named; Refusal.Seq is the true one
	NoOffer     Code = "no_offer"     // there is no such seat offer to accept (any more)
	NoSeat      Code = "no_seat"      // a swap gives up a seat that the person does not have; Refusal.Pool names it
	SwapPending Code = "swap_pending" // the seat to give up is already part of another waiting swap; Refusal.Pool says which
	Conflict    Code = "conflict"     // the pool's group or order cannot change while claims live
	UnknownPool Code = "unknown_pool" // no such pool; Refusal.Pool names it
	NotAll      Code = "not_all"      // an all-or-nothing basket: another item was refused, so this one was not tried
)

// Refusal is a decision too: true at the instant it was made, and no place in line was given.
type Refusal struct {
	Code  Code
	Time  Time   // NotOpen: opens at. Closed: closed at
	Pool  string // HeldInGroup, NoSeat, SwapPending, UnknownPool: the pool that explains it
	Limit uint32 // LimitSeats: the limit that is reached
	Seq   uint64 // Mismatch: the standing's seq
}

// Standing is where a person stands in a pool.
type Standing struct {
	Status   Status
	Pool     string
	Seat     uint32 // Seated, Offered: the seat's number, from 1
	Position uint32 // Waiting: place in line, 1 is next
	Ticket   uint32 // Waiting: orders the line; rises, with gaps
	Deadline Time   // Offered: the last instant to accept, exclusive
	Swap     string // Waiting, Offered: the pool whose seat is given up when this one is certain
	Blocked  Code   // Waiting: why the person may not sit now (LimitSeats, HeldInGroup); empty = may
	Seq      uint64 // the event that made it: its ETag, and the id of a seat offer; 0 = None
	At       Time   // when that event happened
}

// Result is what Step decided for one person and pool: either a Standing, or a Refusal beside the standing as it is.
type Result struct {
	Standing
	Refusal Refusal // Code is empty when nothing was refused
}

// Refused says whether the command was refused.
func (r *Result) Refused() bool { return r.Refusal.Code != "" }

// PoolView is a pool as it stands.
type PoolView struct {
	Name    string
	Config  Config
	Seated  uint32
	Offered uint32
	Waiting uint32
	Entered uint32
	Free    uint32 // max(0, capacity - seated - offered)
	Over    uint32 // max(0, seated + offered - capacity)
	Drawn   bool   // a lottery whose draw has begun: Seed is known
	Seed    [32]byte
	Seq     uint64 // the event that put it
	At      Time
}
