package holdfast_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/seat"
)

// TestInvalidCommands: what is malformed is refused before any lock, and the field is named as the wire calls it.
func TestInvalidCommands(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", seat.MaxID+1)
	staff := func(c seat.Override) seat.Override {
		c.Pool, c.Person = "p", "q"
		return c
	}
	pool := func(change func(*seat.Config)) seat.PutPool {
		c := seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 1, OpensAt: 100, ClosesAt: 200}}
		change(&c.Config)
		return c
	}
	basket := func(items ...seat.Item) seat.Basket { return seat.Basket{Person: "q", Mode: seat.Each, Items: items} }
	many := basket()
	for i := range seat.MaxBasket + 1 {
		many.Items = append(many.Items, seat.Item{Pool: strings.Repeat("p", i+1)})
	}
	for _, c := range []struct {
		field string // empty: valid
		body  holdfast.Body
	}{
		{"pool", seat.Claim{Person: "q"}},
		{"person", seat.Claim{Pool: "p"}},
		{"", seat.Claim{Pool: "AZaz09._~:@+|-", Person: long[1:]}},
		{"person", seat.Claim{Pool: "p", Person: long}},
		{"person", seat.Claim{Pool: "p", Person: "a/b"}},
		{"person", seat.Claim{Pool: "p", Person: "a b"}},
		{"person", seat.Claim{Pool: "p", Person: "ä"}},
		{"person", seat.Claim{Pool: "p", Person: "a\x00"}},
		{"pool", seat.Release{Pool: ".", Person: "q"}},
		{"pool", seat.Look{Pool: "..", Person: "q"}},
		{"", seat.Look{Pool: "...", Person: "q"}},
		{"offer", seat.Accept{Pool: "p", Person: "q"}},
		{"person", seat.Accept{Pool: "p", Offer: 1}},

		{"action", staff(seat.Override{Reason: "r"})},
		{"action", staff(seat.Override{Action: 3, Reason: "r"})},
		{"reason", staff(seat.Override{Action: seat.SeatPerson})},
		{"reason", staff(seat.Override{Action: seat.SeatPerson, Reason: strings.Repeat("r", seat.MaxReason+1)})},
		{"reason", staff(seat.Override{Action: seat.SeatPerson, Reason: "\xff"})},
		{"by", staff(seat.Override{Action: seat.SeatPerson, Reason: "r", By: strings.Repeat("b", seat.MaxReason+1)})},
		{"by", staff(seat.Override{Action: seat.SeatPerson, Reason: "r", By: "\xff"})},
		{"", staff(seat.Override{Action: seat.RemovePerson, Reason: strings.Repeat("r", seat.MaxReason)})},
		{"pool", seat.Override{Action: seat.SeatPerson, Reason: "r", Person: "q"}},

		{"person", seat.Basket{Mode: seat.All, Items: []seat.Item{{Pool: "p"}}}},
		{"mode", seat.Basket{Person: "q", Items: []seat.Item{{Pool: "p"}}}},
		{"mode", seat.Basket{Person: "q", Mode: 4, Items: []seat.Item{{Pool: "p"}}}},
		{"items", basket()},
		{"items", many},
		{"items[1].pool", basket(seat.Item{Pool: "p"}, seat.Item{})},
		{"items[0].swap", basket(seat.Item{Pool: "p", Swap: "a/b"})},
		{"items[0].swap", basket(seat.Item{Pool: "p", Swap: "p"})},
		{"items[1].pool", basket(seat.Item{Pool: "p"}, seat.Item{Pool: "p"})},
		{"items[1].swap", basket(seat.Item{Pool: "p", Swap: "o"}, seat.Item{Pool: "r", Swap: "o"})},
		{"items[1]", basket(seat.Item{Pool: "p", Swap: "o"}, seat.Item{Pool: "o"})},
		{"items[1]", basket(seat.Item{Pool: "p"}, seat.Item{Pool: "r", Swap: "p"})},
		{"", basket(seat.Item{Pool: "p", Swap: "o"}, seat.Item{Pool: "r", Swap: "s"}, seat.Item{Pool: "t"})},

		{"pool", seat.PutPool{}},
		{"", pool(func(*seat.Config) {})},
		{"capacity", pool(func(c *seat.Config) { c.Capacity = seat.MaxCapacity + 1 })},
		{"closes_at", pool(func(c *seat.Config) { c.ClosesAt = c.OpensAt })},
		{"promote_until", pool(func(c *seat.Config) { c.PromoteUntil = c.OpensAt })},
		{"opens_at", pool(func(c *seat.Config) { c.OpensAt = -1 })},
		{"closes_at", pool(func(c *seat.Config) { c.ClosesAt = 253_402_300_800_000_000 })},
		{"promote_until", pool(func(c *seat.Config) { c.PromoteUntil = -1 })},
		{"promotion", pool(func(c *seat.Config) { c.Promotion = 2 })},
		{"order", pool(func(c *seat.Config) { c.Order = 2 })},
		{"opens_at", pool(func(c *seat.Config) { c.Order, c.OpensAt = seat.Lottery, 0 })},
		{"seed_hash", pool(func(c *seat.Config) { c.SeedHash[31] = 1 })},
		{"", pool(func(c *seat.Config) { c.Order, c.SeedHash[31] = seat.Lottery, 1 })},
		{"answer_seconds", pool(func(c *seat.Config) { c.Promotion = seat.Offer })},
		{"answer_seconds", pool(func(c *seat.Config) { c.AnswerWithin = time.Minute })},
		{"answer_seconds", pool(func(c *seat.Config) { c.Promotion, c.AnswerWithin = seat.Offer, 1500*time.Millisecond })},
		{"answer_seconds", pool(func(c *seat.Config) { c.Promotion, c.AnswerWithin = seat.Offer, 90*24*time.Hour+time.Second })},
		{"", pool(func(c *seat.Config) { c.Promotion, c.AnswerWithin = seat.Offer, 90*24*time.Hour })},
		{"group", pool(func(c *seat.Config) { c.Group = "a b" })},
		{"data", pool(func(c *seat.Config) { c.Data = `"` + strings.Repeat("x", seat.MaxData) + `"` })},
		{"data", pool(func(c *seat.Config) { c.Data = "{" })},
		{"data", pool(func(c *seat.Config) { c.Data = "\"\xff\"" })},
		{"", pool(func(c *seat.Config) { c.Data = "null" })},

		{"max_seats_per_person", holdfast.PutRealm{Limits: seat.Limits{MaxSeats: number(0)}}},
		{"max_seats_per_person", holdfast.PutRealm{Limits: seat.Limits{MaxSeats: number(seat.MaxPerPerson + 1)}}},
		{"max_waits_per_person", holdfast.PutRealm{Limits: seat.Limits{MaxWaits: seat.MaxPerPerson + 1}}},
		{"", holdfast.PutRealm{Limits: seat.Limits{MaxSeats: number(seat.MaxPerPerson), MaxWaits: seat.MaxPerPerson}}},
		{"grace", holdfast.Start{Grace: -1}},
		{"grace", holdfast.Start{Grace: 3_600_000_001}},
		{"", holdfast.Start{Grace: 3_600_000_000}},
	} {
		err := c.body.Valid()
		var invalid *seat.Invalid
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%T %+v: %v, but it is valid", c.body, c.body, err)
		case c.field == "":
		case !errors.As(err, &invalid) || invalid.Field != c.field || invalid.Problem == "":
			t.Errorf("%T %+.200v: %v, wanted field %q", c.body, c.body, err, c.field)
		case len(err.Error()) > 250:
			t.Errorf("the answer repeats too much of the question: %s", err)
		}
	}
}
