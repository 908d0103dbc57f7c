package story

import (
	"fmt"
	"time"

	"holdfast"
	"holdfast/seat"
)

// retell notes that the person's number in line has just been told, or that there is none.
func (t *Teller) retell(st *seat.Standing) {
	t.line = lineTale{}
	if st.Status == seat.Waiting {
		t.line.told = st.Position
	}
}

// moved tells how the number in line has changed since it was last told; empty: it has not.
func (t *Teller) moved(now *seat.Standing) string {
	told := t.line.told
	if told == 0 || now.Status != seat.Waiting || now.Position == told {
		return ""
	}
	got := "got a seat"
	if t.line.offers {
		got = "got a seat or the offer of one"
	}
	why := ""
	switch before := uint32(t.line.seated + t.line.left); {
	case t.line.left == 0:
		why = count(before, "person before ", "people before ") + got
	case t.line.seated == 0:
		why = count(before, "person before left the line", "people before left the line")
	default:
		why = fmt.Sprintf("of the people before, %d %s and %d left the line", t.line.seated, got, t.line.left)
	}
	return fmt.Sprintf("moved up from number %d to number %d, because %s", told, now.Position, why)
}

// tellStart: only a deadline that the start has moved belongs to the story.
func (t *Teller) tellStart(e *holdfast.Event, before, after *seat.Standing) {
	if before.Status == seat.Offered && before.Deadline != after.Deadline {
		t.say(e.Seq, e.At, "the server was started anew; the time to answer now ends "+clock(after.Deadline))
	}
}

// tellPool: how the pool was made, and what of it was changed.
func (t *Teller) tellPool(e *holdfast.Event, known bool) {
	c := e.Seat.Config
	text := fmt.Sprintf("%s was made with %s", t.pool, count(c.Capacity, "seat", "seats"))
	if known {
		text = fmt.Sprintf("%s was changed: %s", t.pool, count(c.Capacity, "seat", "seats"))
	}
	switch {
	case c.Waitlist == nil:
	case *c.Waitlist == 0:
		text += ", no waiting line"
	default:
		text += fmt.Sprintf(", a line of at most %d", *c.Waitlist)
	}
	switch {
	case c.Order == seat.Lottery:
		text += lotteryWords(c)
	case c.OpensAt != 0:
		text += ", open from " + clock(c.OpensAt)
	}
	if c.ClosesAt != 0 {
		text += ", closed from " + clock(c.ClosesAt)
	}
	if c.Promotion == seat.Offer {
		text += fmt.Sprintf(", a freed seat is offered for %s", c.AnswerWithin)
	}
	if c.Group != "" {
		text += ", one seat per person in group " + c.Group
	}
	t.say(e.Seq, e.At, text)
}

// tellOwn: an event of the person in the pool. full is how the pool stood before it.
func (t *Teller) tellOwn(e *holdfast.Event, before, after *seat.Standing, full string) {
	if !before.Status.Live() {
		t.line = lineTale{}
	}
	moved := t.moved(before)
	var text string
	switch s := &e.Seat; s.Kind {
	case seat.SeatTaken:
		text = t.seatedWords(e, before, full)
	case seat.SeatOffered:
		text = fmt.Sprintf("%s: seat %d is held, to be accepted before %s (within %s)", t.promotedWords(e, before), s.Seat,
			clock(s.Deadline), time.Duration(s.Deadline-e.At)*time.Microsecond)
	case seat.LineJoined:
		text = fmt.Sprintf("asked; %s: became number %d in line", full, after.Position)
		if s.Cause == seat.ByDraw {
			text = fmt.Sprintf("%s; %s: became number %d in line", t.drawWords(), full, after.Position)
		} else if before.Status == seat.Waiting {
			text = fmt.Sprintf("asked to give up %s for a seat here; stays number %d in line", s.Swap, after.Position)
		} else if s.Swap != "" {
			text += fmt.Sprintf(", and keeps the seat in %s until there is one", s.Swap)
		}
		if after.Blocked != "" {
			text += blockedWords(after.Blocked)
		}
	case seat.SeatFreed:
		text = releasedWords(s, before)
		if s.Cause == seat.ByDraw {
			text = fmt.Sprintf("%s; %s%s: no place in line was left", t.drawWords(), full, t.barredWords())
		}
	case seat.LotteryEntered:
		text = "asked before the opening: takes part in the draw"
	}
	t.say(e.Seq, e.At, join(moved, text))
	t.retell(after)
}

func (t *Teller) seatedWords(e *holdfast.Event, before *seat.Standing, full string) string {
	s := &e.Seat
	text := ""
	switch s.Cause {
	case seat.ByClaim:
		text = fmt.Sprintf("asked; %s: got seat %d", full, s.Seat)
		if before.Status == seat.Waiting {
			text = fmt.Sprintf("asked again: got seat %d", s.Seat)
		}
	case seat.ByDraw:
		text = fmt.Sprintf("%s; %s: got seat %d", t.drawWords(), full, s.Seat)
	case seat.ByPromotion:
		text = fmt.Sprintf("%s: got seat %d", t.promotedWords(e, before), s.Seat)
	case seat.ByAccept:
		text = fmt.Sprintf("accepted the offer: got seat %d", s.Seat)
	default:
		text = fmt.Sprintf("staff gave seat %d%s", s.Seat, staffWords(s))
	}
	if s.Swap != "" {
		text += fmt.Sprintf(", and gave up the seat in %s in the same instant", s.Swap)
	}
	return text
}

// promotedWords is why a seat came to the person.
func (t *Teller) promotedWords(e *holdfast.Event, before *seat.Standing) string {
	why := "a seat was free"
	if t.trigger.at == e.At && t.trigger.text != "" {
		why = t.trigger.text
	}
	switch n := before.Position; {
	case n <= 1:
		return why + "; was first in line"
	case n == 2:
		return why + "; was number 2 in line, and number 1 may not sit now (limit or group)"
	default:
		return fmt.Sprintf("%s; was number %d in line, and nobody before may sit now (limit or group)", why, n)
	}
}

func releasedWords(s *seat.Event, before *seat.Standing) string {
	what := map[seat.Status]string{
		seat.Seated:  fmt.Sprintf("seat %d", before.Seat),
		seat.Offered: fmt.Sprintf("the offer of seat %d", before.Seat),
		seat.Waiting: fmt.Sprintf("the place in line (number %d)", before.Position),
		seat.Entered: "the part in the draw",
	}[s.Was]
	text := "gave up " + what
	switch s.Cause {
	case seat.ByExpiry:
		text = fmt.Sprintf("did not answer in time: %s ended", what)
	case seat.ByStaff:
		text = "staff took away " + what + staffWords(s)
	}
	if s.Swap != "" {
		text += fmt.Sprintf("; the wait in %s, which would have swapped it, is a plain one now", s.Swap)
	}
	return text
}

func staffWords(s *seat.Event) string {
	text := fmt.Sprintf(", reason: %q", s.Reason)
	if s.By != "" {
		text += ", by " + s.By
	}
	return text
}

// tellElsewhere: an event of the person in another pool that changes something here.
func (t *Teller) tellElsewhere(e *holdfast.Event, before, after *seat.Standing) {
	text := ""
	switch s := &e.Seat; {
	case s.Kind == seat.SeatTaken && s.Swap == t.pool:
		text = fmt.Sprintf("gave up seat %d here for seat %d in %s, in the same instant", before.Seat, s.Seat, s.Pool)
	case s.Kind == seat.LineJoined && s.Swap == t.pool:
		text = fmt.Sprintf("asked to swap seat %d here for one in %s, and keeps it until there is one", before.Seat, s.Pool)
	case s.Kind == seat.SeatOffered && s.Swap == t.pool:
		text = fmt.Sprintf("is offered seat %d in %s for seat %d here", s.Seat, s.Pool, before.Seat)
	case s.Kind == seat.SeatFreed && s.Swap == t.pool:
		text = fmt.Sprintf("the seat in %s is gone; waits here without giving it up", s.Pool)
	case before.Blocked == "" && after.Blocked != "":
		text = fmt.Sprintf("got a seat in %s%s; keeps the place here, number %d in line", s.Pool, blockedWords(after.Blocked), after.Position)
	case before.Blocked != "" && after.Blocked == "" && after.Status == seat.Waiting:
		text = fmt.Sprintf("gave up %s, and may sit here again; number %d in line", s.Pool, after.Position)
	default:
		return
	}
	t.say(e.Seq, e.At, join(t.moved(after), text))
	t.retell(after)
}
