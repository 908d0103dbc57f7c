package rush

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"holdfast/internal/play"
)

// stage is one act as it was played: what each student lived through. Times are since the rush began.
type stage struct {
	students int
	began    time.Duration
	ended    time.Duration // the last student of those who press for the first time had a confirmed answer
	// By student; negative: not observed. In act 1 from the intended moment, in act 2 from the sending of the first ask.
	preapproved []time.Duration
	confirmed   []time.Duration
	late        []time.Duration // act 1: by how much the generator itself was late to send
	lastAsOf    uint64          // highest as_of of a confirmed answer
}

func newStage(students int) *stage {
	s := &stage{students: students, preapproved: make([]time.Duration, students), confirmed: make([]time.Duration, students)}
	for i := range students {
		s.preapproved[i], s.confirmed[i] = -1, -1
	}
	return s
}

// finish takes the end and the head of the log from what was recorded.
func (s *stage) finish(c *crowd, act uint8) {
	c.records(func(r *record) {
		if r.act == act && !r.errand.push() && confirmed(int(r.status), r.body) {
			if !r.again {
				s.ended = max(s.ended, r.received)
			}
			s.lastAsOf = max(s.lastAsOf, r.asOf())
		}
	})
}

// openingSpan is how long the crowd of act 1 takes to press.
const openingSpan = time.Second

// playOpening is act 1: everybody presses for one course at a moment of their own within one second, whether the server
// keeps up or not. Each student takes two steps, as an app would that shows "saved" before "set in stone": the claim with
// wait=none, which is answered preapproved, then a look at the standing with wait=confirmed.
func playOpening(ctx context.Context, c *crowd) (*stage, error) {
	students := c.plan.opening
	s := newStage(len(students))
	s.late = make([]time.Duration, len(students))
	rng := random(c.seed, streamMoments)
	moments := make([]time.Duration, len(students))
	for i := range moments {
		moments[i] = time.Duration(rng.Int64N(int64(openingSpan)))
	}
	slices.Sort(moments)
	order := rng.Perm(len(students))
	s.began = c.now()
	err := c.each(ctx, len(students), func(ctx context.Context, a *asker, i int) error {
		intended := s.began + moments[i]
		if wait := intended - c.now(); wait > 0 {
			if err := play.Sleep(ctx, wait); err != nil {
				return err
			}
		}
		s.late[i] = c.now() - intended
		person := students[order[i]]
		press := &play.Request{Method: http.MethodPut, Path: append(a.claimPath(0, person), "?wait=none"...), Extra: ifNoneMatch}
		rep, err := a.ask(ctx, press, record{errand: errandClaim, act: 1, person: person})
		if err != nil {
			return err
		}
		s.preapproved[i] = c.now() - intended
		if !confirmed(rep.Status, rep.Body) {
			look := &play.Request{Method: http.MethodGet, Path: append(a.claimPath(0, person), "?wait=confirmed"...)}
			if _, err := a.settle(ctx, look, record{errand: errandLook, act: 1, person: person}); err != nil {
				return err
			}
		}
		s.confirmed[i] = c.now() - intended
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("act 1: %w", err)
	}
	s.finish(c, 1)
	return s, nil
}

// twoStep is the share of the students of act 2 who ask in two steps, so that the time to preapproved can be seen: one
// in twoStep. The others wait for the confirmation in one.
const twoStep = 20

// playUniversity is act 2: every student submits a basket, as fast as the server takes them; some press again.
func playUniversity(ctx context.Context, c *crowd) (*stage, error) {
	order := c.plan.order
	s := newStage(len(c.plan.wishes))
	s.students = c.plan.students()
	s.began = c.now()
	err := c.each(ctx, len(order), func(ctx context.Context, a *asker, i int) error {
		person, again := order[i].person, order[i].again
		r := record{errand: errandBasket, act: 2, again: again, person: person, course: -1}
		first := c.now()
		if !again && person%twoStep == 0 {
			rep, err := a.ask(ctx, a.basket(person, "?wait=none"), r)
			if err != nil {
				return err
			}
			s.preapproved[person] = c.now() - first
			if confirmed(rep.Status, rep.Body) {
				s.confirmed[person] = s.preapproved[person]
				return nil
			}
		}
		if _, err := a.settle(ctx, a.basket(person, ""), r); err != nil {
			return err
		}
		if !again {
			s.confirmed[person] = c.now() - first
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("act 2: %w", err)
	}
	s.finish(c, 2)
	return s, nil
}

// playLeaving lets some of the seated give their seat back; then everybody who moved up looks, and some of those who left
// have their very first claim arrive once more, late: it must change nothing.
func playLeaving(ctx context.Context, c *crowd, leavers []told, feed *follower) (*leaving, error) {
	l := &leaving{left: len(leavers)}
	if len(leavers) == 0 {
		return l, nil
	}
	sent := make([]time.Duration, len(leavers))
	heads := make([]uint64, len(leavers))
	err := c.each(ctx, len(leavers), func(ctx context.Context, a *asker, i int) error {
		t := leavers[i]
		sent[i] = c.now()
		q := &play.Request{Method: http.MethodDelete, Path: a.claimPath(t.course, t.person), Extra: ifMatch(t.seq)}
		rep, err := a.settle(ctx, q, record{errand: errandRelease, act: 3, person: t.person, course: t.course})
		if err == nil && rep.Status != http.StatusOK {
			err = fmt.Errorf("a release was refused: %.300s", rep.Body)
		}
		heads[i] = asOf(rep.Body)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("leaving: %w", err)
	}
	moved, err := feed.until(ctx, slices.Max(heads))
	if err != nil {
		return nil, fmt.Errorf("following the feed while students leave: %w", err)
	}
	at := map[claimKey]time.Duration{}
	for i, t := range leavers {
		at[claimKey{t.course, t.person}] = sent[i]
	}
	for _, m := range moved {
		if since, ok := at[m.freedBy]; ok {
			l.seen = append(l.seen, m.seen-since)
		}
	}
	l.moved = len(moved)
	err = c.each(ctx, len(moved), func(ctx context.Context, a *asker, i int) error {
		m := moved[i].claim
		q := &play.Request{Method: http.MethodGet, Path: append(a.claimPath(m.course, m.person), "?wait=confirmed"...)}
		_, err := a.settle(ctx, q, record{errand: errandLook, act: 3, person: m.person, course: m.course})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking after moving up: %w", err)
	}
	late := leavers[:(len(leavers)+9)/10]
	err = c.each(ctx, len(late), func(ctx context.Context, a *asker, i int) error {
		t := late[i]
		q := &play.Request{Method: http.MethodPut, Path: a.claimPath(t.course, t.person), Extra: ifNoneMatch}
		_, err := a.settle(ctx, q, record{errand: errandLate, act: 3, again: true, person: t.person, course: t.course})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("late duplicates: %w", err)
	}
	l.late = len(late)
	return l, nil
}

// leaving is what happened when some left.
type leaving struct {
	left  int             // seats given back
	moved int             // people who moved up into them
	seen  []time.Duration // from the sending of the release until the feed showed who moved up
	late  int             // late duplicates sent
}
