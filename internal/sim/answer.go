package sim

import (
	"fmt"
	"time"

	"holdfast"
	"holdfast/seat"
)

// Answer is what one client was told about one person in one pool.
type Answer struct {
	Realm  string `json:"realm"`
	Pool   string `json:"pool"`
	Person string `json:"person"`

	Status     string    `json:"status"`         // seated, waiting, offered, entered, released, none; refused, busy, unknown
	Code       string    `json:"code,omitempty"` // refused: why
	Seat       uint32    `json:"seat,omitempty"`
	Position   uint32    `json:"position,omitempty"`
	Durability string    `json:"durability,omitempty"` // preapproved, confirmed, recorded; empty for busy and unknown
	Seq        uint64    `json:"seq,omitempty"`        // of the standing; 0 = not told
	AsOf       uint64    `json:"as_of,omitempty"`
	At         seat.Time `json:"at,omitempty"`
	Special    bool      `json:"special,omitempty"` // asked by a swap, a basket of mode all or staff: none of them enters a draw

	SentAt     time.Time `json:"sent_at"`
	ReceivedAt time.Time `json:"received_at"`
}

// Answer compares an answer with the log. Call it when the checker has taken exactly the events up to a.AsOf; an answer
// whose AsOf lies beyond the log's end is given at the end.
//
// J1: a confirmed answer must be true at its place in the log. A preapproved one may have been erased by a crash: that
// is, a later start of the server stands before its place. It is counted, and is no violation.
func (c *Checker) Answer(a *Answer) {
	c.report.Answers++
	if a.Durability == "" {
		return // busy and unknown promise nothing
	}
	confirmed := a.Durability != "preapproved"
	if !confirmed && c.erased(a) {
		c.report.Erased++
		return
	}
	c.report.Compared++
	if a.AsOf != c.state.Seq() && !c.broken {
		c.look("J1", a.AsOf, false, "%s in pool %s heard %s as of event %d; the log has only %d", a.Person, a.Pool, a.Status, a.AsOf, c.state.Seq())
		return
	}
	problem := c.compare(a)
	c.look("J1", a.AsOf, problem == "", "%s in pool %s heard %s (%s): %s", a.Person, a.Pool, a.Status, a.Durability, problem)
}

// Late takes the answer to a command that arrived once more, late, after its person had acted again, and with the
// precondition that it was sent with at first. S9: it undoes nothing, so it is refused. Busy and unknown promise nothing.
func (c *Checker) Late(a *Answer) {
	if a.Durability == "" {
		return
	}
	c.look("S9", a.AsOf, a.Status == "refused", "%s asked for pool %s once more, late, and heard %s", a.Person, a.Pool, a.Status)
}

// erased: the server started again after this answer was given and before its place in the log that there is now.
func (c *Checker) erased(a *Answer) bool {
	if a.AsOf > c.state.Seq() {
		return true
	}
	given := a.At
	if !a.ReceivedAt.IsZero() {
		given = seat.TimeOf(a.ReceivedAt)
	}
	return c.started > given
}

// compare says what is not true about an answer at the present prefix; empty when all is.
func (c *Checker) compare(a *Answer) string {
	r := c.state.Realm(a.Realm)
	if r == nil {
		return tell(a.Status == "refused" && a.Code == string(holdfast.UnknownRealm), "the realm does not exist")
	}
	st, ok := r.Seats.Standing(a.Pool, a.Person)
	if !ok {
		return tell(a.Status == "refused" && a.Code == string(seat.UnknownPool), "the pool does not exist")
	}
	if a.Status == "refused" {
		return c.compareRefusal(a, st)
	}
	switch {
	case st.Status.String() != a.Status:
		return fmt.Sprintf("the log says %s", st.Status)
	case st.Seat != a.Seat:
		return fmt.Sprintf("seat %d was told, the log says %d", a.Seat, st.Seat)
	case st.Position != a.Position:
		return fmt.Sprintf("position %d was told, the log says %d", a.Position, st.Position)
	case a.Seq != 0 && st.Seq != a.Seq:
		return fmt.Sprintf("event %d was told, the log says %d", a.Seq, st.Seq)
	}
	if p := c.realms[a.Realm].pools[a.Pool]; st.Status == seat.Waiting && c.report.Compared%sampled == 0 {
		if n := p.position(p.claims[a.Person]); n != int(a.Position) {
			return fmt.Sprintf("position %d was told, counting the line gives %d", a.Position, n)
		}
	}
	return ""
}

// sampled: of so many positions one is also counted from the front of the line, which is slow.
const sampled = 64

func (p *pool) position(who *claim) int {
	n := 1
	for _, c := range p.line[p.head:] {
		if c == who {
			return n
		}
		if c != nil {
			n++
		}
	}
	return 0
}

func tell(ok bool, problem string) string {
	if ok {
		return ""
	}
	return problem
}

// compareRefusal: a refusal must have been true at its instant, and it gives no place.
func (c *Checker) compareRefusal(a *Answer, st seat.Standing) string {
	r := c.realms[a.Realm]
	p := r.pools[a.Pool]
	if p.undrawn() && !a.Special && a.At != 0 && a.At < p.config.OpensAt {
		return c.compareEntry(a, r)
	}
	switch seat.Code(a.Code) {
	case seat.Full:
		if st.Status.Live() {
			return fmt.Sprintf("refused full, but is %s", st.Status)
		}
		return tell(p.free() == 0 || r.firstEligible(p) != nil, "a seat was free and nobody eligible waited")
	case seat.NotOpen:
		return tell(p.config.OpensAt != 0 && a.At < p.config.OpensAt || p.undrawn(), "the pool was open")
	case seat.Closed:
		return tell(p.config.ClosesAt != 0 && a.At >= p.config.ClosesAt, "the pool was not closed")
	case seat.HeldInGroup:
		return tell(p.config.Group != "" && r.bars(p, a.Person, "") != "", "no seat of the group was held")
	case seat.LimitSeats:
		return tell(r.waits(a.Person) >= int(r.limits.MaxWaits) || r.bars(p, a.Person, "") != "", "the limit was not reached")
	}
	return "" // preconditions, offers and swaps name facts of the caller's, not of the log
}

// compareEntry: whoever claims early in a lottery is entered, unless the person waits or is entered too often already.
func (c *Checker) compareEntry(a *Answer, r *realm) string {
	switch seat.Code(a.Code) {
	case seat.NotOpen, seat.Closed, seat.Full, seat.HeldInGroup:
		return "the draw took entries"
	case seat.LimitSeats:
		return tell(r.waits(a.Person) >= int(r.limits.MaxWaits), "the limit of waits was not reached")
	}
	return ""
}
