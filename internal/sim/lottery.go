package sim

import (
	"bytes"
	"crypto/sha256"
	"sort"

	"holdfast"
	"holdfast/seat"
)

// The lottery once more: L1, the seed that is revealed is the one whose hash was fixed when the pool was put; L2, the draw goes
// by SHA-256(seed ‖ pool ‖ person), everybody who was entered once, and nobody else before it is done.

// lots is a draw.
type lots struct {
	drawn bool
	seed  [32]byte
	queue []*claim // in the order of the draw; who has left is no longer entered
}

// drawQueue works the order out anew, from the seed and the names.
func (p *pool) drawQueue() {
	type ticket struct {
		hash [32]byte
		who  *claim
	}
	var tickets []ticket
	for _, c := range p.claims {
		if c.status == seat.Entered {
			h := sha256.New()
			h.Write(p.lots.seed[:])
			h.Write([]byte(p.name))
			h.Write([]byte(c.person))
			tickets = append(tickets, ticket{[32]byte(h.Sum(nil)), c})
		}
	}
	sort.Slice(tickets, func(i, j int) bool { return bytes.Compare(tickets[i].hash[:], tickets[j].hash[:]) < 0 })
	p.lots.queue = nil
	for _, t := range tickets {
		p.lots.queue = append(p.lots.queue, t.who)
	}
}

// nextDrawn is who the draw comes to next; nil: it is done.
func (p *pool) nextDrawn() *claim {
	for len(p.lots.queue) > 0 && p.lots.queue[0].status != seat.Entered {
		p.lots.queue = p.lots.queue[1:]
	}
	if len(p.lots.queue) == 0 {
		return nil
	}
	return p.lots.queue[0]
}

// putLottery compares a new configuration with the one before; known: there is one.
func (c *Checker) putLottery(p *pool, e *holdfast.Event, known bool) {
	now := e.Seat.Config
	switch {
	case known && p.config.Order == seat.Lottery && now.Order == seat.Lottery:
		c.look("L1", e.Seq, p.config.SeedHash == now.SeedHash, "pool %s was put with the hash of another seed", p.name)
		return
	case known && p.config.Order != now.Order:
		live := p.held() + p.count[seat.Waiting] + p.count[seat.Entered]
		c.look("L2", e.Seq, live == 0, "the order of pool %s was changed while %d claims lived", p.name, live)
	}
	p.lots = lots{}
}

// drawn: the seed is revealed.
func (c *Checker) drawn(p *pool, e *holdfast.Event) {
	cfg := &p.config
	c.look("L1", e.Seq, cfg.Order == seat.Lottery && !p.lots.drawn && e.Seat.Seed != nil && sha256.Sum256(e.Seat.Seed[:]) == cfg.SeedHash,
		"pool %s was drawn twice, or the seed %x does not match the hash %x", p.name, e.Seat.Seed, cfg.SeedHash)
	c.look("S8", e.Seq, e.At >= cfg.OpensAt, "pool %s was drawn before it opened", p.name)
	if e.Seat.Seed != nil {
		p.lots.drawn, p.lots.seed = true, *e.Seat.Seed
		p.drawQueue()
	}
}

// entered: somebody takes part in the draw.
func (c *Checker) entered(r *realm, p *pool, who *claim, e *holdfast.Event) {
	s := &e.Seat
	cfg := &p.config
	c.look("S8", e.Seq, cfg.Order == seat.Lottery && !p.lots.drawn && e.At < cfg.OpensAt,
		"%s was entered in pool %s, which is no lottery before its draw", s.Person, p.name)
	c.look("S2", e.Seq, !who.status.Live(), "%s was entered in pool %s, but was %s", s.Person, p.name, who.status)
	c.look("S2", e.Seq, r.waits(s.Person) < int(r.limits.MaxWaits), "%s waits and is entered in more than %d pools", s.Person, r.limits.MaxWaits)
	who.to(seat.Entered)
}

// byDraw is L2 at an event of a draw.
func (c *Checker) byDraw(p *pool, who *claim, e *holdfast.Event) {
	next := p.nextDrawn()
	name := "nobody"
	if next != nil {
		name = next.person
	}
	c.look("L2", e.Seq, next == who, "the draw of pool %s came to %s, but %s is next by the seed", p.name, e.Seat.Person, name)
	c.look("S8", e.Seq, p.lots.drawn, "%s was drawn in pool %s before its draw", e.Seat.Person, p.name)
}

// cannotSit says whether a newcomer would get no seat in p.
func (r *realm) cannotSit(p *pool, person string) bool {
	return p.free() == 0 || r.firstEligible(p) != nil || r.bars(p, person, "") != ""
}

// undrawn: a lottery before its draw.
func (p *pool) undrawn() bool { return p.config.Order == seat.Lottery && !p.lots.drawn }

// waits counts the lines the person waits in, and the draws the person takes part in.
func (r *realm) waits(person string) (n int) {
	for _, c := range r.people[person] {
		if c.status == seat.Waiting || c.status == seat.Entered {
			n++
		}
	}
	return n
}
