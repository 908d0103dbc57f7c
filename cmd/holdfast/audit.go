package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast/engine"
	"holdfast/internal/sim"
)

// audit replays a log and compares everything that can be compared with it. One goroutine owns it.
type audit struct {
	dir     *engine.Dir
	check   *sim.Checker
	marks   []mark // what the fold must be at some sequences, in their order
	report  verifyReport
	began   time.Time
	inState time.Duration // spent in State.Check
}

// mark is a state that must equal the fold at its sequence.
type mark struct {
	seq  uint64
	name string
	hash [32]byte
}

func newAudit(dir *engine.Dir, path string) *audit {
	found := dir.Report()
	return &audit{dir: dir, began: time.Now(), report: verifyReport{Directory: path, logReport: logReport{
		Segments: found.Segments, SegmentBytes: found.SegmentBytes, Sealed: found.Sealed, TornBytes: found.TornBytes,
	}}}
}

func (a *audit) violate(name string, seq uint64, format string, args ...any) {
	a.report.Found++
	if len(a.report.Violations) < maxShown {
		a.report.Violations = append(a.report.Violations, sim.Violation{Name: name, Seq: seq, Text: fmt.Sprintf(format, args...)})
	}
}

// log checks frames, hashes and rules, from the oldest state that there is to the durable end. The error is that of ctx.
func (a *audit) log(ctx context.Context) error {
	state, err := a.dir.State()
	if err != nil {
		a.violate("J2", a.dir.First(), "there is no state to replay from: %v", err)
		return nil
	}
	a.report.Base = state.Seq()
	a.check = sim.NewChecker(state)
	a.recovered(ctx)
	a.snapshots()
	slices.SortStableFunc(a.marks, func(x, y mark) int { return cmp.Compare(x.seq, y.seq) })
	a.report.Last, err = a.dir.Events(state.Seq(), func(ev engine.Events) error { return a.frame(ctx, &ev) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		a.violate("log", a.report.Last, "behind this event the log cannot be read: %v", err)
	}
	for _, m := range a.marks {
		a.check.Recovered(m.name, m.seq, m.hash) // of an event that the log does not reach
	}
	found := a.check.Finish()
	a.report.StateChecks++
	a.report.Events, a.report.Checks = found.Events, found.Checks
	for _, v := range found.Violations {
		a.violate(v.Name, v.Seq, "%s", v.Text)
	}
	a.report.Found += found.Found - len(found.Violations)
	return nil
}

// recovered marks the state that a server would start with if the log ended where it did when it was opened (J2, J3): that
// of the newest snapshot, and what is behind it. A server that runs goes on meanwhile.
func (a *audit) recovered(ctx context.Context) {
	state, err := stateAt(ctx, a.dir, a.dir.Last().Seq)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.violate("J2", a.dir.Last().Seq, "a server could not recover: %v", err)
		return
	}
	if state.Seq() > a.report.Base {
		a.marks = append(a.marks, mark{state.Seq(), "the recovered state", state.Hash()})
	}
}

// snapshots marks the snapshots behind the base.
func (a *audit) snapshots() {
	infos, err := a.dir.Snapshots()
	if err != nil {
		a.violate("J2", 0, "the snapshots cannot be listed: %v", err)
		return
	}
	for _, info := range infos {
		if info.Position.Seq <= a.report.Base {
			continue
		}
		state, err := a.dir.Snapshot(info.Position.Seq)
		if err != nil {
			a.violate("J2", info.Position.Seq, "the snapshot cannot be read: %v", err)
			continue
		}
		a.marks = append(a.marks, mark{info.Position.Seq, "the snapshot", state.Hash()})
	}
}

// frame takes the events of one frame, whose checksum and chain the reader has checked.
func (a *audit) frame(ctx context.Context, ev *engine.Events) error {
	a.report.Frames++
	for i := range ev.List {
		a.check.Event(&ev.List[i])
		for len(a.marks) > 0 && a.marks[0].seq == ev.List[i].Seq {
			a.report.StatesCompared++
			a.check.Recovered(a.marks[0].name, a.marks[0].seq, a.marks[0].hash)
			a.marks = a.marks[1:]
		}
	}
	a.wholeState(ev.Seq)
	return ctx.Err()
}

// wholeState looks at everything at once, which costs as much as there is: so it is done as often as a fifth of the time
// allows, and at the end.
func (a *audit) wholeState(seq uint64) {
	if a.inState > time.Since(a.began)/5 {
		return
	}
	began := time.Now()
	if err := a.check.State().Check(); err != nil {
		a.violate("state", seq, "%v", err)
	}
	a.inState += time.Since(began)
	a.report.StateChecks++
}
