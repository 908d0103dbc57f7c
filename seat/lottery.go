package seat

import (
	"bytes"
	"cmp"
	"container/heap"
	"crypto/sha256"
	"fmt"
	"slices"
)

// A lottery: who claims before the opening is entered. At the opening the seed is revealed (Drawn), and everybody who is
// entered gets one event, in the order of the draw, as if they claimed in that order.
//
// The seed is not in the state before Drawn, so neither the state nor a snapshot tells who will be first. After it the
// order follows from the state alone: a process that stopped in the middle of a draw goes on where it was.

// lottery is what a pool has beside the rest when its order is Lottery.
type lottery struct {
	drawn  bool
	sealed bool // the seed was asked for and is not to be had: not in State.draws. Of no log, so of no snapshot
	seed   [32]byte
	rest   []uint32 // who is still entered, last one first; nil until it is asked for, else complete but for who has left
}

// draws is which lotteries are to be drawn, and which draws are under way.
type draws struct {
	awaited []*pool  // heap by (OpensAt, number) of what is to be drawn, exactly
	begun   poolHeap // drawn, and somebody is still entered
	sealed  int      // lotteries whose seed was not to be had at their opening
}

func (d *draws) Len() int { return len(d.awaited) }
func (d *draws) Less(i, j int) bool {
	a, b := d.awaited[i], d.awaited[j]
	return a.config.OpensAt < b.config.OpensAt || a.config.OpensAt == b.config.OpensAt && a.number < b.number
}
func (d *draws) Swap(i, j int) { d.awaited[i], d.awaited[j] = d.awaited[j], d.awaited[i] }
func (d *draws) Push(x any)    { d.awaited = append(d.awaited, x.(*pool)) }
func (d *draws) Pop() any {
	x := d.awaited[len(d.awaited)-1]
	d.awaited = d.awaited[:len(d.awaited)-1]
	return x
}

// next gives the pool that is drawn first, and when; nil = none.
func (d *draws) next() (p *pool, at Time) {
	if len(d.awaited) == 0 {
		return nil, 0
	}
	return d.awaited[0], d.awaited[0].config.OpensAt
}

// await asks anew for a seed that was not to be had.
func (d *draws) await(p *pool) {
	if p.lottery != nil && p.lottery.sealed {
		d.drop(p)
		heap.Push(d, p)
	}
}

// drop takes a lottery out: it is drawn, or none any more.
func (d *draws) drop(p *pool) {
	if p.lottery.sealed {
		p.lottery.sealed = false
		d.sealed--
		return
	}
	if i := slices.Index(d.awaited, p); i >= 0 { // as a rule the first, or a pool that was put again: rare
		heap.Remove(d, i)
	}
}

// first gives the draw under way that goes on first; nil = none.
func (d *draws) first() *pool {
	if len(d.begun) == 0 {
		return nil
	}
	return d.begun[0]
}

// undrawn says whether the pool is a lottery before its draw.
func (p *pool) undrawn() bool { return p.lottery != nil && !p.lottery.drawn }

// takesEntries says whether a claim at t is entered.
func (p *pool) takesEntries(t Time) bool { return p.undrawn() && t < p.config.OpensAt }

// barsEntry decides whether somebody without a live claim takes part in the draw. An entry counts as a wait; no other limit
// is asked, for nobody sits yet. A swap cannot enter: its old seat would hang on a draw.
func (s *State) barsEntry(r refs, swap uint32) Refusal {
	if swap != 0 {
		return Refusal{Code: NotOpen, Time: r.pool.config.OpensAt}
	}
	return s.barsWait(r.person)
}

// barsWait: may the person wait in one more line, or take part in one more draw?
func (s *State) barsWait(person uint32) Refusal {
	if person != 0 && s.people.at(person).waiting >= s.limits.MaxWaits || s.limits.MaxWaits == 0 {
		return Refusal{Code: LimitSeats, Limit: s.limits.MaxWaits}
	}
	return Refusal{}
}

// keepSeedHash completes the configuration that p (nil = a new pool) is put with. A lottery keeps its hash, whatever the
// caller says: else somebody could choose another seed with the entries before their eyes. False: a new one has none.
func (c *Config) keepSeedHash(p *pool) bool {
	if c.Order == Lottery && p != nil && p.lottery != nil {
		c.SeedHash = p.config.SeedHash
	}
	return c.Order != Lottery || c.SeedHash != [32]byte{}
}

// applyLottery puts the new configuration of a pool, as far as it is about lotteries.
func (s *State) applyLottery(p *pool, c *Config) error {
	switch {
	case c.Order == Lottery && p.lottery == nil:
		p.lottery = &lottery{}
		p.config.OpensAt = c.OpensAt
		heap.Push(&s.draws, p)
	case c.Order == Lottery && p.config.SeedHash != c.SeedHash:
		return fmt.Errorf("pool %q is put with the hash of another seed", p.name)
	case p.undrawn() && c.Order == Lottery:
		s.draws.drop(p)
		p.config.OpensAt = c.OpensAt
		heap.Push(&s.draws, p)
	case p.lottery != nil && c.Order != Lottery:
		if p.entered > 0 {
			return fmt.Errorf("pool %q is put by arrival with %d entered", p.name, p.entered)
		}
		s.draws.drop(p)
		p.lottery = nil
	}
	return nil
}

// applyDrawn: the seed is known from now on.
func (s *State) applyDrawn(e *Event) error {
	p := s.pools[e.Pool]
	if p == nil || !p.undrawn() {
		return fmt.Errorf("pool %q is drawn, and is no lottery before its draw", e.Pool)
	}
	if e.Seed == nil || sha256.Sum256(e.Seed[:]) != p.config.SeedHash {
		return fmt.Errorf("pool %q is drawn with a seed that does not match its hash", e.Pool)
	}
	s.draws.drop(p)
	p.lottery.drawn, p.lottery.seed = true, *e.Seed
	if p.entered > 0 {
		heap.Push(&s.draws.begun, p)
	}
	return nil
}

// applyEntered: the person takes part in the draw.
func (s *State) applyEntered(now stamp, e *Event, r refs) error {
	if e.Was.Live() || !r.pool.undrawn() {
		return fmt.Errorf("%q enters pool %q, was %s, and the pool takes no entries", e.Person, e.Pool, e.Was)
	}
	s.claims.at(r.claim).set(now, Entered)
	r.pool.entered++
	s.people.at(r.person).waiting++
	return nil
}

func (s *State) leaveEntry(r refs) {
	r.pool.entered--
	s.people.at(r.person).waiting--
	if r.pool.entered == 0 && !r.pool.undrawn() {
		heap.Remove(&s.draws.begun, slices.Index(s.draws.begun, r.pool))
		r.pool.lottery.rest = nil
	}
}

// draw reveals the seed of an undrawn lottery. Without the seed the pool stays as it is, and shut, until the pool is put
// again or another process takes the shard; nothing else waits for it.
func (s *State) draw(t *Turn, p *pool) {
	seed, ok := [32]byte{}, false
	if t.Seed != nil {
		seed, ok = t.Seed(p.config.SeedHash)
	}
	if !ok || sha256.Sum256(seed[:]) != p.config.SeedHash {
		s.draws.drop(p)
		p.lottery.sealed = true
		s.draws.sealed++
		return
	}
	s.emitOfPool(t, &Event{Kind: Drawn, Pool: p.name, Seed: &seed})
}

// drawOn goes on with the draws that have begun, lowest pool first, as far as the turn's events go.
func (s *State) drawOn(t *Turn) {
	for !t.full() {
		p := s.draws.first()
		if p == nil {
			return
		}
		s.drawOne(t, p)
	}
}

// drawOne gives the next of a draw what they would get if they claimed now: a seat if there is one for them, else a
// place in line, also for who may not sit now (limit, group), else nothing: the claim is released.
func (s *State) drawOne(t *Turn, p *pool) {
	n := s.nextDrawn(p)
	who := s.claims.at(n).person
	r := refs{pool: p, person: who, claim: n}
	e := Event{Pool: p.name, Person: s.people.at(who).name, Was: Entered, Cause: ByDraw}
	why, _ := s.bars(p, who, 0)
	switch {
	case why == "" && p.hasSeatFor():
		e.Kind, e.Seat = SeatTaken, p.seats.lowest()
	case p.hasPlace():
		e.Kind, e.Ticket = LineJoined, p.line.last+1
	default:
		e.Kind = SeatFreed
	}
	s.emit(t, &e, r)
}

// nextDrawn gives the first in the order of the draw who is still entered. p has one.
func (s *State) nextDrawn(p *pool) uint32 {
	l := p.lottery
	if l.rest == nil {
		l.rest = s.drawOrder(p)
	}
	for {
		n := l.rest[len(l.rest)-1]
		l.rest = l.rest[:len(l.rest)-1]
		if s.claims.at(n).status == Entered {
			return n
		}
	}
}

// drawOrder sorts everybody who is entered in p by SHA-256(seed ‖ pool ‖ person), the first one last.
func (s *State) drawOrder(p *pool) []uint32 {
	type ticket struct {
		hash  [32]byte
		claim uint32
	}
	tickets := make([]ticket, 0, p.entered)
	text := append(p.lottery.seed[:len(p.lottery.seed):len(p.lottery.seed)], p.name...)
	for n := p.first; n != 0; n = s.claims.at(n).nextOfPool {
		if c := s.claims.at(n); c.status == Entered {
			tickets = append(tickets, ticket{sha256.Sum256(append(text[:len(text):len(text)], s.people.at(c.person).name...)), n})
		}
	}
	slices.SortFunc(tickets, func(a, b ticket) int {
		if order := bytes.Compare(b.hash[:], a.hash[:]); order != 0 {
			return order
		}
		return cmp.Compare(b.claim, a.claim)
	})
	order := make([]uint32, len(tickets))
	for i, at := range tickets {
		order[i] = at.claim
	}
	return order
}

// Lots is a lottery that is to be drawn.
type Lots struct {
	Pool     string
	OpensAt  Time
	SeedHash [32]byte
}

// Undrawn lists the lotteries that are to be drawn, in the order in which their pools were made.
func (s *State) Undrawn() (list []Lots) {
	for _, p := range s.poolList {
		if p.undrawn() {
			list = append(list, Lots{p.name, p.config.OpensAt, p.config.SeedHash})
		}
	}
	return list
}

// SownBy gives the pool whose lottery, drawn or not, has the seed of this hash; false: none has. It looks at every pool.
func (s *State) SownBy(hash [32]byte) (pool string, ok bool) {
	for _, p := range s.poolList {
		if p.config.Order == Lottery && p.config.SeedHash == hash {
			return p.name, true
		}
	}
	return "", false
}

// Sealed is the number of lotteries that could not be drawn at their opening, because their seed was not to be had.
func (s *State) Sealed() int { return s.draws.sealed }

// append is the part of a snapshot that a lottery adds to its pool.
func (l *lottery) append(b []byte) []byte {
	switch {
	case l == nil:
		return b
	case !l.drawn:
		return append(b, 0)
	}
	return append(append(b, 1), l.seed[:]...)
}

// lottery reads what append wrote.
func (in *snapshotReader) lottery(hash [32]byte) *lottery {
	l := &lottery{drawn: true}
	switch in.byte() {
	case 0:
		return &lottery{}
	case 1:
		for i := range l.seed {
			l.seed[i] = in.byte()
		}
		if in.err == nil && sha256.Sum256(l.seed[:]) == hash {
			return l
		}
	}
	in.fail()
	return nil
}

// deriveDraws: which lotteries are to be drawn, and which draws are under way.
func (s *State) deriveDraws() error {
	for _, p := range s.poolList {
		switch {
		case p.undrawn():
			heap.Push(&s.draws, p)
		case p.entered > 0 && p.lottery == nil:
			return fmt.Errorf("snapshot: %d are entered in pool %q, which is no lottery", p.entered, p.name)
		case p.entered > 0:
			heap.Push(&s.draws.begun, p)
		}
	}
	return nil
}

// Lotteries says whether a pool is a lottery: a snapshot of such a state has more in it than one of version 1.
func (s *State) Lotteries() bool {
	return slices.ContainsFunc(s.poolList, func(p *pool) bool { return p.lottery != nil })
}
