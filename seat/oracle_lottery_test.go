package seat_test

import (
	"crypto/sha256"
	"fmt"
	"sort"

	"holdfast/seat"
)

// The oracle's lotteries, and how pools are put.

func (o *oracle) undrawn(p *oraclePool) bool { return p.Order == seat.Lottery && !p.drawn }

// mayEnter: only the limit of waits counts, and a swap cannot enter.
func (o *oracle) mayEnter(p *oraclePool, person, swap string) seat.Refusal {
	if swap != "" {
		return seat.Refusal{Code: seat.NotOpen, Time: p.OpensAt}
	}
	if o.waits(person) >= o.limits.MaxWaits {
		return seat.Refusal{Code: seat.LimitSeats, Limit: o.limits.MaxWaits}
	}
	return seat.Refusal{}
}

// nextDraw is the lottery that opens first, of those whose seed is to be had.
func (o *oracle) nextDraw() (next *oraclePool) {
	for _, p := range o.pools {
		if !o.undrawn(p) || next != nil && next.OpensAt <= p.OpensAt {
			continue
		}
		if _, ok := o.seed(p.SeedHash); ok {
			next = p
		}
	}
	return next
}

// draw reveals the seed and gives everybody, one after the other, what there is.
func (o *oracle) draw(p *oraclePool) {
	p.seed, _ = o.seed(p.SeedHash)
	p.drawn = true
	seed := p.seed
	o.record(seat.Event{Kind: seat.Drawn, Pool: p.name, Seed: &seed})
	number := func(c *oracleClaim) string {
		return fmt.Sprintf("%x", sha256.Sum256([]byte(string(seed[:])+p.name+c.person)))
	}
	var entered []*oracleClaim
	for _, c := range o.claims {
		if c.in == p && c.Status == seat.Entered {
			entered = append(entered, c)
		}
	}
	sort.Slice(entered, func(i, j int) bool { return number(entered[i]) < number(entered[j]) })
	for _, c := range entered {
		code, _ := o.bars(p, c.person, "")
		switch {
		case code == "" && o.room(p):
			o.takeSeat(p, c.person, seat.Event{Cause: seat.ByDraw, Seat: o.lowestSeat(p)})
		case p.Waitlist == nil || o.count(p, seat.Waiting) < *p.Waitlist:
			p.lastTicket++
			o.become(p, c.person, seat.Event{Kind: seat.LineJoined, Cause: seat.ByDraw, Ticket: p.lastTicket},
				seat.Standing{Status: seat.Waiting, Ticket: p.lastTicket})
		default:
			o.freeSeat(c, seat.Event{Cause: seat.ByDraw})
		}
	}
}

func (o *oracle) putPool(c seat.PutPool) seat.Result {
	p := o.pool(c.Pool)
	if p == nil {
		p = &oraclePool{name: c.Pool}
		o.pools = append(o.pools, p)
	} else {
		res := seat.Result{Standing: seat.Standing{Pool: c.Pool, Seq: p.seq, At: p.at}}
		if p.Order == seat.Lottery && c.Config.Order == seat.Lottery {
			c.Config.SeedHash = p.SeedHash
		}
		if sameConfig(p.Config, c.Config) {
			return res
		}
		live := 0
		for _, claim := range o.claims {
			if claim.in == p && claim.Status.Live() {
				live++
			}
		}
		if (p.Group != c.Config.Group || p.Order != c.Config.Order) && live > 0 {
			res.Refusal = seat.Refusal{Code: seat.Conflict, Pool: c.Pool}
			return res
		}
	}
	if c.Config.Order == seat.Arrival {
		p.drawn, p.seed = false, [32]byte{}
	}
	p.Config = c.Config
	o.record(seat.Event{Kind: seat.PoolPut, Pool: c.Pool, Config: &c.Config})
	p.seq, p.at = o.seq, o.now
	for _, claim := range o.claims {
		if until := p.until(); claim.in == p && claim.Status == seat.Offered && until != 0 {
			claim.Deadline = min(claim.Deadline, until)
		}
	}
	return seat.Result{Standing: seat.Standing{Pool: c.Pool, Seq: p.seq, At: p.at}}
}

func sameConfig(a, b seat.Config) bool {
	same := (a.Waitlist == nil) == (b.Waitlist == nil) && (a.Waitlist == nil || *a.Waitlist == *b.Waitlist)
	a.Waitlist, b.Waitlist = nil, nil
	return same && a == b
}

// seedOf gives the seeds of the tests; one of eight is lost.
func seedOf(hash [32]byte) (seed [32]byte, ok bool) {
	seed = seedsByHash[hash]
	return seed, seed[0]%8 != 7 && seed != [32]byte{}
}

var seedsByHash = func() map[[32]byte][32]byte {
	all := map[[32]byte][32]byte{}
	for n := range 256 {
		seed := [32]byte{byte(n), 1}
		all[sha256.Sum256(seed[:])] = seed
	}
	return all
}()

func seedHash(n int) [32]byte {
	seed := [32]byte{byte(n), 1}
	return sha256.Sum256(seed[:])
}

// lots empties a pool and makes it a lottery, which some enter.
func (m *machine) lots(o op) {
	name := poolNames[o.Pool]
	p := m.oracle.pool(name)
	for _, person := range personNames {
		if m.oracle.standing(p, person).Status.Live() {
			m.do(seat.Release{Pool: name, Person: person})
		}
	}
	c := m.config(o.Pool, o.X, o.Y, o.Z)
	c.Order, c.OpensAt = seat.Arrival, 0
	c.SeedHash, c.ClosesAt, c.PromoteUntil = [32]byte{}, 0, 0
	m.do(seat.PutPool{Pool: name, Config: c})
	c.Order, c.OpensAt, c.SeedHash = seat.Lottery, m.now+seat.Time(o.Y%40+1)*second, seedHash(o.X^o.Z)
	m.do(seat.PutPool{Pool: name, Config: c})
	for i := range o.Z % 5 {
		m.do(seat.Claim{Pool: name, Person: personNames[(o.Person+i)%len(personNames)]})
	}
}

// someEntry goes, now and then, for somebody who is entered: few are.
func (m *machine) someEntry(o op, pool, person string) (string, string) {
	for _, c := range m.oracle.claims {
		if c.Status == seat.Entered && o.Z%3 == 0 {
			return c.in.name, c.person
		}
	}
	return pool, person
}
