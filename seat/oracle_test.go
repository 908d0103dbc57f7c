package seat_test

import (
	"reflect"
	"sort"

	"holdfast"
	"holdfast/seat"
)

// oracle is the rules of a pool once more, slow and obvious: plain slices, everything counted by looking at everything.
// It shares the types of package seat and nothing else. What it says must be what the fast one says, always.
type oracle struct {
	seq    uint64
	now    seat.Time
	limits seat.Limits
	made   bool // the realm was put
	pools  []*oraclePool
	claims []*oracleClaim // in the order of their first event
	events []seat.Event   // of this turn
	seed   func(hash [32]byte) (seed [32]byte, ok bool)
}

type oraclePool struct {
	seat.Config
	name       string
	seq        uint64
	at         seat.Time
	lastTicket uint32
	drawn      bool
	seed       [32]byte
}

// oracleClaim keeps what events say; Position and Blocked are worked out when asked for.
type oracleClaim struct {
	seat.Standing
	in     *oraclePool
	person string
}

func newOracle() *oracle { return &oracle{limits: seat.DefaultLimits()} }

func (o *oracle) pool(name string) *oraclePool {
	for _, p := range o.pools {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (o *oracle) find(p *oraclePool, person string) *oracleClaim {
	for _, c := range o.claims {
		if c.in == p && c.person == person {
			return c
		}
	}
	return nil
}

func holds(s seat.Status) bool { return s == seat.Seated || s == seat.Offered }

func (o *oracle) count(p *oraclePool, want seat.Status) (n uint32) {
	for _, c := range o.claims {
		if c.in == p && c.Status == want {
			n++
		}
	}
	return n
}

func (o *oracle) free(p *oraclePool) uint32 {
	return uint32(max(0, int(p.Capacity)-int(o.count(p, seat.Seated)+o.count(p, seat.Offered))))
}

func (o *oracle) line(p *oraclePool) (line []*oracleClaim) {
	for _, c := range o.claims {
		if c.in == p && c.Status == seat.Waiting {
			line = append(line, c)
		}
	}
	sort.Slice(line, func(i, j int) bool { return line[i].Ticket < line[j].Ticket })
	return line
}

func (o *oracle) lowestSeat(p *oraclePool) uint32 {
	for n := uint32(1); ; n++ {
		taken := false
		for _, c := range o.claims {
			taken = taken || c.in == p && holds(c.Status) && c.Seat == n
		}
		if !taken {
			return n
		}
	}
}

// seats is what counts for the limit: seats and offered seats.
func (o *oracle) seats(person string) (n uint32) {
	for _, c := range o.claims {
		if c.person == person && holds(c.Status) {
			n++
		}
	}
	return n
}

func (o *oracle) waits(person string) (n uint32) {
	for _, c := range o.claims {
		if c.person == person && (c.Status == seat.Waiting || c.Status == seat.Entered) {
			n++
		}
	}
	return n
}

// bars says why one more seat in p, giving up the one in the pool swap, is too much for the person.
func (o *oracle) bars(p *oraclePool, person, swap string) (why seat.Code, held string) {
	for _, c := range o.claims {
		if p.Group == "" || c.person != person || !holds(c.Status) || c.in.Group != p.Group || c.in.name == swap {
			continue
		}
		if held == "" || c.Status == seat.Offered { // of a swap inside the group the new seat is named
			why, held = seat.HeldInGroup, c.in.name
		}
	}
	if why != "" || o.limits.MaxSeats == nil {
		return why, held
	}
	after := o.seats(person) + 1
	if swap != "" {
		after--
	}
	if after > *o.limits.MaxSeats {
		return seat.LimitSeats, ""
	}
	return "", ""
}

func (o *oracle) why(code seat.Code, held string) seat.Refusal {
	if code == seat.LimitSeats {
		return seat.Refusal{Code: code, Limit: *o.limits.MaxSeats}
	}
	return seat.Refusal{Code: code, Pool: held}
}

func (o *oracle) eligible(c *oracleClaim) bool {
	code, _ := o.bars(c.in, c.person, c.Swap)
	return code == ""
}

func (o *oracle) firstEligible(p *oraclePool) *oracleClaim {
	for _, c := range o.line(p) {
		if o.eligible(c) {
			return c
		}
	}
	return nil
}

func (p *oraclePool) until() seat.Time {
	if p.PromoteUntil == 0 {
		return p.ClosesAt
	}
	return p.PromoteUntil
}

func (o *oracle) promotes(p *oraclePool) bool { return p.until() == 0 || o.now < p.until() }

// ready: a seat is free, and the first eligible may have it now.
func (o *oracle) ready(p *oraclePool) *oracleClaim {
	if o.free(p) == 0 || !o.promotes(p) {
		return nil
	}
	return o.firstEligible(p)
}

func (o *oracle) standing(p *oraclePool, person string) seat.Standing {
	c := o.find(p, person)
	if c == nil {
		return seat.Standing{Pool: p.name}
	}
	st := c.Standing
	if st.Status == seat.Waiting {
		for i, other := range o.line(p) {
			if other == c {
				st.Position = uint32(i) + 1
			}
		}
		st.Blocked, _ = o.bars(p, person, st.Swap)
	}
	return st
}

func (o *oracle) record(e seat.Event) {
	o.seq++
	o.events = append(o.events, e)
}

// become writes the event and the claim's new standing.
func (o *oracle) become(p *oraclePool, person string, e seat.Event, st seat.Standing) {
	c := o.find(p, person)
	if c == nil {
		c = &oracleClaim{in: p, person: person}
		o.claims = append(o.claims, c)
	}
	e.Pool, e.Person, e.Was = p.name, person, c.Status
	o.record(e)
	st.Pool, st.Seq, st.At = p.name, o.seq, o.now
	c.Standing = st
}

// takeSeat seats the person and gives up, in the same event, what the swap names.
func (o *oracle) takeSeat(p *oraclePool, person string, e seat.Event) {
	e.Kind = seat.SeatTaken
	o.become(p, person, e, seat.Standing{Status: seat.Seated, Seat: e.Seat})
	if e.Swap != "" {
		old := o.find(o.pool(e.Swap), person)
		old.Standing = seat.Standing{Pool: e.Swap, Status: seat.Released, Seq: o.seq, At: o.now}
	}
}

// freeSeat releases a live claim; a swap that would have given it up becomes a plain one.
func (o *oracle) freeSeat(c *oracleClaim, e seat.Event) {
	e.Kind, e.Swap = seat.SeatFreed, ""
	if c.Status == seat.Seated {
		for _, other := range o.claims {
			if other.person == c.person && other.Status.Live() && other.Swap == c.in.name {
				other.Swap, e.Swap = "", other.in.name
			}
		}
	}
	o.become(c.in, c.person, e, seat.Standing{Status: seat.Released})
}

func (o *oracle) promote(c *oracleClaim) {
	e := seat.Event{Cause: seat.ByPromotion, Seat: o.lowestSeat(c.in), Swap: c.Swap}
	if c.in.Promotion == seat.Auto {
		o.takeSeat(c.in, c.person, e)
		return
	}
	e.Kind, e.Deadline = seat.SeatOffered, o.now.Add(c.in.AnswerWithin)
	if until := c.in.until(); until != 0 && until < e.Deadline {
		e.Deadline = until
	}
	o.become(c.in, c.person, e, seat.Standing{Status: seat.Offered, Seat: e.Seat, Deadline: e.Deadline, Swap: e.Swap})
}

// settle promotes one after the other, in the lowest pool first, until nobody can be or the turn is full.
func (o *oracle) settle() {
	for len(o.events) < seat.MaxEvents {
		var next *oracleClaim
		for _, p := range o.pools {
			if next = o.ready(p); next != nil {
				break
			}
		}
		if next == nil {
			return
		}
		o.promote(next)
	}
}

// nextDeadline is the offer that ends first, by (deadline, offer).
func (o *oracle) nextDeadline() (next *oracleClaim) {
	for _, c := range o.claims {
		if c.Status != seat.Offered {
			continue
		}
		if next == nil || c.Deadline < next.Deadline || c.Deadline == next.Deadline && c.Seq < next.Seq {
			next = c
		}
	}
	return next
}

func (o *oracle) due() {
	o.settle()
	for {
		c := o.nextDeadline()
		if p := o.nextDraw(); p != nil && p.OpensAt <= o.now && (c == nil || p.OpensAt < c.Deadline) {
			o.draw(p)
			continue
		}
		if c == nil || c.Deadline > o.now {
			return
		}
		o.freeSeat(c, seat.Event{Cause: seat.ByExpiry})
		o.settle()
	}
}

// start gives everybody with an offer at least until then, but never beyond promote_until.
func (o *oracle) start(until seat.Time) {
	o.seq++
	for _, c := range o.claims {
		if c.Status != seat.Offered {
			continue
		}
		c.Deadline = max(c.Deadline, until)
		if last := c.in.until(); last != 0 {
			c.Deadline = min(c.Deadline, last)
		}
	}
}

func (o *oracle) step(body holdfast.Body) (res holdfast.Result) {
	switch c := body.(type) {
	case holdfast.PutRealm:
		if same := o.made && reflect.DeepEqual(o.limits, c.Limits); !same {
			o.seq++
			o.limits, o.made = c.Limits, true
			o.due() // who may sit now is promoted by the same command
		}
	case seat.PutPool:
		res.Result = o.putPool(c)
		o.settle()
	case seat.Basket:
		res.Result, res.Items = o.basket(c)
	case seat.Claim:
		res.Result = o.one(c.Pool, c.Person, func(p *oraclePool) seat.Refusal { return o.claim(p, c.Person, c.If) })
	case seat.Release:
		res.Result = o.one(c.Pool, c.Person, func(p *oraclePool) seat.Refusal { return o.release(p, c.Person, c.If) })
	case seat.Accept:
		res.Result = o.one(c.Pool, c.Person, func(p *oraclePool) seat.Refusal { return o.accept(p, c.Person, c.Offer) })
	case seat.Override:
		res.Result = o.one(c.Pool, c.Person, func(p *oraclePool) seat.Refusal { return o.override(p, c) })
	case seat.Look:
		res.Result = o.one(c.Pool, c.Person, func(*oraclePool) seat.Refusal { return seat.Refusal{} })
	}
	return res
}

// one decides, promotes what became possible, and shows the standing after all that.
func (o *oracle) one(pool, person string, decide func(*oraclePool) seat.Refusal) seat.Result {
	p := o.pool(pool)
	if p == nil {
		return seat.Result{Standing: seat.Standing{Pool: pool}, Refusal: seat.Refusal{Code: seat.UnknownPool, Pool: pool}}
	}
	before := len(o.events)
	refusal := decide(p)
	if len(o.events) > before {
		o.settle()
	}
	return seat.Result{Standing: o.standing(p, person), Refusal: refusal}
}

// clock: is the pool open for claims now?
func (o *oracle) clock(p *oraclePool) seat.Refusal {
	switch {
	case p.ClosesAt != 0 && o.now >= p.ClosesAt:
		return seat.Refusal{Code: seat.Closed, Time: p.ClosesAt}
	case p.OpensAt != 0 && o.now < p.OpensAt || o.undrawn(p): // a lottery without its seed stays shut
		return seat.Refusal{Code: seat.NotOpen, Time: p.OpensAt}
	}
	return seat.Refusal{}
}

// room: may somebody without a live claim sit at once?
func (o *oracle) room(p *oraclePool) bool { return o.free(p) > 0 && o.firstEligible(p) == nil }

// newcomer: may somebody without a live claim sit or, where mayWait, wait?
func (o *oracle) newcomer(p *oraclePool, person, swap string, mayWait bool) seat.Refusal {
	if o.undrawn(p) && o.now < p.OpensAt {
		return o.mayEnter(p, person, swap)
	}
	if r := o.clock(p); r.Code != "" {
		return r
	}
	if code, held := o.bars(p, person, swap); code != "" {
		return o.why(code, held)
	}
	if o.room(p) {
		return seat.Refusal{}
	}
	if !mayWait || p.Waitlist != nil && o.count(p, seat.Waiting) >= *p.Waitlist {
		return seat.Refusal{Code: seat.Full}
	}
	if o.waits(person) >= o.limits.MaxWaits {
		return seat.Refusal{Code: seat.LimitSeats, Limit: o.limits.MaxWaits}
	}
	return seat.Refusal{}
}

func (o *oracle) stale(p *oraclePool, person string, pre seat.Precondition) seat.Refusal {
	if at := o.standing(p, person).Seq; pre.Check && pre.Seq != at {
		return seat.Refusal{Code: seat.Mismatch, Seq: at}
	}
	return seat.Refusal{}
}

// place seats or queues, after all checks.
func (o *oracle) place(p *oraclePool, person, swap string) {
	if o.undrawn(p) {
		o.become(p, person, seat.Event{Kind: seat.LotteryEntered, Cause: seat.ByClaim}, seat.Standing{Status: seat.Entered})
		return
	}
	if o.room(p) {
		o.takeSeat(p, person, seat.Event{Cause: seat.ByClaim, Seat: o.lowestSeat(p), Swap: swap})
		return
	}
	p.lastTicket++
	o.wait(p, person, p.lastTicket, swap)
}

func (o *oracle) wait(p *oraclePool, person string, ticket uint32, swap string) {
	o.become(p, person, seat.Event{Kind: seat.LineJoined, Cause: seat.ByClaim, Ticket: ticket, Swap: swap},
		seat.Standing{Status: seat.Waiting, Ticket: ticket, Swap: swap})
}

func (o *oracle) claim(p *oraclePool, person string, pre seat.Precondition) seat.Refusal {
	if o.standing(p, person).Status.Live() {
		return seat.Refusal{}
	}
	if r := o.newcomer(p, person, "", true); r.Code != "" {
		return r
	}
	if r := o.stale(p, person, pre); r.Code != "" {
		return r
	}
	o.place(p, person, "")
	return seat.Refusal{}
}

func (o *oracle) release(p *oraclePool, person string, pre seat.Precondition) seat.Refusal {
	if !o.standing(p, person).Status.Live() {
		return seat.Refusal{}
	}
	if r := o.stale(p, person, pre); r.Code != "" {
		return r
	}
	o.freeSeat(o.find(p, person), seat.Event{Cause: seat.ByRelease})
	return seat.Refusal{}
}

func (o *oracle) accept(p *oraclePool, person string, offer uint64) seat.Refusal {
	st := o.standing(p, person)
	switch {
	case st.Status == seat.Seated:
	case st.Status == seat.Offered && st.Seq == offer:
		o.takeSeat(p, person, seat.Event{Cause: seat.ByAccept, Seat: st.Seat, Swap: st.Swap})
	default:
		return seat.Refusal{Code: seat.NoOffer}
	}
	return seat.Refusal{}
}

func (o *oracle) override(p *oraclePool, c seat.Override) seat.Refusal {
	st := o.standing(p, c.Person)
	e := seat.Event{Cause: seat.ByStaff, Staff: seat.Staff{By: c.By, Reason: c.Reason}}
	if c.Action == seat.RemovePerson {
		if st.Status.Live() {
			o.freeSeat(o.find(p, c.Person), e)
		}
		return seat.Refusal{}
	}
	switch st.Status {
	case seat.Seated:
		return seat.Refusal{}
	case seat.Offered:
		e.Seat = st.Seat
	default:
		if code, held := o.bars(p, c.Person, st.Swap); code == seat.HeldInGroup {
			return o.why(code, held)
		}
		e.Seat = o.lowestSeat(p)
	}
	e.Swap = st.Swap
	o.takeSeat(p, c.Person, e)
	return seat.Refusal{}
}
