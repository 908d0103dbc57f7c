package rush

import (
	"fmt"
	"math"
	"sort"

	"holdfast"
	"holdfast/internal/sim"
	"holdfast/seat"
)

// source gives the events of a log, in order, as often as it is called.
type source func(each func(*holdfast.Event) error) error

// verdict is the outcome of all comparisons.
type verdict struct {
	events     int
	compared   int               // answers compared with the log
	erased     int               // preapproved answers that a crash erased, as it may
	rows       int               // database rows compared with the log; -1 = there was no database to look at
	checks     map[string]uint64 // how often each invariant was looked at
	violations []sim.Violation
	unlisted   int // violations beside those
	moves      []promotion
	filling    []filling
	gaps       map[uint8]map[int32]bool // by act: the students who missed something that a push should have told
}

// filling is the state of all seats of act 2 after an event.
type filling struct {
	at     seat.Time
	seated int
	inLine int
}

// ledger is the fold of the log, made once more in the simplest way there is, so that neither the rules nor the mirror
// check themselves.
type ledger struct {
	realm   string
	courses map[string]int32
	people  map[string]int32
	claims  map[claimKey]entry
	seated  int // act 2
	inLine  int
	filling []filling
	moves   []promotion
	freed   map[string]claimKey // by pool: who gave up a seat there last
}

type entry struct {
	status seat.Status
	seat   uint32
	ticket uint32
	seq    uint64
}

func newLedger(c *crowd) *ledger {
	l := &ledger{
		realm: c.realm, courses: map[string]int32{}, people: map[string]int32{}, freed: map[string]claimKey{},
		claims: make(map[claimKey]entry, c.plan.claims()+len(c.plan.opening)),
	}
	for _, course := range c.plan.courses {
		intern(l.courses, course.name)
	}
	for _, person := range c.plan.people {
		intern(l.people, person)
	}
	return l
}

// intern gives the index of a name, a new one for a new name.
func intern(index map[string]int32, name string) int32 {
	i, ok := index[name]
	if !ok {
		i = int32(len(index))
		index[name] = i
	}
	return i
}

func (l *ledger) key(pool, person string) claimKey {
	return claimKey{intern(l.courses, pool), intern(l.people, person)}
}

// apply takes one event.
func (l *ledger) apply(e *holdfast.Event) {
	if e.Realm != l.realm {
		return
	}
	next := entry{seat: e.Seat.Seat, ticket: e.Seat.Ticket, seq: e.Seq}
	switch e.Kind() {
	case seat.SeatTaken:
		next.status = seat.Seated
		if e.Seat.Cause == seat.ByPromotion {
			l.moves = append(l.moves, promotion{l.key(e.Seat.Pool, e.Seat.Person), l.freed[e.Seat.Pool], e.Seq})
		}
	case seat.LineJoined:
		next.status = seat.Waiting
	case seat.SeatOffered:
		next.status = seat.Offered
	case seat.SeatFreed:
		next.status = seat.Released
		l.freed[e.Seat.Pool] = l.key(e.Seat.Pool, e.Seat.Person)
	default:
		return
	}
	if next.status == seat.Seated && e.Seat.Swap != "" {
		l.put(l.key(e.Seat.Swap, e.Seat.Person), entry{status: seat.Released, seq: e.Seq}, e.At)
	}
	l.put(l.key(e.Seat.Pool, e.Seat.Person), next, e.At)
}

func (l *ledger) put(key claimKey, next entry, at seat.Time) {
	had := l.claims[key]
	l.claims[key] = next
	if key.course == 0 || had.status == next.status {
		return
	}
	step := func(s seat.Status, by int) {
		switch s {
		case seat.Seated:
			l.seated += by
		case seat.Waiting:
			l.inLine += by
		}
	}
	step(had.status, -1)
	step(next.status, 1)
	l.filling = append(l.filling, filling{at, l.seated, l.inLine})
}

// places maps the numbers of a log to 1, 2, 3 …, and back. A realm's feed leaves out what happened in other realms; the
// checkers fold a log without gaps. For a log that has none, nothing changes.
type places []uint64

// at gives the place at which the log stood at as_of: that of the last event up to it.
func (p places) at(asOf uint64) uint64 {
	return uint64(sort.Search(len(p), func(i int) bool { return p[i] > asOf }))
}

// of gives the place of one event; an event that is not there has a place that no event has.
func (p places) of(seq uint64) uint64 {
	if at := p.at(seq); seq == 0 || at > 0 && p[at-1] == seq {
		return at
	}
	return math.MaxUint64
}

// seq is the number of the event at a place.
func (p places) seq(at uint64) uint64 {
	if at == 0 || at > uint64(len(p)) {
		return at
	}
	return p[at-1]
}

// verifier is one comparison of answers with a log.
type verifier struct {
	verdict
	answers []answer // by as_of; those before next are compared
	next    int
	places  places
	starts  []uint64 // where each run of the child began; nil: it is not ours, so nobody knows its runs
	orderly []bool   // how each run of the child ended: true = it was stopped in good order
	check   *sim.Checker
	views   *views // nil: nobody was on a connection of their own
}

// verify compares every answer with the log, by the named invariants. The answers are sorted by as_of.
//
// How far an answer binds: a confirmed one always. A preapproved one as soon as its place in the log survived, which is
// so unless the server died before that place was durable: then it is counted as erased. What survived of a run of the
// server is what stands before the next run's Started. A run that was stopped in good order erases nothing.
//
// orderly says how each run of the child ended; nil: the server is not ours.
func verify(c *crowd, orderly []bool, answers []answer, log source) (*verdict, *ledger, error) {
	v := &verifier{verdict: verdict{rows: -1}, answers: answers, orderly: orderly, check: sim.NewChecker(holdfast.NewState()), views: newViews(c, answers)}
	err := log(func(e *holdfast.Event) error {
		if orderly != nil && e.Kind() == holdfast.Started {
			v.starts = append(v.starts, e.Seq)
		}
		v.places = append(v.places, e.Seq)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the log: %w", err)
	}
	l := newLedger(c)
	err = log(func(e *holdfast.Event) error {
		v.tell(e.Seq)
		l.apply(e)
		renumbered := *e
		renumbered.Seq = v.places.of(e.Seq)
		v.check.Event(&renumbered)
		v.events++
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the log: %w", err)
	}
	v.tell(math.MaxUint64)
	report := v.check.Finish()
	v.compared += report.Compared
	v.checks = report.Checks
	v.erased += report.Erased
	for _, found := range report.Violations {
		found.Seq = v.places.seq(found.Seq)
		v.violations = append(v.violations, found)
	}
	v.unlisted += report.Found - len(report.Violations)
	if v.views != nil {
		v.checks["P1"], v.checks["P2"], v.gaps = v.views.looked, v.views.told, v.views.gaps
	}
	v.moves, v.filling = l.moves, l.filling
	v.compareAnswers(answers)
	return &v.verdict, l, nil
}

// tell hands the checker the answers whose place is before seq.
func (v *verifier) tell(seq uint64) {
	for ; v.next < len(v.answers) && v.answers[v.next].AsOf < seq; v.next++ {
		a := &v.answers[v.next]
		v.tellViews(a.AsOf)
		binding := a.Answer
		if end := v.survived(a.run); a.AsOf > end {
			if !stands(a.Durability) && !v.orderly[a.run] {
				v.erased++
				continue
			}
			v.compared++
			v.violate("J1", a.AsOf, "%s was told %s of %s, %s as of %d, but the server came back with a log that ended at %d",
				a.Person, a.kindOf(), a.Pool, a.Durability, a.AsOf, end)
			continue
		}
		if v.starts != nil && a.Durability != "" {
			binding.Durability = "confirmed"
		}
		binding.AsOf = v.places.at(a.AsOf)
		if v.starts != nil && a.AsOf > v.places[len(v.places)-1] {
			binding.AsOf = math.MaxUint64 // beyond the end of the log
		}
		binding.Seq = v.places.of(a.Seq)
		v.check.Answer(&binding)
		v.views.note(a)
		if a.errand == errandLate && stands(a.Durability) {
			v.check.Late(&binding)
		}
	}
	v.tellViews(seq)
}

// survived gives the end of what a run of the server left behind.
func (v *verifier) survived(run uint16) uint64 {
	if int(run)+1 < len(v.starts) {
		return v.starts[run+1] - 1
	}
	return math.MaxUint64
}

// keptViolations bounds what is kept in full: where one thing is wrong, a hundred thousand may be.
const keptViolations = 1_000

func (v *verdict) violate(name string, seq uint64, format string, args ...any) {
	if len(v.violations) == keptViolations {
		v.unlisted++
	} else {
		v.violations = append(v.violations, sim.Violation{Name: name, Seq: seq, Text: fmt.Sprintf(format, args...)})
	}
}

// compareAnswers compares what one student was told at different times, without the log: who pressed again must have seen
// the same seat, or a place at least as good; and nothing that was confirmed may be gone, unless the student gave it up.
func (v *verdict) compareAnswers(answers []answer) {
	latest := map[claimKey]*answer{}
	holds := map[[2]uint64]*answer{} // course and seat: who was told to sit there
	gaveUp := map[claimKey]bool{}    // somewhere a release was answered: a push may tell of it, and of who moved up, earlier
	for i := range answers {
		if a := &answers[i]; a.errand == errandRelease {
			gaveUp[claimKey{a.course, a.person}] = true
		}
	}
	for i := range answers {
		a := &answers[i]
		if !a.standing() {
			continue
		}
		key := claimKey{a.course, a.person}
		if had := latest[key]; had != nil {
			if worse := gotWorse(had, a); worse != "" && !(a.Status == "released" && gaveUp[key]) {
				v.violate("J1", a.AsOf, "%s pressed again for %s and was told %s (as of %d after %d)", a.Person, a.Pool, worse, a.AsOf, had.AsOf)
			}
		}
		latest[key] = a
		place := [2]uint64{uint64(a.course), uint64(a.Seat)}
		switch a.Status {
		case "seated":
			if who := holds[place]; who != nil && who.person != a.person && latest[claimKey{a.course, who.person}].Status == "seated" {
				if !releasedLater(answers[i:], who) && !(a.errand.push() && gaveUp[claimKey{who.course, who.person}]) {
					v.violate("S1", a.AsOf, "seat %d of %s was told to %s (as of %d) and to %s (as of %d)",
						a.Seat, a.Pool, who.Person, who.AsOf, a.Person, a.AsOf)
				}
			}
			holds[place] = a
		case "released":
			if who := holds[place]; who != nil && who.person == a.person {
				delete(holds, place)
			}
		}
	}
}

// releasedLater looks for a release of who's seat whose answer has the same place in the log as the promotion into it:
// both are one command, so both answers may carry the same as_of, in any order.
func releasedLater(rest []answer, who *answer) bool {
	for i := range rest {
		if rest[i].AsOf > rest[0].AsOf {
			return false
		}
		if rest[i].person == who.person && rest[i].course == who.course && rest[i].Status == "released" {
			return true
		}
	}
	return false
}

// gotWorse says in words what a student lost between two confirmed standings; empty = nothing.
func gotWorse(had, now *answer) string {
	switch {
	case had.Status == "seated" && now.Status == "seated" && had.Seat != now.Seat:
		return fmt.Sprintf("seat %d instead of seat %d", now.Seat, had.Seat)
	case had.Status == "waiting" && now.Status == "waiting" && now.Position > had.Position:
		return fmt.Sprintf("number %d in line instead of number %d", now.Position, had.Position)
	case had.Status == "seated" && (now.Status == "waiting" || now.Status == "none"):
		return fmt.Sprintf("%s instead of seat %d", now.Status, had.Seat)
	case had.Status == "waiting" && now.Status == "none":
		return fmt.Sprintf("none instead of number %d in line", had.Position)
	case had.Status == "released" && now.Status != "released":
		return now.Status + " after the release" // nobody claims again in a rush
	case now.Status == "released" && had.Status != "released" && now.errand != errandRelease:
		return "released without having asked for it"
	}
	return ""
}
