package seat_test

import "holdfast/seat"

// What must have happened with lotteries.

func (m *machine) noteLottery(e *seat.Event, body any) {
	p := m.oracle.pool(e.Pool)
	basket, ofBasket := body.(seat.Basket)
	m.seen.countIf(e.Kind == seat.LotteryEntered && ofBasket && basket.Person == e.Person, "entered by a basket")
	m.seen.countIf(e.Kind == seat.LotteryEntered && e.Was == seat.Released, "entered again")
	m.seen.countIf(e.Was == seat.Entered && e.Cause == seat.ByRelease, "an entry was withdrawn")
	m.seen.countIf(e.Was == seat.Entered && e.Cause == seat.ByStaff && e.Kind == seat.SeatTaken, "staff seated somebody entered")
	m.seen.countIf(e.Kind == seat.LineJoined && e.Cause == seat.ByDraw && m.oracle.free(p) > 0, "drawn into the line though a seat is free")
	m.seen.countIf(p.drawn && e.Cause == seat.ByClaim && e.Kind != seat.PoolPut, "a claim behind a draw")
}

// noteRefusal: before a draw, much is refused.
func (m *machine) noteRefusal(res *seat.Result, body any) {
	p := m.oracle.pool(res.Pool)
	if p == nil || !m.oracle.undrawn(p) {
		return
	}
	basket, ofBasket := body.(seat.Basket)
	if res.Refusal.Code == seat.NotOpen && ofBasket && m.now < p.OpensAt {
		m.seen.countIf(basket.Mode == seat.All, "all or nothing refused before a draw")
		m.seen.countIf(basket.Mode != seat.All, "swap into a lottery refused")
	}
	m.seen.countIf(res.Refusal.Code == seat.LimitSeats, "entries at the limit of waits")
	m.seen.countIf(res.Refusal.Code == seat.NotOpen && m.now >= p.OpensAt, "a lottery without its seed is shut")
}

func (m *machine) notePut(c *seat.PutPool, res *seat.Result) {
	p := m.oracle.pool(c.Pool)
	m.seen.countIf(c.Config.Order == seat.Lottery && p.Order == seat.Lottery && p.SeedHash != c.Config.SeedHash, "a lottery kept its seed")
	m.seen.countIf(res.Refusal.Code == seat.Conflict && c.Config.Order != p.Order, "the order cannot change")
}
