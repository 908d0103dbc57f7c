package sim

import (
	"fmt"
	"maps"
	"slices"

	"holdfast"
	"holdfast/seat"
)

// Violation is one broken invariant.
type Violation struct {
	Name string `json:"name"` // S1 to S9, L1, L2, D1 to D7, J1, J2, J3, J7
	Seq  uint64 `json:"seq"`  // the event at which it shows
	Text string `json:"text"`
}

func (v Violation) String() string { return fmt.Sprintf("%s at event %d: %s", v.Name, v.Seq, v.Text) }

// Report is what was looked at and what was found.
type Report struct {
	Events     uint64            // events checked, each at its prefix of the log
	Checks     map[string]uint64 // how often each invariant was looked at
	Answers    int               // answers given to the checker
	Compared   int               // answers compared with the log
	Erased     int               // preapproved answers that a crash erased, as preapproved answers may be
	Violations []Violation       // at most maxViolations; Found counts all
	Found      int
}

const maxViolations = 100

// Checker follows one log from its beginning, or from a snapshot. It is for one goroutine.
type Checker struct {
	state   *holdfast.State // the program's own fold, compared with the model
	realms  map[string]*realm
	report  Report
	started seat.Time    // time of the last Started event
	broken  bool         // the program's fold refused an event: from there on only the model speaks
	desks   *DeskChecker // nil behind a snapshot with desks: what an agent has declined is not in it
}

// NewChecker begins at a state: holdfast.NewState() for a log that begins at 1. The state is the checker's from now on.
func NewChecker(from *holdfast.State) *Checker {
	c := &Checker{state: from, realms: fromState(from), report: Report{Checks: map[string]uint64{}}, desks: NewDeskChecker()}
	for _, r := range from.Realms() {
		if !r.Desks.Empty() {
			c.desks = nil
		}
	}
	return c
}

// State is the fold of all events so far. The caller must not change it.
func (c *Checker) State() *holdfast.State { return c.state }

// Finish looks at the whole state once more and gives the report.
func (c *Checker) Finish() Report {
	c.look("S4", c.state.Seq(), c.state.Check() == nil, "the whole state: %v", c.state.Check())
	if c.desks == nil {
		return c.report
	}
	report, desks := c.report, c.desks.Finish(0)
	report.Checks = maps.Clone(report.Checks)
	for name, n := range desks.Checks {
		report.Checks[name] += n
	}
	report.Violations = append(slices.Clip(report.Violations), desks.Violations...)
	report.Found += desks.Found
	return report
}

// Recovered compares a state that came about in another way (a snapshot, what a server starts with) with the fold of the
// log. Call it when the checker has taken exactly the events up to seq, or all that there are. J2: the log reaches as far.
// J3: the same events give the same state, by its hash.
func (c *Checker) Recovered(name string, seq uint64, hash [32]byte) {
	reached := c.state.Seq() == seq
	c.look("J2", seq, reached, "%s is of event %d; the log gives a state up to %d", name, seq, c.state.Seq())
	if reached {
		c.look("J3", seq, c.state.Hash() == hash, "%s differs from the replay of the log", name)
	}
}

// look counts one check and notes a violation when it is not ok.
func (c *Checker) look(name string, seq uint64, ok bool, format string, args ...any) {
	c.report.Checks[name]++
	if ok {
		return
	}
	c.report.Found++
	if len(c.report.Violations) < maxViolations {
		c.report.Violations = append(c.report.Violations, Violation{name, seq, fmt.Sprintf(format, args...)})
	}
}

// Event takes the next event of the log: it checks what must hold before it, applies it, and checks what must hold after.
func (c *Checker) Event(e *holdfast.Event) {
	c.report.Events++
	if c.desks != nil {
		c.desks.Event(e)
	}
	switch {
	case e.Kind() == holdfast.Started:
		c.started = e.At
		c.start(e)
	case e.Kind() == holdfast.RealmPut:
		if c.realms[e.Realm] == nil {
			c.realms[e.Realm] = newRealm()
		}
		c.realms[e.Realm].limits = *e.Limits
	case e.Desk != nil:
		c.look("J2", e.Seq, c.realms[e.Realm] != nil, "an event of realm %q, which does not exist", e.Realm)
	default:
		c.seatEvent(e)
	}
	if c.broken {
		return
	}
	if err := c.state.Apply(e); err != nil {
		c.broken = true
		c.look("J2", e.Seq, false, "the log cannot be replayed: %v", err)
		return
	}
	c.compareCounts(e)
}

// compareCounts is S4 at this prefix: the model and the program's fold count the same.
func (c *Checker) compareCounts(e *holdfast.Event) {
	r := c.state.Realm(e.Realm)
	if r == nil || e.Kind() < seat.PoolPut || e.Desk != nil {
		return
	}
	v, ok := r.Seats.Pool(e.Seat.Pool)
	p := c.realms[e.Realm].pools[e.Seat.Pool]
	same := ok && p != nil && int(v.Seated) == p.count[seat.Seated] && int(v.Offered) == p.count[seat.Offered] &&
		int(v.Waiting) == p.count[seat.Waiting] && int(v.Entered) == p.count[seat.Entered] && int(v.Free) == p.free() &&
		v.Config.Capacity+v.Over == v.Free+v.Seated+v.Offered && len(p.seats) == p.held()
	c.look("S4", e.Seq, same, "pool %s: the counts of the state differ from those of its history", e.Seat.Pool)
}

func (c *Checker) start(e *holdfast.Event) {
	for _, r := range c.realms {
		for _, p := range r.pools {
			if p.count[seat.Offered] > 0 {
				p.extend(e.At + e.Grace)
			}
		}
	}
}

func (p *pool) extend(until seat.Time) {
	for _, c := range p.claims {
		if c.status == seat.Offered {
			c.deadline = max(c.deadline, until)
			if last := p.promoteUntil(); last != 0 {
				c.deadline = min(c.deadline, last)
			}
		}
	}
}

func (c *Checker) seatEvent(e *holdfast.Event) {
	r := c.realms[e.Realm]
	if r == nil {
		c.look("J2", e.Seq, false, "an event of realm %q, which does not exist", e.Realm)
		return
	}
	s := &e.Seat
	p := r.pools[s.Pool]
	if s.Kind == seat.PoolPut {
		known := p != nil
		if !known {
			p = newPool(s.Pool)
			r.pools[s.Pool] = p
		}
		c.putLottery(p, e, known)
		p.config = *s.Config
		if until := p.promoteUntil(); until != 0 && p.count[seat.Offered] > 0 {
			for _, o := range p.claims {
				if o.status == seat.Offered {
					o.deadline = min(o.deadline, until)
				}
			}
		}
		return
	}
	if p == nil {
		c.look("J2", e.Seq, false, "an event of pool %q, which does not exist", s.Pool)
		return
	}
	if s.Kind == seat.Drawn {
		c.drawn(p, e)
		return
	}
	who := r.claim(p, s.Person)
	c.look("S2", e.Seq, who.status == s.Was, "%s in pool %s was %s, the event says %s", s.Person, s.Pool, who.status, s.Was)
	switch s.Kind {
	case seat.SeatTaken, seat.SeatOffered:
		c.seatGiven(r, p, who, e)
	case seat.LineJoined:
		c.lineJoined(r, p, who, e)
	case seat.SeatFreed:
		c.seatFreed(r, who, e)
	case seat.LotteryEntered:
		c.entered(r, p, who, e)
	}
}

// open is S8: claims only between opening and closing, and behind a draw.
func (c *Checker) open(p *pool, e *holdfast.Event) {
	cfg := &p.config
	if cfg.Order == seat.Lottery {
		c.look("S8", e.Seq, p.lots.drawn, "%s claimed in pool %s, which is not drawn", e.Seat.Person, p.name)
		c.look("L2", e.Seq, p.nextDrawn() == nil, "%s claimed in pool %s before its draw was done", e.Seat.Person, p.name)
	}
	c.look("S8", e.Seq, (cfg.OpensAt == 0 || e.At >= cfg.OpensAt) && (cfg.ClosesAt == 0 || e.At < cfg.ClosesAt),
		"%s claimed in pool %s outside its opening", e.Seat.Person, p.name)
}

// seatGiven: somebody is seated or offered a seat.
func (c *Checker) seatGiven(r *realm, p *pool, who *claim, e *holdfast.Event) {
	s := &e.Seat
	switch s.Cause {
	case seat.ByClaim, seat.ByDraw:
		if s.Cause == seat.ByClaim {
			c.open(p, e)
		} else {
			c.byDraw(p, who, e)
		}
		if p.count[seat.Waiting] > 0 {
			first := r.firstEligible(p)
			c.look("S3", e.Seq, first == nil, "%s was seated in pool %s while somebody eligible waited", s.Person, p.name)
		}
	case seat.ByPromotion:
		first := r.firstEligible(p)
		c.look("S5", e.Seq, first == who, "%s was promoted in pool %s, but is not the first eligible", s.Person, p.name)
		until := p.promoteUntil()
		c.look("S8", e.Seq, until == 0 || e.At < until, "%s was promoted in pool %s after promote_until", s.Person, p.name)
		c.look("S5", e.Seq, (s.Kind == seat.SeatOffered) == (p.config.Promotion == seat.Offer),
			"pool %s promotes by %s, the event is %s", p.name, p.config.Promotion, s.Kind)
	case seat.ByAccept:
		c.look("S8", e.Seq, s.Was == seat.Offered && e.At < who.deadline, "%s accepted in pool %s without a live offer", s.Person, p.name)
	}
	if s.Was != seat.Offered {
		if s.Cause != seat.ByStaff {
			c.look("S1", e.Seq, p.free() > 0, "%s got seat %d of pool %s, which has no free seat", s.Person, s.Seat, p.name)
			why := r.bars(p, s.Person, s.Swap)
			c.look("S2", e.Seq, why == "", "%s got a seat in pool %s but %s", s.Person, p.name, why)
		}
		holder, taken := p.seats[s.Seat]
		c.look("S1", e.Seq, !taken && s.Seat > 0, "seat %d of pool %s was given to %s, %s has it", s.Seat, p.name, s.Person, holder)
	} else {
		c.look("S1", e.Seq, who.seat == s.Seat, "%s was offered seat %d of pool %s and took %d", s.Person, who.seat, p.name, s.Seat)
	}
	c.swapDone(r, who, e)
	to := seat.Seated
	if s.Kind == seat.SeatOffered {
		to = seat.Offered
	}
	who.to(to)
	who.seat, who.ticket, who.deadline = s.Seat, 0, s.Deadline
	p.seats[s.Seat] = s.Person
}

// swapDone is S6: the old seat is held until this event and gone with it.
func (c *Checker) swapDone(r *realm, who *claim, e *holdfast.Event) {
	s := &e.Seat
	if who.swap != "" {
		c.look("S6", e.Seq, s.Swap == who.swap, "%s waited in pool %s to give up %s, the event says %q", s.Person, s.Pool, who.swap, s.Swap)
	}
	who.swap = ""
	if s.Swap == "" {
		return
	}
	old := r.people[s.Person][s.Swap]
	held := old != nil && old.status == seat.Seated
	c.look("S6", e.Seq, held, "%s gives up a seat in pool %s that is not held", s.Person, s.Swap)
	if s.Kind == seat.SeatOffered {
		who.swap = s.Swap
	} else if held {
		old.to(seat.Released)
		old.seat = 0
	}
}

func (c *Checker) lineJoined(r *realm, p *pool, who *claim, e *holdfast.Event) {
	s := &e.Seat
	if s.Swap != "" {
		old := r.people[s.Person][s.Swap]
		c.look("S6", e.Seq, old != nil && old.status == seat.Seated, "%s waits in pool %s to give up a seat in %s that is not held", s.Person, p.name, s.Swap)
		for _, other := range r.people[s.Person] {
			c.look("S6", e.Seq, other == who || other.swap != s.Swap, "%s gives up the seat in %s twice", s.Person, s.Swap)
		}
	}
	who.swap = s.Swap
	if s.Was == seat.Waiting {
		c.look("S5", e.Seq, who.ticket == s.Ticket, "%s lost the place in the line of pool %s", s.Person, p.name)
		return
	}
	if s.Cause == seat.ByDraw {
		c.byDraw(p, who, e)
		c.look("S3", e.Seq, r.cannotSit(p, s.Person), "%s was drawn and put in line in pool %s, where a seat was free", s.Person, p.name)
	} else {
		c.open(p, e)
		// S3: nobody is put in line who could have sat.
		c.look("S3", e.Seq, p.free() == 0 || r.firstEligible(p) != nil, "%s was put in line in pool %s, where a seat was free", s.Person, p.name)
		c.look("S2", e.Seq, r.waits(s.Person) < int(r.limits.MaxWaits), "%s waits in more lines than %d", s.Person, r.limits.MaxWaits)
	}
	c.look("S5", e.Seq, s.Ticket > p.ticket, "ticket %d of pool %s was given after %d", s.Ticket, p.name, p.ticket)
	most := p.config.Waitlist
	c.look("S2", e.Seq, most == nil || p.count[seat.Waiting] < int(*most), "the line of pool %s is longer than %v", p.name, most)
	who.to(seat.Waiting)
	who.ticket, p.ticket = s.Ticket, s.Ticket
	p.line = append(p.line, who)
}

func (c *Checker) seatFreed(r *realm, who *claim, e *holdfast.Event) {
	s := &e.Seat
	c.look("S7", e.Seq, who.status.Live(), "%s released in pool %s what was not held", s.Person, s.Pool)
	if s.Cause == seat.ByExpiry {
		c.look("S8", e.Seq, who.status == seat.Offered && e.At >= who.deadline, "the offer to %s in pool %s expired before its deadline", s.Person, s.Pool)
	}
	if s.Cause == seat.ByDraw {
		p := who.pool
		c.byDraw(p, who, e)
		most := p.config.Waitlist
		c.look("S3", e.Seq, r.cannotSit(p, s.Person) && most != nil && p.count[seat.Waiting] >= int(*most),
			"%s was drawn in pool %s and got nothing, where there was a seat or a place in line", s.Person, p.name)
	}
	for name, other := range r.people[s.Person] {
		if other.swap == s.Pool {
			c.look("S6", e.Seq, s.Swap == name, "%s released %s, which the wait in %s was to give up; the event says %q", s.Person, s.Pool, name, s.Swap)
			other.swap = ""
		}
	}
	who.to(seat.Released)
	who.seat, who.ticket, who.deadline, who.swap = 0, 0, 0, ""
}
