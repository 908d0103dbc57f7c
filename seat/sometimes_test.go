package seat_test

import (
	"fmt"
	"sort"
	"strings"

	"holdfast"
	"holdfast/seat"
)

// sometimes is what must have happened at least once in a run of TestOracle: a case that is never reached is not tested.
var sometimes = []string{
	"event seated by claim", "event seated by promotion", "event seated by accept", "event seated by staff",
	"event waiting by claim", "event seat_offered by promotion", "event released by release",
	"event released by expiry", "event released by staff", "event pool_put by cause(0)",

	"refused not_open", "refused closed", "refused full", "refused limit", "refused group", "refused precondition",
	"refused no_offer", "refused no_seat", "refused swap_pending", "refused conflict", "refused unknown_pool", "refused not_all",

	"swap at once", "swap inside a group at once", "swap waits", "swap promoted", "swap inside a group promoted",
	"swap offered", "swap inside a group offered", "swap accepted", "swap by staff", "wait became a swap",
	"waiting swap lost its old seat", "offered swap lost its old seat", "basket gave up a seat only",

	"basket all with two or more granted", "basket all refused", "basket each partly refused", "basket each_or_wait partly refused",
	"blocked by limit", "blocked by group", "promoted over somebody blocked", "promoted because eligible again",
	"newcomer seated past somebody blocked", "waiting though a seat is free", "several promoted by one command",
	"deadline capped by promote_until", "deadline extended by a start", "accepted in time",
	"capacity below what is held", "staff beyond capacity", "precondition held", "repeat shown in spite of its precondition",
	"event entered by claim", "event drawn by cause(0)", "event seated by draw", "event waiting by draw", "event released by draw",
	"an entry was withdrawn", "staff seated somebody entered", "drawn into the line though a seat is free", "swap into a lottery refused",
	"all or nothing refused before a draw", "entered by a basket", "entries at the limit of waits", "a lottery without its seed is shut",
	"a lottery kept its seed", "the order cannot change", "entered again", "restored with somebody entered", "a claim behind a draw",

	"restored", "restored with a swap that is waiting", "restored with a swap that is offered",
}

// counters says how often something happened.
type counters map[string]int

func (c counters) count(what string) { c[what]++ }

func (c counters) String() string {
	var lines []string
	for what, n := range c {
		lines = append(lines, fmt.Sprintf("%9d  %s", n, what))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func (c counters) countIf(cond bool, what string) {
	if cond {
		c[what]++
	}
}

type standings map[[2]string]seat.Standing

func (m *machine) snapshotStandings() standings {
	all := standings{}
	for _, p := range m.oracle.pools {
		for _, person := range personNames {
			all[[2]string{p.name, person}] = m.oracle.standing(p, person)
		}
	}
	return all
}

// note counts what the command did. body is nil for due work.
func (m *machine) note(body holdfast.Body, res *holdfast.Result, before standings, events []seat.Event) {
	m.seen.countIf(res.Refused(), "refused "+string(res.Refusal.Code))
	for i := range events {
		m.noteEvent(&events[i], before, len(events))
		m.noteLottery(&events[i], body)
	}
	m.noteRefusal(&res.Result, body)
	for i := range res.Items {
		m.noteRefusal(&res.Items[i], body)
	}
	switch c := body.(type) {
	case seat.Basket:
		m.noteBasket(&c, res, events)
	case seat.Claim:
		m.seen.countIf(c.If.Check && c.If.Seq > 0 && len(events) > 0, "precondition held")
		m.seen.countIf(c.If.Check && c.If.Seq != res.Seq && len(events) == 0 && !res.Refused(), "repeat shown in spite of its precondition")
		m.noteClaim(&c, res)
	case seat.Accept:
		m.seen.countIf(len(events) > 0, "accepted in time")
	case holdfast.Start:
		for key, was := range before {
			is := m.oracle.standing(m.oracle.pool(key[0]), key[1])
			m.seen.countIf(is.Deadline > was.Deadline, "deadline extended by a start")
		}
	case seat.Override:
		view, _ := m.stepper.State.Realm(realm).Seats.Pool(c.Pool)
		m.seen.countIf(len(events) > 0 && c.Action == seat.SeatPerson && view.Over > 0, "staff beyond capacity")
	case seat.PutPool:
		m.notePut(&c, &res.Result)
		view, _ := m.stepper.State.Realm(realm).Seats.Pool(c.Pool)
		m.seen.countIf(view.Over > 0, "capacity below what is held")
	}
	for _, c := range m.oracle.claims {
		if st := m.oracle.standing(c.in, c.person); st.Blocked != "" {
			m.seen.count("blocked by " + string(st.Blocked))
		}
	}
}

func (m *machine) noteClaim(c *seat.Claim, res *holdfast.Result) {
	p := m.oracle.pool(c.Pool)
	newly := res.Seq == m.oracle.seq && !res.Refused()
	m.seen.countIf(newly && res.Status == seat.Seated && len(m.oracle.line(p)) > 0, "newcomer seated past somebody blocked")
	m.seen.countIf(newly && res.Status == seat.Waiting && m.oracle.free(p) > 0, "waiting though a seat is free")
}

func (m *machine) noteEvent(e *seat.Event, before standings, of int) {
	m.seen.count("event " + e.Kind.String() + " by " + e.Cause.String())
	sameGroup := e.Swap != "" && m.oracle.pool(e.Swap).Group != "" && m.oracle.pool(e.Swap).Group == m.oracle.pool(e.Pool).Group
	inside := ""
	if sameGroup {
		inside = " inside a group"
	}
	was := before[[2]string{e.Pool, e.Person}]
	switch {
	case e.Kind == seat.SeatTaken && e.Swap != "":
		m.seen.count(map[seat.Cause]string{
			seat.ByClaim: "swap" + inside + " at once", seat.ByPromotion: "swap" + inside + " promoted",
			seat.ByAccept: "swap accepted", seat.ByStaff: "swap by staff",
		}[e.Cause])
	case e.Kind == seat.SeatOffered && e.Swap != "":
		m.seen.count("swap" + inside + " offered")
	case e.Kind == seat.LineJoined && e.Swap != "":
		m.seen.count("swap waits")
		m.seen.countIf(e.Was == seat.Waiting, "wait became a swap")
	case e.Kind == seat.SeatFreed && e.Swap != "":
		m.seen.count(before[[2]string{e.Swap, e.Person}].Status.String() + " swap lost its old seat")
	}
	if e.Cause == seat.ByPromotion {
		m.seen.countIf(was.Position > 1 && of == 2, "promoted over somebody blocked")
		m.seen.countIf(was.Blocked != "", "promoted because eligible again")
		m.seen.countIf(of > 2, "several promoted by one command")
		m.seen.countIf(e.Deadline != 0 && e.Deadline == m.oracle.pool(e.Pool).until(), "deadline capped by promote_until")
	}
}

func (m *machine) noteBasket(c *seat.Basket, res *holdfast.Result, events []seat.Event) {
	mode := map[seat.Mode]string{seat.All: "all", seat.Each: "each", seat.EachOrWait: "each_or_wait"}[c.Mode]
	m.seen.countIf(res.Refused(), "basket "+mode+" refused")
	m.seen.countIf(!res.Refused() && len(events) >= 2 && len(c.Items) >= 2, "basket "+mode+" with two or more granted")
	refused := 0
	for _, it := range res.Items {
		if it.Refused() {
			refused++
			m.seen.count("refused " + string(it.Refusal.Code))
		}
	}
	m.seen.countIf(refused > 0 && refused < len(res.Items), "basket "+mode+" partly refused")
	m.seen.countIf(len(events) > 0 && events[0].Kind == seat.SeatFreed, "basket gave up a seat only")
}
