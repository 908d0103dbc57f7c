package seat

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestTurnCountsItsBytes: a turn ends by what its events take of the log, so none may take more than is counted for it: with their envelope, whose
// realm has up to MaxID bytes.
func TestTurnCountsItsBytes(t *testing.T) {
	t.Parallel()
	const envelope = 3 + 1 + 8 + 2 + MaxID // length, kind, time, realm
	id, most := strings.Repeat("i", MaxID), uint32(math.MaxUint32)
	staff := Staff{By: strings.Repeat("b", MaxReason), Reason: strings.Repeat("r", MaxReason)}
	config := Config{Capacity: most, Waitlist: &most, OpensAt: math.MaxInt64, ClosesAt: math.MaxInt64, PromoteUntil: math.MaxInt64,
		AnswerWithin: math.MaxInt64 / time.Second * time.Second, Group: id, Order: Lottery, Data: strings.Repeat("d", MaxData)}
	for _, e := range []Event{
		{Kind: PoolPut, Pool: id, Config: &config},
		{Kind: PoolPut, Pool: "p", Config: &Config{Capacity: 1, Data: config.Data}},
		{Kind: Drawn, Pool: id, Seed: &[32]byte{1}},
		{Kind: SeatTaken, Pool: id, Person: id, Cause: ByStaff, Seat: most, Swap: id, Staff: staff},
		{Kind: SeatFreed, Pool: "p", Person: "s", Cause: ByStaff, Staff: staff},
		{Kind: SeatOffered, Pool: id, Person: id, Cause: ByPromotion, Seat: most, Swap: id, Deadline: math.MaxInt64},
		{Kind: LineJoined, Pool: id, Person: id, Cause: ByClaim, Ticket: most, Swap: id},
		{Kind: LotteryEntered, Pool: id, Person: id, Cause: ByClaim},
	} {
		if takes := envelope + len(e.AppendBody(nil)); takes > e.size() {
			t.Errorf("%s of pool %.3q takes %d bytes, and %d are counted", e.Kind, e.Pool, takes, e.size())
		}
	}
	s := NewState()
	turn := Turn{Now: 1}
	s.Step(&turn, PutPool{Pool: "p", Config: Config{Capacity: 1, Data: config.Data}})
	if turn.bytes <= MaxData {
		t.Errorf("%d bytes are counted of a pool with %d", turn.bytes, MaxData)
	}
	before := turn.bytes
	s.Step(&turn, Override{Pool: "p", Person: "s", Action: SeatPerson, By: staff.By, Reason: staff.Reason})
	if n := turn.bytes - before; n <= 2*MaxReason {
		t.Errorf("%d bytes are counted of an override with %d", n, 2*MaxReason)
	}
}
