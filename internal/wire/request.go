package wire

import (
	"fmt"
	"math"
	"time"

	"holdfast"
	"holdfast/seat"
)

// ParseRealm reads the body of a realm's PUT. What is left out is seat.DefaultLimits.
func ParseRealm(body []byte) (holdfast.PutRealm, error) {
	f := fieldsOf(body)
	limits := seat.DefaultLimits()
	limits.MaxSeats = f.optional("max_seats_per_person", seat.MaxPerPerson)
	if n, ok := f.uint("max_waits_per_person", seat.MaxPerPerson); ok {
		limits.MaxWaits = uint32(n)
	}
	return finish(f, holdfast.PutRealm{Limits: limits})
}

// ParsePool reads the body of a pool's PUT: the form that seat.Config has in events.
func ParsePool(pool string, body []byte) (seat.PutPool, error) {
	f := fieldsOf(body)
	c := seat.Config{Waitlist: f.optional("waitlist", math.MaxUint32-1)}
	if n, ok := f.uint("capacity", seat.MaxCapacity); ok {
		c.Capacity = uint32(n)
	} else {
		f.lacks("capacity", "is missing: the number of seats, 0 or more")
	}
	c.OpensAt, c.ClosesAt, c.PromoteUntil = f.time("opens_at"), f.time("closes_at"), f.time("promote_until")
	switch p := f.filled("promotion"); p {
	case "", "auto":
	case "offer":
		c.Promotion = seat.Offer
	default:
		f.wrong("promotion", fmt.Sprintf(`is %.64q: it must be "auto" or "offer"`, p))
	}
	if n, ok := f.uint("answer_seconds", 90*24*60*60); ok {
		c.AnswerWithin = time.Duration(n) * time.Second
	}
	c.Group = f.filled("group")
	switch o := f.filled("order"); o {
	case "", "arrival":
	case "lottery":
		c.Order = seat.Lottery
	default:
		f.wrong("order", fmt.Sprintf(`is %.64q: it must be "arrival" or "lottery"`, o))
	}
	c.Data = f.json("data")
	return finish(f, seat.PutPool{Pool: pool, Config: c})
}

// ParseIf reads the body of a claim's PUT and DELETE: nothing but an optional if_seq.
func ParseIf(body []byte) (seat.Precondition, error) {
	f := fieldsOf(body)
	cond := f.ifSeq()
	return cond, f.end()
}

func (f *fields) ifSeq() seat.Precondition {
	n, ok := f.uint("if_seq", math.MaxInt64)
	return seat.Precondition{Check: ok, Seq: n}
}

// ParseAccept reads the body of an accept.
func ParseAccept(pool, person string, body []byte) (seat.Accept, error) {
	f := fieldsOf(body)
	offer, _ := f.uint("offer", math.MaxInt64)
	return finish(f, seat.Accept{Pool: pool, Person: person, Offer: offer})
}

// ParseOverride reads the body of an override.
func ParseOverride(pool, person string, body []byte) (seat.Override, error) {
	f := fieldsOf(body)
	c := seat.Override{Pool: pool, Person: person}
	switch a := f.required("action"); a {
	case "":
	case "seat":
		c.Action = seat.SeatPerson
	case "remove":
		c.Action = seat.RemovePerson
	default:
		f.wrong("action", fmt.Sprintf(`is %.64q: it must be "seat" or "remove"`, a))
	}
	c.Reason, c.By = f.required("reason"), f.string("by")
	return finish(f, c)
}

var modes = map[string]seat.Mode{"all": seat.All, "each": seat.Each, "each_or_wait": seat.EachOrWait}

// ModeName is a basket's mode as it is written.
func ModeName(m seat.Mode) string {
	for name, mode := range modes {
		if mode == m {
			return name
		}
	}
	return ""
}

// ParseBasket reads the body of a basket.
func ParseBasket(body []byte) (seat.Basket, error) {
	f := fieldsOf(body)
	c := seat.Basket{Person: f.required("person")}
	mode := f.required("mode")
	if c.Mode = modes[mode]; c.Mode == 0 && mode != "" {
		f.wrong("mode", fmt.Sprintf(`is %.64q: it must be "all", "each" or "each_or_wait"`, mode))
	}
	f.array("items", seat.MaxBasket, func(f *fields) {
		c.Items = append(c.Items, seat.Item{Pool: f.required("pool"), Swap: f.filled("swap"), If: f.ifSeq()})
	})
	return finish(f, c)
}

// finish asks first the message, then the command that was made of it.
func finish[C holdfast.Body](f *fields, c C) (C, error) {
	if err := f.end(); err != nil {
		return c, err
	}
	return c, c.Valid()
}
