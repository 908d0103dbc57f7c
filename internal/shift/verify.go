package shift

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/sim"
)

// verdict is the outcome of all comparisons.
type verdict struct {
	sim.DeskReport
	*ledger
}

// source gives the events of a log, in order.
type source func(each func(*holdfast.Event) error) error

// readLog stops the child and reads its log, or reads the feed of the target.
func (s *performance) readLog(ctx context.Context) (source, error) {
	if s.child == nil {
		return s.feedSource(ctx)
	}
	if err := s.child.Stop(); err != nil {
		return nil, err
	}
	log, err := engine.ViewDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	if first := log.First(); first > 1 {
		return nil, fmt.Errorf("the log of this shift was so long that its beginning is trimmed: it reaches back to event %d only, and there is nothing to compare what was heard before it with", first)
	}
	return func(each func(*holdfast.Event) error) error {
		_, err := log.Events(0, func(frame engine.Events) error {
			for i := range frame.List {
				if err := each(&frame.List[i]); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	}, nil
}

// verify compares all that was heard with the log, each at its own place.
func verify(f *floor, log source) (*verdict, error) {
	all, err := readHeard(f)
	if err != nil {
		return nil, err
	}
	v := &verdict{ledger: newLedger(f.realm)}
	check := sim.NewDeskChecker()
	next := 0
	// tell gives the checker all that was heard as of an event before seq. A target's feed leaves out what is of other realms, so
	// what was heard as of one of those events is compared at the last one before.
	tell := func(seq, place uint64) {
		for ; next < len(all) && all[next].AsOf < seq; next++ {
			h := &all[next]
			h.AsOf = min(h.AsOf, place)
			v.heard(h)
			if h.Offer != nil || h.Closed != nil || h.Answer != nil || h.Refused != nil || h.Agent != nil || h.Request != nil || h.Availability != nil {
				check.Heard(&h.DeskHeard)
			}
		}
	}
	last := uint64(0)
	err = log(func(e *holdfast.Event) error {
		tell(e.Seq, last)
		if e.Desk == nil || e.Realm == f.realm {
			check.Event(e)
		}
		v.apply(e)
		last = e.Seq
		return nil
	})
	if err != nil {
		return nil, err
	}
	if last == 0 {
		return nil, errors.New("there is nothing in the log")
	}
	if n := sort.Search(len(all), func(i int) bool { return all[i].AsOf > last }); n > next {
		tell(all[n-1].AsOf+1, last)
	}
	for ; next < len(all); next++ { // told as confirmed, and not in the log: the checker says so
		check.Heard(&all[next].DeskHeard)
	}
	v.DeskReport = check.Finish(0)
	return v, nil
}

// gaps is D5: what everybody heard last is how it stands. Every request has ended, and its client knows how; every agent knows
// their state.
func (v *verdict) gaps(agents []*agent) {
	for _, a := range agents {
		v.look("D5", a.offer == 0, "%s was never told that offer %d is over", a.name, a.offer)
	}
	for id, r := range v.requests {
		v.look("D5", ended([]byte(r.state)), "request %d of %s is still %s when all are gone", id, r.client, r.state)
		v.look("D5", v.last.requests[id].state == r.state, "%s heard last that request %d is %q; by the log it is %s", r.client, id, v.last.requests[id].state, r.state)
	}
	for name, state := range v.agents {
		v.look("D5", v.last.agents[name].state == state, "%s heard last that they are %q; by the log they are %s", name, v.last.agents[name].state, state)
	}
}

// undone: at the end of the shift nothing may be left, by what the server says, and by the log.
func (v *verdict) undone(left *counts) {
	v.look("D1", !left.asked || left.Init == 0 && left.Offering == 0, "the server says that %d agents are in init and %d requests offered, when all are gone", left.Init, left.Offering)
	v.look("D1", !left.asked || left.none(), "the server says that something is left when all are gone: %+v", *left)
	for name, a := range v.agents {
		v.look("D1", a == "offline", "by the log %s is %s when all are gone", name, a)
	}
}

// look counts one check of our own.
func (l *ledger) look(name string, ok bool, format string, args ...any) {
	l.checks[name]++
	if ok {
		return
	}
	l.found++
	if len(l.list) < listedViolations {
		l.list = append(l.list, sim.Violation{Name: name, Seq: l.seq, Text: fmt.Sprintf(format, args...)})
	}
}

// listedViolations bounds the list of violations.
const listedViolations = 100
