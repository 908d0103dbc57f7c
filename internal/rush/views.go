package rush

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"holdfast"
	"holdfast/seat"
)

// views checks that no student missed anything (P1): a push of claims with as_of X says that everything of this student up
// to X has been told, so what the student knows then is what the log says at X. And at each standstill everybody knows all,
// their positions too. What a student is just asking is left out: it is asked until it is answered.
type views struct {
	crowd  *crowd
	marks  []checkpoint // by as_of; those before next are checked
	next   int
	latest map[claimKey]view
	looked uint64
	gaps   map[uint8]map[int32]bool // by act: the students who missed something
	asking map[claimKey][]span      // made when it is first needed
	all    []answer
	pools  []countsPush // by as_of; those before the first unchecked are dropped
	told   uint64       // of pools that were checked
}

// view is what a student knows of one claim.
type view struct {
	status   string
	seat     uint32
	position uint32
	seq      uint64
	asOf     uint64
}

// checkpoint is a moment at which a student must know everything up to as_of.
type checkpoint struct {
	asOf     uint64
	received time.Duration
	person   int32
	run      uint16
	act      uint8
	all      bool // the push was everything there is
	final    bool // a standstill: positions too
}

type span struct{ from, to time.Time }

// newViews gathers the marks; nil: nobody was on a connection of their own.
func newViews(c *crowd, answers []answer) *views {
	if len(c.shelves) == 0 {
		return nil
	}
	v := &views{crowd: c, latest: map[claimKey]view{}, gaps: map[uint8]map[int32]bool{}, all: answers, pools: c.counts.sorted()}
	last := uint16(0)
	c.records(func(r *record) {
		last = max(last, r.run)
		if r.errand.push() {
			v.marks = append(v.marks, checkpoint{asOf: r.asOf(), received: r.received, person: r.person, run: r.run, act: r.act,
				all: bytes.Contains(r.body, []byte(`"all":true`))})
		}
	})
	for _, s := range c.quiet {
		for person := range c.plan.people {
			v.marks = append(v.marks, checkpoint{asOf: s.asOf, received: 1<<63 - 1, person: int32(person), run: last, act: s.act, final: true})
		}
	}
	slices.SortStableFunc(v.marks, func(a, b checkpoint) int {
		return cmp.Or(cmp.Compare(a.asOf, b.asOf), cmp.Compare(a.received, b.received))
	})
	return v
}

// note takes what a student was told on the connection. (In the storm seats are given back on another one.)
func (v *views) note(a *answer) {
	if v == nil || a.errand == errandRelease && a.act == actStorm || !stands(a.Durability) || a.Status == "refused" {
		return
	}
	v.latest[claimKey{a.course, a.person}] = view{a.Status, a.Seat, a.Position, a.Seq, a.AsOf}
}

// due says whether a mark comes before an answer with this as_of.
func (v *views) due(asOf uint64) bool {
	return v != nil && v.next < len(v.marks) && v.marks[v.next].asOf < asOf
}

// check compares what a student knows with the log.
func (v *views) check(m *checkpoint, state *holdfast.State, log places, violate func(name string, seq uint64, format string, args ...any)) {
	r := state.Realm(v.crowd.realm)
	if r == nil {
		return
	}
	v.looked++
	plan := v.crowd.plan
	look := func(course int32) {
		key := claimKey{course, m.person}
		had := v.latest[key]
		if m.all && had.asOf < m.asOf {
			delete(v.latest, key)
			had = view{}
		}
		st, _ := r.Seats.Standing(plan.courses[course].name, plan.people[m.person])
		st.Seq = log.seq(st.Seq)
		missed := had.missed(&st, m.final)
		if missed == "" || !m.final && v.isAsking(key, v.crowd.began.Add(m.received)) {
			return
		}
		if v.gaps[m.act] == nil {
			v.gaps[m.act] = map[int32]bool{}
		}
		v.gaps[m.act][m.person] = true
		when := "by a push"
		if m.final {
			when = "when nothing more came"
		}
		violate("P1", m.asOf, "%s was told everything up to %d %s, and of %s %s", plan.people[m.person], m.asOf, when, plan.courses[course].name, missed)
	}
	look(0)
	for _, course := range plan.wishes[m.person] {
		look(course)
	}
}

// missed says what a student does not know; empty = nothing.
func (had *view) missed(st *seat.Standing, positions bool) string {
	status := had.status
	if status == "" {
		status = "none"
	}
	switch {
	case st.Status.String() != status:
		return fmt.Sprintf("knows %s; the log says %s by event %d", status, st.Status, st.Seq)
	case st.Status == seat.None:
		return ""
	case st.Seat != had.seat:
		return fmt.Sprintf("knows seat %d; the log says seat %d", had.seat, st.Seat)
	case had.seq != 0 && st.Seq != had.seq:
		return fmt.Sprintf("knows event %d; the log is at event %d", had.seq, st.Seq)
	case positions && st.Position != had.position:
		return fmt.Sprintf("knows position %d (as of %d); the log says %d", had.position, had.asOf, st.Position)
	}
	return ""
}

// isAsking says whether a student was waiting for an answer about a claim.
func (v *views) isAsking(key claimKey, at time.Time) bool {
	if v.asking == nil {
		v.asking = map[claimKey][]span{}
		for i := range v.all {
			if a := &v.all[i]; !a.errand.push() && stands(a.Durability) {
				k := claimKey{a.course, a.person}
				v.asking[k] = append(v.asking[k], span{a.SentAt, a.ReceivedAt})
			}
		}
	}
	for _, s := range v.asking[key] {
		if !at.Before(s.from) && !at.After(s.to) {
			return true
		}
	}
	return false
}

// tellViews checks the marks before seq. The checker has taken the events before it.
func (v *verifier) tellViews(seq uint64) {
	if v.views == nil {
		return
	}
	v.tellCounts(seq)
	for v.views.due(seq) {
		m := &v.views.marks[v.views.next]
		v.views.next++
		if m.asOf <= v.survived(m.run) { // else the answers in the push are violations already
			v.views.check(m, v.check.State(), v.places, v.violate)
		}
	}
}

// tellCounts checks what was told of pools before seq.
func (v *verifier) tellCounts(seq uint64) {
	for len(v.views.pools) > 0 && v.views.pools[0].asOf < seq {
		p := &v.views.pools[0]
		v.views.pools = v.views.pools[1:]
		r := v.check.State().Realm(v.views.crowd.realm)
		if r == nil || p.asOf > v.survived(p.run) {
			continue
		}
		v.views.told++
		if wrong := p.wrong(r); wrong != "" {
			v.violate("P2", p.asOf, "%s", wrong)
		}
	}
}

// promotion is one person who moved up.
type promotion struct {
	claim, freedBy claimKey
	seq            uint64
}

// toldOf is what pushes told of those who moved up after one act's releases.
type toldOf struct {
	moved int             // people who moved up
	told  []time.Duration // from the sending of the release to the push that told it; those who were told
}

// tellings finds for each promotion that a release of an act caused the push that told it.
func tellings(moves []promotion, answers []answer, act uint8) (t toldOf) {
	released := map[claimKey]time.Time{}
	told := map[uint64]time.Time{}
	for i := range answers {
		a := &answers[i]
		switch {
		case a.errand == errandRelease && a.act == act:
			key := claimKey{a.course, a.person}
			if at, ok := released[key]; !ok || a.SentAt.Before(at) {
				released[key] = a.SentAt
			}
		case a.errand.push() && a.Status == "seated":
			if at, ok := told[a.Seq]; !ok || a.ReceivedAt.Before(at) {
				told[a.Seq] = a.ReceivedAt
			}
		}
	}
	for _, m := range moves {
		from, ok := released[m.freedBy]
		if !ok {
			continue
		}
		t.moved++
		if at, ok := told[m.seq]; ok {
			t.told = append(t.told, at.Sub(from))
		}
	}
	return t
}
