package seat

import (
	"encoding/json"
	"fmt"
	"time"

	"holdfast/internal/rule"
)

// Command is something a caller asks for; the time is given to Step beside it.
type Command interface {
	// Valid says which field is wrong, as an *Invalid. It needs no state, so the border calls it before any lock.
	Valid() error
	command()
}

// Invalid is a malformed command: nothing was decided and nothing changed.
type Invalid = rule.Invalid

// Precondition guards a command against a late duplicate. It is looked at only where the command would change something.
type Precondition struct {
	Check bool   // false: no precondition
	Seq   uint64 // the standing's seq as the caller knows it; 0 = never had one
}

// PutPool makes a pool or replaces the whole of its configuration. An identical one makes no event.
type PutPool struct {
	Pool   string
	Config Config
}

// Claim asks for a seat or a place in line. It is idempotent: a live claim is shown as it stands.
type Claim struct {
	Pool, Person string
	If           Precondition
}

// Release gives up a seat, a seat offer or a place in line. Releasing twice is a no-op.
type Release struct {
	Pool, Person string
	If           Precondition
}

// Accept takes a seat offer. Offer is the seq of the standing that showed it.
type Accept struct {
	Pool, Person string
	Offer        uint64
}

// Action is what staff do out of order.
type Action uint8

const (
	SeatPerson   Action = iota + 1 // on the wire "seat"
	RemovePerson                   // on the wire "remove"
)

// Override seats or removes a person out of order, also after closing, and beyond capacity and the limit of seats.
// The rule of one seat per group holds for staff too.
type Override struct {
	Pool, Person string
	Action       Action
	Reason       string // required, at most MaxReason bytes
	By           string // who did it, at most MaxReason bytes; may be empty
}

// Mode says how the items of a basket hang together.
type Mode uint8

const (
	All        Mode = iota + 1 // all seated or none
	Each                       // each seated or refused; nobody waits
	EachOrWait                 // each as if claimed alone
)

// Item is one claim of a basket, or one swap.
type Item struct {
	Pool string
	Swap string // not empty: the pool whose seat is given up once this one is certain
	If   Precondition
}

// Basket is several claims and swaps of one person, decided in one place of the order. 1 to MaxBasket items, each pool once.
type Basket struct {
	Person string
	Mode   Mode
	Items  []Item
}

// Look asks where a person stands. It changes nothing.
type Look struct {
	Pool, Person string
}

func (PutPool) command()  {}
func (Claim) command()    {}
func (Release) command()  {}
func (Accept) command()   {}
func (Override) command() {}
func (Basket) command()   {}
func (Look) command()     {}

// ValidID checks the id of a realm, pool, person or group: 1 to MaxID of [A-Za-z0-9._~:@+|-], not "." or "..".
func ValidID(field, id string) error { return rule.ValidID(field, id) }

func invalid(field, problem string) error { return &Invalid{Field: field, Problem: problem} }

func validPair(pool, person string) error {
	if err := ValidID("pool", pool); err != nil {
		return err
	}
	return ValidID("person", person)
}

// Valid implements Command.
func (c Claim) Valid() error { return validPair(c.Pool, c.Person) }

// Valid implements Command.
func (c Release) Valid() error { return validPair(c.Pool, c.Person) }

// Valid implements Command.
func (c Look) Valid() error { return validPair(c.Pool, c.Person) }

// Valid implements Command.
func (c Accept) Valid() error {
	if c.Offer == 0 {
		return invalid("offer", "is missing: it is the number that the offered standing shows")
	}
	return validPair(c.Pool, c.Person)
}

// Valid implements Command.
func (c Override) Valid() error {
	if c.Action != SeatPerson && c.Action != RemovePerson {
		return invalid("action", `must be "seat" or "remove"`)
	}
	if c.Reason == "" {
		return invalid("reason", "is missing: it is kept with the event")
	}
	if err := rule.ValidText("reason", c.Reason, MaxReason); err != nil {
		return err
	}
	if err := rule.ValidText("by", c.By, MaxReason); err != nil {
		return err
	}
	return validPair(c.Pool, c.Person)
}

// Valid implements Command.
func (c Basket) Valid() error {
	if err := ValidID("person", c.Person); err != nil {
		return err
	}
	if c.Mode < All || c.Mode > EachOrWait {
		return invalid("mode", `must be "all", "each" or "each_or_wait"`)
	}
	if len(c.Items) == 0 || len(c.Items) > MaxBasket {
		return invalid("items", fmt.Sprintf("must be 1 to %d", MaxBasket))
	}
	for i, it := range c.Items {
		if err := ValidID(fmt.Sprintf("items[%d].pool", i), it.Pool); err != nil {
			return err
		}
		if it.Swap != "" {
			if err := ValidID(fmt.Sprintf("items[%d].swap", i), it.Swap); err != nil {
				return err
			}
		}
		if it.Swap == it.Pool {
			return invalid(fmt.Sprintf("items[%d].swap", i), "is the pool itself")
		}
		for _, before := range c.Items[:i] {
			if before.Pool == it.Pool {
				return invalid(fmt.Sprintf("items[%d].pool", i), fmt.Sprintf("%q is in the basket twice", it.Pool))
			}
			if it.Swap != "" && before.Swap == it.Swap {
				return invalid(fmt.Sprintf("items[%d].swap", i), fmt.Sprintf("%q is given up twice", it.Swap))
			}
			if it.Swap == before.Pool || before.Swap == it.Pool {
				return invalid(fmt.Sprintf("items[%d]", i), "a pool is both asked for and given up")
			}
		}
	}
	return nil
}

// Valid implements Command.
func (c PutPool) Valid() error {
	if err := ValidID("pool", c.Pool); err != nil {
		return err
	}
	return c.Config.Valid()
}

// Valid checks every field and how they go together.
func (c *Config) Valid() error {
	if c.Capacity > MaxCapacity {
		return invalid("capacity", fmt.Sprintf("must be 0 to %d", MaxCapacity))
	}
	for _, at := range []struct {
		field string
		is    Time
	}{{"opens_at", c.OpensAt}, {"closes_at", c.ClosesAt}, {"promote_until", c.PromoteUntil}} {
		if at.is < 0 || at.is > rule.MaxTime {
			return invalid(at.field, "must lie in the years 1970 to 9999")
		}
	}
	if c.ClosesAt != 0 && c.OpensAt != 0 && c.ClosesAt <= c.OpensAt {
		return invalid("closes_at", "must lie after opens_at")
	}
	if c.PromoteUntil != 0 && c.OpensAt != 0 && c.PromoteUntil <= c.OpensAt {
		return invalid("promote_until", "must lie after opens_at")
	}
	switch {
	case c.Order > Lottery:
		return invalid("order", `must be "arrival" or "lottery"`)
	case c.Order == Lottery && c.OpensAt == 0:
		return invalid("opens_at", `is missing: where order is "lottery" it says when the draw is`)
	case c.Order == Arrival && c.SeedHash != [32]byte{}:
		return invalid("seed_hash", `is only for order "lottery"`)
	case c.Promotion > Offer:
		return invalid("promotion", `must be "auto" or "offer"`)
	case c.Promotion == Offer && (c.AnswerWithin < time.Second || c.AnswerWithin > 90*24*time.Hour || c.AnswerWithin%time.Second != 0):
		return invalid("answer_seconds", `must be 1 to 7776000 where promotion is "offer"`)
	case c.Promotion == Auto && c.AnswerWithin != 0:
		return invalid("answer_seconds", `is only for promotion "offer"`)
	}
	if c.Group != "" {
		if err := ValidID("group", c.Group); err != nil {
			return err
		}
	}
	if err := rule.ValidText("data", c.Data, MaxData); err != nil {
		return err
	}
	if c.Data != "" && !json.Valid([]byte(c.Data)) {
		return invalid("data", "is not JSON")
	}
	return nil
}

// Valid checks the ranges.
func (l *Limits) Valid() error {
	if l.MaxSeats != nil && (*l.MaxSeats == 0 || *l.MaxSeats > MaxPerPerson) {
		return invalid("max_seats_per_person", fmt.Sprintf("must be 1 to %d", MaxPerPerson))
	}
	if l.MaxWaits > MaxPerPerson {
		return invalid("max_waits_per_person", fmt.Sprintf("must be 0 to %d", MaxPerPerson))
	}
	return nil
}

func (c *Config) equal(o *Config) bool {
	a, b := *c, *o
	a.Waitlist, b.Waitlist = nil, nil
	return a == b && equalOptional(c.Waitlist, o.Waitlist)
}

func equalOptional(a, b *uint32) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
