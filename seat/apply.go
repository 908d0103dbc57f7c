package seat

import (
	"container/heap"
	"fmt"
	"strings"
)

// refs is what an event's names stand for, so that a decision looks them up once. Zero: not known yet.
type refs struct {
	pool   *pool
	person uint32
	claim  uint32
	hash   uint64 // of the person's name
}

// resolve looks the names up.
func (s *State) resolve(poolName, personName string) refs {
	r := refs{pool: s.pools[poolName]}
	r.person, r.hash = s.people.find(personName)
	if r.pool != nil && r.person != 0 {
		r.claim = s.claimOf(r.pool.number, r.person)
	}
	return r
}

// Apply folds one event into the state. It is all that recovery, the mirror's check and the verifier do.
// An error means that the event does not follow from this state: the log is of another history, or damaged.
// The state is then undefined. Apply copies what it keeps of e.
func (s *State) Apply(seq uint64, at Time, e *Event) error {
	if e.Kind == PoolPut || e.Kind == Drawn {
		return s.applyOfPool(stamp{seq, at}, e)
	}
	_, err := s.apply(stamp{seq, at}, e, s.resolve(e.Pool, e.Person))
	return err
}

// apply gives back r, complete.
func (s *State) apply(now stamp, e *Event, r refs) (refs, error) {
	if r.pool == nil {
		return r, fmt.Errorf("%s in pool %q, which does not exist", e.Kind, e.Pool)
	}
	was := None
	if r.claim != 0 {
		was = s.claims.at(r.claim).status
	}
	if was != e.Was {
		return r, fmt.Errorf("%s of %q in pool %q: was %s, the event says %s", e.Kind, e.Person, e.Pool, was, e.Was)
	}
	if r.claim == 0 {
		r = s.firstClaim(e, r)
	}
	switch e.Kind {
	case SeatTaken, SeatOffered:
		return r, s.applySeat(now, e, r)
	case LineJoined:
		return r, s.applyLine(now, e, r)
	case SeatFreed:
		return r, s.applyFreed(now, e, r)
	case LotteryEntered:
		return r, s.applyEntered(now, e, r)
	}
	return r, fmt.Errorf("unknown event kind %d", uint8(e.Kind))
}

// firstClaim makes the claim record, and the person if need be.
func (s *State) firstClaim(e *Event, r refs) refs {
	if r.person == 0 {
		r.person = s.people.add(e.Person, r.hash)
	}
	who := s.people.at(r.person)
	r.claim = s.claims.add(claim{pool: r.pool.number, person: r.person, nextOfPerson: who.claims})
	who.claims = r.claim
	if r.pool.final == 0 {
		r.pool.first = r.claim
	} else {
		s.claims.at(r.pool.final).nextOfPool = r.claim
	}
	r.pool.final = r.claim
	s.index.add(mix(pair(r.pool.number, r.person)), r.claim)
	return r
}

// applySeat: the person is seated or offered a seat. With Swap on SeatTaken the old seat goes in the same event.
func (s *State) applySeat(now stamp, e *Event, r refs) error {
	c := s.claims.at(r.claim)
	swap := s.swaps[r.claim]
	if e.Swap != "" {
		old := s.resolve(e.Swap, e.Person)
		if old.claim == 0 || s.claims.at(old.claim).status != Seated {
			return fmt.Errorf("%s of %q in pool %q gives up a seat in %q that is not held", e.Kind, e.Person, e.Pool, e.Swap)
		}
		swap = old.claim
	}
	if swap != 0 && e.Kind == SeatTaken {
		s.unlink(r.claim)
		if e.Swap != "" {
			s.vacate(swap)
			s.unlink(s.swappedBy[swap])
			s.claims.at(swap).set(now, Released)
		}
	}
	if e.Was == Offered {
		if e.Kind == SeatOffered || e.Seat != c.seat {
			return fmt.Errorf("%s of %q in pool %q: seat %d was offered", e.Kind, e.Person, e.Pool, c.seat)
		}
		r.pool.offered--
		s.offers.drop(r.claim)
	} else {
		switch e.Was {
		case Waiting:
			s.leaveLine(r)
		case Entered:
			s.leaveEntry(r)
		}
		if e.Was == Seated || !r.pool.seats.take(e.Seat) {
			return fmt.Errorf("%s of %q in pool %q: seat %d is taken", e.Kind, e.Person, e.Pool, e.Seat)
		}
		s.people.at(r.person).seats++
	}
	c.seat = e.Seat
	if e.Kind == SeatTaken {
		c.set(now, Seated)
		r.pool.seated++
	} else {
		c.set(now, Offered)
		r.pool.offered++
		s.offers.set(r.claim, e.Deadline, s.seqOf)
		if e.Swap != "" {
			s.link(r.claim, swap)
		}
	}
	if r.pool.group != 0 {
		s.groupSeat[pair(r.pool.group, r.person)] = r.claim
	}
	s.reconsider(r.person)
	s.touch(r.pool)
	return nil
}

// applyLine: the person joins the line, or a plain wait becomes a swap.
func (s *State) applyLine(now stamp, e *Event, r refs) error {
	c := s.claims.at(r.claim)
	if e.Was == Waiting && c.ticket != e.Ticket || e.Was != Waiting && e.Ticket <= r.pool.line.last ||
		e.Was == Seated || e.Was == Offered {
		return fmt.Errorf("%q joins the line of pool %q out of order with ticket %d", e.Person, e.Pool, e.Ticket)
	}
	if e.Swap != "" {
		old := s.resolve(e.Swap, e.Person)
		if old.claim == 0 || s.claims.at(old.claim).status != Seated {
			return fmt.Errorf("%q waits in pool %q to give up a seat in %q that is not held", e.Person, e.Pool, e.Swap)
		}
		s.unlink(r.claim)
		s.link(r.claim, old.claim)
	}
	c.set(now, Waiting)
	if e.Was == Entered {
		s.leaveEntry(r)
	}
	if e.Was != Waiting {
		why, _ := s.bars(r.pool, r.person, s.swaps[r.claim])
		c.eligible = why == ""
		c.ticket = e.Ticket
		r.pool.line.join(e.Ticket, r.claim, c.eligible)
		who := s.people.at(r.person)
		c.nextWait, who.waits = who.waits, r.claim
		who.waiting++
	}
	if e.Swap != "" { // a plain wait changes nothing for the person's other waits
		s.reconsider(r.person)
	}
	s.touch(r.pool)
	return nil
}

// applyFreed: the claim is released, whatever it was.
func (s *State) applyFreed(now stamp, e *Event, r refs) error {
	switch e.Was {
	case Seated, Offered:
		s.vacate(r.claim)
	case Waiting:
		s.leaveLine(r)
	case Entered:
		s.leaveEntry(r)
	default:
		return fmt.Errorf("%q released in pool %q, but was %s", e.Person, e.Pool, e.Was)
	}
	s.unlink(r.claim)
	if by := s.swappedBy[r.claim]; by != 0 {
		s.unlink(by)
	}
	s.claims.at(r.claim).set(now, Released)
	s.reconsider(r.person)
	s.touch(r.pool)
	return nil
}

func (c *claim) set(now stamp, status Status) {
	c.stamp, c.status = now, status
}

// vacate takes the seat or the offered seat from a claim.
func (s *State) vacate(n uint32) {
	c := s.claims.at(n)
	p := s.poolAt(c.pool)
	if c.status == Offered {
		p.offered--
		s.offers.drop(n)
	} else {
		p.seated--
	}
	p.seats.free(c.seat)
	c.seat = 0
	s.people.at(c.person).seats--
	if p.group != 0 {
		s.leaveGroup(p, n, c.person)
	}
	s.touch(p)
}

// leaveGroup: while a swap inside one group was offered, the person held two of its seats; the older one remains.
func (s *State) leaveGroup(p *pool, n, person uint32) {
	key := pair(p.group, person)
	if s.groupSeat[key] != n {
		return
	}
	delete(s.groupSeat, key)
	if old := s.swaps[n]; old != 0 && s.poolAt(s.claims.at(old).pool).group == p.group {
		s.groupSeat[key] = old
	}
}

func (s *State) leaveLine(r refs) {
	c := s.claims.at(r.claim)
	r.pool.line.leave(c.ticket, c.eligible)
	c.ticket, c.eligible = 0, false
	who := s.people.at(r.person)
	who.waiting--
	for at := &who.waits; *at != 0; at = &s.claims.at(*at).nextWait {
		if *at == r.claim {
			*at, c.nextWait = c.nextWait, 0
			break
		}
	}
}

func (s *State) link(n, old uint32) {
	s.swaps[n], s.swappedBy[old] = old, n
}

func (s *State) unlink(n uint32) {
	if old := s.swaps[n]; old != 0 {
		delete(s.swaps, n)
		delete(s.swappedBy, old)
	}
}

// reconsider: the person's seats or swaps changed, so the person may have become able to sit, or unable, where they wait.
func (s *State) reconsider(person uint32) {
	for n := s.people.at(person).waits; n != 0; {
		c := s.claims.at(n)
		p := s.poolAt(c.pool)
		why, _ := s.bars(p, person, s.swaps[n])
		if may := why == ""; may != c.eligible {
			c.eligible = may
			p.line.allow(c.ticket, may)
			s.touch(p)
		}
		n = c.nextWait
	}
}

// touch notes that promotion may have become possible in p.
func (s *State) touch(p *pool) {
	if !p.marked && p.free() > 0 && p.line.eligible() > 0 {
		p.marked = true
		heap.Push(&s.unsettled, p)
	}
}

// applyOfPool folds an event that is about nobody: PoolPut, Drawn.
func (s *State) applyOfPool(now stamp, e *Event) error {
	if e.Kind == Drawn {
		return s.applyDrawn(e)
	}
	return s.applyPool(now, e)
}

func (s *State) applyPool(now stamp, e *Event) error {
	if e.Config == nil {
		return fmt.Errorf("pool %q is put without a configuration", e.Pool)
	}
	p := s.pools[e.Pool]
	if p == nil {
		p = &pool{number: uint32(len(s.poolList)) + 1, name: strings.Clone(e.Pool)}
		s.pools[p.name] = p
		s.poolList = append(s.poolList, p)
	}
	if err := s.applyLottery(p, e.Config); err != nil {
		return err
	}
	p.put = now
	p.config = e.Config.clone()
	p.group = s.groupNumber(p.config.Group)
	if until := p.config.promoteUntil(); until != 0 && p.offered > 0 {
		s.capDeadlines(p, until)
	}
	s.touch(p)
	return nil
}

func (c *Config) clone() Config {
	kept := *c
	kept.Group, kept.Data = strings.Clone(c.Group), strings.Clone(c.Data)
	if c.Waitlist != nil {
		n := *c.Waitlist
		kept.Waitlist = &n
	}
	return kept
}

func (s *State) groupNumber(name string) uint32 {
	if name == "" {
		return 0
	}
	n := s.groups[name]
	if n == 0 {
		n = uint32(len(s.groups)) + 1
		s.groups[name] = n
	}
	return n
}

// capDeadlines: no seat offer outlives promote_until.
func (s *State) capDeadlines(p *pool, until Time) {
	for n, at := range s.offers.of {
		if c := s.claims.at(n); c.pool == p.number && at > until {
			s.offers.set(n, until, s.seqOf)
		}
	}
}

// ApplyLimits replaces the realm's limits. Who waits may become able to sit, or unable: that costs a look at every wait.
func (s *State) ApplyLimits(l Limits) {
	s.limits = l
	if l.MaxSeats != nil {
		most := *l.MaxSeats
		s.limits.MaxSeats = &most
	}
	for n := uint32(1); n <= s.people.list.count; n++ {
		if s.people.at(n).waiting > 0 {
			s.reconsider(n)
		}
	}
}

// ApplyStart gives everybody with a seat offer at least until the given time, but not beyond the pool's promote_until:
// a restart of the server must not cost anybody the time to answer.
func (s *State) ApplyStart(until Time) {
	for n, at := range s.offers.of {
		c := s.claims.at(n)
		end := max(at, until)
		if last := s.poolAt(c.pool).config.promoteUntil(); last != 0 {
			end = min(end, last)
		}
		if end != at {
			s.offers.set(n, end, s.seqOf)
		}
	}
}
