package seat

import (
	"container/heap"
	"fmt"
)

// Turn is one command's place in the order: its time, the log's head before it, and the events it makes.
type Turn struct {
	Now    Time
	Clock  Time    // Now or later: from when the time to answer a seat offer runs
	Seq    uint64  // the last event before this turn
	Events []Event // made so far; the caller reuses the slice between turns
	// Seed gives the seed of a lottery by its hash; false: it is not to be had. nil: none is.
	Seed  func(hash [32]byte) (seed [32]byte, ok bool)
	bytes int // the size of Events on the log, no less
}

// MaxTurn bounds what the promotions of one turn add to the log in bytes: a turn must fit one frame.
const MaxTurn = 256 << 10

// full says whether what is left to promote must wait for the next turn.
func (t *Turn) full() bool { return len(t.Events) >= MaxEvents || t.bytes >= MaxTurn }

func (t *Turn) next() stamp { return stamp{t.Seq + uint64(len(t.Events)) + 1, t.Now} }

// Step decides one command and applies what it decided. All checks come before the first event; a refusal makes none.
// The caller has drained Due first, so that nobody overtakes a deadline or a promotion, and has called cmd.Valid.
// Items of the result are those of a Basket, else nil.
func (s *State) Step(t *Turn, cmd Command) (Result, []Result) {
	var res Result
	var r refs
	switch c := cmd.(type) {
	case Claim:
		res, r = s.claim(t, &c)
	case Release:
		res, r = s.release(t, &c)
	case Accept:
		res, r = s.accept(t, &c)
	case Override:
		res, r = s.override(t, &c)
	case Look:
		res, r = s.look(c.Pool, c.Person)
	case PutPool:
		return s.putPool(t, &c), nil
	case Basket:
		return s.basket(t, &c)
	default:
		panic(fmt.Sprintf("seat: unknown command %T", cmd))
	}
	if len(t.Events) > 0 {
		s.settle(t)
		res.Standing = s.standing(r)
	}
	return res, nil
}

// emit is the only way from a decision to a change: it applies the event and appends it. Nothing is refused after it.
func (s *State) emit(t *Turn, e *Event, r refs) refs {
	r, err := s.apply(t.next(), e, r)
	if err != nil {
		panic("seat: a decision does not follow from the state: " + err.Error())
	}
	t.Events = append(t.Events, *e)
	t.bytes += e.size()
	return r
}

// emitOfPool is emit for an event that is about nobody.
func (s *State) emitOfPool(t *Turn, e *Event) stamp {
	at := t.next()
	if err := s.applyOfPool(at, e); err != nil {
		panic("seat: a decision does not follow from the state: " + err.Error())
	}
	t.Events = append(t.Events, *e)
	t.bytes += e.size()
	return at
}

// look shows the standing, or refuses an unknown pool.
func (s *State) look(pool, person string) (Result, refs) {
	r := s.resolve(pool, person)
	if r.pool == nil {
		return Result{Standing: Standing{Pool: pool}, Refusal: Refusal{Code: UnknownPool, Pool: pool}}, r
	}
	return Result{Standing: s.standing(r)}, r
}

// standing needs r.pool.
func (s *State) standing(r refs) Standing {
	st := Standing{Pool: r.pool.name}
	if r.claim == 0 {
		return st
	}
	c := s.claims.at(r.claim)
	st.Status, st.Seq, st.At = c.status, c.seq, c.at
	switch c.status {
	case Seated:
		st.Seat = c.seat
	case Offered:
		st.Seat, st.Deadline = c.seat, s.offers.of[r.claim]
		st.Swap = s.swapName(r.claim)
	case Waiting:
		st.Ticket, st.Position = c.ticket, r.pool.line.position(c.ticket)
		st.Swap = s.swapName(r.claim)
		if !c.eligible {
			st.Blocked, _ = s.bars(r.pool, r.person, s.swaps[r.claim])
		}
	}
	return st
}

func (s *State) swapName(n uint32) string {
	if old := s.swaps[n]; old != 0 {
		return s.poolAt(s.claims.at(old).pool).name
	}
	return ""
}

// mismatch says whether the precondition forbids to change the standing.
func (p Precondition) mismatch(seq uint64) bool { return p.Check && p.Seq != seq }

func (s *State) claim(t *Turn, c *Claim) (Result, refs) {
	res, r := s.look(c.Pool, c.Person)
	if res.Refused() || res.Status.Live() {
		return res, r
	}
	if res.Refusal = s.barsNewcomer(t.Now, r, 0, true); res.Refused() {
		return res, r
	}
	if c.If.mismatch(res.Seq) {
		res.Refusal = Refusal{Code: Mismatch, Seq: res.Seq}
		return res, r
	}
	// From here on the claim is granted.
	return res, s.place(t, c.Person, res.Status, r, refs{})
}

// barsNewcomer decides whether somebody without a live claim gets a seat or, where mayWait, a place in line.
func (s *State) barsNewcomer(now Time, r refs, swap uint32, mayWait bool) Refusal {
	if r.pool.takesEntries(now) {
		return s.barsEntry(r, swap)
	}
	if ref := r.pool.shut(now); ref.Code != "" {
		return ref
	}
	if why, held := s.bars(r.pool, r.person, swap); why != "" {
		return s.explain(why, held)
	}
	if r.pool.hasSeatFor() {
		return Refusal{}
	}
	if !mayWait || !r.pool.hasPlace() {
		return Refusal{Code: Full}
	}
	return s.barsWait(r.person)
}

// shut refuses claims before the opening and after the closing. A lottery opens with its draw.
func (p *pool) shut(now Time) Refusal {
	if closes := p.config.ClosesAt; closes != 0 && now >= closes {
		return Refusal{Code: Closed, Time: closes}
	}
	if opens := p.config.OpensAt; opens != 0 && now < opens || p.undrawn() {
		return Refusal{Code: NotOpen, Time: opens}
	}
	return Refusal{}
}

func (s *State) explain(why Code, held uint32) Refusal {
	if why == HeldInGroup {
		return Refusal{Code: why, Pool: s.poolAt(s.claims.at(held).pool).name}
	}
	return Refusal{Code: why, Limit: *s.limits.MaxSeats}
}

// place seats the person, puts them in line, or enters them. old is the seat that a swap gives up.
func (s *State) place(t *Turn, person string, was Status, r, old refs) refs {
	e := Event{Pool: r.pool.name, Person: person, Was: was, Cause: ByClaim}
	if old.pool != nil {
		e.Swap = old.pool.name
	}
	switch {
	case r.pool.takesEntries(t.Now):
		e.Kind = LotteryEntered
	case r.pool.hasSeatFor():
		e.Kind, e.Seat = SeatTaken, r.pool.seats.lowest()
	default:
		e.Kind, e.Ticket = LineJoined, r.pool.line.last+1
	}
	return s.emit(t, &e, r)
}

func (s *State) release(t *Turn, c *Release) (Result, refs) {
	res, r := s.look(c.Pool, c.Person)
	if res.Refused() || !res.Status.Live() {
		return res, r
	}
	if c.If.mismatch(res.Seq) {
		res.Refusal = Refusal{Code: Mismatch, Seq: res.Seq}
		return res, r
	}
	s.emitFreed(t, Event{Person: c.Person, Was: res.Status, Cause: ByRelease}, r)
	return res, r
}

// emitFreed completes and emits a SeatFreed.
func (s *State) emitFreed(t *Turn, e Event, r refs) {
	e.Kind, e.Pool = SeatFreed, r.pool.name
	if by := s.swappedBy[r.claim]; by != 0 {
		e.Swap = s.poolAt(s.claims.at(by).pool).name
	}
	s.emit(t, &e, r)
}

func (s *State) accept(t *Turn, c *Accept) (Result, refs) {
	res, r := s.look(c.Pool, c.Person)
	if res.Refused() || res.Status == Seated {
		return res, r
	}
	if res.Status != Offered || res.Seq != c.Offer {
		res.Refusal = Refusal{Code: NoOffer}
		return res, r
	}
	s.emit(t, &Event{Kind: SeatTaken, Pool: r.pool.name, Person: c.Person, Was: Offered, Cause: ByAccept,
		Seat: res.Seat, Swap: res.Swap}, r)
	return res, r
}

func (s *State) override(t *Turn, c *Override) (Result, refs) {
	res, r := s.look(c.Pool, c.Person)
	if res.Refused() {
		return res, r
	}
	e := Event{Pool: r.pool.name, Person: c.Person, Was: res.Status, Cause: ByStaff, Staff: Staff{c.By, c.Reason}}
	if c.Action == RemovePerson {
		if res.Status.Live() {
			s.emitFreed(t, e, r)
		}
		return res, r
	}
	if res.Status == Seated {
		return res, r
	}
	if why, held := s.bars(r.pool, r.person, s.swaps[r.claim]); why == HeldInGroup && held != r.claim {
		res.Refusal = s.explain(why, held)
		return res, r
	}
	e.Kind, e.Seat, e.Swap = SeatTaken, r.pool.seats.lowest(), res.Swap
	if res.Status == Offered {
		e.Seat = res.Seat
	}
	return res, s.emit(t, &e, r)
}

func (s *State) putPool(t *Turn, c *PutPool) Result {
	p := s.pools[c.Pool]
	res := Result{Standing: Standing{Pool: c.Pool}}
	kept := c.Config.clone()
	if !kept.keepSeedHash(p) {
		res.Refusal = Refusal{Code: Conflict, Pool: c.Pool}
		return res
	}
	if p != nil {
		res.Seq, res.At = p.put.seq, p.put.at
		if p.config.equal(&kept) {
			s.draws.await(p)
			return res
		}
		if (p.config.Group != kept.Group || p.config.Order != kept.Order) && p.live() > 0 {
			res.Refusal = Refusal{Code: Conflict, Pool: c.Pool}
			return res
		}
	}
	at := s.emitOfPool(t, &Event{Kind: PoolPut, Pool: c.Pool, Config: &kept})
	s.settle(t)
	res.Seq, res.At = at.seq, at.at
	return res
}

// Due runs what is due at t.Now: promotions and draws that a turn before left over, then seat offers whose deadline has
// come and lotteries that open, ordered by (time, offers first, offer or pool). It makes at most MaxEvents events and says
// whether more is due. After promote_until a seat that is free stays free.
func (s *State) Due(t *Turn) bool {
	s.settle(t)
	s.drawOn(t)
	for !t.full() {
		end, ok := s.offers.next(s.seqOf)
		if lots, at := s.draws.next(); lots != nil && at <= t.Now && (!ok || at < end.at) {
			s.draw(t, lots)
			s.drawOn(t)
			continue
		}
		if !ok || end.at > t.Now {
			break
		}
		c := s.claims.at(end.claim)
		r := refs{pool: s.poolAt(c.pool), person: c.person, claim: end.claim}
		s.emitFreed(t, Event{Person: s.people.at(c.person).name, Was: Offered, Cause: ByExpiry}, r)
		s.settle(t)
	}
	next, ok := s.NextDue()
	return ok && next <= t.Now && len(t.Events) > 0
}

func (s *State) seqOf(n uint32) uint64 { return s.claims.at(n).seq }

// NextDue is when Due has something to do: the first deadline or draw, or 1 (at once) when a turn left something over.
func (s *State) NextDue() (Time, bool) {
	if len(s.unsettled) > 0 || s.draws.first() != nil {
		return 1, true
	}
	end, ok := s.offers.next(s.seqOf)
	if lots, at := s.draws.next(); lots != nil && (!ok || at < end.at) {
		return at, true
	}
	return end.at, ok
}

// settle promotes wherever a seat is free and somebody eligible waits, lowest pool first, as far as the turn's events go.
func (s *State) settle(t *Turn) {
	for len(s.unsettled) > 0 && !t.full() {
		p := s.unsettled[0]
		if p.free() == 0 || p.line.eligible() == 0 || !p.promotes(t.Now) {
			heap.Pop(&s.unsettled)
			p.marked = false
			continue
		}
		s.promote(t, p)
	}
}

// promote gives the lowest free seat of p to the first eligible.
func (s *State) promote(t *Turn, p *pool) {
	n := p.line.first()
	who := s.claims.at(n).person
	e := Event{Kind: SeatTaken, Pool: p.name, Person: s.people.at(who).name, Was: Waiting, Cause: ByPromotion,
		Seat: p.seats.lowest(), Swap: s.swapName(n)}
	if p.config.Promotion == Offer {
		e.Kind, e.Deadline = SeatOffered, max(t.Now, t.Clock).Add(p.config.AnswerWithin)
		if until := p.config.promoteUntil(); until != 0 {
			e.Deadline = min(e.Deadline, until)
		}
	}
	s.emit(t, &e, refs{pool: p, person: who, claim: n})
}
