// Package sim checks a log by the named invariants of the design, independently of the code that made it.
//
// The model here is the slow and obvious one: maps, and walks over them. It shares no code with the rules of package
// seat but the names of things. `holdfast verify`, `holdfast rush` and the tests feed it every event in order, and the
// answers that clients saw; it says which invariant is broken, and where.
package sim

import (
	"holdfast"
	"holdfast/seat"
)

// realm is one realm as the model sees it.
type realm struct {
	limits seat.Limits
	pools  map[string]*pool
	people map[string]map[string]*claim // person → pool → claim
}

type pool struct {
	name   string
	config seat.Config
	seats  map[uint32]string // seat number → who is seated or offered it
	line   []*claim          // by ticket; who left has another status or ticket by now
	head   int               // line[:head] is gone for good
	claims map[string]*claim
	count  [seat.Statuses]int
	ticket uint32 // the last one given
	lots   lots
}

type claim struct {
	person   string
	pool     *pool
	status   seat.Status
	seat     uint32
	ticket   uint32
	deadline seat.Time
	swap     string
}

func newRealm() *realm {
	return &realm{limits: seat.DefaultLimits(), pools: map[string]*pool{}, people: map[string]map[string]*claim{}}
}

func newPool(name string) *pool {
	return &pool{name: name, seats: map[uint32]string{}, claims: map[string]*claim{}}
}

// fromState takes over what a snapshot says: the history before it is gone, so it is believed.
func fromState(s *holdfast.State) map[string]*realm {
	realms := map[string]*realm{}
	for _, from := range s.Realms() {
		r := newRealm()
		r.limits = from.Seats.Limits()
		for _, v := range from.Seats.Pools("", from.Seats.PoolCount()) {
			p := newPool(v.Name)
			p.config = v.Config
			r.pools[v.Name] = p
			for cursor, more := uint32(0), true; more; more = cursor != 0 {
				var rows []seat.Row
				rows, cursor = from.Seats.Roster(v.Name, cursor, func(seat.Status) bool { return true }, 1000)
				for _, row := range rows {
					r.adopt(p, row)
				}
			}
			p.sortLine()
			if p.lots.drawn = v.Drawn; v.Drawn {
				p.lots.seed = v.Seed
				p.drawQueue()
			}
		}
		realms[from.Name] = r
	}
	return realms
}

func (r *realm) adopt(p *pool, row seat.Row) {
	c := r.claim(p, row.Person)
	c.seat, c.ticket, c.deadline, c.swap = row.Seat, row.Ticket, row.Deadline, row.Swap
	p.count[c.status]--
	c.status = row.Status
	p.count[c.status]++
	switch c.status {
	case seat.Waiting:
		p.line = append(p.line, c)
		p.ticket = max(p.ticket, c.ticket)
	case seat.Seated, seat.Offered:
		p.seats[c.seat] = c.person
	}
}

func (p *pool) sortLine() {
	// Insertion sort: a roster is nearly in the order of the tickets.
	for i := 1; i < len(p.line); i++ {
		for j := i; j > 0 && p.line[j-1].ticket > p.line[j].ticket; j-- {
			p.line[j-1], p.line[j] = p.line[j], p.line[j-1]
		}
	}
}

// claim finds or makes the person's claim in the pool.
func (r *realm) claim(p *pool, person string) *claim {
	c := p.claims[person]
	if c == nil {
		c = &claim{person: person, pool: p}
		p.claims[person] = c
		p.count[seat.None]++
		if r.people[person] == nil {
			r.people[person] = map[string]*claim{}
		}
		r.people[person][p.name] = c
	}
	return c
}

func (p *pool) held() int { return p.count[seat.Seated] + p.count[seat.Offered] }

func (p *pool) free() int { return max(0, int(p.config.Capacity)-p.held()) }

func (p *pool) promoteUntil() seat.Time {
	if p.config.PromoteUntil != 0 {
		return p.config.PromoteUntil
	}
	return p.config.ClosesAt
}

// bars says why the person may not hold a seat in p when the seat in pool swap is given up for it.
func (r *realm) bars(p *pool, person, swap string) string {
	held := 0
	for name, c := range r.people[person] {
		if c.status != seat.Seated && c.status != seat.Offered || name == swap || name == p.name {
			continue
		}
		held++
		if p.config.Group != "" && c.pool.config.Group == p.config.Group {
			return "holds a seat of the group in pool " + name
		}
	}
	if r.limits.MaxSeats != nil && held >= int(*r.limits.MaxSeats) {
		return "holds as many seats as the realm allows"
	}
	return ""
}

// firstEligible walks the line for the first person who may sit now.
func (r *realm) firstEligible(p *pool) *claim {
	for i := p.head; i < len(p.line); i++ {
		c := p.line[i]
		if c == nil {
			if i == p.head {
				p.head++
			}
			continue
		}
		if r.bars(p, c.person, c.swap) == "" {
			return c
		}
	}
	return nil
}

// leaveLine makes a hole.
func (p *pool) leaveLine(c *claim) {
	low, high := p.head, len(p.line)
	for low < high { // binary search over tickets; holes are looked through to the right
		mid := (low + high) / 2
		at := mid
		for at < high && p.line[at] == nil {
			at++
		}
		switch {
		case at == high || p.line[at].ticket > c.ticket:
			high = mid
		case p.line[at].ticket == c.ticket:
			p.line[at] = nil
			return
		default:
			low = at + 1
		}
	}
}

// to moves a claim to another status.
func (c *claim) to(status seat.Status) {
	if c.status == seat.Waiting && status != seat.Waiting {
		c.pool.leaveLine(c)
	}
	if c.status == seat.Seated || c.status == seat.Offered {
		delete(c.pool.seats, c.seat)
	}
	c.pool.count[c.status]--
	c.pool.count[status]++
	c.status = status
}
