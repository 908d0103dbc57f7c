package sim

import (
	"testing"

	"holdfast"
	"holdfast/seat"
)

// TestEarlyRefusal: a lottery enters who claims before its opening; only the limit of waits may refuse.
func TestEarlyRefusal(t *testing.T) {
	t.Parallel()
	limits := seat.Limits{MaxWaits: 1}
	lottery := seat.Config{Capacity: 1, Order: seat.Lottery, OpensAt: 100, SeedHash: seedHash(1)}
	c := NewChecker(holdfast.NewState())
	for i, e := range []holdfast.Event{
		{At: 10, Epoch: 1, Seat: seat.Event{Kind: holdfast.Started}},
		{At: 11, Realm: "r", Limits: &limits, Seat: seat.Event{Kind: holdfast.RealmPut}},
		{At: 12, Realm: "r", Seat: seat.Event{Kind: seat.PoolPut, Pool: "p", Config: &lottery}},
		{At: 13, Realm: "r", Seat: seat.Event{Kind: seat.PoolPut, Pool: "q", Config: &lottery}},
		{At: 14, Realm: "r", Seat: seat.Event{Kind: seat.LotteryEntered, Pool: "q", Person: "busy", Cause: seat.ByClaim}},
	} {
		e.Seq = uint64(i) + 1
		c.Event(&e)
	}
	for _, a := range []struct {
		code    seat.Code
		person  string
		at      seat.Time
		special bool
		found   int
	}{
		{seat.NotOpen, "s", 20, false, 1},
		{seat.NotOpen, "s", 20, true, 0},
		{seat.NotOpen, "s", 100, false, 0}, // its seed is missing
		{seat.Full, "s", 20, false, 1},
		{seat.HeldInGroup, "s", 20, false, 1},
		{seat.LimitSeats, "s", 20, false, 1},
		{seat.LimitSeats, "busy", 20, false, 0},
		{seat.Mismatch, "s", 20, false, 0},
	} {
		before := c.Finish().Found
		c.Answer(&Answer{Realm: "r", Pool: "p", Person: a.person, Status: "refused", Code: string(a.code), Durability: "confirmed", AsOf: 5, At: a.at, Special: a.special})
		if got := c.Finish(); got.Found-before != a.found {
			t.Errorf("%+v: %v", a, got.Violations)
		}
	}
}
