// Package story tells in words what happened to one person in one pool, from the events of the log.
//
// The log is authoritative, and the story adds nothing to it but what the state says at each event: how many seats were
// taken, what number in line somebody was, who gave up the seat. Refusals are in no log, so they are in no story.
package story

import (
	"fmt"
	"strings"

	"holdfast"
	"holdfast/seat"
)

// Line is one sentence of a story.
type Line struct {
	Seq  uint64 // the event it tells of
	At   seat.Time
	Text string
}

// String is the line as it is printed.
func (l Line) String() string {
	return fmt.Sprintf("%s — %s (event %d)", l.At.Std().Format("2006-01-02 15:04:05.000000"), l.Text, l.Seq)
}

// Teller follows a log and keeps the story of one person in one pool. One goroutine owns it.
type Teller struct {
	realm, pool, person string

	state   *holdfast.State
	lines   []Line
	trigger trigger
	line    lineTale
	draw    drawTale
}

// trigger is what last made a seat of the pool free, or the person able to sit.
type trigger struct {
	at   seat.Time
	text string
}

// lineTale is what happened in the line before the person since the story last said the person's number.
type lineTale struct {
	told   uint32 // the number last told; 0: the person does not wait
	seated int    // who stood before, and got a seat, or the offer of one
	left   int    // who stood before, and left
	offers bool   // some of the seated got an offer
}

// New begins a story at a state: an empty one, or that of a snapshot when the log before it is gone. The Teller owns the
// state from now on.
func New(state *holdfast.State, realm, pool, person string) *Teller {
	t := &Teller{realm: realm, pool: pool, person: person, state: state}
	if st, ok := t.standing(person); ok && st.Status != seat.None {
		t.say(st.Seq, st.At, "the log begins after this: "+standingWords(&st))
		t.retell(&st)
	}
	return t
}

// Event applies the next event of the log and tells of it if it belongs to the story.
func (t *Teller) Event(e *holdfast.Event) error {
	before, known := t.standing(t.person)
	full := t.fullness()
	t.watchLine(e, &before)
	if e.Realm == t.realm {
		t.watchSeats(e)
	}
	if err := t.state.Apply(e); err != nil {
		return err
	}
	after, _ := t.standing(t.person)
	switch {
	case e.Kind() == holdfast.Started:
		t.tellStart(e, &before, &after)
	case e.Realm != t.realm:
	case e.Kind() == seat.PoolPut && e.Seat.Pool == t.pool:
		t.tellPool(e, known)
	case e.Kind() == seat.Drawn && e.Seat.Pool == t.pool:
		t.watchDraw(e)
	case e.Seat.Person != t.person:
	case e.Seat.Pool == t.pool:
		t.tellOwn(e, &before, &after, full)
	default:
		t.tellElsewhere(e, &before, &after)
	}
	return nil
}

func (t *Teller) say(seq uint64, at seat.Time, text string) {
	t.lines = append(t.lines, Line{seq, at, text})
}

func (t *Teller) seats() *seat.State {
	realm := t.state.Realm(t.realm)
	if realm == nil {
		return nil
	}
	return realm.Seats
}

// standing is where a person stands in the pool; false: there is no such pool.
func (t *Teller) standing(person string) (seat.Standing, bool) {
	if s := t.seats(); s != nil {
		return s.Standing(t.pool, person)
	}
	return seat.Standing{}, false
}

// fullness is how the pool stands before an event, in words.
func (t *Teller) fullness() string {
	s := t.seats()
	if s == nil {
		return ""
	}
	p, ok := s.Pool(t.pool)
	if !ok {
		return ""
	}
	taken := p.Seated + p.Offered
	switch {
	case p.Free > 0 && p.Waiting > 0:
		return fmt.Sprintf("%s free, but %s waiting already", count(p.Free, "seat was", "seats were"), count(p.Waiting, "person was", "people were"))
	case p.Free > 0:
		return fmt.Sprintf("%d of %s taken", taken, count(p.Config.Capacity, "seat was", "seats were"))
	}
	text := fmt.Sprintf("all %d seats were taken", p.Config.Capacity)
	switch p.Config.Capacity {
	case 0:
		text = "there were no seats"
	case 1:
		text = "the only seat was taken"
	}
	if p.Waiting > 0 {
		text += " and " + count(p.Waiting, "person was", "people were") + " waiting"
	}
	return text
}

// watchLine counts who before the person leaves the line with this event.
func (t *Teller) watchLine(e *holdfast.Event, me *seat.Standing) {
	if t.line.told == 0 || me.Status != seat.Waiting || e.Realm != t.realm ||
		e.Seat.Pool != t.pool || e.Seat.Person == t.person || e.Seat.Was != seat.Waiting {
		return
	}
	if other, ok := t.standing(e.Seat.Person); !ok || other.Ticket > me.Ticket {
		return
	}
	switch e.Kind() {
	case seat.SeatTaken, seat.SeatOffered:
		t.line.seated++
		t.line.offers = t.line.offers || e.Kind() == seat.SeatOffered
	case seat.SeatFreed:
		t.line.left++
	}
}

// watchSeats keeps what could be the reason of a promotion.
func (t *Teller) watchSeats(e *holdfast.Event) {
	s := &e.Seat
	switch {
	case s.Kind == seat.PoolPut && s.Pool == t.pool:
		if p, ok := t.seats().Pool(t.pool); ok && s.Config.Capacity > p.Config.Capacity {
			t.trigger = trigger{e.At, fmt.Sprintf("the pool was raised from %d to %s", p.Config.Capacity, count(s.Config.Capacity, "seat", "seats"))}
		}
	case s.Kind == seat.SeatFreed && s.Pool == t.pool && (s.Was == seat.Seated || s.Was == seat.Offered):
		other, _ := t.standing(s.Person)
		t.trigger = trigger{e.At, freedWords(s, other.Seat)}
	case s.Kind == seat.SeatTaken && s.Swap == t.pool:
		other, _ := t.standing(s.Person)
		t.trigger = trigger{e.At, fmt.Sprintf("%s swapped seat %d for one in %s", s.Person, other.Seat, s.Pool)}
	case s.Kind == seat.SeatFreed && s.Person == t.person && s.Pool != t.pool:
		t.trigger = trigger{e.At, fmt.Sprintf("%s was given up", s.Pool)}
	case e.Kind() == holdfast.RealmPut:
		t.trigger = trigger{e.At, "the limits of the realm were changed"}
	}
}

func freedWords(s *seat.Event, number uint32) string {
	switch s.Cause {
	case seat.ByExpiry:
		return fmt.Sprintf("%s did not answer the offer of seat %d in time", s.Person, number)
	case seat.ByStaff:
		return fmt.Sprintf("staff took seat %d from %s", number, s.Person)
	}
	if s.Was == seat.Offered {
		return fmt.Sprintf("%s declined seat %d", s.Person, number)
	}
	return fmt.Sprintf("%s gave up seat %d", s.Person, number)
}

// Lines is the story so far.
func (t *Teller) Lines() []Line { return t.lines }

// End says where the person stands now, or why there is no story.
func (t *Teller) End() string {
	switch s := t.seats(); {
	case s == nil:
		return fmt.Sprintf("There is no realm %q in this log.", t.realm)
	default:
		if _, ok := s.Pool(t.pool); !ok {
			return fmt.Sprintf("There is no pool %q in realm %q.", t.pool, t.realm)
		}
	}
	st, _ := t.standing(t.person)
	if st.Status == seat.None {
		return fmt.Sprintf("%s never had a seat or a place in line in %s. A refusal (full, closed, not open, limit) leaves nothing in the log.",
			t.person, t.pool)
	}
	now := standingWords(&st)
	if st.Status == seat.Waiting {
		if why := t.moved(&st); why != "" {
			now += ", " + why
		}
		if st.Blocked != "" {
			now += blockedWords(st.Blocked)
		}
	}
	return "Now: " + now + "."
}

// standingWords is a standing in words.
func standingWords(st *seat.Standing) string {
	var text string
	switch st.Status {
	case seat.Seated:
		text = fmt.Sprintf("has seat %d", st.Seat)
	case seat.Waiting:
		text = fmt.Sprintf("waits as number %d in line", st.Position)
	case seat.Offered:
		text = fmt.Sprintf("seat %d is held until %s", st.Seat, clock(st.Deadline))
	case seat.Entered:
		text = "takes part in the draw"
	case seat.Released:
		text = "has neither a seat nor a place in line any more"
	default:
		text = "never had a claim"
	}
	if st.Swap != "" {
		text += fmt.Sprintf(", to give up %s for it", st.Swap)
	}
	return text
}

func blockedWords(code holdfast.Code) string {
	switch code {
	case seat.LimitSeats:
		return "; may not sit now: has as many seats as the realm allows a person"
	case seat.HeldInGroup:
		return "; may not sit now: has a seat in another pool of the same group"
	}
	return "; may not sit now: " + string(code)
}

func clock(at seat.Time) string { return at.Std().Format("2006-01-02 15:04:05") }

// count is a number with its noun.
func count(n uint32, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func join(parts ...string) string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "; ")
}
