package seat

import "fmt"

// Kind says what happened.
type Kind uint8

// The numbers are stored in every log: never change one, add at the end. 16 to 63 are the seats'.
const (
	PoolPut     Kind = 16 // Pool, Config
	SeatTaken   Kind = 17 // Pool, Person, Was, Cause, Seat, Swap, By, Reason: the person is seated
	LineJoined  Kind = 18 // Pool, Person, Was, Cause, Ticket, Swap: the person waits
	SeatOffered Kind = 19 // Pool, Person, Was, Cause, Seat, Deadline, Swap: the person has until Deadline
	SeatFreed   Kind = 20 // Pool, Person, Was, Cause, Swap, By, Reason: the claim is released
	Drawn       Kind = 21 // Pool, Seed: the lottery's seed is revealed, its draw begins

	LotteryEntered Kind = 22 // Pool, Person, Was, Cause: the person takes part in the draw
)

func (k Kind) String() string {
	switch k {
	case PoolPut:
		return "pool_put"
	case SeatTaken:
		return "seated"
	case LineJoined:
		return "waiting"
	case SeatOffered:
		return "seat_offered"
	case SeatFreed:
		return "released"
	case Drawn:
		return "drawn"
	case LotteryEntered:
		return "entered"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Cause says what led to an event.
type Cause uint8

// The numbers are stored: never change one, add at the end.
const (
	ByClaim     Cause = 1 // a claim, alone or in a basket
	ByPromotion Cause = 2 // a seat became free, or the person became eligible
	ByAccept    Cause = 3 // the person accepted a seat offer
	ByRelease   Cause = 4 // the person gave it up
	ByExpiry    Cause = 5 // the deadline of the seat offer passed
	ByStaff     Cause = 6 // an override; By and Reason say more
	ByDraw      Cause = 7 // the draw of a lottery
)

var causeNames = [...]string{ByClaim: "claim", ByPromotion: "promotion", ByAccept: "accept", ByRelease: "release", ByExpiry: "expiry",
	ByStaff: "staff", ByDraw: "draw"}

func (c Cause) String() string {
	if c >= ByClaim && int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("cause(%d)", uint8(c))
}

// Event is a fact about the seats of one realm. Its sequence, time and realm stand in the envelope around it.
//
// Was is the claim's status before, so that whoever keeps counts (the mirror) needs no state of its own.
//
// Swap: on SeatTaken the pool whose seat the person gave up in this same event (one event, so that there is no instant
// with both or neither); on LineJoined and SeatOffered the pool whose seat is to be given up; on SeatFreed the pool
// whose waiting or offered swap lost the seat it would give up, and is a plain one from now on.
type Event struct {
	Kind     Kind
	Was      Status
	Cause    Cause
	Seat     uint32
	Ticket   uint32
	Pool     string
	Person   string
	Swap     string
	Deadline Time
	Staff
	Config *Config
	Seed   *[32]byte
}

// Staff is what is kept of an override.
type Staff struct {
	By     string
	Reason string
}
